"""What a log may cost: whatever is in it, an answer takes bounded time and memory; good runs are there."""

from __future__ import annotations

import dataclasses
import difflib
import json
import random
import struct
import time
import tracemalloc
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from conceptmon_tb.alert_records import Alert, AlertReport, pack_alerts
from conceptmon_tb.metadata import (
    ALERTS_TAG,
    PayloadError,
    evolutions_tag,
    layer_tag,
    pack_payload,
    unpack_payload,
)
from conceptmon_tb.payloads import pack_metrics, pack_neurons
from conceptmon_tb.plugin import answers as answers_module
from conceptmon_tb.plugin import layers
from conceptmon_tb.plugin.answers import MAX_TAGS, Answers
from conceptmon_tb.plugin.app import MAX_EVOLUTIONS
from conceptmon_tb.plugin.cache import PayloadCache
from conceptmon_tb.plugin.errors import BadRequestError
from conceptmon_tb.plugin.records import RecordStore
from conceptmon_tb.plugin.source import Source
from conceptmon_tb.plugin.suggestions import suggest
from tests.providers import FakeProvider
from tests.reliability.million_tags import SMALL, measure, write_tags
from tests.reliability.notes import Note
from tests.synthetic import make_snapshots, write_run

TAGS = 20_000


def test_a_log_of_very_many_tags_costs_bounded_time_and_memory(tmp_path: Path, reliability: Note) -> None:
    write_tags(tmp_path / "many", TAGS)
    write_run(tmp_path / "good", epochs=3, layers=SMALL)
    cost = measure(tmp_path, seconds=60)
    assert cost.beside < 10  # a second or less, on a machine that does nothing else
    assert cost.first < 30
    assert cost.plugin_bytes < 300 << 20
    assert cost.answer_bytes < 1 << 20
    reliability(area="payloads", tried="tags of ours in one log, beside a good run", count=TAGS)


def test_layers_beyond_what_is_shown_are_counted_and_not_read(
    monkeypatch: pytest.MonkeyPatch, reliability: Note
) -> None:
    most, per_run, runs = 100, 150, 3
    monkeypatch.setattr(layers, "MAX_LAYERS", most)
    monkeypatch.setattr(layers, "MAX_LAYERS_IN_ALL", 220)
    provider = FakeProvider()
    snapshot = next(make_snapshots(1, {"layer": 2}))["layer"]
    for run in range(runs):
        for number in range(per_run):
            for kind, pack in (("neurons", pack_neurons), ("metrics", pack_metrics)):
                tag = layer_tag(f"layer {number:05}", kind)
                provider.add_tensor(f"run {run}", tag, 0, 0.0, pack(snapshot, 0))
    answers, source = Answers(), Source(provider)
    described = answers.runs(source)["runs"]
    shown = [len(described[f"run {run}"]["layers"]) for run in range(runs)]
    assert shown == [100, 100, 20]
    for run, count in enumerate(shown):
        assert f"{per_run} layers, of which {count} are shown" in str(described[f"run {run}"]["skipped"])
    assert provider.points_read == 2 * sum(shown)
    tried = "layers beyond those that are shown"
    reliability(area="payloads", tried=tried, count=runs * per_run - sum(shown))


def test_one_bad_epoch_at_the_end_does_not_make_all_others_look_wrong(reliability: Note) -> None:
    for large in (False, True):
        provider = FakeProvider()

        def change(run: str, tag: str, step: int, payload: bytes) -> bytes:
            if (tag, step) != (layer_tag("layer1", "metrics"), 3):
                return payload
            read = unpack_payload(payload)
            return pack_payload(read.kind, step, {**read.attrs, "neurons": 2**31 - 1}, read.arrays)

        provider.log("run", enumerate(make_snapshots(4, {"layer1": 6})), large=large, change=change)
        answers, source = Answers(), Source(provider)
        answers.runs(source)
        answers.layer(source, "run", "layer1", part="frames")
        described = answers.runs(source)["runs"]["run"]
        assert described["layers"]["layer1"]["neurons"] == 6
        assert described["layers"]["layer1"]["steps"] == [0, 1, 2]
        assert [item["step"] for item in described["skipped"]] == [3]
    reliability(area="payloads", tried="a last epoch of 2^31 - 1 neurons", count=2)


@pytest.mark.parametrize("large", [False, True], ids=["tensors", "blobs"])
def test_one_wide_epoch_does_not_widen_all_others(large: bool, reliability: Note) -> None:
    def change(run: str, tag: str, step: int, payload: bytes) -> bytes:
        if (tag, step) != (layer_tag("layer1", "neurons"), 7):
            return payload
        read = unpack_payload(payload)
        wide = {"concept_ids": np.zeros((6, 50_000), np.uint16), "similarity": np.zeros((6, 50_000), "<f4")}
        return pack_payload(read.kind, step, read.attrs, {**read.arrays, **wide})

    provider = FakeProvider()
    provider.log("run", enumerate(make_snapshots(200, {"layer1": 6})), large=large, change=change)
    answers, source = Answers(), Source(provider)
    tracemalloc.start()
    with pytest.raises(BadRequestError, match="ask for at most"):
        answers.layer(source, "run", "layer1")
    assert len(answers.layer(source, "run", "layer1", part="frames")) < 200 * 6 * 30 + 20_000
    assert tracemalloc.get_traced_memory()[1] < 100 << 20
    tracemalloc.stop()
    reliability(area="payloads", tried="an epoch with 50,000 concepts of each neuron, among 200", count=1)


def test_very_many_alerts_are_told_in_time(reliability: Note) -> None:
    count = 3000
    evidence = {"series": {}, "change": None, "needed": None, "noise": None}
    alerts = tuple(Alert("dead", "layer1", step, "warning", "m", evidence) for step in range(count))
    provider = FakeProvider()
    provider.log("run", enumerate(make_snapshots(2, {"layer1": 3})))
    for step in range(10):
        part = alerts[step::10]
        provider.add_tensor("run", ALERTS_TAG, step, 0.0, pack_alerts(AlertReport(step, part, part, (), {})))
    began = time.process_time()
    told = Answers().alerts(Source(provider), "run")["alerts"]
    assert (len(told), {alert["ended"] is None for alert in told}) == (count, {False})
    assert time.process_time() - began < 2
    reliability(area="payloads", tried="alerts raised and ended in one run", count=2 * count)


def test_very_many_scalars_are_listed_in_part_and_a_near_miss_is_answered_at_once(
    monkeypatch: pytest.MonkeyPatch, reliability: Note
) -> None:
    provider = FakeProvider()
    provider.log("run", enumerate(make_snapshots(1, {"layer1": 3})))
    point = provider.tensors["run"][layer_tag("layer1", "metrics")]
    provider.scalars = {"run": {f"scalar {i:06}": point for i in range(3 * MAX_TAGS)}}
    answers, source = Answers(), Source(provider)
    listed = answers.scalar_tags(source, "run")
    assert (len(listed["tags"]), listed["left_out"]) == (MAX_TAGS, 2 * MAX_TAGS)
    began = time.process_time()
    with pytest.raises(answers_module.NotFoundError):
        answers.scalar_points(source, "run", "scalar" + "x" * 50_000)
    assert time.process_time() - began < 2
    reliability(area="payloads", tried="tags of scalars beyond those that are listed", count=2 * MAX_TAGS)


def test_names_made_to_be_slow_to_compare_are_suggested_as_far_as_there_is_time(reliability: Note) -> None:
    dice = random.Random(1)
    wanted = "".join(dice.choice("ab") for _ in range(199))
    names = {"".join(dice.sample(wanted, len(wanted))) for _ in range(MAX_TAGS)}
    provider = FakeProvider()
    provider.log("run", enumerate(make_snapshots(1, {"layer1": 3})))
    point = provider.tensors["run"][layer_tag("layer1", "metrics")]
    provider.scalars = {"run": dict.fromkeys(names, point)}
    began = time.process_time()
    with pytest.raises(answers_module.NotFoundError) as told:
        Answers().scalar_points(Source(provider), "run", wanted[:100])
    assert time.process_time() - began < 2  # all of them take half a minute
    assert "suggestions" in told.value.details
    assert suggest("cat", ["dog", "cats", "cast", "bat"]) == difflib.get_close_matches(
        "cat", ["dog", "cats", "cast", "bat"]
    )
    reliability(area="payloads", tried="names made to be slow to compare", count=len(names))


def test_evolutions_of_very_many_layers_are_ranked_in_time(reliability: Note) -> None:
    count = 200_000
    layers, neurons = [*(f"{i:x}" for i in range(count)), "layer1"], [*[0] * count, MAX_EVOLUTIONS]
    arrays = {
        "num_images": np.ones(1, np.int32),
        "positive": np.ones((1, MAX_EVOLUTIONS), np.uint8),
        "scale": np.ones(1, np.float32),
        "sensitivity": np.arange(MAX_EVOLUTIONS, dtype=np.float16)[None],
    }
    attrs = {"from_step": 0, "classes": ["cat"], "layers": layers, "neurons": neurons}
    provider = FakeProvider()
    provider.log("run", enumerate(make_snapshots(2, {"layer1": MAX_EVOLUTIONS})))
    table = pack_payload("evolutions", 1, attrs, arrays)
    provider.add_blob("run", evolutions_tag(0, 1), 1, 1.0, table)
    tables, source = Answers().evolutions, Source(provider)
    began = time.process_time()
    rows = tables.ranked(source, "run", (0, 1), "cat", None, MAX_EVOLUTIONS, "most")["evolutions"]
    assert time.process_time() - began < 1.5  # each place looked for by itself takes 3 s
    assert [row["neuron"] for row in rows] == list(reversed(range(MAX_EVOLUTIONS)))
    assert {row["layer"] for row in rows} == {"layer1"}
    told = tables.describe(source, "run", 0, 1)
    assert (len(told["layers"]), told["left_out"]) == (1000, count + 1 - 1000)
    reliability(area="payloads", tried="layers of one table of evolutions", count=count)


def test_the_cache_counts_what_a_header_takes_when_it_is_parsed(reliability: Note) -> None:
    pairs = {"x": [{}] * 50_000}
    payload = unpack_payload(pack_payload("space", 0, pairs))
    assert payload.nbytes < 200_000
    cache = PayloadCache(1_000_000)
    cache.put("payload", payload)
    assert cache.num_bytes == 0  # its 50,000 objects take three megabytes
    good = dataclasses.replace(payload, overhead=0)
    cache.put("good", good)
    assert cache.num_bytes > 0
    reliability(area="payloads", tried="a header that takes twenty times its size when it is parsed", count=1)


@pytest.mark.parametrize("value", [b"{}", b"[]", b"0"])
def test_a_header_of_very_many_values_is_refused_before_it_is_parsed(value: bytes, reliability: Note) -> None:
    values = b'{"kind":"space","attrs":{"x":[' + (value + b",") * 3_000_000 + b'0]},"arrays":[]}'
    payload = struct.pack("<4sHHqII", b"CMON", 1, 0, 0, len(values), zlib.crc32(values)) + values
    tracemalloc.start()
    with pytest.raises(PayloadError, match="at most"):
        unpack_payload(payload)
    assert tracemalloc.get_traced_memory()[1] < 2 * len(values)
    tracemalloc.stop()
    reliability(area="payloads", tried="headers that would take a gigabyte when they are parsed", count=1)


def test_an_answer_is_json_for_everybody(reliability: Note) -> None:
    """Python's own parser takes NaN; a browser's does not."""

    def change(run: str, tag: str, step: int, payload: bytes) -> bytes:
        if tag != layer_tag("layer1", "metrics"):
            return payload
        read = unpack_payload(payload)
        return pack_payload(read.kind, step, {**read.attrs, "more": [[[[]]]] * 10, "d_anchor": None}, {})

    provider = FakeProvider()
    provider.log("run", enumerate(make_snapshots(2, {"layer1": 3})), change=change)
    answers = Answers(RecordStore())
    (entry, _) = answers.timeline(Source(provider), "run")["layers"]["layer1"]
    assert "more" not in entry
    json.dumps(entry, allow_nan=False)
    reliability(area="payloads", tried="attributes that nobody knows: not handed on", count=1)


def test_many_clients_that_ask_for_one_thing_have_it_read_once(
    monkeypatch: pytest.MonkeyPatch, reliability: Note
) -> None:
    clients = 30
    provider = FakeProvider()
    provider.log("run", enumerate(make_snapshots(2, {"layer0": 4})))
    answers, source = Answers(), Source(provider)
    answers.runs(source)
    provider.blobs_read.clear()
    read = provider.read_blob

    def read_slowly(ctx: object, *, blob_key: str) -> bytes:
        time.sleep(0.05)
        return read(ctx, blob_key=blob_key)

    monkeypatch.setattr(provider, "read_blob", read_slowly)
    with ThreadPoolExecutor(clients) as pool:
        told = list(pool.map(lambda _: answers.space(source, "run", None), range(clients)))
    assert len(set(told)) == 1
    assert len(provider.blobs_read) == 1
    tried = "clients that ask at the same time for what nobody has asked for before: it is read once"
    reliability(area="requests", tried=tried, count=clients)


def test_what_is_read_grows_with_what_is_shown_and_not_with_all_that_was_logged(reliability: Note) -> None:
    def read(epochs: int, layers: int) -> list[int]:
        """How many blobs some requests read: of one step, of all steps of a layer, and of one neuron."""
        provider = FakeProvider()
        names = [f"layer{i}" for i in range(layers)]
        provider.log("run", enumerate(make_snapshots(epochs, dict.fromkeys(names, 4))), large=True)
        answers, source = Answers(), Source(provider)
        answers.runs(source)
        answers.timeline(source, "run")
        answers.space(source, "run", None)
        counts = [len(provider.blobs_read)]
        last = epochs - 1
        for ask in (
            lambda: answers.layer(source, "run", "layer0", last, last),
            lambda: answers.distances(source, "run", "layer0", [], last),
            lambda: answers.layer(source, "run", "layer0", part="frames"),
            lambda: answers.neuron(source, "run", "layer0", 1, last, 3),
        ):
            ask()
            counts.append(len(provider.blobs_read) - sum(counts))
        return counts

    assert read(10, 1) == read(10, 5) == [1, 1, 1, 9, 0]
    assert read(40, 1) == [1, 1, 1, 39, 0]
    tried = "requests that read what they show: one step, one layer, one neuron of long runs"
    reliability(area="long runs", tried=tried, count=15)
