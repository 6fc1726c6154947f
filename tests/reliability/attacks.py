"""What can be done to a payload, a tensor or an image page: each by name, to be written into a log."""

from __future__ import annotations

import io
import json
import math
import struct
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from PIL import Image
from tensorboard.compat.proto import summary_pb2, types_pb2

from conceptmon_tb.metadata import pack_payload, unpack_payload
from tests.reliability.hostile import SMALL, SPACE, Change


def payload_of(value: summary_pb2.Summary.Value) -> bytes:
    """The payload of a value."""
    return bytes(value.tensor.string_val[0] if value.tensor.string_val else value.tensor.tensor_content)


def put_payload(value: summary_pb2.Summary.Value, payload: bytes) -> None:
    """Put another payload into a value."""
    if value.tensor.string_val:
        value.tensor.string_val[0] = payload
    else:
        value.tensor.tensor_content = payload
        value.tensor.tensor_shape.dim[0].size = len(payload)


def with_bytes(change: Callable[[bytes], bytes]) -> Change:
    """Change a payload's bytes."""
    return lambda value: put_payload(value, change(payload_of(value)))


def with_content(
    attrs: Mapping[str, Any] | None = None,
    arrays: Mapping[str, np.ndarray | None] | None = None,
    kind: str = "",
    step: int | None = None,
) -> Change:
    """Change what a payload holds, its checksum with it; None takes an array away."""

    def change(value: summary_pb2.Summary.Value) -> None:
        read = unpack_payload(payload_of(value))
        changed = {**read.arrays, **(arrays or {})}
        kept = {name: array for name, array in changed.items() if array is not None}
        step_now = read.step if step is None else step
        put_payload(value, pack_payload(kind or read.kind, step_now, {**read.attrs, **(attrs or {})}, kept))

    return change


def with_header(change: Callable[[dict[str, Any]], Any], size: int | None = None) -> Change:
    """Change the header of a payload, its checksum with it.

    Args:
        change: Changes the header in place, or returns JSON to put in its place.
        size: Length that the prefix announces.
    """

    def rewrite(data: bytes) -> bytes:
        _, version, _, step, length, _ = struct.unpack_from("<4sHHqII", data)
        header = json.loads(data[24 : 24 + length])
        text = change(header) or json.dumps(header)
        spelt = text.encode() + b" " * (-len(text.encode()) % 8)
        content = spelt + data[24 + length :]
        prefix = struct.pack(
            "<4sHHqII", b"CMON", version, 0, step, len(spelt) if size is None else size, zlib.crc32(content)
        )
        return prefix + content

    return with_bytes(rewrite)


def with_tensor(change: Callable[[Any], None]) -> Change:
    """Change the tensor of a value."""
    return lambda value: change(value.tensor)


def _without(name: str) -> Change:
    return with_content(arrays={name: None})


def _announce(*sizes: int, keep: bool = True) -> Change:
    """A tensor with another shape than it has; one value stands for all where its bytes are not kept."""

    def change(tensor: Any) -> None:
        del tensor.tensor_shape.dim[:]
        for size in sizes:
            tensor.tensor_shape.dim.add(size=size)
        if not keep:
            tensor.tensor_content = b""
            tensor.int_val.append(1)

    return with_tensor(change)


def _as_type(dtype: int) -> Change:
    def change(tensor: Any) -> None:
        tensor.dtype = dtype

    return with_tensor(change)


def _as_scalar(value: summary_pb2.Summary.Value) -> None:
    value.ClearField("tensor")
    value.simple_value = 1.0


def _shape(index: int, shape: list[Any]) -> Change:
    def change(header: dict[str, Any]) -> None:
        header["arrays"][index]["shape"] = shape

    return with_header(change)


def _entry(index: int, **fields: Any) -> Change:
    return with_header(lambda header: header["arrays"][index].update(fields))


N = SMALL["victim"]
_ONES = np.ones((N, 5), np.float32)

NEURONS: dict[str, Change] = {
    "another dtype of places": with_content(arrays={"position": np.zeros((N, 2), np.int8)}),
    "another dtype of flags": with_content(arrays={"flags": np.ones(N, np.float32)}),
    "another dtype of ids": with_content(arrays={"concept_ids": _ONES}),
    "another dtype of images": with_content(arrays={"top_images": np.ones((N, 8), np.float32)}),
    "another rank": with_content(arrays={"position": np.zeros(2 * N, np.float32)}),
    "another shape": with_content(arrays={"position": np.zeros((N, 3), np.float32)}),
    "one neuron more in one array": with_content(arrays={"flags": np.ones(N + 1, np.uint8)}),
    "no concept at all": with_content(
        arrays={"concept_ids": np.zeros((N, 0), np.int32), "similarity": np.zeros((N, 0), np.float32)}
    ),
    "a missing array": _without("similarity"),
    "concepts beyond the words": with_content(arrays={"concept_ids": np.full((N, 5), 5000, np.int32)}),
    "concept 2^31 - 1": with_content(arrays={"concept_ids": np.full((N, 5), 2**31 - 1, np.int32)}),
    "explanations beyond the words": with_content(
        arrays={
            "explanation_ids": np.full((N, 2), 999, np.uint16),
            "explanation_weights": np.ones((N, 2), np.float16),
        }
    ),
    "explanations without weights": with_content(
        arrays={"explanation_ids": np.zeros((N, 2), np.uint16), "explanation_weights": None}
    ),
    "patches of another shape": with_content(arrays={"top_patches": np.zeros((N, 8, 3), np.uint8)}),
    "descriptions that are no texts": with_content({"descriptions": [1, None, {}, []]}),
    "too few descriptions": with_content({"descriptions": ["one"]}),
    "another kind": with_content(kind="metrics"),
    "another step": with_content(step=7),
    "step 2^62": with_content(step=2**62),
    "a bad checksum": with_bytes(lambda data: data[:-1] + bytes([data[-1] ^ 1])),
    "a newer schema": with_bytes(lambda data: data[:4] + b"\xff\xff" + data[6:]),
    "another magic": with_bytes(lambda data: b"XXXX" + data[4:]),
    "cut in the prefix": with_bytes(lambda data: data[:10]),
    "cut in the header": with_bytes(lambda data: data[:40]),
    "cut in the body": with_bytes(lambda data: data[:-8]),
    "noise": with_bytes(lambda data: np.random.default_rng(0).bytes(500)),
    "a header of 2^32 - 1 bytes": with_header(lambda header: None, size=2**32 - 1),
    "a header that is a list": with_header(lambda header: "[]"),
    "a header of 200,000 brackets": with_header(lambda header: "[" * 200_000),
    "a header of a long number": with_header(lambda header: "1" * 50_000),
    "a header without arrays": with_header(lambda header: header.pop("arrays") and None),
    "10,000 arrays": with_header(lambda header: header.update(arrays=header["arrays"][:1] * 10_000)),
    "a shape of 2^31": _shape(0, [2**31, 2]),
    "a shape of 2^62": _shape(0, [2**62, 2**62]),
    "a shape of long numbers": _shape(0, [10**4000] * 300),
    "a negative shape": _shape(0, [-1, 2]),
    "a shape of half numbers": _shape(0, [N + 0.5, 2]),
    "a shape of truths": _shape(0, [True, True]),
    "a shape of 5,000 dimensions": _shape(0, [1] * 5000),
    "an offset beyond the end": _entry(0, offset=2**40),
    "a negative offset": _entry(0, offset=-8),
    "an offset between two": _entry(0, offset=4),
    "objects as dtype": _entry(0, dtype="|O"),
    "a list as dtype": _entry(0, dtype=["<f4"]),
    "a list as name": _entry(0, name=["position"]),
    "a tensor of floats": _as_type(types_pb2.DT_FLOAT),
    "a tensor of strings": _as_type(types_pb2.DT_STRING),
    "a tensor of no known type": _as_type(77),
    "a tensor of another shape": _announce(3, 5),
    "a tensor of 2^31": _announce(2**31),
    "a tensor of one value and 2^40 places": _announce(2**40, keep=False),
    "a tensor of one value and 2^62 x 2^62 places": _announce(2**62, 2**62, keep=False),
    "a tensor of a negative size": _announce(-1),
    "a tensor of 1,000 dimensions": _announce(*[2] * 1000, keep=False),
    "no tensor": _as_scalar,
}
"""What is done to the neurons of one layer at one epoch, by name."""

METRICS: dict[str, Change] = {
    "-5 neurons": with_content({"neurons": -5}),
    "2^31 neurons": with_content({"neurons": 2**31}),
    "10^400 neurons": with_content({"neurons": 10**400}),
    "one neuron more": with_content({"neurons": N + 1}),
    "a truth of neurons": with_content({"neurons": True}),
    "numbers that are texts": with_content({"d_anchor": "<b>", "temperature": "hot"}),
    "numbers of 400 digits": with_content({"threshold": 10**400}),
    "counts that are a list": with_content({"category_counts": [1, 2]}),
    "counts that are texts": with_content({"category_counts": {"object": "many"}}),
    "anchors that are a number": with_content({"anchors": 3}),
    "more distances than neurons": with_content(
        {"anchors": {"nearest_distance": [0.1], "nearest_neuron": []}}
    ),
    "followed neurons that are texts": with_content({"tracked": ["a", None]}),
    "a space that is a list": with_content({"space": [1]}),
    "a note that is a list": with_content({"note": [1, {}]}),
    "no attributes": with_header(lambda header: header.update(attrs={})),
    "attributes that are a list": with_header(lambda header: header.update(attrs=[])),
    "a bad checksum": with_bytes(lambda data: data[:-1] + bytes([data[-1] ^ 1])),
    "a newer schema": with_bytes(lambda data: data[:4] + b"\x02\x00" + data[6:]),
    "a tensor of one value and 2^40 places": _announce(2**40, keep=False),
}
"""What is done to the metrics of one layer at one epoch."""

HARMLESS: dict[str, tuple[str, Change]] = {
    "NaN and infinite places": (
        "neurons",
        with_content(arrays={"position": np.array([[np.nan, np.inf]] * N, np.float32)}),
    ),
    "NaN and infinite similarities": (
        "neurons",
        with_content(arrays={"similarity": np.array([[np.inf, np.nan, -np.inf, 1e38, 0]] * N, np.float32)}),
    ),
    "infinite displacements": (
        "neurons",
        with_content(arrays={"displacement": np.full(N, np.inf, np.float32)}),
    ),
    "images that are not there": (
        "neurons",
        with_content(arrays={"top_images": np.full((N, 8), 2**31 - 1, np.int32), "top_patches": None}),
    ),
    "negative ids": (
        "neurons",
        with_content(arrays={"concept_ids": np.full((N, 5), -(2**31), np.int32)}),
    ),
    "all flags": ("neurons", with_content(arrays={"flags": np.full(N, 255, np.uint8)})),
    "NaN as JSON has none": (
        "metrics",
        with_header(
            lambda header: json.dumps(header).replace('"d_anchor":', '"d_anchor": NaN, "d_anchor_gated":')
        ),
    ),
    "1e999": (
        "metrics",
        with_header(lambda header: json.dumps({**header, "x": 0}).replace('"x": 0', '"x": 1e999')),
    ),
    "followed neurons that are not there": ("metrics", with_content({"tracked": [2**31 - 1, 0]})),
}  # fmt: skip
"""What is strange but is told as it is: kind of payload, and what is done to it."""

EMBEDDINGS: dict[str, Change] = {
    "an unknown codec": with_content({"codec": "zip"}),
    "a codec that is a list": with_content({"codec": ["space"]}),
    "a codec without its base": with_content({"codec": "mean"}),
    "a base of other dimensions": with_content({"codec": "mean"}, {"base": np.zeros(7, np.float16)}),
    "residuals of one dimension": with_content(arrays={"residual": np.ones((N, 1), np.int8)}),
    "residuals of another dtype": with_content(arrays={"residual": np.ones((N, 32), np.float32)}),
    "another number of neurons": with_content(
        arrays={"residual": np.zeros((9, 32), np.int8), "scale": np.zeros(9, np.float32)}
    ),
    "an unknown space": with_content({"space": "another"}),
    "a bad checksum": with_bytes(lambda data: data[:-1] + bytes([data[-1] ^ 1])),
    "a blob of 2^31 strings": _announce(2**31),
    "a blob of 2 x 2^40 strings": _announce(2, 2**40),
    "a blob of numbers": _as_type(types_pb2.DT_UINT8),
    "no string": with_tensor(lambda tensor: tensor.ClearField("string_val")),
}
"""What is done to the embeddings of one layer at one epoch."""

SPACES: dict[str, Change] = {
    "words that are numbers": with_content({"words": [1] * len(SPACE.words)}),
    "words that are one text": with_content({"words": "x" * len(SPACE.words)}),
    "too few words": with_content({"words": ["x"]}),
    "no categories": with_content({"categories": [None] * len(SPACE.words)}),
    "places of three dimensions": with_content(arrays={"position": np.zeros((72, 3), np.float32)}),
    "embeddings of another rank": with_content(arrays={"text_embedding": np.zeros(72, np.float16)}),
    "anchors of other dimensions": with_content(arrays={"anchor_embedding": np.zeros((5, 3), np.float16)}),
    "a fingerprint that is a list": with_content({"fingerprint": [1]}),
    "a bad checksum": with_bytes(lambda data: data[:-1] + bytes([data[-1] ^ 1])),
    "a newer schema": with_bytes(lambda data: data[:4] + b"\x02\x00" + data[6:]),
}
"""What is done to the concept space of a run."""


def _picture(format_: str, size: tuple[int, int] = (16, 16), mode: str = "RGB", **settings: Any) -> bytes:
    file = io.BytesIO()
    Image.new(mode, size).save(file, format_, **settings)
    return file.getvalue()


def _claim(width: int, height: int) -> bytes:
    """A JPEG that says that it is of another size than it is."""
    data = bytearray(_picture("JPEG"))
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def _page(jpeg: bytes, **attrs: Any) -> Change:
    def change(value: summary_pb2.Summary.Value) -> None:
        read = unpack_payload(payload_of(value))
        ids = read.arrays["ids"]
        columns = math.ceil(math.sqrt(len(ids)))
        settings = {"tile": 16, "columns": columns, **attrs}
        arrays = {"ids": ids, "jpeg": np.frombuffer(jpeg, np.uint8)}
        put_payload(value, pack_payload("images", read.step, settings, arrays))

    return change


def _hollow_page(value: summary_pb2.Summary.Value) -> None:
    """A JPEG of just the size that its tiles take, of which nothing but the header is there."""
    columns = math.ceil(math.sqrt(len(unpack_payload(payload_of(value)).arrays["ids"])))
    rows = math.ceil(len(unpack_payload(payload_of(value)).arrays["ids"]) / columns)
    _page(_claim(512 * columns, 512 * rows), tile=512)(value)


SVG = b'<svg xmlns="http://www.w3.org/2000/svg" onload="top.hacked=1"><script>top.hacked=1</script></svg>'
PAGES: dict[str, Change] = {
    "an SVG with a script": _page(SVG),
    "HTML": _page(b"<!doctype html><script>top.hacked=1</script>"),
    "a PNG": _page(_picture("PNG", (160, 160))),
    "a PNG of a million pixels in 3 KB": _page(_picture("PNG", (1000, 1000))),
    "a GIF": _page(_picture("GIF")),
    "a WebP": _page(_picture("WEBP")),
    "a progressive JPEG": _page(_picture("JPEG", (160, 160), progressive=True)),
    "a JPEG in four inks": _page(_picture("JPEG", (160, 160), mode="CMYK")),
    "zeros behind a JPEG's first bytes": _page(b"\xff\xd8" + bytes(100)),
    "a JPEG that says 65,500 x 65,500": _page(_claim(65_500, 65_500)),
    "a JPEG of many pixels, of which none is there": _hollow_page,
    "a JPEG of another size than its tiles": _page(_picture("JPEG", (96, 96))),
    "a JPEG that says nothing of its size": _page(b"\xff\xd8\xff\xd9"),
    "an empty page": _page(b""),
    "tiles of 2^31 pixels": _page(_picture("JPEG", (160, 160)), tile=2**31),
    "tiles of no pixels": _page(_picture("JPEG", (160, 160)), tile=0),
    "columns that are a text": _page(_picture("JPEG", (160, 160)), columns="<b>"),
    "a bad checksum": with_bytes(lambda data: data[:-1] + bytes([data[-1] ^ 1])),
}
"""What is put in the place of an image page."""

ALERTS: dict[str, Change] = {
    "a step of 400 digits": with_content({"ended": [{"rule": "r", "layer": "l", "step": 10**400}]}),
    "a loss of 400 digits": with_content({"training": {"loss": 10**400}}),
    "evidence that is a list": with_content(
        {"raised": [{"rule": "r", "layer": "l", "step": 1, "severity": "warning", "message": "m",
                     "evidence": {"series": []}}]}
    ),
    "a message that is a list": with_content(
        {"raised": [{"rule": "r", "layer": "l", "step": 1, "severity": "warning", "message": [],
                     "evidence": {"series": {}}}]}
    ),
    "alerts that are a number": with_content({"raised": 3}),
    "nothing": with_header(lambda header: header.update(attrs={})),
    "a bad checksum": with_bytes(lambda data: data[:-1] + bytes([data[-1] ^ 1])),
}  # fmt: skip
"""What is done to the record of alerts of one epoch."""

EVOLUTIONS: dict[str, Change] = {
    "classes that are numbers": with_content({"classes": [1, 2]}),
    "one class twice": with_content({"classes": ["cat", "cat"]}),
    "classes that are one text": with_content({"classes": "ab"}),
    "no class": with_content({"classes": []}),
    "layers that are lists": with_content({"layers": [[]]}),
    "2^31 neurons": with_content({"neurons": [2**31]}),
    "-1 neurons": with_content({"neurons": [-1]}),
    "one neuron more": with_content({"neurons": [N + 1]}),
    "numbers of neurons for no layer": with_content({"neurons": [N, 0]}),
    "a beginning after the end": with_content({"from_step": 99}),
    "a beginning of 10^400": with_content({"from_step": -(10**400)}),
    "the beginning of another tag": with_content({"from_step": -77}),
    "more images with a rise than there are": with_content(
        arrays={"positive": np.full((2, N), 99, np.uint8)}
    ),
    "fewer than no images": with_content(arrays={"positive": np.full((2, N), -1, np.int32)}),
    "classes without images": with_content(arrays={"num_images": np.zeros(2, np.int32)}),
    "sensitivities of another dtype": with_content(arrays={"sensitivity": np.ones((2, N), np.int8)}),
    "sensitivities of another rank": with_content(arrays={"sensitivity": np.ones(2 * N, np.float16)}),
    "no scale": _without("scale"),
    "another kind": with_content(kind="space"),
    "another step": with_content(step=7),
    "a bad checksum": with_bytes(lambda data: data[:-1] + bytes([data[-1] ^ 1])),
    "a newer schema": with_bytes(lambda data: data[:4] + b"\x02\x00" + data[6:]),
    "a header of 200,000 brackets": with_header(lambda header: "[" * 200_000),
    "a blob of numbers": _as_type(types_pb2.DT_UINT8),
    "no string": with_tensor(lambda tensor: tensor.ClearField("string_val")),
}
"""What is done to a table of evolutions."""
