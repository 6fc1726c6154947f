"""Claims of study I: standard and poor training (thesis section 2.3)."""

from __future__ import annotations

from demo.case_studies.claims.base import (
    Claim,
    Evidence,
    Measured,
    by_seed,
    is_higher,
    is_lower,
    spread,
)
from demo.case_studies.claims.measures import (
    DEEP,
    HIGH_LEVEL,
    MIDDLE,
    SHALLOW,
    above,
    at,
    at_seeds,
    count,
    early_share,
    mean_displacement,
    series,
    share,
    upper_quartile,
)

_LOWEST = ("texture", "color")


def _complexity_over_epochs(evidence: Evidence) -> Measured | None:
    trials = evidence.of("standard")
    late, early = (at_seeds(trials, place, lambda s: share(s, HIGH_LEVEL)) for place in (-1, 1))
    about = f"objects, scenes and parts among {DEEP}'s interpretable neurons"
    return is_higher(("at the end", late), ("after the first epoch", early), form=".0%", about=about)


def _complexity_over_depth(evidence: Evidence) -> Measured | None:
    trials = evidence.of("standard")
    deep, shallow = (at_seeds(trials, -1, lambda s: share(s, HIGH_LEVEL), layer) for layer in (DEEP, SHALLOW))
    return is_higher((DEEP, deep), (SHALLOW, shallow), form=".0%", about="objects, scenes and parts")


def _low_level_in_shallow_layers(evidence: Evidence) -> Measured | None:
    trials = evidence.of("standard")
    shallow = by_seed(trials, lambda t: min(share(at(t, -1, layer), _LOWEST) for layer in (SHALLOW, MIDDLE)))
    deep = by_seed(trials, lambda t: share(at(t, -1), _LOWEST))
    about = "textures and colours"
    return is_higher((f"the lower of {SHALLOW} and {MIDDLE}", shallow), (DEEP, deep), form=".0%", about=about)


def _interpretable_grows(evidence: Evidence) -> Measured | None:
    trials = evidence.of("standard")
    late, before = (at_seeds(trials, place, lambda s: s.num_interpretable) for place in (-1, 0))
    width = {at(trial, -1).num_neurons for trial in trials.values()}
    about = f"of {DEEP}'s {'/'.join(map(str, sorted(width)))} neurons"
    return is_higher(("at the end", late), ("before training", before), form=".1f", about=about)


def _why_not_more(evidence: Evidence) -> str:
    trials = evidence.of("standard")
    colors = by_seed(trials, lambda t: share(at(t, 0), ["color"]))
    others = [
        at_seeds(trials, place, lambda s: s.num_interpretable - count(s, ["color"])) for place in (0, -1)
    ]
    strict = [
        {seed: float(above(at(t, place), upper_quartile(at(t, 0))).sum()) for seed, t in trials.items()}
        for place in (0, -1)
    ]
    return (
        "The calibrated threshold asks only whether a neuron means anything, and random convolutions do: "
        f"{spread(colors, '.0%')} of the untrained layer's interpretable neurons name a colour. Without "
        f"colours there are {spread(others[0], '.1f')} interpretable neurons before training and "
        f"{spread(others[1], '.1f')} after it. A threshold that only a quarter of the untrained neurons "
        f"exceeds leaves {spread(strict[0], '.1f')} before and {spread(strict[1], '.1f')} after."
    )


def _diversity_grows(evidence: Evidence) -> Measured | None:
    trials = evidence.of("standard")
    late, before = (at_seeds(trials, place, lambda s: s.anchor_distance) for place in (-1, 0))
    return is_lower(
        ("at the end", late), ("before training", before), form=".3f", about=f"d_anchor of {DEEP}"
    )


def _diversity_is_early(evidence: Evidence) -> Measured | None:
    trials = evidence.of("standard")
    if not trials:
        return None
    parts = by_seed(trials, lambda t: early_share([s.anchor_distance for s in series(t)]))
    text = f"{spread(parts, '.0%')} of the fall of {DEEP}'s d_anchor happens in the first third of the epochs"
    return Measured(text + " (agrees where it is more than half)", tuple(p - 0.5 for p in parts.values()))


def _neurons_settle(evidence: Evidence) -> Measured | None:
    trials = evidence.of("standard")
    third = {seed: max(1, len(series(trial)) // 3) for seed, trial in trials.items()}
    early = by_seed(trials, lambda t: mean_displacement(series(t)[1 : 1 + third[t.seed]]))
    late = by_seed(trials, lambda t: mean_displacement(series(t)[-third[t.seed] :]))
    about = f"mean way of {DEEP}'s neurons from epoch to epoch"
    return is_lower(("last third", late), ("first third", early), form=".3f", about=about)


def _poor_is_less_diverse(evidence: Evidence) -> Measured | None:
    poor, good = (
        at_seeds(evidence.of(name), -1, lambda s: s.anchor_distance) for name in ("poor", "standard")
    )
    return is_higher(("poor", poor), ("standard", good), form=".3f", about=f"d_anchor of {DEEP} at the end")


def _poor_health(evidence: Evidence) -> str:
    trials = evidence.of("poor")
    silent = by_seed(trials, lambda t: 1 - at(t, -1).valid.mean())
    return f"{spread(silent, '.0%')} of the poor network's {DEEP} answer to nothing at the end."


def _poor_stays(evidence: Evidence) -> Measured | None:
    def fall(name: str) -> dict[int, float]:
        return by_seed(evidence.of(name), lambda t: at(t, 0).anchor_distance - at(t, -1).anchor_distance)

    about = f"fall of {DEEP}'s d_anchor over the training"
    return is_lower(("poor", fall("poor")), ("standard", fall("standard")), form=".3f", about=about)


CLAIMS = (
    Claim(
        "training",
        "The network learns more complex features as training progresses.",
        "section 2.3, observation 1; Fig. 2.1, columns 2 and 3",
        "no objects or scenes after the first epoch, many at the end (bars)",
        _complexity_over_epochs,
    ),
    Claim(
        "training",
        "Deep layers learn more objects, scenes and parts than shallow ones.",
        "section 2.3, observation 2; Fig. 2.1, column 3",
        "layer 4 over layers 2 and 3 (bars)",
        _complexity_over_depth,
    ),
    Claim(
        "training",
        "Shallow layers learn more textures and colours than deep ones.",
        "section 2.3, observation 2; Fig. 2.1, column 3",
        "layers 2 and 3 over layer 4 (bars)",
        _low_level_in_shallow_layers,
    ),
    Claim(
        "training",
        "The number of interpretable neurons grows with training.",
        "section 2.3.1; Fig. 2.1, column 3",
        "bars grow from epoch 0 to 39",
        _interpretable_grows,
        _why_not_more,
    ),
    Claim(
        "training",
        "Concept diversity increases as training progresses.",
        "section 2.3.1",
        "neurons spread out; d_anchor 0.38 at the end (section 2.3.2)",
        _diversity_grows,
    ),
    Claim(
        "training",
        "Concept diversity happens relatively early in the training.",
        "section 2.3, observation 3; Fig. 2.1, column 1",
        "neurons reach their place before epoch 10 of 40",
        _diversity_is_early,
    ),
    Claim(
        "training",
        "After that, neurons mostly stay close to their concepts.",
        "section 2.3, observation 3; Fig. 2.1, column 1",
        "#114 and #168 keep their place for 30 epochs",
        _neurons_settle,
    ),
    Claim(
        "training",
        "A poorly trained network has a higher d_anchor.",
        "section 2.3.2; Fig. 2.2",
        "0.47 against 0.38",
        _poor_is_less_diverse,
        _poor_health,
    ),
    Claim(
        "training",
        "In poor training diversity does not increase but plateaus.",
        "section 2.3.2; Fig. 2.2",
        "neurons do not diverge much",
        _poor_stays,
        _poor_health,
    ),
)
