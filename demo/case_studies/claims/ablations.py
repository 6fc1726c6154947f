"""Claims of the ablations (thesis appendices B and C)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

import conceptmon_tb as cm
from demo.case_studies.claims.base import Claim, Evidence, Measured, by_seed, is_higher, is_lower, spread
from demo.case_studies.claims.measures import (
    DEEP,
    HIGH_LEVEL,
    SHALLOW,
    above,
    at,
    at_seeds,
    rank_correlation,
    series,
    share,
)
from demo.case_studies.records import Trial

TEMPERATURE, DETECTOR = "ablations/temperature-", "ablations/detector-"
CONCEPTS = "ablations/concepts-large"
DETECTORS = {
    "network_dissection": "Network Dissection",
    "descriptions": "descriptions",
    "soft_wpmi": "soft-WPMI",
    "cos_cubed": "cos-cubed",
}
THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)


def temperatures(evidence: Evidence) -> list[tuple[float, str]]:
    """Temperatures that were tried, with the names of their runs, lowest first."""
    names = [name for name in evidence.variants if name.startswith(TEMPERATURE)]
    return sorted((float(name.removeprefix(TEMPERATURE)), name) for name in names)


def own_temperature(evidence: Evidence) -> float | None:
    """The detector's own temperature: that of the standard runs; None where they are not there."""
    trials = evidence.of("standard")
    return at(next(iter(trials.values())), -1).temperature if trials else None


def _variation(trial: Trial) -> float:
    """How much d_anchor of the deep layer varies over a training."""
    values = [snapshot.anchor_distance for snapshot in series(trial)]
    return max(values) - min(values)


def _three(
    evidence: Evidence, figure: Callable[[Trial], float]
) -> tuple[list[tuple[str, dict[int, float]]], bool]:
    """A figure at the lowest, the detector's own and the highest temperature; and whether all were tried."""
    tried, own = temperatures(evidence), own_temperature(evidence)
    if len(tried) < 3 or own is None:
        return [], False
    near = min(tried, key=lambda pair: abs(pair[0] - own))
    chosen = [tried[0], near, tried[-1]]
    return [(f"T = {value:g}", by_seed(evidence.of(name), figure)) for value, name in chosen], True


def _hot_is_constant(evidence: Evidence) -> Measured | None:
    figures, known = _three(evidence, _variation)
    about = f"variation of {DEEP}'s d_anchor over the training"
    return is_lower(figures[2], figures[1], form=".3f", about=about) if known else None


def _cold_varies_less(evidence: Evidence) -> Measured | None:
    figures, known = _three(evidence, _variation)
    about = f"variation of {DEEP}'s d_anchor over the training"
    return is_lower(figures[0], figures[1], form=".3f", about=about) if known else None


def _where_largest(evidence: Evidence) -> str:
    own = own_temperature(evidence)
    means = {
        value: float(np.mean([_variation(trial) for trial in evidence.of(name).values()]))
        for value, name in temperatures(evidence)
    }
    told = ", ".join(f"{value:g}: {mean:.3f}" for value, mean in means.items())
    largest = max(means, key=lambda value: means[value])
    return (
        f"Variation by temperature: {told}; largest at T = {largest:g}. Low temperatures raise d_anchor of "
        f"the untrained network most, whose neurons share few labels. Our detector's own T = {own:g} was "
        "chosen to tell trained from shuffled activations, not for this."
    )


def _hot_clusters(evidence: Evidence) -> Measured | None:
    figures, known = _three(evidence, lambda t: at(t, -1).mean_pairwise_distance)
    about = f"mean distance of two neurons of {DEEP} at the end"
    return is_lower(figures[2], figures[1], form=".3f", about=about) if known else None


def _cold_is_farther(evidence: Evidence) -> Measured | None:
    figures, known = _three(evidence, lambda t: at(t, -1).anchor_distance)
    about = f"d_anchor of {DEEP} at the end"
    return is_higher(figures[0], figures[1], form=".3f", about=about) if known else None


def _one_word(evidence: Evidence) -> str:
    figures, known = _three(evidence, lambda t: at(t, -1).anchor_distance)
    if not known:
        return ""
    return (
        "With one word for each neuron, every concept that some neuron is labelled with has a distance of 0, "
        "and that lowers the mean: with A = S the lowest temperature blurs nothing "
        f"({figures[0][0]}: {spread(figures[0][1], '.3f')}, {figures[1][0]}: {spread(figures[1][1], '.3f')})."
    )


def _fewer_above(evidence: Evidence) -> Measured | None:
    trials = evidence.of("standard")
    if not trials:
        return None
    numbers = {seed: [int(above(at(t, -1), tau).sum()) for tau in THRESHOLDS] for seed, t in trials.items()}
    means = np.mean(list(numbers.values()), 0)
    told = ", ".join(f"{tau:g}: {mean:.1f}" for tau, mean in zip(THRESHOLDS, means, strict=True))
    text = f"neurons of {DEEP} above a threshold of {told}"
    return Measured(text, tuple(-rank_correlation(row) for row in numbers.values()))


def strict_share(snapshot: cm.ConceptSnapshot, threshold: float) -> float:
    """Share of objects, scenes and parts among the neurons above a threshold; NaN where none is."""
    passed = above(snapshot, threshold)
    categories = np.array([*snapshot.space.categories, ""], object)[snapshot.concept_ids[:, 0]]
    return float(np.isin(categories[passed], HIGH_LEVEL).mean()) if passed.any() else float("nan")


def _conclusions_stay(evidence: Evidence) -> Measured | None:
    trials = evidence.of("standard")
    if not trials:
        return None

    def agreeing(trial: Trial) -> float:
        pairs = [[strict_share(at(trial, -1, name), tau) for tau in THRESHOLDS] for name in (DEEP, SHALLOW)]
        decided = [one > other for one, other in zip(*pairs, strict=True) if np.isfinite(one + other)]
        return float(np.mean(decided)) if decided else float("nan")

    parts = by_seed(trials, agreeing)
    text = (
        f"{DEEP} has a larger share of objects, scenes and parts than {SHALLOW} at {spread(parts, '.0%')} "
        f"of the thresholds from {THRESHOLDS[0]:g} to {THRESHOLDS[-1]:g} that leave both neurons (agrees "
        "above half)"
    )
    return Measured(text, tuple(part - 0.5 for part in parts.values()))


def nearest_anchors(snapshot: cm.ConceptSnapshot) -> npt.NDArray[np.int64]:
    """`(neurons,)` number of the anchor that each neuron is closest to."""
    space = snapshot.space
    distance = np.linalg.norm(snapshot.embedding[:, None] - space.anchor_embedding[None], axis=2)
    nearest: npt.NDArray[np.int64] = distance.argmin(1)
    return nearest


def agreement(first: cm.ConceptSnapshot, second: cm.ConceptSnapshot) -> tuple[float, float]:
    """Share of neurons that are closest to the same anchor in two spaces, and what chance would give."""
    usable = first.valid & second.valid
    one, other = nearest_anchors(first)[usable], nearest_anchors(second)[usable]
    number = len(first.space.anchors)
    shares = [np.bincount(labels, minlength=number) / max(1, len(labels)) for labels in (one, other)]
    return float((one == other).mean()), float((shares[0] * shares[1]).sum())


def _same_anchors(variant: str) -> Callable[[Evidence], Measured | None]:
    def measure(evidence: Evidence) -> Measured | None:
        pairs = evidence.pairs(variant, "standard")
        if not pairs:
            return None
        both = {seed: agreement(at(pair[0], -1), at(pair[1], -1)) for seed, pair in pairs.items()}
        about = f"{DEEP}'s neurons that end closest to the same of the anchors"
        found = {seed: values[0] for seed, values in both.items()}
        chance = {seed: values[1] for seed, values in both.items()}
        return is_higher(("both ways", found), ("by chance", chance), form=".0%", about=about)

    return measure


def _spread_out(evidence: Evidence) -> Measured | None:
    return _each_detector(
        evidence,
        lambda t: at(t, -1).mean_pairwise_distance - at(t, 1).mean_pairwise_distance,
        f"change of the mean distance of two neurons of {DEEP} from the first epoch to the end",
        "+.3f",
    )


def _more_complex(evidence: Evidence) -> Measured | None:
    return _each_detector(
        evidence,
        lambda t: share(at(t, -1), HIGH_LEVEL) - share(at(t, 1), HIGH_LEVEL),
        f"change of the share of objects, scenes and parts in {DEEP} from the first epoch to the end",
        "+.0%",
    )


def _each_detector(
    evidence: Evidence, figure: Callable[[Trial], float], about: str, form: str
) -> Measured | None:
    """A change that must be positive with every detector; the margin of a seed is the smallest of them."""
    found = {name: by_seed(evidence.of(DETECTOR + name), figure) for name in DETECTORS}
    found = {name: values for name, values in found.items() if values}
    if not found:
        return None
    told = ", ".join(f"{DETECTORS[name]} {spread(values, form)}" for name, values in found.items())
    seeds = sorted(set.intersection(*(set(values) for values in found.values())))
    margins = tuple(min(values[seed] for values in found.values()) for seed in seeds)
    return Measured(f"{about}: {told}", margins)


def _how_interpretable(evidence: Evidence) -> str:
    found = {name: evidence.of(DETECTOR + name) for name in DETECTORS}
    parts = [
        f"{DETECTORS[name]} {spread(at_seeds(t, -1, lambda s: s.num_interpretable / s.num_neurons), '.0%')}"
        for name, t in found.items()
        if t
    ]
    return f"Interpretable neurons of {DEEP} at the end by the calibrated threshold: {', '.join(parts)}."


CLAIMS = (
    Claim(
        "ablations",
        "At a very high temperature d_anchor is almost constant over the training.",
        "appendix B.1; Fig. B.1",
        "almost constant at T = 0.5",
        _hot_is_constant,
    ),
    Claim(
        "ablations",
        "At a very low temperature d_anchor varies less over the training than at the chosen one.",
        "appendix B.1; Fig. B.1",
        "largest variation at the chosen T = 0.01",
        _cold_varies_less,
        _where_largest,
    ),
    Claim(
        "ablations",
        "At a very high temperature the embeddings cluster in one region.",
        "appendix B.1; Fig. B.2",
        "cluster at T = 0.1 (map)",
        _hot_clusters,
    ),
    Claim(
        "ablations",
        "At a very low temperature d_anchor is higher than at the chosen one.",
        "appendix B.1; Fig. B.2",
        "higher (map)",
        _cold_is_farther,
        _one_word,
    ),
    Claim(
        "ablations",
        "A higher threshold leaves fewer interpretable neurons.",
        "appendix B.2; Fig. B.3",
        "decreases (bars)",
        _fewer_above,
    ),
    Claim(
        "ablations",
        "The conclusions are the same for most thresholds: deep layers represent more complex concepts.",
        "appendix B.2; Fig. B.3",
        "the same for thresholds of 0.1 to 0.3",
        _conclusions_stay,
    ),
    Claim(
        "ablations",
        "With a larger, general concept set neurons converge to the same anchors.",
        "appendix C.1; Fig. C.1",
        "20,000 English words: neurons 373, 168 and 114 at the same anchors",
        _same_anchors(CONCEPTS),
    ),
    Claim(
        "ablations",
        "With Network Dissection neurons evolve as with CLIP-Dissect.",
        "appendix C.2; Fig. C.2",
        "the same for two of three neurons",
        _same_anchors(f"{DETECTOR}network_dissection"),
        _how_interpretable,
    ),
    Claim(
        "ablations",
        "With descriptions (MILAN there, words for the top images here) neurons evolve as with CLIP-Dissect.",
        "appendix C.2; Fig. C.3",
        "the same for three of three neurons",
        _same_anchors(f"{DETECTOR}descriptions"),
        _how_interpretable,
    ),
    Claim(
        "ablations",
        "With every detector neurons start in a cluster and move apart towards their concepts.",
        "appendix C.2; Fig. C.2 and C.3",
        "start together (maps)",
        _spread_out,
        _how_interpretable,
    ),
    Claim(
        "ablations",
        "Observation 1 (complexity over epochs) is consistent across detectors.",
        "section 2.3.1, appendix C.2",
        "consistent",
        _more_complex,
        _how_interpretable,
    ),
)
