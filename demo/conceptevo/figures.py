"""The page's figures, from event files and what was measured; they need matplotlib."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from conceptmon_tb.evolution import RevertTest, draw_revert_test
from conceptmon_tb.reader import Run
from demo.case_studies.claims.base import Evidence
from demo.case_studies.figures import BLUE, GRAY, GREEN, ORANGE, draw_to_file, make_figure
from demo.conceptevo.alignment import CHANCE
from demo.conceptevo.claims import Figures
from demo.conceptevo.diversity import ENTROPIES, entropy_by_step, trainings
from demo.conceptevo.measured import METHODS, SETTINGS
from demo.conceptevo.networks import BASE, KINDS
from demo.conceptevo.runs import COLLAPSED

NETWORK_COLORS = dict(zip(KINDS, (BLUE, ORANGE, GREEN), strict=True))
METHOD_COLORS = dict(zip(METHODS, (BLUE, GRAY, "#c9c8c3", ORANGE), strict=True))
CONCEPT_COLORS = ("#2268e2", "#d9730d", "#12823b", "#d6409f", "#743794", "#b1880d", "#03aaf2", "#982f13")
FAINT = "#dddcd7"


def draw_all(
    runs: Mapping[str, Run], alignment: Mapping[str, Any], test: RevertTest, shared: int, folder: Path
) -> dict[str, Path]:
    """Draw all figures.

    Args:
        runs: By name.
        alignment: As `Measures.alignment` gives it.
        test: The revert test.
        shared: Last epoch before the collapsed training's rate becomes too high.
        folder: Where they go.

    Returns:
        Their paths, by name.
    """
    drawings: dict[str, Callable[[], Figure]] = {
        "one_map": lambda: draw_map(runs, alignment["detected"]),
        "alignment": lambda: draw_alignment(alignment),
        "entropy": lambda: draw_entropy(runs, shared),
        "revert": lambda: draw_revert_test(test),
    }
    paths = {name: folder / f"{name}.png" for name in drawings}
    for name, draw in drawings.items():
        draw_to_file(lambda _, draw=draw: draw(), Evidence([]), paths[name])
    return paths


def draw_map(runs: Mapping[str, Run], detected: Mapping[str, list[str]]) -> Figure:
    """Fig. 7.5's matter on one map: all networks together, and each with what its neurons detect.

    Args:
        runs: By name.
        detected: By network, the concept that each neuron detects by the ground truth, "" for none.
    """
    figure = make_figure(1 + len(KINDS), height=2.7)
    together, *alone = figure.axes
    colors = dict(zip(shared_concepts(detected), CONCEPT_COLORS, strict=False))
    for axes, name in zip(alone, KINDS, strict=True):
        places, words = last_positions(runs[name], name), np.array(detected[name])
        together.scatter(
            *places.T, s=7, color=NETWORK_COLORS[name], alpha=0.6, linewidths=0, label=KINDS[name].title
        )
        axes.scatter(*places.T, s=7, color=FAINT, linewidths=0)
        for word, color in colors.items():
            axes.scatter(*places[words == word].T, s=14, color=color, linewidths=0)
        axes.set_title(KINDS[name].title + (", the base" if name == BASE else ""))
    together.set_title("all three, at their last epoch")
    together.legend(frameon=False, fontsize=7, loc="best", handletextpad=0.1, borderpad=0.1)
    everywhere = np.concatenate([last_positions(runs[name], name) for name in KINDS])
    low, high = np.nanmin(everywhere, axis=0) - 0.06, np.nanmax(everywhere, axis=0) + 0.06
    for axes in figure.axes:
        axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), xticks=[], yticks=[], aspect="equal")
        axes.spines[:].set_visible(True)
    handles = [mpl.patches.Patch(color=color, label=word) for word, color in colors.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles) or 1, frameon=False)
    return figure


def shared_concepts(detected: Mapping[str, list[str]]) -> list[str]:
    """Concepts that most neurons of every network detect, those that all networks share first."""
    counts = [Counter(word for word in words if word) for words in detected.values()]
    known = sorted(set().union(*counts))
    return sorted(known, key=lambda word: [-min(c[word] for c in counts), -sum(c[word] for c in counts)])


def last_positions(run: Run, name: str) -> np.ndarray:
    """`(neurons, 2)` places on the map at the last epoch, layer after layer; NaN without one."""
    return np.concatenate([run.snapshots[layer][run.steps[-1]].position for layer in KINDS[name].layers])


def draw_alignment(alignment: Mapping[str, Any]) -> Figure:
    """AUC of "same concept", intruders in K-means groups, and drift, for each method."""
    figure = make_figure(3, height=3.1, widths=[1.5, 1.5, 0.6])
    left, middle, right = figure.axes
    figures = Figures(alignment)
    draw_bars(left, figures, "area", "AUC of 'same concept' by cosine", 0.5)
    left.set_ylim(0.4, 1)
    draw_bars(middle, figures, "grouped", "intruders found in groups by K-means", CHANCE)
    middle.set_ylim(0, 1)
    for place, method in enumerate(METHODS):
        values = figures.drift(method)
        right.bar(place, values.mean(), yerr=values.std(), color=METHOD_COLORS[method], width=0.8)
    right.set(title="drift", xticks=[])
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
    return figure


def draw_bars(axes: Axes, figures: Figures, figure: str, title: str, chance: float) -> None:
    """One figure of all methods and settings: means over seeds, and their deviation."""
    width = 0.8 / len(METHODS)
    for number, (method, name) in enumerate(METHODS.items()):
        values = [figures.of(method, setting, figure) for setting in SETTINGS]
        places = np.arange(len(SETTINGS)) + (number - (len(METHODS) - 1) / 2) * width
        means, deviations = ([f(v) for v in values] for f in (np.mean, np.std))
        axes.bar(places, means, width, yerr=deviations, color=METHOD_COLORS[method], label=name)
    axes.axhline(chance, color="black", linewidth=0.8, linestyle=":")
    axes.set(title=f"{title} (dotted: chance)", xticks=range(len(SETTINGS)))
    axes.set_xticklabels(
        [name.replace(" ", "\n", 1).replace(" and ", "\nand ") for name in SETTINGS.values()]
    )
    axes.tick_params(axis="x", length=0)


def draw_entropy(runs: Mapping[str, Run], shared: int) -> Figure:
    """Entropy of whole networks in both ways, and accuracy; of further trainings in thin lines."""
    figure = make_figure(3, height=2.7)
    left, middle, right = figure.axes
    for name in (*KINDS, COLLAPSED):
        collapsed = name == COLLAPSED
        style: dict[str, Any] = {
            "color": "#c22b2b" if collapsed else NETWORK_COLORS[name],
            "label": f"{KINDS[BASE].title}, rate too high" if collapsed else KINDS[name].title,
            "linestyle": "--" if collapsed else "-",
            "marker": "o",
            "markersize": 3,
        }
        for run in trainings(runs, name):
            for axes, entropy in zip((left, middle), ENTROPIES.values(), strict=True):
                by_step = entropy_by_step(run, name, entropy, whole=True)
                axes.plot(list(by_step), list(by_step.values()), **style)
            accuracy = {step: told.get("accuracy/val", np.nan) for step, told in sorted(run.training.items())}
            right.plot(list(accuracy), [100 * value for value in accuracy.values()], **style)
            style = {key: style[key] for key in ("color", "linestyle")} | {"linewidth": 0.7, "alpha": 0.6}
    for axes in figure.axes:
        axes.axvline(shared, color=GRAY, linewidth=0.8, linestyle=":")
        axes.set_xlabel("epoch (dotted: then the rate is too high)")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    for axes, title in zip((left, middle), ENTROPIES, strict=True):
        axes.set_title(f"entropy {title}, nats")
    right.set_title("accuracy on held-out pictures, %")
    left.legend(frameon=False, fontsize=8)
    return figure
