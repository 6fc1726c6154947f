"""Requests and logs made to break the plugin: every answer is one that the documentation tells of."""

from __future__ import annotations

import json
import logging
from types import SimpleNamespace
from urllib.parse import quote

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import Client

from conceptmon_tb.evolution_records import Evolutions, pack_evolutions
from conceptmon_tb.metadata import evolutions_tag, layer_tag, pack_payload, unpack_payload
from conceptmon_tb.plugin.app import ConceptMonitorPlugin
from tests.providers import FakeProvider
from tests.synthetic import make_snapshots

LAYERS = {"layer1": 6, "слой/2": 5}
ROUTES = (
    "runs", "space", "timeline", "layer", "neuron", "distances", "scalars", "images", "anchor", "export",
    "evolutions",
)  # fmt: skip
VALUES = (
    "run", "large", "layer1", "слой/2", "garden", "cat", "catt", "0", "1", "2", "-1", "99",
    "all", "frames", "details", "csv", "json", "", " ", "../..", "\x00", "9" * 18, "9" * 400, "-9" * 9,
    "1e3", "0x1",
    "١", "NaN", "x" * 81, "x" * 5000, "%s", "{}", "'", '"', "🦓",
)  # fmt: skip
NAMES = (
    "run", "layer", "step", "neuron", "k", "word", "fingerprint", "from", "to", "after", "part", "across",
    "film", "format", "tag", "revision", "class", "order", "nonsense",
)  # fmt: skip


def make_provider() -> FakeProvider:
    provider = FakeProvider()
    provider.log("run", enumerate(make_snapshots(3, LAYERS)))
    provider.log("large", enumerate(make_snapshots(3, LAYERS)), large=True)
    count, widths = np.full(2, 9, np.int32), tuple(LAYERS.values())
    values = np.random.default_rng(0).integers(0, 9, (2, sum(widths)), dtype=np.int32)
    table = Evolutions(1, 2, ("cat", "1"), count, tuple(LAYERS), widths, values, values.astype(np.float32))
    for run in ("run", "large"):
        provider.add_blob(run, evolutions_tag(1, 2), 2, 2.0, pack_evolutions(table))
    return provider


def make_client(provider: FakeProvider) -> Client:
    apps = ConceptMonitorPlugin(SimpleNamespace(data_provider=provider)).get_plugin_apps()

    def dispatch(environ, start_response):
        return apps[environ["PATH_INFO"]](environ, start_response)

    return Client(dispatch)


CLIENT = make_client(make_provider())


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    route=st.sampled_from(ROUTES),
    parameters=st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(VALUES)), max_size=8),
)
def test_no_request_is_a_bug(route: str, parameters: list[tuple[str, str]], caplog) -> None:
    _ask(CLIENT, route, parameters, caplog)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_nearly_right_request_is_a_bug(data, caplog) -> None:
    route = data.draw(st.sampled_from(ROUTES))
    right = {"run": "large", "layer": "layer1", "step": "1", "neuron": "2", "word": "garden"}
    if route == "evolutions":
        right |= {"from": "1", "to": "2", "class": "cat"}
    wrong = data.draw(st.dictionaries(st.sampled_from(NAMES), st.sampled_from(VALUES), max_size=3))
    _ask(CLIENT, route, list((right | wrong).items()), caplog)


def _ask(client: Client, route: str, parameters: list[tuple[str, str]], caplog) -> int:
    caplog.set_level(logging.ERROR)
    query = "&".join(f"{name}={quote(value)}" for name, value in parameters)
    answer = client.get(f"/{route}?{query}")
    assert answer.status_code in (200, 202, 400, 404, 429)
    if answer.status_code >= 400:
        assert json.loads(answer.data)["error"]
    assert [record.getMessage() for record in caplog.records] == []
    caplog.clear()
    return answer.status_code


def _rewritten(tag: str, attrs=None, arrays=None, large: bool = True) -> FakeProvider:
    """A log in which one payload of step 1 holds something else; its checksum is right."""

    def change(run: str, name: str, step: int, payload: bytes) -> bytes:
        if (name, step) != (tag, 1):
            return payload
        read = unpack_payload(payload)
        return pack_payload(
            read.kind, step, {**read.attrs, **(attrs or {})}, {**read.arrays, **(arrays or {})}
        )

    provider = FakeProvider()
    provider.log("run", enumerate(make_snapshots(3, {"layer1": 6})), large=large, change=change)
    return provider


ALL = [
    ("runs", []),
    ("timeline", [("run", "run")]),
    *(
        ("layer", [("run", "run"), ("layer", "layer1"), ("part", part)])
        for part in ("all", "frames", "details")
    ),
    (
        "neuron",
        [("run", "run"), ("layer", "layer1"), ("neuron", "2"), ("step", "1"), ("across", "1"), ("film", "1")],
    ),
    ("distances", [("run", "run"), ("layer", "layer1"), ("step", "1")]),
    ("distances", [("run", "run"), ("layer", "layer1"), ("word", "cat")]),
    ("export", [("run", "run"), ("layer", "layer1"), ("step", "1")]),
    ("runs", []),
]
WIDE = np.zeros((6, 3), np.float32)


@pytest.mark.parametrize("large", [False, True], ids=["tensors", "blobs"])
@pytest.mark.parametrize(
    ("kind", "attrs", "arrays"),
    [
        ("metrics", {"neurons": -5}, {}),
        ("metrics", {"neurons": 10**15}, {}),
        ("metrics", {"neurons": True}, {}),
        ("metrics", {"space": "another"}, {}),
        ("metrics", {"note": [1, {}]}, {}),
        ("neurons", {}, {"position": WIDE}),
        ("neurons", {}, {"flags": np.full(6, 3, np.float32)}),
        ("neurons", {}, {"concept_ids": np.full((6, 5), 10**6, np.int32)}),
        (
            "neurons",
            {},
            {"concept_ids": np.zeros((6, 0), np.int32), "similarity": np.zeros((6, 0), np.float32)},
        ),
        ("neurons", {}, {"top_patches": np.zeros((6, 8, 3), np.uint8)}),
        (
            "neurons",
            {},
            {"top_images": np.zeros((6, 0), np.int32), "top_patches": np.zeros((6, 0, 4), np.uint8)},
        ),
        ("neurons", {}, {"similarity": np.full((6, 5), np.nan, np.float32)}),
        ("neurons", {"top_concepts": "many", "images": None}, {}),
        ("embedding", {"codec": "zip"}, {}),
        ("embedding", {"codec": ["space"]}, {}),
        ("embedding", {"codec": "mean"}, {}),
        ("embedding", {"codec": "mean"}, {"base": np.zeros(7, np.float16)}),
        ("embedding", {"space": "another"}, {}),
        ("embedding", {"space": None}, {}),
        ("embedding", {}, {"residual": np.zeros((6, 0), np.int8)}),
        ("embedding", {}, {"residual": np.zeros((9, 32), np.int8), "scale": np.zeros(9, np.float32)}),
        ("embedding", {}, {"scale": np.full(6, np.inf, np.float32)}),
        ("embedding", {}, {"scale": np.full((6, 1), 0.1, np.float32)}),
    ],
)
def test_no_log_is_a_bug(kind: str, attrs, arrays, large: bool, caplog) -> None:
    client = make_client(_rewritten(layer_tag("layer1", kind), attrs, arrays, large))
    for route, parameters in ALL:
        _ask(client, route, parameters, caplog)


@pytest.mark.parametrize(
    ("attrs", "arrays"),
    [
        ({"words": "x" * 72}, {}),
        ({"words": {str(i): i for i in range(72)}}, {}),
        ({"words": [None, 3.5, [], {}] * 18}, {}),
        ({"categories": [None] * 72}, {}),
        ({"projection": "pca"}, {}),
        ({"encoder": "open_clip local-dir:/etc", "encoder_fingerprint": None}, {}),
        (
            {"anchors": []},
            {"anchor_embedding": np.zeros((0, 5), np.float16), "anchor_position": np.zeros((0, 2), "f4")},
        ),
        ({}, {"text_embedding": np.zeros((72, 32), np.float16)}),
        ({}, {"text_embedding": np.full((72, 32), np.inf, np.float16)}),
        (
            {},
            {
                "text_embedding": np.zeros((72, 0), np.float16),
                "anchor_embedding": np.zeros((5, 0), np.float16),
            },
        ),
        ({}, {"position": np.full((72, 2), np.nan, np.float32)}),
        ({}, {"position": np.zeros((72, 0), np.float32)}),
    ],
)
def test_no_space_is_a_bug(attrs, arrays, caplog) -> None:
    provider = _rewritten("none")
    blob = provider.blobs["run"]["concepts/space/definition"][0].values[0]
    space = unpack_payload(blob.payload)
    blob.payload = pack_payload("space", 0, {**space.attrs, **attrs}, {**space.arrays, **arrays})
    client = make_client(provider)
    words = [("word", "cat"), ("word", "zebra"), ("word", "garden")]
    for word in words:
        _ask(client, "anchor", [("run", "run"), word], caplog)
    for route, parameters in (*ALL, ("space", [("run", "run")])):
        _ask(client, route, parameters, caplog)
