"""The route `distances`, against loops that read like Eq. 2.2."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest

from conceptmon_tb.metadata import layer_tag, pack_payload, unpack_payload
from conceptmon_tb.payloads import pack_embedding, pack_space, unpack_embedding, unpack_space
from conceptmon_tb.plugin import distances, embeddings
from conceptmon_tb.plugin.answers import Answers
from conceptmon_tb.plugin.errors import BadRequestError, NotFoundError
from conceptmon_tb.plugin.source import Source
from conceptmon_tb.snapshot import ConceptSnapshot, ConceptSpace
from tests.providers import FakeProvider
from tests.synthetic import make_snapshots, make_space

EPOCHS = 5
WRITTEN = [snapshots["layer4"] for snapshots in make_snapshots(EPOCHS, {"layer4": 40})]


@pytest.fixture(params=[False, True], ids=["tensors", "blobs"])
def provider(request: pytest.FixtureRequest) -> FakeProvider:
    provider = FakeProvider()
    provider.log(
        "run", ((step, {"layer4": snapshot}) for step, snapshot in enumerate(WRITTEN)), large=request.param
    )
    return provider


def ask(
    provider: FakeProvider, words: Sequence[str] = (), step: int | None = None, answers: Answers | None = None
):
    answers = Answers() if answers is None else answers
    return answers.distances(Source(provider), "run", "layer4", words, step)


@lru_cache
def logged_embedding(snapshot: ConceptSnapshot) -> np.ndarray:
    """The embeddings as the log has them, in about one byte per dimension."""
    return unpack_embedding(unpack_payload(pack_embedding(snapshot, 0)), logged_space(snapshot.space))


@lru_cache
def logged_space(space: ConceptSpace) -> ConceptSpace:
    return unpack_space(unpack_payload(pack_space(space, 0)))


SPACE = logged_space(WRITTEN[0].space)


def nearest_by_loops(word: np.ndarray, snapshot: ConceptSnapshot, counts: np.ndarray) -> float | None:
    """min over j of |u_j - f(a)|, by plain loops."""
    best = math.inf
    for neuron in range(snapshot.num_neurons):
        if counts[neuron]:
            squares = 0.0
            for u, f in zip(logged_embedding(snapshot)[neuron], word, strict=True):
                squares += (float(u) - float(f)) ** 2
            best = min(best, math.sqrt(squares))
    return None if best == math.inf else best


def assert_nearest(told_distance, told_neuron, word, snapshot, counts) -> None:
    expected = nearest_by_loops(word, snapshot, counts)
    if expected is None:
        assert (told_distance, told_neuron) == (None, None)
        return
    assert told_distance == pytest.approx(expected, abs=1e-5)
    assert counts[told_neuron]
    # Whichever of nearly equal neurons is told, it must be as near as the nearest one.
    assert np.linalg.norm(logged_embedding(snapshot)[told_neuron] - word) == pytest.approx(expected, abs=1e-5)


def test_all_concepts_and_anchors_of_a_step(provider: FakeProvider) -> None:
    for step in (0, 4):
        answer, snapshot = ask(provider, step=step), WRITTEN[step]
        assert (answer["step"], answer["space"]) == (step, SPACE.fingerprint)
        for told, words in ((answer, SPACE.text_embedding), (answer["anchors"], SPACE.anchor_embedding)):
            assert len(told["distance"]) == len(told["neuron"]) == len(words)
            for index in range(0, len(words), 3):
                assert_nearest(
                    told["distance"][index], told["neuron"][index], words[index], snapshot, snapshot.valid
                )
                assert_nearest(
                    told["gated_distance"][index],
                    told["gated_neuron"][index],
                    words[index],
                    snapshot,
                    snapshot.interpretable,
                )


def test_the_mean_over_the_concepts_is_the_logged_d_anchor(provider: FakeProvider) -> None:
    timeline = Answers().timeline(Source(provider), "run")["layers"]["layer4"]
    gated = 0
    for point in timeline:
        answer = ask(provider, step=point["step"])
        assert np.mean(answer["distance"]) == pytest.approx(point["d_anchor"], abs=1e-3)
        if point["d_anchor_gated"] is not None:
            assert np.mean(answer["gated_distance"]) == pytest.approx(point["d_anchor_gated"], abs=1e-3)
            gated += 1
        else:
            assert set(answer["gated_distance"]) == {None}
        nearest = point["anchors"]["nearest_distance"]
        # One by one they show the rounding of the logged embeddings, most where a neuron sits on an anchor.
        assert answer["anchors"]["distance"] == pytest.approx(nearest, abs=3e-3)
    assert gated >= 2


def test_words_are_followed_over_all_steps(provider: FakeProvider) -> None:
    answer = ask(provider, ["Garden", " HOUSE ", "bicycle"])
    assert answer["steps"] == list(range(EPOCHS))
    assert answer["skipped"] == []
    assert [(word["word"], word["kind"], word["category"]) for word in answer["words"]] == [
        ("garden", "anchor", ""),
        ("house", "concept", "object"),
        ("bicycle", "anchor", ""),
    ]
    embeddings = [
        SPACE.anchor_embedding[SPACE.anchors.index("garden")],
        SPACE.text_embedding[SPACE.words.index("house")],
        SPACE.anchor_embedding[SPACE.anchors.index("bicycle")],
    ]
    for told, word in zip(answer["words"], embeddings, strict=True):
        for step, snapshot in enumerate(WRITTEN):
            assert_nearest(told["distance"][step], told["neuron"][step], word, snapshot, snapshot.valid)
            assert_nearest(
                told["gated_distance"][step],
                told["gated_neuron"][step],
                word,
                snapshot,
                snapshot.interpretable,
            )


def test_one_step_of_words_is_one_number_each(provider: FakeProvider) -> None:
    every, one = ask(provider, ["garden", "cat"]), ask(provider, ["garden", "cat"], step=2)
    assert one["steps"] == [2]
    for left, right in zip(every["words"], one["words"], strict=True):
        assert right["distance"] == [left["distance"][2]]
        assert right["neuron"] == [left["neuron"][2]]


def test_what_was_measured_once_is_not_read_again(provider: FakeProvider) -> None:
    answers = Answers()
    first = ask(provider, ["garden", "cat"], answers=answers)
    whole = ask(provider, step=1, answers=answers)
    provider.points_read, provider.blobs_read = 0, []
    assert ask(provider, ["cat", "garden"], answers=answers)["words"] == first["words"][::-1]
    assert ask(provider, step=1, answers=answers) == whole
    ask(provider, ["dog"], answers=answers)
    assert (provider.points_read, provider.blobs_read) == (0, [])


def test_large_logs_are_not_kept_in_memory(provider: FakeProvider, monkeypatch) -> None:
    answers = Answers()
    expected = ask(provider, ["cat", "dog"])
    monkeypatch.setattr(distances, "_KEEP_BYTES", 0)
    assert ask(provider, ["cat"], answers=answers)["words"] == expected["words"][:1]
    provider.blobs_read = []
    assert ask(provider, ["cat", "dog"], answers=answers) == expected
    assert len([key for key in provider.blobs_read if "embedding" in key]) == EPOCHS


def test_a_step_that_is_logged_again_is_measured_again(provider: FakeProvider) -> None:
    answers = Answers()
    before = ask(provider, ["cat"], answers=answers)["words"][0]["distance"]
    is_large = layer_tag("layer4", "neurons") in provider.blobs["run"]
    for tags in (provider.tensors["run"], provider.blobs["run"]):
        for tag, points in tags.items():
            if "layer4" in tag:
                del points[4]
    provider.log("run", [(4, {"layer4": WRITTEN[0]})], wall_time=1000.0, large=is_large)
    answers.runs(Source(provider))
    after = ask(provider, ["cat"], answers=answers)["words"][0]["distance"]
    assert after[:4] == before[:4]
    assert after[4] == before[0] != before[4]


def test_steps_without_usable_embeddings_are_told(provider: FakeProvider) -> None:
    points = provider.blobs["run"][layer_tag("layer4", "embedding")]
    points[1].values[0].payload = b"nonsense"
    del points[3]
    answer = ask(provider, ["cat"])
    assert [item["step"] for item in answer["skipped"]] == [1, 3]
    assert [value is None for value in answer["words"][0]["distance"]] == [False, True, False, True, False]
    with pytest.raises(NotFoundError, match="not in the log"):
        ask(provider, step=3)
    with pytest.raises(NotFoundError, match="cut short"):
        ask(provider, step=1)


def test_without_any_valid_neuron_all_is_null() -> None:
    nobody = np.zeros(40, bool)
    snapshot = replace(
        WRITTEN[0], valid=nobody, interpretable=nobody, embedding=np.zeros_like(WRITTEN[0].embedding)
    )
    provider = FakeProvider()
    provider.log("run", [(0, {"layer4": snapshot})])
    answer = ask(provider, step=0)
    for name in ("distance", "neuron", "gated_distance", "gated_neuron"):
        assert set(answer[name]) == {None}


def test_a_resumed_run_with_another_space_measures_each_word_in_its_own(provider: FakeProvider) -> None:
    other = list(make_snapshots(6, {"layer4": 40}, space=make_space(seed=5)))[-1]["layer4"]
    is_large = layer_tag("layer4", "neurons") in provider.blobs["run"]
    provider.log("run", [(5, {"layer4": other})], large=is_large)
    tag = "concepts/space/definition"
    provider.add_blob("run", tag, 5, 5.0, pack_space(other.space, 5))
    told = ask(provider, ["cat"])["words"][0]
    cat = SPACE.words.index("cat")
    for step, snapshot in ((2, WRITTEN[2]), (5, other)):
        word = logged_space(snapshot.space).text_embedding[cat]
        assert_nearest(told["distance"][step], told["neuron"][step], word, snapshot, snapshot.valid)


def test_rows_are_taken_in_chunks_without_a_seam(provider: FakeProvider, monkeypatch) -> None:
    expected = ask(provider, step=4)
    monkeypatch.setattr(embeddings, "_ROWS_AT_ONCE", 7)
    assert ask(provider, step=4) == expected


@pytest.mark.parametrize(
    ("words", "step", "error"),
    [
        ([], None, BadRequestError),
        ([], 99, NotFoundError),
        (["cat"], 99, NotFoundError),
        (["x" * 81], None, BadRequestError),
        (["catt"], None, NotFoundError),
        ([""], None, NotFoundError),
        (["\x00\ud800"], None, NotFoundError),
    ],
)
def test_hostile_requests_are_refused(provider: FakeProvider, words, step, error) -> None:
    with pytest.raises(error):
        ask(provider, words, step)


def test_anchors_of_other_dimensions_are_an_error_not_a_bug() -> None:
    def change(run: str, tag: str, step: int, payload: bytes) -> bytes:
        return payload

    provider = FakeProvider()
    provider.log("run", [(0, {"layer4": WRITTEN[0]})], change=change)
    blob = provider.blobs["run"]["concepts/space/definition"][0].values[0]
    space = unpack_payload(blob.payload)
    arrays = {**space.arrays, "anchor_embedding": np.zeros((len(SPACE.anchors), 3), np.float16)}
    blob.payload = pack_payload("space", 0, space.attrs, arrays)
    with pytest.raises(NotFoundError, match="dimensions"):
        ask(provider, step=0)
