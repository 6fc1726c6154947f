"""The report's figures, drawn from snapshots and scalars of the runs alone."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator
from PIL import Image

import conceptmon_tb as cm
from demo.case_studies.claims.adversarial import ROBUST, target_classes
from demo.case_studies.claims.base import Evidence
from demo.case_studies.claims.fine_tuning import FINE_TUNED
from demo.case_studies.claims.lottery_ticket import RANDOM, REWOUND, TRAINED
from demo.case_studies.claims.measures import (
    DEEP,
    above,
    at,
    count_words,
    num_distinct,
    series,
    upper_quartile,
)
from demo.case_studies.claims.regularizer import REGULARIZED, SMOOTH
from demo.case_studies.records import Trial
from demo.figure import CATEGORIES, INK

BLUE, ORANGE, GRAY, GREEN = "#2268e2", "#d9730d", "#8a8a85", "#12823b"
_STYLE = {
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": "#c9c8c3",
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
}

Drawing = Callable[[Evidence], Figure | None]


def make_figure(columns: int, *, height: float = 2.9, widths: Sequence[float] | None = None) -> Figure:
    """A row of panels on white."""
    layout = ConstrainedLayoutEngine(w_pad=0.09, h_pad=0.06)
    figure = Figure(figsize=(10.4, height), layout=layout, facecolor="white")
    figure.subplots(1, columns, width_ratios=widths)
    return figure


def draw_to_file(draw: Drawing, evidence: Evidence, path: Path) -> bool:
    """Draw a figure and write it as a PNG of at most 256 colours, so that it stays small.

    Args:
        draw: What draws it.
        evidence: The runs.
        path: The file.

    Returns:
        Whether the runs that it needs were there.
    """
    with mpl.rc_context(_STYLE):
        figure = draw(evidence)
        if figure is None:
            return False
        raw = io.BytesIO()
        figure.savefig(raw, dpi=110, format="png")
    picture = Image.open(raw).convert("RGB")
    few = picture.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    path.parent.mkdir(parents=True, exist_ok=True)
    few.save(path, optimize=True)
    return True


def draw_curve(axes: Axes, trials: Mapping[int, Trial], color: str, label: str, *, layer: str = DEEP) -> None:
    """d_anchor by epoch: the mean over repetitions, and a band of one deviation."""
    if not trials:
        return
    rows = [[s.anchor_distance for s in series(trial, layer)] for trial in trials.values()]
    steps = sorted(next(iter(trials.values())).run.snapshots[layer])
    draw_band(axes, steps, rows, color, label)


def draw_band(
    axes: Axes, steps: Sequence[float], rows: Sequence[Sequence[float]], color: str, label: str
) -> None:
    """A line of means over rows and a band of one deviation around it; what is not known is left out."""
    values = np.ma.masked_invalid(np.array(rows, np.float64))
    mean = values.mean(0).filled(np.nan)
    axes.plot(steps, mean, color=color, linewidth=1.8, label=label, marker="o", markersize=3)
    if len(values) > 1:
        deviation = values.std(0, ddof=1).filled(0.0)
        axes.fill_between(steps, mean - deviation, mean + deviation, color=color, alpha=0.15, linewidth=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def draw_bars(
    axes: Axes, names: Sequence[str], groups: Sequence[Sequence[cm.ConceptSnapshot]], title: str
) -> None:
    """Interpretable neurons in percent of the layer, stacked by category from simple to complex.

    Args:
        axes: Where.
        names: Below each bar.
        groups: For each bar the snapshots of all repetitions; their mean is drawn.
        title: Above.
    """
    bottom = np.zeros(len(names))
    for category, color in CATEGORIES.items():
        part = np.array(
            [
                100 * np.mean([s.category_counts.get(category, 0) / s.num_neurons for s in group])
                for group in groups
            ]
        )
        axes.bar(range(len(names)), part, bottom=bottom, color=color, width=0.72, label=category)
        bottom += part
    axes.set(title=title, ylim=(0, 105), ylabel="% of the neurons", xticks=range(len(names)))
    axes.set_xticklabels(names)
    axes.tick_params(length=0)


def add_categories(figure: Figure, axes: Axes) -> None:
    """One legend of categories below all panels."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=len(labels), frameon=False, handlelength=1
    )


def by_place(trials: Mapping[int, Trial], places: Sequence[float | int]) -> list[list[cm.ConceptSnapshot]]:
    """Snapshots of all repetitions at some places; see `measures.at`."""
    return [[at(trial, place) for trial in trials.values()] for place in places]


def draw_training(evidence: Evidence) -> Figure | None:
    """Study I: bars over epochs of good and poor training, and d_anchor of both (Fig. 2.1 and 2.2)."""
    good, poor = evidence.of("standard"), evidence.of("poor")
    if not good:
        return None
    figure = make_figure(3, widths=[1, 1, 1.05])
    left, middle, right = figure.axes
    steps = _spread_steps(good)
    draw_bars(left, [str(s) for s in steps], _at_steps(good, steps), f"standard training, {DEEP}")
    left.set_xlabel("epoch")
    if poor:
        draw_bars(middle, [str(s) for s in steps], _at_steps(poor, steps), f"poor training, {DEEP}")
        middle.set_xlabel("epoch")
    draw_curve(right, good, BLUE, "standard")
    draw_curve(right, poor, ORANGE, "poor")
    right.set(title=f"d_anchor, {DEEP}", xlabel="epoch")
    right.legend(frameon=False)
    add_categories(figure, left)
    return figure


def draw_lottery_ticket(evidence: Evidence) -> Figure | None:
    """Study II: bars over stages of the rewound network (Fig. 4.1), the strict count, and accuracy."""
    rewound = evidence.of(REWOUND)
    if not rewound:
        return None
    figure = make_figure(3, widths=[1.25, 1, 0.9])
    left, middle, right = figure.axes
    stages = sorted(next(iter(rewound.values())).run.snapshots[DEEP])
    draw_bars(left, [str(s) for s in stages], _at_steps(rewound, stages), f"rewound and untrained, {DEEP}")
    left.set_xlabel("stage of pruning")
    for variant, color, label in ((REWOUND, BLUE, "learned masks"), (RANDOM, GRAY, "masks by chance")):
        rows = [
            [100 * above(s, upper_quartile(at(trial, 0))).mean() for s in series(trial)]
            for trial in evidence.of(variant).values()
        ]
        if rows:
            draw_band(middle, stages, rows, color, label)
    middle.set(title="% above the unpruned upper quartile", xlabel="stage of pruning")
    middle.legend(frameon=False)
    trained = evidence.of(TRAINED)
    if trained:
        rows = [
            [100 * trial.log.scalars["accuracy/val"][stage] for stage in stages] for trial in trained.values()
        ]
        draw_band(right, stages, rows, GREEN, "trained")
    right.set(title="accuracy after training, %", xlabel="stage of pruning", ylim=(0, 100))
    add_categories(figure, left)
    return figure


def draw_adversarial(evidence: Evidence) -> Figure | None:
    """Study III: bars over epochs of both (Fig. 4.3), and neurons for target classes (Fig. 4.4)."""
    robust, standard = evidence.of(ROBUST), evidence.of("standard")
    if not robust or not standard:
        return None
    figure = make_figure(3, widths=[1, 1, 1.2])
    left, middle, right = figure.axes
    steps = _spread_steps(robust)[1:]
    for axes, trials, name in ((left, standard, "standard"), (middle, robust, "robust")):
        draw_bars(axes, [str(s) for s in steps], _at_steps(trials, steps), f"{name}, {DEEP}")
        axes.set_xlabel("epoch")
    words = target_classes(evidence)
    places = np.arange(len(words))
    for shift, trials, color, name in ((0.2, standard, BLUE, "standard"), (-0.2, robust, ORANGE, "robust")):
        numbers = [np.mean([count_words(at(t, -1), [word]) for t in trials.values()]) for word in words]
        right.barh(places + shift, numbers, height=0.38, color=color, label=name)
    right.set(title="neurons for target classes at the end", yticks=places)
    right.set_yticklabels(words)
    right.invert_yaxis()
    right.tick_params(length=0)
    right.legend(frameon=False)
    add_categories(figure, left)
    return figure


def draw_fine_tuning(evidence: Evidence) -> Figure | None:
    """Study IV: bars over epochs, mean pairwise distance and d_anchor (Fig. 4.5)."""
    trials = evidence.of(FINE_TUNED)
    if not trials:
        return None
    figure = make_figure(3, widths=[1.2, 1, 1])
    left, middle, right = figure.axes
    steps = _spread_steps(trials)
    draw_bars(left, [str(s) for s in steps], _at_steps(trials, steps), f"fine-tuning on textures, {DEEP}")
    left.set_xlabel("epoch")
    every = sorted(next(iter(trials.values())).run.snapshots[DEEP])
    rows = [[s.mean_pairwise_distance for s in series(trial)] for trial in trials.values()]
    draw_band(middle, every, rows, BLUE, "")
    middle.set(title="mean distance of two neurons", xlabel="epoch")
    draw_curve(right, trials, BLUE, "")
    right.set(title="d_anchor", xlabel="epoch")
    add_categories(figure, left)
    return figure


def draw_regularizer(evidence: Evidence) -> Figure | None:
    """Study V: the columns of Table 3.1 and the number of concepts, a line for each seed."""
    if not evidence.pairs("standard", REGULARIZED):
        return None
    shown = {"standard": ("standard", BLUE), REGULARIZED: ("T = 0.01", GREEN), SMOOTH: ("T = 0.1", ORANGE)}
    shown = {variant: name for variant, name in shown.items() if evidence.of(variant)}
    columns: tuple[tuple[str, Callable[[Trial], float]], ...] = (
        ("accuracy, %", lambda t: 100 * t.log.last("accuracy/val")),
        ("interpretable neurons", lambda t: float(at(t, -1).num_interpretable)),
        ("different concepts", lambda t: float(num_distinct(at(t, -1)))),
        ("d_anchor", lambda t: at(t, -1).anchor_distance),
    )
    figure = make_figure(len(columns), height=2.3)
    for axes, (title, value) in zip(figure.axes, columns, strict=True):
        for seed in evidence.of("standard"):
            line = [
                (place, value(evidence.of(variant)[seed]), color)
                for place, (variant, (_, color)) in enumerate(shown.items())
                if seed in evidence.of(variant)
            ]
            places, values, colors = zip(*line, strict=True)
            axes.plot(places, values, color=GRAY, linewidth=1, zorder=1)
            axes.scatter(places, values, color=colors, s=34, zorder=2)
        axes.set(title=title, xticks=range(len(shown)), xlim=(-0.4, len(shown) - 0.6))
        axes.set_xticklabels([name for name, _ in shown.values()])
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=title != "d_anchor", min_n_ticks=2))
    return figure


def _spread_steps(trials: Mapping[int, Trial], wanted: int = 6) -> list[int]:
    """Up to six steps of a training: before it, after the first epoch, and evenly up to the end."""
    steps = sorted(next(iter(trials.values())).run.snapshots[DEEP])
    if len(steps) <= wanted:
        return steps
    places = np.linspace(1, len(steps) - 1, wanted - 1).round().astype(int)
    return [steps[0], *(steps[place] for place in places)]


def _at_steps(trials: Mapping[int, Trial], steps: Sequence[int]) -> list[list[cm.ConceptSnapshot]]:
    return [
        [trial.run.snapshots[DEEP][step] for trial in trials.values() if step in trial.run.snapshots[DEEP]]
        for step in steps
    ]


DRAWINGS: dict[str, Drawing] = {
    "training": draw_training,
    "lottery_ticket": draw_lottery_ticket,
    "adversarial": draw_adversarial,
    "fine_tuning": draw_fine_tuning,
    "regularizer": draw_regularizer,
}
