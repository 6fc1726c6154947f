"""Which of the things in a run count, and which are left from a session that was resumed or repeated.

The same rules as in `read_run`: a START event hides what was logged before it from its step on; of a step
that was logged twice, the later good payload counts. The judge also knows where TensorBoard's loaders see it
otherwise: the fast one ignores START events and goes by steps that come again, the Python one ignores the
first START event of a run and never hides a repeated step.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from conceptmon_tb.doctor.survey import Entry, FileSurvey, Place, RunSurvey

_NEVER = 1 << 62


class Judge:
    """Judges one run, or one of two that were written to one folder.

    Args:
        run: What the folder holds.
        files: Indices of the files that belong together.

    Attributes:
        files: As given, in order.
        entries: Concept payloads of these files.
        chosen: Payloads that count, by layer, kind and step.
        layers: Complete steps of each layer that count, sorted.
    """

    def __init__(self, run: RunSurvey, files: Sequence[int]) -> None:
        self.run, self.files = run, sorted(files)
        self.entries = [entry for entry in run.entries if entry.place[0] in set(files)]
        starts = [((index, number), step) for index in self.files for number, step in run.files[index].starts]
        self._places = [place for place, _ in starts]
        self._least = _least_from([step for _, step in starts])
        self.chosen: dict[tuple[str, str, int], Entry] = {}
        for entry in self.entries:
            if not entry.code and not self.is_purged(entry.place, entry.step):
                self.chosen[entry.layer, entry.kind, entry.step] = entry
        self.layers = self._complete_steps()
        self._again = self._steps_again()

    def is_purged(self, place: Place, step: int) -> bool:
        """Whether a later session started again at this step or before."""
        return self._least[bisect_right(self._places, place)] <= step

    def is_shown_by_python(self, place: Place, step: int) -> bool:
        """Whether TensorBoard's Python loader shows it: the first START of a run hides nothing there."""
        later = max(bisect_right(self._places, place), 1)
        return later >= len(self._least) or self._least[later] > step

    def is_shown_by_fast(self, entry: Entry) -> bool:
        """Whether TensorBoard's fast loader shows it: no later value of its tag has a step up to this."""
        return self._again[entry.layer, entry.kind, entry.place] > entry.step

    def metrics(self, *, purged: bool) -> list[Entry]:
        """One entry for each epoch of each layer that was logged, those that count or the others."""
        return [
            entry
            for entry in self.entries
            if entry.kind == "metrics" and self.is_purged(entry.place, entry.step) is purged
        ]

    def spaces(self) -> dict[str, Entry]:
        """Good definitions of spaces by fingerprint; one that was not purged where there is one."""
        found: dict[str, Entry] = {}
        for entry in self.entries:
            if entry.kind == "space" and not entry.code:
                known = found.get(entry.space)
                if known is None or self.is_purged(known.place, known.step):
                    found[entry.space] = entry
        return found

    def used_spaces(self) -> dict[str, int]:
        """Fingerprints that epochs which count are in, with the first step of each."""
        used: dict[str, int] = {}
        for layer, steps in self.layers.items():
            for step in steps:
                space = self.chosen[layer, "metrics", step].space
                used[space] = min(step, used.get(space, step))
        return used

    def logged_again(self, index: int, tag: str) -> npt.NDArray[np.bool_]:
        """Which values of a tag in a file have a step that a later file has too, and were not purged.

        Args:
            index: Of the file.
            tag: A tag that holds no concept payloads.
        """
        steps = np.asarray(self.run.files[index].tag_steps[tag], np.int64)
        later = [self.run.files[other].tag_steps.get(tag) for other in self.files if other > index]
        parts = [np.asarray(part, np.int64) for part in later if part is not None]
        if not parts:
            return np.zeros(len(steps), bool)
        again: npt.NDArray[np.bool_] = np.isin(steps, np.concatenate(parts))
        return again & (steps < self._least[bisect_right(self._places, (index, _NEVER))])

    def _complete_steps(self) -> dict[str, list[int]]:
        layers: dict[str, list[int]] = defaultdict(list)
        for layer, kind, step in self.chosen:
            if kind == "metrics" and (layer, "neurons", step) in self.chosen:
                layers[layer].append(step)
        return {layer: sorted(steps) for layer, steps in sorted(layers.items())}

    def _steps_again(self) -> dict[tuple[str, str, Place], int]:
        """For each entry the least step that its tag has after it."""
        least: dict[tuple[str, str], int] = {}
        again: dict[tuple[str, str, Place], int] = {}
        for entry in reversed(self.entries):
            tag = entry.layer, entry.kind
            again[entry.layer, entry.kind, entry.place] = least.get(tag, _NEVER)
            least[tag] = min(entry.step, least.get(tag, _NEVER))
        return again


def split_writers(run: RunSurvey) -> list[list[int]]:
    """Tell apart runs that were written to one folder at the same time.

    Args:
        run: What the folder holds.

    Returns:
        Indices of files that belong together, a list for each writer; one list where nothing overlaps, or
        where what overlaps has no tag in common.
    """
    tags = [_tags(run, index) for index in range(len(run.files))]
    lanes: list[list[int]] = []
    for index, file in enumerate(run.files):
        if not file.records:
            continue
        free = [
            lane
            for lane in lanes
            if not any(_overlap(run.files[i], file) and tags[i] & tags[index] for i in lane)
        ]
        own = [lane for lane in free if file.writer and run.files[lane[-1]].writer == file.writer]
        if free:
            (own or free)[0].append(index)
        else:
            lanes.append([index])
    return lanes or [[]]


def _tags(run: RunSurvey, index: int) -> set[tuple[str, str]]:
    concepts = {(entry.layer, entry.kind) for entry in run.entries if entry.place[0] == index}
    return concepts | {(tag, "") for tag in run.files[index].tag_steps}


def _overlap(first: FileSurvey, second: FileSurvey) -> bool:
    times = (first.created, first.last_time, second.created, second.last_time)
    if any(map(math.isnan, times)):
        return False
    return first.created < second.last_time and second.created < first.last_time


def _least_from(steps: list[int]) -> list[int]:
    """The least of the steps from each place on; behind the last one a number above all steps."""
    least = [_NEVER]
    for step in reversed(steps):
        least.append(min(step, least[-1]))
    return least[::-1]
