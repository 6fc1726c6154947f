"""What the dissertation's chapter 7 claims of alignment and of reverting, and what the story's runs measured.

Repetitions are seeds of the embedding for alignment and samples of pictures for the revert test, each of one
training. What is claimed of diversity is in `diversity`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from conceptmon_tb.evolution import RevertTest
from conceptmon_tb.evolution.revert import RANDOM
from demo.case_studies.claims.base import Measured, Verdict, judge, spread
from demo.conceptevo.alignment import CHANCE
from demo.conceptevo.measured import FRESH, SAME, SETTINGS, TURNED, UNIFIED


class Claim(NamedTuple):
    """One claim and what was measured for it.

    Attributes:
        text: What is claimed.
        paper: What the dissertation measured, and where.
        measured: What was measured here.
    """

    text: str
    paper: str
    measured: Measured

    @property
    def verdict(self) -> Verdict:
        """The verdict, by the rule of the case studies."""
        return judge(self.measured)


class Figures:
    """Figures of alignment over seeds of the embedding.

    Args:
        alignment: As `Measures.alignment` gives it.
    """

    def __init__(self, alignment: Mapping[str, Any]) -> None:
        self._methods = alignment["methods"]

    def of(self, method: str, setting: str, figure: str) -> np.ndarray:
        """One figure of a method and a setting, for each seed."""
        return np.array([told[setting][figure] for told in self._methods[method]], np.float64)

    def drift(self, method: str) -> np.ndarray:
        """The drift of the base network's neurons, for each seed."""
        return np.array([told["drift"] for told in self._methods[method]], np.float64)


def alignment_claims(alignment: Mapping[str, Any]) -> Iterator[Claim]:
    """Section 7.3.2 (Q1, Fig. 7.5) and section 7.3.6 (Fig. 7.10)."""
    figures = Figures(alignment)
    area, balanced = (
        {setting: figures.of(UNIFIED, setting, figure) for setting in SETTINGS}
        for figure in ("area", "balanced")
    )
    papers = {
        "base": "AUC 0.90, of people's answers",
        "epochs": "between 0.90 and 0.86",
        "networks": "between 0.90 and 0.86",
        "both": "0.86",
    }
    names = {
        "base": "of the base network",
        "epochs": "of the base network at different epochs",
        "networks": "of different networks",
        "both": "of different networks at different epochs",
    }
    for setting, name in names.items():
        near = figures.of(UNIFIED, setting, "nearest")
        by_chance = figures.of(UNIFIED, setting, "chance")
        text = (
            f"AUC of 'same concept' {tell(area[setting])}, {tell(balanced[setting])} where each concept "
            f"counts alike, chance 0.50; the nearest one detects the same for {tell(near, '.0%')}, by chance "
            f"{tell(by_chance, '.0%')}"
        )
        paper = f"{papers[setting]}; *section 7.3.2, Fig. 7.5*"
        lower = np.minimum(area[setting], balanced[setting])
        yield Claim(f"Neighbours {name} share concepts.", paper, Measured(text, margins(lower - 0.5)))
    kept, alike = ((told["both"] - 0.5) / (told["base"] - 0.5) for told in (area, balanced))
    yield Claim(
        "Alignment stays high across networks and epochs: more than half of what the base has above chance.",
        "0.86 after 0.90, which is 90% of it; *section 7.3.2*",
        Measured(
            f"{tell(kept, '.0%')} of it; {tell(alike, '.0%')} where each concept counts alike",
            margins(np.minimum(kept, alike) - 0.5),
        ),
    )
    yield from intruder_claims(figures)
    yield from comparison_claims(figures)


def intruder_claims(figures: Figures) -> Iterator[Claim]:
    """Fig. 7.4: five neurons of a group, and one that does not belong."""
    grouped = {setting: figures.of(UNIFIED, setting, "grouped") for setting in ("base", "epochs", "both")}
    text = (
        f"the ground truth finds {tell(grouped['base'], '.0%')} of the intruders within the base, "
        f"{tell(grouped['epochs'], '.0%')} across its epochs, {tell(grouped['both'], '.0%')} across networks "
        f"and epochs; by chance {CHANCE:.0%}"
    )
    worst = np.min(list(grouped.values()), axis=0)
    yield Claim(
        "Groups by K-means are coherent: an intruder is told from five neurons of a group.",
        "people tell them; *section 7.3.2, Fig. 7.4*",
        Measured(text, margins(worst - CHANCE)),
    )
    picked = figures.of(UNIFIED, "networks", "picked")
    yield Claim(
        "Of six neurons of different networks, five of which detect the same, distance tells the sixth.",
        "*section 7.3.2*",
        Measured(f"{tell(picked, '.0%')}, by chance {CHANCE:.0%}", margins(picked - CHANCE)),
    )


def comparison_claims(figures: Figures) -> Iterator[Claim]:
    """Fig. 7.10: one space against an embedding for each epoch."""
    source = "shown, not measured; *section 7.3.6, Fig. 7.10*"
    for setting, name in (("epochs", "epochs"), ("networks", "networks")):
        ours, theirs = (figures.of(method, setting, "area") for method in (UNIFIED, FRESH))
        yield Claim(
            f"One space aligns {name} better than an embedding for each epoch, which drifts.",
            source,
            Measured(f"AUC {tell(ours)} against {tell(theirs)}", margins(ours - theirs)),
        )
    drift = {method: figures.drift(method) for method in (UNIFIED, FRESH, SAME, TURNED)}
    yield Claim(
        "Neurons that keep their concept stay nearer to their place in one space.",
        source,
        Measured(
            f"drift {tell(drift[UNIFIED])} of the distance of two neurons against {tell(drift[FRESH])}",
            margins(drift[FRESH] - drift[UNIFIED]),
        ),
    )
    ours = figures.of(UNIFIED, "epochs", "area")
    mended = np.maximum(*(figures.of(method, "epochs", "area") for method in (SAME, TURNED)))
    yield Claim(
        "One space also aligns epochs better than embeddings that start alike, or are turned onto the last "
        "epoch.",
        "not tried",
        Measured(f"AUC {tell(ours)} against {tell(mended)} of the better one", margins(ours - mended)),
    )


def revert_claims(test: RevertTest) -> Iterator[Claim]:
    """Section 7.3.4: what reverting evolutions costs."""
    by_repeat = test.change.mean(axis=(1, 2), dtype=np.float64)  # (repeats, bins)
    bins = [place for place, name in enumerate(test.bins) if name != RANDOM]
    rows = [f"{row.name} {100 * row.change:+.1f} ± {100 * row.over_repeats:.1f}" for row in test.table()]
    text = f"{', '.join(rows)} points of accuracy"
    yield Claim(
        "Reverting more important evolutions costs more accuracy, quarter by quarter.",
        "*section 7.3.4, Fig. 7.7*",
        Measured(text, margins(np.diff(by_repeat[:, bins], axis=1).min(axis=1))),
    )
    gain = by_repeat[:, test.bins.index(RANDOM)] - by_repeat[:, 0]
    yield Claim(
        "The most important quarter costs more than as many evolutions drawn at random.",
        "*section 7.3.4, Fig. 7.7*",
        Measured(f"{tell(100 * gain, '.1f')} points more", margins(gain)),
    )


def tell(values: np.ndarray, form: str = ".2f") -> str:
    """Mean and deviation over repetitions."""
    return spread(dict(enumerate(values.tolist())), form)


def margins(values: np.ndarray) -> tuple[float, ...]:
    """By how much each repetition agrees."""
    return tuple(values.tolist())
