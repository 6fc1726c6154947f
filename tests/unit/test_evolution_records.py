"""Tables of important evolutions through event files, and what a stranger's log may hold instead."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.tensorboard import SummaryWriter

import conceptmon_tb as cm
from conceptmon_tb.event_files import event_files
from conceptmon_tb.evolution_records import Evolutions, pack_evolutions, unpack_evolutions
from conceptmon_tb.evolution_writing import add_evolutions
from conceptmon_tb.export import evolution_columns
from conceptmon_tb.metadata import (
    PayloadError,
    evolutions_tag,
    pack_payload,
    parse_evolutions_tag,
    parse_layer_tag,
    unpack_payload,
)
from conceptmon_tb.payload_checks import check_payload
from tests.synthetic import make_snapshots


def make_table(
    steps: tuple[int, int] = (0, 2), seed: int = 0, most: int = 20, neurons: tuple[int, ...] = (5, 7)
) -> Evolutions:
    rng = np.random.default_rng(seed)
    images = rng.integers(1, most, 3, endpoint=True).astype(np.int32)
    positive = rng.integers(0, images[:, None], (3, sum(neurons)), endpoint=True).astype(np.int32)
    size = 10.0 ** rng.uniform(-12, 6, (3, 1))
    sensitivity = (size * rng.normal(size=positive.shape)).astype(np.float32)
    layers = tuple(f"layer{i}" for i in range(len(neurons)))
    return Evolutions(*steps, ("cat", "dog", "käfer/\n"), images, layers, neurons, positive, sensitivity)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(seed=st.integers(0, 1000), most=st.sampled_from([1, 255, 256, 70_000]), first=st.integers(-9, 9))
def test_a_table_comes_back_exactly_but_for_the_rounding_of_sensitivities(
    seed: int, most: int, first: int
) -> None:
    table = make_table((first, first + 3), seed, most)
    payload = unpack_payload(pack_evolutions(table))
    check_payload(payload, "evolutions", first + 3)
    read = unpack_evolutions(payload, evolutions_tag(first, first + 3))
    for field in dataclasses.fields(Evolutions):
        if field.name != "sensitivity":
            np.testing.assert_equal(getattr(read, field.name), getattr(table, field.name), field.name)
    size = np.abs(table.sensitivity)
    allowed = 1e-3 * size + 1e-7 * size.max(axis=1, keepdims=True)
    assert (np.abs(read.sensitivity - table.sensitivity) <= allowed).all()


def test_a_table_takes_three_bytes_per_class_and_neuron() -> None:
    assert len(pack_evolutions(make_table(neurons=(4000,)))) < 3.1 * 3 * 4000


def test_neurons_without_rank_and_classes_without_change_come_back() -> None:
    table = make_table()
    table.sensitivity[1, 2], table.sensitivity[2] = np.nan, 0
    read = unpack_evolutions(unpack_payload(pack_evolutions(table)))
    assert (np.isnan(read.sensitivity) == np.isnan(table.sensitivity)).all()
    assert not read.sensitivity[2].any()
    assert len(read.ranked("dog")) == 11


@settings(max_examples=15, deadline=None, derandomize=True)
@given(seed=st.integers(0, 1000), layer=st.sampled_from([None, "layer0", "layer1"]))
def test_ranking_is_by_score_then_by_sensitivity_then_by_number(seed: int, layer: str | None) -> None:
    table = make_table(seed=seed, most=3)
    table.sensitivity[0] = np.round(table.sensitivity[0] / np.abs(table.sensitivity[0]).max(), 1)
    rows = []
    places = [("layer0", n) for n in range(5)] + [("layer1", n) for n in range(7)]
    for place, count, mean in zip(places, table.positive[0], table.sensitivity[0], strict=True):
        rows.append((-count / table.num_images[0], -mean, *place))
    expected = [(name, neuron) for _, _, name, neuron in sorted(rows) if layer in (None, name)]
    assert [(row.layer, row.neuron) for row in table.ranked("cat", layer)] == expected
    least = table.ranked("cat", layer, 2, least=True)
    assert [(row.layer, row.neuron) for row in least] == expected[::-1][:2]


def test_what_is_not_in_a_table_is_named() -> None:
    with pytest.raises(KeyError, match="no class 'cow'; there are cat, dog"):
        make_table().ranked("cow")
    with pytest.raises(KeyError, match="no layer 'x'"):
        make_table().ranked("cat", "x")
    with pytest.raises(ValueError, match="from_step must be before to_step"):
        make_table((3, 3))
    with pytest.raises(ValueError, match="positive has shape"):
        dataclasses.replace(make_table(), positive=np.zeros((3, 2), np.int32))
    with pytest.raises(ValueError, match="classes must be different"):
        dataclasses.replace(make_table(), classes=("a", "a", "b"))


def test_a_table_that_no_reader_would_take_is_not_made() -> None:
    table = make_table()
    with pytest.raises(TypeError, match=r"whole numbers, got 0\.5 and 2"):
        dataclasses.replace(table, from_step=0.5)
    for positive in (table.positive - 30, table.positive + 30):
        with pytest.raises(ValueError, match="positive must be numbers of the class's images"):
            dataclasses.replace(table, positive=positive)
    with pytest.raises(ValueError, match="each class must have some"):
        dataclasses.replace(table, num_images=0 * table.num_images, positive=0 * table.positive)
    none = {name: getattr(table, name)[:0] for name in ("classes", "num_images", "positive", "sensitivity")}
    with pytest.raises(ValueError, match="classes is empty"):
        dataclasses.replace(table, **none)


@given(st.integers(-(10**17), 10**17), st.integers(-(10**17), 10**17))
def test_the_tag_of_a_pair_tells_the_pair_and_is_no_layers(first: int, last: int) -> None:
    tag = evolutions_tag(first, last)
    assert (parse_evolutions_tag(tag), parse_layer_tag(tag)) == ((first, last), None)


@pytest.mark.parametrize(
    "end", ["", "1", "1/", "a/2", "01/2", "-0/2", "1/2/3", "1/²", "1/2\n", "1/" + 30 * "9"]
)
def test_other_tags_are_no_pairs(end: str) -> None:
    assert parse_evolutions_tag(f"concepts/evolutions/{end}") is None


# ---- event files ----


def write_epochs(writer: SummaryWriter) -> None:
    for epoch, snapshots in enumerate(make_snapshots(3, {"layer0": 5, "layer1": 7})):
        cm.add_concepts(writer, snapshots, epoch)


def test_tables_come_back_from_the_event_file_in_the_order_of_their_ends(tmp_path: Path) -> None:
    with cm.ConceptWriter(tmp_path, strict=True) as writer:
        write_epochs(writer)
        for steps in ((0, 2), (1, 2), (0, 1)):
            writer.add_evolutions(make_table(steps, seed=steps[0]))
    run = cm.read_run(tmp_path)
    assert [(one.from_step, one.to_step) for one in run.evolutions] == [(0, 1), (0, 2), (1, 2)]
    np.testing.assert_array_equal(run.evolutions[2].positive, make_table((1, 2), seed=1).positive)
    assert run.warnings == ()


@pytest.mark.parametrize("plain", [False, True])
def test_a_second_table_of_two_epochs_is_refused_also_by_a_later_session(plain: bool, tmp_path: Path) -> None:
    with cm.ConceptWriter(tmp_path) as writer:
        write_epochs(writer)
        writer.add_evolutions(make_table(seed=1))
        with pytest.warns(RuntimeWarning, match="from step 0 to 2 are in the log already"):
            writer.add_evolutions(make_table(seed=2))
    with SummaryWriter(tmp_path) if plain else cm.ConceptWriter(tmp_path) as writer:
        with pytest.raises(ValueError, match="from step 0 to 2"):
            add_evolutions(writer, make_table(seed=3), strict=True)
        add_evolutions(writer, make_table((1, 2), seed=4), strict=True)
    first, second = cm.read_run(tmp_path).evolutions
    np.testing.assert_array_equal(first.positive, make_table(seed=1).positive)
    np.testing.assert_array_equal(second.positive, make_table((1, 2), seed=4).positive)


def test_a_session_that_resumes_before_the_later_epoch_replaces_its_tables(tmp_path: Path) -> None:
    with cm.ConceptWriter(tmp_path, strict=True) as writer:
        write_epochs(writer)
        writer.add_evolutions(make_table((0, 1)))
        writer.add_evolutions(make_table((0, 2)))
    with cm.ConceptWriter(tmp_path, strict=True, purge_step=2) as writer:
        writer.add_evolutions(make_table((0, 2), seed=5))
        with pytest.raises(ValueError, match="from step 0 to 1"):
            writer.add_evolutions(make_table((0, 1)))
    found = cm.read_run(tmp_path).evolutions
    assert [(one.from_step, one.to_step) for one in found] == [(0, 1), (0, 2)]
    np.testing.assert_array_equal(found[1].positive, make_table((0, 2), seed=5).positive)


def test_a_wrong_call_is_named(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="writer must be"):
        add_evolutions("runs", make_table())
    with cm.ConceptWriter(tmp_path) as writer, pytest.raises(TypeError, match="evolutions must be"):
        writer.add_evolutions({"a": 1})
    with pytest.raises(RuntimeError, match="closed"):
        writer.add_evolutions(make_table())


def test_a_damaged_table_costs_itself_alone(tmp_path: Path) -> None:
    with cm.ConceptWriter(tmp_path, strict=True) as writer:
        write_epochs(writer)
        writer.add_evolutions(make_table((0, 1)))
        writer.add_evolutions(make_table((0, 2)))
    (path,) = event_files(tmp_path)
    data = path.read_bytes()
    at = data.index(pack_evolutions(make_table((0, 1)))) + 60
    path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    run = cm.read_run(tmp_path)
    assert [one.to_step for one in run.evolutions] == [2]
    assert any("concepts/evolutions/0/1" in warning for warning in run.warnings)


def test_tables_without_their_epochs_say_so(tmp_path: Path) -> None:
    with SummaryWriter(str(tmp_path)) as writer:
        add_evolutions(writer, make_table())
    with pytest.raises(FileNotFoundError, match="evolutions, but no snapshots of their epochs: log both"):
        cm.read_run(tmp_path)


def test_tables_are_columns_for_notebooks(tmp_path: Path) -> None:
    with cm.ConceptWriter(tmp_path, strict=True) as writer:
        write_epochs(writer)
        assert evolution_columns(cm.read_run(tmp_path)) == {}
        for steps in ((0, 2), (0, 1)):
            writer.add_evolutions(make_table(steps, seed=steps[1]))
    run = cm.read_run(tmp_path)
    columns = evolution_columns(run)
    assert {name: len(values) for name, values in columns.items()} == dict.fromkeys(columns, 2 * 3 * 12)
    for row in range(0, 72, 5):
        table = run.evolutions[row // 36]
        named = table.ranked(columns["class"][row], columns["layer"][row])
        (found,) = [one for one in named if one.neuron == columns["neuron"][row]]
        told = tuple(columns[name][row] for name in ("from_step", "to_step", "score", "sensitivity"))
        assert told == (found.from_step, found.to_step, found.score, found.sensitivity)
        assert columns["images"][row] == table.num_images[table.classes.index(columns["class"][row])]
    assert set(evolution_columns(run, ["layer1"])["layer"]) == {"layer1"}


# ---- a stranger's log ----


GOOD = unpack_payload(pack_evolutions(make_table()))


@pytest.mark.parametrize(
    ("attrs", "arrays"),
    [
        ({"from_step": 2}, {}),
        ({"from_step": True}, {}),
        ({"from_step": -(2**60)}, {}),
        ({"from_step": "0"}, {}),
        ({"classes": "abc"}, {}),
        ({"classes": []}, {}),
        ({"classes": ["a", "b", 3]}, {}),
        ({"classes": ["a", "b", "b"]}, {}),
        ({"layers": ["a"]}, {}),
        ({"layers": ["a", "a"]}, {}),
        ({"layers": {"a": 1, "b": 2}}, {}),
        ({"neurons": [6, 7]}, {}),
        ({"neurons": [-1, 13]}, {}),
        ({"neurons": [5.0, 7]}, {}),
        ({"neurons": 12}, {}),
        ({}, {"positive": GOOD.arrays["positive"].astype(np.float32)}),
        ({}, {"positive": GOOD.arrays["positive"][:2]}),
        ({}, {"positive": np.full((3, 12), -1, np.int32)}),
        ({}, {"positive": np.full((3, 12), 99, np.uint8)}),
        ({}, {"num_images": np.array([0, 5, 5], np.int32)}),
        ({}, {"num_images": np.array([5, 5], np.int32)}),
        ({}, {"scale": np.ones((3, 1), np.float32)}),
        ({}, {"sensitivity": np.zeros((3, 12), np.int8)}),
    ],
)
def test_content_that_does_not_fit_together_is_refused(attrs: dict, arrays: dict) -> None:
    packed = pack_payload("evolutions", 2, {**GOOD.attrs, **attrs}, {**GOOD.arrays, **arrays})
    payload = unpack_payload(packed)
    with pytest.raises(PayloadError):
        check_payload(payload, "evolutions", 2)


@pytest.mark.parametrize("name", [*GOOD.attrs, *GOOD.arrays])
def test_what_is_missing_is_refused(name: str) -> None:
    attrs = {key: value for key, value in GOOD.attrs.items() if key != name}
    arrays = {key: value for key, value in GOOD.arrays.items() if key != name}
    with pytest.raises(PayloadError, match=name):
        check_payload(unpack_payload(pack_payload("evolutions", 2, attrs, arrays)), "evolutions", 2)


def test_a_table_under_another_pairs_tag_is_refused() -> None:
    with pytest.raises(PayloadError, match="from step 0 to 2 under 'concepts/evolutions/1/2'"):
        unpack_evolutions(GOOD, "concepts/evolutions/1/2")


def test_infinite_sensitivities_of_a_stranger_have_no_rank() -> None:
    arrays = {**GOOD.arrays, "scale": np.array([np.inf, np.nan, 3e38], np.float32)}
    arrays["sensitivity"] = np.full((3, 12), 60_000, np.float16)
    payload = unpack_payload(pack_payload("evolutions", 2, GOOD.attrs, arrays))
    check_payload(payload, "evolutions", 2)
    assert np.isnan(unpack_evolutions(payload).sensitivity).all()
