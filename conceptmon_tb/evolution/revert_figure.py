"""Fig. 7.7 of the dissertation: what reverting evolutions costs, by their importance.

Needs matplotlib: `pip install "conceptmon-tb[export]"`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from conceptmon_tb.evolution.revert import RANDOM, RevertTest

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BAR, _BASELINE, _INK, _FAINT = "#2268e2", "#a9a9a4", "#1a1d21", "#e8e7e3"


def draw_revert_test(tests: RevertTest | Sequence[RevertTest]) -> Figure:
    """Draw the change in accuracy for each bin of importance, one panel for each pair of epochs.

    Bars are means over classes, layers and repeats. Dots are the repeats; lines the standard deviation over
    classes.

    Args:
        tests: One test or several, of the same bins.

    Returns:
        The figure; `figure.savefig(path)` writes it.

    Raises:
        ImportError: There is no matplotlib.
        ValueError: There is no test.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError('figures need matplotlib: pip install "conceptmon-tb[export]"') from error
    shown = [tests] if isinstance(tests, RevertTest) else list(tests)
    if not shown:
        raise ValueError("tests is empty; give one at least")
    figure = Figure(figsize=(4.2 * len(shown), 3.2), layout="constrained", facecolor="white")
    panels = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
    for axes, test in zip(panels, shown, strict=True):
        rows = test.table()
        values = [100 * row.change for row in rows]
        colors = [_BASELINE if row.name == RANDOM else _BAR for row in rows]
        places = range(len(rows))
        axes.bar(places, values, color=colors, width=0.7)
        axes.errorbar(
            places, values, [100 * row.over_classes for row in rows], fmt="none", ecolor=_INK, elinewidth=0.8
        )
        for of_repeat in 100 * test.change.mean(axis=(1, 2)):
            axes.plot(places, of_repeat, ".", color=_INK, markersize=4, alpha=0.6)
        axes.axhline(0, color=_INK, linewidth=0.8)
        axes.set_xticks(list(places), [row.name for row in rows])
        axes.set_xlabel("evolutions reverted, most important first")
        axes.set_title(f"step {test.to_step} back to {test.from_step}", loc="left")
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color=_FAINT)
        axes.set_axisbelow(True)
    panels[0].set_ylabel("change in accuracy (points)")
    return figure
