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
        n, m = pairs[p, 0], pairs[p, 1]
        left, right = vectors[n], vectors[m]
        near = np.float32(0)
        for i in range(dim):
            near += left[i] * right[i]
        pull = rate * (_ONE - _ONE / (_ONE + math.exp(-near)))
        for i in range(dim):
            steps[0, i] = pull * right[i]
            steps[1, i] = pull * left[i]
        for r in range(negatives.shape[1]):
            drawn = negatives[p, r]
            if drawn in (n, m):
                continue
            far = vectors[drawn]
            to_left, to_right = np.float32(0), np.float32(0)
            for i in range(dim):
                to_left += left[i] * far[i]
                to_right += right[i] * far[i]
            push_left = rate / (_ONE + math.exp(-to_left))
            push_right = rate / (_ONE + math.exp(-to_right))
            for i in range(dim):
                steps[0, i] -= push_left * far[i]
                steps[1, i] -= push_right * far[i]
        if not fixed[n]:
            for i in range(dim):
                left[i] += steps[0, i]
        if not fixed[m]:
            for i in range(dim):
                right[i] += steps[1, i]
