"""Eq. 2.2 and its neighbours against NumPy loops, and their laws."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import normalize

from conceptmon_tb.functional.diversity import (
    anchor_distance,
    anchor_distance_by_mask,
    anchor_distances,
    category_counts,
    displacement,
    mean_pairwise_distance,
)


def points(rows, dim, seed):
    return normalize(torch.randn(rows, dim, generator=torch.Generator().manual_seed(seed)), dim=1)


@pytest.mark.parametrize("shape", [(1, 1, 2), (9, 4, 3), (700, 600, 16)])
def test_anchor_distance_equals_the_formula(shape):
    neurons, anchors, dim = shape
    u, f = points(neurons, dim, 0) * 0.7, points(anchors, dim, 1)
    nearest = [min(np.linalg.norm(u.double().numpy() - a, axis=1)) for a in f.double().numpy()]
    distance, neuron = anchor_distances(u, f)
    np.testing.assert_allclose(distance.numpy(), nearest, atol=1e-6)
    torch.testing.assert_close((u[neuron] - f).norm(dim=1), distance)
    assert anchor_distance(u, f).item() == pytest.approx(np.mean(nearest), abs=1e-6)


@given(seed=st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_anchor_distance_is_zero_where_neurons_sit_on_the_anchors(seed):
    u = points(20, 8, seed)
    assert anchor_distance(u, u[[3, 17, 5]]).item() == 0.0
    assert anchor_distances(u, u[[3, 17, 5]])[1].tolist() == [3, 17, 5]


@given(seed=st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_another_neuron_never_raises_the_anchor_distance(seed):
    u, f = points(15, 4, seed), points(10, 4, seed + 1)
    assert anchor_distance(u, f) <= anchor_distance(u[:-1], f)


def test_a_mask_counts_only_its_neurons_and_keeps_their_indices():
    u, f = points(10, 4, 0), points(6, 4, 1)
    mask = torch.arange(10) % 2 == 1
    distance, neuron = anchor_distances(u, f, mask)
    expected, place = anchor_distances(u[mask], f)
    assert torch.equal(distance, expected)
    assert torch.equal(neuron, mask.nonzero().squeeze(1)[place])


def test_without_neurons_the_distance_is_nan_and_the_neuron_minus_one():
    distance, neuron = anchor_distances(points(3, 4, 0), points(2, 4, 1), torch.zeros(3, dtype=torch.bool))
    assert distance.isnan().all()
    assert neuron.tolist() == [-1, -1]
    assert anchor_distance(torch.zeros(0, 4), points(2, 4, 1)).isnan()


def test_anchor_distance_can_be_trained_through():
    u = points(5, 3, 0).requires_grad_()
    anchor_distance(u, points(4, 3, 1)).backward()
    assert torch.isfinite(u.grad).all()
    assert u.grad.abs().sum() > 0


def test_anchor_distance_of_neurons_on_anchors_has_a_finite_gradient():
    u = torch.eye(3).requires_grad_()
    anchor_distance(u, torch.eye(3)).backward()
    assert torch.isfinite(u.grad).all()


def test_no_anchors_is_an_error():
    with pytest.raises(ValueError, match="anchors is empty"):
        anchor_distance(torch.zeros(2, 3), torch.zeros(0, 3))


def test_different_dimensions_are_an_error():
    with pytest.raises(ValueError, match="with the same dim"):
        anchor_distances(torch.zeros(2, 3), torch.zeros(2, 4))


def test_a_mask_of_another_type_is_an_error():
    with pytest.raises(ValueError, match=r"mask must be bool of shape \(2,\)"):
        anchor_distances(torch.zeros(2, 3), torch.zeros(2, 3), torch.ones(2))


@pytest.mark.parametrize("neurons", [2, 7, 513])
def test_mean_pairwise_distance_equals_the_loop_over_pairs(neurons):
    u = points(neurons, 5, 0)
    pairs = itertools.combinations(u.double().numpy(), 2)
    expected = np.mean([np.linalg.norm(x - y) for x, y in pairs])
    assert mean_pairwise_distance(u).item() == pytest.approx(expected, rel=1e-6)


def test_mean_pairwise_distance_is_zero_for_a_heap_and_nan_for_one():
    assert mean_pairwise_distance(points(1, 64, 0).expand(300, 64)).item() == pytest.approx(0.0, abs=1e-8)
    assert mean_pairwise_distance(points(1, 4, 0)).isnan()
    assert mean_pairwise_distance(points(3, 4, 0), torch.tensor([True, False, False])).isnan()


def test_displacement_is_the_distance_moved_and_nan_outside_the_mask():
    before = torch.zeros(3, 2)
    after = torch.tensor([[3.0, 4.0], [0.0, 0.0], [1.0, 1.0]])
    moved = displacement(before, after, torch.tensor([True, True, False]))
    assert moved[:2].tolist() == [5.0, 0.0]
    assert math.isnan(moved[2])


def test_displacement_of_other_neurons_is_an_error():
    with pytest.raises(ValueError, match="of the same neurons"):
        displacement(torch.zeros(2, 3), torch.zeros(3, 3))


def test_category_counts_holds_every_category_in_order_of_appearance():
    best, interpretable = torch.tensor([2, 0, 2, 1, -1]), torch.tensor([True, False, True, True, False])
    assert category_counts(best, interpretable, ["part", "", "scene", "part"]) == {
        "part": 0,
        "": 1,
        "scene": 2,
    }


def test_category_counts_refuses_concepts_out_of_range():
    with pytest.raises(ValueError, match=r"best_concept must be in 0\.\.1"):
        category_counts(torch.tensor([2]), torch.tensor([True]), ["a", "b"])


def test_anchor_distances_over_several_masks_are_those_over_each() -> None:
    generator = torch.Generator().manual_seed(3)
    embedding, anchors = torch.randn(40, 6, generator=generator), torch.randn(9, 6, generator=generator)
    masks = [torch.ones(40, dtype=torch.bool), torch.arange(40) % 3 == 0, torch.zeros(40, dtype=torch.bool)]
    together = anchor_distance_by_mask(embedding, anchors, masks)
    alone = [anchor_distance(embedding, anchors, mask) for mask in masks]
    assert torch.equal(torch.stack(together[:2]), torch.stack(alone[:2]))
    assert together[2].isnan()
