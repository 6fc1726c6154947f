"""The route `evolutions` against the table itself, and what is not there."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pytest
from werkzeug.test import Client

from conceptmon_tb.evolution_records import Evolutions, pack_evolutions
from conceptmon_tb.metadata import evolutions_tag
from conceptmon_tb.plugin.app import ConceptMonitorPlugin
from tests.providers import FakeProvider
from tests.synthetic import make_snapshots
from tests.unit.test_evolution_records import make_table

# Of the table's layers the first is logged at all steps, the second was wider then, the third never.
LOGGED = {"layer0": 5, "layer1": 8}
EPOCHS = list(make_snapshots(3, LOGGED))
TABLE = make_table((1, 2), seed=3, most=6, neurons=(5, 7, 4))


def add(provider: FakeProvider, table: Evolutions, tag: str | None = None) -> None:
    tag = tag or evolutions_tag(table.from_step, table.to_step)
    provider.add_blob("run", tag, table.to_step, 50.0 + table.from_step, pack_evolutions(table))


@pytest.fixture
def provider() -> FakeProvider:
    provider = FakeProvider()
    provider.log("run", enumerate(EPOCHS))
    for steps in ((0, 2), (-1, 0)):
        add(provider, make_table(steps))
    add(provider, TABLE)
    return provider


def ask(provider: FakeProvider, code: int = 200, **parameters: Any) -> Any:
    plugin = ConceptMonitorPlugin(SimpleNamespace(data_provider=provider))
    response = Client(plugin.get_plugin_apps()["/evolutions"]).get("/?" + urlencode(parameters))
    assert response.status_code == code
    return json.loads(response.data)


def test_pairs_are_told_by_their_ends_and_nothing_of_them_is_read(provider: FakeProvider) -> None:
    answer = ask(provider, run="run")
    assert [(pair["from"], pair["to"]) for pair in answer["pairs"]] == [(-1, 0), (0, 2), (1, 2)]
    assert answer["pairs"][0]["wall_time"] == 49.0
    assert answer["left_out"] == 0
    assert not [key for key in provider.blobs_read if "evolutions" in key]


def test_a_pair_tells_its_classes_and_layers(provider: FakeProvider) -> None:
    answer = ask(provider, run="run", **{"from": 1, "to": 2})
    assert answer["classes"] == [
        {"name": name, "images": count} for name, count in zip(TABLE.classes, TABLE.num_images, strict=True)
    ]
    assert answer["layers"] == [{"name": f"layer{i}", "neurons": count} for i, count in enumerate((5, 7, 4))]


@pytest.mark.parametrize("name", TABLE.classes)
@pytest.mark.parametrize("layer", [None, "layer1"])
@pytest.mark.parametrize("order", ["most", "least"])
def test_evolutions_are_ranked_as_the_table_ranks_them(
    name: str, layer: str | None, order: str, provider: FakeProvider
) -> None:
    chosen = {} if layer is None else {"layer": layer}
    answer = ask(provider, run="run", **{"from": 1, "to": 2, "class": name}, order=order, k=9, **chosen)
    whole = TABLE.ranked(name, layer)
    expected = TABLE.ranked(name, layer, 9, least=order == "least")
    assert (answer["total"], answer["unranked"]) == (len(whole), 0)
    assert answer["images"] == TABLE.num_images[TABLE.classes.index(name)]
    told = answer["evolutions"]
    assert [(row["layer"], row["neuron"]) for row in told] == [(row.layer, row.neuron) for row in expected]
    assert [row["score"] for row in told] == pytest.approx([row.score for row in expected], abs=1e-6)
    largest = max(abs(row.sensitivity) for row in whole)
    assert [row["sensitivity"] / largest for row in told] == pytest.approx(
        [row.sensitivity / largest for row in expected], abs=1e-3
    )
    ranks = [1 + whole.index(row) for row in expected]
    assert [row["rank"] for row in told] == ranks


def test_a_neuron_is_told_before_and_after_where_the_run_has_logged_it(provider: FakeProvider) -> None:
    rows = ask(provider, run="run", **{"from": 1, "to": 2, "class": "cat"}, k=200)["evolutions"]
    assert len(rows) == 16
    for row in rows:
        for step, told in ((1, row["before"]), (2, row["after"])):
            if row["layer"] != "layer0":
                assert told is None
                continue
            snapshot = EPOCHS[step]["layer0"]
            assert (told["step"], told["word"]) == (step, snapshot.words[row["neuron"]])
            top = [image for image in snapshot.top_images[row["neuron"]].tolist() if image >= 0]
            assert told["top_images"] == top
    early = ask(provider, run="run", **{"from": -1, "to": 0, "class": "cat", "layer": "layer0"})["evolutions"]
    assert {row["before"] is None for row in early} == {True}
    assert {row["after"]["step"] for row in early} == {0}


def test_neurons_that_are_not_finite_are_counted_and_not_told(provider: FakeProvider) -> None:
    table = make_table((0, 1))
    table.sensitivity[0, [2, 6]] = np.nan
    add(provider, table)
    answer = ask(provider, run="run", **{"from": 0, "to": 1, "class": "cat"})
    assert (answer["total"], answer["unranked"], len(answer["evolutions"])) == (10, 2, 10)


@pytest.mark.parametrize(
    ("code", "parameters", "message"),
    [
        (400, {}, "'run' is missing"),
        (400, {"run": "run", "from": "1"}, "belong together"),
        (400, {"run": "run", "to": "1"}, "belong together"),
        (400, {"run": "run", "class": "cat"}, "'from' and 'to' are missing"),
        (400, {"run": "run", "from": "1", "to": "x"}, "whole number"),
        (400, {"run": "run", "from": "1", "to": "2", "class": "cat", "k": "0"}, "from 1 to 200"),
        (400, {"run": "run", "from": "1", "to": "2", "class": "cat", "k": "201"}, "from 1 to 200"),
        (400, {"run": "run", "from": "1", "to": "2", "class": "cat", "order": "up"}, "'most', 'least'"),
        (404, {"run": "walk"}, "'walk'"),
        (404, {"run": "run", "from": "0", "to": "1"}, "there are -1 to 0, 0 to 2, 1 to 2"),
        (404, {"run": "run", "from": "1", "to": "2", "class": "dogg"}, "class 'dogg'"),
        (
            404,
            {"run": "run", "from": "1", "to": "2", "class": "dog", "layer": "x"},
            "they have layer0, layer1",
        ),
    ],
)
def test_what_is_wrong_or_not_there_is_named(
    code: int, parameters: dict[str, str], message: str, provider: FakeProvider
) -> None:
    answer = ask(provider, code, **parameters)
    assert message in answer["error"]
    if parameters.get("class") == "dogg":
        assert answer["suggestions"] == ["dog"]


def test_damaged_and_misplaced_tables_are_not_used(provider: FakeProvider) -> None:
    data = bytearray(pack_evolutions(make_table((0, 1))))
    data[-20] ^= 1
    provider.add_blob("run", evolutions_tag(0, 1), 1, 0.0, bytes(data))
    add(provider, make_table((1, 2)), evolutions_tag(-5, 2))
    add(provider, make_table((1, 2)), evolutions_tag(1, 9))
    assert "checksum mismatch" in ask(provider, 404, run="run", **{"from": 0, "to": 1})["error"]
    assert "from step -5 to 2" in ask(provider, 404, run="run", **{"from": -5, "to": 2})["error"]
    assert "from step 1 to 9" in ask(provider, 404, run="run", **{"from": 1, "to": 9})["error"]
    assert {"from": 1, "to": 9} not in [
        {"from": pair["from"], "to": pair["to"]} for pair in ask(provider, run="run")["pairs"]
    ]
