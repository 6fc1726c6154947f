"""The compiled loop of neuron embedding, as `functional.kernels` has those of the similarities.

Import this module only where `functional.acceleration.kernels_for` has kernels: it needs numba.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from conceptmon_tb.functional.kernels import Floats, Ints, _kernel

_ONE = np.float32(1)


@_kernel(
    "void(float32[:, ::1], int32[:, ::1], int32[:, ::1], boolean[::1], float32, float32[:, ::1])",
    reorder=True,
)
def descend(  # noqa: C901  # a compiled loop cannot call another
    vectors: Floats,
    pairs: Ints,
    negatives: Ints,
    fixed: npt.NDArray[np.bool_],
    rate: float,
    steps: Floats,
) -> None:
    """One step down J1 (Eq. 7.1) for each pair in turn; `steps` is room for two vectors.

    Both ends of a pair move by the gradients at where they were before; the drawn vectors do not move.
    """
    dim = vectors.shape[1]
    for p in range(pairs.shape[0]):
        for end in range(2):
            own, other = vectors[pairs[p, end]], vectors[pairs[p, 1 - end]]
            dot = np.float32(0)
            for i in range(dim):
                dot += own[i] * other[i]
            pull = rate * (_ONE - _ONE / (_ONE + math.exp(-dot)))
            for i in range(dim):
                steps[end, i] = pull * other[i]
            for r in range(negatives.shape[1]):
                drawn = negatives[p, r]
                if drawn == pairs[p, 0] or drawn == pairs[p, 1]:
                    continue
                far = vectors[drawn]
                dot = np.float32(0)
                for i in range(dim):
                    dot += own[i] * far[i]
                push = rate / (_ONE + math.exp(-dot))
                for i in range(dim):
                    steps[end, i] -= push * far[i]
        for end in range(2):
            if not fixed[pairs[p, end]]:
                for i in range(dim):
                    vectors[pairs[p, end], i] += steps[end, i]
