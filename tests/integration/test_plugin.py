"""The plugin in a real TensorBoard process, in both of its loading modes."""

from __future__ import annotations

import json
import platform
import shutil
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from conceptmon_tb.metadata import unpack_payload
from conceptmon_tb.payloads import pack_neurons
from conceptmon_tb.summary import concept_summary
from conceptmon_tb.writer import ConceptWriter
from tests.servers import Corner, TensorBoardServer
from tests.synthetic import LAYERS, SyntheticRun, make_snapshots, write_run
from tests.unit.test_evolution_records import make_table

LOADERS = ("--load_fast=true", "--load_fast=false")
SMALL = {"layer1": 6, "layer2": 8}


@pytest.fixture(scope="module")
def long_logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    logdir = tmp_path_factory.mktemp("long")
    write_run(logdir / "run", epochs=250, layers=dict.fromkeys(LAYERS, 24))
    return logdir


@pytest.fixture(scope="module", params=LOADERS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    logdir = tmp_path_factory.mktemp("logs")
    write_run(logdir / "healthy", epochs=4, layers=SMALL)
    write_run(logdir / "poor", epochs=3, layers=SMALL, poor=True)
    with TensorBoardServer(logdir, request.param) as running:
        running.wait_for(lambda: len(running.runs()) == 2)
        running.wait_for(
            lambda: len(running.runs()["healthy"]["layers"].get("layer2", {"steps": []})["steps"]) == 4
        )
        yield running


@pytest.mark.parametrize("loader", LOADERS)
def test_all_250_epochs_are_visible_under_default_flags(long_logdir: Path, tensorboard, loader: str) -> None:
    server = tensorboard(long_logdir, loader)
    layers = server.wait_for(lambda: _complete(server, 250))
    assert all(layer["steps"] == list(range(250)) for layer in layers.values())
    answer = unpack_payload(server.fetch("layer", run="run", layer="layer4")[1])
    assert answer.arrays["position"].shape == (250, 24, 2)
    assert answer.arrays["steps"].tolist() == list(range(250))
    assert server.runs()["run"]["sampled"] == {}
    assert server.runs()["run"]["skipped"] == []


@pytest.mark.parametrize("loader", LOADERS)
def test_a_users_own_sampling_wins_and_is_reported(long_logdir: Path, tensorboard, loader: str) -> None:
    server = tensorboard(long_logdir, loader, "--samples_per_plugin=conceptmon=20,scalars=1000")
    run = server.wait_for(lambda: _sampled(server))
    assert run["sampled"]["layer4"] == {"kept": 20, "logged": 250}
    assert len(run["layers"]["layer4"]["steps"]) == 20
    assert run["layers"]["layer4"]["steps"][-1] == 249


@pytest.mark.parametrize("loader", LOADERS)
def test_new_epochs_appear_while_a_run_is_being_written(tmp_path: Path, tensorboard, loader: str) -> None:
    with SyntheticRun(tmp_path / "run", epochs=5, layers=SMALL) as run:
        run.write_epoch()
        server = tensorboard(tmp_path, loader, "--reload_interval=1")
        server.wait_for(lambda: _complete(server, 1))
        before = server.json("runs")["revision"]
        run.write_epoch()
        layers = server.wait_for(lambda: _complete(server, 2))
        assert layers["layer1"]["steps"] == [0, 1]
        assert server.json("runs")["revision"] != before
        written = [run.write_epoch() for _ in range(3)][-1]
        server.wait_for(lambda: _complete(server, 5))
    answer = unpack_payload(server.fetch("layer", run="run", layer="layer2", after=2)[1])
    assert answer.arrays["steps"].tolist() == [3, 4]
    np.testing.assert_array_equal(answer.arrays["concept_ids"][-1], written["layer2"].concept_ids)


@pytest.mark.parametrize("loader", LOADERS)
def test_an_empty_log_directory_serves_the_page_and_the_tab_becomes_active_once_data_exists(
    tmp_path: Path, tensorboard, loader: str
) -> None:
    server = tensorboard(tmp_path, loader, "--reload_interval=1")
    listing = json.loads(server.fetch("/data/plugins_listing")[1])
    assert listing["conceptmon"]["enabled"] is False
    assert listing["conceptmon"]["tab_name"] == "Concept Monitor"
    answer = server.json("runs")
    assert answer["runs"] == {}
    assert set(answer) == {"runs", "schema", "revision"}  # where the logs are is TensorBoard's to tell
    status, body, headers = server.fetch("index.js")
    assert (status, headers["Content-Type"]) == (200, "text/javascript; charset=utf-8")
    assert b"render" in body
    write_run(tmp_path / "late", epochs=1, layers=SMALL)
    server.wait_for(lambda: json.loads(server.fetch("/data/plugins_listing")[1])["conceptmon"]["enabled"])


@pytest.mark.parametrize("loader", LOADERS)
def test_altered_and_newer_payloads_are_skipped_with_a_reason(corner, loader: str) -> None:
    server = corner(loader)
    with SyntheticRun(server.folder / "run", epochs=8, layers=SMALL) as run:
        run.write_epoch()
        for damage in (_flip_last_byte, _make_newer):
            _write_damaged(run, damage)
        run.write_epoch()
    server.wait_for(lambda: _complete(server, 2, layer="layer1") and _complete(server, 4, layer="layer2"))
    server.wait_for(lambda: len(server.runs()["run"]["skipped"]) == 2)
    described = server.runs()["run"]
    assert described["layers"]["layer1"]["steps"] == [0, 3]
    assert described["layers"]["layer2"]["steps"] == [0, 1, 2, 3]
    first, second = described["skipped"]
    assert (first["layer"], first["step"]) == ("layer1", 1)
    assert "checksum" in first["reason"]
    assert (first["code"], second["code"]) == ("checksum", "newer_schema")
    assert (second["layer"], second["step"]) == ("layer1", 2)
    assert "pip install --upgrade" in second["reason"]
    answer = unpack_payload(server.fetch("layer", run="run", layer="layer1")[1])
    assert answer.arrays["steps"].tolist() == [0, 3]


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_threads_of_requests_have_no_heaps_of_their_own(server: TensorBoardServer) -> None:
    with ThreadPoolExecutor(16) as pool:
        asked = [pool.submit(server.fetch, "layer", run="healthy", layer="layer1") for _ in range(200)]
    assert {each.result()[0] for each in asked} == {200}
    # glibc reserves 64 MiB for a thread's heap, at a multiple of that, and makes its beginning writable.
    regions = [line.split() for line in Path(f"/proc/{server.pid}/maps").read_text().splitlines()]
    heaps = [
        here[0]
        for here, behind in pairwise(regions)
        if (here[1], behind[1]) == ("rw-p", "---p")
        and int(here[0].split("-")[0], 16) % (1 << 26) == 0
        and here[0].split("-")[1] == behind[0].split("-")[0]
    ]
    assert heaps == []


@pytest.mark.parametrize("loader", LOADERS)
def test_a_removed_run_disappears(corner, loader: str) -> None:
    server = corner(loader)
    write_run(server.folder / "stays", epochs=1, layers=SMALL)
    write_run(server.folder / "goes", epochs=1, layers=SMALL)
    server.wait_for(lambda: len(server.runs()) == 2)
    shutil.rmtree(server.folder / "goes")
    server.wait_for(lambda: list(server.runs()) == ["stays"])
    assert server.fetch("layer", run="goes", layer="layer1")[0] == 404
    assert server.fetch("layer", run="stays", layer="layer1")[0] == 200


@pytest.mark.parametrize("loader", LOADERS)
def test_resuming_replaces_later_epochs(corner, loader: str) -> None:
    server = corner(loader)
    write_run(server.folder / "run", epochs=4, layers=SMALL)
    server.wait_for(lambda: _complete(server, 4))
    again = {"first_step": 2, "start_time": 1_800_000_000.0}
    resumed = list(make_snapshots(1, SMALL, seed=9))[-1]["layer2"]
    write_run(server.folder / "run", epochs=1, layers=SMALL, seed=9, **again)
    layers = server.wait_for(lambda: _complete(server, 3))
    assert layers["layer2"]["steps"] == [0, 1, 2]
    answer = unpack_payload(server.fetch("layer", run="run", layer="layer2")[1])
    np.testing.assert_array_equal(answer.arrays["concept_ids"][2], resumed.concept_ids)


@pytest.mark.parametrize("loader", LOADERS)
def test_a_missing_space_is_said(corner, loader: str) -> None:
    server = corner(loader)
    write_run(server.folder / "run", epochs=1, layers=SMALL, with_space=False)
    server.wait_for(lambda: _complete(server, 1))
    assert "concept space" in server.runs()["run"]["skipped"][0]["reason"]
    status, body, _ = server.fetch("space", run="run")
    assert status == 404
    assert "concept space" in json.loads(body)["error"]
    assert server.json("neuron", run="run", layer="layer1", neuron=0, step=0)["word"] == ""


@pytest.mark.parametrize("loader", LOADERS)
def test_strange_layer_names_and_negative_steps_work(corner, loader: str) -> None:
    server = corner(loader)
    names = ["space", "a/b.0/c", "слой ✓", "", "space/definition"]
    write_run(server.folder / "run", epochs=2, layers=dict.fromkeys(names, 5), first_step=-1)
    layers = server.wait_for(lambda: _complete(server, 2))
    assert sorted(layers) == sorted(names)
    for name in names:
        answer = unpack_payload(server.fetch("layer", run="run", layer=name)[1])
        assert answer.arrays["steps"].tolist() == [-1, 0]
        assert len(server.json("neuron", run="run", layer=name, neuron=1, step=-1)["nearest"]) >= 1


@pytest.mark.parametrize("loader", LOADERS)
def test_important_evolutions_are_served_in_whatever_order_they_were_logged(corner, loader: str) -> None:
    server = corner(loader)
    write_run(server.folder / "run", epochs=3, layers=SMALL)
    tables = {steps: make_table(steps, seed=steps[0], neurons=(5, 6)) for steps in ((0, 2), (1, 2), (0, 1))}
    with ConceptWriter(server.folder / "run", strict=True) as writer:
        for table in tables.values():
            writer.add_evolutions(table)
    pairs = server.wait_for(lambda: _pairs(server, 3))
    assert pairs == [(0, 1), (0, 2), (1, 2)]
    for (first, last), table in tables.items():
        answer = server.json("evolutions", run="run", **{"from": first, "to": last, "class": "dog"})
        told = [(row["layer"], row["neuron"], row["rank"]) for row in answer["evolutions"]]
        assert told == [(row.layer, row.neuron, i) for i, row in enumerate(table.ranked("dog"), 1)]
        assert {row["after"]["step"] for row in answer["evolutions"] if row["layer"] == "layer1"} == {last}


def _pairs(server: Corner, count: int) -> list[tuple[int, int]] | None:
    status, body, _ = server.fetch("evolutions", run="run")
    found = [(pair["from"], pair["to"]) for pair in json.loads(body)["pairs"]] if status == 200 else []
    return found if len(found) == count else None


def test_a_path_prefix_is_respected(tmp_path: Path, tensorboard) -> None:
    write_run(tmp_path / "run", epochs=1, layers=SMALL)
    server = tensorboard(tmp_path, prefix="/foo")
    server.wait_for(lambda: _complete(server, 1))
    assert server.fetch("index.js")[0] == 200
    assert server.fetch("static/index.js")[0] == 200
    assert server.fetch("layer", run="run", layer="layer1")[0] == 200


def test_two_hundred_runs_are_listed_quickly(tmp_path: Path, tensorboard) -> None:
    for number in range(200):
        write_run(tmp_path / f"run{number}", epochs=1, layers={"layer1": 4})
    server = tensorboard(tmp_path)
    server.wait_for(lambda: len(server.runs()) == 200, 60)
    assert server.json("runs", revision=server.json("runs")["revision"])["unchanged"] is True


# The routes, one by one, on a small log directory.


def test_space_answers_places_and_words_without_embeddings(server: TensorBoardServer) -> None:
    answer = unpack_payload(server.fetch("space", run="healthy")[1])
    assert answer.kind == "space"
    assert answer.arrays["position"].shape == (len(answer.attrs["words"]), 2)
    assert set(answer.arrays) == {"position", "anchor_position"}
    assert answer.attrs["encoder_fingerprint"] == "synthetic-0"
    fingerprint = answer.attrs["fingerprint"]
    assert server.runs()["healthy"]["spaces"] == [fingerprint]
    assert server.fetch("space", run="healthy", fingerprint=fingerprint)[0] == 200
    assert server.fetch("space", run="healthy", fingerprint="0")[0] == 404


def test_timeline_answers_the_metrics_of_every_step(server: TensorBoardServer) -> None:
    layers = server.json("timeline", run="healthy")["layers"]
    assert [point["step"] for point in layers["layer2"]] == [0, 1, 2, 3]
    assert layers["layer2"][0]["mean_displacement"] is None
    assert set(layers["layer2"][0]["category_counts"]) == {
        "color", "texture", "material", "part", "object", "scene",
    }  # fmt: skip


def test_layer_answers_what_was_written(server: TensorBoardServer) -> None:
    written = list(make_snapshots(4, SMALL))
    answer = unpack_payload(server.fetch("layer", run="healthy", layer="layer2")[1])
    for index, snapshots in enumerate(written):
        snapshot = snapshots["layer2"]
        np.testing.assert_array_equal(answer.arrays["position"][index], snapshot.position)
        np.testing.assert_array_equal(answer.arrays["similarity"][index], snapshot.similarity)
        np.testing.assert_array_equal(answer.arrays["top_images"][index], snapshot.top_images)
        np.testing.assert_array_equal(answer.arrays["displacement"][index], snapshot.displacement)
        np.testing.assert_array_equal(
            answer.arrays["flags"][index], snapshot.interpretable + 2 * snapshot.valid
        )
    assert answer.attrs["space"] == [written[0]["layer2"].space.fingerprint] * 4


def test_layer_after_the_last_step_is_empty(server: TensorBoardServer) -> None:
    answer = unpack_payload(server.fetch("layer", run="healthy", layer="layer2", after=3)[1])
    assert answer.arrays["position"].shape == (0, 8, 2)


def test_neuron_answers_history_and_neighbours(server: TensorBoardServer) -> None:
    snapshot = list(make_snapshots(4, SMALL))[3]["layer2"]
    answer = server.json("neuron", run="healthy", layer="layer2", neuron=0, step=3, k=3)
    assert answer["word"] == snapshot.words[0]
    assert [item["word"] for item in answer["concepts"]] == [
        snapshot.space.words[i] for i in snapshot.concept_ids[0]
    ]
    assert [item["step"] for item in answer["history"]] == [0, 1, 2, 3]
    length = np.linalg.norm(snapshot.embedding, axis=1)
    cosine = [
        float(snapshot.embedding[0] @ snapshot.embedding[i] / length[0] / length[i]) for i in range(1, 8)
    ]
    assert answer["nearest"][0]["neuron"] == 1 + int(np.argmax(cosine))
    assert answer["nearest"][0]["cosine"] == pytest.approx(max(cosine), abs=1e-3)
    assert len(answer["nearest"]) == 3
    assert answer["nearest_error"] is None


def test_neuron_across_answers_the_other_layers_and_runs(server: TensorBoardServer) -> None:
    answer = server.json("neuron", run="healthy", layer="layer2", neuron=0, step=3, across=1)
    assert sorted((row["run"], row["layer"], row["step"]) for row in answer["across"]) == [
        ("healthy", "layer1", 3),
        ("poor", "layer1", 2),
        ("poor", "layer2", 2),
    ]


def test_distances_average_to_d_anchor(server: TensorBoardServer) -> None:
    answer = server.json("distances", run="healthy", layer="layer2", step=3)
    d_anchor = server.json("timeline", run="healthy")["layers"]["layer2"][3]["d_anchor"]
    assert np.mean(answer["distance"]) == pytest.approx(d_anchor, abs=1e-3)
    query = "run=healthy&layer=layer2&word=garden&word=cat"
    words = json.loads(server.fetch(f"distances?{query}")[1])["words"]
    assert [word["word"] for word in words] == ["garden", "cat"]
    assert all(len(word["distance"]) == 4 for word in words)
    too_many = "&".join(f"word={number}" for number in range(65))
    assert server.fetch(f"distances?run=healthy&layer=layer2&{too_many}")[0] == 400


def test_scalars_answers_tags_then_points(server: TensorBoardServer) -> None:
    tags = server.json("scalars", run="healthy")["tags"]
    assert {"loss/train", "loss/val", "accuracy/val", "concepts/layer2/d_anchor"} <= set(tags)
    points = server.json("scalars", run="healthy", tag="loss/train")["points"]
    assert [point[0] for point in points] == [0, 1, 2, 3]
    assert all(isinstance(point[2], float) for point in points)


def test_images_answers_pages_and_a_jpeg(server: TensorBoardServer) -> None:
    answer = server.json("images", run="healthy")
    page = answer["pages"][0]
    assert (answer["tile"], page["step"]) == (64, 0)
    status, body, headers = server.fetch("images", run="healthy", step=page["step"])
    assert (status, headers["Content-Type"], body[:2]) == (200, "image/jpeg", b"\xff\xd8")


def test_anchor_answers_a_place_or_suggestions(server: TensorBoardServer) -> None:
    assert server.json("anchor", run="healthy", word="Garden")["kind"] == "anchor"
    assert server.json("anchor", run="healthy", word="house")["category"] == "object"
    status, body, _ = server.fetch("anchor", run="healthy", word="gardn")
    assert status == 404
    assert "garden" in json.loads(body)["suggestions"]
    quiet = server.json("anchor", run="healthy", word="gardn", missing=200)
    assert (quiet["status"], "garden" in quiet["suggestions"]) == ("unplaced", True)


def test_export_answers_one_row_per_neuron(server: TensorBoardServer) -> None:
    status, body, headers = server.fetch("export", run="healthy", layer="layer2", step=3)
    assert (status, headers["Content-Type"]) == (200, "text/csv; charset=utf-8")
    assert len(body.decode().splitlines()) == 1 + 8
    rows = server.json("export", run="healthy", layer="layer2", step=3, format="json")["neurons"]
    assert [row["neuron"] for row in rows] == list(range(8))


@pytest.mark.parametrize(
    ("route", "parameters", "status"),
    [
        ("space", {}, 400),
        ("layer", {"run": "healthy"}, 400),
        ("layer", {"run": "healthy", "layer": "layer2", "after": "soon"}, 400),
        ("layer", {"run": "healthy", "layer": "layer2", "from": "1.5"}, 400),
        ("layer", {"run": "healthy", "layer": "layer2", "to": ""}, 400),
        ("layer", {"run": "healthy", "layer": "layer2", "from": "3", "to": "2"}, 400),
        ("layer", {"run": "healthy", "layer": "layer2", "part": "heads"}, 400),
        ("neuron", {"run": "healthy", "layer": "layer2", "neuron": "1e3", "step": "0"}, 400),
        ("neuron", {"run": "healthy", "layer": "layer2", "neuron": "0", "step": "0", "k": "1000"}, 400),
        ("neuron", {"run": "healthy", "layer": "layer2", "neuron": "0", "step": "9" * 30}, 400),
        ("neuron", {"run": "healthy", "layer": "layer2", "neuron": "0", "step": "0", "across": "2"}, 400),
        ("neuron", {"run": "healthy", "layer": "layer2", "neuron": "0", "step": "0", "film": "x"}, 400),
        ("distances", {"run": "healthy", "layer": "layer2"}, 400),
        ("distances", {"run": "healthy", "layer": "layer2", "step": "x"}, 400),
        ("distances", {"run": "healthy", "layer": "layer2", "step": "9"}, 404),
        ("distances", {"run": "healthy", "layer": "layer9", "step": "0"}, 404),
        ("distances", {"run": "healthy", "layer": "layer2", "word": "gardn"}, 404),
        ("distances", {"run": "healthy", "layer": "layer2", "word": "x" * 81}, 400),
        ("anchor", {"run": "healthy", "word": "x" * 81}, 400),
        ("anchor", {"run": "healthy", "word": "parliament"}, 404),
        ("export", {"run": "healthy", "layer": "layer2", "step": "0", "format": "exe"}, 400),
        ("timeline", {"run": "nobody"}, 404),
        ("scalars", {"run": "nobody"}, 404),
        ("scalars", {"run": "healthy", "tag": "nothing"}, 404),
        ("images", {"run": "healthy", "step": "77"}, 404),
        ("layer", {"run": "healthy", "layer": "layer9"}, 404),
        ("layer", {"run": "../healthy", "layer": "layer2"}, 404),
        ("neuron", {"run": "healthy", "layer": "layer2", "neuron": "8", "step": "0"}, 404),
        ("neuron", {"run": "healthy", "layer": "layer2", "neuron": "-1", "step": "0"}, 404),
        ("neuron", {"run": "healthy", "layer": "layer2", "neuron": "0", "step": "4"}, 404),
        ("export", {"run": "healthy", "layer": "layer2", "step": "-5"}, 404),
        ("static/../plugin/app.py", {}, 404),
        ("static/%2e%2e/plugin/app.py", {}, 404),
        ("static/__init__.py", {}, 404),
        ("static//etc/passwd", {}, 404),
    ],
)
def test_wrong_requests_get_an_error_as_json(server: TensorBoardServer, route, parameters, status) -> None:
    answered, body, headers = server.fetch(route, **parameters)
    assert answered == status
    assert headers["Content-Type"] == "application/json"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert json.loads(body)["error"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_only_reading_is_allowed(server: TensorBoardServer, method: str) -> None:
    status, body, headers = server.fetch("runs", method=method)
    assert (status, headers["Allow"]) == (405, "GET, HEAD")
    assert json.loads(body)["error"]


def test_head_answers_headers_only(server: TensorBoardServer) -> None:
    status, body, headers = server.fetch("runs", method="HEAD")
    assert (status, body) == (200, b"")
    assert int(headers["Content-Length"]) > 0


def test_static_files_have_their_mime_types(server: TensorBoardServer) -> None:
    status, _, headers = server.fetch("static/container.js")
    assert (status, headers["Content-Type"]) == (200, "text/javascript; charset=utf-8")
    assert headers["X-Content-Type-Options"] == "nosniff"


def _complete(server: TensorBoardServer | Corner, epochs: int, layer: str | None = None):
    layers = server.runs().get("run", {"layers": {}})["layers"]
    chosen = {layer: layers[layer]} if layer in layers else layers
    return layers if layers and all(len(item["steps"]) == epochs for item in chosen.values()) else None


def _sampled(server: TensorBoardServer):
    run = server.runs().get("run", {"layers": {}, "sampled": {}})
    return run if {item["logged"] for item in run["sampled"].values()} == {250} else None


def _write_damaged(run: SyntheticRun, damage) -> None:
    snapshots = next(make_snapshots(1, SMALL, space=run.space))
    summary = concept_summary(snapshots, run.step)
    value = summary.value[0]
    assert value.tag == "concepts/layer1/neurons"
    value.tensor.tensor_content = damage(pack_neurons(snapshots["layer1"], run.step))
    run.add_summary(summary)
    run.step += 1


def _flip_last_byte(payload: bytes) -> bytes:
    return payload[:-1] + bytes([payload[-1] ^ 1])


def _make_newer(payload: bytes) -> bytes:
    return payload[:4] + (2).to_bytes(2, "little") + payload[6:]
