"""The steps from stimuli to embeddings, each against a restatement that reads like its formula."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conceptmon_tb.evolution.co_activation import CoActivation
from conceptmon_tb.evolution.fitting import SpaceSettings, embed_base
from conceptmon_tb.evolution.groups import group_neurons
from conceptmon_tb.evolution.image_embedding import (
    DIRECT,
    INDIRECT,
    RIDGE,
    UNKNOWN,
    average_images,
    embed_further_images,
    embed_images,
)
from conceptmon_tb.evolution.learning import co_activation_loss, learn_embedding
from conceptmon_tb.functional.acceleration import TORCH_ONLY

GROUPS, SIZE, OWN_IMAGES = 8, 12, 15


def sigma(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def loss_restated(vectors: np.ndarray, pairs: np.ndarray, negatives: np.ndarray) -> float:
    """Eq. 7.1, over its number of pairs."""
    total = 0.0
    for (n, m), drawn in zip(pairs, negatives, strict=True):
        total -= math.log(sigma(vectors[n] @ vectors[m]))
        for r in drawn:
            if r not in (n, m):
                total -= math.log(1 - sigma(vectors[n] @ vectors[r]))
                total -= math.log(1 - sigma(vectors[m] @ vectors[r]))
    return total / len(pairs)


def descend_restated(
    vectors: np.ndarray, pairs: np.ndarray, negatives: np.ndarray, rate: float, fixed: tuple[int, ...] = ()
) -> None:
    """Eq. 7.2 and 7.3 with their signs put right, one pair after the other."""
    for (n, m), drawn in zip(pairs, negatives, strict=True):
        near = 1 - sigma(vectors[n] @ vectors[m])
        slope = {n: -near * vectors[m], m: -near * vectors[n]}
        for end in (n, m):
            for r in drawn:
                if r not in (n, m):
                    slope[end] = slope[end] + sigma(vectors[end] @ vectors[r]) * vectors[r]
        for end in (n, m):
            if end not in fixed:
                vectors[end] = vectors[end] - rate * slope[end]


def planted(seed: int = 0, noise: float = 0.2) -> tuple[np.ndarray, np.ndarray]:
    """Neurons in groups that share images, some of them exchanged for random ones; and their groups."""
    random = np.random.default_rng(seed)
    group = np.repeat(np.arange(GROUPS), SIZE)
    score = random.random((len(group), GROUPS * OWN_IMAGES))
    own = np.arange(GROUPS * OWN_IMAGES) // OWN_IMAGES == group[:, None]
    score += np.where(own, 1, random.random(score.shape) < noise / GROUPS)
    return np.argsort(-score, axis=1)[:, :10].astype(np.int32), group


def purity(vectors: np.ndarray, group: np.ndarray, others: np.ndarray | None = None) -> float:
    """Share of neurons whose nearest other neuron is of their group."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    base = unit if others is None else others / np.linalg.norm(others, axis=1, keepdims=True)
    alike = unit @ base.T
    if others is None:
        np.fill_diagonal(alike, -2)
    return float((group[alike.argmax(axis=1)] == group).mean())


def test_the_loss_is_that_of_the_formula() -> None:
    random = np.random.default_rng(0)
    vectors = random.normal(size=(9, 4)).astype(np.float32)
    pairs, negatives = random.integers(0, 9, (20, 2)), random.integers(0, 9, (20, 3))
    expected = loss_restated(vectors.astype(np.float64), pairs, negatives)
    assert co_activation_loss(vectors, pairs, negatives) == pytest.approx(expected, rel=1e-9)


def test_the_steps_of_the_restatement_go_down_the_loss() -> None:
    random = np.random.default_rng(1)
    vectors = random.normal(size=(6, 3))
    pair, drawn = np.array([[0, 1]]), np.array([[2, 3, 0]])
    moved = vectors.copy()
    descend_restated(moved, pair, drawn, 1.0)
    for end in (0, 1):
        for axis in range(3):
            near = vectors.copy()
            near[end, axis] += 1e-6
            slope = (loss_restated(near, pair, drawn) - loss_restated(vectors, pair, drawn)) / 1e-6
            assert vectors[end, axis] - moved[end, axis] == pytest.approx(slope, abs=1e-4)


@pytest.mark.parametrize("fixed", [(), (0, 5, 11)])
def test_vectors_are_learned_as_the_restatement_learns_them(fixed: tuple[int, ...]) -> None:
    stimuli = planted()[0][:30]
    together = CoActivation(stimuli)
    is_fixed = np.isin(np.arange(30), fixed)
    start = np.random.default_rng(5).normal(size=(30, 7)).astype(np.float32)
    options = {"start": start, "fixed": is_fixed} if fixed else {}
    found, placed = learn_embedding(together, dim=7, num_negatives=2, repeats=4, rate=0.1, seed=3, **options)

    random = np.random.Generator(np.random.PCG64(3))
    expected = (random.standard_normal((30, 7)) / math.sqrt(7)).astype(np.float32).astype(np.float64)
    expected[is_fixed] = start[is_fixed]
    candidates = np.flatnonzero(placed)
    for _ in range(4):
        pairs = together.sample_pairs(random)
        drawn = candidates[random.integers(0, len(candidates), (len(pairs), 2))]
        descend_restated(expected, pairs, drawn, 0.1, fixed)
    np.testing.assert_allclose(found, np.where(placed[:, None], expected, 0), atol=1e-4)
    assert (found[is_fixed] == start[is_fixed]).all()


@pytest.mark.parametrize("torch_only", ["0", "1"])
def test_planted_groups_become_neighbours(torch_only: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TORCH_ONLY, torch_only)
    stimuli, group = planted()
    vectors, placed = learn_embedding(CoActivation(stimuli))
    assert placed.all()
    assert purity(vectors, group) > 0.95


def test_with_and_without_kernels_the_loss_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    together = CoActivation(planted()[0])
    random = np.random.default_rng(9)
    pairs, negatives = together.sample_pairs(random), random.integers(0, 96, (together.num_windows, 3))
    losses = []
    for torch_only in ("0", "1"):
        monkeypatch.setenv(TORCH_ONLY, torch_only)
        losses.append(co_activation_loss(learn_embedding(together).vectors, pairs, negatives))
    assert losses[0] == pytest.approx(losses[1], rel=0.05)
    start = learn_embedding(together, repeats=0).vectors
    assert losses[0] < co_activation_loss(start, pairs, negatives) - 0.2


@settings(max_examples=5, deadline=None, derandomize=True)
@given(seed=st.integers(0, 1000))
def test_a_seed_decides_everything(seed: int) -> None:
    stimuli, _ = planted(seed)
    settings = SpaceSettings(repeats=2, seed=seed)
    first, second = embed_base(stimuli, 120, settings), embed_base(stimuli, 120, settings)
    assert all((a == b).all() for a, b in zip(first, second, strict=True))
    other = embed_base(stimuli, 120, SpaceSettings(repeats=2, seed=seed + 1))
    assert not (first.vectors == other.vectors).all()


def test_neurons_that_share_nothing_are_marked() -> None:
    stimuli = np.array([[0, 1], [1, 2], [7, 8], [-1, -1]], np.int32)
    vectors, placed = learn_embedding(CoActivation(stimuli))
    assert placed.tolist() == [True, True, False, False]
    assert (vectors[2:] == 0).all()
    with pytest.raises(ValueError, match="no two of 2 neurons share"):
        embed_base(stimuli[2:], 9)


def matrix_of(stimuli: np.ndarray, images: int) -> np.ndarray:
    """Eq. 7.4 as a matrix."""
    matrix = np.zeros((len(stimuli), images))
    for neuron, row in enumerate(stimuli):
        chosen = [image for image in row if image >= 0]
        for image in chosen:
            matrix[neuron, image] += 1 / len(chosen)
    return matrix


@pytest.mark.parametrize("method", ["mean", "ridge", "least_squares"])
def test_images_are_placed_as_the_formula_says(method: str) -> None:
    random = np.random.default_rng(2)
    stimuli = np.stack([random.choice(40, 5, replace=False) for _ in range(25)]).astype(np.int32)
    stimuli[random.random(stimuli.shape) < 0.2] = -1
    vectors = random.normal(size=(25, 6)).astype(np.float32)
    placed = random.random(25) < 0.8
    found, covered = embed_images(vectors, placed, stimuli, 40, method)
    matrix, target = matrix_of(stimuli, 40)[placed], vectors[placed].astype(np.float64)
    if method == "mean":
        excites = matrix > 0
        expected = np.zeros((40, 6))
        for image in range(40):
            if excites[:, image].any():
                expected[image] = target[excites[:, image]].mean(axis=0)
    elif method == "least_squares":
        expected = np.linalg.pinv(matrix) @ target  # of all that fit best, the shortest
    else:
        expected = np.linalg.solve(matrix.T @ matrix + RIDGE * np.eye(40), matrix.T @ target)
    np.testing.assert_allclose(found, expected, atol=2e-3 if method == "least_squares" else 1e-4)
    assert (covered == (matrix > 0).any(axis=0)).all()


def test_neurons_are_placed_by_what_is_known_best() -> None:
    coverage = np.array([DIRECT, DIRECT, INDIRECT, INDIRECT, UNKNOWN], np.uint8)
    images = np.arange(10, dtype=np.float32).reshape(5, 2)
    stimuli = np.array([[0, 1, 2], [2, 3, 4], [4, -1, -1], [-1, -1, -1], [4, 2, 0]], np.int32)
    vectors, counts = average_images(stimuli, images, coverage)
    assert vectors.tolist() == [[1, 2], [5, 6], [0, 0], [0, 0], [0, 1]]
    assert counts.tolist() == [2, 2, 0, 0, 1]


@settings(max_examples=10, deadline=None, derandomize=True)
@given(order=st.permutations(range(20)), seed=st.integers(0, 99))
def test_a_neurons_place_depends_on_its_own_stimuli_only(order: list[int], seed: int) -> None:
    random = np.random.default_rng(seed)
    images = random.normal(size=(50, 30)).astype(np.float32)
    coverage = random.integers(0, 3, 50).astype(np.uint8)
    stimuli = random.integers(-1, 50, (20, 10)).astype(np.int32)
    together = average_images(stimuli, images, coverage)[0]
    assert (average_images(stimuli[order], images, coverage)[0] == together[order]).all()
    assert (average_images(stimuli[:1], images, coverage)[0] == together[:1]).all()


def test_further_images_come_to_lie_by_those_that_excite_the_same_neurons() -> None:
    random = np.random.default_rng(4)
    group = np.repeat(np.arange(4), 20)
    centre = 2 * np.linalg.qr(random.normal(size=(8, 8)))[0][:4]
    covered = np.arange(80) % 4 == 0
    known = np.where(covered[:, None], centre[group], 0).astype(np.float32)
    top = np.stack([random.choice(6, 4, replace=False) + 6 * g for g in group]).astype(np.int32)
    top[-1] = 99  # shares its neuron with nobody
    found, coverage = embed_further_images(
        known, covered, top, num_negatives=3, repeats=30, rate=0.05, seed=1
    )
    assert (coverage == np.where(covered, DIRECT, [INDIRECT] * 79 + [UNKNOWN])).all()
    assert (found[covered] == known[covered]).all()
    assert (found[-1] == 0).all()
    indirect = coverage == INDIRECT
    assert ((found[indirect] @ centre.T).argmax(axis=1) == group[indirect]).mean() > 0.95


@pytest.mark.parametrize("method", ["mean", "ridge", "least_squares"])
def test_another_models_neurons_come_to_lie_by_the_base_models(method: str) -> None:
    stimuli, group = planted(0)
    base = embed_base(stimuli, GROUPS * OWN_IMAGES, SpaceSettings(image_method=method))
    other, _ = planted(1)  # other draws of the same groups' images
    vectors, counts = average_images(other, base.image_vectors, base.coverage)
    assert (counts > 0).all()
    own, _ = average_images(stimuli, base.image_vectors, base.coverage)
    assert purity(vectors, group, own) > 0.9
    assert np.sqrt(np.square(own).sum(axis=1).mean()) == pytest.approx(1, abs=1e-3)


def test_groups_of_directions_are_found() -> None:
    random = np.random.default_rng(3)
    group = random.permutation(np.repeat(np.arange(5), [30, 20, 10, 10, 10]))
    centre = np.linalg.qr(random.normal(size=(8, 8)))[0][:5]
    length = random.uniform(0.1, 10, 80)[:, None]
    rows = (length * (centre[group] + 0.1 * random.normal(size=(80, 8)))).astype(np.float32)
    found = group_neurons(rows, 5, seed=2)
    assert len(np.unique(found.label * 5 + group)) == 5
    assert np.bincount(found.label).tolist() == [30, 20, 10, 10, 10]
    assert (found.label == group_neurons(rows, 5, seed=2).label).all()
    assert group_neurons(rows[:3], 9).centre.shape == (3, 8)
    with pytest.raises(ValueError, match="vectors must be finite and not zero"):
        group_neurons(np.zeros((2, 3), np.float32), 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dim": 0}, "dim must be at least 1"),
        ({"rate": 0.0}, "rate must be positive"),
        ({"num_negatives": -1}, "num_negatives must be at least 0"),
        ({"fixed": np.ones(3, bool)}, "start must be"),
    ],
)
def test_what_makes_no_sense_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        learn_embedding(CoActivation(np.zeros((3, 1), int)), **options)
    with pytest.raises(ValueError, match="method must be one of"):
        embed_images(np.zeros((1, 2), np.float32), np.ones(1, bool), np.zeros((1, 1), np.int32), 3, "best")
