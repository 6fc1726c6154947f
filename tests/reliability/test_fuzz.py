"""Readers and decoders before what nobody would write: a short look each time, and all ever found."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import TARGETS, seeds
from tests.reliability.notes import Note

REGRESSIONS = Path(__file__).parents[1] / "fuzz" / "regressions"
SEEDS = {name: seeds(name) for name in TARGETS}
EXAMPLES = {"container": 150, "payload": 200, "records": 100, "events": 20, "jpeg": 100}
FEW = settings(max_examples=1, deadline=None, suppress_health_check=list(HealthCheck))

VALUES = st.sampled_from(
    [
        None, True, 0, -1, 1, 2**31, 2**53, 2**63, 2**64, 10**400, 0.5, 1e308, "", "x", "\x00", "\ud800",
        "__proto__", [], {}, [[]], [None], [2**31], [0, 2], {"": {}}, {"series": []}, [[1, 2], [1]],
    ]
)  # fmt: skip
"""What is put where something else was."""


@st.composite
def _mutated(draw: Any, target: str) -> bytes:
    """A good input with some bytes changed, left out, or written twice."""
    data = bytearray(draw(st.sampled_from(SEEDS[target])))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        how = draw(st.sampled_from(["set", "flip", "cut", "drop", "repeat", "grow"]))
        if how == "set" and data:
            data[at] = draw(st.integers(0, 255))
        elif how == "flip" and data:
            data[at] ^= 1 << draw(st.integers(0, 7))
        elif how == "cut":
            del data[at:]
        elif how == "drop":
            del data[at : at + draw(st.integers(1, 40))]
        elif how == "repeat":
            data[at:at] = data[at : at + draw(st.integers(1, 40))]
        else:
            data[at:at] = draw(st.binary(max_size=20))
    return bytes(data)


@st.composite
def _other_values(draw: Any) -> bytes:
    """A good payload with other JSON values somewhere in its header."""
    head, _, body = draw(st.sampled_from(SEEDS["payload"])).partition(b"\0")
    header = json.loads(head)
    for _ in range(draw(st.integers(1, 3))):
        _replace_one(draw, header)
    return json.dumps(header).encode() + b"\0" + body


def _replace_one(draw: Any, root: Any) -> None:
    place = root
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = draw(st.sampled_from(keys))
        is_inner = isinstance(place[key], (dict, list)) and len(place[key]) > 0
        if not is_inner or draw(st.booleans()):
            break
        place = place[key]
    if draw(st.integers(0, 5)) or not isinstance(place, dict):
        place[key] = copy.deepcopy(draw(VALUES))  # it may be changed next
    else:
        del place[key]


@pytest.mark.parametrize("target", TARGETS)
def test_no_bytes_are_a_bug(target: str, reliability: Note) -> None:
    @settings(FEW, max_examples=EXAMPLES[target])
    @given(_mutated(target) | st.binary(max_size=200))
    def attempt(data: bytes) -> None:
        TARGETS[target](data)

    attempt()
    reliability(
        area="payloads", tried=f"bytes changed at random, given to `{target}`", count=EXAMPLES[target]
    )


def test_no_values_are_a_bug(reliability: Note) -> None:
    count = 300

    @settings(FEW, max_examples=count)
    @given(_other_values())
    def attempt(data: bytes) -> None:
        TARGETS["payload"](data)

    attempt()
    reliability(area="payloads", tried="headers with other values and a right checksum", count=count)


@pytest.mark.parametrize("target", TARGETS)
def test_what_was_found_before_stays_mended(target: str, reliability: Note) -> None:
    found = sorted((REGRESSIONS / target).iterdir())
    for path in (*found,):
        TARGETS[target](path.read_bytes())
    assert found
    reliability(area="payloads", tried=f"findings of campaigns and by hand, `{target}`", count=len(found))
