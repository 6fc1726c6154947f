"""Semantic spaces: made from a model, kept in a file, used by a monitor."""

from __future__ import annotations

import dataclasses
import json
import pickle
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import save_file
from torch import nn

import conceptmon_tb as cm
from conceptmon_tb.evolution import SemanticSpace, SemanticSpaceMonitor, SpaceSettings, fit_semantic_space
from conceptmon_tb.evolution.image_embedding import DIRECT, INDIRECT
from conceptmon_tb.evolution.monitor import random_threshold
from conceptmon_tb.evolution.semantic_space import Projected
from conceptmon_tb.evolution.space_files import SpaceFileError
from conceptmon_tb.evolution.stimuli import collect_stimuli
from conceptmon_tb.metadata import unpack_payload
from conceptmon_tb.payloads import pack_metrics, pack_neurons, unpack_snapshot
from conceptmon_tb.plugin.labels import label_neuron
from conceptmon_tb.training_state import stream_states
from tests.models import make_net

LAYERS = ["a", "b"]
SETTINGS = SpaceSettings(k=6, dim=8, layout="pca")
WORDS = cm.ConceptSet({"color": ["red", "green", "blue"], "object": ["dog", "car"]})


@cache
def probe() -> cm.ProbeSet:
    return cm.ProbeSet.world(150, size=16)


@cache
def space() -> SemanticSpace:
    return fit_semantic_space(make_net(), LAYERS, probe(), step=7, settings=SETTINGS, progress=False)


@cache
def other_model() -> nn.Module:
    torch.manual_seed(5)
    return nn.Sequential(nn.Conv2d(3, 12, 5, 2), nn.ReLU(), nn.Conv2d(12, 20, 3), nn.ReLU(), nn.Flatten())


def make(**options: object) -> SemanticSpaceMonitor:
    settings = {"layers": LAYERS, "probe": probe(), "space": space(), "progress": False} | options
    return SemanticSpaceMonitor(**settings)


def test_a_space_has_the_shapes_it_documents() -> None:
    made = space()
    assert made.layers == {"a": 5, "b": 6}
    assert made.vectors.shape == (11, 8)
    assert made.stimuli.shape == (11, 6)
    assert made.image_vectors.shape == (150, 8)
    assert made.landmarks.shape[1:] == (8,)
    assert made.landmark_position.shape == (len(made.landmarks), 2)
    assert made.words[0] == "group 1"
    assert made.word_vectors.shape == (len(made.words), 8)
    assert made.title == "ConceptEvo Net at 7"
    direct = np.isin(np.arange(150), made.stimuli[made.placed])
    assert (made.coverage[direct] == DIRECT).all()
    assert set(made.coverage[~direct]) == {INDIRECT}


def test_without_indirect_images_only_stimuli_are_known() -> None:
    settings = dataclasses.replace(SETTINGS, indirect=False)
    made = fit_semantic_space(make_net(), LAYERS, probe(), settings=settings, progress=False)
    assert made.num_covered == (made.coverage == DIRECT).sum() < 150
    strangers = np.flatnonzero(made.coverage != DIRECT)[:6].astype(np.int32)
    found = made.project(np.stack([strangers, made.stimuli[0], np.full(6, -1)]))
    assert found.known.tolist() == [False, True, False]
    assert (found.vectors[~found.known] == 0).all()
    assert found.num_images.tolist() == [0, 6, 0]


def test_fitting_leaves_model_and_random_streams_as_they_were() -> None:
    net = make_net()
    weights, streams = pickle.dumps(net.state_dict()), stream_states()
    again = fit_semantic_space(net, LAYERS, probe(), step=7, settings=SETTINGS, progress=False)
    assert again.fingerprint == space().fingerprint
    assert stream_states() == streams
    assert pickle.dumps(net.state_dict()) == weights
    assert net.training


def test_a_space_comes_back_from_its_file_bit_for_bit(tmp_path: Path) -> None:
    made, path = space(), tmp_path / "space.safetensors"
    made.save(path)
    back = SemanticSpace.load(path)
    for field in dataclasses.fields(SemanticSpace):
        ours, theirs = getattr(made, field.name), getattr(back, field.name)
        if isinstance(ours, np.ndarray):
            assert ours.dtype == theirs.dtype
            np.testing.assert_array_equal(ours, theirs)
        else:
            assert ours == theirs, field.name
    assert back.fingerprint == made.fingerprint
    assert back.concept_space().fingerprint == made.concept_space().fingerprint
    assert [file.name for file in tmp_path.iterdir()] == ["space.safetensors"]


def test_what_is_no_whole_space_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "space.safetensors"
    with pytest.raises(FileNotFoundError, match=r"make it with SemanticSpace\.save"):
        SemanticSpace.load(path)
    path.write_bytes(b"something else")
    with pytest.raises(SpaceFileError, match="no safetensors file"):
        SemanticSpace.load(path)
    space().save(path)
    with safe_open(str(path), framework="numpy") as file:
        about, arrays = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    save_file(arrays, path, {**about, "format": "conceptmon semantic space 2"})
    with pytest.raises(SpaceFileError, match="reads 'conceptmon semantic space 1'"):
        SemanticSpace.load(path)
    save_file({**arrays, "image_vectors": arrays["image_vectors"] + 1}, path, about)
    with pytest.raises(SpaceFileError, match="another fingerprint"):
        SemanticSpace.load(path)
    save_file({name: arrays[name] for name in arrays if name != "landmarks"}, path, about)
    with pytest.raises(SpaceFileError, match="damaged"):
        SemanticSpace.load(path)
    texts = json.loads(about["space"])
    save_file(arrays, path, {**about, "space": json.dumps({**texts, "base": "another"})})
    with pytest.raises(SpaceFileError, match="another fingerprint"):
        SemanticSpace.load(path)


def test_one_byte_altered_anywhere_is_found_out(tmp_path: Path) -> None:
    path = tmp_path / "space.safetensors"
    space().save(path)
    whole = path.read_bytes()
    random, unseen = np.random.default_rng(0), []
    for at in random.choice(len(whole), 150, replace=False).tolist():
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << random.integers(8)]) + whole[at + 1 :])
        try:
            SemanticSpace.load(path)
            unseen.append(at)
        except SpaceFileError:
            continue
    assert unseen == []


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"image_vectors": lambda rows: rows * np.nan}, "image_vectors is not finite"),
        ({"image_vectors": lambda rows: rows.astype(np.float64)}, "image_vectors is float64"),
        ({"landmarks": lambda rows: rows[:2]}, r"landmark_position is float32 .*, expected float32 \(2, 2\)"),
        ({"word_vectors": lambda rows: rows[:, :3]}, "word_vectors is float32"),
        ({"word_vectors": lambda rows: 0 * rows}, "word_vectors has a row without direction"),
        ({"coverage": lambda row: row + 9}, "known images"),
        ({"coverage": lambda row: 0 * row}, "known images"),
        ({"stimuli": lambda rows: rows[:, :0]}, "has no stimuli"),
        ({"stimuli": lambda rows: rows + 150}, "none of 150 images"),
        ({"words": lambda words: ("group 1",) * len(words)}, "words, not all different"),
        ({"words": lambda words: tuple(range(len(words)))}, "of another kind"),
        ({"settings": lambda _: [1]}, "of another kind"),
    ],
)
def test_a_space_that_was_written_badly_is_refused(
    changed: dict[str, Callable], message: str, tmp_path: Path
) -> None:
    made, path = space(), tmp_path / "space.safetensors"
    made.save(path)
    with safe_open(str(path), framework="numpy") as file:
        about, arrays = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    fields = {name: change(getattr(made, name)) for name, change in changed.items()}
    about["fingerprint"] = dataclasses.replace(made, **fields).fingerprint
    del about["checksum"]  # as in a file that was written before there was one
    texts = json.loads(about["space"])
    for name, value in fields.items():
        (arrays if name in arrays else texts)[name] = value
    save_file(arrays, path, {**about, "space": json.dumps(texts)})
    with pytest.raises(SpaceFileError, match=message):
        SemanticSpace.load(path)


def test_a_file_without_checksum_is_read_as_before(tmp_path: Path) -> None:
    path = tmp_path / "space.safetensors"
    space().save(path)
    with safe_open(str(path), framework="numpy") as file:
        about, arrays = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    del about["checksum"]
    save_file(arrays, path, about)
    assert SemanticSpace.load(path).fingerprint == space().fingerprint


def test_a_snapshot_is_step_2_2() -> None:
    monitor = make(layers=["0", "2"], track={"2": [3]}, top_concepts=2)
    seen = monitor.observe(other_model())
    stimuli = collect_stimuli(other_model(), ["0", "2"], probe(), 6)
    described = space().concept_space()
    for layer, snapshot in seen.items():
        expected: Projected = space().project(stimuli[layer].images)
        np.testing.assert_array_equal(snapshot.embedding, expected.vectors)
        np.testing.assert_array_equal(snapshot.valid, expected.known)
        np.testing.assert_array_equal(snapshot.position, space().map.project(expected.vectors))
        shown = snapshot.top_images[:, :6]
        known = stimuli[layer].images >= 0
        assert (shown[known] == stimuli[layer].images[known]).all()
        unit = expected.vectors / np.linalg.norm(expected.vectors, axis=1, keepdims=True)
        cosine = unit @ described.text_embedding.T
        assert (snapshot.concept_ids[:, 0] == cosine.argmax(axis=1)).all()
        np.testing.assert_allclose(snapshot.similarity[:, 0], cosine.max(axis=1), atol=1e-6)
        assert snapshot.space.fingerprint == described.fingerprint
        assert "conceptevo (k=6, ConceptEvo Net at 7" in snapshot.detector
    assert seen["2"].tracked == (3,)
    again = monitor.observe(other_model())
    assert (again["0"].displacement[again["0"].valid] == 0).all()


def test_neurons_without_known_stimuli_are_marked_in_the_snapshot(caplog: pytest.LogCaptureFixture) -> None:
    unknown = dataclasses.replace(space(), coverage=np.where(np.arange(150) < 20, DIRECT, 0).astype(np.uint8))
    monitor = make(space=unknown, layers=["b"])
    snapshot = monitor.observe(make_net())["b"]
    lost = ~np.isin(space().stimuli[5:], np.arange(20)).any(axis=1)
    assert snapshot.num_dead < lost.sum() < 6
    assert (snapshot.valid == ~lost).all()
    assert np.isnan(snapshot.position[lost]).all()
    assert (snapshot.concept_ids[lost] == -1).all()
    assert not snapshot.interpretable[lost].any()
    dead = (space().stimuli[5:] < 0).all(axis=1)
    assert snapshot.num_dead == dead.sum()
    np.testing.assert_array_equal(snapshot.unknown, lost & ~dead)
    assert ((snapshot.top_images >= 0).any(axis=1) == ~dead).all()  # what excites it is known all the same
    assert make(layers=["b"]).observe(make_net())["b"].unknown is None
    packed = [unpack_payload(pack(snapshot, 3)) for pack in (pack_neurons, pack_metrics)]
    back = unpack_snapshot("b", *packed, None, snapshot.space)
    np.testing.assert_array_equal(back.unknown, snapshot.unknown)
    told = [label_neuron(packed[0].arrays, neuron, ((), ()))["unknown"] for neuron in range(6)]
    assert told == snapshot.unknown.tolist()
    monitor.observe(make_net())
    assert ["knows stimuli of only 1 of 4 neurons" in message for message in caplog.messages] == [True]


def test_the_threshold_is_what_random_stimuli_rarely_pass() -> None:
    threshold = random_threshold(space(), 0.1, 3)
    drawn = np.random.default_rng(0).integers(0, 150, (2000, 6))
    vectors = space().project(drawn).vectors
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    best = (unit @ space().concept_space().text_embedding.T).max(axis=1)
    assert (best > threshold).mean() == pytest.approx(0.1, abs=0.04)
    assert make(threshold_level=0.1, seed=3).observe(make_net())["a"].threshold == threshold


def test_an_encoder_names_places_by_the_pictures_that_fit_its_words() -> None:
    encoder = cm.WorldEncoder()
    made = fit_semantic_space(
        make_net(), LAYERS, probe(), encoder=encoder, concepts=WORDS, settings=SETTINGS, progress=False
    )
    assert made.words == WORDS.words
    assert made.categories == WORDS.categories
    assert made.named_by == f"{encoder.name} ({encoder.fingerprint})"
    fit = encoder.encode_images(list(probe().pictures())) @ encoder.encode_text(["dog"]).T
    best = np.argsort(-fit[:, 0].numpy(), kind="stable")[:6].astype(np.int32)
    np.testing.assert_array_equal(made.word_vectors[3], made.project(best[None]).vectors[0])
    monitor = make(space=made, anchors=["dog"])
    snapshot = monitor.observe(make_net())["b"]
    assert snapshot.space.anchors == ("dog",)
    assert set(snapshot.category_counts) == {"color", "object"}


def test_what_does_not_fit_a_space_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="neurons are compared by the pictures that excite them"):
        make(probe=cm.ProbeSet.world(150, size=16, seed=4))
    with pytest.raises(ValueError, match="has no word 'zebra'"):
        make(anchors=["zebra"])
    with pytest.raises(TypeError, match="space must be a SemanticSpace"):
        make(space=3)
    with pytest.raises(FileNotFoundError):
        make(space=tmp_path / "none.safetensors")
    with pytest.raises(ValueError, match="ids of the 150 probe images"):
        space().project(np.array([[150]]))
    with pytest.raises(ValueError, match="concepts are words for an encoder"):
        fit_semantic_space(make_net(), LAYERS, probe(), concepts=WORDS)
