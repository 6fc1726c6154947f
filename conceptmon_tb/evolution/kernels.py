"""The compiled loop of neuron embedding, as `functional.kernels` has those of the similarities.

Import this module only where `functional.acceleration.kernels_for` has kernels: it needs numba.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba.extending import intrinsic

from conceptmon_tb.evolution.learning import LINE
from conceptmon_tb.functional.kernels import Floats, Ints, _kernel

_ONE = np.float32(1)
_AHEAD = 4  # pairs; 2 to 8 are as fast


def _declare_fetch(_typing: object, _address_type: object) -> tuple[Any, Callable[..., Any]]:
    """Asks for the line of memory at an address, and does not wait for it."""

    def emit(context: Any, builder: Any, _signature: object, arguments: Any) -> Any:
        place, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        declared = ir.FunctionType(ir.VoidType(), [place, number, number, number])
        prefetch = builder.module.declare_intrinsic("llvm.prefetch", [place], declared)
        to_read, keep, data = number(0), number(3), number(1)
        builder.call(prefetch, [builder.inttoptr(arguments[0], place), to_read, keep, data])
        return context.get_dummy_value()

    return numba.types.void(numba.types.uintp), emit


_fetch: Any = intrinsic(_declare_fetch)


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

    Both ends of a pair move by the gradients at where they were before; the drawn vectors do not move. Those
    of later pairs are fetched meanwhile: of many members they are anywhere in memory, and waiting for them
    would take most of the time.
    """
    dim = vectors.shape[1]
    start, width = vectors.ctypes.data, dim * vectors.itemsize
    for p in range(pairs.shape[0]):
        later = p + _AHEAD
        if later < pairs.shape[0]:
            for line in range(0, width, LINE):
                _fetch(start + pairs[later, 0] * width + line)
                _fetch(start + pairs[later, 1] * width + line)
                for r in range(negatives.shape[1]):
                    _fetch(start + negatives[later, r] * width + line)
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
