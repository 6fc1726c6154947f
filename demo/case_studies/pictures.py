"""The pictures that networks learn from, as tensors on a device."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from conceptmon_tb import world
from demo.case_studies.settings import Settings
from demo.pictures import TEST_SEED, TRAIN_SEED, Pictures, folder_pictures, world_pictures

FINISHES = (*world.CATEGORIES["texture"], *world.CATEGORIES["material"])
_REFLECTED = 8  # a picture moves by at most 1/8 of its side


@dataclass(frozen=True)
class Task:
    """Pictures to learn from, on the device where the network is.

    Attributes:
        pictures: What it was made of: names of the classes, images, and their mean and deviation.
        device: Where batches go.
    """

    pictures: Pictures
    device: torch.device

    @cached_property
    def train(self) -> tuple[Tensor, Tensor]:
        """`(images, 3, size, size)` uint8 and `(images,)` int64."""
        return self._on_device(self.pictures.train_images, self.pictures.train_labels)

    @cached_property
    def test(self) -> tuple[Tensor, Tensor]:
        """As `train`, of the held-out pictures."""
        return self._on_device(self.pictures.test_images, self.pictures.test_labels)

    @cached_property
    def deviation(self) -> Tensor:
        """`(3, 1, 1)` float32, one unit of the network's input in pixel values of 0 to 255."""
        return self.pictures.statistics[1].to(self.device)

    @cached_property
    def bounds(self) -> tuple[Tensor, Tensor]:
        """Black and white as the network sees them, `(3, 1, 1)` float32 each."""
        black = torch.zeros(3, 1, 1, dtype=torch.uint8, device=self.device)
        return self.normalize(black), self.normalize(black + 255)

    def normalize(self, images: Tensor) -> Tensor:
        """Pixels of 0 to 255 to the network's input."""
        mean = self.pictures.statistics[0].to(self.device)
        return ((images.float() - mean) / self.deviation).contiguous(memory_format=_layout(images))

    def batches(self, size: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """One pass over the training pictures in random order, mirrored and moved; whole batches only.

        Args:
            size: Pictures of a batch.

        Yields:
            The network's input, labels, and the numbers of the pictures.
        """
        images, labels = self.train
        size = min(size, len(labels))
        order = torch.randperm(len(labels))  # on the CPU, so that all devices see one order
        for chosen in order[: len(order) // size * size].view(-1, size).to(self.device):
            yield self.normalize(augment(images[chosen])), labels[chosen], chosen

    def held_out(self, size: int = 512, limit: int | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """The held-out pictures in their order, or `limit` of them, evenly spread."""
        images, labels = self.test
        chosen = torch.arange(len(labels))
        if limit is not None and limit < len(labels):
            chosen = torch.linspace(0, len(labels) - 1, limit).long()
        for part in torch.split(chosen.to(self.device), size):
            yield self.normalize(images[part]), labels[part]

    def _on_device(self, images: np.ndarray, labels: np.ndarray) -> tuple[Tensor, Tensor]:
        stacked = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()
        return stacked.to(self.device), torch.from_numpy(labels).to(self.device)


def _layout(images: Tensor) -> torch.memory_format:
    return torch.channels_last if images.ndim == 4 else torch.contiguous_format


def augment(images: Tensor) -> Tensor:
    """Mirrors half of a batch and moves all of it by up to an eighth of its side; shape and dtype stay."""
    mirrored = (torch.rand(len(images)) < 0.5).to(images.device)
    images = torch.where(mirrored[:, None, None, None], images.flip(3), images)
    size = images.shape[-1]
    reach = size // _REFLECTED
    down, right = torch.randint(0, 2 * reach + 1, (2,)).tolist()
    padded = F.pad(images.float(), (reach,) * 4, mode="reflect").to(images.dtype)
    return padded[..., down : down + size, right : right + size]


def make_task(settings: Settings) -> Task:
    """The task of all studies: the ten objects of the picture world, or a folder of images.

    Raises:
        OSError, ValueError: The folder cannot be used.
    """
    if settings.data is None:
        images = min(settings.images, 50_000)
        pictures = world_pictures(images, max(100, min(images // 4, 1000)))
    else:
        pictures = folder_pictures(settings.data, settings.images)
    return Task(pictures, torch.device(settings.device))


def make_texture_task(settings: Settings, like: Pictures) -> Task:
    """The second domain of study IV: pictures of textures and materials only, in the first one's size.

    Each is a full frame with one finish and nothing else, as a retina is to a network that knows objects.

    Args:
        settings: Size, and a folder where one is given.
        like: The first domain; size and statistics are taken over, as with a pretrained network.
    """
    if settings.texture_data is not None:
        pictures = folder_pictures(settings.texture_data, settings.images)
    else:
        images = min(settings.images, 50_000) // 2
        train, train_labels = _finish_pictures(images, TRAIN_SEED, like.size)
        test, test_labels = _finish_pictures(max(100, images // 4), TEST_SEED, like.size)
        pictures = Pictures("finishes", FINISHES, train, train_labels, test, test_labels)
    if pictures.size != like.size:
        raise ValueError(
            f"--texture-data has images of {pictures.size} pixels, the first domain of {like.size}; "
            "use equal sizes"
        )
    pictures.__dict__["statistics"] = like.statistics
    return Task(pictures, torch.device(settings.device))


def _finish_pictures(count: int, seed: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Full frames of textures and materials, about as many of each, `(count, size, size, 3)` uint8."""
    textures = len(world.CATEGORIES["texture"])
    images, labels = np.empty((count, size, size, 3), np.uint8), np.empty(count, np.int64)
    for i in range(count):
        kind = "texture" if i % len(FINISHES) < textures else "material"
        picture = world.draw_picture(seed, 1_000_000 + i, size, kind=kind)
        images[i], labels[i] = picture.image, FINISHES.index(picture.shown or "")
    return images, labels
