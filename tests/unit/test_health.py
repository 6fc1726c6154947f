"""Which neurons count as valid, and what the shared input checks refuse."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conceptmon_tb.functional.health import check_concept_activations, place_rows, valid_neurons


def test_the_four_kinds_of_neuron_are_told_apart():
    nan, inf = float("nan"), float("inf")
    activations = torch.tensor([[0.0, 2.0, nan, 1.0, inf], [0.0, 2.0, 1.0, 3.0, 1.0]])
    health = valid_neurons(activations)
    assert health.dead.tolist() == [True, False, False, False, False]
    assert health.constant.tolist() == [False, True, False, False, False]
    assert health.nonfinite.tolist() == [False, False, True, False, True]
    assert health.valid.tolist() == [False, False, False, True, False]


def test_rounding_noise_around_a_constant_is_constant():
    activations = 3.0 + torch.tensor([[0.0], [2.4e-7], [-2.4e-7]])
    assert valid_neurons(activations).constant.tolist() == [True]


@settings(deadline=None)
@given(st.sampled_from([1e-30, 1e-6, 1.0, 1e6, 1e30]))
def test_validity_does_not_depend_on_scale(scale):
    activations = torch.rand(20, 5, generator=torch.Generator().manual_seed(0))
    assert valid_neurons(activations * scale).valid.all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int32])
def test_masks_are_disjoint_and_cover_the_layer_in_every_dtype(dtype):
    activations = torch.tensor([[0, 1, 2], [0, 1, 3]]).to(dtype)
    assert torch.stack(list(valid_neurons(activations))).sum(dim=0).tolist() == [1, 1, 1]


def test_one_image_leaves_no_valid_neuron():
    assert not valid_neurons(torch.tensor([[1.0, 0.0]])).valid.any()


def test_no_images_is_an_error_that_names_the_argument():
    with pytest.raises(ValueError, match="activations must be a matrix with one row per probe image"):
        valid_neurons(torch.zeros(0, 3))


def test_feature_maps_are_refused_with_the_mend():
    with pytest.raises(ValueError, match="pool feature maps"):
        valid_neurons(torch.zeros(2, 3, 4, 4))


def test_lists_are_refused():
    with pytest.raises(TypeError, match=r"activations must be a real torch\.Tensor, got list"):
        valid_neurons([[1.0]])


def test_concept_activations_with_nan_are_refused():
    with pytest.raises(ValueError, match="concept_activations holds NaN"):
        check_concept_activations(torch.tensor([[float("nan")]]))


def test_concept_activations_without_concepts_are_refused():
    with pytest.raises(ValueError, match="no concepts"):
        check_concept_activations(torch.zeros(3, 0))


def test_rows_of_valid_neurons_land_in_their_places():
    placed = place_rows(torch.tensor([[1.0, 2.0]]), torch.tensor([False, True, False]))
    assert placed.tolist() == [[0, 0], [1, 2], [0, 0]]
