"""The readers of a stranger's bytes: each takes any bytes, and fails only by a bug."""

from __future__ import annotations

import io
import struct
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
from PIL import Image
from tensorboard.compat.proto import event_pb2, summary_pb2, tensor_pb2, types_pb2

from conceptmon_tb.alert_records import Alert, AlertReport, pack_alerts, unpack_alerts
from conceptmon_tb.atlas import cut_atlas, pack_images
from conceptmon_tb.doctor import examine
from conceptmon_tb.embedding_codec import base_embedding, decode_embedding
from conceptmon_tb.event_files import frame_record, read_records
from conceptmon_tb.evolution_records import Evolutions, pack_evolutions, unpack_evolutions
from conceptmon_tb.jpeg_header import read_jpeg_size
from conceptmon_tb.metadata import Payload, PayloadError, unpack_payload
from conceptmon_tb.payload_checks import check_payload
from conceptmon_tb.payloads import (
    pack_embedding,
    pack_metrics,
    pack_neurons,
    pack_space,
    unpack_embedding,
    unpack_snapshot,
    unpack_space,
)
from conceptmon_tb.plugin.cache import PayloadCache
from conceptmon_tb.reader import read_run
from conceptmon_tb.snapshot import ProbeImages
from conceptmon_tb.summary import concept_summary, space_summary
from tests.synthetic import make_snapshots, make_space

KINDS = ("neurons", "metrics", "embedding", "space", "images", "alerts", "evolutions")
STEP = 1

SPACE = make_space(dim=8)
SNAPSHOT = next(make_snapshots(1, {"a": 3}, space=SPACE))["a"]
IMAGES = ProbeImages(np.arange(2, dtype=np.int32), np.full((2, 16, 16, 3), 90, np.uint8))

TABLE = Evolutions(
    0, STEP, ("cat", "dog"), np.full(2, 4, np.int32), ("a",), (3,), np.eye(2, 3, dtype=np.int32),
    np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3),
)  # fmt: skip

_FIXED = struct.Struct("<4sHHqII")
_FOLDER = tempfile.TemporaryDirectory(prefix="conceptmon-fuzz-")
_FILE = Path(_FOLDER.name) / "events.out.tfevents.1.fuzz.1.0"


def wrap_payload(data: bytes) -> bytes:
    """Give a header and a body, parted by a NUL, the prefix and the checksum that they would have.

    Args:
        data: Any bytes; no JSON has a NUL in it.
    """
    header, _, body = data.partition(b"\0")
    checksum = zlib.crc32(header + body)
    return _FIXED.pack(b"CMON", 1, 0, STEP, len(header), checksum) + header + body


def unwrap_payload(payload: bytes) -> bytes:
    """Undo `wrap_payload`."""
    size = _FIXED.unpack_from(payload)[4]
    return payload[24 : 24 + size] + b"\0" + payload[24 + size :]


def try_container(data: bytes) -> None:
    """Any bytes as a payload."""
    with suppress(PayloadError):
        unpack_payload(data)


def try_payload(data: bytes) -> None:
    """Any header and body with a right checksum; what passes the checks must do for all its uses."""
    try:
        payload = unpack_payload(wrap_payload(data))
        check_payload(payload, payload.kind if payload.kind in KINDS else "neurons", STEP)
    except PayloadError:
        return
    PayloadCache(1 << 20).put("payload", payload)
    {
        "neurons": _use_neurons,
        "metrics": _use_metrics,
        "embedding": _use_embedding,
        "space": _use_space,
        "images": _use_images,
        "alerts": unpack_alerts,
        "evolutions": _use_evolutions,
    }[payload.kind](payload)


def try_records(data: bytes) -> None:
    """Any bytes as an event file."""
    _FILE.write_bytes(data)
    assert sum(record.nbytes for record in read_records(_FILE)) == len(data)
    assert sum(record.nbytes for record in read_records(_FILE, salvage=True)) == len(data)


def try_events(data: bytes) -> None:
    """Any bytes as an Event behind a good run's own."""
    start = event_pb2.Event(session_log=event_pb2.SessionLog(status=event_pb2.SessionLog.START))
    events = [start.SerializeToString(), *(event.SerializeToString() for event in good_events()), data]
    _FILE.write_bytes(b"".join(map(frame_record, events)))
    with suppress(FileNotFoundError, PayloadError):  # a START event may purge all there was
        read_run(_FOLDER.name)
    examine(_FOLDER.name)


def try_jpeg(data: bytes) -> None:
    """Any bytes as an image page; what passes for a JPEG has the size that it says, if it is one at all."""
    try:
        width, height = read_jpeg_size(data)
    except ValueError:
        return
    if width * height > 1 << 20:
        return
    try:
        with Image.open(io.BytesIO(data)) as picture:
            assert (picture.format, *picture.size) == ("JPEG", width, height)
    except OSError:
        pass


TARGETS: dict[str, Callable[[bytes], None]] = {
    "container": try_container,
    "payload": try_payload,
    "records": try_records,
    "events": try_events,
    "jpeg": try_jpeg,
}


def good_events() -> Iterator[event_pb2.Event]:
    """A small run of one epoch."""
    yield event_pb2.Event(step=STEP, wall_time=1.0, summary=space_summary(SPACE, STEP))
    yield event_pb2.Event(step=STEP, wall_time=1.0, summary=concept_summary({"a": SNAPSHOT}, STEP, IMAGES))


def seeds(target: str) -> list[bytes]:
    """Good inputs to begin with.

    Args:
        target: Key of `TARGETS`.
    """
    payloads = [
        pack_neurons(SNAPSHOT, STEP), pack_metrics(SNAPSHOT, STEP), pack_embedding(SNAPSHOT, STEP),
        pack_space(SPACE, STEP), pack_images(IMAGES, STEP), pack_report(), pack_evolutions(TABLE),
    ]  # fmt: skip
    events = [event.SerializeToString() for event in good_events()]
    return {
        "container": payloads,
        "payload": [unwrap_payload(payload) for payload in payloads],
        "records": [b"".join(map(frame_record, events)), frame_record(b"")],
        "events": [*events, small_event().SerializeToString()],
        "jpeg": [unpack_payload(payloads[4]).arrays["jpeg"].tobytes()],
    }[target]


def pack_report() -> bytes:
    """A record of alerts."""
    evidence = {"series": {"a": [[0, 1.0], [1, 2.0]]}, "change": 1.0, "needed": 0.5, "noise": None}
    alert = Alert("dead", "a", STEP, "warning", "many are dead", evidence)
    return pack_alerts(AlertReport(STEP, (alert,), (alert,), (), {"loss": 1.0}))


def small_event() -> event_pb2.Event:
    """An epoch of which only the metrics are there."""
    tensor = tensor_pb2.TensorProto(dtype=types_pb2.DT_UINT8, tensor_content=pack_metrics(SNAPSHOT, STEP + 1))
    value = summary_pb2.Summary.Value(tag="concepts/a/metrics", tensor=tensor)
    return event_pb2.Event(step=STEP + 1, summary=summary_pb2.Summary(value=[value]))


def _use_neurons(payload: Payload) -> None:
    metrics = unpack_payload(pack_metrics(SNAPSHOT, STEP))
    try:
        snapshot = unpack_snapshot("a", payload, metrics, None, SPACE)
    except PayloadError:  # they name other concepts than the space has, or are of another number
        return
    assert len(snapshot.words) == snapshot.num_neurons


def _use_metrics(payload: Payload) -> None:
    neurons = unpack_payload(pack_neurons(SNAPSHOT, STEP))
    try:
        unpack_snapshot("a", neurons, payload, None, SPACE)
    except PayloadError as error:
        if payload.attrs["neurons"] == SNAPSHOT.num_neurons:
            raise AssertionError(str(error)) from error


def _use_embedding(payload: Payload) -> None:
    try:
        rows = unpack_embedding(payload, SPACE)
    except PayloadError:  # of other dimensions than the space
        return
    assert len(rows) == len(payload.arrays["scale"])


def _use_space(payload: Payload) -> None:
    space = unpack_space(payload)
    base = base_embedding(space.text_embedding)
    residual = np.zeros((1, space.text_embedding.shape[1]), np.int8)
    decode_embedding("space", {"residual": residual, "scale": np.ones(1, np.float32)}, base)


def _use_images(payload: Payload) -> None:
    if payload.attrs["tile"] ** 2 * len(payload.arrays["ids"]) > 1 << 22:
        return
    with suppress(PayloadError):
        cut_atlas(payload)


def _use_evolutions(payload: Payload) -> None:
    table = unpack_evolutions(payload)
    for name in table.classes[:8]:
        assert len(table.ranked(name, table.layers[0])) <= table.neurons[0]
    assert (table.score <= 1).all()
