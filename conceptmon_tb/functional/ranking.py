"""Orders of images: the most activating ones, and random ones, both with one fixed rule for ties.

A neuron that fires on fewer than k images has many equal activations. `torch.topk` picks among them
as its algorithm happens to; here the image that comes first in the probe set wins. Value and place are
packed into one integer key, which is unique, so that any sort gives this order. On the CPU, NumPy's
vectorised integer sort is about ten times faster than torch's.
"""

from __future__ import annotations

import sys

import numpy as np
import torch
from torch import Tensor

from conceptmon_tb.functional.health import check_matrix

_LOW_BITS = (1 << 32) - 1
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
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    rows = check_matrix("activations", activations).detach().T
    images = rows.shape[1]
    k = min(k, images)
    place = torch.arange(images - 1, -1, -1, device=rows.device)
    keys = largest(_keys(rows, place), k, overwrite=True)
    return (images - 1) - keys.bitwise_and(_LOW_BITS)


def image_ranks(columns: Tensor) -> Tensor:
    """The place of every image in the ascending order of each column.

    Args:
        columns: `(images, columns)` float32, finite.

    Returns:
        `(columns, images)` int64 ranks from 0; equal values are ranked by image index.
    """
    rows = columns.detach().T
    place = torch.arange(rows.shape[1], device=rows.device)
    keys = sort_rows(_keys(rows, place))
    order = keys.bitwise_and(_LOW_BITS)
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
