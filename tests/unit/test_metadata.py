"""The container and the tags of the wire."""

from __future__ import annotations

import contextlib
import json
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from conceptmon_tb import metadata
from conceptmon_tb.metadata import (
    DTYPES,
    LAYER_KINDS,
    MAX_HEADER_BYTES,
    SCHEMA_VERSION,
    NewerSchemaError,
    PayloadError,
    layer_tag,
    pack_payload,
    parse_layer_tag,
    unpack_payload,
)

ARRAYS = st.dictionaries(
    st.text(max_size=8),
    st.sampled_from(DTYPES).flatmap(
        lambda dtype: hnp.arrays(
            np.dtype(dtype), hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=5)
        )
    ),
    max_size=4,
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(
    st.text(max_size=8),
    st.integers(-(2**63), 2**63 - 1),
    st.dictionaries(st.text(), JSON, max_size=4),
    ARRAYS,
)
def test_a_payload_comes_back_as_it_was_packed(kind, step, attrs, arrays) -> None:
    payload = unpack_payload(pack_payload(kind, step, attrs, arrays))
    assert (payload.kind, payload.step, payload.version) == (kind, step, SCHEMA_VERSION)
    assert payload.attrs == attrs
    assert list(payload.arrays) == list(arrays)
    for name, array in arrays.items():
        assert payload.arrays[name].dtype.str == array.dtype.str
        np.testing.assert_array_equal(payload.arrays[name], array)


def test_the_bytes_are_laid_out_as_documented() -> None:
    data = pack_payload("demo", -7, {"a": 1}, {"x": np.array([1.5], "<f4"), "y": np.array([2, 3], "<u2")})
    magic, version, reserved, step, size, checksum = struct.unpack("<4sHHqII", data[:24])
    assert (magic, version, reserved, step) == (b"CMON", SCHEMA_VERSION, 0, -7)
    assert checksum == zlib.crc32(data[24:])
    header = json.loads(data[24 : 24 + size])
    assert header["arrays"][1] == {"name": "y", "dtype": "<u2", "shape": [2], "offset": 8}
    assert (24 + size) % 8 == 0
    assert struct.unpack_from("<f", data, 24 + size) == (1.5,)
    assert struct.unpack_from("<HH", data, 24 + size + 8) == (2, 3)


@given(st.integers(0, 10_000), st.integers(0, 7))
def test_no_flipped_bit_in_the_content_goes_unnoticed(position, bit) -> None:
    data = bytearray(pack_payload("demo", 1, {"word": "stripe"}, {"x": np.arange(9, dtype="<f4")}))
    index = 16 + position % (len(data) - 16)
    data[index] ^= 1 << bit
    with pytest.raises(PayloadError):
        unpack_payload(bytes(data))


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_refused(data) -> None:
    with pytest.raises(PayloadError):
        unpack_payload(data)


@given(st.integers(0, 300))
def test_a_payload_that_was_cut_short_is_refused(length) -> None:
    data = pack_payload("demo", 1, {}, {"x": np.arange(50, dtype="<f4")})
    with pytest.raises(PayloadError):
        unpack_payload(data[: min(length, len(data) - 1)])


@given(
    JSON | st.lists(st.dictionaries(st.sampled_from(["name", "dtype", "shape", "offset"]), JSON), max_size=2)
)
def test_a_hostile_header_with_a_right_checksum_is_refused_or_read(arrays) -> None:
    header = json.dumps({"kind": "x", "attrs": {}, "arrays": arrays}).encode()
    fixed = struct.pack("<4sHHqII", b"CMON", 1, 0, 0, len(header), zlib.crc32(header))
    with contextlib.suppress(PayloadError):
        assert unpack_payload(fixed + header).kind == "x"


@pytest.mark.parametrize(
    "entry",
    [
        {"name": "x", "dtype": "|O", "shape": [1], "offset": 0},
        {"name": "x", "dtype": "<f4", "shape": [-1], "offset": 0},
        {"name": "x", "dtype": "<f4", "shape": [2**62, 2**62], "offset": 0},
        {"name": "x", "dtype": "<f4", "shape": [1], "offset": 4},
        {"name": "x", "dtype": "<f4", "shape": [1], "offset": 800},
        {"name": "x", "dtype": "<f4", "shape": [1], "offset": -8},
    ],
)
def test_arrays_outside_of_the_payload_are_refused(entry) -> None:
    header = json.dumps({"kind": "x", "attrs": {}, "arrays": [entry]}).encode()
    header += b" " * (-len(header) % 8)
    content = header + bytes(16)
    data = struct.pack("<4sHHqII", b"CMON", 1, 0, 0, len(header), zlib.crc32(content)) + content
    with pytest.raises(PayloadError):
        unpack_payload(data)


def test_a_newer_schema_says_what_to_do_even_if_its_layout_is_unknown() -> None:
    data = b"CMON" + struct.pack("<H", SCHEMA_VERSION + 1) + bytes(40)
    with pytest.raises(NewerSchemaError, match="pip install --upgrade conceptmon-tb"):
        unpack_payload(data)


def test_unknown_numbers_become_null() -> None:
    attrs = {
        "a": float("nan"),
        "b": np.float32("inf"),
        "c": [np.nan, 1.0],
        "d": np.array([1.5, np.nan], np.float32),
    }
    assert unpack_payload(pack_payload("x", 0, attrs)).attrs == {
        "a": None,
        "b": None,
        "c": [None, 1.0],
        "d": [1.5, None],
    }


def test_float32_numbers_are_spelled_shortly_and_come_back_exactly() -> None:
    value = np.float32(0.1)
    data = pack_payload("x", 0, {"value": value})
    assert b'"value":0.1}' in data
    assert np.float32(unpack_payload(data).attrs["value"]) == value


def test_a_dtype_that_is_not_on_the_list_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match="'x' has dtype float64"):
        pack_payload("x", 0, {}, {"x": np.zeros(3)})


def test_what_no_reader_takes_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "MAX_VALUES", 1000)
    words = ["w"] * 900
    assert unpack_payload(pack_payload("space", 0, {"words": words})).attrs["words"] == words
    with pytest.raises(ValueError, match=r"kind 'space' .* use a smaller concept set"):
        pack_payload("space", 0, {"words": [*words, *words[:200]]})
    with pytest.raises(ValueError, match="use a smaller concept set"):
        pack_payload("space", 0, {"words": ["w" * MAX_HEADER_BYTES]})


@given(st.text(), st.sampled_from(LAYER_KINDS))
def test_every_layer_name_survives_its_tag(layer, kind) -> None:
    assert parse_layer_tag(layer_tag(layer, kind)) == (layer, kind)


@pytest.mark.parametrize(
    "tag", ["concepts/space/definition", "concepts/space/images", "concepts/a/d_anchor", "loss", ""]
)
def test_tags_of_no_layer_are_told_apart(tag) -> None:
    assert parse_layer_tag(tag) is None
