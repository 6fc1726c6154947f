"""What claims are made of: figures of snapshots and of whole trainings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

import conceptmon_tb as cm
from demo.case_studies.records import Trial

HIGH_LEVEL = ("object", "scene", "part")
LOW_LEVEL = ("material", "texture", "color")
DEEP, MIDDLE, SHALLOW = "layer4", "layer3", "layer2"


def at(trial: Trial, place: float, layer: str = DEEP) -> cm.ConceptSnapshot:
    """A snapshot: number `place` of all (int; -1 is the last), or at that share of all steps (float)."""
    by_step = trial.run.snapshots[layer]
    steps = sorted(by_step)
    number = place if isinstance(place, int) else round(place * (len(steps) - 1))
    return by_step[steps[number]]


def at_seeds(
    trials: Mapping[int, Trial],
    place: float,
    figure: Callable[[cm.ConceptSnapshot], float],
    layer: str = DEEP,
) -> dict[int, float]:
    """A figure of the snapshots at one place, by seed."""
    return {seed: float(figure(at(trial, place, layer))) for seed, trial in trials.items()}


def series(trial: Trial, layer: str = DEEP) -> list[cm.ConceptSnapshot]:
    """All snapshots of a layer in order."""
    by_step = trial.run.snapshots[layer]
    return [by_step[step] for step in sorted(by_step)]


def count(snapshot: cm.ConceptSnapshot, categories: Sequence[str]) -> int:
    """Interpretable neurons of some categories."""
    return sum(snapshot.category_counts.get(name, 0) for name in categories)


def share(snapshot: cm.ConceptSnapshot, categories: Sequence[str]) -> float:
    """The same as a share of all interpretable neurons; 0 where there are none."""
    return count(snapshot, categories) / max(1, snapshot.num_interpretable)


def shares(snapshot: cm.ConceptSnapshot) -> npt.NDArray[np.float64]:
    """Share of every category among the interpretable neurons, low to high level."""
    return np.array([share(snapshot, [name]) for name in (*LOW_LEVEL, *HIGH_LEVEL)])


def above(snapshot: cm.ConceptSnapshot, threshold: float) -> npt.NDArray[np.bool_]:
    """`(neurons,)` bool, which neurons are interpretable by another threshold."""
    passed: npt.NDArray[np.bool_] = snapshot.valid & (snapshot.best_similarity > threshold)
    return passed


def upper_quartile(snapshot: cm.ConceptSnapshot) -> float:
    """A strict threshold: the best similarity that a quarter of the neurons exceeds."""
    return float(np.quantile(snapshot.best_similarity, 0.75))


def count_words(snapshot: cm.ConceptSnapshot, words: Sequence[str]) -> int:
    """Interpretable neurons whose concept is one of some words."""
    chosen = set(words)
    return sum(
        word in chosen for word, passed in zip(snapshot.words, snapshot.interpretable, strict=True) if passed
    )


def num_distinct(snapshot: cm.ConceptSnapshot) -> int:
    """Different concepts of the interpretable neurons."""
    return len({word for word, passed in zip(snapshot.words, snapshot.interpretable, strict=True) if passed})


def rank_correlation(values: Sequence[float]) -> float:
    """Spearman's correlation of a series with its order: 1 where it rises all the time; 0 for a constant."""
    if len(values) < 2:
        return float("nan")
    order = np.arange(len(values), dtype=np.float64)
    numbers = np.asarray(values, np.float64)
    ranks = np.array([(numbers < v).sum() + ((numbers == v).sum() - 1) / 2 for v in numbers])
    if ranks.std() == 0:
        return 0.0
    return float(np.corrcoef(order, ranks)[0, 1])


def early_share(values: Sequence[float]) -> float:
    """Which share of the change over a series happens in its first third; NaN where it falls nowhere.

    Args:
        values: A series that is claimed to fall, such as d_anchor by epoch.
    """
    fall = values[0] - values[-1]
    third = values[max(1, (len(values) - 1) // 3)]
    return (values[0] - third) / fall if fall > 0 else float("nan")


def mean_displacement(snapshots: Sequence[cm.ConceptSnapshot]) -> float:
    """How far a neuron moves between two epochs, mean over neurons and epochs; NaN where nothing is known."""
    moved = [float(np.nanmean(s.displacement)) for s in snapshots if np.isfinite(s.displacement).any()]
    return float(np.mean(moved)) if moved else float("nan")
