"""Claims of study V: the concept diversity regularizer (thesis chapter 3)."""

from __future__ import annotations

from collections.abc import Callable

from demo.case_studies.claims.base import Claim, Evidence, Measured, is_higher, is_lower, spread
from demo.case_studies.claims.measures import DEEP, at, num_distinct
from demo.case_studies.records import Trial

REGULARIZED, STANDARD = "regularizer", "standard"


def both(evidence: Evidence, figure: Callable[[Trial], float]) -> tuple[dict[int, float], dict[int, float]]:
    """A figure of the regularised and of the standard networks, of the seeds that both have."""
    pairs = evidence.pairs(REGULARIZED, STANDARD)
    return (
        {seed: float(figure(pair[0])) for seed, pair in pairs.items()},
        {seed: float(figure(pair[1])) for seed, pair in pairs.items()},
    )


def _accuracy(evidence: Evidence) -> Measured | None:
    ours, standard = both(evidence, lambda t: t.log.last("accuracy/val"))
    return is_higher(("regularised", ours), ("standard", standard), form=".1%", about="accuracy")


def _interpretable(evidence: Evidence) -> Measured | None:
    ours, standard = both(evidence, lambda t: at(t, -1).num_interpretable)
    about = f"interpretable neurons of {DEEP}"
    return is_higher(("regularised", ours), ("standard", standard), form=".1f", about=about)


def _diversity(evidence: Evidence) -> Measured | None:
    ours, standard = both(evidence, lambda t: at(t, -1).anchor_distance)
    return is_lower(("regularised", ours), ("standard", standard), form=".3f", about=f"d_anchor of {DEEP}")


def _full_already(evidence: Evidence) -> str:
    ours, standard = both(evidence, lambda t: at(t, -1).num_interpretable / at(t, -1).num_neurons)
    words = both(evidence, lambda t: num_distinct(at(t, -1)))
    return (
        f"By the calibrated threshold {spread(standard, '.0%')} of the standard network's neurons are "
        f"interpretable already ({spread(ours, '.0%')} of the regularised one's), so there is little to "
        f"gain. They name {spread(words[1], '.1f')} concepts, and {spread(words[0], '.1f')} with the "
        "regularizer."
    )


def _batch_distance(evidence: Evidence) -> str:
    trials = evidence.of(REGULARIZED)
    values = [
        sorted(trial.log.scalars.get(f"concepts/{DEEP}/d_anchor_batch", {}).items())
        for trial in trials.values()
    ]
    known = [value for value in values if value]
    if not known:
        return ""
    first, last = ({i: series[place][1] for i, series in enumerate(known)} for place in (0, -1))
    return (
        f"d_anchor of the training batches, which the loss holds, went from {spread(first, '.3f')} in the "
        f"first epoch to {spread(last, '.3f')} in the last one."
    )


CLAIMS = (
    Claim(
        "regularizer",
        "The regularizer improves accuracy.",
        "section 3.1, Table 3.1",
        "ResNet-18: 48.33 ± 0.08% against 47.48 ± 0.13%; ResNet-50: 49.32 ± 0.02% against 49.12 ± 0.44%",
        _accuracy,
        _batch_distance,
    ),
    Claim(
        "regularizer",
        "It increases the number of interpretable neurons.",
        "section 3.1, Table 3.1",
        "ResNet-18: 147.7 ± 7.02 against 106.33 ± 4.04; ResNet-50: 361 ± 15.7 against 544.4 ± 41.02",
        _interpretable,
        _full_already,
    ),
    Claim(
        "regularizer",
        "It lowers d_anchor: concepts become more diverse.",
        "section 3.1, Table 3.1",
        "ResNet-18: 0.36 ± 0.004 against 0.39 ± 0.007; ResNet-50: 0.27 ± 0.006 against 0.31 ± 0.003",
        _diversity,
        _batch_distance,
    ),
)
