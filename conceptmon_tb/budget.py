"""Looking at a model within a given time: as many probe images as fit, chosen once and then kept.

What one epoch's look costs grows with the images: forward passes, then scoring. Both are timed on a few
batches before the first epoch is logged, so that all epochs look at the same images and can be compared.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch

from conceptmon_tb.activations import Activations
from conceptmon_tb.arguments import check_number
from conceptmon_tb.call_site import level_outside
from conceptmon_tb.collecting import Collected
from conceptmon_tb.detectors import MapScan, Reference
from conceptmon_tb.distributed import Ranks
from conceptmon_tb.explanation import Explainer
from conceptmon_tb.functional.null import seeded_generator
from conceptmon_tb.observation import Observer, observe_layer
from conceptmon_tb.patches import Peaks
from conceptmon_tb.probe import ProbeSet
from conceptmon_tb.stratify import choose_images

LEAST_IMAGES = 200
"""Fewer are never chosen: labels would mean little."""

NUM_BATCHES = 3
"""Batches that are timed."""

_SPARED = 0.1  # of the time: the machine may be busier later
_STANDING = 3  # looks in a row that are too slow


class Cost(NamedTuple):
    """What one observation cost.

    Attributes:
        images: Probe images looked through.
        forward_seconds: Running them through the model, `collect`.
        scoring_seconds: Naming concepts, `score`.
    """

    images: int
    forward_seconds: float
    scoring_seconds: float

    @property
    def seconds(self) -> float:
        """Both together."""
        return self.forward_seconds + self.scoring_seconds


@dataclass
class Timing:
    """What was measured on a few batches.

    Attributes:
        forward: Seconds for each image in the forward passes.
        reading: Seconds for each image to be read and transformed.
        fixed: Seconds of scoring that do not depend on the images.
        scoring: Seconds of scoring for each image.
        cached: Images that fit in the probe's cache: those are read only once.
    """

    forward: float
    reading: float
    fixed: float
    scoring: float
    cached: float = math.inf

    def seconds(self, images: int) -> float:
        """What a look at so many images takes."""
        reading = self.reading if images > self.cached else 0.0
        return self.fixed + images * (self.forward + self.scoring + reading)

    def shared(self, ranks: int) -> Timing:
        """The timing where so many ranks share forward passes and reading, and one of them scores."""
        return replace(self, forward=self.forward / ranks, reading=self.reading / ranks)

    def fitting(self, seconds: float) -> int:
        """How many images can be looked at in a time."""
        left, each = max(0.0, seconds - self.fixed), self.forward + self.scoring
        in_memory = min(left / max(each, 1e-12), self.cached)
        return int(max(in_memory, left / max(each + self.reading, 1e-12)))


class TimeBudget:
    """Seconds that a look may take, the choice that follows from them, and a watch over it.

    Args:
        max_seconds: For one epoch's look: forward passes and scoring.
    """

    def __init__(self, max_seconds: float) -> None:
        self.max_seconds = max_seconds
        self._looks: list[float] = []
        self._has_told = False

    def choose_size(self, total: int, timing: Timing) -> int:
        """Decide how many images are looked at.

        Args:
            total: Images of the whole probe set.
            timing: What was measured.

        Returns:
            At least `LEAST_IMAGES` of them, as far as there are so many; rounded down to two digits, so
            that a repetition on the same machine is likely to choose the same.
        """
        fitting = timing.fitting(self.max_seconds * (1 - _SPARED))
        return total if fitting >= total else min(total, max(LEAST_IMAGES, _round_down(fitting)))

    def tell_choice(self, size: int, total: int, timing: Timing) -> None:
        """Warn of a choice, in words and with both numbers.

        Args:
            size: Images chosen.
            total: Of so many.
            timing: What was measured.
        """
        message = (
            f"max_seconds={self.max_seconds:g}: a look at all {total:,} probe images would take about "
            f"{timing.seconds(total):.2g} s, so every epoch looks at the same {size:,} of {total:,}"
        )
        if timing.seconds(size) > self.max_seconds:
            message += f", which still take about {timing.seconds(size):.2g} s: fewer would mean little"
        else:
            message += ". Labels are less certain with fewer images"
        warnings.warn(f"{message} (docs/cost.md)", UserWarning, stacklevel=level_outside())

    def watch(self, seconds: float, size: int, total: int) -> None:
        """Say once when look after look takes too long; the choice stays.

        Args:
            seconds: What the last look took. The first one is not counted: it prepares what holds still.
            size: Images looked at.
            total: Of so many.
        """
        self._looks.append(seconds)
        last = self._looks[1:][-_STANDING:]
        if self._has_told or len(last) < _STANDING or min(last) <= self.max_seconds:
            return
        self._has_told = True
        warnings.warn(
            f"max_seconds={self.max_seconds:g}, but the last {_STANDING} looks at the model took "
            f"{', '.join(f'{s:.2g}' for s in last)} s, with {size:,} of {total:,} probe images. The images "
            f"stay, so that epochs compare; look at fewer epochs (every_n_epochs), or begin a new run for "
            f"another choice",
            UserWarning,
            stacklevel=level_outside(),
        )


def make_budget(max_seconds: float | None) -> TimeBudget | None:
    """Return a budget of so many seconds; None where any time will do.

    Args:
        max_seconds: Argument of the monitor.

    Raises:
        TypeError: It is no number.
        ValueError: It is not above 0, or not finite.
    """
    return None if max_seconds is None else TimeBudget(check_number("max_seconds", max_seconds, 0, math.inf))


def agree_on_size(budget: TimeBudget, total: int, time_mine: Callable[[], Timing], ranks: Ranks) -> int:
    """Decide with all ranks how many images are looked at, and warn where it is a part of them.

    Args:
        budget: Of a look.
        total: Images of the whole probe set.
        time_mine: Times a look at the whole of it on this rank; not called for a small probe set.
        ranks: Those that look together; what the first one measured counts.

    Returns:
        The number of images, the same on all ranks.
    """
    if total <= LEAST_IMAGES:
        return total
    mine = ranks.agree(time_mine, "timing a look at the model")
    timing = ranks.exchange(mine)[0].shared(ranks.size)
    size = budget.choose_size(total, timing)
    if size < total and ranks.leads:
        budget.tell_choice(size, total, timing)
    return size


def time_a_look(
    run: Callable[[Reference], Collected],
    observer: Observer,
    tracked: Mapping[str, Sequence[int]],
) -> Timing:
    """Time forward passes and scoring on a few batches of the probe set.

    What the pictures are to the encoder does not change the time: random vectors stand for that, so that
    nothing is encoded in vain.

    Args:
        run: Runs the probe of a reference through the model.
        observer: What holds still.
        tracked: Neurons to follow, by layer.

    Returns:
        The timing. What a captioner takes is not in it: that does not depend on the number of images.
    """
    whole = observer.reference.probe
    count = min(len(whole), NUM_BATCHES * whole.batch_size)
    probe = whole.part(choose_images(len(whole), count, seed=observer.reference.seed))
    reference = _stand_in(observer.reference, probe)
    start = time.perf_counter()
    run(reference)
    first = time.perf_counter() - start
    start = time.perf_counter()
    collected = run(reference)
    again = time.perf_counter() - start
    fixed, scoring = 0.0, 0.0
    if getattr(observer.detector, "takes_longer_with_images", True):
        fixed, scoring = _time_scoring(
            collected.activations, collected.scan, replace(observer, reference=reference), tracked
        )
    is_cached = whole.num_cached >= count
    return Timing(
        forward=again / count,
        reading=max(0.0, first - again) / count if is_cached else 0.0,
        fixed=fixed,
        scoring=scoring,
        cached=whole.num_cached,
    )


def _time_scoring(
    activations: Mapping[str, Activations],
    scan: MapScan | None,
    observer: Observer,
    tracked: Mapping[str, Sequence[int]],
) -> tuple[float, float]:
    """Seconds that do not depend on the images, and for each image."""
    count = len(observer.reference.probe)
    whole = _time_scoring_of(count, activations, scan, observer, tracked)
    part = max(1, count // NUM_BATCHES)
    if scan is not None or part == count:
        return 0.0, whole / count  # what a detector gathered of all images cannot be had of some
    smaller = _time_scoring_of(part, activations, scan, observer, tracked)
    each = max(0.0, whole - smaller) / (count - part)
    return max(0.0, whole - each * count), each


def _time_scoring_of(
    count: int,
    activations: Mapping[str, Activations],
    scan: MapScan | None,
    observer: Observer,
    tracked: Mapping[str, Sequence[int]],
) -> float:
    """Seconds when the concept side is prepared already, as it is at every epoch but the first."""
    probe = observer.reference.probe.part(range(count))
    reference = _stand_in(observer.reference, probe)
    explainer = observer.explainer and Explainer(reference.text_embedding)
    some = replace(observer, reference=reference, explainer=explainer)
    seconds = 0.0
    for _ in range(2):
        start = time.perf_counter()
        for layer, (values, peaks) in activations.items():
            seen = Activations(values[:count], peaks and Peaks(peaks.cell[:count], peaks.grid))
            observe_layer(layer, seen, some, tracked.get(layer, ()), None, scan)
        seconds = time.perf_counter() - start
    return seconds


def _stand_in(reference: Reference, probe: ProbeSet) -> Reference:
    """The reference with another probe and with random vectors for its pictures."""
    made = replace(reference, probe=probe, progress=False)
    shape = len(probe), len(reference.text_embedding)
    cosines = torch.rand(shape, generator=seeded_generator(reference.seed, "timing"), dtype=torch.float32)
    vars(made)["concept_activations"] = cosines.to(reference.device)
    return made


def _round_down(count: int) -> int:
    """To two digits."""
    step = int(10 ** max(0, int(math.log10(max(count, 1))) - 1))
    return count // step * step
