"""Compiled loops of the similarities on the CPU.

Import this module only through `acceleration.kernels_for`: it needs numba, which takes a while to import.
Each kernel works on its own part of the result, in a fixed order, and does not hold Python's lock, so that
the same numbers come out on any number of threads. What each computes is named with its formula; the torch
code beside each call computes the same on other devices.
"""

from __future__ import annotations

import functools
import math
import threading
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]
Counts = npt.NDArray[np.uint32]
Keys = npt.NDArray[np.int64]

TILE = 64
"""Concepts of one table of likelihoods: of 10,000 images it stays in the processor's second cache."""

_BITS_OF_ROOT_HALF = np.int32(0x3F3504F3)
_LOG_2_HIGH, _LOG_2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)
_THIRD, _FIFTH, _SEVENTH, _NINTH = (np.float32(1 / odd) for odd in (3, 5, 7, 9))
_LOWEST = np.finfo(np.float32).min
_BYTES = np.uint64(0x0101010101010101)
_REORDER = {"reassoc", "contract", "nsz", "arcp"}  # lets sums run in several lanes; NaN stays NaN
_COMPILING = threading.Lock()
_Loop = TypeVar("_Loop", bound=Callable[..., Any])


def _kernel(signature: str, *, reorder: bool = False) -> Callable[[_Loop], _Loop]:
    """Compile when first called, and keep the machine code on disk where that can be written."""

    def declare(function: _Loop) -> _Loop:
        @functools.cache
        def compiled() -> _Loop:
            options: dict[str, Any] = {"nogil": True, "fastmath": _REORDER if reorder else False}
            options["error_model"] = "numpy"  # a test for zero would keep divisions from running in lanes
            try:
                return cast("_Loop", numba.njit(signature, cache=True, **options)(function))
            except (OSError, RuntimeError, EOFError):  # no folder to write to, or a damaged file in it
                return cast("_Loop", numba.njit(signature, **options)(function))

        @functools.wraps(function)
        def call(*arguments: object) -> object:
            with _COMPILING:
                run = compiled()
            return run(*arguments)

        return cast("_Loop", call)

    return declare


@_kernel("void(float32[:, :], float32[:, ::1])")
def transpose(source: Floats, out: Floats) -> None:
    """`out[j, i] = source[i, j]` in tiles that stay in the cache."""
    rows, columns = source.shape
    for top in range(0, rows, 16):
        for left in range(0, columns, 16):
            for j in range(left, min(left + 16, columns)):
                for i in range(top, min(top + 16, rows)):
                    out[j, i] = source[i, j]


@_kernel("void(float32[:, ::1], int64[::1], int64, float32[:, ::1])")
def take_columns(source: Floats, rows: Keys, first: int, out: Floats) -> None:
    """`out[j, i] = source[rows[i], first + j]`, likewise."""
    columns, count = out.shape
    for top in range(0, count, 16):
        for left in range(0, columns, 16):
            for i in range(top, min(top + 16, count)):
                row = source[rows[i]]
                for j in range(left, min(left + 16, columns)):
                    out[j, i] = row[first + j]


@_kernel("void(int64[:, ::1], int32[::1], int64, int64)")
def close_rows(candidates: Keys, filled: Ints, width: int, key: int) -> None:
    """Put a key into the places of each row from the filled ones to the width."""
    for n in range(len(filled)):
        for at in range(filled[n], width):
            candidates[n, at] = key


@_kernel("void(float32[:, ::1], boolean, int64[:, ::1])")
def sort_keys(rows: Floats, descending: bool, keys: Keys) -> None:
    """Unique integers that order as (value, image) do, for each of `(rows, images)` values.

    The upper half is the value's bits, made to order as floats do, NaN below everything and both zeros
    equal; the lower half is the image, counted from the end if `descending`, so that among equal values
    the first image has the largest key.
    """
    images = rows.shape[1]
    for n in range(rows.shape[0]):
        bits = rows[n].view(np.int32)
        for i in range(images):
            value = rows[n, i]
            ordered = np.int64(bits[i] ^ ((bits[i] >> 31) & np.int32(0x7FFFFFFF)))
            ordered = np.int64(0) if value == 0 else ordered
            ordered = np.int64(-(1 << 31)) if value != value else ordered
            keys[n, i] = (ordered << 32) | (images - 1 - i if descending else i)


@_kernel("void(float32[:, ::1], int64, int64, float32[::1], float32[::1], int32[::1], int64[:, ::1])")
def scan_columns(
    source: Floats,
    first: int,
    last: int,
    threshold: Floats,
    spoiled: Floats,
    filled: Ints,
    candidates: Keys,
) -> None:
    """Collect the values above a threshold of each column from `first` to `last`, with one pass by rows.

    A column whose candidates fill all places but one collects no more.

    Args:
        source: `(images, all columns)`.
        first: First column.
        last: Column after the last.
        threshold: `(columns,)`.
        spoiled: `(columns,)` 0; becomes NaN where a value is NaN or infinite.
        filled: `(columns,)` number of candidates so far.
        candidates: `(columns, room)` keys as of `sort_keys`, descending; the place after the last one is
            overwritten.
    """
    images, columns, last_place = source.shape[0], last - first, candidates.shape[1] - 1
    seen = np.zeros(-(-columns // 8) * 8, np.uint8)
    eights = seen.view(np.uint64)
    some = np.empty(len(eights), np.int32)
    zero = np.float32(0)
    for top in range(0, images, 4):  # four rows at once: their comparisons leave one mark
        end = min(top + 4, images)
        p, q = source[top, first:last], source[min(top + 1, end - 1), first:last]
        u, v = source[min(top + 2, end - 1), first:last], source[end - 1, first:last]
        for j in range(columns):
            bound = threshold[j]
            not_above = (p[j] <= bound) & (q[j] <= bound) & (u[j] <= bound) & (v[j] <= bound)
            finite = (p[j] >= _LOWEST) & (q[j] >= _LOWEST) & (u[j] >= _LOWEST) & (v[j] >= _LOWEST)
            seen[j] = not (not_above & finite)
        count = 0  # most columns have nothing to collect: they are passed over by eights, without a branch
        for eight in range(len(eights)):
            some[count] = eight
            count += eights[eight] != 0
        for at in range(count):
            flags = eights[some[at]]
            while flags != 0:
                others = flags & (flags - np.uint64(1))
                lane = ((((flags ^ others) - np.uint64(1)) & _BYTES) * _BYTES) >> np.uint64(
                    56
                )  # of the first
                flags = others
                j = 8 * some[at] + np.int64(lane)
                place, unless_finite = filled[j], zero
                for i in range(top, end):  # each is written and kept by moving on: again without a branch
                    value = source[i, first + j] + zero  # -0.0 + 0.0 is 0.0
                    unless_finite += value * zero
                    bits = np.float32(value).view(np.int32)
                    ordered = np.int64(bits ^ ((bits >> 31) & np.int32(0x7FFFFFFF)))
                    candidates[j, place] = (ordered << 32) | (images - 1 - i)
                    place = min(place + (value > threshold[j]), last_place)
                filled[j] = place
                spoiled[j] += unless_finite


@_kernel("void(float32[:, ::1], int64, int32[::1], float32[::1], int64, int32[::1], int64[:, ::1])")
def take_equal(
    source: Floats, first: int, waiting: Ints, threshold: Floats, k: int, filled: Ints, candidates: Keys
) -> None:
    """Fill the candidates of some columns up to k with the first values that equal the threshold.

    Args:
        source: `(images, all columns)`.
        first: First column.
        waiting: Columns, counted from the first, with fewer than k candidates; is overwritten.
        threshold: `(columns,)`.
        k: How many are needed.
        filled: `(columns,)` number of candidates so far.
        candidates: `(columns, room)` keys as of `sort_keys`, descending.
    """
    images, count = source.shape[0], len(waiting)
    for i in range(images):
        at = 0
        while at < count:
            j = waiting[at]
            if source[i, first + j] == threshold[j]:
                bits = np.float32(threshold[j]).view(np.int32)
                ordered = np.int64(bits ^ ((bits >> 31) & np.int32(0x7FFFFFFF)))
                ordered = np.int64(0) if threshold[j] == 0 else ordered
                candidates[j, filled[j]] = (ordered << 32) | (images - 1 - i)
                filled[j] += 1
                if filled[j] == k:
                    count -= 1
                    waiting[at] = waiting[count]
                    continue
            at += 1
        if count == 0:
            return


@_kernel("void(float32[:, ::1], uint32[:, ::1], float32[::1], int64, int64, float32[:, ::1])", reorder=True)
def log_products(table: Floats, sets: Counts, slope: Floats, group: int, first: int, out: Floats) -> None:
    """`out[n, first + c]` = sum over r of `log(1 + slope[r] table[sets[n, r], c])` for one tile.

    One logarithm of a product in place of one each: after `group` factors, with which float32 cannot
    overflow, the exponent is counted apart and leaves a product near 1. All factors are at least 1. The
    logarithm of m near 1 is the series of `2 artanh((m - 1) / (m + 1))`, exact to 1e-8; unlike the library's
    it is computed for several concepts at once. A multiple of log 2 is added in two parts, the first exact.

    Args:
        table: `(images, TILE)`.
        sets: `(sets, k)` images by rank; k is a multiple of 4.
        slope: `(k,)`.
        group: Factors in a product, a multiple of 4.
        first: Column of `out` of the tile's first concept.
        out: `(sets, concepts)`.
    """
    size, width = sets.shape[1], min(TILE, out.shape[1] - first)
    product, exponent = np.empty(TILE, np.float32), np.empty(TILE, np.int32)
    bits, one = product.view(np.int32), np.float32(1)
    for n in range(sets.shape[0]):
        product[:] = 1
        exponent[:] = 0
        for start in range(0, size, group):
            for r in range(start, min(start + group, size), 4):  # four at once: fewer turns through memory
                p, q = table[sets[n, r]], table[sets[n, r + 1]]
                u, v = table[sets[n, r + 2]], table[sets[n, r + 3]]
                for c in range(TILE):
                    product[c] *= ((one + slope[r] * p[c]) * (one + slope[r + 1] * q[c])) * (
                        (one + slope[r + 2] * u[c]) * (one + slope[r + 3] * v[c])
                    )
            for c in range(TILE):
                twos = (bits[c] - _BITS_OF_ROOT_HALF) >> np.int32(23)
                exponent[c] += twos
                bits[c] -= twos << np.int32(23)
        for c in range(width):
            s = (product[c] - one) / (product[c] + one)
            t = s * s
            series = _THIRD + t * (_FIFTH + t * (_SEVENTH + t * _NINTH))
            twos = np.float32(exponent[c])
            out[n, first + c] = twos * _LOG_2_HIGH + (twos * _LOG_2_LOW + (s + s) * (one + t * series))


@_kernel("void(float32[:, ::1], uint32[:, ::1], int64, float32[:, ::1])", reorder=True)
def add_rows(table: Floats, sets: Counts, first: int, out: Floats) -> None:
    """`out[n, first + c]` = sum over r of `table[sets[n, r], c]` for one tile.

    Args:
        table: `(images, TILE)`.
        sets: `(sets, k)` images.
        first: Column of `out` of the tile's first concept.
        out: `(sets, concepts)`.
    """
    size, width = sets.shape[1], min(TILE, out.shape[1] - first)
    fours, total = size - size % 4, np.empty(TILE, np.float32)
    for n in range(sets.shape[0]):
        total[:] = 0
        for r in range(0, fours, 4):  # four at once, as above, which also rounds less
            p, q = table[sets[n, r]], table[sets[n, r + 1]]
            u, v = table[sets[n, r + 2]], table[sets[n, r + 3]]
            for c in range(TILE):
                total[c] += (p[c] + q[c]) + (u[c] + v[c])
        for r in range(fours, size):
            p = table[sets[n, r]]
            for c in range(TILE):
                total[c] += p[c]
        for c in range(width):
            out[n, first + c] = total[c]


@_kernel("void(float32[:, ::1], boolean)", reorder=True)
def unit_rows(rows: Floats, cubed: bool) -> None:
    """Scale rows to unit length in place; first `((x - mean) / max |x - mean|) ** 3` if `cubed`."""
    length = rows.shape[1]
    for n in range(rows.shape[0]):
        row = rows[n]
        if cubed:
            total = 0.0
            for i in range(length):
                total += row[i]
            mean, largest = total / length, np.float32(0)
            for i in range(length):
                centred = np.float32(row[i] - mean)
                row[i] = centred
                largest = max(largest, abs(centred))
            if largest == 0:
                largest = np.float32(1)
            for i in range(length):
                scaled = row[i] / largest
                row[i] = scaled * scaled * scaled
        squares = 0.0
        for i in range(length):
            squares += np.float64(row[i]) * np.float64(row[i])
        if squares > 0:
            unit = 1 / math.sqrt(squares)
            for i in range(length):
                row[i] = np.float32(row[i] * unit)


@_kernel("void(int32[:, ::1], uint32[::1], uint16[::1], float32[::1], float32[:, ::1], int64, float32[:, :])")
def dealt_change(
    orders: Ints,
    first: Counts,
    neuron: npt.NDArray[np.uint16],
    activation: Floats,
    ascending: Floats,
    power: int,
    out: Floats,
) -> None:
    """Mean `|change| ** power` of each neuron's top activations when dealt out in each concept's order.

    Walks the images once per concept, in its ascending order: a neuron that has the image among its top
    ones is dealt the next of its activations, smallest first. Nothing is sorted per neuron.

    Args:
        orders: `(concepts, images)` images in ascending order of each concept's activation.
        first: `(images + 1,)` where each image's entries begin in the two lists that follow.
        neuron: `(entries,)` a neuron that has the image among its top ones.
        activation: `(entries,)` its activation there.
        ascending: `(neurons, k)` each neuron's top activations, smallest first.
        power: Of the change.
        out: `(neurons, concepts)`.
    """
    neurons, k = ascending.shape
    hand = ascending.ravel()
    dealt, change = np.empty(neurons, np.uint32), np.empty(neurons, np.float64)
    for c in range(orders.shape[0]):
        for n in range(neurons):
            dealt[n], change[n] = n * k, 0
        for image in orders[c]:
            for entry in range(first[np.uint32(image)], first[np.uint32(image) + np.uint32(1)]):
                n = neuron[entry]
                difference = abs(activation[entry] - hand[dealt[n]])
                dealt[n] += np.uint32(1)
                raised = difference
                for _ in range(power - 1):
                    raised *= difference
                change[n] += raised
        for n in range(neurons):
            out[n, c] = change[n] / k


@_kernel("void(float32[:, ::1], int64, float32[:])", reorder=True)
def chance_change(target: Floats, power: int, out: Floats) -> None:
    """`out[n]` = mean of `|x - y| ** power` over all pairs (x, y) of `target[n]`."""
    k = target.shape[1]
    for n in range(target.shape[0]):
        row = target[n]
        total = 0.0
        for i in range(k):
            inner = np.float32(0)
            for j in range(i):
                difference = abs(row[i] - row[j])
                raised = difference
                for _ in range(power - 1):
                    raised *= difference
                inner += raised
            total += inner
        out[n] = 2 * total / (k * k)


@_kernel("void(float32[:, ::1], float32, int32[::1])", reorder=True)
def largest_cells(maps: Floats, flat: float, out: Ints) -> None:
    """1 + the first largest cell of each row; 0 where it exceeds the mean by at most `flat` of itself."""
    cells = maps.shape[1]
    for n in range(maps.shape[0]):
        row = maps[n]
        best, place, total = row[0], 0, np.float32(0)
        for i in range(cells):
            total += row[i]
            if row[i] > best:
                best, place = row[i], i
        out[n] = 0 if best - total / np.float32(cells) <= flat * abs(best) else place + 1
