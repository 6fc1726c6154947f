"""Claims of study V: the concept diversity regularizer (thesis chapter 3)."""

from __future__ import annotations

from collections.abc import Callable

from demo.case_studies.claims.base import Claim, Evidence, Measured, is_higher, is_lower, spread
from demo.case_studies.claims.measures import DEEP, at, num_distinct
from demo.case_studies.records import Trial

REGULARIZED, SMOOTH, GENTLE = "regularizer", "regularizer_smooth", "regularizer_gentle"
STANDARD = "standard"


def both(
    evidence: Evidence, figure: Callable[[Trial], float], variant: str = REGULARIZED
) -> tuple[dict[int, float], dict[int, float]]:
    """A figure of the regularised and of the standard networks, of the seeds that both have."""
    pairs = evidence.pairs(variant, STANDARD)
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


def _causes(evidence: Evidence) -> str:
    """What the batches' d_anchor did, and what less beta and a higher temperature do."""
    others = (_variant(evidence, name) for name in (SMOOTH, GENTLE))
    return " ".join(part for part in (_batch_distance(evidence), *others) if part)


def _variant(evidence: Evidence, name: str) -> str:
    trials = evidence.of(name)
    if not trials:
        return ""

    def compare(figure: Callable[[Trial], float], form: str) -> str:
        ours, standard = both(evidence, figure, name)
        return f"{spread(ours, form)} (standard {spread(standard, form)})"

    seeds = f"seed{'s' if len(trials) > 1 else ''} {', '.join(map(str, trials))}"
    return (
        f"With {_setting(trials)} in place of {_setting(evidence.of(REGULARIZED))} ({seeds}): "
        f"accuracy {compare(lambda t: t.log.last('accuracy/val'), '.1%')}, "
        f"d_anchor {compare(lambda t: at(t, -1).anchor_distance, '.3f')}, "
        f"different concepts {compare(lambda t: num_distinct(at(t, -1)), '.1f')}."
    )


def _setting(trials: dict[int, Trial]) -> str:
    log = next(iter(trials.values())).log
    return f"beta {log.last('beta'):g} and T {log.last('temperature'):g}"


def _batch_distance(evidence: Evidence) -> str:
    trials = evidence.of(REGULARIZED)
    by_epoch = {seed: _of_batches(trial) for seed, trial in trials.items()}
    first, last = ({seed: values[place] for seed, values in by_epoch.items()} for place in (0, -1))
    return (
        f"d_anchor of the training batches, which the loss holds, went from {spread(first, '.3f')} in the "
        f"first epoch to {spread(last, '.3f')} in the last one."
    )


def _of_batches(trial: Trial) -> list[float]:
    """Mean d_anchor of the batches of each epoch: the penalty without beta."""
    penalty, beta = trial.log.scalars["loss/penalty"], trial.log.last("beta")
    return [penalty[step] / beta for step in sorted(penalty)]


CLAIMS = (
    Claim(
        "regularizer",
        "The regularizer improves accuracy.",
        "section 3.1, Table 3.1",
        "ResNet-18: 48.33 ± 0.08% against 47.48 ± 0.13%; ResNet-50: 49.32 ± 0.02% against 49.12 ± 0.44%",
        _accuracy,
        _causes,
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
        _causes,
    ),
)
