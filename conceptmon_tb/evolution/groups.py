"""Groups of alike neurons: K-means on directions, deterministic by seed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from conceptmon_tb.snapshot import FloatArray, IntArray

_MOST_ROUNDS = 25  # those of a few thousand neurons need fewer; more bring 20,000 of them 0.5% nearer


class Groups(NamedTuple):
    """Which neurons are alike.

    Attributes:
        label: `(neurons,)` int32 from 0, the largest group first.
        centre: `(groups, dim)` float32, unit length: the direction of each group's mean.
    """

    label: IntArray
    centre: FloatArray


def group_neurons(vectors: FloatArray, num_groups: int, seed: int = 0) -> Groups:
    """Group vectors by direction (spherical K-means, first centres as in K-means++).

    Args:
        vectors: `(neurons, dim)` float32, none of them zero.
        num_groups: How many at most; groups that run empty are dropped.
        seed: Of the first centres.

    Returns:
        The groups.

    Raises:
        ValueError: There are no vectors, one of them is zero or not finite, or `num_groups` is not positive.

    Example:
        >>> group_neurons(np.array([[1, 0], [0, 1], [2, 0.1], [1, 0.1]], np.float32), 2).label.tolist()
        [0, 1, 0, 0]
    """
    length = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    if num_groups < 1 or not len(vectors) or not (np.isfinite(length) & (length > 0)).all():
        raise ValueError(
            f"vectors must be finite and not zero, at least one, and num_groups at least 1, got "
            f"{vectors.shape} and {num_groups}"
        )
    rows = vectors / length
    centre = _first_centres(rows, min(num_groups, len(rows)), np.random.Generator(np.random.PCG64(seed)))
    label = np.full(len(rows), -1)
    for _ in range(_MOST_ROUNDS):
        now = (rows @ centre.T).argmax(axis=1)
        if (now == label).all():
            break
        label = now
        total = np.stack([np.bincount(label, column, len(centre)) for column in rows.T], axis=1)
        length = np.linalg.norm(total, axis=1, keepdims=True)
        centre = np.divide(total, length, out=centre.copy(), where=length > 0)
    counts = np.bincount(label, minlength=len(centre))
    order = np.argsort(-counts, kind="stable")[: int((counts > 0).sum())]
    rank = np.empty(len(centre), np.int32)
    rank[order] = np.arange(len(order))
    return Groups(rank[label], centre[order].astype(np.float32))


def _first_centres(
    rows: npt.NDArray[np.float64], num_groups: int, random: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Rows far from each other: each drawn with a chance that grows with its distance to those before."""
    chosen = [int(random.integers(len(rows)))]
    away = (1 - rows @ rows[chosen[0]]).clip(min=0)
    while len(chosen) < num_groups:
        total = np.cumsum(away)
        drawn = int(np.searchsorted(total, random.random() * total[-1], side="right"))
        chosen.append(min(drawn, len(rows) - 1))
        away = np.minimum(away, (1 - rows @ rows[chosen[-1]]).clip(min=0))
    centres: npt.NDArray[np.float64] = rows[chosen]
    return centres
