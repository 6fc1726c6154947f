"""Vectors that lie close where their owners are co-activated: negative sampling (Step 1.3, Eq. 7.1-7.3).

The derivatives as printed (Eq. 7.2, 7.3, A.4, A.5) are those of the *negative* objective: a step against them
climbs. The steps here go down J1 (the tests compare them with finite differences of it). As in the published
code the drawn vectors do not move, only the two of the pair. A vector drawn for a pair that it belongs to
tells nothing, and is left out.
"""

from __future__ import annotations

import math
from types import ModuleType
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from tqdm.auto import tqdm

from conceptmon_tb.evolution.co_activation import CoActivation
from conceptmon_tb.functional.acceleration import kernels_for
from conceptmon_tb.snapshot import BoolArray, FloatArray, IntArray

DIM = 30
NUM_NEGATIVES = 3
RATE = 0.05
REPEATS = 30
"""E of the paper, which does not tell it; more is no better (docs/evolution_performance.md)."""

LINE = 64
"""Bytes that the processor fetches at once; also its widest register."""

_PAIRS_AT_ONCE = 32  # without kernels: few, so that hardly two of them share a vector
_PAIRS_IN_LOSS = 1 << 16


class Learned(NamedTuple):
    """What was learned.

    Attributes:
        vectors: `(members, dim)` float32; 0 where not `placed`.
        placed: `(members,)` bool; False for members that nothing places: they share no group with another
            one, or none, over any number of steps, with a fixed one.
    """

    vectors: FloatArray
    placed: BoolArray


def learn_embedding(
    together: CoActivation,
    *,
    dim: int = DIM,
    num_negatives: int = NUM_NEGATIVES,
    repeats: int = REPEATS,
    rate: float = RATE,
    seed: int = 0,
    start: FloatArray | None = None,
    fixed: BoolArray | None = None,
    progress: bool = False,
    title: str = "Embedding neurons",
) -> Learned:
    """Embed members so that co-activated ones have large inner products, and random ones small ones.

    Pairs are drawn anew for each repeat and used once. The same seed gives the same vectors, on any number
    of threads.

    Args:
        together: Who shares groups.
        dim: Dimensions.
        num_negatives: R, members drawn at random for each pair.
        repeats: E, passes of shuffled sliding windows.
        rate: Learning rate of gradient descent.
        seed: Of pairs, negatives and the random start.
        start: `(members, dim)` vectors of the fixed members; the rows of others are not used.
        fixed: `(members,)` bool, members that do not move.
        progress: Show a progress bar.
        title: What the bar says.

    Returns:
        The vectors, and which members have one.

    Raises:
        ValueError: An argument out of range, or `start` and `fixed` do not fit.

    Source: ConceptEvo, dissertation section 7.2.2, Step 1.3, and Algorithm 1.

    Example:
        >>> stimuli = np.array([[0, 1], [0, 1], [2, 3], [2, 3]])
        >>> vectors, _ = learn_embedding(CoActivation(stimuli))
        >>> alike = vectors @ vectors.T
        >>> bool(alike[0, 1] > alike[0, 2]), bool(alike[2, 3] > alike[2, 1])
        (True, True)
    """
    for name, value, least in (("dim", dim, 1), ("num_negatives", num_negatives, 0), ("repeats", repeats, 0)):
        if value < least:
            raise ValueError(f"{name} must be at least {least}, got {value}")
    if not 0 < rate < math.inf:
        raise ValueError(f"rate must be positive and finite, got {rate}")
    random = np.random.Generator(np.random.PCG64(seed))
    members = together.num_members
    vectors = _zero_rows(members, dim)
    vectors[:, :dim] = random.standard_normal((members, dim)) / math.sqrt(dim)
    placed, still = together.has_partner, np.zeros(members, dtype=bool)
    if fixed is not None:
        if start is None or start.shape != (members, dim) or fixed.shape != (members,):
            raise ValueError(
                f"start must be {(members, dim)} and fixed ({members},), got "
                f"{None if start is None else start.shape} and {fixed.shape}"
            )
        still = np.array(fixed, dtype=bool)
        vectors[still, :dim] = start[still]
        placed = together.reached_from(still)
    candidates = np.flatnonzero(placed).astype(np.int32)
    kernels = _load_kernels()
    for _ in tqdm(range(repeats if len(candidates) else 0), title, disable=not progress):
        pairs = together.sample_pairs(random)
        drawn = candidates[random.integers(0, len(candidates), (len(pairs), num_negatives))]
        if kernels is not None:
            room = np.empty((2, vectors.shape[1]), np.float32)
            kernels.descend(vectors, pairs, drawn, still, np.float32(rate), room)
        else:
            _descend(vectors, pairs, drawn, still, rate)
    vectors[~placed] = 0
    return Learned(np.ascontiguousarray(vectors[:, :dim]), placed)


def co_activation_loss(vectors: FloatArray, pairs: IntArray, negatives: IntArray) -> float:
    """J1 for given pairs and negatives (Eq. 7.1), per pair.

    Args:
        vectors: `(members, dim)` float32.
        pairs: `(pairs, 2)` int32, at least one.
        negatives: `(pairs, R)` int32 members drawn for each; one that is in the pair does not count.

    Returns:
        The mean over pairs.
    """
    total = 0.0
    for first in range(0, len(pairs), _PAIRS_IN_LOSS):
        part = slice(first, first + _PAIRS_IN_LOSS)
        ends = vectors[pairs[part]].astype(np.float64)
        far = vectors[negatives[part]].astype(np.float64)
        counts = _counts(pairs[part], negatives[part])
        near = np.einsum("pd,pd->p", ends[:, 0], ends[:, 1])
        away = np.einsum("ped,prd->per", ends, far)
        total += float(np.logaddexp(0, -near).sum())  # -log sigma(x)
        total += float((np.logaddexp(0, away) * counts[:, None, :]).sum())  # -log(1 - sigma(x))
    return total / len(pairs)


def _zero_rows(members: int, dim: int) -> FloatArray:
    """Rows that are filled up with zeros, which stay zeros, to whole lines of memory, and begin with one."""
    lanes = LINE // np.dtype(np.float32).itemsize
    width = -(-dim // lanes) * lanes
    room = np.zeros(members * width + lanes, np.float32)
    first = -room.ctypes.data % LINE // room.itemsize
    return room[first : first + members * width].reshape(members, width)


def _descend(vectors: FloatArray, pairs: IntArray, drawn: IntArray, still: BoolArray, rate: float) -> None:
    """What the kernel does, a few pairs at once, each from where all of them began."""
    for first in range(0, len(pairs), _PAIRS_AT_ONCE):
        part = slice(first, first + _PAIRS_AT_ONCE)
        both, far = pairs[part], vectors[drawn[part]]
        ends = vectors[both]
        near = np.einsum("pd,pd->p", ends[:, 0], ends[:, 1])
        away = np.einsum("ped,prd->per", ends, far)
        pull = 1 - _sigmoid(near)
        push = _sigmoid(away) * _counts(both, drawn[part])[:, None, :]
        step = pull[:, None, None] * ends[:, ::-1] - np.einsum("per,prd->ped", push, far)
        step[still[both]] = 0
        np.add.at(vectors, both, np.float32(rate) * step)


def _counts(pairs: IntArray, negatives: IntArray) -> BoolArray:
    counts: BoolArray = (negatives[:, None, :] != pairs[:, :, None]).all(axis=1)
    return counts


def _sigmoid(x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    with np.errstate(over="ignore"):
        value: npt.NDArray[np.float32] = np.reciprocal(1 + np.exp(-x))
    return value


def _load_kernels() -> ModuleType | None:
    if kernels_for(torch.empty(0)) is None:
        return None
    from conceptmon_tb.evolution import kernels

    return kernels
