"""Layers whose neurons are blobs, in a real TensorBoard process and in both of its loading modes."""

from __future__ import annotations

import numpy as np
import pytest

from conceptmon_tb import summary
from conceptmon_tb.metadata import unpack_payload
from conceptmon_tb.payloads import pack_neurons
from conceptmon_tb.summary import concept_summary
from tests.servers import Corner
from tests.synthetic import SyntheticRun, make_snapshots, write_run

LOADERS = ("--load_fast=true", "--load_fast=false")
MIXED = {"small": 6, "large": 12}


@pytest.fixture(autouse=True)
def _large_is_eight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(summary, "MAX_TENSOR_NEURONS", 8)


@pytest.mark.parametrize("loader", LOADERS)
def test_small_and_large_layers_answer_alike(corner, loader: str) -> None:
    server = corner(loader)
    write_run(server.folder / "run", epochs=5, layers=MIXED)
    written = list(make_snapshots(5, MIXED))
    layers = server.wait_for(lambda: _complete(server, 5))
    assert {name: layer["neurons"] for name, layer in layers.items()} == MIXED
    assert server.runs()["run"]["skipped"] == []
    for layer in MIXED:
        answer = _layer(server, layer=layer)
        frames = _layer(server, layer=layer, part="frames", **{"from": 2, "to": 3})
        details = _layer(server, layer=layer, part="details", to=0)
        for step, snapshots in enumerate(written):
            snapshot = snapshots[layer]
            np.testing.assert_array_equal(answer.arrays["position"][step], snapshot.position)
            np.testing.assert_array_equal(answer.arrays["similarity"][step], snapshot.similarity)
        assert frames.attrs["steps"] == [2, 3]
        np.testing.assert_array_equal(frames.arrays["position"], answer.arrays["position"][2:4])
        np.testing.assert_array_equal(
            frames.arrays["concept_ids"][..., 0], answer.arrays["concept_ids"][2:4, :, 0]
        )
        assert details.attrs["steps"] == [0]
        np.testing.assert_array_equal(details.arrays["top_images"], answer.arrays["top_images"][:1])
        neuron = server.json("neuron", run="run", layer=layer, neuron=3, step=4)
        assert [item["word"] for item in neuron["history"]] == [s[layer].words[3] for s in written]


@pytest.mark.parametrize("loader", LOADERS)
def test_new_epochs_of_a_large_layer_appear(corner, loader: str) -> None:
    server = corner(loader)
    with SyntheticRun(server.folder / "run", epochs=4, layers=MIXED) as run:
        run.write_epoch()
        server.wait_for(lambda: _complete(server, 1))
        for count in (2, 3):
            run.write_epoch()
            server.wait_for(lambda count=count: _complete(server, count))
    assert _layer(server, layer="large", after=0).attrs["steps"] == [1, 2]


@pytest.mark.parametrize("loader", LOADERS)
def test_resuming_replaces_later_epochs_of_a_large_layer(corner, loader: str) -> None:
    server = corner(loader)
    write_run(server.folder / "run", epochs=4, layers=MIXED)
    server.wait_for(lambda: _complete(server, 4))
    _layer(server, layer="large")
    resumed = list(make_snapshots(1, MIXED, seed=9))[-1]["large"]
    again = {"first_step": 2, "start_time": 1_800_000_000.0}
    write_run(server.folder / "run", epochs=1, layers=MIXED, seed=9, **again)
    server.wait_for(lambda: _complete(server, 3))
    answer = _layer(server, layer="large")
    assert answer.attrs["steps"] == [0, 1, 2]
    np.testing.assert_array_equal(answer.arrays["concept_ids"][2], resumed.concept_ids)


@pytest.mark.parametrize("loader", LOADERS)
def test_a_damaged_blob_is_told_once_it_was_read(corner, loader: str) -> None:
    server = corner(loader)
    with SyntheticRun(server.folder / "run", epochs=4, layers=MIXED) as run:
        run.write_epoch()
        snapshots = next(make_snapshots(1, MIXED, space=run.space))
        damaged = concept_summary(snapshots, run.step)
        value = next(value for value in damaged.value if value.tag == "concepts/large/neurons")
        payload = pack_neurons(snapshots["large"], run.step)
        value.tensor.string_val[0] = payload[:-1] + bytes([payload[-1] ^ 1])
        run.add_summary(damaged)
        run.step += 1
        run.write_epoch()
    server.wait_for(lambda: _complete(server, 3))
    before = server.revision
    assert server.runs()["run"]["skipped"] == []
    assert server.revision == before
    assert _layer(server, layer="large", part="frames").attrs["steps"] == [0, 2]
    after = server.runs()["run"]
    assert server.revision != before
    (skipped,) = after["skipped"]
    assert (skipped["layer"], skipped["step"], skipped["code"]) == ("large", 1, "checksum")
    assert after["layers"]["large"]["steps"] == [0, 2]
    assert after["layers"]["small"]["steps"] == [0, 1, 2]


def _layer(server: Corner, **parameters: object):
    status, body, _ = server.fetch("layer", run="run", **parameters)
    assert status == 200
    return unpack_payload(body)


def _complete(server: Corner, epochs: int):
    layers = server.runs().get("run", {"layers": {}})["layers"]
    return layers if layers and all(len(item["steps"]) == epochs for item in layers.values()) else None
