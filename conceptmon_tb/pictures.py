"""What counts as an image: from what data sets give to pictures and tensors.

Images come as PIL images, arrays `(height, width[, channels])` or tensors `(channels, height, width)`,
with uint8 values or floats in [0, 1]. Anything else, such as normalised tensors, cannot be shown or
encoded and is refused with the mend in the message.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

RawImage: TypeAlias = "Image.Image | npt.NDArray[Any] | Tensor"
RAW_TENSOR_ADVICE = (
    "hand over the raw pictures and the transform apart: "
    "ProbeSet(dataset_without_transform, transform=eval_transform)"
)


def take_image(item: Any, image: int) -> RawImage:
    """Take the image out of a dataset's item.

    Args:
        item: An image, a tuple or list that starts with one, or a mapping with "image".
        image: Its id, for the message.

    Returns:
        The image as it was given.

    Raises:
        TypeError: There is none.
    """
    if isinstance(item, Mapping):
        if "image" not in item:
            keys = ", ".join(sorted(map(str, item)))
            raise TypeError(f'item {image} of the probe set is a mapping without "image"; it has: {keys}')
        item = item["image"]
    elif isinstance(item, (tuple, list)):
        if not item:
            raise TypeError(f"item {image} of the probe set is empty; it must start with an image")
        item = item[0]
    if not isinstance(item, (Image.Image, np.ndarray, Tensor)):
        raise TypeError(
            f"item {image} of the probe set is a {type(item).__name__}; "
            f"expected a PIL image, an array or a tensor"
        )
    return item


def image_size(raw: RawImage) -> tuple[int, ...]:
    """Height and width in pixels."""
    if isinstance(raw, Image.Image):
        return raw.height, raw.width
    if isinstance(raw, Tensor):
        return tuple(raw.shape[-2:])
    return tuple(raw.shape[:2])


def _to_array(raw: npt.NDArray[Any] | Tensor, image: int) -> npt.NDArray[np.uint8]:
    """`(height, width)` or `(height, width, channels)` uint8."""
    array: npt.NDArray[Any]
    if isinstance(raw, Tensor):
        array = raw.detach().cpu().float().numpy() if raw.is_floating_point() else raw.detach().cpu().numpy()
        array = array.transpose(1, 2, 0) if array.ndim == 3 else array
    else:
        array = raw
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        raise ValueError(
            f"image {image} of the probe set has shape {tuple(raw.shape)}; expected (channels, height, "
            f"width) for a tensor or (height, width[, channels]) for an array, with 1, 3 or 4 channels"
        )
    if np.issubdtype(array.dtype, np.floating):
        low, high = float(array.min(initial=0)), float(array.max(initial=0))
        if not (low >= -1e-6 and high <= 1 + 1e-6):
            raise ValueError(
                f"image {image} of the probe set has values from {low:.3g} to {high:.3g}: "
                f"it looks normalised, and the concept encoder needs the picture itself; {RAW_TENSOR_ADVICE}"
            )
        array = np.rint(array.clip(0, 1) * 255).astype(np.uint8)
    if array.dtype != np.uint8:
        raise ValueError(
            f"image {image} of the probe set is {array.dtype}; expected uint8 or floats in [0, 1]"
        )
    pixels: npt.NDArray[np.uint8] = array
    return pixels


def to_picture(raw: RawImage, image: int) -> Image.Image:
    """The image as an RGB picture, for the concept encoder and for thumbnails.

    Args:
        raw: The image.
        image: Its id, for the message.

    Returns:
        RGB picture in its original size.

    Raises:
        ValueError: An unusual shape or type, or values that are not a picture's.
    """
    picture = raw if isinstance(raw, Image.Image) else Image.fromarray(_to_array(raw, image))
    return picture if picture.mode == "RGB" else picture.convert("RGB")


def to_tensor(raw: RawImage, image: int) -> Tensor:
    """The image as a model's input where no transform is given.

    Args:
        raw: The image.
        image: Its id, for the message.

    Returns:
        `(channels, height, width)` float32 in [0, 1]; a grey image keeps its one channel.

    Raises:
        ValueError: As in `to_picture`.
    """
    if isinstance(raw, Tensor) and raw.is_floating_point():
        _to_array(raw, image)
        return (raw if raw.ndim == 3 else raw[None]).detach().cpu().float()
    if isinstance(raw, Image.Image):
        raw = np.asarray(raw if raw.mode in ("L", "RGB") else raw.convert("RGB"))
    array = _to_array(raw, image)
    array = array[:, :, None] if array.ndim == 2 else array
    return torch.from_numpy(array.transpose(2, 0, 1).copy()).float().div_(255)


def make_thumbnail(picture: Image.Image, size: int) -> npt.NDArray[np.uint8]:
    """The central square of a picture, scaled.

    Args:
        picture: RGB picture.
        size: Side in pixels.

    Returns:
        `(size, size, 3)` uint8.
    """
    if picture.size == (size, size):
        return np.asarray(picture)
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    square = picture.crop((left, top, left + side, top + side))
    return np.asarray(square.resize((size, size), Image.Resampling.BICUBIC, reducing_gap=2.0))
