"""Where a probe set's pictures come from: a data set, a folder or a list, all read by number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
from PIL import Image

IMAGE_SUFFIXES = frozenset(
    {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
)
SIZE_ADVICE = (
    "pass transform=, for instance torchvision.transforms.Compose([Resize(64), CenterCrop(64), ToTensor()]), "
    "so that all become one size"
)


@runtime_checkable
class MapDataset(Protocol):
    """What a source must offer: a length and items by number."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...


class ImageFolder:
    """A folder of images, searched recursively, as a map-style dataset of RGB pictures sorted by path.

    Args:
        root: The folder.

    Raises:
        ValueError: It is no folder, or holds no images.
    """

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise ValueError(
                f"source {str(root)!r} is no folder; give a folder of images, a dataset or a list"
            )
        files = (path for path in root.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file())
        self.files = sorted(files, key=lambda path: path.relative_to(root).as_posix())
        if not self.files:
            kinds = ", ".join(sorted(IMAGE_SUFFIXES))
            raise ValueError(f"probe set is empty: folder {str(root)!r} holds no image files ({kinds})")

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Image.Image:
        with Image.open(self.files[index]) as image:
            picture: Image.Image = image.convert("RGB")
            return picture

    def check_sizes(self, indices: npt.NDArray[np.int64]) -> None:
        """Compare sizes by the files' headers alone.

        Args:
            indices: Numbers of files.

        Raises:
            ValueError: They differ.
        """
        first: tuple[int, int] | None = None
        for index in indices:
            with Image.open(self.files[index]) as image:
                size = (image.height, image.width)
            if first is None:
                first = size
            elif size != first:
                reference, other = str(self.files[indices[0]]), str(self.files[index])
                raise different_sizes(reference, first, other, size, False)


def open_source(source: Any) -> MapDataset:
    """Return a source of pictures as a dataset.

    Args:
        source: A map-style dataset, a folder of images or a list of images.

    Raises:
        TypeError: It is none of them.
        ValueError: The folder does not exist or holds no images.
    """
    if isinstance(source, (str, Path)):
        return ImageFolder(Path(source))
    if isinstance(source, Mapping) or not isinstance(source, MapDataset):
        raise TypeError(
            f"source must be a map-style dataset (__len__ and __getitem__), a folder or a list of images, "
            f"got {type(source).__name__}; collect an iterable of images with list(...)"
        )
    return source


def spread(count: int, wanted: int | None) -> npt.NDArray[np.int64]:
    """Choose numbers below `count`, so many of them and evenly spread; None for all."""
    if wanted is None or wanted >= count:
        return np.arange(count, dtype=np.int64)
    return np.arange(wanted, dtype=np.int64) * count // wanted


def different_sizes(
    first: int | str, first_shape: Sequence[int], other: int | str, shape: Sequence[int], transformed: bool
) -> ValueError:
    """Return the error for two images that differ in size, each named by its id or its file."""
    where = "after transform" if transformed else "and no transform"
    sizes = f"{tuple(first_shape)} (image {first}) and {tuple(shape)} (image {other})"
    return ValueError(f"probe images of different sizes {where}: {sizes}; {SIZE_ADVICE}")
