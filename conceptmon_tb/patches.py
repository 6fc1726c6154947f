"""Where in an image a neuron answers most: one cell of its map, as a box to be drawn on the thumbnail.

Maps are never kept. While the probe streams through the model, only the cell of the largest activation is
noted, one small integer for each image and neuron; boxes are made for the few top images alone.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from conceptmon_tb.functional.acceleration import kernels_for

BOX_UNITS = 255
BEFORE, AFTER = 1.0, 0.5  # cells around the peak's own that belong to its box
SMALLEST_SIDE = 1 / 8
_FLAT = 8  # rounding steps by which the mean of a constant map may differ from its largest value


class View(NamedTuple):
    """The part of a thumbnail that the model's input shows, as fractions of the thumbnail's sides.

    May reach beyond 0..1 (the model sees more than the thumbnail shows), and run backwards (mirrored).
    """

    left: float
    top: float
    right: float
    bottom: float


class Peaks(NamedTuple):
    """The cell of each map with the largest activation.

    Attributes:
        cell: `(images, neurons)` small integers: 1 + row * width + column of the cell, 0 where the map is
            the same everywhere.
        grid: Height and width of the map in cells.
    """

    cell: Tensor
    grid: tuple[int, int]


def find_peaks(maps: Tensor, grid: tuple[int, int]) -> Peaks:
    """Find the largest activation of each map.

    Args:
        maps: `(images, neurons, height * width)` any real dtype.
        grid: Height and width.

    Returns:
        The cells, in the smallest integers that hold them. Of equal activations any one may be taken.
    """
    maps = maps if maps.is_floating_point() else maps.float()
    cells = maps.shape[-1]
    flat = _FLAT * torch.finfo(maps.dtype).eps
    kernels = kernels_for(maps) if maps.dtype == torch.float32 and maps.is_contiguous() else None
    if kernels:
        found = torch.empty(maps.shape[:-1], dtype=torch.int32)
        kernels.largest_cells(maps.detach().view(-1, cells).numpy(), np.float32(flat), found.view(-1).numpy())
    else:
        best, cell = maps.max(dim=-1)
        found = (cell + 1).masked_fill_(best - maps.mean(dim=-1) <= flat * best.abs(), 0)
    dtype = torch.uint8 if cells < 1 << 8 else torch.int16 if cells < 1 << 15 else torch.int32
    return Peaks(found.to(dtype), grid)


def draw_patches(peaks: Peaks, top_images: npt.NDArray[np.int32], view: View) -> npt.NDArray[np.uint8]:
    """Make the boxes of the top images.

    A box is the cell of the largest activation and half a cell around it: where that one activation counts
    when the map is enlarged to the image by bilinear interpolation, as Network Dissection does. So a thing
    of a cell's size that excites this cell most is inside, however it lies to the grid. To the left and
    to the top it is half a cell more: padded convolutions of stride 2 (those of a ResNet) look at the upper
    left corner of what seems to be their cell, patch embeddings and pooling at its middle.

    Theoretical receptive fields would tell nothing: a deep layer's neurons see the whole image. In fine
    maps a box is at least an eighth of the image wide, or it could not be seen.

    Args:
        peaks: Of all probe images.
        top_images: `(neurons, m)` ids of images, -1 for none.
        view: The part of the thumbnail that the maps lie over.

    Returns:
        `(neurons, m, 4)` uint8: left, top, right, bottom in 1/255 of the thumbnail's sides; all zero where
        unknown or outside the thumbnail.

    Source: Network Dissection (Bau et al. 2017), section 2.2, for the enlarged map.
    """
    neurons = torch.arange(len(top_images))[:, None]
    cell = peaks.cell[torch.from_numpy(top_images.clip(min=0)).long(), neurons].numpy().astype(np.int64)
    cell[top_images < 0] = 0
    return draw_boxes(cell, peaks.grid, view)


def draw_boxes(
    cell: npt.NDArray[np.integer[Any]], grid: tuple[int, int], view: View
) -> npt.NDArray[np.uint8]:
    """Make the boxes of single cells; see `draw_patches`.

    Args:
        cell: `(...)` integers as in `Peaks`: 1 + row * width + column, 0 for none.
        grid: Height and width of the map in cells.
        view: The part of the thumbnail that the maps lie over.

    Returns:
        `(..., 4)` uint8 as `draw_patches` gives them.
    """
    height, width = grid
    row, column = np.divmod(cell.astype(np.int64) - 1, width)
    left, right = _span(column, width, view.left, view.right)
    top, bottom = _span(row, height, view.top, view.bottom)
    known = (cell > 0) & (left < right) & (top < bottom)
    box: npt.NDArray[np.uint8] = np.stack([left, top, right, bottom], axis=-1).astype(np.uint8)
    box[~known] = 0
    return box


def _span(
    index: npt.NDArray[np.int64], cells: int, start: float, end: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """From the number of a cell to where its box begins and ends on the thumbnail, outwards to 1/255."""
    centre = (index + (1 + AFTER - BEFORE) / 2) / cells
    reach = max((1 + AFTER + BEFORE) / cells, SMALLEST_SIDE) / 2
    sides = np.clip(centre - reach, 0, 1 - SMALLEST_SIDE), np.clip(centre + reach, SMALLEST_SIDE, 1)
    ends = [start + (end - start) * side for side in sides]
    inside = np.clip(np.round(np.sort(ends, axis=0) * BOX_UNITS, 3), 0, BOX_UNITS)
    return np.floor(inside[0]), np.ceil(inside[1])
