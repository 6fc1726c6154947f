"""Which part of a thumbnail does the model see? Found by sending test charts through the transform.

A transform is any function: it may resize, crop, pad or mirror. Sent through it, a picture that grows
brighter from left to right tells for every place of the model's input which place of the picture it
shows. Where the answer is not a plain rectangle, the view is unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from conceptmon_tb.patches import View
from conceptmon_tb.pictures import RawImage, image_size
from conceptmon_tb.training_state import preserve_rng_streams

TOLERANCE = 0.02  # of a side; charts in uint8 tell places to 0.004

_Chart = npt.NDArray[np.float64]


def find_view(
    raws: Sequence[RawImage], transform: Callable[[Any], Tensor] | None, seeds: Sequence[int]
) -> View | None:
    """Find which part of the thumbnail, the picture's central square, the model's input shows.

    Args:
        raws: Some images of the probe; they may differ in size.
        transform: From an image to the model's input; None: the input is the picture.
        seeds: Of the random streams for each image, as they are when its input is made.

    Returns:
        The view, None where it is not the same rectangle for all of `raws`: a random crop, a rotation, or
        pictures of several shapes that are squeezed into one.
    """
    views = [_view_of(raw, transform, seed) for raw, seed in zip(raws, seeds, strict=True)]
    known = [view for view in views if view is not None]
    if not known or len(known) < len(views) or np.ptp(known, axis=0).max() > TOLERANCE:
        return None
    return known[0]


def _view_of(raw: RawImage, transform: Callable[[Any], Tensor] | None, seed: int) -> View | None:
    height, width = image_size(raw)
    columns = np.broadcast_to((np.arange(width) + 0.5) / width, (height, width))
    rows = np.broadcast_to(((np.arange(height) + 0.5) / height)[:, None], (height, width))
    across: tuple[float, float] | None = (0.0, 1.0)
    down: tuple[float, float] | None = (0.0, 1.0)
    if transform is not None:
        charts = (np.zeros((height, width)), np.ones((height, width)), columns, rows)
        black, white, brighter_right, brighter_down = (_apply(transform, raw, c, seed) for c in charts)
        across = _fit(black, white, brighter_right, axis=1)
        down = _fit(black, white, brighter_down, axis=0)
    if across is None or down is None:
        return None
    side = min(height, width)
    left, right = (((x * width) - (width - side) // 2) / side for x in across)
    top, bottom = (((y * height) - (height - side) // 2) / side for y in down)
    return View(left, top, right, bottom)


def _apply(transform: Callable[[Any], Tensor], raw: RawImage, chart: _Chart, seed: int) -> _Chart | None:
    """The mean over channels of what the transform makes of a chart; None where it cannot take one."""
    try:
        with preserve_rng_streams(seed):
            output = transform(_in_the_manner_of(raw, chart)).detach().cpu().double().numpy()
    except Exception:  # noqa: BLE001  # the user's own function, and a picture that is none of the user's
        return None
    return output.mean(axis=0) if output.ndim == 3 and np.isfinite(output).all() else None


def _fit(
    black: _Chart | None, white: _Chart | None, ramp: _Chart | None, axis: int
) -> tuple[float, float] | None:
    """Which fraction of the picture is at the start and at the end of an axis of the input."""
    if black is None or white is None or ramp is None or not black.shape == white.shape == ramp.shape:
        return None
    contrast = white - black
    shown = np.abs(contrast) > 0.5 * np.abs(contrast).max()  # what was padded is the same in all charts
    if shown.mean() < 0.1:
        return None
    cells = black.shape[axis]
    at = np.broadcast_to(np.expand_dims((np.arange(cells) + 0.5) / cells, 1 - axis), black.shape)[shown]
    place = (ramp - black)[shown] / contrast[shown]
    slope, start = np.polyfit(at, place, 1) if np.ptp(at) > 0 else (0.0, 0.0)
    # The median: at a picture's border an interpolation repeats the last pixel.
    if abs(slope) < TOLERANCE or np.median(np.abs(place - start - slope * at)) > TOLERANCE:
        return None
    return float(start), float(start + slope)


def _in_the_manner_of(raw: RawImage, chart: _Chart) -> RawImage:
    """The chart, `(height, width)` in [0, 1], as the same type of image as `raw`."""
    if isinstance(raw, Image.Image):
        grey = Image.fromarray(np.rint(chart * 255).astype(np.uint8))
        return grey.convert(raw.mode if raw.mode in ("L", "RGB", "RGBA") else "RGB")
    is_float = raw.is_floating_point() if isinstance(raw, Tensor) else np.issubdtype(raw.dtype, np.floating)
    values = chart if is_float else np.rint(chart * 255)
    if isinstance(raw, Tensor):
        return torch.from_numpy(values.copy()).to(raw.dtype).expand(raw.shape).clone()
    wide = values if raw.ndim == 2 else values[:, :, None]
    return np.broadcast_to(wide, raw.shape).astype(raw.dtype)
