"""The frame of claims: what a claim is, what is measured for it, and the rule that gives the verdict."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property

import numpy as np

from demo.case_studies.records import Trial

BySeed = Mapping[int, float]
"""One figure of each repetition."""


class Verdict(Enum):
    """What is said about a claim."""

    HOLDS = "holds"
    WEAKLY = "holds weakly"
    FAILS = "does not hold at this scale"
    UNKNOWN = "not measured"


@dataclass(frozen=True)
class Measured:
    """What runs say about a claim.

    Attributes:
        text: For people.
        margins: By how much each repetition agrees with the claim: above 0 it does. NaN where it could not be
            measured (all neurons dead).
    """

    text: str
    margins: tuple[float, ...]


@dataclass(frozen=True)
class Evidence:
    """All finished runs.

    Attributes:
        trials: In order.
    """

    trials: Sequence[Trial] = field(repr=False)

    @cached_property
    def _by_variant(self) -> dict[str, dict[int, Trial]]:
        found: dict[str, dict[int, Trial]] = {}
        for trial in self.trials:
            found.setdefault(trial.variant, {})[trial.seed] = trial
        return found

    @property
    def variants(self) -> tuple[str, ...]:
        """Names of what was run."""
        return tuple(self._by_variant)

    def of(self, variant: str) -> dict[int, Trial]:
        """Repetitions of a variant by seed; empty where it was not run."""
        return self._by_variant.get(variant, {})

    def pairs(self, first: str, second: str) -> dict[int, tuple[Trial, Trial]]:
        """Repetitions that two variants share, by seed."""
        one, other = self.of(first), self.of(second)
        return {seed: (one[seed], other[seed]) for seed in sorted(set(one) & set(other))}


@dataclass(frozen=True)
class Claim:
    """One claim of the thesis.

    Attributes:
        study: Name of the study's module.
        text: What is claimed.
        source: Where, such as "section 2.3, Fig. 2.1".
        thesis: What the thesis measured, quoted with its numbers; "" where it gives none.
        measure: From the runs to what was measured; None where they are not there.
        examine: Looks for the cause where the claim does not (quite) hold: a sentence with figures.
    """

    study: str
    text: str
    source: str
    thesis: str
    measure: Callable[[Evidence], Measured | None]
    examine: Callable[[Evidence], str] | None = None


def judge(measured: Measured | None) -> Verdict:
    """The verdict by the written rule.

    "Holds": every repetition agrees, there are at least two, and the mean margin exceeds its standard
    deviation over them. "Holds weakly": the mean margin of those that could be measured agrees. Otherwise it
    "does not hold at this scale".
    """
    if measured is None or not measured.margins:
        return Verdict.UNKNOWN
    margins = np.array(measured.margins, np.float64)
    known = margins[np.isfinite(margins)]
    if not len(known) or known.mean() <= 0:
        return Verdict.FAILS
    if len(margins) > 1 and (margins > 0).all() and margins.mean() > margins.std(ddof=1):
        return Verdict.HOLDS
    return Verdict.WEAKLY


def spread(values: BySeed, form: str = ".2f") -> str:
    """Mean and deviation over repetitions: "0.32 ± 0.01", or one value as it is; says if some are not known.

    Args:
        values: By seed.
        form: Of a number, as in an f-string; "%" for percent.
    """
    numbers = np.array([value for value in values.values() if math.isfinite(value)])
    if not len(numbers):
        return "not known"
    text = f"{numbers.mean():{form}}"
    if len(numbers) > 1:
        text += f" ± {numbers.std(ddof=1):{form.removeprefix('+')}}"
    return text if len(numbers) == len(values) else f"{text} (known for {len(numbers)} of {len(values)})"


def is_higher(
    first: tuple[str, BySeed], second: tuple[str, BySeed], *, form: str = ".2f", about: str = ""
) -> Measured | None:
    """Measure a claim that one figure is higher than another, paired by seed.

    Args:
        first: Name and values of what is claimed to be higher.
        second: Name and values of the other.
        form: As in `spread`.
        about: Comes first in the text.
    """
    (name, one), (other_name, other) = first, second
    shared = sorted(set(one) & set(other))
    if not shared:
        return None
    text = f"{name} {spread(one, form)}, {other_name} {spread(other, form)}"
    margins = tuple(one[seed] - other[seed] for seed in shared)
    return Measured(f"{about}: {text}" if about else text, margins)


def is_lower(
    first: tuple[str, BySeed], second: tuple[str, BySeed], *, form: str = ".2f", about: str = ""
) -> Measured | None:
    """Measure a claim that one figure is lower than another; as `is_higher`."""
    measured = is_higher(first, second, form=form, about=about)
    return None if measured is None else Measured(measured.text, tuple(-m for m in measured.margins))


def by_seed(trials: Mapping[int, Trial], figure: Callable[[Trial], float]) -> dict[int, float]:
    """One figure of each repetition."""
    return {seed: float(figure(trial)) for seed, trial in trials.items()}
