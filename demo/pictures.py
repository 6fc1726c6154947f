"""Training data of the demo: the picture world, or any folder of images in class folders."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from conceptmon_tb import world

IMAGE_SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"}
TRAIN_SEED, TEST_SEED = 11, 12  # the probe set and the bundled encoder draw from other seeds
NATIVE_SIZES = (32, 48, 64)


@dataclass(frozen=True)
class Pictures:
    """Images of one task, ready to train on.

    Attributes:
        name: Short name, used for the runs.
        classes: Class names.
        train_images: `(images, size, size, 3)` uint8.
        train_labels: `(images,)` int64.
        test_images: `(images, size, size, 3)` uint8, held out.
        test_labels: `(images,)` int64.
    """

    name: str
    classes: Sequence[str]
    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray

    @property
    def size(self) -> int:
        """Side of the images in pixels."""
        return int(self.train_images.shape[1])

    def normalizer(self) -> Callable[[Image.Image], Tensor]:
        """The transform from a PIL image to the network's input: size, range and channel statistics."""
        mean, std = self.statistics

        def transform(image: Image.Image) -> Tensor:
            small = image.convert("RGB").resize((self.size, self.size), Image.Resampling.BILINEAR)
            return (torch.from_numpy(np.array(small)).permute(2, 0, 1).float() - mean) / std

        return transform

    @cached_property
    def statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the training pixels, each `(3, 1, 1)` float32 on the 0-255 scale."""
        sample = self.train_images[:1000].astype(np.float32)
        mean, std = sample.mean((0, 1, 2)), sample.std((0, 1, 2))
        return torch.tensor(mean).view(3, 1, 1), torch.tensor(std).view(3, 1, 1).clamp(min=1.0)


def world_pictures(num_train: int, num_test: int = 800) -> Pictures:
    """The ten-class object task of the picture world."""
    splits = []
    for count, seed in ((num_train, TRAIN_SEED), (num_test, TEST_SEED)):
        dataset = world.WorldDataset(count, seed=seed, task="objects")
        items = [dataset[i] for i in tqdm(range(count), desc="Drawing pictures", leave=False)]
        images = np.stack([np.asarray(image) for image, _ in items])
        splits.append((images, np.array([label for _, label in items])))
    (train_images, train_labels), (test_images, test_labels) = splits
    return Pictures("world", world.CLASSES, train_images, train_labels, test_images, test_labels)


def folder_pictures(root: Path, limit: int | None = None) -> Pictures:
    """An image folder: `train/<class>/*` and `test/<class>/*`, or `<class>/*` of which a fifth is held out.

    Args:
        root: The folder.
        limit: At most this many training images, spread over the classes.

    Raises:
        FileNotFoundError: If `root` is no folder.
        ValueError: If it holds fewer than two class folders with images.
    """
    if not root.is_dir():
        raise FileNotFoundError(f"--data {root}: no such folder")
    train_root = root / "train" if (root / "train").is_dir() else root
    test_root = next((root / name for name in ("test", "val") if (root / name).is_dir()), None)
    train = _list_images(train_root)
    if len(train) < 2:
        raise ValueError(f"--data {root}: expected a folder for each class (at least two) with images in it")
    test = _list_images(test_root) if test_root else {}
    classes = sorted(train)
    if not test:
        test = {name: files[::5] for name, files in train.items()}
        train = {name: [file for i, file in enumerate(files) if i % 5] for name, files in train.items()}
    per_class = None if limit is None else max(1, limit // len(classes))
    train_files = [(file, label) for label, name in enumerate(classes) for file in train[name][:per_class]]
    test_files = [(file, label) for label, name in enumerate(classes) for file in test.get(name, [])]
    with Image.open(train_files[0][0]) as first:
        size = max((side for side in NATIVE_SIZES if side <= min(first.size)), default=NATIVE_SIZES[0])
    train_images, train_labels = _load(train_files, size)
    test_images, test_labels = _load(test_files, size)
    return Pictures(root.resolve().name, classes, train_images, train_labels, test_images, test_labels)


def _list_images(root: Path) -> dict[str, list[Path]]:
    """Image files by class folder, sorted."""
    found = {
        folder.name: sorted(file for file in folder.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES)
        for folder in sorted(root.iterdir())
        if folder.is_dir()
    }
    return {name: files for name, files in found.items() if files}


def _load(files: Sequence[tuple[Path, int]], size: int) -> tuple[np.ndarray, np.ndarray]:
    images = np.empty((len(files), size, size, 3), np.uint8)
    for i, (file, _) in enumerate(tqdm(files, desc="Reading images", leave=False)):
        with Image.open(file) as image:
            images[i] = np.asarray(image.convert("RGB").resize((size, size), Image.Resampling.BICUBIC))
    return images, np.array([label for _, label in files])
