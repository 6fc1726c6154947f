"""The one source of chance in a picture: a stream of numbers fixed by (seed, index)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

Option = TypeVar("Option")

_BLOCK = 256


class Dice:
    """Random draws for one picture, the same for the same key on every machine.

    Args:
        key: Integers of at least 0, such as (seed, index).
    """

    def __init__(self, *key: int) -> None:
        self._generator = np.random.Generator(np.random.PCG64(list(key)))
        self._block = iter(self._generator.random(_BLOCK).tolist())

    def random(self) -> float:
        """A number in [0, 1)."""
        for number in self._block:
            return float(number)
        self._block = iter(self._generator.random(_BLOCK).tolist())
        return float(next(self._block))

    def uniform(self, low: float, high: float) -> float:
        """A number in [low, high)."""
        return low + (high - low) * self.random()

    def chance(self, probability: float) -> bool:
        """True with the given probability."""
        return self.random() < probability

    def below(self, limit: int) -> int:
        """An integer in 0..limit-1."""
        return int(self.random() * limit)

    def pick(self, options: Sequence[Option]) -> Option:
        """One of the options, each as likely as the others."""
        return options[self.below(len(options))]
