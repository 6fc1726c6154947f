"""Similarities against independent NumPy loops that read like the published formulas."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conceptmon_tb.functional.similarity import (
    SIMILARITIES,
    canonical_name,
    cos_similarity,
    cos_similarity_cubed,
    rank_reorder,
    soft_wpmi,
    wpmi,
)
from tests.unit.published_similarities import (
    NAMES,
    PRIORS,
    REFERENCES,
    SHAPES,
    draw,
    reference_cos,
    reference_likelihood,
    reference_pmi,
    reference_rank_reorder,
    top,
)

DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_similarity_equals_the_published_formula(name, dtype, shape):
    activations, concept_activations = (tensor.to(dtype) for tensor in draw(*shape))
    result = SIMILARITIES[name](activations, concept_activations)
    expected = REFERENCES[name](activations.double().numpy(), concept_activations.double().numpy())
    assert result.dtype == torch.float32
    np.testing.assert_allclose(result.numpy(), expected, rtol=2e-5, atol=2e-4)


@pytest.mark.parametrize("name", NAMES)
def test_neurons_that_say_nothing_get_zero_rows_and_leave_the_others_alone(name):
    activations, concept_activations = draw(200, 6, 4)
    spoiled = torch.cat([activations, torch.zeros(200, 1), torch.full((200, 2), 7.0), activations[:, :2]], 1)
    spoiled[3, 9], spoiled[5, 10] = float("nan"), float("inf")
    result = SIMILARITIES[name](spoiled, concept_activations)
    assert torch.equal(result[6:], torch.zeros(5, 4))
    torch.testing.assert_close(result[:6], SIMILARITIES[name](activations, concept_activations))


@pytest.mark.parametrize("name", NAMES)
def test_a_layer_without_valid_neurons_gives_zeros(name):
    assert torch.equal(SIMILARITIES[name](torch.zeros(50, 3), draw(50, 1, 4)[1]), torch.zeros(3, 4))


@pytest.mark.parametrize("name", NAMES)
def test_constant_concepts_and_flat_tops_never_give_nan(name):
    activations = (torch.arange(60.0)[:, None] > torch.tensor([1.0, 30.0, 58.0])).float()
    concept_activations = torch.stack([torch.zeros(60), torch.full((60,), -0.3), torch.arange(60.0) / 60], 1)
    assert torch.isfinite(SIMILARITIES[name](activations, concept_activations)).all()


@pytest.mark.parametrize("name", NAMES)
@given(seed=st.integers(0, 1000))
@settings(max_examples=10, deadline=None)
def test_permuting_neurons_permutes_rows(name, seed):
    activations, concept_activations = draw(60, 9, 4, seed)
    order = torch.randperm(9, generator=torch.Generator().manual_seed(seed))
    result = SIMILARITIES[name](activations, concept_activations)
    torch.testing.assert_close(
        SIMILARITIES[name](activations[:, order], concept_activations), result[order], rtol=1e-4, atol=1e-4
    )  # float32 of likelihoods around -200


@pytest.mark.parametrize("name", NAMES)
@given(seed=st.integers(0, 1000))
@settings(max_examples=10, deadline=None)
def test_the_order_of_probe_images_does_not_matter_without_ties(name, seed):
    activations, concept_activations = draw(60, 5, 4, seed)
    order = torch.randperm(60, generator=torch.Generator().manual_seed(seed))
    result = SIMILARITIES[name](activations, concept_activations)
    shuffled = SIMILARITIES[name](activations[order], concept_activations[order])
    torch.testing.assert_close(shuffled, result, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
@given(scale=st.floats(1e-6, 1e6), seed=st.integers(0, 100))
@settings(max_examples=15, deadline=None)
def test_the_scale_of_a_neuron_does_not_matter(name, scale, seed):
    activations, concept_activations = draw(80, 4, 6, seed)
    result = SIMILARITIES[name](activations, concept_activations)
    scaled = SIMILARITIES[name](activations * scale, concept_activations)
    torch.testing.assert_close(scaled, result, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("scale", [2.0**-20, 2.0**-7, 2.0**20])
def test_cos_cubed_is_the_same_to_the_last_bit_at_scales_without_rounding(scale):
    activations, concept_activations = draw(500, 20, 30)
    result = cos_similarity_cubed(activations, concept_activations)
    assert torch.equal(cos_similarity_cubed(activations * scale, concept_activations), result)


def test_cos_cubed_is_accurate_far_from_zero():
    activations, concept_activations = draw(400, 5, 6)
    far = activations + 100.0
    expected = reference_cos(far.double().numpy(), concept_activations.double().numpy(), cubed=True)
    np.testing.assert_allclose(cos_similarity_cubed(far, concept_activations).numpy(), expected, atol=2e-5)


@given(seed=st.integers(0, 1000))
@settings(max_examples=10, deadline=None)
def test_cosines_are_at_most_one_and_one_for_the_concept_itself(seed):
    _, concept_activations = draw(30, 1, 5, seed)
    for function in (cos_similarity, cos_similarity_cubed):
        result = function(concept_activations * 3.0, concept_activations)
        assert result.abs().max() <= 1 + 1e-5
        torch.testing.assert_close(result.diagonal(), torch.ones(5))


def test_cos_cubed_can_be_trained_through():
    activations, concept_activations = draw(20, 3, 2)
    activations = activations.double().requires_grad_()
    result = cos_similarity_cubed(activations, concept_activations)
    result.sum().backward()
    step = 1e-2
    moved = activations.detach().clone()
    moved[4, 1] += step
    change = (cos_similarity_cubed(moved, concept_activations).sum() - result.detach().sum()) / step
    torch.testing.assert_close(activations.grad[4, 1].float(), change, rtol=0.1, atol=1e-2)


@pytest.mark.parametrize("name", NAMES)
def test_autocast_does_not_lower_the_precision(name):
    activations, concept_activations = draw(100, 4, 5)
    expected = SIMILARITIES[name](activations, concept_activations)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(SIMILARITIES[name](activations, concept_activations), expected)


def test_soft_wpmi_with_the_layers_prior_is_at_most_log_neurons():
    activations, concept_activations = draw(300, 16, 20)
    assert soft_wpmi(activations, concept_activations).max() <= np.log(16) + 1e-3


def test_soft_wpmi_stays_exact_where_float32_products_underflow():
    activations, concept_activations = draw(150, 4, 50)
    options = {"p_start": 1.0, "p_end": 0.9999, "a": 60.0}
    result = soft_wpmi(activations, concept_activations, **options)
    expected = reference_pmi(
        activations.double().numpy(), concept_activations.double().numpy(), 100, 60, 1, (1.0, 0.9999)
    )
    np.testing.assert_allclose(result.numpy(), expected, rtol=1e-4, atol=2e-3)


def test_soft_wpmi_weighs_the_prior_by_lam():
    activations, concept_activations = draw(150, 6, 5)
    expected = reference_pmi(
        activations.double().numpy(), concept_activations.double().numpy(), 20, 10, 0.5, (0.998, 0.97)
    )
    result = soft_wpmi(activations, concept_activations, top_k=20, lam=0.5)
    np.testing.assert_allclose(result.numpy(), expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("function", [wpmi, soft_wpmi])
def test_fewer_images_than_top_k_means_all_images(function):
    activations, concept_activations = draw(30, 5, 4)
    many = function(activations, concept_activations, top_k=1000)
    torch.testing.assert_close(many, function(activations, concept_activations, top_k=30))


@pytest.mark.parametrize("function", [wpmi, soft_wpmi])
@pytest.mark.parametrize("prior", ["background", "zscore"])
def test_with_a_background_prior_a_neuron_stands_for_itself(function, prior):
    activations, concept_activations = draw(400, 8, 6)
    together = function(activations, concept_activations, prior=prior)
    alone = function(activations[:, 2:3], concept_activations, prior=prior)
    torch.testing.assert_close(alone, together[2:3])


def test_zscore_counts_standard_deviations_of_random_sets():
    activations, concept_activations = draw(400, 3, 5)
    p = concept_activations.double().numpy()
    rng = np.random.default_rng(0)
    random_sets = [rng.permutation(400)[:100] for _ in range(3000)]
    background = reference_likelihood(random_sets, p, 10, 1e-7, (0.998, 0.97))
    sets = [top(column, 100) for column in activations.double().numpy().T]
    likelihood = reference_likelihood(sets, p, 10, 1e-7, (0.998, 0.97))
    expected = (likelihood - background.mean(axis=0)) / background.std(axis=0)
    result = soft_wpmi(activations, concept_activations, prior="zscore")
    np.testing.assert_allclose(result.numpy(), expected, atol=0.5)  # 512 random sets against 3,000


def test_zscore_of_a_concept_that_is_equally_likely_everywhere_is_zero():
    activations, _ = draw(300, 3, 1)
    assert torch.equal(soft_wpmi(activations, torch.full((300, 1), 0.2), prior="zscore"), torch.zeros(3, 1))


@pytest.mark.parametrize("prior", ["background", "zscore"])
def test_priors_are_seeded_and_leave_the_global_random_state_alone(prior):
    activations, concept_activations = draw(200, 3, 4)
    before = torch.get_rng_state()
    first = soft_wpmi(activations, concept_activations, prior=prior)
    assert torch.equal(soft_wpmi(activations, concept_activations, prior=prior), first)
    assert not torch.equal(soft_wpmi(activations, concept_activations, prior=prior, seed=1), first)
    assert torch.equal(torch.get_rng_state(), before)


def test_rank_reorder_is_best_for_a_concept_in_the_neurons_own_order():
    activations = torch.linspace(0, 1, 200)[:, None]
    concept_activations = torch.stack([activations[:, 0], 1 - activations[:, 0]], dim=1) + 0.01
    result = rank_reorder(activations, concept_activations)
    assert result[0, 0] == 0
    assert result[0, 1] < -1


def test_rank_reorder_survives_negative_cosines():
    activations, concept_activations = draw(200, 3, 4)
    assert torch.isfinite(rank_reorder(activations, concept_activations - 5.0)).all()


@pytest.mark.parametrize(
    ("function", "options", "message"),
    [
        (soft_wpmi, {"prior": "mean"}, "prior must be one of 'layer', 'background', 'zscore', got 'mean'"),
        (soft_wpmi, {"top_k": 0}, "top_k must be a whole number, at least 1, got 0"),
        (soft_wpmi, {"top_k": 5.5}, "top_k must be a whole number, at least 1, got 5.5"),
        (soft_wpmi, {"top_k": float("nan")}, "top_k must be a whole number"),
        (soft_wpmi, {"lam": float("nan")}, "lam must be a finite number, got nan"),
        (soft_wpmi, {"a": float("nan")}, r"a \(softmax_scale\) must be a finite number, got nan"),
        (wpmi, {"a": float("inf")}, r"a \(softmax_scale\) must be a finite number, got inf"),
        (wpmi, {"lam": float("-inf")}, "lam must be a finite number, got -inf"),
        (soft_wpmi, {"p_start": float("nan")}, "0 < p_end <= p_start <= 1"),
        (wpmi, {"min_prob": float("nan")}, "min_prob must be between 0 and 1"),
        (soft_wpmi, {"p_start": 0.5, "p_end": 0.9}, "0 < p_end <= p_start <= 1"),
        (wpmi, {"min_prob": 0.0}, "min_prob must be between 0 and 1"),
        (rank_reorder, {"top_fraction": 0.0}, r"top_fraction must be in \(0, 1\]"),
        (rank_reorder, {"top_fraction": float("nan")}, r"top_fraction must be in \(0, 1\]"),
        (rank_reorder, {"p": 0}, "p must be a finite number, at least 1, got 0"),
        (rank_reorder, {"p": float("nan")}, "p must be a finite number, at least 1, got nan"),
        (rank_reorder, {"p": float("inf")}, "p must be a finite number, at least 1, got inf"),
        (rank_reorder, {"scale_p": float("nan")}, "scale_p must be a finite number, got nan"),
    ],
)
def test_parameters_out_of_range_are_refused(function, options, message):
    with pytest.raises(ValueError, match=message):
        function(*draw(10, 2, 2), **options)


@pytest.mark.parametrize("name", NAMES)
def test_different_numbers_of_images_are_refused(name):
    with pytest.raises(ValueError, match="activations has 3 images and concept_activations has 4"):
        SIMILARITIES[name](torch.rand(3, 2), torch.rand(4, 2))


def test_short_names_mean_the_same_functions():
    assert SIMILARITIES["cos"] is cos_similarity
    assert SIMILARITIES["cos_cubed"] is cos_similarity_cubed
    assert canonical_name("soft_wpmi") == "soft_wpmi"


def test_an_unknown_similarity_is_answered_with_the_right_names():
    with pytest.raises(ValueError, match=r"similarity must be one of 'cos'.*'wpmi', got 'iou2'"):
        canonical_name("iou2")


@pytest.mark.parametrize("function", [wpmi, soft_wpmi])
@pytest.mark.parametrize("prior", PRIORS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_inputs_are_computed_in_float32(function, prior, dtype):
    activations, concept_activations = (tensor.to(dtype) for tensor in draw(150, 6, 70))
    result = function(activations, concept_activations, prior=prior)
    assert torch.equal(result, function(activations.float(), concept_activations.float(), prior=prior))


@pytest.mark.parametrize("power", [1, 2, 5, 2.5])
def test_rank_reorder_raises_changes_to_any_power(power):
    activations, concept_activations = draw(100, 4, 6)
    expected = reference_rank_reorder(
        activations.double().numpy(), concept_activations.double().numpy(), power, fraction=0.2
    )
    result = rank_reorder(activations, concept_activations, p=power, top_fraction=0.2)
    np.testing.assert_allclose(result.numpy(), expected, rtol=1e-4, atol=1e-4)
