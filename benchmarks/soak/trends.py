"""What is read of processes again and again, and whether it grows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import psutil

MIB = 1 << 20
WARM_UP = 1 / 3  # of the time: caches fill, runs come to their number
BLOCKS, STUDENT = 10, 2.306  # means of blocks are nearly independent; 97.5% quantile for 8 degrees of freedom
TOLERATED = {"MiB": 0.03, "": 0.01}  # growth in the time that is judged, as a share of the level
HEAD = ("what", "after the warm-up", "most", "slope in an hour", "verdict")


@dataclass(frozen=True)
class Trend:
    """A straight line through samples of one quantity.

    Attributes:
        name: What was sampled.
        unit: "MiB", or "" for a number.
        level: Mean.
        most: The largest sample.
        slope: Growth in an hour.
        error: Half the width of its 95% interval.
        hours: Time that was judged.
    """

    name: str
    unit: str
    level: float
    most: float
    slope: float
    error: float
    hours: float

    @classmethod
    def of(cls, name: str, unit: str, minutes: list[float], values: list[float]) -> Trend:
        """Fit means of blocks: samples that follow each other are alike, and tell less than they seem to."""
        blocks = [block for block in np.array_split(np.arange(len(values)), BLOCKS) if len(block)]
        hours = np.array([np.mean(np.array(minutes)[block]) / 60 for block in blocks])
        means = np.array([np.mean(np.array(values)[block]) for block in blocks])
        away = hours - hours.mean()
        slope = float(away @ means / (away @ away))
        rest = means - means.mean() - slope * away
        error = float(np.sqrt(rest @ rest / (len(blocks) - 2) / (away @ away)))
        passed = (minutes[-1] - minutes[0]) / 60
        return cls(name, unit, float(np.mean(values)), max(values), slope, STUDENT * error, passed)

    @property
    def grows(self) -> bool:
        """Whether it surely grew, by more than is tolerated."""
        tolerated = TOLERATED[self.unit] * self.level
        if not self.unit:  # of a few handles one more is noise, of the page's 14,000 nodes a hundred are
            tolerated = max(1.0, tolerated)
        return (self.slope - self.error) * self.hours > 0 and self.slope * self.hours > tolerated

    def cells(self) -> list[str]:
        """Cells of a table."""
        digits = 1 if self.unit else 0
        shown = [f"{value:,.{digits}f} {self.unit}".rstrip() for value in (self.level, self.most)]
        slope = f"{self.slope:+.1f} ± {self.error:.1f} {self.unit}".rstrip()
        return [self.name, *shown, slope, "**grows**" if self.grows else "steady"]


@dataclass
class Samples:
    """Everything that was read, by what it is of.

    Attributes:
        minutes: When.
        values: By name and unit.
    """

    minutes: list[float] = field(default_factory=list)
    values: dict[tuple[str, str], list[float]] = field(default_factory=dict)

    def add(self, minute: float, values: Mapping[tuple[str, str], float]) -> None:
        """Take in what was read at a time."""
        self.minutes.append(minute)
        for key, value in values.items():
            self.values.setdefault(key, []).append(value)

    def trends(self) -> list[Trend]:
        """Lines through what came after the warm-up."""
        first = sum(minute < WARM_UP * self.minutes[-1] for minute in self.minutes)
        return [
            Trend.of(name, unit, self.minutes[first:], values[first:])
            for (name, unit), values in self.values.items()
        ]


def weigh(name: str, pid: int) -> dict[tuple[str, str], float]:
    """Memory, open handles and threads of a process."""
    process = psutil.Process(pid)
    with process.oneshot():
        return {
            (f"{name}: memory", "MiB"): process.memory_info().rss / MIB,
            (f"{name}: open handles", ""): process.num_fds(),
            (f"{name}: threads", ""): process.num_threads(),
        }
