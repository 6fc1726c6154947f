"""Evaluation transforms that commands know by name: from a picture to a model's input."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from torch import Tensor


class Preset(NamedTuple):
    """How the networks of a data set see pictures when they are evaluated.

    Attributes:
        size: Side of the input in pixels; None leaves pictures as they are.
        resize: The shorter side before the central crop, as a multiple of `size`.
        mean: Of each channel, for pixels in [0, 1]; empty for no normalisation.
        std: Of each channel.
    """

    size: int | None
    resize: float
    mean: tuple[float, ...]
    std: tuple[float, ...]


PRESETS = {
    "imagenet": Preset(224, 256 / 224, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "cifar": Preset(32, 1.0, (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    "none": Preset(None, 1.0, (), ()),
}


def make_transform(
    preset: str,
    *,
    image_size: int | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> Callable[..., Tensor] | None:
    """Make the transform of a preset, or a variation of it.

    Args:
        preset: A name in `PRESETS`.
        image_size: Another side of the input; the shorter side before the crop changes with it.
        mean: Another mean, one number or one for each channel.
        std: Another standard deviation.

    Returns:
        From an RGB picture to a `(3, size, size)` float32 tensor; None where nothing is to be done. It can be
        pickled.

    Raises:
        ValueError: There is no such preset, or a number makes no sense.

    Example:
        >>> from PIL import Image
        >>> make_transform("cifar")(Image.new("RGB", (50, 40))).shape
        torch.Size([3, 32, 32])
    """
    from torchvision import transforms

    if preset not in PRESETS:
        raise ValueError(f"transform must be one of {', '.join(PRESETS)} or module:function, got {preset!r}")
    chosen = PRESETS[preset]
    size = chosen.size if image_size is None else image_size
    if size is not None and size < 1:
        raise ValueError(f"image_size must be at least 1, got {size}")
    means = _channels("mean", chosen.mean if mean is None else mean)
    stds = _channels("std", chosen.std if std is None else std)
    if bool(means) != bool(stds):
        raise ValueError("mean and std belong together; give both")
    if any(value <= 0 for value in stds):
        raise ValueError(f"std must be above 0, got {list(stds)}")
    steps: list[Callable[..., object]] = []
    if size is not None:
        steps += [transforms.Resize(round(size * chosen.resize)), transforms.CenterCrop(size)]
    if steps or means:
        steps.append(transforms.ToTensor())
    if means:
        steps.append(transforms.Normalize(means, stds))
    return transforms.Compose(steps) if steps else None


def _channels(argument: str, values: Sequence[float]) -> tuple[float, ...]:
    if len(values) not in (0, 1, 3):
        raise ValueError(f"{argument} must be one number or three, got {len(values)}")
    return tuple(values) * 3 if len(values) == 1 else tuple(values)
