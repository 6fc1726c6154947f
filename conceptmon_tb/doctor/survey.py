"""Go through a run's event files once, one record at a time, and note what is where.

Nothing is judged here, and nothing of any size is kept: of each concept payload some sixty bytes, of each
other value its step.
"""

from __future__ import annotations

import math
import re
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from google.protobuf.message import DecodeError
from tensorboard.compat.proto import event_pb2, summary_pb2, tensor_pb2

from conceptmon_tb.event_files import Record, event_files, read_records
from conceptmon_tb.metadata import (
    ALERTS_TAG,
    IMAGES_TAG,
    PLUGIN_NAME,
    SPACE_TAG,
    NewerSchemaError,
    Payload,
    PayloadError,
    parse_evolutions_tag,
    parse_layer_tag,
    unpack_payload,
)
from conceptmon_tb.payload_checks import check_payload
from conceptmon_tb.payloads import widen_ids

Place = tuple[int, int]
"""Index of the file and number of the record: the order in which things were written."""

_RUN_TAGS = {SPACE_TAG: "space", IMAGES_TAG: "images"}
_WRITER = re.compile(r"tfevents\.(?P<second>\d+)\.(?P<writer>.+?\.\d+)\.\d+")


@dataclass
class Flaw:
    """A damaged place in a file.

    Attributes:
        number: Of the record.
        offset: Of its first byte.
        nbytes: How many bytes cannot be used.
        code: "truncated", "length checksum", "data checksum", "too long", "zeros", "no event", "no time",
            "no event file" or "unreadable".
        reason: A sentence for people.
    """

    number: int
    offset: int
    nbytes: int
    code: str
    reason: str


@dataclass
class Entry:
    """One concept payload.

    Attributes:
        kind: "neurons", "metrics", "embedding", "space" or "images"; "alerts" and "evolutions" only where
            they are bad.
        layer: Name of the layer, "" for the run's own kinds.
        step: Of its event.
        place: Where it was written.
        offset: Of its record in the file.
        nbytes: Size of the payload.
        code: "" for a good one, or "checksum", "newer schema" or "foreign".
        reason: What is wrong with it, "" for a good one.
        version: Schema version; 0 where it cannot be read.
        space: Fingerprint that it names or defines, "" without.
        count: Neurons of a layer, words of a space, pictures of an atlas.
        ids: Pictures of an atlas; None for other kinds.
        label: The encoder of a space.
    """

    kind: str
    layer: str
    step: int
    place: Place
    offset: int
    nbytes: int
    code: str = ""
    reason: str = ""
    version: int = 0
    space: str = ""
    count: int = 0
    ids: frozenset[int] | None = None
    label: str = ""


@dataclass
class FileSurvey:
    """What one event file holds.

    Attributes:
        path: The file.
        nbytes: Its size.
        writer: Host and process as its name tells them; "" where it does not.
        source: What wrote it, by its own word.
        created: Wall time of its first event; NaN without any.
        last_time: Wall time of its last event with values; NaN without any.
        records: Number of good records.
        lost_at: Offset from which on TensorBoard reads nothing more; None where it reads all.
        flaws: Damaged places.
        damaged: Numbers of damaged records with payloads that are good nevertheless.
        starts: Number and step of each START event.
        offsets: Where each event with values starts.
        numbers: Numbers of these records.
        steps: The steps of these events.
        others: Offsets of events that are neither values nor about the session (graphs, run metadata).
        tag_steps: Steps of the values of each tag that holds no concept payload, in order.
    """

    path: Path
    nbytes: int
    writer: str = ""
    source: str = ""
    created: float = float("nan")
    last_time: float = float("nan")
    records: int = 0
    lost_at: int | None = None
    flaws: list[Flaw] = field(default_factory=list)
    damaged: set[int] = field(default_factory=set)
    starts: list[tuple[int, int]] = field(default_factory=list)
    offsets: array[int] = field(default_factory=lambda: array("q"))
    numbers: array[int] = field(default_factory=lambda: array("q"))
    steps: array[int] = field(default_factory=lambda: array("q"))
    others: list[int] = field(default_factory=list)
    tag_steps: dict[str, array[int]] = field(default_factory=dict)


@dataclass
class RunSurvey:
    """What one run's folder holds.

    Attributes:
        folder: The run's own directory.
        files: Event files in the order in which they were begun.
        is_misordered: Whether TensorBoard, which goes by names, reads them in another order.
        entries: Concept payloads in the order of writing.
        referred: Pictures that good epochs refer to.
        plugins: Plugin of each tag that holds no concept payload.
        metadata: First metadata of these tags, where there is some.
    """

    folder: Path
    files: list[FileSurvey] = field(default_factory=list)
    is_misordered: bool = False
    entries: list[Entry] = field(default_factory=list)
    referred: set[int] = field(default_factory=set)
    plugins: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, summary_pb2.SummaryMetadata] = field(default_factory=dict)


def survey_run(folder: Path, progress: Callable[[int], object] | None = None) -> RunSurvey:
    """Read all event files of a run.

    Args:
        folder: The run's own directory.
        progress: Called with the number of bytes done since the last call.

    Returns:
        What they hold.

    Raises:
        OSError: The folder cannot be read.
    """
    run = RunSurvey(folder)
    paths = sorted(event_files(folder), key=lambda path: (_begun(path), path.name))
    for index, path in enumerate(paths):
        run.files.append(_survey_file(run, index, path, progress))
    names = [file.path.name for file in run.files if file.records]  # the others' order means nothing
    run.is_misordered = names != sorted(names)
    return run


def payload_bytes(tensor: tensor_pb2.TensorProto) -> bytes:
    """The bytes of a payload, wherever the tensor has them."""
    return bytes(tensor.string_val[0] if tensor.string_val else tensor.tensor_content)


def payload_kind(tag: str) -> tuple[str, str] | None:
    """Layer ("" for the run's own) and kind of a tag that holds concept payloads; None for other tags."""
    if tag in _RUN_TAGS:
        return "", _RUN_TAGS[tag]
    return parse_layer_tag(tag)


def kind_by_itself(tag: str) -> str | None:
    """Kind of a tag whose payloads nothing else depends on; None for other tags."""
    if tag == ALERTS_TAG:
        return "alerts"
    return "evolutions" if parse_evolutions_tag(tag) is not None else None


def _begun(path: Path) -> float:
    """When a file was begun: its first event says it to the microsecond, its name to the second."""
    found = _WRITER.search(path.name)
    try:
        record = next(read_records(path, verify=False), None)
        if record is not None and record.data is not None:
            return float(event_pb2.Event.FromString(record.data).wall_time)
    except (OSError, DecodeError):
        pass
    return float(found["second"]) if found else 0.0


def _survey_file(
    run: RunSurvey, index: int, path: Path, progress: Callable[[int], object] | None
) -> FileSurvey:
    found = _WRITER.search(path.name)
    file = FileSurvey(path, 0, writer=found["writer"] if found else "")
    try:
        file.nbytes = path.stat().st_size
        _read_file(run, index, file, progress)
    except OSError as error:
        reason = f"the file cannot be read: {error.strerror or error}"
        file.flaws.append(Flaw(0, 0, file.nbytes, "unreadable", reason))
    return file


def _read_file(
    run: RunSurvey, index: int, file: FileSurvey, progress: Callable[[int], object] | None
) -> None:
    for record in read_records(file.path, salvage=True, progress=progress):
        if record.damage is not None:
            file.flaws.append(Flaw(record.number, record.offset, record.nbytes, *record.damage))
            if record.data is None and file.lost_at is None:
                file.lost_at = record.offset
            _take_payloads(run, file, index, record)
            continue
        try:
            event = event_pb2.Event.FromString(record.data or b"")
        except DecodeError:
            flaw = Flaw(record.number, record.offset, record.nbytes, "no event", "the record holds no event")
            file.flaws.append(flaw)
            continue
        if math.isnan(event.wall_time):
            reason = "the event's time is no number: TensorBoard's fast loader reads nothing from there on"
            file.flaws.append(Flaw(record.number, record.offset, 0, "no time", reason))
            file.lost_at = record.offset if file.lost_at is None else file.lost_at
        file.records += 1
        _take_event(run, file, index, record, event)
    if not file.records and file.flaws and file.nbytes:
        reason = f"no event file: none of its {file.nbytes} bytes is a record"
        file.flaws = [Flaw(0, 0, file.nbytes, "no event file", reason)]


def _take_event(run: RunSurvey, file: FileSurvey, index: int, record: Record, event: event_pb2.Event) -> None:
    if math.isnan(file.created):
        file.created = event.wall_time
    kind = event.WhichOneof("what")
    if kind == "file_version":
        file.source = event.source_metadata.writer or file.source
    elif kind == "session_log":
        if event.session_log.status == event_pb2.SessionLog.START:
            file.starts.append((record.number, event.step))
    elif kind == "summary":
        file.offsets.append(record.offset)
        file.numbers.append(record.number)
        file.steps.append(event.step)
        file.last_time = max(event.wall_time, file.last_time)  # in this order NaN gives way
        for value in event.summary.value:
            _take_value(run, file, event.step, (index, record.number), record.offset, value)
    elif kind is not None:
        file.others.append(record.offset)


def _take_payloads(run: RunSurvey, file: FileSurvey, index: int, record: Record) -> None:
    """Of a record with a wrong checksum, take the payloads whose own checksum is right."""
    try:
        event = event_pb2.Event.FromString(record.data or b"")
    except DecodeError:
        return
    before = len(run.entries)
    for value in event.summary.value:
        if payload_kind(value.tag) is not None and value.HasField("tensor"):
            _take_value(run, file, event.step, (index, record.number), record.offset, value)
    run.entries[before:] = [entry for entry in run.entries[before:] if not entry.code]
    if run.entries[before:]:
        file.damaged.add(record.number)
        file.offsets.append(record.offset)
        file.numbers.append(record.number)
        file.steps.append(event.step)


def _take_value(
    run: RunSurvey, file: FileSurvey, step: int, place: Place, offset: int, value: summary_pb2.Summary.Value
) -> None:
    found = payload_kind(value.tag)
    if (by_itself := kind_by_itself(value.tag)) is not None and value.HasField("tensor"):
        entry = Entry(by_itself, "", step, place, offset, 0)
        _check(entry, payload_bytes(value.tensor))
        if entry.code:
            run.entries.append(entry)
            return
    if found is None or not value.HasField("tensor"):
        file.tag_steps.setdefault(value.tag, array("q")).append(step)
        if value.HasField("metadata") and value.tag not in run.metadata:
            run.metadata[value.tag] = summary_pb2.SummaryMetadata()
            run.metadata[value.tag].CopyFrom(value.metadata)
            run.plugins[value.tag] = value.metadata.plugin_data.plugin_name or _old_plugin(value)
        elif value.tag not in run.plugins:
            run.plugins[value.tag] = _old_plugin(value)
        return
    layer, kind = found
    entry = Entry(kind, layer, step, place, offset, 0)
    run.entries.append(entry)
    payload = _check(entry, payload_bytes(value.tensor))
    if payload is not None:
        _describe(run, entry, payload)


def _check(entry: Entry, data: bytes) -> Payload | None:
    """Verify a payload; what is wrong with it is noted in its entry."""
    entry.nbytes = len(data)
    try:
        payload = unpack_payload(data)
        check_payload(payload, entry.kind, entry.step)
    except PayloadError as error:
        entry.reason = str(error)
        is_newer = isinstance(error, NewerSchemaError)
        is_foreign = entry.reason.startswith("not a concept payload")
        entry.code = "newer schema" if is_newer else "foreign" if is_foreign else "checksum"
        if isinstance(error, NewerSchemaError):
            entry.version = error.version
        return None
    entry.version = payload.version
    return payload


def _describe(run: RunSurvey, entry: Entry, payload: Payload) -> None:
    attrs, arrays = payload.attrs, payload.arrays
    if entry.kind == "metrics":
        entry.space, entry.count = str(attrs["space"]), int(attrs["neurons"])
    elif entry.kind == "space":
        entry.space, entry.count = str(attrs["fingerprint"]), len(attrs["words"])
        entry.label = str(attrs["encoder"])
    elif entry.kind == "images":
        entry.ids = frozenset(arrays["ids"].tolist())
        entry.count = len(entry.ids)
    elif entry.kind == "neurons":
        entry.count = len(arrays["flags"])
        run.referred.update(set(widen_ids(arrays["top_images"]).ravel().tolist()) - {-1})


def _old_plugin(value: summary_pb2.Summary.Value) -> str:
    """The plugin of values from before metadata: TensorBoard knows it by the field."""
    field_name = value.WhichOneof("value")
    known = {"simple_value": "scalars", "histo": "histograms", "image": "images", "audio": "audio"}
    return known.get(field_name or "", PLUGIN_NAME if value.tag.startswith("concepts/") else "")
