"""Payloads of a stranger, in real event files before a real TensorBoard: marked, and nothing else is lost."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from tensorboard.compat.proto import summary_pb2
from tensorboard.util import tensor_util

from conceptmon_tb.doctor import examine, repair
from conceptmon_tb.metadata import (
    ALERTS_TAG,
    IMAGES_TAG,
    LAYER_KINDS,
    SPACE_TAG,
    NewerSchemaError,
    evolutions_tag,
    layer_tag,
)
from conceptmon_tb.plugin.tensor_guard import BadTensor, distrust
from conceptmon_tb.reader import read_run
from conceptmon_tb.summary import concept_summary
from tests.reliability.attacks import (
    ALERTS,
    EMBEDDINGS,
    EVOLUTIONS,
    HARMLESS,
    METRICS,
    NEURONS,
    PAGES,
    SPACES,
)
from tests.reliability.hostile import (
    ATTACKED,
    EPOCHS,
    SMALL,
    SPACE,
    write_attacked,
    write_attacked_epochs,
    write_attacked_layers,
    write_attacked_tables,
)
from tests.reliability.notes import Note
from tests.servers import TensorBoardServer
from tests.synthetic import make_snapshots

ALL_STEPS = list(range(EPOCHS))
REST = [step for step in ALL_STEPS if step != ATTACKED]
MAX_BYTES = 500 * 1024 * 1024
LOADERS = {"fast": "--load_fast=true", "python": "--load_fast=false"}

EPOCH_KINDS = {"neurons": NEURONS, "metrics": METRICS, "embedding": EMBEDDINGS}
LAYERS = {
    f"{kind}: {name}": (kind, change) for kind, of in EPOCH_KINDS.items() for name, change in of.items()
}
LAYERS |= {f"harmless: {name}": change for name, change in HARMLESS.items()}
"""Kind of payload and what is done to it at one epoch, by the name of its layer in the run "layers"."""

EVENTS: dict[str, dict[str, Any]] = {
    "an epoch at NaN seconds": {"wall_time": float("nan")},
    "an epoch at infinitely many seconds": {"wall_time": float("inf")},
    "an epoch before all time": {"wall_time": -1e300},
    "step 2^62": {"step": 2**62},
    "step -2^63": {"step": -(2**63)},
}
# The data server reads nothing of a file behind a time that is no number, and hides what came before a step
# that is lower; the doctor tells both, and mends them.
FAST_READS = {"an epoch at NaN seconds": [0], "step -2^63": [2]}
METADATA: dict[str, Callable[[Any], None]] = {
    "no metadata": lambda metadata: metadata.Clear(),
    "another plugin's": lambda metadata: setattr(metadata.plugin_data, "plugin_name", "images"),
    "another data class": lambda metadata: setattr(metadata, "data_class", summary_pb2.DATA_CLASS_SCALAR),
    "no data class": lambda metadata: metadata.ClearField("data_class"),
    "content of another version": lambda metadata: setattr(
        metadata.plugin_data, "content", b'{"schema":99}' + bytes(10_000)
    ),
}
"""What is done to the metadata of all epochs of one tag."""

TAGS = {
    **{kind: layer_tag("victim", kind) for kind in LAYER_KINDS},
    "space": SPACE_TAG,
    "images": IMAGES_TAG,
    "alerts": ALERTS_TAG,
    "evolutions": evolutions_tag(0, EPOCHS - 1),
}
STRANGERS = {f"metadata of {kind}: {name}": (kind, name) for kind in TAGS for name in METADATA}
RUNS = 5 + len(SPACES) + len(EVENTS) + len(STRANGERS)


@pytest.fixture(scope="module")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("payloads")
    write_attacked(top / "good", "none", lambda value: None)
    write_attacked_layers(top / "layers", LAYERS)
    write_attacked_epochs(top / "images", IMAGES_TAG, list(PAGES.values()))
    write_attacked_epochs(top / "alerts", ALERTS_TAG, list(ALERTS.values()))
    for name, change in SPACES.items():
        write_attacked(top / f"space: {name}", SPACE_TAG, change)
    write_attacked_tables(top / "evolutions", list(EVOLUTIONS.values()))
    for name, settings in EVENTS.items():
        write_attacked(top / name, "none", lambda value: None, **settings)
    for run, (kind, name) in STRANGERS.items():
        _write_with_metadata(top / run, TAGS[kind], METADATA[name])
    return top


def _write_with_metadata(folder: Path, tag: str, change: Callable[[Any], None]) -> None:
    write_attacked(folder, tag, lambda value: change(value.metadata), every_epoch=True)


@pytest.fixture(scope="module", params=LOADERS)
def server(request: pytest.FixtureRequest, logdir: Path) -> Iterator[TensorBoardServer]:
    with TensorBoardServer(logdir, LOADERS[request.param]) as tensorboard:
        tensorboard.wait_for(lambda: len(tensorboard.runs()) == RUNS, 60)
        # Checksums are verified over the first few answers.
        tensorboard.wait_for(lambda: _revision(tensorboard) == _revision(tensorboard))
        yield tensorboard
        assert "Traceback" not in tensorboard.log
        assert "internal error" not in tensorboard.log


def _revision(server: TensorBoardServer) -> str:
    return str(server.json("runs")["revision"])


def _marks(run: dict[str, Any]) -> set[tuple[str | None, int | None]]:
    return {(item.get("layer"), item["step"]) for item in run["skipped"]}


def _steps(run: dict[str, Any]) -> dict[str, list[int]]:
    return {layer: entry["steps"] for layer, entry in run["layers"].items()}


def test_the_attacked_epoch_is_marked_and_the_rest_is_there(
    server: TensorBoardServer, reliability: Note
) -> None:
    for layer in LAYERS:  # what only a look at the concept space tells
        assert server.fetch("layer", run="layers", layer=layer)[0] == 200, layer
    runs = server.runs()
    assert _steps(runs["good"]) == {"victim": ALL_STEPS, "other": ALL_STEPS}
    assert runs["good"]["skipped"] == []
    run = runs["layers"]
    wrong = {}
    for layer in LAYERS:
        is_bad = layer.startswith(("neurons", "metrics"))
        # What is no tensor the data server leaves out: then the sampling is told.
        told = (layer, ATTACKED) in _marks(run) or layer in run["sampled"]
        if (_steps(run)[layer], told) != (REST if is_bad else ALL_STEPS, is_bad):
            wrong[layer] = (_steps(run)[layer], told)
    assert wrong == {}
    assert _steps(run)["other"] == ALL_STEPS
    for kind, what in (("neurons", NEURONS), ("metrics", METRICS)):
        reliability(area="payloads", tried=f"payloads `{kind}` before both loaders: marked", count=len(what))
    tried = "NaN, infinity and ids of nothing, before both loaders: told as they are"
    reliability(area="payloads", tried=tried, count=len(HARMLESS))


def test_cards_tables_and_timelines_of_an_attacked_run_are_answered(
    server: TensorBoardServer, reliability: Note
) -> None:
    timeline = server.json("timeline", run="layers")["layers"]
    for layer in LAYERS:
        is_bad = layer.startswith(("neurons", "metrics"))
        assert [entry["step"] for entry in timeline[layer]] == (REST if is_bad else ALL_STEPS), layer
    some = [layer for i, layer in enumerate(LAYERS) if layer.startswith("harmless") or i % 8 == 0]
    for layer in some:
        step = ATTACKED if layer.startswith("harmless") else EPOCHS - 1
        card = server.fetch("neuron", run="layers", layer=layer, neuron=1, step=step, film=0)
        table = server.fetch("export", run="layers", layer=layer, step=step)
        distances = server.fetch("distances", run="layers", layer=layer, word="cat")
        assert [answer[0] for answer in (card, table, distances)] == [200, 200, 200], layer
        json.loads(card[1], parse_constant=_refuse)
        assert [row["neuron"] for row in csv.DictReader(io.StringIO(table[1].decode()))] == list("0123")
    reliability(area="payloads", tried="cards, tables and distances of attacked layers", count=3 * len(some))


def _refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


def test_bad_embeddings_cost_their_own_step_its_neighbours(
    server: TensorBoardServer, reliability: Note
) -> None:
    told = {}
    for name in EMBEDDINGS:
        ask = {"run": "layers", "layer": f"embedding: {name}", "neuron": 1}
        card, before = server.json("neuron", step=ATTACKED, **ask), server.json("neuron", step=0, **ask)
        told[name] = (card["nearest"], bool(card["nearest_error"]), bool(before["nearest"]))
    # Of these the payload is right, and only the tensor around it is not: what is there may be used.
    right = {name: told.pop(name) for name in list(told) if name.startswith("a blob of 2")}
    assert {str(one) for one in told.values()} == {str(([], True, True))}
    assert all(before for _, _, before in right.values())
    reliability(area="payloads", tried="payloads `embedding`: neighbours are not told", count=len(EMBEDDINGS))


def test_a_bad_space_costs_its_words_and_says_why(server: TensorBoardServer, reliability: Note) -> None:
    names = [f"space: {name}" for name in SPACES]
    for name in names:
        status, body, _ = server.fetch("space", run=name)
        assert (status, b"is not in its log; step 0: " in body) == (404, True)
        for route in ("layer", "export"):
            assert server.fetch(route, run=name, layer="victim", step=1)[0] == 200
    runs = server.runs()
    for name in names:
        assert _steps(runs[name]) == {"victim": ALL_STEPS, "other": ALL_STEPS}
        assert _marks(runs[name]) == {(None, 0)}
    reliability(area="payloads", tried="payloads `space`: words are lost, and why is told", count=len(names))


def test_a_bad_image_page_is_refused_and_the_others_are_served(
    server: TensorBoardServer, reliability: Note
) -> None:
    bad = list(range(1, 2 * len(PAGES), 2))
    answer = server.json("images", run="images")
    assert [page["step"] for page in answer["skipped"]] == bad
    assert [page["step"] for page in answer["pages"]] == [step - 1 for step in bad] + [2 * len(PAGES)]
    for step in bad:
        status, body, headers = server.fetch("images", run="images", step=step)
        assert (status, headers["Content-Type"]) == (404, "application/json")
        assert b"hacked" not in body
    status, body, headers = server.fetch("images", run="images", step=0)
    assert (status, headers["Content-Type"], body[:2]) == (200, "image/jpeg", b"\xff\xd8")
    run = server.runs()["images"]
    assert _steps(run)["victim"] == list(range(2 * len(PAGES) + 1))
    assert "concepts/space/images" in run["skipped"][0]["reason"]
    reliability(area="content", tried="image pages that are no pages: refused, 404", count=len(PAGES))


def test_bad_alerts_are_told_and_the_good_ones_are_there(
    server: TensorBoardServer, reliability: Note
) -> None:
    bad = list(range(1, 2 * len(ALERTS), 2))
    answer = server.json("alerts", run="alerts")
    assert [item["step"] for item in answer["skipped"]] == bad
    assert answer["checked"] == [step - 1 for step in bad] + [2 * len(ALERTS)]
    reliability(area="payloads", tried="payloads `alerts`: marked, the others are told", count=len(ALERTS))


def test_strange_events_are_told_as_far_as_they_can_be(
    server: TensorBoardServer, request: pytest.FixtureRequest, reliability: Note
) -> None:
    runs = server.runs()
    is_fast = "[fast]" in request.node.name
    for name in EVENTS:
        rest = FAST_READS.get(name, REST) if is_fast else REST
        assert set(_steps(runs[name])["other"]) >= set(rest), name
        assert all(abs(step) <= 2**53 for step in _steps(runs[name])["other"])
        for route in ("timeline", "scalars", "alerts", "images"):
            assert server.fetch(route, run=name)[0] == 200, (name, route)
        assert server.fetch("layer", run=name, layer="other")[0] == 200, name
    tried = "times and steps that no clock and no counter gives"
    lost = (
        "in the fast loader what is behind a time that is no number or before a lower step; the doctor has it"
    )
    reliability(area="payloads", tried=tried, count=len(EVENTS), lost=lost)


def test_memory_is_bounded(server: TensorBoardServer, reliability: Note) -> None:
    process = psutil.Process(server.pid)
    used = sum(one.memory_info().rss for one in (process, *process.children(recursive=True)))
    assert used < MAX_BYTES
    tried = "all of these together, with sizes up to 2^62 x 2^62, in 500 MiB"
    reliability(area="payloads", tried=tried, count=len(LAYERS) + len(PAGES) + len(SPACES) + len(ALERTS))


ROUTES: dict[str, dict[str, object]] = {
    "timeline": {},
    "space": {},
    "alerts": {},
    "images": {},
    "layer": {"layer": "victim"},
    "neuron": {"layer": "victim", "neuron": 1, "step": 1},
    "distances": {"layer": "victim", "word": "cat"},
    "export": {"layer": "victim", "step": 1},
    "evolutions": {"from": 0, "to": EPOCHS - 1, "class": "cat"},
}
# What is not found where a tag is not ours; nothing of alerts, images and neighbours is no error.
LOST = {
    "neurons": {"layer", "neuron", "distances", "export"},
    "metrics": {"layer", "neuron", "distances", "export"},
    "space": {"space", "distances"},
    "evolutions": {"evolutions"},
}


def test_a_tag_with_foreign_metadata_is_not_ours_and_costs_nothing_else(
    server: TensorBoardServer, logdir: Path, reliability: Note
) -> None:
    runs = server.runs()
    for run, (kind, name) in STRANGERS.items():
        lost = set() if name == "content of another version" else LOST.get(kind, set())
        asked = ROUTES if name == "no metadata" else {*LOST.get(kind, ()), kind} & set(ROUTES)
        told = {route: server.fetch(route, run=run, **ROUTES[route])[0] for route in asked}
        assert told == {route: 404 if route in lost else 200 for route in asked}, run
        assert _steps(runs[run])["other"] == ALL_STEPS, run
        assert ("victim" in runs[run]["layers"]) == ("layer" not in lost)
        reasons = str(runs[run]["skipped"])
        assert ("only a part of what is logged of 1 layers" in reasons) == ("layer" in lost), run
        assert ("space of this run is not in the log" in reasons) == ("space" in lost), run
        if lost and kind != "space":  # what reads the files without TensorBoard goes by the tag
            assert sorted(read_run(logdir / run).snapshots) == ["other", "victim"]
    card = server.json("neuron", run="metadata of embedding: no metadata", **ROUTES["neuron"])
    assert "are not in the log" in card["nearest_error"]
    reliability(area="payloads", tried="missing and foreign plugin metadata", count=len(STRANGERS))


def test_bad_tables_of_evolutions_are_refused_and_the_good_one_is_told(
    server: TensorBoardServer, reliability: Note
) -> None:
    last = EPOCHS - 1
    for number, name in enumerate(EVOLUTIONS, 1):
        for asked in ({}, {"class": "cat"}):
            pair = {"run": "evolutions", "from": -number, "to": last, **asked}
            status, body, headers = server.fetch("evolutions", **pair)
            assert (status, headers["Content-Type"]) == (404, "application/json"), name
            assert f"from step {-number} to {last}" in json.loads(body)["error"], name
    assert {"from": 0, "to": last}.items() <= server.json("evolutions", run="evolutions")["pairs"][-1].items()
    good = server.json("evolutions", run="evolutions", **ROUTES["evolutions"])
    assert [row["before"]["step"] for row in good["evolutions"][:2]] == [0, 0]
    tried = "payloads `evolutions`: refused, and why is told"
    reliability(area="payloads", tried=tried, count=len(EVOLUTIONS))


def test_files_are_read_without_tensorboard_too(logdir: Path, reliability: Note) -> None:
    run = read_run(logdir / "layers")
    for layer in LAYERS:
        assert sorted(run.snapshots[layer]) in (ALL_STEPS, REST), layer
    marked = [layer for layer in LAYERS if any(repr(layer) in text or layer in text for text in run.warnings)]
    # A wrong shape of the tensor around it says nothing against a payload.
    assert [
        layer for layer in LAYERS if layer not in marked and "tensor" not in layer and "blob" not in layer
    ] == [layer for layer in LAYERS if layer.startswith("harmless")]
    assert sorted(run.snapshots["other"]) == ALL_STEPS
    assert len(read_run(logdir / "images").warnings) == len(PAGES)
    assert len(read_run(logdir / "alerts").warnings) == len(ALERTS)
    for name in SPACES:
        with pytest.raises(
            (FileNotFoundError, NewerSchemaError)
        ):  # without it no neuron has a place or a name
            read_run(logdir / f"space: {name}")
    tables = read_run(logdir / "evolutions")
    right = [-1 - number for number, name in enumerate(EVOLUTIONS) if name == "a blob of numbers"]
    assert [table.from_step for table in tables.evolutions] == [*right, 0]
    assert len(tables.warnings) == len(EVOLUTIONS) - len(right)
    assert len(examine(logdir).runs) == RUNS
    count = len(LAYERS) + len(PAGES) + len(SPACES) + len(ALERTS) + len(EVOLUTIONS)
    reliability(area="payloads", tried="the same read by `read_run` and the doctor", count=2 * count)


def test_a_time_that_is_no_number_is_found_and_mended(
    logdir: Path, tmp_path: Path, reliability: Note
) -> None:
    found = examine(logdir / "an epoch at NaN seconds").problems
    assert {problem.code for problem in found} == {"no time", "unreachable"}
    repair(logdir / "an epoch at NaN seconds", tmp_path / "copy")
    assert examine(tmp_path / "copy").is_clean
    assert sorted(read_run(tmp_path / "copy").snapshots["other"]) == ALL_STEPS
    tried = "a time that is no number, at which the data server stops reading: mended by the doctor"
    reliability(area="tensorboard", tried=tried, count=1)


@pytest.mark.parametrize(
    "name", ["a tensor of one value and 2^62 x 2^62 places", "a tensor of no known type"]
)
def test_tensors_that_fail_tensorboards_own_reader_are_one_bad_value(name: str, reliability: Note) -> None:
    value = concept_summary(next(make_snapshots(1, SMALL, space=SPACE)), 0).value[0]
    NEURONS[name](value)
    with pytest.raises((TypeError, ValueError, KeyError, IndexError)):
        tensor_util.make_ndarray(value.tensor)
    with distrust():
        (bad,) = tensor_util.make_ndarray(value.tensor)
    assert isinstance(bad, BadTensor)
    tried = "tensors that fail an answer with all the good ones in it: they alone are left out"
    reliability(area="tensorboard", tried=tried, count=1, lost="the epoch")
