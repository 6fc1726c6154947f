"""What a neuron's top activations change when dealt out in another order: the inner loop of rank-reorder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from conceptmon_tb.functional.acceleration import in_threads, kernels_for

_NEURONS_AT_ONCE = 256  # share one walk over the images; they are counted in 16 bits
_CONCEPTS_IN_TASK = 16
_ELEMENTS_AT_ONCE = 1 << 22  # of the torch code's sorted keys
_LARGEST_POWER = 16  # by multiplication


def change_in_order(target: Tensor, top: Tensor, images: int, power: float) -> Callable[[Tensor], Tensor]:
    """How to get the mean `|change| ** power` of each neuron's top activations in the order of concepts.

    Args:
        target: `(neurons, k)` float32 activations, largest first.
        top: `(neurons, k)` int32 or int64 images where they occur.
        images: Number of probe images.
        power: Of the change.

    Returns:
        A function of orders, `(concepts, images)` int32 images in ascending order of each concept's
        activation, that gives `(neurons, concepts)` float32.
    """
    kernels = kernels_for(target)
    if kernels is None or not _is_small_integer(power):
        return lambda orders: _change_with_torch(target, top, power, orders)
    neurons = len(target)
    blocks = list(_entries(target.numpy(), top.numpy(), images))

    def change(orders: Tensor) -> Tensor:
        found = orders.new_empty((neurons, orders.shape[0]), dtype=torch.float32)
        order, out = orders.numpy(), found.numpy()

        def walk(concepts: slice) -> None:
            for part, entries in blocks:
                kernels.dealt_change(order[concepts], *entries, power, out[part, concepts])

        in_threads(walk, orders.shape[0], _CONCEPTS_IN_TASK)
        return found

    return change


def change_by_chance(target: Tensor, power: float) -> Tensor:
    """Mean `|change| ** power` over all orders: that of every two of a neuron's top activations.

    Args:
        target: `(neurons, k)` float32 activations.
        power: Of the change.

    Returns:
        `(neurons,)` float32.
    """
    kernels = kernels_for(target)
    by_chance = target.new_empty(target.shape[0])
    if kernels is None or not _is_small_integer(power):
        at_once = max(1, _ELEMENTS_AT_ONCE // target.shape[1] ** 2)
        for rows, out in zip(torch.split(target, at_once), torch.split(by_chance, at_once), strict=True):
            out.copy_((rows[:, :, None] - rows[:, None, :]).abs_().pow_(power).mean(dim=(1, 2)))
        return by_chance
    values, found = target.numpy(), by_chance.numpy()
    in_threads(lambda part: kernels.chance_change(values[part], power, found[part]), len(values), 8)
    return by_chance


def _entries(
    target: npt.NDArray[np.float32], top: npt.NDArray[np.integer[Any]], images: int
) -> Iterator[tuple[slice, tuple[npt.NDArray[Any], ...]]]:
    """Blocks of neurons, and for each what `kernels.dealt_change` takes: the top images by image."""
    k = top.shape[1]
    for start in range(0, len(top), _NEURONS_AT_ONCE):
        neurons = slice(start, min(start + _NEURONS_AT_ONCE, len(top)))
        of_images = top[neurons].ravel()
        by_image = np.argsort(of_images, kind="stable")
        first = np.zeros(images + 1, np.uint32)
        np.cumsum(np.bincount(of_images, minlength=images), out=first[1:])
        activation = target[neurons].ravel()[by_image]
        ascending = np.ascontiguousarray(target[neurons, ::-1])
        yield neurons, (first, (by_image // k).astype(np.uint16), activation, ascending)


def _change_with_torch(target: Tensor, top: Tensor, power: float, orders: Tensor) -> Tensor:
    """What `kernels.dealt_change` does, by sorting each neuron's images by their rank for each concept."""
    (neurons, k), concepts = top.shape, orders.shape[0]
    place = torch.arange(orders.shape[1], device=orders.device).expand_as(orders)
    ranks = torch.empty_like(place, memory_format=torch.contiguous_format).scatter_(1, orders.long(), place)
    change = target.new_empty((neurons, concepts))
    at_once = max(1, _ELEMENTS_AT_ONCE // (concepts * k))
    for start in range(0, neurons, at_once):
        part = slice(start, min(start + at_once, neurons))
        keys = ranks.index_select(1, top[part].reshape(-1)).reshape(concepts, -1, k)
        activation = target[part].expand(concepts, -1, k).gather(2, keys.sort(dim=2).indices)
        change[part] = (activation - target[part].flip(1)).abs_().pow_(power).mean(dim=2).T
    return change


def _is_small_integer(power: float) -> bool:
    return isinstance(power, int) and power <= _LARGEST_POWER
