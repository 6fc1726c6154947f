"""Colours: what the eleven colour words look like, and which word a pixel deserves."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from conceptmon_tb.world.vocabulary import COLORS

Color = tuple[float, float, float]

RGB: dict[str, Color] = {
    "black": (24, 24, 28),
    "blue": (40, 92, 208),
    "brown": (124, 75, 38),
    "gray": (132, 134, 138),
    "green": (54, 150, 64),
    "orange": (240, 138, 34),
    "pink": (244, 150, 188),
    "purple": (126, 60, 170),
    "red": (208, 40, 44),
    "white": (244, 244, 240),
    "yellow": (242, 214, 50),
}

_LEVELS = 32  # colour naming looks at the upper five bits of each channel


def mix(first: Color, second: Color, share: float) -> Color:
    """The colour `share` (0 to 1) of the way from `first` to `second`."""
    return (
        first[0] + (second[0] - first[0]) * share,
        first[1] + (second[1] - first[1]) * share,
        first[2] + (second[2] - first[2]) * share,
    )


def darken(color: Color, share: float) -> Color:
    """`color`, `share` of the way to black."""
    return mix(color, (0.0, 0.0, 0.0), share)


def lighten(color: Color, share: float) -> Color:
    """`color`, `share` of the way to white."""
    return mix(color, (255.0, 255.0, 255.0), share)


def name_colors(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Name the colour of every pixel.

    Args:
        image: `(..., 3)` uint8 RGB.

    Returns:
        `(...)` uint8, an index into `vocabulary.COLORS` per pixel.
    """
    level = (image >> 3).astype(np.intp)
    index = (level[..., 0] << 10) | (level[..., 1] << 5) | level[..., 2]
    return np.asarray(_name_table().take(index), np.uint8)


@lru_cache(maxsize=1)
def _name_table() -> npt.NDArray[np.uint8]:
    """`(32768,)` colour index of every 5-bit RGB triple, by rules on hue, saturation and value."""
    channel = (np.arange(_LEVELS) * 8 + 4) / 255.0
    red, green, blue = np.meshgrid(channel, channel, channel, indexing="ij")
    hue, saturation, value = _hsv(red, green, blue)
    rules: list[tuple[str, npt.NDArray[np.bool_]]] = [
        ("black", (value < 0.20) | ((value < 0.27) & (saturation < 0.25))),
        ("white", ((saturation < 0.16) & (value > 0.84)) | ((saturation < 0.10) & (value > 0.80))),
        ("gray", saturation < 0.16),
        ("brown", (hue >= 10) & (hue < 46) & (value < 0.70) & (saturation > 0.20)),
        ("brown", ((hue < 10) | (hue > 345)) & (value < 0.40)),
        ("brown", (hue >= 42) & (hue < 60) & (value < 0.55) & (saturation > 0.25)),
        ("pink", ((hue < 16) | (hue >= 310)) & (value > 0.72) & (saturation < 0.58)),
        ("red", (hue < 14) | (hue >= 345)),
        ("orange", hue < 42),
        ("yellow", hue < 68),
        ("green", hue < 168),
        ("blue", hue < 255),
        ("purple", hue < 310),
        ("pink", np.ones_like(hue, dtype=bool)),
    ]
    conditions = [condition for _, condition in rules]
    names = [np.uint8(COLORS.index(name)) for name, _ in rules]
    return np.asarray(np.select(conditions, names), np.uint8).reshape(-1)


def _hsv(
    red: npt.NDArray[np.float64], green: npt.NDArray[np.float64], blue: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Hue in degrees, saturation and value in 0..1 of RGB in 0..1."""
    value = np.maximum(np.maximum(red, green), blue)
    spread = value - np.minimum(np.minimum(red, green), blue)
    saturation = spread / np.maximum(value, 1e-6)
    safe = np.maximum(spread, 1e-6)
    sector = np.where(
        value == red,
        ((green - blue) / safe) % 6,
        np.where(value == green, (blue - red) / safe + 2, (red - green) / safe + 4),
    )
    return sector * 60.0, saturation, value
