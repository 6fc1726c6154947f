"""The probe set: the fixed pictures that every snapshot looks through.

A neuron is known by what excites it, so the pictures must be the same, in the same order, at every
epoch. One picture has two views: the user's `transform` makes the tensor for the monitored model, and
the plain picture goes to the concept encoder, which has an image transform of its own.
"""

from __future__ import annotations

import copy
import hashlib
import warnings
from collections.abc import Callable, Hashable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor
from tqdm.auto import tqdm

from conceptmon_tb.patches import View
from conceptmon_tb.pictures import RawImage, image_size, make_thumbnail, take_image, to_picture, to_tensor
from conceptmon_tb.probe_source import ImageFolder, MapDataset, different_sizes, open_source, spread
from conceptmon_tb.probe_view import find_view
from conceptmon_tb.snapshot import IntArray, ProbeImages
from conceptmon_tb.stratify import class_labels
from conceptmon_tb.training_state import DEFAULT_SEED, preserve_rng_streams

__all__ = ["MapDataset", "ProbeSet"]
NUM_CHECKED = 16


class ProbeSet:
    """Pictures in a fixed order, known by their content.

    Args:
        source: A map-style dataset (items are an image, `(image, label, ...)` or a mapping with "image"),
            a folder of images (searched recursively, sorted by path), or a list of images. An image is a
            PIL image, an array `(height, width[, channels])` or a tensor `(channels, height, width)`;
            uint8 in 0..255 or floating point in [0, 1].
        transform: From an image as the source gives it to the model's input tensor `(channels, height,
            width)`: use the evaluation transform of your training. None: the picture as a float32
            tensor in [0, 1].
        thumbnail_size: Side of the square thumbnails, in pixels.
        max_images: Take only so many, evenly spread over the source (a folder sorted by class keeps all
            its classes). None: all.
        batch_size: Images per forward pass of the monitored model.
        cache_bytes: Model inputs are kept in memory when they fit in so many bytes (1 GiB unless told),
            so that later epochs decode nothing. 0 switches this off.

    Raises:
        ValueError: No images; images of different sizes and no transform; floating-point images outside
            [0, 1], that is, normalised ones.
        TypeError: A source or an item that is none of the above.

    A random transform is drawn once per image with a fixed seed, and a warning says so. Reading never
    advances the global random streams.

    Attributes:
        total: Pictures of the probe set that this one is a `part` of; its own number if it is none.
    """

    def __init__(
        self,
        source: MapDataset | Sequence[Any] | str | Path,
        transform: Callable[[Any], Tensor] | None = None,
        *,
        thumbnail_size: int = 64,
        max_images: int | None = None,
        batch_size: int = 128,
        cache_bytes: int = 1 << 30,
    ) -> None:
        for name, value in (("thumbnail_size", thumbnail_size), ("batch_size", batch_size)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if max_images is not None and max_images < 1:
            raise ValueError(f"max_images must be at least 1 or None, got {max_images}")
        self.transform = transform
        self.thumbnail_size = thumbnail_size
        self.batch_size = batch_size
        self.cache_bytes = cache_bytes
        self._source = open_source(source)
        self._indices = spread(len(self._source), max_images)
        self.total = len(self._indices)
        self._inputs: Tensor | None = None
        self._cached = range(0)
        self._lend_copies = False
        if not len(self):
            raise ValueError("probe set is empty: source holds no images; give some hundreds or more")
        self._check_items(isinstance(source, (list, tuple)))

    @classmethod
    def world(
        cls,
        num_images: int = 2000,
        size: int = 64,
        seed: int = 1_000_003,
        transform: Callable[[Any], Tensor] | None = None,
        **options: Any,
    ) -> ProbeSet:
        """Held-out pictures of the picture world, what the bundled encoder understands.

        Args:
            num_images: How many; labels are unstable with fewer than about 1,500.
            size: Side in pixels.
            seed: Of the pictures; the default is none of the seeds that the encoder was trained on.
            transform: As in `ProbeSet`.
            **options: Further keyword arguments of `ProbeSet`.

        Returns:
            The probe set; pictures are drawn when they are first needed.
        """
        from conceptmon_tb.world import WorldDataset

        if num_images < 1:
            raise ValueError(f"num_images must be at least 1, got {num_images}")
        return cls(WorldDataset(num_images, seed, size=size), transform, **options)

    def __len__(self) -> int:
        return len(self._indices)

    @property
    def num_cached(self) -> int:
        """Of how many pictures the model's inputs fit in memory."""
        first = self.model_input(0)
        return self.cache_bytes // (first.numel() * first.element_size())

    def part(self, images: Sequence[int] | IntArray) -> ProbeSet:
        """Some of the pictures as a probe set of its own.

        Args:
            images: Their ids, ascending; the part counts its own from 0.

        Returns:
            The part, which reads from the same source; `total` remembers of how many it is a part.
        """
        part = copy.copy(self)
        part._indices = self._indices[np.asarray(images)]  # noqa: SLF001
        part._inputs = None  # noqa: SLF001
        for known_of_the_whole in ("_scan", "view"):
            part.__dict__.pop(known_of_the_whole, None)
        return part

    @property
    def classes(self) -> list[Hashable] | None:
        """The class of every picture, where the source tells it without being read; None elsewhere."""
        return class_labels(self._source, self._indices)

    def picture(self, image: int) -> Image.Image:
        """One picture as the concept encoder sees it.

        Args:
            image: Id of the image, 0 up to `len(self)`.

        Returns:
            RGB picture in its original size.
        """
        return to_picture(self._raw(image), image)

    def pictures(self, *, progress: bool = False) -> Iterator[Image.Image]:
        """All pictures in order; with a progress bar if asked for."""
        for image in tqdm(range(len(self)), "Reading the probe", disable=not progress):
            yield self.picture(image)

    @property
    def fingerprint(self) -> str:
        """Hex digest (64 characters) of the pictures and their order, whatever their names."""
        return self._scan[0]

    @property
    def thumbnails(self) -> npt.NDArray[np.uint8]:
        """`(images, thumbnail_size, thumbnail_size, 3)` uint8, cut to the central square."""
        return self._scan[1]

    @cached_property
    def view(self) -> View | None:
        """The part of the thumbnails that the model's input shows; None where it is not one rectangle."""
        chosen = [int(image) for image in spread(len(self), NUM_CHECKED)]
        raws = [self._raw(image) for image in chosen]
        return find_view(raws, self.transform, [DEFAULT_SEED + image for image in chosen])

    def images(self, ids: Sequence[int] | IntArray) -> ProbeImages:
        """Thumbnails of some images.

        Args:
            ids: Ids of images.

        Returns:
            The ids and their thumbnails, ready to be written.
        """
        chosen = np.asarray(ids, dtype=np.int32)
        return ProbeImages(ids=chosen, thumbnails=self.thumbnails[chosen])

    @property
    def num_batches(self) -> int:
        """How many batches `batches` gives."""
        return -(-len(self) // self.batch_size)

    def batches(self, numbers: range | None = None, *, progress: bool = False) -> Iterator[Tensor]:
        """The model's inputs, in order.

        Args:
            numbers: Numbers of neighbouring batches, to read nothing else; None for all.
            progress: Show a progress bar while images are decoded.

        Yields:
            `(batch, channels, height, width)` tensors, the last one possibly shorter. They may be views of
            a cache: read them only (a model that writes to its input is noticed and then gets copies).

        Raises:
            ValueError: The transform gives tensors of different sizes, or no tensor.
        """
        numbers = range(self.num_batches) if numbers is None else numbers
        parts = [self._batch_ids(number) for number in numbers]
        if not parts:
            return
        wanted = range(parts[0].start, parts[-1].stop)
        if not self._is_cached(wanted):
            if not self._fits_in_cache(len(wanted)):
                for ids in parts:
                    yield self._stack(ids, progress=False)
                return
            self._inputs, self._cached = self._stack(wanted, progress=progress), wanted
        inputs, first = self._inputs, self._cached.start
        assert inputs is not None
        version = inputs._version  # noqa: SLF001 (how torch counts writes)
        try:
            for ids in parts:
                batch = inputs[ids.start - first : ids.stop - first]
                yield batch.clone() if self._lend_copies else batch
        finally:
            if inputs._version != version:  # noqa: SLF001
                self._inputs, self._lend_copies = None, True

    def model_input(self, image: int) -> Tensor:
        """The tensor `(channels, height, width)` that the model gets for one image.

        Args:
            image: Id of the image.

        Raises:
            TypeError: The transform gives something other than a tensor.
            ValueError: The tensor does not have three dimensions.
        """
        raw = self._raw(image)
        if self.transform is None:
            return to_tensor(raw, image)
        with preserve_rng_streams(DEFAULT_SEED + image):
            tensor = self.transform(raw)
        if not isinstance(tensor, Tensor):
            raise TypeError(
                f"transform must give a torch.Tensor, got {type(tensor).__name__} for image {image}; "
                f"end it with torchvision.transforms.ToTensor()"
            )
        if tensor.ndim != 3:
            raise ValueError(
                f"transform must give (channels, height, width) tensors, "
                f"got shape {tuple(tensor.shape)} for image {image}"
            )
        return tensor.detach()

    def _raw(self, image: int) -> RawImage:
        with preserve_rng_streams(DEFAULT_SEED + image):
            return take_image(self._source[int(self._indices[image])], image)

    @cached_property
    def _scan(self) -> tuple[str, npt.NDArray[np.uint8]]:
        """One pass over the pictures: their digest and their thumbnails."""
        digest = hashlib.sha256()
        thumbnails = np.empty((len(self), self.thumbnail_size, self.thumbnail_size, 3), dtype=np.uint8)
        for i, picture in enumerate(self.pictures()):
            digest.update(repr(picture.size).encode())
            digest.update(picture.tobytes())
            thumbnails[i] = make_thumbnail(picture, self.thumbnail_size)
        return digest.hexdigest(), thumbnails

    def _batch_ids(self, number: int) -> range:
        start = number * self.batch_size
        return range(start, min(start + self.batch_size, len(self)))

    def _is_cached(self, wanted: range) -> bool:
        kept = self._inputs is not None
        return kept and self._cached.start <= wanted.start and wanted.stop <= self._cached.stop

    def _fits_in_cache(self, count: int) -> bool:
        first = self.model_input(0)
        return first.numel() * first.element_size() * count <= self.cache_bytes

    def _stack(self, ids: range, *, progress: bool) -> Tensor:
        first = self.model_input(ids[0])
        stacked = first.new_empty((len(ids), *first.shape))
        for row, image in enumerate(tqdm(ids, "Preparing the probe", disable=not progress)):
            tensor = self.model_input(image)
            if tensor.shape != first.shape:
                raise different_sizes(ids[0], first.shape, image, tensor.shape, self.transform is not None)
            stacked[row] = tensor
        return stacked

    def _check_items(self, check_all: bool) -> None:
        """Fail now rather than after the first epoch; all items of a list, a few of what must be read."""
        shape = self.model_input(0).shape
        if self.transform is not None:
            to_picture(self._raw(0), 0)
            self._warn_if_random(self.transform)
            return
        if isinstance(self._source, ImageFolder):
            self._source.check_sizes(self._indices)
        for image in range(len(self)) if check_all else spread(len(self), NUM_CHECKED):
            raw = self._raw(int(image))
            to_picture(raw, int(image))
            if image_size(raw) != shape[1:]:
                raise different_sizes(0, shape[1:], int(image), image_size(raw), False)

    def _warn_if_random(self, transform: Callable[[Any], Tensor]) -> None:
        views = []
        for seed in (1, 2):
            with preserve_rng_streams(seed):
                views.append(transform(self._raw(0)))
        if views[0].shape != views[1].shape or not torch.equal(views[0], views[1]):
            warnings.warn(
                "transform is random (augmentation?): each probe image is drawn once with a fixed seed, "
                "the same at every epoch; pass the evaluation transform to see the pictures as they are",
                stacklevel=4,
            )
