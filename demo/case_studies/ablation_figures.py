"""The ablations' figures: B.1 to B.3 and C.1 to C.3 of the thesis."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import conceptmon_tb as cm
from demo.case_studies.claims.ablations import (
    CONCEPTS,
    DETECTOR,
    DETECTORS,
    THRESHOLDS,
    own_temperature,
    temperatures,
)
from demo.case_studies.claims.base import Evidence
from demo.case_studies.claims.measures import DEEP, MIDDLE, SHALLOW, above, at, series
from demo.case_studies.figures import Drawing, add_categories, draw_band, make_figure
from demo.case_studies.records import Trial
from demo.figure import CATEGORIES, FOLLOWED, GRAY, STAR


def draw_temperature(evidence: Evidence) -> Figure | None:
    """d_anchor over epochs by temperature (Fig. B.1), and maps at the end of three of them (Fig. B.2)."""
    tried, own = temperatures(evidence), own_temperature(evidence)
    if len(tried) < 3 or own is None:
        return None
    figure = make_figure(4, widths=[1.3, 1, 1, 1], height=2.4)
    curves, *maps = figure.axes
    colors = mpl.colormaps["viridis_r"](np.linspace(0.12, 0.95, len(tried)))
    for (value, name), color in zip(tried, colors, strict=True):
        trials = evidence.of(name)
        steps = sorted(next(iter(trials.values())).run.snapshots[DEEP])
        rows = [[s.anchor_distance for s in series(trial)] for trial in trials.values()]
        is_own = abs(value - own) < 1e-9
        draw_band(curves, steps, rows, mpl.colors.to_hex(color), f"{value:g}" + (" (own)" if is_own else ""))
    curves.set(title=f"d_anchor by temperature, {DEEP}", xlabel="epoch")
    curves.legend(frameon=False, fontsize=7.5, title="T", loc="center left", bbox_to_anchor=(1.0, 0.5))
    near = min(tried, key=lambda pair: abs(pair[0] - own))
    for axes, (value, name) in zip(maps, (tried[0], near, tried[-1]), strict=True):
        trial = next(iter(evidence.of(name).values()))
        draw_small_map(axes, [at(trial, -1)], [])
        axes.set_title(f"T = {value:g}, d_anchor {at(trial, -1).anchor_distance:.3f}")
    return figure


def draw_threshold(evidence: Evidence) -> Figure | None:
    """Interpretable neurons by category for several thresholds, three layers (Fig. B.3)."""
    trials = evidence.of("standard")
    if not trials:
        return None
    figure = make_figure(3)
    for axes, layer in zip(figure.axes, (SHALLOW, MIDDLE, DEEP), strict=True):
        bottom = np.zeros(len(THRESHOLDS))
        for category, color in CATEGORIES.items():
            part = np.array(
                [
                    100 * np.mean([_category_share(at(t, -1, layer), tau, category) for t in trials.values()])
                    for tau in THRESHOLDS
                ]
            )
            axes.bar(range(len(THRESHOLDS)), part, bottom=bottom, color=color, width=0.72, label=category)
            bottom += part
        axes.set(title=layer, ylim=(0, 105), xticks=range(len(THRESHOLDS)), xlabel="threshold")
        axes.set_xticklabels([f"{tau:g}" for tau in THRESHOLDS])
        axes.tick_params(length=0)
    figure.axes[0].set_ylabel("% of the neurons")
    add_categories(figure, figure.axes[0])
    return figure


def _category_share(snapshot: cm.ConceptSnapshot, threshold: float, category: str) -> float:
    categories = np.array([*snapshot.space.categories, ""], object)[snapshot.concept_ids[:, 0]]
    return float((above(snapshot, threshold) & (categories == category)).mean())


def draw_components(evidence: Evidence) -> Figure | None:
    """The same three neurons' way with other concept sets and detectors (Fig. C.1 to C.3)."""
    named = {"standard": "as in study I", CONCEPTS: "larger concept set"}
    named |= {DETECTOR + name: title for name, title in DETECTORS.items() if name != "cos_cubed"}
    found = {name: evidence.of(name) for name in named if evidence.of(name)}
    if len(found) < 2 or "standard" not in found:
        return None
    seed = min(set.intersection(*(set(trials) for trials in found.values())), default=None)
    if seed is None:
        return None
    figure = make_figure(len(found), height=2.2)
    followed = _far_movers(found["standard"][seed])
    for axes, (name, trials) in zip(figure.axes, found.items(), strict=True):
        draw_small_map(axes, series(trials[seed]), followed)
        axes.set_title(named[name])
    return figure


def _far_movers(trial: Trial) -> list[int]:
    """Three neurons that moved far and end at different concepts."""
    first, last = at(trial, 0), at(trial, -1)
    moved = np.linalg.norm(last.embedding - first.embedding, axis=1) * (first.valid & last.interpretable)
    chosen: list[int] = []
    for neuron in np.argsort(-moved).tolist():
        if len(chosen) < len(FOLLOWED) and last.words[neuron] not in [last.words[n] for n in chosen]:
            chosen.append(neuron)
    return chosen


def draw_small_map(axes: Axes, snapshots: list[cm.ConceptSnapshot], followed: list[int]) -> None:
    """The last snapshot's neurons and the anchors on the concept map, and the way of the followed neurons."""
    last = snapshots[-1]
    axes.scatter(last.space.position[:, 0], last.space.position[:, 1], s=2, color="#ececea", linewidths=0)
    x, y = last.position[last.valid].T
    axes.scatter(x, y, s=7, color=GRAY, alpha=0.75, linewidths=0)
    for word, place in zip(last.space.anchors, last.space.anchor_position, strict=True):
        axes.scatter(
            place[0], place[1], s=42, marker="*", color=STAR, edgecolors="white", linewidths=0.4, zorder=3
        )
        axes.annotate(word, place, (0, 4), textcoords="offset points", ha="center", color=STAR, fontsize=6.5)
    for neuron, color in zip(followed, FOLLOWED, strict=False):
        way = np.array([snapshot.position[neuron] for snapshot in snapshots])
        axes.plot(*way.T, color=color, linewidth=1, alpha=0.6)
        axes.scatter(way[-1, 0], way[-1, 1], s=34, color=color, edgecolors="white", linewidths=0.7, zorder=4)
    axes.set(xlim=(-1.12, 1.12), ylim=(-1.12, 1.12), xticks=[], yticks=[], aspect="equal")
    axes.spines[:].set_visible(True)
    axes.spines[:].set_color("#e8e7e3")


DRAWINGS: dict[str, Drawing] = {
    "ablations_temperature": draw_temperature,
    "ablations_threshold": draw_threshold,
    "ablations_components": draw_components,
}
