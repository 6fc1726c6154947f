"""Time series of verified payloads: what was read once is neither read nor decoded again.

A listing's signature tells whether a series changed. A changed series is read again (data providers
have no step filter; where one new step is all that is missing, only that is fetched), and only steps
that were not known are decoded.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from conceptmon_tb.metadata import NewerSchemaError, Payload, PayloadError, unpack_payload
from conceptmon_tb.payload_checks import check_payload
from conceptmon_tb.plugin.cache import PayloadCache, RecentItems
from conceptmon_tb.plugin.heap import give_back_memory
from conceptmon_tb.plugin.source import Signature, Source, TensorPoint, TooLargeError
from conceptmon_tb.plugin.tensor_guard import BadTensor

CACHE_BYTES = 256 * 1024 * 1024

Code = Literal["newer_schema", "checksum", "damaged", "size", "space", "missing"]
"""Why something is skipped, for programs; people get a sentence."""

Point = tuple[int, float]
"""Step and wall time: the same step logged again has another wall time."""

_Key = tuple[str, str, str]


class GoneError(PayloadError):
    """A blob that was listed is not in the log any more."""


@dataclass(frozen=True)
class Flaw:
    """Why a payload cannot be used.

    Attributes:
        code: For programs.
        reason: For people.
    """

    code: Code
    reason: str

    @classmethod
    def of(cls, error: PayloadError) -> Flaw:
        """Name what was wrong with a payload."""
        reason = str(error)
        if isinstance(error, NewerSchemaError):
            return cls("newer_schema", reason)
        return cls("checksum" if reason.startswith(("checksum", "cut short")) else "damaged", reason)


@dataclass(frozen=True)
class Record:
    """One step of a series.

    Attributes:
        step: Global step.
        wall_time: Seconds since 1970.
        flaw: Why its payload cannot be used, None for a good one.
        neurons: Number of neurons of a good payload of kind "neurons".
    """

    step: int
    wall_time: float
    flaw: Flaw | None = None
    neurons: int | None = None

    @property
    def point(self) -> Point:
        """Identity of what was logged: the same step logged again has another wall time."""
        return self.step, self.wall_time


@dataclass
class _Series:
    signature: Signature
    records: list[Record]


class RecordStore:
    """All tensor series and blobs of the plugin, verified, with their payloads in one bounded cache.

    Args:
        max_bytes: Bytes of payloads to hold at most.
    """

    def __init__(self, max_bytes: int = CACHE_BYTES) -> None:
        self.cache = PayloadCache(max_bytes)
        self._series: dict[_Key, _Series] = {}
        self._locks: dict[_Key, threading.Lock] = {}
        self._flaws: dict[_Key, dict[Point, Flaw]] = {}
        self._derived: list[RecentItems[Any]] = []
        self._reading: dict[Hashable, tuple[threading.Lock, int]] = {}
        self._mutex = threading.Lock()
        self.flaws_found = 0

    def has(self, source: Source, run: str, tag: str) -> bool:
        """Whether a series was read before, be it that it changed since."""
        return (source.experiment, run, tag) in self._series

    def records(
        self,
        source: Source,
        run: str,
        tag: str,
        signature: Signature,
        expected: Iterable[Point] | None = None,
    ) -> list[Record]:
        """Return the verified steps of a tensor series, sorted.

        Args:
            source: The request's source.
            run: A listed run.
            tag: A listed tag of a layer.
            signature: What the listing says of the series.
            expected: `(step, wall time)` of a sister series logged in the same events: tells whether
                fetching the last step alone completes what is known.
        """
        key = (source.experiment, run, tag)
        with self._lock(key):
            series = self._series.get(key)
            if series is not None and series.signature == signature:
                return series.records
            if series is not None and expected is not None:
                added = self._read_last(source, key, series, set(expected))
                if added is not None:
                    series = _Series(signature, [*series.records, added])
                    self._series[key] = series
                    return series.records
            try:
                points = source.read_tensors(run, tag)
            except TooLargeError as error:  # all there is to tell of it is what the listing says
                lost = [Record(signature.max_step, signature.max_wall_time, Flaw.of(error))]
                self._series[key] = _Series(signature, lost)
                return lost
            return self._adopt(key, signature, points, {})

    def payloads(
        self,
        source: Source,
        run: str,
        tag: str,
        signature: Signature,
        wanted: Collection[Point] | None = None,
    ) -> list[tuple[Record, Payload]]:
        """Return the good steps of a tensor series with their payloads, sorted by step.

        Args:
            source: The request's source.
            run: A listed run.
            tag: A listed tag of a layer.
            signature: What the listing says of the series.
            wanted: Only these; None for all.
        """
        key = (source.experiment, run, tag)
        found: dict[Point, Payload] = {}
        records = self._good(source, run, tag, signature, wanted)
        for record in records:
            payload = self.cache.get((*key, *record.point))
            if payload is not None:
                found[record.point] = payload
        if len(found) < len(records):
            with self._lock(key), suppress(TooLargeError):
                self._adopt(key, signature, source.read_tensors(run, tag), found, wanted)
            records = self._good(source, run, tag, signature, wanted)
        return [(record, found[record.point]) for record in records if record.point in found]

    def _good(
        self, source: Source, run: str, tag: str, signature: Signature, wanted: Collection[Point] | None
    ) -> list[Record]:
        records = self.records(source, run, tag, signature)
        return [r for r in records if r.flaw is None and (wanted is None or r.point in wanted)]

    def read_together(
        self,
        source: Source,
        listed: Mapping[tuple[str, str], Signature],
    ) -> None:
        """Read several series in one call; they must be small.

        Args:
            source: The request's source.
            listed: Signatures by run and tag: every tag of every run.
        """
        try:
            read = source.read_many_tensors({run for run, _ in listed}, {tag for _, tag in listed})
        except TooLargeError:
            return  # one by one, then
        for (run, tag), signature in listed.items():
            key = (source.experiment, run, tag)
            with self._lock(key):
                self._adopt(key, signature, read.get(run, {}).get(tag, []), {})

    def blob(
        self,
        source: Source,
        run: str,
        tag: str,
        kind: str,
        step: int,
        wall_time: float,
        key: str,
        keep: bool = True,
    ) -> Payload:
        """Return one verified blob, and keep it in the cache.

        Raises:
            GoneError: It is not in the log any more.
            PayloadError: It cannot be used.
        """
        cache_key = (source.experiment, run, tag, step, wall_time)
        payload = self.cache.get(cache_key)
        if payload is not None:
            return payload
        with self._alone(cache_key):  # of 100 clients that begin at once, one reads and decodes it
            payload = self.cache.get(cache_key)
            if payload is None:
                payload = read_blob(source, kind, step, key)
                if keep:
                    self.cache.put(cache_key, payload)
            return payload

    def note_flaw(self, source: Source, run: str, tag: str, point: Point, flaw: Flaw) -> None:
        """Remember that a payload turned out to be of no use when it was read."""
        with self._mutex:
            known = self._flaws.setdefault((source.experiment, run, tag), {})
            if point not in known:
                known[point] = flaw
                self.flaws_found += 1

    def flaws(self, source: Source, run: str, tag: str) -> Mapping[Point, Flaw]:
        """What `note_flaw` was told of a series."""
        with self._mutex:
            return dict(self._flaws.get((source.experiment, run, tag), {}))

    def forget_runs_except(self, source: Source, runs: Iterable[str]) -> None:
        """Drop what is known of runs that are no longer listed, their payloads and what was made of them.

        Otherwise a log directory that is tidied up during a long training only fills the caches.
        """
        kept = set(runs)
        with self._mutex:
            gone = {k for k in list(self._series) if k[0] == source.experiment and k[1] not in kept}
            for key in gone:
                del self._series[key]
                self._locks.pop(key, None)
            for key in [k for k in self._flaws if k[0] == source.experiment and k[1] not in kept]:
                del self._flaws[key]
        removed = {key[:2] for key in gone}
        if removed:

            def is_gone(key: Hashable) -> bool:
                return isinstance(key, tuple) and key[:2] in removed

            self.cache.drop(is_gone)
            for items in self._derived:
                items.drop(is_gone)
            give_back_memory()

    def forget_with_runs(self, items: RecentItems[Any]) -> None:
        """Drop also these items with their runs: their keys begin with experiment and run."""
        self._derived.append(items)

    def forget_experiment(self, experiment: str) -> None:
        """Drop what is known of an experiment; its payloads age out of the cache."""
        with self._mutex:
            for known in (self._series, self._locks, self._flaws):
                for key in [key for key in list(known) if key[0] == experiment]:
                    known.pop(key, None)

    @contextmanager
    def _alone(self, key: Hashable) -> Iterator[None]:
        """Wait until nobody else reads the same blob; nothing is kept of it afterwards."""
        with self._mutex:
            lock, waiting = self._reading.get(key, (threading.Lock(), 0))
            self._reading[key] = (lock, waiting + 1)
        try:
            with lock:
                yield
        finally:
            with self._mutex:
                waiting = self._reading[key][1] - 1
                if waiting:
                    self._reading[key] = (lock, waiting)
                else:
                    del self._reading[key]

    def _lock(self, key: _Key) -> threading.Lock:
        with self._mutex:
            return self._locks.setdefault(key, threading.Lock())

    def _read_last(self, source: Source, key: _Key, series: _Series, expected: set[Point]) -> Record | None:
        missing = expected - {record.point for record in series.records}
        if len(missing) != 1 or len(expected) != len(series.records) + 1:
            return None
        try:
            point = source.read_last_tensor(key[1], key[2])
        except TooLargeError:
            return None
        if point is None or (point.step, point.wall_time) not in missing:
            return None
        if series.records and point.step <= series.records[-1].step:
            return None
        return self._decode(key, point, {})

    def _adopt(
        self,
        key: _Key,
        signature: Signature,
        points: Sequence[TensorPoint],
        found: dict[Point, Payload],
        wanted: Collection[Point] | None = None,
    ) -> list[Record]:
        # Where a step was logged twice, the later one counts; only the Python loader lists both.
        latest = {point.step: point for point in points}
        known = {r.point: r for r in self._series[key].records} if key in self._series else {}
        records = []
        for _, point in sorted(latest.items()):
            identity = (point.step, point.wall_time)
            record = known.get(identity)
            payload = self.cache.get((*key, *identity))
            is_wanted = wanted is None or identity in wanted
            if record is None or (record.flaw is None and payload is None and is_wanted):
                record = self._decode(key, point, found)
            elif payload is not None:
                found[identity] = payload
            records.append(record)
        self._series[key] = _Series(signature, records)
        return records

    def _decode(self, key: _Key, point: TensorPoint, found: dict[Point, Payload]) -> Record:
        try:
            payload = unpack_payload(_as_bytes(point.data))
            check_payload(payload, key[2].rpartition("/")[2], point.step)
        except PayloadError as error:
            return Record(point.step, point.wall_time, Flaw.of(error))
        found[point.step, point.wall_time] = payload
        self.cache.put((*key, point.step, point.wall_time), payload)
        flags = payload.arrays.get("flags")
        return Record(point.step, point.wall_time, neurons=None if flags is None else len(flags))


def read_blob(source: Source, kind: str, step: int, key: str) -> Payload:
    """Read and verify one blob, past any cache.

    Raises:
        GoneError: It is not in the log any more.
        PayloadError: It cannot be used.
    """
    data = source.read_blob(key)
    if data is None:
        raise GoneError("no longer in the log: a session resumed before this step")
    payload = unpack_payload(data)
    check_payload(payload, kind, step)
    return payload


def _as_bytes(data: npt.NDArray[np.generic]) -> npt.NDArray[np.uint8]:
    if data.dtype == np.object_ and data.size == 1 and isinstance(data.item(), BadTensor):
        raise PayloadError(f"not a concept payload: {data.item().reason}")
    if data.dtype == np.object_ and data.size == 1 and isinstance(data.item(), bytes):
        # A run that was begun by an older version: TensorBoard keeps the tag a tensor, the value is a blob.
        return np.frombuffer(data.item(), np.uint8)
    if data.dtype != np.uint8 or data.ndim != 1:
        raise PayloadError(f"not a concept payload: a tensor of {data.dtype} with shape {data.shape}")
    return np.ascontiguousarray(data)
