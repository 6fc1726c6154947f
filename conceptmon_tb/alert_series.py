"""What is known of a layer over its training, one value per logged step, and simple statistics of that.

Medians throughout: one odd step neither makes a level nor a trend.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

NOISE_STEPS = 60  # the last ones, that tell the noise and the size of a series
# A median of absolute second differences times this is the standard deviation of independent noise: second
# differences have six times its variance, and a normal distribution's median deviation is 0.6745 of it.
_BEND_TO_NOISE = 1.4826 / math.sqrt(6)
_TREND_STEPS = 3  # steps whose median is what a series "was": one step alone is no level

Points = Sequence[Sequence[float]]
"""`[step, value]`, by step."""


@dataclass
class LayerSeries:
    """What is known of one layer, one value per logged step; NaN where a step has none. It only grows.

    Attributes:
        neurons: Neurons of the layer.
        steps: Global steps, rising.
        d_anchor: Anchor distance (Eq. 2.2): low where concepts are diverse.
        mean_pairwise_distance: High where concepts are diverse.
        displacement: Mean displacement since the step before.
        entropy: Differential entropy of the neurons' places: high where concepts are diverse.
        interpretable: Interpretable neurons.
        silent: Dead, constant and non-finite neurons together.
        nonfinite: Non-finite neurons alone.
        loss: Training loss.
        accuracy: Training accuracy, 0 to 1 or 0 to 100.
    """

    neurons: int
    steps: list[int] = field(default_factory=list)
    d_anchor: list[float] = field(default_factory=list)
    mean_pairwise_distance: list[float] = field(default_factory=list)
    displacement: list[float] = field(default_factory=list)
    entropy: list[float] = field(default_factory=list)
    interpretable: list[float] = field(default_factory=list)
    silent: list[float] = field(default_factory=list)
    nonfinite: list[float] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)
    # What was worked out of the steps so far, so that a long training does not slow down.
    _seen: dict[str, tuple[int, list[list[float]]]] = field(default_factory=dict, repr=False)
    _best: dict[tuple[str, int, int], tuple[int, list[float] | None]] = field(
        default_factory=dict, repr=False
    )

    def known(self, name: str) -> list[list[float]]:
        """`[step, value]` of a column where it has one, by step."""
        start, points = self._seen.get(name, (0, []))
        column: list[float] = getattr(self, name)
        for step, value in zip(self.steps[start:], column[start:], strict=True):
            if math.isfinite(value):
                points.append([step, value])
        self._seen[name] = (len(column), points)
        return points

    def best_before(self, name: str, recent: int, sign: int) -> list[float] | None:
        """`[step, level]` of the best level before the last known points; the first point counts as it is.

        Args:
            name: Name of the column.
            recent: How many points at the end do not count.
            sign: 1 where more is better, -1 where less is.
        """
        points = self.known(name)
        start, best = self._best.get((name, recent, sign), (0, None))
        end = max(start, len(points) - recent)
        for i in range(start, end):
            level = median(values_of(points[max(0, i + 1 - _TREND_STEPS) : i + 1]))
            if best is None or sign * level > sign * best[1]:
                best = [points[i][0], level]
        self._best[name, recent, sign] = (end, best)
        return best


def values_of(points: Points) -> list[float]:
    """The values of `[step, value]` points."""
    return [value for _, value in points]


def unbroken_points(series: LayerSeries, name: str, count: int) -> list[list[float]] | None:
    """The last points where none of them is missing; None otherwise."""
    points = series.known(name)[-count:]
    return points if len(series.steps) >= count and [s for s, _ in points] == series.steps[-count:] else None


def last_points(series: LayerSeries, name: str, count: int) -> list[list[float]] | None:
    """The last points, the newest of this very step; None where the step has none or there are too few."""
    points = series.known(name)
    if len(points) < count or points[-1][0] != series.steps[-1]:
        return None
    return points[-count:]


def trend_of(points: Points) -> float:
    """By how much the points rise from first to last along a line of the median slope (Theil and Sen)."""
    values = values_of(points)
    slopes = [
        (values[j] - values[i]) / (j - i) for i in range(len(values)) for j in range(i + 1, len(values))
    ]
    return median(slopes) * (len(values) - 1)


def noise_of(points: Points) -> float:
    """Standard deviation of a series' noise whatever its trend: how points stand off their neighbours."""
    known = values_of(points[-NOISE_STEPS:])
    bends = [abs(a - 2 * b + c) for a, b, c in zip(known, known[1:], known[2:], strict=False)]
    return _BEND_TO_NOISE * median(bends) if bends else 0.0


def usual_hop(values: Sequence[float]) -> float:
    """How far a series usually goes from one step to the next; one jump alone does not count."""
    hops = [abs(after - before) for before, after in pairwise(values)]
    return median(hops) if len(hops) > _TREND_STEPS else 0.0
