"""Orders of images: the most activating ones, and random ones, both with one fixed rule for ties.

A neuron that fires on fewer than k images has many equal activations. `torch.topk` picks among them
as its algorithm happens to; here the image that comes first in the probe set wins. Value and place are
packed into one integer key, which is unique, so that any sort gives this order. On the CPU, NumPy's
vectorised integer sort is about ten times faster than torch's.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from conceptmon_tb.functional.health import check_matrix

_LOW_BITS = (1 << 32) - 1


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
    keys = _largest(_ordered_integers(rows).bitwise_left_shift(32).bitwise_or(place), k)
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
    keys = sort_rows(_ordered_integers(rows).bitwise_left_shift(32).bitwise_or(place))
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


def _largest(keys: Tensor, k: int) -> Tensor:
    """The k largest keys of every row, descending."""
    if keys.device.type != "cpu":
        return keys.topk(k, dim=1).values
    images = keys.shape[1]
    chosen = np.partition(keys.contiguous().numpy(), images - k, axis=1)[:, images - k :]
    return torch.from_numpy(np.sort(chosen, axis=1)[:, ::-1].copy())


def _ordered_integers(values: Tensor) -> Tensor:
    """Int64 that order as the float32 values do; both zeros are equal, NaN is below everything."""
    bits = (values + 0.0).contiguous().view(torch.int32)  # -0.0 + 0.0 is 0.0
    ordered = torch.where(bits < 0, bits ^ 0x7FFFFFFF, bits)
    return torch.where(values.isnan(), torch.iinfo(torch.int32).min, ordered).to(torch.int64)
