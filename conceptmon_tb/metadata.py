"""Names, tags and the binary container of the wire: what event files and HTTP answers agree on.

Every payload, in an event file and in a binary HTTP answer alike, is one self-describing container:
24 fixed bytes with a schema version, a step and a checksum, then a JSON header, then plain
little-endian arrays. Corruption in an event file is otherwise silent (a data provider may serve a
record with flipped bits), so nothing is used before its checksum was verified.

The bytes are described in `docs/event_format.md`.
"""

from __future__ import annotations

import json
import math
import re
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from tensorboard.compat.proto import summary_pb2

PLUGIN_NAME = "conceptmon"
SCHEMA_VERSION = 1

TAG_PREFIX = "concepts/"
LAYER_KINDS = ("neurons", "metrics", "embedding")
PROBE_TEXT_TAG = "concepts/probe"
SECONDS_TAG = "concepts/seconds"
SPACE_TAG = "concepts/space/definition"
IMAGES_TAG = "concepts/space/images"
# No layer has a kind or a scalar of this name. The text has a tag of its own: a tag belongs to one plugin.
ALERTS_TAG = "concepts/training/alerts"
ALERTS_TEXT_TAG = "concepts/alerts"
# Each pair of epochs has a tag of its own: pairs may come in any order, and none hides another.
_EVOLUTIONS_TAG = re.compile(r"concepts/evolutions/(-?[0-9]{1,18})/(-?[0-9]{1,18})")

MAGIC = b"CMON"
# One answer to "read these tensors" is limited to 256 MiB and cannot be asked for single steps; blobs are
# read one by one. So the neurons of a layer with more neurons than this travel as a blob: of five layers with
# as many over 1,000 epochs the plugin's memory just holds all, and reads no series twice (docs/long_runs.md).
MAX_TENSOR_NEURONS = 512

DTYPES = ("<f4", "<f2", "<i4", "<u2", "|u1", "|i1")
ALIGNMENT = 8

# What a reader believes of a header, whoever wrote it. Words of a large vocabulary take a few MB.
MAX_HEADER_BYTES = 64 * 1024 * 1024
# A parsed value takes up to 80 bytes: of "{}," 60 MB of header would become 1.6 GB of memory.
MAX_VALUES = 1 << 21  # a million words and their categories
MAX_ARRAYS = 64
_MAX_DIMENSIONS = 8
_MAX_SIDE = 1 << 40
_JSON_NAMES = {str: "string", dict: "object", list: "array"}
_MAX_SHOWN = 300
_BYTES_PER_VALUE = 64  # of a parsed JSON value, about

_FIXED = struct.Struct("<4sHHqII")


class PayloadError(ValueError):
    """A payload cannot be used: it is cut short, altered, or not a payload at all."""


class NewerSchemaError(PayloadError):
    """A payload was written by a later version of this package than the one reading it."""

    def __init__(self, version: int) -> None:
        super().__init__(
            f"written with schema version {version}, but this installation reads up to version "
            f"{SCHEMA_VERSION}: upgrade it with `pip install --upgrade conceptmon-tb`"
        )
        self.version = version


@dataclass(frozen=True, eq=False)
class Payload:
    """One decoded container.

    Attributes:
        kind: What it holds, such as "neurons" or "space".
        step: Global step it belongs to.
        attrs: JSON values by name; NaN and infinity arrive as None.
        arrays: Read-only arrays by name, views of the container's bytes.
        version: Schema version it was written with.
        nbytes: Size of the container in bytes.
        overhead: Bytes of memory that parsed attributes take beyond that, about.
    """

    kind: str
    step: int
    attrs: Mapping[str, Any]
    arrays: Mapping[str, npt.NDArray[Any]]
    version: int
    nbytes: int
    overhead: int = 0


def layer_tag(layer: str, kind: str) -> str:
    """Return the event tag of one kind of a layer's data.

    Args:
        layer: Any layer name; slashes and the name "space" are fine.
        kind: One of `LAYER_KINDS`, or the name of a scalar such as "d_anchor".

    Returns:
        The tag, such as "concepts/layer4/neurons".
    """
    return f"{TAG_PREFIX}{layer}/{kind}"


def parse_layer_tag(tag: str) -> tuple[str, str] | None:
    """Split a tag made by `layer_tag` into layer and kind.

    Args:
        tag: Any event tag.

    Returns:
        `(layer, kind)`, or None when the tag belongs to no layer (the space's own tags do not).
    """
    if not tag.startswith(TAG_PREFIX):
        return None
    layer, slash, kind = tag[len(TAG_PREFIX) :].rpartition("/")
    if not slash or kind not in LAYER_KINDS:
        return None
    return layer, kind


def evolutions_tag(from_step: int, to_step: int) -> str:
    """Return the event tag of the evolutions between two epochs, such as "concepts/evolutions/5/21"."""
    return f"{TAG_PREFIX}evolutions/{from_step}/{to_step}"


def parse_evolutions_tag(tag: str) -> tuple[int, int] | None:
    """Return the two steps in a tag made by `evolutions_tag`; None for any other tag."""
    found = _EVOLUTIONS_TAG.fullmatch(tag)
    if found is None:
        return None
    pair = int(found[1]), int(found[2])
    return pair if evolutions_tag(*pair) == tag else None


def make_metadata(data_class: int) -> summary_pb2.SummaryMetadata:
    """Make the metadata of one of our values; without the data class no plugin would ever see it.

    Args:
        data_class: `summary_pb2.DATA_CLASS_TENSOR` or `summary_pb2.DATA_CLASS_BLOB_SEQUENCE`.

    Returns:
        Metadata with the plugin's name and the schema version. TensorBoard keeps only the first
        metadata of a tag, so nothing that may change from epoch to epoch is in it.
    """
    metadata = summary_pb2.SummaryMetadata()
    metadata.plugin_data.plugin_name = PLUGIN_NAME
    metadata.plugin_data.content = b'{"schema":%d}' % SCHEMA_VERSION
    metadata.data_class = data_class
    return metadata


def pack_payload(
    kind: str, step: int, attrs: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]] | None = None
) -> bytes:
    """Pack attributes and arrays into one container.

    Args:
        kind: What the container holds.
        step: Global step, a signed 64-bit integer.
        attrs: JSON-like values; numpy numbers are accepted, NaN and infinity become null.
        arrays: Arrays by name, of a dtype in `DTYPES` and any shape.

    Returns:
        The container's bytes.

    Raises:
        TypeError: An array has a dtype outside `DTYPES`.
        ValueError: There are more attributes than readers take.
    """
    described: list[dict[str, Any]] = []
    chunks: list[bytes | memoryview] = []
    offset = 0
    for name, array in (arrays or {}).items():
        dtype = array.dtype.newbyteorder("<").str
        if dtype not in DTYPES:
            known = ", ".join(DTYPES)
            raise TypeError(f"array {name!r} has dtype {array.dtype}; convert it to one of {known}")
        described.append({"name": name, "dtype": dtype, "shape": list(array.shape), "offset": offset})
        data = np.ascontiguousarray(array, dtype=dtype).reshape(-1).view(np.uint8)
        padding = -data.nbytes % ALIGNMENT
        chunks += (data.data, bytes(padding))
        offset += data.nbytes + padding
    content = {"kind": kind, "attrs": _plain(attrs), "arrays": described}
    header = json_bytes(content, separators=(",", ":"))
    if _count_values(header) > MAX_VALUES or len(header) > MAX_HEADER_BYTES - ALIGNMENT:
        raise ValueError(
            f"a payload of kind {kind!r} would have some {_count_values(header):,} values in {len(header):,} "
            f"bytes of names and words; readers take {MAX_VALUES:,} in {MAX_HEADER_BYTES:,}: use a smaller "
            f"concept set"
        )
    header += b" " * (-(_FIXED.size + len(header)) % ALIGNMENT)
    checksum = 0
    for chunk in (header, *chunks):
        checksum = zlib.crc32(chunk, checksum)
    # Joined once: an answer of the plugin may have 200 MB, and each copy of it would count.
    return b"".join((_FIXED.pack(MAGIC, SCHEMA_VERSION, 0, step, len(header), checksum), header, *chunks))


def unpack_payload(data: bytes | memoryview | npt.NDArray[np.uint8]) -> Payload:
    """Verify and decode one container.

    Args:
        data: The container's bytes, or a contiguous uint8 array of them. Arrays of the result are
            views of it.

    Returns:
        The decoded payload.

    Raises:
        NewerSchemaError: It was written with a later schema version.
        PayloadError: It is not a container, or was cut short or altered.
    """
    view = memoryview(data).cast("B")  # type: ignore[arg-type]  # numpy declares its buffer from 3.12 on
    if len(view) < _FIXED.size:
        raise PayloadError(f"cut short: {len(view)} bytes where a payload starts with {_FIXED.size}")
    magic, version, _, step, header_size, checksum = _FIXED.unpack_from(view)
    if magic != MAGIC:
        raise PayloadError(f"not a concept payload: it starts with {bytes(magic)!r} instead of {MAGIC!r}")
    if version > SCHEMA_VERSION:
        raise NewerSchemaError(version)
    content = view[_FIXED.size :]
    if zlib.crc32(content) != checksum:
        raise PayloadError("checksum mismatch: the record was altered or cut short after it was written")
    text = bytes(content[: min(header_size, MAX_HEADER_BYTES)])
    values = _count_values(text)
    if values > MAX_VALUES:
        raise PayloadError(f"malformed header: some {values} values; at most {MAX_VALUES} are read")
    header = _parse_header(text, header_size)
    body = content[header_size:]
    try:
        arrays = {entry["name"]: _view_array(entry, body) for entry in header["arrays"]}
    except (KeyError, TypeError, ValueError) as error:
        raise PayloadError(f"malformed header: {shown(error)}") from error
    overhead = _BYTES_PER_VALUE * values
    return Payload(header["kind"], step, header["attrs"], arrays, version, len(view), overhead)


def _count_values(text: bytes) -> int:
    """About how many values a JSON text has, at least as many as it really has."""
    return text.count(b",") + text.count(b"[") + text.count(b"{")


def json_bytes(value: Any, **settings: Any) -> bytes:
    """Write JSON, whatever its texts hold.

    Args:
        value: JSON values.
        **settings: More of `json.dumps`.

    Returns:
        UTF-8; where a text has half a letter, whose only spelling is an escape, ASCII.
    """
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, **settings).encode("utf-8")
    except UnicodeEncodeError:
        return json.dumps(value, ensure_ascii=True, allow_nan=False, **settings).encode("ascii")


def shown(thing: object) -> str:
    """An error in its own words, or anything else, cut: it may quote what a log holds, at any length."""
    text = repr(thing)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."


def _parse_header(text: bytes, size: int) -> dict[str, Any]:
    if len(text) != size:
        raise PayloadError(f"malformed header: {size} bytes announced, {len(text)} there")
    try:
        header = json.loads(text.decode("utf-8"), parse_constant=_no_number, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise PayloadError(f"malformed header: {shown(error)}") from error
    if not isinstance(header, dict):
        raise PayloadError("malformed header: not a JSON object")
    for name, kind in (("kind", str), ("attrs", dict), ("arrays", list)):
        if not isinstance(header.get(name), kind):
            raise PayloadError(f"malformed header: {name} must be a JSON {_JSON_NAMES[kind]}")
    if len(header["arrays"]) > MAX_ARRAYS:
        raise PayloadError(f"malformed header: {len(header['arrays'])} arrays; at most {MAX_ARRAYS} are read")
    return header


def _no_number(_: str) -> None:
    """NaN and infinity, which Python's parser takes but JSON does not know."""


def _finite(text: str) -> float | None:
    value = float(text)
    return value if math.isfinite(value) else None


def _view_array(entry: Mapping[str, Any], body: memoryview) -> npt.NDArray[Any]:
    if entry["dtype"] not in DTYPES:
        raise ValueError(f"unknown dtype {entry['dtype']!r}")
    shape, offset = entry["shape"], entry["offset"]
    if not isinstance(shape, list) or not all(type(size) is int for size in (*shape, offset)):
        raise TypeError(f"array {entry['name']!r} has shape {shape} at offset {offset}")
    # Before anything is multiplied: the product of many long numbers takes minutes.
    if len(shape) > _MAX_DIMENSIONS or not all(0 <= size < _MAX_SIDE for size in (*shape, offset)):
        raise ValueError(f"array {entry['name']!r} has shape {shape} at offset {offset}")
    dtype = np.dtype(entry["dtype"])
    count = math.prod(shape)
    if offset % ALIGNMENT:
        raise ValueError(f"array {entry['name']!r} starts at {offset}, not at a multiple of {ALIGNMENT}")
    if offset + count * dtype.itemsize > len(body):
        raise ValueError(f"array {entry['name']!r} reaches beyond the payload")
    array = np.frombuffer(body, dtype=dtype, count=count, offset=offset) if count else np.empty(0, dtype)
    array = array.reshape(shape)
    array.flags.writeable = False
    return array


def _plain(value: Any) -> Any:
    """Turn numpy values into JSON ones; float32 keep their shortest spelling, NaN becomes None."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return [_plain(item) for item in value]
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, (float, np.floating)):
        if not math.isfinite(value):
            return None
        return float(str(value)) if isinstance(value, np.floating) else value
    return value
