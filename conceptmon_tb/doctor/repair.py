"""A clean copy of a log directory: `repair(logdir, out)`.

Each run becomes one event file: a START event at step 0, so that a later `purge_step` works in both of
TensorBoard's loading modes; then concept spaces and thumbnails; then everything that counts, in order of
steps. Values of other plugins are copied as they are. Records are read and written one at a time.
"""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from tensorboard.compat.proto import event_pb2, summary_pb2

from conceptmon_tb.doctor.examine import find_runs, run_name
from conceptmon_tb.doctor.judge import Judge, split_writers
from conceptmon_tb.doctor.survey import (
    Entry,
    Place,
    RunSurvey,
    kind_by_itself,
    payload_bytes,
    payload_kind,
    survey_run,
)
from conceptmon_tb.event_files import frame_record, read_record_at
from conceptmon_tb.metadata import IMAGES_TAG, SPACE_TAG, make_metadata

_SOURCE = "conceptmon_tb.doctor"
_ENDING, _UNFINISHED = ".conceptmon-doctor.0.0", "unfinished"


@dataclass(frozen=True)
class RepairedRun:
    """One run of a clean copy.

    Attributes:
        name: The run in the original.
        path: Its event file in the copy.
        events: Number of events with values that were written.
        dropped: Number of values that were left out: purged, repeated, damaged or of incomplete epochs.
        salvaged: Number of events among `events` that TensorBoard could not reach in the original.
    """

    name: str
    path: str
    events: int
    dropped: int
    salvaged: int


@dataclass(frozen=True)
class Repair:
    """A clean copy.

    Attributes:
        out: Where it is.
        runs: What became of each run; two where two writers had written to one directory.
    """

    out: str
    runs: tuple[RepairedRun, ...]


def repair(logdir: str | Path, out: str | Path, progress: Callable[[int], object] | None = None) -> Repair:
    """Write a clean copy of a log directory. The original is only read.

    Args:
        logdir: A directory with event files in it or below it.
        out: Directory for the copy: absent or empty, and apart from `logdir`.
        progress: Called with the number of bytes read since the last call; all is read twice.

    Returns:
        What was written.

    Raises:
        FileNotFoundError: There is no such directory, or no event file in it.
        NotADirectoryError: `logdir` or `out` is a file.
        ValueError: `out` is not empty, or it is in `logdir` or the other way round.
        OSError: The copy cannot be written; what there was of it is removed again.
    """
    top, target = Path(logdir), Path(out)
    folders = find_runs(top)
    check_out(top, target)
    before = {path for path in (target, *target.parents) if path.exists()}
    try:
        return Repair(str(out), tuple(_write_runs(top, folders, target, progress)))
    except BaseException:
        _remove(target, before)
        raise


def _write_runs(
    top: Path, folders: Sequence[Path], target: Path, progress: Callable[[int], object] | None
) -> Iterator[RepairedRun]:
    taken = {run_name(top, folder) for folder in folders}
    for folder in folders:
        name = run_name(top, folder)
        run = survey_run(folder, progress)
        for number, lane in enumerate(split_writers(run)):
            place = name if number == 0 else _free_name(name, taken)
            taken.add(place)
            if any(run.files[index].records for index in lane):
                yield _write_run(run, Judge(run, lane), name, target / place, progress)


def _remove(target: Path, before: set[Path]) -> None:
    """Take half a copy away again, by the names that we give; folders only if nothing else is in them."""
    for folder, _, names in os.walk(target, topdown=False):
        for name in names:
            if name == _UNFINISHED or name.endswith(_ENDING):
                Path(folder, name).unlink(missing_ok=True)
        if Path(folder) not in before:
            with suppress(OSError):
                Path(folder).rmdir()
    for parent in target.parents:
        if parent not in before:
            with suppress(OSError):
                parent.rmdir()


def check_out(logdir: str | Path, out: str | Path) -> None:
    """Check that a clean copy may be written to a place.

    Args:
        logdir: The original.
        out: The place.

    Raises:
        NotADirectoryError: `out` is a file.
        ValueError: `out` is not empty, or it is in `logdir` or the other way round.
    """
    source, target = Path(logdir).resolve(), Path(out).resolve()
    if target == source or source in target.parents or target in source.parents:
        raise ValueError(
            f"OUT {str(out)!r} must be apart from LOGDIR {str(logdir)!r}, neither in it nor above it"
        )
    if any(folder.resolve() in (target, *target.parents) for folder in find_runs(logdir)):
        raise ValueError(f"OUT {str(out)!r} must be apart from LOGDIR, which has links to runs there")
    if not target.exists():
        return
    if not target.is_dir():
        raise NotADirectoryError(f"OUT {str(out)!r} is a file; pass a directory that is absent or empty")
    if any(target.iterdir()):
        raise ValueError(f"OUT {str(out)!r} is not empty; pass a directory that is absent or empty")


def _write_run(
    run: RunSurvey, judge: Judge, name: str, folder: Path, progress: Callable[[int], object] | None
) -> RepairedRun:
    folder.mkdir(parents=True, exist_ok=True)
    first = run.files[judge.files[0]]
    created = first.created if first.created == first.created else 0.0
    path = folder / f"events.out.tfevents.{int(created):010d}{_ENDING}"
    unfinished = folder / _UNFINISHED  # no name of an event file until it is whole
    copy = _Copy(run, judge)
    with unfinished.open("wb") as file, _Sources(run) as sources:
        for event in _opening(created):
            file.write(frame_record(event.SerializeToString()))
        for event in (*_others(judge, sources), *copy.shared_events(sources)):
            file.write(frame_record(event.SerializeToString()))
        for data in copy.epochs(sources):
            file.write(frame_record(data))
            if progress is not None:
                progress(len(data))
        file.flush()
        os.fsync(file.fileno())
    unfinished.rename(path)
    return RepairedRun(name, str(path), copy.events, copy.dropped, copy.salvaged)


def _opening(created: float) -> Iterator[event_pb2.Event]:
    source = event_pb2.SourceMetadata(writer=_SOURCE)
    yield event_pb2.Event(wall_time=created, file_version="brain.Event:2", source_metadata=source)
    start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
    yield event_pb2.Event(wall_time=created, step=0, session_log=start)


def _others(judge: Judge, sources: _Sources) -> Iterator[event_pb2.Event]:
    """Graphs and run metadata; what each session wrote again is written once, as the last one had it."""
    last: dict[str, event_pb2.Event] = {}
    for index in judge.files:
        for offset in judge.run.files[index].others:
            event = sources.read(index, offset)
            kind = event.WhichOneof("what") or ""
            last[f"{kind} {event.tagged_run_metadata.tag}"] = event
    yield from last.values()


class _Copy:
    """Decides value by value what goes into the copy."""

    def __init__(self, run: RunSurvey, judge: Judge) -> None:
        self._run, self._judge = run, judge
        self.events = self.dropped = self.salvaged = 0
        self._kept = self._kept_payloads()
        self._described: set[str] = set()
        self._bad = {(e.kind, e.place) for e in judge.entries if e.kind in ("alerts", "evolutions")}
        self._again: dict[tuple[int, str], frozenset[int]] = {}
        for index in judge.files:
            for tag, steps in run.files[index].tag_steps.items():
                again = np.asarray(steps, np.int64)[judge.logged_again(index, tag)]
                self._again[index, tag] = frozenset(again.tolist())

    def shared_events(self, sources: _Sources) -> Iterator[event_pb2.Event]:
        """Spaces in the order of their use, then thumbnails, each at a step of its own."""
        used, spaces = self._judge.used_spaces(), self._judge.spaces()
        chosen = [(step, spaces[space]) for space, step in used.items() if space in spaces]
        chosen.sort(key=lambda item: item[0])
        atlases = self._atlases()
        shared = sum(entry.kind in ("space", "images") for entry in self._judge.entries)
        self.dropped += shared - len(chosen) - len(atlases)
        for tag, entries in ((SPACE_TAG, chosen), (IMAGES_TAG, atlases)):
            last = None
            for wanted, entry in entries:
                last = wanted if last is None else max(wanted, last + 1)
                yield self._restep(sources.read(entry.place[0], entry.offset), tag, last)

    def epochs(self, sources: _Sources) -> Iterator[bytes]:
        """Serialised events with the values that count, in order of steps."""
        files = [self._run.files[index] for index in self._judge.files]
        steps, numbers, offsets = (
            np.concatenate([np.asarray(getattr(file, name), np.int64) for file in files])
            for name in ("steps", "numbers", "offsets")
        )
        indices = np.repeat(self._judge.files, [len(file.steps) for file in files])
        for row in np.lexsort((numbers, indices, steps)):
            place, step, offset = (int(indices[row]), int(numbers[row])), int(steps[row]), int(offsets[row])
            event = sources.read(place[0], offset)
            values = [value for value in event.summary.value if self._is_kept(place, step, value)]
            gone = len(event.summary.value) - len(values)
            self.dropped += gone - sum(value.tag in (SPACE_TAG, IMAGES_TAG) for value in event.summary.value)
            if not values:
                continue
            lost_at = self._run.files[place[0]].lost_at
            self.events += 1
            self.salvaged += lost_at is not None and offset > lost_at
            self._describe(values)
            yield event_pb2.Event(
                wall_time=event.wall_time, step=step, summary=summary_pb2.Summary(value=values)
            ).SerializeToString()

    def _describe(self, values: list[summary_pb2.Summary.Value]) -> None:
        """Give the first value of each tag its metadata: some writers send it only once."""
        for value in values:
            if value.tag not in self._described:
                self._described.add(value.tag)
                metadata = self._run.metadata.get(value.tag)
                if metadata is not None and not value.HasField("metadata"):
                    value.metadata.CopyFrom(metadata)

    def _kept_payloads(self) -> set[tuple[str, str, Place]]:
        """Payloads of complete epochs whose space is known, and those that only a newer version can read."""
        spaces = self._judge.spaces()
        kept = set()
        for layer, steps in self._judge.layers.items():
            for step in steps:
                if self._judge.chosen[layer, "metrics", step].space not in spaces:
                    continue
                for kind in ("neurons", "metrics", "embedding"):
                    entry = self._judge.chosen.get((layer, kind, step))
                    if entry is not None:
                        kept.add((layer, kind, entry.place))
        newer = (entry for entry in self._judge.entries if entry.code == "newer schema")
        kept.update((e.layer, e.kind, e.place) for e in newer if not self._judge.is_purged(e.place, e.step))
        return kept

    def _is_kept(self, place: Place, step: int, value: summary_pb2.Summary.Value) -> bool:
        found = payload_kind(value.tag)
        if found is not None and value.HasField("tensor"):
            layer, kind = found
            # Spaces and thumbnails were written before, from wherever the good ones are.
            return (layer, kind, place) in self._kept
        if place[1] in self._run.files[place[0]].damaged:
            return False
        if (kind_by_itself(value.tag), place) in self._bad:
            return False
        return not self._judge.is_purged(place, step) and step not in self._again[place[0], value.tag]

    def _atlases(self) -> list[tuple[int, Entry]]:
        """Thumbnails so that every picture is there; purged ones only where nothing else has it."""
        good = [entry for entry in self._judge.entries if entry.kind == "images" and not entry.code]
        purged = [self._judge.is_purged(entry.place, entry.step) for entry in good]
        covered: set[int] = set()
        chosen: list[tuple[int, Entry]] = []
        for wants_purged in (False, True):
            for entry, is_purged in zip(good, purged, strict=True):
                ids = entry.ids or frozenset()
                wanted = ids & self._run.referred if wants_purged else ids
                if is_purged is wants_purged and wanted - covered:
                    covered |= ids
                    chosen.append((entry.step, entry))
        return sorted(chosen, key=lambda item: item[0])

    def _restep(self, event: event_pb2.Event, tag: str, step: int) -> event_pb2.Event:
        """An event with this one value, at another step: the container's header has the step too."""
        (value,) = [value for value in event.summary.value if value.tag == tag][:1]
        data = payload_bytes(value.tensor)
        value.tensor.string_val[:] = [data[:8] + struct.pack("<q", step) + data[16:]]
        value.tensor.ClearField("tensor_content")
        value.metadata.CopyFrom(make_metadata(summary_pb2.DATA_CLASS_BLOB_SEQUENCE))
        self.events += 1
        return event_pb2.Event(
            wall_time=event.wall_time, step=step, summary=summary_pb2.Summary(value=[value])
        )


class _Sources:
    """The original's event files, opened for reading."""

    def __init__(self, run: RunSurvey) -> None:
        self._paths = [file.path for file in run.files]
        self._open: dict[int, BinaryIO] = {}
        self._time = 0.0

    def read(self, index: int, offset: int) -> event_pb2.Event:
        """The event whose record starts there; where its time is no number, that of the one read before."""
        if index not in self._open:
            self._open[index] = self._paths[index].open("rb")
        event = event_pb2.Event.FromString(read_record_at(self._open[index], offset))
        if math.isnan(event.wall_time):
            event.wall_time = self._time
        self._time = event.wall_time
        return event

    def __enter__(self) -> _Sources:  # noqa: PYI034  # Self is not in Python 3.10
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._open.values():
            file.close()


def _free_name(name: str, taken: set[str]) -> str:
    base, number = ("run" if name == "." else name), 2
    while f"{base}_{number}" in taken:
        number += 1
    return f"{base}_{number}"
