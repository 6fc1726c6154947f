"""Claims of study II: the lottery ticket hypothesis (thesis section 4.0.1)."""

from __future__ import annotations

from collections.abc import Callable

import conceptmon_tb as cm
from demo.case_studies.claims.base import Claim, Evidence, Measured, by_seed, is_higher, spread
from demo.case_studies.claims.measures import (
    DEEP,
    above,
    at,
    at_seeds,
    count,
    rank_correlation,
    series,
    share,
    upper_quartile,
)
from demo.case_studies.records import Trial

REWOUND, TRAINED, RANDOM = (f"lottery_ticket/{name}" for name in ("rewound", "trained", "random"))
_NEAR = 0.05  # a drop of accuracy up to which a ticket counts as winning

Figure = Callable[[cm.ConceptSnapshot], float]


def _trend(evidence: Evidence, what: str, figure: Figure, sign: int, form: str = ".0%") -> Measured | None:
    """Whether a figure of the rewound networks rises (sign 1) or falls (-1) with the stage."""
    trials = evidence.of(REWOUND)
    if not trials:
        return None
    first, middle, last = (at_seeds(trials, place, figure) for place in (0, 0.5, -1))
    trend = by_seed(trials, lambda t: rank_correlation([figure(s) for s in series(t)]))
    stages = len(series(next(iter(trials.values())))) - 1
    text = (
        f"{what}: {spread(first, form)} unpruned, {spread(middle, form)} after stage {round(stages / 2)}, "
        f"{spread(last, form)} after stage {stages}; rank correlation with the stage {spread(trend)}"
    )
    return Measured(text, tuple(sign * value for value in trend.values()))


def _interpretable_share(snapshot: cm.ConceptSnapshot) -> float:
    return snapshot.num_interpretable / snapshot.num_neurons


def _more_interpretable(evidence: Evidence) -> Measured | None:
    return _trend(evidence, f"interpretable neurons of the untrained {DEEP}", _interpretable_share, 1)


def _strict(trial: Trial, place: int) -> float:
    """Share of neurons above the upper quartile of the same unpruned network."""
    return float(above(at(trial, place), upper_quartile(at(trial, 0))).mean())


def _why_not_more(evidence: Evidence) -> str:
    trials, chance = evidence.of(REWOUND), evidence.of(RANDOM)
    colors = by_seed(trials, lambda t: share(at(t, 0), ["color"]))
    strict = by_seed(trials, lambda t: _strict(t, -1))
    by_chance = by_seed(chance, lambda t: _strict(t, -1))
    trend = by_seed(
        trials, lambda t: rank_correlation([_strict(t, place) for place in range(len(series(t)))])
    )
    return (
        "By the calibrated threshold nearly all neurons of the untrained network are interpretable already "
        f"({spread(colors, '.0%')} of them name a colour), so there is little to gain. With a threshold that "
        f"a quarter of the unpruned network exceeds, {spread(strict, '.0%')} do after the last stage "
        f"(rank correlation with the stage {spread(trend)}); with masks of the same sparsity by chance "
        f"{spread(by_chance, '.0%')}."
    )


def _neurons_become_interpretable(evidence: Evidence) -> Measured | None:
    trials = {seed: trial for seed, trial in evidence.of(REWOUND).items() if len(series(trial)) > 2}
    if not trials:
        return None
    late = min(4, min(len(series(trial)) for trial in trials.values()) - 1)

    def changed(trial: Trial, gained: bool) -> float:
        threshold = upper_quartile(at(trial, 0))
        before, after = above(at(trial, 1), threshold), above(at(trial, late), threshold)
        return float((after & ~before if gained else before & ~after).sum())

    gains, losses = ({seed: changed(t, gained) for seed, t in trials.items()} for gained in (True, False))
    about = f"between stages 1 and {late}, with a threshold that a quarter of the unpruned neurons exceeds"
    return is_higher(("neurons gained", gains), ("lost", losses), form=".1f", about=about)


def _fewer_textures(evidence: Evidence) -> Measured | None:
    return _trend(evidence, f"texture neurons of {DEEP}", lambda s: count(s, ["texture"]), -1, ".1f")


def _few_textures(evidence: Evidence) -> str:
    trials = evidence.of(REWOUND)
    most = by_seed(trials, lambda t: max(count(s, ["texture"]) for s in series(t)))
    return f"An untrained network has hardly any texture neurons here: {spread(most, '.1f')} at most."


def _more_colors(evidence: Evidence) -> Measured | None:
    return _trend(evidence, f"colour neurons of {DEEP}", lambda s: count(s, ["color"]), 1, ".1f")


def _learned_masks(evidence: Evidence) -> Measured | None:
    pairs = evidence.pairs(REWOUND, RANDOM)
    if not pairs:
        return None

    def mean_strict(trial: Trial) -> float:
        stages = range(1, len(series(trial)))
        return sum(_strict(trial, stage) for stage in stages) / max(1, len(stages))

    learned = {seed: mean_strict(pair[0]) for seed, pair in pairs.items()}
    chance = {seed: mean_strict(pair[1]) for seed, pair in pairs.items()}
    about = f"neurons of {DEEP} above the unpruned network's upper quartile, mean over stages"
    return is_higher(("learned masks", learned), ("masks by chance", chance), form=".0%", about=about)


def _accuracy_stays(evidence: Evidence) -> Measured | None:
    trials = evidence.of(TRAINED)
    if not trials:
        return None

    def accuracy(trial: Trial, last: bool) -> float:
        by_step = trial.log.scalars["accuracy/val"]
        return by_step[max(by_step) if last else min(by_step)]

    first, last = ({seed: accuracy(t, is_last) for seed, t in trials.items()} for is_last in (False, True))
    sparsity = by_seed(trials, lambda t: t.log.last("sparsity"))
    text = (
        f"accuracy {spread(first, '.1%')} unpruned, {spread(last, '.1%')} after the last stage, with "
        f"{spread(sparsity, '.1%')} of the weights zeroed (agrees with a drop below {_NEAR:.0%})"
    )
    return Measured(text, tuple(_NEAR - (first[seed] - last[seed]) for seed in first))


CLAIMS = (
    Claim(
        "lottery_ticket",
        "Pruning makes neurons of the rewound, untrained network interpretable.",
        "section 4.0.1; Fig. 4.1",
        "the share of interpretable neurons grows with the stages (bars)",
        _more_interpretable,
        _why_not_more,
    ),
    Claim(
        "lottery_ticket",
        "Single neurons become interpretable by zeroing weights alone.",
        "section 4.0.1; Fig. 4.2",
        "examples between stages 1 and 4",
        _neurons_become_interpretable,
    ),
    Claim(
        "lottery_ticket",
        "What they become interpretable for is simple, such as colours.",
        "section 4.0.1; Fig. 4.1 and 4.2",
        "colours (bars, examples)",
        _more_colors,
        _why_not_more,
    ),
    Claim(
        "lottery_ticket",
        "The number of texture neurons decreases as pruning progresses.",
        "section 4.0.1; Fig. 4.1",
        "bars",
        _fewer_textures,
        _few_textures,
    ),
    Claim(
        "lottery_ticket",
        "It is what was learned that the mask encodes, not sparsity alone (our control of the explanation).",
        'section 4.0.1 ("masking is learning")',
        "no control was run",
        _learned_masks,
        _why_not_more,
    ),
    Claim(
        "lottery_ticket",
        "The pruned network trains to nearly the accuracy of the whole one.",
        "section 4.0.1, appendix A.2",
        "91.18% after 8 stages, 94.32% after stage 0",
        _accuracy_stays,
    ),
)
