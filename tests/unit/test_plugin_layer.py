"""The route `layer`: ranges, parts, and layers whose neurons are blobs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import pytest

from conceptmon_tb.metadata import Payload, layer_tag, pack_payload, unpack_payload
from conceptmon_tb.plugin import answers as answers_module
from conceptmon_tb.plugin.answers import Answers
from conceptmon_tb.plugin.errors import BadRequestError, NotFoundError
from conceptmon_tb.plugin.records import RecordStore
from conceptmon_tb.plugin.source import Source
from conceptmon_tb.snapshot import ConceptSnapshot
from tests.providers import FakeProvider
from tests.synthetic import make_snapshots

EPOCHS = 6
NEURONS = 9
WRITTEN = [
    replace(snapshots["layer4"], top_patches=None)
    for snapshots in make_snapshots(EPOCHS, {"layer4": NEURONS})
]
TAG = layer_tag("layer4", "neurons")


def epochs(*steps: int) -> Iterator[tuple[int, Mapping[str, ConceptSnapshot]]]:
    return ((step, {"layer4": WRITTEN[step]}) for step in steps or range(EPOCHS))


@pytest.fixture(params=[False, True], ids=["tensors", "blobs"])
def provider(request: pytest.FixtureRequest) -> FakeProvider:
    provider = FakeProvider()
    provider.log("run", epochs(), large=request.param)
    return provider


@pytest.fixture
def large() -> FakeProvider:
    provider = FakeProvider()
    provider.log("run", epochs(), large=True)
    return provider


def ask(provider: FakeProvider, answers: Answers | None = None, **parameters: object) -> Payload:
    answers = Answers() if answers is None else answers
    return unpack_payload(answers.layer(Source(provider), "run", "layer4", **parameters))


def expected(name: str, steps: list[int]) -> np.ndarray:
    if name == "flags":
        return np.stack([WRITTEN[s].interpretable + 2 * WRITTEN[s].valid for s in steps])
    return np.stack([getattr(WRITTEN[step], name) for step in steps])


@pytest.mark.parametrize(
    ("parameters", "steps"),
    [
        ({}, [0, 1, 2, 3, 4, 5]),
        ({"first": 4}, [4, 5]),
        ({"last": 1}, [0, 1]),
        ({"first": 2, "last": 3}, [2, 3]),
        ({"first": 3, "last": 3}, [3]),
        ({"first": -(10**17), "last": 10**17}, [0, 1, 2, 3, 4, 5]),
        ({"first": 7, "last": 9}, []),
    ],
)
@pytest.mark.parametrize("part", ["all", "frames", "details"])
def test_a_range_and_a_part_answer_what_was_written(provider: FakeProvider, parameters, steps, part) -> None:
    answer = ask(provider, **parameters, part=part)
    assert answer.attrs["steps"] == steps
    assert answer.arrays["steps"].tolist() == steps
    names = {
        "frames": {"position", "concept_ids", "similarity", "flags", "displacement"},
        "details": {"concept_ids", "similarity", "top_images"},
    }
    assert set(answer.arrays) == names.get(part, names["frames"] | names["details"]) | {"steps"}
    for name in set(answer.arrays) - {"steps"} if steps else ():
        wanted = expected(name, steps)
        if part == "frames" and name in ("concept_ids", "similarity"):
            wanted = wanted[:, :, :1]
        np.testing.assert_array_equal(answer.arrays[name], wanted)
    if steps:
        assert (answer.attrs["top_concepts"], answer.attrs["images"]) == (5, 8)
    assert answer.attrs["neurons"] == NEURONS


def test_the_dtypes_are_those_of_the_documentation(provider: FakeProvider) -> None:
    dtypes = {name: array.dtype.str for name, array in ask(provider).arrays.items()}
    assert dtypes == {
        "steps": "<i4", "position": "<f4", "concept_ids": "<i4", "similarity": "<f4", "flags": "|u1",
        "displacement": "<f4", "top_images": "<i4",
    }  # fmt: skip


def test_patches_are_answered_where_a_step_has_them(provider: FakeProvider) -> None:
    patches = np.random.default_rng(0).integers(0, 256, (NEURONS, 8, 4)).astype(np.uint8)
    answers, source = Answers(), Source(provider)
    is_large = TAG in provider.blobs["run"]
    snapshot = replace(WRITTEN[5], top_patches=patches)
    provider.log("run", [(6, {"layer4": snapshot})], large=is_large)
    assert "top_patches" not in ask(provider, answers, first=0, last=5, part="details").arrays
    answer = ask(provider, answers, first=5, part="details")
    np.testing.assert_array_equal(answer.arrays["top_patches"], [np.zeros_like(patches), patches])
    np.testing.assert_array_equal(ask(provider, answers, first=6).arrays["top_patches"], [patches])
    assert "top_patches" not in ask(provider, answers, part="frames").arrays
    assert answers.neuron(source, "run", "layer4", 2, 6, 3)["top_patches"] == patches[2].tolist()
    assert answers.neuron(source, "run", "layer4", 2, 5, 3)["top_patches"] == []


def test_listing_a_large_layer_reads_no_neurons(large: FakeProvider) -> None:
    answers, source = Answers(), Source(large)
    described = answers.runs(source)["runs"]["run"]
    assert described["layers"]["layer4"]["steps"] == list(range(EPOCHS))
    assert described["layers"]["layer4"]["neurons"] == NEURONS
    assert len(answers.timeline(source, "run")["layers"]["layer4"]) == EPOCHS
    assert large.blobs_read == []


def test_one_step_of_a_large_layer_reads_one_blob_once(large: FakeProvider) -> None:
    answers = Answers()
    answers.space(Source(large), "run", None)
    large.blobs_read.clear()
    for _ in range(3):
        ask(large, answers, first=3, last=3, part="frames")
    assert large.blobs_read == ["run:concepts/layer4/neurons:3:3.0"]
    ask(large, answers, first=2, last=4, part="frames")
    assert len(large.blobs_read) == 3


def test_a_new_epoch_of_a_large_layer_appears_without_being_read(large: FakeProvider) -> None:
    answers, source = Answers(), Source(large)
    before = answers.runs(source)
    large.log("run", [(EPOCHS, {"layer4": WRITTEN[0]})], large=True)
    after = answers.runs(source)
    assert after["revision"] != before["revision"]
    assert after["runs"]["run"]["layers"]["layer4"]["steps"] == list(range(EPOCHS + 1))
    assert after["runs"]["run"]["newest_wall_time"] == EPOCHS
    assert large.blobs_read == []


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        (lambda data: data[:-1] + bytes([data[-1] ^ 1]), "checksum"),
        (lambda data: data[:10], "checksum"),
        (lambda data: data[:4] + (2).to_bytes(2, "little") + data[6:], "newer_schema"),
        (lambda data: b"", "checksum"),
        (lambda data: b"nonsense" * 40, "damaged"),
        (lambda data: pack_payload("neurons", 2, {}, {}), "damaged"),
        (lambda data: pack_payload("space", 2, {}, {}), "damaged"),
    ],
)
def test_a_damaged_blob_is_left_out_and_told_once_it_was_read(damage, code: str) -> None:
    provider = FakeProvider()
    change = lambda run, tag, step, data: damage(data) if (tag, step) == (TAG, 2) else data  # noqa: E731
    provider.log("run", epochs(), large=True, change=change)
    answers, source = Answers(), Source(provider)
    before = answers.runs(source)
    assert before["runs"]["run"]["skipped"] == []
    assert ask(provider, answers, part="frames").attrs["steps"] == [0, 1, 3, 4, 5]
    assert ask(provider, answers, first=2, last=2).attrs["steps"] == []
    after = answers.runs(source)
    assert after["revision"] != before["revision"]
    assert after["runs"]["run"]["layers"]["layer4"]["steps"] == [0, 1, 3, 4, 5]
    (skipped,) = after["runs"]["run"]["skipped"]
    assert (skipped["layer"], skipped["step"], skipped["code"]) == ("layer4", 2, code)
    assert answers.runs(source)["revision"] == after["revision"]
    assert [item["step"] for item in answers.neuron(source, "run", "layer4", 0, 3, 1)["history"]] == [
        0, 1, 3, 4, 5,
    ]  # fmt: skip
    with pytest.raises(NotFoundError):
        answers.neuron(source, "run", "layer4", 0, 2, 1)
    with pytest.raises(NotFoundError):
        answers.export_rows(source, "run", "layer4", 2)


def test_a_damaged_blob_that_a_neuron_is_asked_for_is_no_bug(large: FakeProvider) -> None:
    _blob(large, 3).payload = b"nonsense"
    with pytest.raises(NotFoundError):
        Answers().neuron(Source(large), "run", "layer4", 0, 3, 1)


def test_another_number_of_neurons_than_the_metrics_tell_is_told(provider: FakeProvider) -> None:
    other = next(make_snapshots(1, {"layer4": NEURONS + 3}))["layer4"]
    series = (provider.blobs if TAG in provider.blobs["run"] else provider.tensors)["run"][TAG]
    foreign = FakeProvider()
    foreign.log("run", [(1, {"layer4": other})], large=series is provider.blobs["run"].get(TAG))
    source = foreign.blobs if TAG in foreign.blobs["run"] else foreign.tensors
    series[1] = source["run"][TAG][0]
    answers = Answers()
    assert ask(provider, answers, part="details").attrs["steps"] == [0, 2, 3, 4, 5]
    (skipped,) = answers.runs(Source(provider))["runs"]["run"]["skipped"]
    assert (skipped["step"], skipped["code"]) == (1, "size")


def test_a_step_logged_twice_of_which_the_wrong_blob_was_kept_is_told(large: FakeProvider) -> None:
    # The Python loader keeps the later tensor and the first blob of such a step.
    metrics = large.tensors["run"][layer_tag("layer4", "metrics")]
    metrics[4].wall_time += 1000
    described = Answers().runs(Source(large))["runs"]["run"]
    assert described["layers"]["layer4"]["steps"] == [0, 1, 2, 3, 5]
    assert [(item["step"], item["code"]) for item in described["skipped"]] == [(4, "missing")]


def test_a_step_whose_blob_is_not_there_yet_waits(large: FakeProvider) -> None:
    point = large.blobs["run"][TAG].pop()
    answers = Answers()
    described = answers.runs(Source(large))["runs"]["run"]
    assert (described["layers"]["layer4"]["steps"], described["skipped"]) == ([0, 1, 2, 3, 4], [])
    large.blobs["run"][TAG].append(point)
    assert answers.runs(Source(large))["runs"]["run"]["layers"]["layer4"]["steps"] == list(range(EPOCHS))


def test_a_blob_that_goes_between_listing_and_reading_is_left_out(large: FakeProvider, monkeypatch) -> None:
    answers, source = Answers(), Source(large)
    before = answers.runs(source)
    read_blob, gone = large.read_blob, _blob(large, 5).blob_key

    def read(ctx: object, *, blob_key: str) -> bytes:
        return read_blob(ctx, blob_key="no such key" if blob_key == gone else blob_key)

    monkeypatch.setattr(large, "read_blob", read)
    assert ask(large, answers).attrs["steps"] == [0, 1, 2, 3, 4]
    assert answers.runs(source) == before


def test_a_layer_that_changes_its_kind_is_read_as_it_is_now(large: FakeProvider) -> None:
    answers, source = Answers(), Source(large)
    answers.runs(source)
    del large.blobs["run"][TAG]
    large.tensors["run"].pop(layer_tag("layer4", "metrics"))
    large.log("run", epochs(0, 1, 2), large=False)
    assert answers.runs(source)["runs"]["run"]["layers"]["layer4"]["steps"] == [0, 1, 2]
    assert ask(large, answers).attrs["steps"] == [0, 1, 2]


def test_blobs_in_a_series_that_began_as_tensors_are_read() -> None:
    provider = FakeProvider()
    provider.log("run", epochs())
    point = provider.tensors["run"][TAG][3]
    point.numpy = np.array([point.numpy.tobytes()], dtype=object)
    assert ask(provider).attrs["steps"] == list(range(EPOCHS))


@pytest.mark.parametrize("max_bytes", [1, 2500, 10**6])
def test_a_small_cache_changes_nothing_but_speed(provider: FakeProvider, max_bytes: int) -> None:
    store = RecordStore(max_bytes)
    answers = Answers(store)
    for part in ("frames", "details", "all", "frames"):
        assert ask(provider, answers, part=part).attrs == ask(provider, part=part).attrs
        assert store.cache.num_bytes <= max_bytes


def test_frames_of_a_large_layer_keep_no_details_in_memory() -> None:
    many = {"layer4": 2000}
    provider = FakeProvider()
    provider.log("run", enumerate(make_snapshots(2, many)), large=True)
    store = RecordStore()
    answers = Answers(store)
    answers.space(Source(provider), "run", None)
    before = store.cache.num_bytes
    ask(provider, answers, part="frames")
    assert store.cache.num_bytes - before < 2 * (2000 * 19 + 8000)


def test_an_answer_that_is_too_large_is_refused_and_tells_how_to_ask(
    provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers_module, "MAX_ANSWER_BYTES", 3 * NEURONS * 21)
    with pytest.raises(BadRequestError, match="at most 3 of these 6 steps"):
        ask(provider, part="frames")
    assert len(ask(provider, first=0, last=2, part="frames").attrs["steps"]) == 3
    with pytest.raises(BadRequestError, match="part=frames"):
        ask(provider, first=0, last=2)
    assert len(ask(provider, first=0, last=0).attrs["steps"]) == 1


def test_one_step_of_a_small_layer_decodes_one_step(monkeypatch: pytest.MonkeyPatch) -> None:
    from conceptmon_tb.plugin import records

    provider = FakeProvider()
    provider.log("run", epochs())
    answers = Answers(RecordStore(max_bytes=1))
    ask(provider, answers)
    decoded: list[int] = []
    original = records.unpack_payload
    monkeypatch.setattr(records, "unpack_payload", lambda data: decoded.append(1) or original(data))
    ask(provider, answers, first=4, last=4, part="frames")
    assert len(decoded) == 1


def _blob(provider: FakeProvider, step: int):
    return provider.blobs["run"][TAG][step].values[0]
