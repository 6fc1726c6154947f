"""What the wire and the routes can do is written down."""

from __future__ import annotations

import inspect
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from conceptmon_tb import metadata
from conceptmon_tb.atlas import pack_images
from conceptmon_tb.evolution_records import Evolutions, pack_evolutions
from conceptmon_tb.metadata import unpack_payload
from conceptmon_tb.payloads import pack_embedding, pack_metrics, pack_neurons, pack_space
from conceptmon_tb.plugin import app
from conceptmon_tb.plugin.static_files import MIME_TYPES
from conceptmon_tb.summary import layer_scalars
from tests.synthetic import make_images, make_snapshots, make_space

DOCS = Path(__file__).parents[2] / "docs"
HTTP = (DOCS / "http_api.md").read_text(encoding="utf-8")
EVENTS = (DOCS / "event_format.md").read_text(encoding="utf-8")

SNAPSHOT = list(make_snapshots(2, {"layer4": 6}))[-1]["layer4"]
TABLE = Evolutions(0, 1, ("a",), np.ones(1, np.int32), ("layer4",), (1,), np.ones((1, 1)), np.ones((1, 1)))
PAYLOADS = [
    unpack_payload(data)
    for data in (
        pack_neurons(SNAPSHOT, 0),
        pack_metrics(SNAPSHOT, 0),
        pack_embedding(SNAPSHOT, 0),
        pack_space(make_space(), 0),
        pack_images(make_images(make_space()), 0),
        pack_evolutions(TABLE),
    )
]
PLUGIN = app.ConceptMonitorPlugin(SimpleNamespace(data_provider=None))


@pytest.mark.parametrize("route", sorted(PLUGIN.get_plugin_apps()))
def test_every_route_is_documented(route: str) -> None:
    headings = [line for line in HTTP.splitlines() if line.startswith("## ")]
    assert any(f"`{route.lstrip('/')}`" in heading for heading in headings)


def test_every_parameter_is_documented() -> None:
    source = inspect.getsource(app)
    names = {part.split('"')[0] for part in source.replace("number(", "text(").split('text("')[1:]}
    assert {"run", "layer", "after", "fingerprint", "k"} <= names
    assert [name for name in names if f"`{name}`" not in HTTP] == []


@pytest.mark.parametrize("kind", metadata.LAYER_KINDS)
def test_every_kind_of_tag_is_documented(kind: str) -> None:
    assert f"`{metadata.layer_tag('<layer>', kind)}`" in EVENTS


def test_the_tags_of_the_space_and_all_scalars_are_documented() -> None:
    assert f"`{metadata.SPACE_TAG}`" in EVENTS
    assert f"`{metadata.IMAGES_TAG}`" in EVENTS
    assert f"`{metadata.evolutions_tag('<from>', '<to>')}`" in EVENTS
    names = {
        name.replace(name.partition("/")[2], "<category>") if "/" in name else name
        for name in layer_scalars(SNAPSHOT)
    }
    assert [name for name in names if f"`{name}`" not in EVENTS] == []


@pytest.mark.parametrize("payload", PAYLOADS, ids=lambda payload: payload.kind)
def test_every_attribute_and_array_is_documented(payload: metadata.Payload) -> None:
    section = EVENTS.partition(f"### `{payload.kind}`")[2].partition("\n##")[0]
    assert [name for name in (*payload.attrs, *payload.arrays) if f"`{name}`" not in section] == []


def test_version_dtypes_and_file_types_are_documented() -> None:
    assert f"schema version {metadata.SCHEMA_VERSION}" in EVENTS
    assert [dtype for dtype in metadata.DTYPES if f"`{dtype}`" not in EVENTS] == []
    assert [suffix for suffix in MIME_TYPES if f"`{suffix}`" not in HTTP] == []
