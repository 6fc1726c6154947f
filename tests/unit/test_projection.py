"""The concept map: the Shepard rule against a NumPy loop, and the promises of the map."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import conceptmon_tb as cm
from conceptmon_tb.projection import ConceptMap
from conceptmon_tb.world import WORDS


def draw(rows, dim, seed=0):
    vectors = np.random.default_rng(seed).normal(size=(rows, dim)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def shepard_map(concepts=60, dim=12, seed=0):
    position = np.random.default_rng(seed + 1).uniform(-1, 1, size=(concepts, 2))
    return ConceptMap.from_positions(draw(concepts, dim, seed), position)


def reference_shepard(text, position, embedding, k=15):
    placed = np.zeros((len(embedding), 2))
    for n, row in enumerate(embedding.astype(np.float64)):
        distance = np.linalg.norm(text.astype(np.float64) - row / np.linalg.norm(row), axis=1)
        order = np.argsort(distance)
        radius = distance[order[k]]
        weights = [(max(radius - distance[i], 0) / (radius * (distance[i] + 1e-6))) ** 2 for i in order[:k]]
        for weight, i in zip(weights, order[:k], strict=True):
            placed[n] += weight / sum(weights) * position[i]
    return placed


def test_projection_equals_the_formula():
    concept_map = shepard_map()
    embedding = draw(200, 12, seed=5) * 0.3
    expected = reference_shepard(draw(60, 12), concept_map.position, embedding)
    np.testing.assert_allclose(concept_map.project(embedding), expected, atol=1e-4)


@given(seed=st.integers(0, 500), concepts=st.integers(1, 40))
@settings(max_examples=30, deadline=None)
def test_concepts_land_on_their_own_positions(seed, concepts):
    concept_map = shepard_map(concepts, 6, seed)
    placed = concept_map.project(draw(concepts, 6, seed) * 0.5)
    np.testing.assert_allclose(placed, concept_map.position, atol=1e-5)


@given(seed=st.integers(0, 500), split=st.integers(1, 149))
@settings(max_examples=30, deadline=None)
def test_splitting_or_reordering_the_neurons_changes_no_bit(seed, split):
    concept_map = shepard_map(80, 33, seed)
    embedding = draw(150, 33, seed + 2) * 0.6
    together = concept_map.project(embedding)
    parts = [concept_map.project(embedding[:split]), concept_map.project(embedding[split:])]
    assert np.array_equal(np.concatenate(parts), together)
    order = np.random.default_rng(seed).permutation(150)
    assert np.array_equal(concept_map.project(embedding[order]), together[order])


@given(seed=st.integers(0, 500), concepts=st.integers(1, 40))
@settings(max_examples=30, deadline=None)
def test_neurons_stay_within_the_concepts_positions(seed, concepts):
    concept_map = shepard_map(concepts, 4, seed)
    placed = concept_map.project(draw(30, 4, seed + 3))
    assert np.isfinite(placed).all()
    assert (placed <= concept_map.position.max(axis=0) + 1e-6).all()
    assert (placed >= concept_map.position.min(axis=0) - 1e-6).all()


def test_a_small_change_of_the_embedding_is_a_small_move():
    concept_map = shepard_map(300, 16)
    embedding = 0.5 * draw(200, 16, seed=9)
    moved = concept_map.project(embedding + 1e-5 * draw(200, 16, seed=10)) - concept_map.project(embedding)
    assert np.abs(moved).max() < 0.01


def test_the_length_of_an_embedding_does_not_matter():
    concept_map = shepard_map()
    embedding = draw(20, 12, seed=4)
    np.testing.assert_allclose(concept_map.project(8 * embedding), concept_map.project(embedding), atol=1e-6)


def test_neurons_without_a_direction_are_nowhere():
    embedding = np.zeros((3, 12), dtype=np.float32)
    embedding[1, 0], embedding[2, 0] = np.nan, 1.0
    placed = shepard_map().project(embedding)
    assert np.isnan(placed[:2]).all()
    assert np.isfinite(placed[2]).all()


def test_no_neurons_have_no_positions():
    assert shepard_map().project(np.zeros((0, 12))).shape == (0, 2)


def test_equally_far_concepts_share_the_neuron():
    concept_map = ConceptMap.from_positions(np.eye(4), [[1, 0], [-1, 0], [0, 1], [0, -1]])
    np.testing.assert_allclose(concept_map.project(np.ones((1, 4)) / 4)[0], [0, 1 / 3], atol=1e-6)


def test_given_positions_are_kept():
    position = np.array([[3.0, 4.0], [5.0, -6.0]], dtype=np.float32)
    concept_map = ConceptMap.from_positions(draw(2, 3), position, name="shipped")
    assert np.array_equal(concept_map.position, position)
    assert concept_map.position.dtype == np.float32
    assert concept_map.name == "shipped"


def test_umap_fills_the_square_keeps_neighbours_and_repeats_with_the_seed():
    centres = draw(4, 20)
    text = np.repeat(centres, 20, axis=0) + 0.1 * draw(80, 20, seed=1)
    concept_map = ConceptMap.fit(text, seed=3)
    position = concept_map.position.reshape(4, 20, 2)
    within = np.linalg.norm(position - position.mean(axis=1, keepdims=True), axis=2).mean()
    across = np.linalg.norm(position.mean(axis=1) - position.mean(axis=(0, 1)), axis=1).mean()
    assert concept_map.name == "umap+shepard15"
    assert np.abs(position).max() == pytest.approx(1.0)
    assert within < across / 2
    assert np.array_equal(ConceptMap.fit(text, seed=3).position, concept_map.position)


def watch_words():
    probe = cm.ProbeSet.world(30, size=32)
    monitor = cm.ConceptMonitor(["0"], probe, cm.ConceptSet(WORDS[:40]), progress=False)
    monitor.observe(torch.nn.Sequential(torch.nn.Conv2d(3, 6, 3, 2)))


@pytest.mark.parametrize(
    "fit",
    [
        lambda: ConceptMap.fit(draw(40, 8)),
        lambda: ConceptMap.fit_joint(draw(40, 8), [draw(10, 8, seed=1)]),
        watch_words,
    ],
)
def test_fitting_a_map_leaves_torchs_threads_alone(fit):  # here: each process compiles UMAP for 10 s
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        fit()
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("concepts", [1, 2, 3, 5, 12])
def test_few_concepts_have_a_map(concepts):
    text = draw(concepts, 6)
    concept_map = ConceptMap.fit(text)
    assert np.abs(concept_map.position).max() <= 1 + 1e-6
    np.testing.assert_allclose(concept_map.project(text), concept_map.position, atol=1e-5)


def test_pca_is_linear():
    text = draw(30, 8)
    concept_map = ConceptMap.fit(text, method="pca")
    weights = np.random.default_rng(0).dirichlet(np.ones(30), size=10).astype(np.float32)
    np.testing.assert_allclose(concept_map.project(weights @ text), weights @ concept_map.position, atol=1e-5)
    assert concept_map.name == "pca"
    assert np.abs(concept_map.position).max() == pytest.approx(1.0)


def test_the_joint_layout_places_all_epochs_together():
    text, first, second = draw(40, 8), draw(10, 8, seed=1), draw(6, 8, seed=2)
    second[3] = 0
    concept_map, positions = ConceptMap.fit_joint(text, [first, second], seed=1)
    assert concept_map.position.shape == (40, 2)
    assert [position.shape for position in positions] == [(10, 2), (6, 2)]
    assert np.isnan(positions[1][3]).all()
    assert np.isfinite(positions[0]).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ConceptMap.fit(draw(9, 3), method="tsne"), "method must be 'umap' or 'pca', got 'tsne'"),
        (lambda: ConceptMap.fit(np.zeros((3, 2))), r"text_embedding\[0\] is zero or not finite"),
        (lambda: ConceptMap.fit(np.zeros((0, 2))), "at least one concept"),
        (
            lambda: ConceptMap.from_positions(draw(3, 2), np.zeros((2, 2))),
            r"position must be finite and \(3, 2\)",
        ),
        (lambda: shepard_map().project(np.zeros((2, 5))), r"embedding must be \(n, 12\), got \(2, 5\)"),
    ],
)
def test_wrong_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
