"""Orders of images: the most activating ones, and random ones, both with one fixed rule for ties.

A neuron that fires on fewer than k images has many equal activations. `torch.topk` picks among them
as its algorithm happens to; here the image that comes first in the probe set wins. Value and place are
packed into one integer key, which is unique, so that any sort gives this order. On the CPU, NumPy's
vectorised integer sort and partition are about ten times faster than torch's.
"""

from __future__ import annotations

import math
import sys
from types import ModuleType

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from conceptmon_tb.functional.acceleration import in_threads, kernels_for
from conceptmon_tb.functional.blocks import chosen_columns, column_blocks
from conceptmon_tb.functional.health import check_matrix, health_of_range, valid_neurons

_LOW_BITS = (1 << 32) - 1
_NO_KEY = np.iinfo(np.int64).min
_ROWS_IN_TASK = 16
_COLUMNS_IN_SCAN = 2048
_FEWEST_IN_SCAN = 64
_COLUMNS_IN_CACHE = 128  # of the sample
_COLUMNS_TO_SORT = 64  # together, alike in number of candidates: little is added to make them equal
_IMAGES_IN_SAMPLE = (512, 4096)  # a twentieth of all, within these limits
_IMAGES_FOR_EACH = 16  # images for each one of the top: with fewer, sorting keys is faster
_UPPER_HALF = 1 if sys.byteorder == "little" else 0


def top_images(activations: Tensor, k: int) -> Tensor:
    """The images that activate each neuron most.

    Args:
        activations: `(images, neurons)` any real dtype. NaN counts as the smallest value.
        k: How many images; clamped to the number of images.

    Returns:
        `(neurons, min(k, images))` int64 image indices, most activating first; equal activations are
        ordered by image index.

    Raises:
        ValueError: `k` is not positive, or `activations` is not a matrix.

    Example:
        >>> top_images(torch.tensor([[0.0], [2.0], [0.0], [5.0]]), 3).tolist()
        [[3, 1, 0]]
    """
    return top_activations(activations, k)[1]


def top_activations(
    activations: Tensor, k: int, neurons: Tensor | None = None, *, dtype: torch.dtype = torch.int64
) -> tuple[Tensor, Tensor]:
    """The largest activations of each neuron and their images, in the order of `top_images`.

    Args:
        activations: `(images, neurons)` any real dtype.
        k: How many; clamped to the number of images.
        neurons: `(chosen,)` int64 neurons to look at; None for all.
        dtype: Of the image indices.

    Returns:
        `(chosen, min(k, images))` float32 activations, and image indices.

    Raises:
        ValueError: `k` is not positive, or `activations` is not a matrix.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    matrix = check_matrix("activations", activations, keep_dtype=True).detach()
    images = matrix.shape[0]
    count = matrix.shape[1] if neurons is None else neurons.shape[0]
    places = torch.empty((count, min(k, images)), dtype=dtype, device=matrix.device)
    values = torch.empty(places.shape, dtype=torch.float32, device=matrix.device)
    for part, block in column_blocks(matrix, neurons, views=True):
        _choose_largest(block, values[part], places[part])
        del block  # before the next one is made
    return values, places


def top_of_valid(
    activations: Tensor, k: int, *, dtype: torch.dtype = torch.int64
) -> tuple[Tensor, Tensor, Tensor]:
    """The top activations of those neurons that are valid, and which are.

    Args:
        activations: `(images, neurons)` any real dtype.
        k: How many; clamped to the number of images.
        dtype: Of the image indices.

    Returns:
        `(valid neurons, min(k, images))` float32 activations, image indices, and `(neurons,)` bool.
    """
    matrix = activations.detach()
    kernels = kernels_for(matrix)
    if kernels is None or not _can_scan(matrix, k):
        valid = valid_neurons(matrix).valid
        return *top_activations(matrix, k, chosen_columns(valid), dtype=dtype), valid
    values, places, low = _scan(kernels, matrix, k, dtype)
    valid = health_of_range(low, values[:, 0]).valid  # those that vary among some images vary among all
    constant = (low.isfinite() & ~valid).nonzero().squeeze(1)
    for part, block in column_blocks(matrix, constant):
        valid[constant[part]] = valid_neurons(block).valid
    return (values, places, valid) if bool(valid.all()) else (values[valid], places[valid], valid)


def image_orders(columns: Tensor) -> Tensor:
    """The images in ascending order of each column.

    Args:
        columns: `(images, columns)` float32, finite.

    Returns:
        `(columns, images)` int32 image indices; equal values are ordered by image index.
    """
    orders = torch.empty(columns.T.shape, dtype=torch.int32, device=columns.device)
    kernels = kernels_for(columns)
    if kernels is None:
        place = torch.arange(columns.shape[0], device=columns.device)
        keys = _keys(columns.detach().T, place).sort(dim=1).values
        return orders.copy_(keys.bitwise_and_(_LOW_BITS))
    source, out = columns.detach().numpy(), orders.numpy()

    def sort(part: slice) -> None:
        keys = _compiled_keys(kernels, source[:, part], descending=False)
        keys.sort(axis=1)
        np.bitwise_and(keys, _LOW_BITS, out=out[part], casting="unsafe")

    in_threads(sort, columns.shape[1], _ROWS_IN_TASK)
    return orders


def image_ranks(columns: Tensor) -> Tensor:
    """The place of every image in the ascending order of each column.

    Args:
        columns: `(images, columns)` float32, finite.

    Returns:
        `(columns, images)` int64 ranks from 0; equal values are ranked by image index.
    """
    order = image_orders(columns).long()
    place = torch.arange(order.shape[1], device=order.device)
    return torch.empty_like(order).scatter_(1, order, place.expand_as(order))


def random_orders(num_orders: int, images: int, generator: torch.Generator) -> Tensor:
    """Independent random permutations of the images, one per row.

    Args:
        num_orders: Number of permutations.
        images: Number of images.
        generator: Source of randomness, on the CPU; the global one is not touched.

    Returns:
        `(num_orders, images)` int64 on the CPU.
    """
    draw = torch.randint(0, 1 << 31, (num_orders, images), generator=generator)
    return sort_rows((draw << 32) | torch.arange(images)).bitwise_and(_LOW_BITS)


def sort_rows(keys: Tensor) -> Tensor:
    """Sort every row of an integer matrix in ascending order.

    Args:
        keys: `(rows, columns)` or more leading axes, int32 or int64; may be overwritten.

    Returns:
        The sorted keys, of the same shape and dtype.
    """
    if keys.device.type != "cpu":
        return keys.sort(dim=-1).values
    keys = keys.contiguous()
    keys.numpy().sort(axis=-1)
    return keys


def largest(rows: Tensor, k: int, *, overwrite: bool = False) -> Tensor:
    """The k largest values of every row, descending.

    Args:
        rows: `(rows, columns)` integers, or float32 without NaN.
        k: How many, at most `columns`.
        overwrite: Whether `rows` is not needed any more.

    Returns:
        `(rows, k)` of the same dtype.
    """
    if rows.device.type != "cpu":
        return rows.topk(k, dim=1).values
    columns = rows.shape[1]
    values = rows.contiguous().numpy() if overwrite else np.array(rows.numpy(), order="C")
    values.partition(columns - k, axis=1)
    chosen = values[:, columns - k :]
    return torch.from_numpy(np.sort(chosen, axis=1)[:, ::-1].copy())


def _choose_largest(block: Tensor, values: Tensor, places: Tensor) -> None:
    """The largest values of every column of `(images, columns)`, descending, into two `(columns, k)`."""
    images, k = block.shape[0], values.shape[1]
    kernels = kernels_for(block)
    if kernels is None:
        place = torch.arange(images - 1, -1, -1, device=block.device)
        largest = _keys(block.T, place).topk(k, dim=1).values
        torch.sub(images - 1, largest.bitwise_and(_LOW_BITS), out=places)
        ordered = (largest >> 32).int()
        values.copy_(torch.where(ordered < 0, ordered ^ 0x7FFFFFFF, ordered).view(torch.float32))
        return
    if _can_scan(block, k):
        found_values, found_places, _ = _scan(kernels, block, k)
        values.copy_(found_values)
        places.copy_(found_places)
        return
    source, found, at = block.numpy(), values.numpy(), places.numpy()

    def choose(part: slice) -> None:
        keys = _compiled_keys(kernels, source[:, part], descending=True)
        keys.partition(images - k, axis=1)
        largest = np.sort(keys[:, images - k :], axis=1)[:, ::-1]
        np.subtract(images - 1, largest & _LOW_BITS, out=at[part])
        found[part] = _values(largest)

    in_threads(choose, block.shape[1], _ROWS_IN_TASK)


def _can_scan(matrix: Tensor, k: int) -> bool:
    """Whether one pass by rows is the fast way: few images of many, stored by rows."""
    return (
        matrix.dtype == torch.float32
        and matrix.is_contiguous()
        and matrix.shape[1] > 1
        and matrix.shape[0] >= _IMAGES_FOR_EACH * k
    )


def _scan(
    kernels: ModuleType, matrix: Tensor, k: int, dtype: torch.dtype = torch.int64
) -> tuple[Tensor, Tensor, Tensor]:
    """Top activations of every column, their images, and a small activation, NaN where one is not finite.

    A sample of the images gives each column a threshold that a few more than k activations exceed; these
    are collected in one pass. Where that fails, be it by chance or because many activations are equal, the
    column is looked at again: the sample decides how long this takes, never what is found.
    """
    images, columns = matrix.shape
    values, places = matrix.new_empty((columns, k)), matrix.new_empty((columns, k), dtype=dtype)
    low = matrix.new_empty(columns)
    source, found, at, lows = matrix.numpy(), values.numpy(), places.numpy(), low.numpy()
    sample, rank, room = _sample(images, k)

    def scan(part: slice) -> None:
        count = part.stop - part.start
        threshold = np.empty(count, np.float32)
        for start in range(0, count, _COLUMNS_IN_CACHE):
            inside = slice(part.start + start, min(part.start + start + _COLUMNS_IN_CACHE, part.stop))
            drawn = np.empty((inside.stop - inside.start, len(sample)), np.float32)
            kernels.take_columns(source, sample, inside.start, drawn)
            lows[inside] = drawn.min(axis=1)
            drawn.partition(len(sample) - rank, axis=1)
            threshold[start : start + _COLUMNS_IN_CACHE] = drawn[:, len(sample) - rank]
        spoiled, filled = np.zeros(count, np.float32), np.zeros(count, np.int32)
        candidates = np.empty((count, room), np.int64)
        kernels.scan_columns(source, part.start, part.stop, threshold, spoiled, filled, candidates)
        waiting = np.flatnonzero(filled < k).astype(np.int32)
        kernels.take_equal(source, part.start, waiting, threshold, k, filled, candidates)
        failed = np.flatnonzero((filled < k) | (filled == room - 1))
        for start in range(0, len(failed), _ROWS_IN_TASK):
            some = failed[start : start + _ROWS_IN_TASK]
            keys = _compiled_keys(kernels, source[:, part.start + some], descending=True)
            keys.partition(images - k, axis=1)
            candidates[some, :k] = keys[:, images - k :]
            filled[some] = k
        by_number = np.argsort(filled)
        for start in range(0, count, _COLUMNS_TO_SORT):
            some = by_number[start : start + _COLUMNS_TO_SORT]
            width = int(filled[some[-1]])
            keys = candidates[some, :width]
            kernels.close_rows(keys, filled[some], width, _NO_KEY)
            keys.partition(width - k, axis=1)
            largest = np.sort(keys[:, width - k :], axis=1)[:, ::-1]
            chosen = part.start + some
            at[chosen] = images - 1 - (largest & _LOW_BITS)
            found[chosen] = _values(largest)
        lows[part] += spoiled

    threads = torch.get_num_threads()
    in_threads(scan, columns, max(_FEWEST_IN_SCAN, min(_COLUMNS_IN_SCAN, -(-columns // threads))))
    return values, places, low


def _sample(images: int, k: int) -> tuple[npt.NDArray[np.int64], int, int]:
    """Images to draw thresholds from, the rank of the threshold in the sample, and room for candidates.

    Of the top k, a Poisson number is in the sample: with a margin of 3.5 standard deviations the threshold is
    below all of them in most columns. The images are drawn, one from each of as many equal stretches, for
    those of a probe set may be in some regular order.
    """
    few, many = _IMAGES_IN_SAMPLE
    count = min(images, many, max(few, images // 20))
    edges = np.arange(count + 1) * images // count
    drawn = np.random.default_rng(0).integers(edges[:-1], edges[1:])
    expected = k * count / images
    rank = min(count, math.ceil(expected + 3.5 * math.sqrt(expected) + 2))
    room = math.ceil((rank + 6 * math.sqrt(rank) + 6) * images / count)
    return drawn, rank, min(images, max(room, k)) + 1


def _values(keys: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """The values that keys were made of."""
    ordered = (keys >> 32).astype(np.int32)
    values: npt.NDArray[np.float32] = np.where(ordered < 0, ordered ^ 0x7FFFFFFF, ordered).view(np.float32)
    return values


def _compiled_keys(
    kernels: ModuleType, columns: npt.NDArray[np.float32], *, descending: bool
) -> npt.NDArray[np.int64]:
    rows = columns.T
    if not rows.flags.c_contiguous:
        rows = np.empty(columns.T.shape, np.float32)
        kernels.transpose(columns, rows)
    keys = np.empty(rows.shape, np.int64)
    kernels.sort_keys(rows, descending, keys)
    return keys


def _keys(values: Tensor, place: Tensor) -> Tensor:
    """Int64 of value (upper half) and place (lower half), `(rows, columns)`, contiguous."""
    halves = values.new_empty((*values.shape, 2), dtype=torch.int32)
    halves[..., _UPPER_HALF] = _ordered_integers(values)
    halves[..., 1 - _UPPER_HALF] = place
    return halves.view(torch.int64).squeeze(-1)


def _ordered_integers(values: Tensor) -> Tensor:
    """Int32 that order as the float32 values do; both zeros are equal, NaN is below everything."""
    bits = (values + 0.0).contiguous().view(torch.int32)  # -0.0 + 0.0 is 0.0
    if values.numel() == 0 or bool(values.amin() >= 0):  # NaN would pass on to the minimum
        return bits
    ordered = bits ^ (bits >> 31 & 0x7FFFFFFF)
    return ordered.masked_fill_(values.isnan(), torch.iinfo(torch.int32).min)
