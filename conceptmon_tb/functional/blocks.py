"""Matrices a few columns at a time, in float32: casts and selections never cover all of them."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

BLOCK_BYTES = 1 << 22
"""Size of a block of columns in float32."""

CACHE_BYTES = 1 << 30
"""Largest table that a concept side keeps between epochs; what is larger is made anew, block by block."""


def column_blocks(
    matrix: Tensor,
    columns: Tensor | None = None,
    *,
    at_least: int = 64,
    views: bool = False,
    block_bytes: int = BLOCK_BYTES,
) -> Iterator[tuple[slice, Tensor]]:
    """Float32 blocks of columns, views of the matrix where possible.

    Args:
        matrix: `(images, columns)` any real dtype.
        columns: `(chosen,)` int64 columns to take in this order; None for all.
        at_least: Fewest columns of a block, the last one aside.
        views: Whether one block of all columns will do where that is no copy.
        block_bytes: Size of a block in float32, unless that is less than `at_least` columns.

    Yields:
        Which of the chosen columns these are, and `(images, block)` float32.
    """
    images, count = matrix.shape[0], matrix.shape[1] if columns is None else columns.shape[0]
    width = max(at_least, block_bytes // (4 * images))
    if views and columns is None and matrix.dtype == torch.float32:
        width = max(1, count)
    for start in range(0, count, width):
        part = slice(start, min(start + width, count))
        block = matrix[:, part] if columns is None else matrix.index_select(1, columns[part])
        yield part, block.float()


def chosen_columns(valid: Tensor) -> Tensor | None:
    """Indices of valid neurons, None when all are.

    Args:
        valid: `(neurons,)` bool.

    Returns:
        `(valid neurons,)` int64, or None.
    """
    return None if bool(valid.all()) else valid.nonzero().squeeze(1)
