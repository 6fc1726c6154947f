"""Similarities against independent NumPy loops that read like the published formulas."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conceptmon_tb.functional.acceleration import TORCH_ONLY
from conceptmon_tb.functional.cosine import CosineConcepts
from conceptmon_tb.functional.pmi import PmiConcepts
from conceptmon_tb.functional.rank import RankConcepts
from conceptmon_tb.functional.similarity import (
    SIMILARITIES,
    canonical_name,
    cos_similarity,
    cos_similarity_cubed,
    rank_reorder,
    soft_wpmi,
    wpmi,
)

NAMES = ["cos_similarity", "cos_similarity_cubed", "rank_reorder", "wpmi", "soft_wpmi"]
DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]
SHAPES = [(300, 7, 5), (150, 1, 1), (40, 130, 3), (120, 3, 700)]  # images, neurons, concepts


def draw(images, neurons, concepts, seed=0):
    generator = torch.Generator().manual_seed(seed)
    activations = torch.randn(images, neurons, generator=generator)
    concept_activations = 0.1 * torch.randn(images, concepts, generator=generator) + 0.2
    return activations, concept_activations


def reference_cos(q, p, cubed):
    similarity = np.zeros((q.shape[1], p.shape[1]))
    for n in range(q.shape[1]):
        for c in range(p.shape[1]):
            u, v = q[:, n], p[:, c]
            if cubed:
                u, v = (u - u.mean()) ** 3, (v - v.mean()) ** 3
            similarity[n, c] = u @ v / (np.linalg.norm(u) * np.linalg.norm(v))
    return similarity


def softmax(row):
    e = np.exp(row - row.max())
    return e / e.sum()


def log_mean_exp(values):
    return values.max() + np.log(np.mean(np.exp(values - values.max())))


def top(column, k):
    return sorted(range(len(column)), key=lambda image: (-column[image], image))[:k]


def reference_likelihood(sets, p, a, min_prob, membership):
    probability = np.array([softmax(a * row) for row in p])
    likelihood = np.zeros((len(sets), p.shape[1]))
    for n, images in enumerate(sets):
        for rank, image in enumerate(images):
            if membership is None:
                likelihood[n] += np.log(probability[image] + min_prob)
            else:
                start, end = membership
                q = start - rank / len(images) * (start - end)
                likelihood[n] += np.log(1 + q * (probability[image] - 1) + min_prob)
    return likelihood


def reference_pmi(q, p, k, a, lam, membership, min_prob=1e-7):
    sets = [top(column, k) for column in q.T]
    likelihood = reference_likelihood(sets, p, a, min_prob, membership)
    prior = np.array([log_mean_exp(column) for column in likelihood.T])
    return likelihood - lam * prior


def reference_rank_reorder(q, p, power=3, fraction=0.05, scale_p=0.5):
    k = max(2, int(len(q) * fraction))
    similarity = np.zeros((q.shape[1], p.shape[1]))
    for n in range(q.shape[1]):
        images = top(q[:, n], k)
        target = q[images, n]
        by_chance = np.mean([abs(x - y) ** power for x, y in itertools.product(target, target)])
        for c in range(p.shape[1]):
            in_concept_order = sorted(range(k), key=lambda place: (p[images[place], c], images[place]))
            dealt = np.empty(k)
            dealt[in_concept_order] = np.sort(target)
            error = np.mean(np.abs(target - dealt) ** power) / by_chance
            similarity[n, c] = -error / max(np.mean(p[images, c]), 1e-3) ** scale_p
    return similarity


REFERENCES = {
    "cos_similarity": lambda q, p: reference_cos(q, p, cubed=False),
    "cos_similarity_cubed": lambda q, p: reference_cos(q, p, cubed=True),
    "rank_reorder": reference_rank_reorder,
    "wpmi": lambda q, p: reference_pmi(q, p, k=28, a=2, lam=0.6, membership=None),
    "soft_wpmi": lambda q, p: reference_pmi(q, p, k=100, a=10, lam=1, membership=(0.998, 0.97)),
}


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


PRIORS = ["layer", "background", "zscore"]
SIDES = {
    "cos_similarity": lambda p, **options: CosineConcepts(p, cubed=False, **options),
    "cos_similarity_cubed": lambda p, **options: CosineConcepts(p, cubed=True, **options),
    "rank_reorder": RankConcepts,
    "wpmi": lambda p, **options: PmiConcepts(p, top_k=28, a=2, lam=0.6, prior="layer", **options),
    "soft_wpmi": lambda p, **options: PmiConcepts(
        p, top_k=100, a=10, lam=1, prior="layer", membership=(0.998, 0.97), **options
    ),
}


@pytest.mark.parametrize("function", [wpmi, soft_wpmi])
@pytest.mark.parametrize("prior", PRIORS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_inputs_are_computed_in_float32(function, prior, dtype):
    activations, concept_activations = (tensor.to(dtype) for tensor in draw(150, 6, 70))
    result = function(activations, concept_activations, prior=prior)
    assert torch.equal(result, function(activations.float(), concept_activations.float(), prior=prior))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [*SHAPES, (90, 70, 130)])
def test_torch_alone_computes_the_same(name, shape, monkeypatch):
    activations, concept_activations = draw(*shape)
    result = SIMILARITIES[name](activations, concept_activations)
    monkeypatch.setenv(TORCH_ONLY, "1")
    alone = SIMILARITIES[name](activations, concept_activations)
    torch.testing.assert_close(alone, result, rtol=1e-5, atol=1e-4)  # float32 of -450 and less


@pytest.mark.parametrize("name", ["rank_reorder", "wpmi", "soft_wpmi"])
@pytest.mark.parametrize("torch_only", ["0", "1"])
def test_blocks_and_kept_tables_give_the_same_to_the_last_bit(name, torch_only, monkeypatch):
    monkeypatch.setenv(TORCH_ONLY, torch_only)
    activations, concept_activations = draw(120, 20, 300)
    kept = SIDES[name](concept_activations)
    result = kept.similarity(activations)
    assert torch.equal(kept.similarity(activations), result)
    monkeypatch.setattr("conceptmon_tb.functional.blocks.BLOCK_BYTES", 1)
    monkeypatch.setattr("conceptmon_tb.functional.likelihood._TILE_BYTES", 1)
    streamed = SIDES[name](concept_activations, cache_bytes=0)
    assert torch.equal(streamed.similarity(activations), result)


@pytest.mark.parametrize("name", ["cos_similarity", "cos_similarity_cubed"])
def test_blocks_and_kept_directions_give_the_same(name, monkeypatch):
    activations, concept_activations = draw(50, 20, 700)
    result = SIDES[name](concept_activations).similarity(activations)
    monkeypatch.setattr("conceptmon_tb.functional.blocks.BLOCK_BYTES", 1)
    monkeypatch.setattr("conceptmon_tb.functional.cosine._DIRECTIONS_BYTES", 1)
    monkeypatch.setattr("conceptmon_tb.functional.cosine._MOST_NEURONS", 7)
    streamed = SIDES[name](concept_activations, cache_bytes=0).similarity(activations)
    torch.testing.assert_close(streamed, result, rtol=1e-5, atol=1e-6)


def test_gradients_do_not_depend_on_blocks(monkeypatch):
    activations, concept_activations = draw(50, 8, 300)
    whole, blocks = activations.clone().requires_grad_(), activations.clone().requires_grad_()
    CosineConcepts(concept_activations, cubed=True).similarity(whole).square().sum().backward()
    monkeypatch.setattr("conceptmon_tb.functional.cosine._DIRECTIONS_BYTES", 1)
    cos_similarity_cubed(blocks, concept_activations).square().sum().backward()
    torch.testing.assert_close(blocks.grad, whole.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_threads_do_not_change_a_bit_and_stay_as_many_as_they_were(name):
    activations, concept_activations = draw(100, 80, 200)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = SIMILARITIES[name](activations, concept_activations)
        torch.set_num_threads(3)
        together = SIMILARITIES[name](activations, concept_activations)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    if name.startswith("cos"):  # the library of matrix products may add in another order
        torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-6)
    else:
        assert torch.equal(together, alone)


@pytest.mark.parametrize("name", NAMES)
def test_the_users_default_dtype_does_not_matter(name):
    activations, concept_activations = draw(70, 9, 12)
    result = SIMILARITIES[name](activations, concept_activations)
    torch.set_default_dtype(torch.float64)
    try:
        double = SIMILARITIES[name](activations, concept_activations)
    finally:
        torch.set_default_dtype(torch.float32)
    assert double.dtype == torch.float32
    torch.testing.assert_close(double, result, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_the_layout_of_activations_does_not_matter(name):
    activations, concept_activations = draw(70, 9, 12)
    by_neuron = activations.T.contiguous().T
    strided = torch.stack([activations, activations], dim=2)[:, :, 0]
    result = SIMILARITIES[name](activations, concept_activations)
    assert torch.equal(SIMILARITIES[name](by_neuron, concept_activations.T.contiguous().T), result)
    assert torch.equal(SIMILARITIES[name](strided, concept_activations), result)


@pytest.mark.parametrize("name", NAMES)
@given(scale=st.floats(1e-4, 1e4), seed=st.integers(0, 1000))
@settings(max_examples=10, deadline=None)
def test_scaling_one_neuron_changes_no_label(name, scale, seed):
    activations, concept_activations = draw(60, 5, 8, seed)
    scaled = activations.clone()
    scaled[:, 2] *= scale
    labels = SIMILARITIES[name](activations, concept_activations).argmax(dim=1)
    assert torch.equal(SIMILARITIES[name](scaled, concept_activations).argmax(dim=1), labels)


def standing_alone():
    return [
        lambda q, p: soft_wpmi(q, p, prior="background"),
        lambda q, p: soft_wpmi(q, p, prior="zscore"),
        cos_similarity,
        cos_similarity_cubed,
        rank_reorder,
    ]


@pytest.mark.parametrize("function", standing_alone())
@given(copies=st.lists(st.integers(0, 5), max_size=4), seed=st.integers(0, 1000))
@settings(max_examples=10, deadline=None)
def test_copies_of_neurons_change_nothing(function, copies, seed):
    activations, concept_activations = draw(60, 6, 7, seed)
    result = function(activations, concept_activations)
    more = function(torch.cat([activations, activations[:, copies]], dim=1), concept_activations)
    torch.testing.assert_close(more, torch.cat([result, result[copies]]), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("function", [cos_similarity, cos_similarity_cubed, rank_reorder])
@given(copies=st.lists(st.integers(0, 6), max_size=4), seed=st.integers(0, 1000))
@settings(max_examples=10, deadline=None)
def test_copies_of_concepts_change_nothing(function, copies, seed):
    activations, concept_activations = draw(60, 6, 7, seed)
    result = function(activations, concept_activations)
    more = function(activations, torch.cat([concept_activations, concept_activations[:, copies]], dim=1))
    torch.testing.assert_close(more, torch.cat([result, result[:, copies]], dim=1), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
@given(place=st.integers(0, 6), worth=st.sampled_from([0.0, 3.0, float("nan"), float("inf")]))
@settings(max_examples=10, deadline=None)
def test_a_neuron_that_says_nothing_never_changes_other_labels(name, place, worth):
    activations, concept_activations = draw(60, 6, 7)
    worthless = torch.full((60, 1), worth)
    with_it = torch.cat([activations[:, :place], worthless, activations[:, place:]], dim=1)
    result = SIMILARITIES[name](with_it, concept_activations)
    expected = SIMILARITIES[name](activations, concept_activations)
    torch.testing.assert_close(torch.cat([result[:place], result[place + 1 :]]), expected)


def test_concept_activations_changed_in_place_are_noticed():
    activations, concept_activations = draw(60, 4, 5)
    side = SIDES["soft_wpmi"](concept_activations, cache_bytes=0)
    side.similarity(activations)
    concept_activations.add_(1.0)
    with pytest.raises(RuntimeError, match="concept_activations was changed in place"):
        side.similarity(activations)


@pytest.mark.parametrize("power", [1, 2, 5, 2.5])
def test_rank_reorder_raises_changes_to_any_power(power):
    activations, concept_activations = draw(100, 4, 6)
    expected = reference_rank_reorder(
        activations.double().numpy(), concept_activations.double().numpy(), power, fraction=0.2
    )
    result = rank_reorder(activations, concept_activations, p=power, top_fraction=0.2)
    np.testing.assert_allclose(result.numpy(), expected, rtol=1e-4, atol=1e-4)


def exact_log_likelihood(concept_activations, sets, a, min_prob=1e-7):
    scaled = a * concept_activations.double()
    return (scaled.softmax(dim=1) + min_prob).log()[sets].sum(dim=1)


def wpmi_side(concept_activations, top_k, a, **options):
    return PmiConcepts(concept_activations, top_k=top_k, a=a, lam=0.6, prior="layer", **options)


@pytest.mark.parametrize("top_k", [1, 3, 28])
@pytest.mark.parametrize("a", [0.5, 2, 30])
def test_sums_of_logarithms_are_exact_to_a_small_part_of_the_spread(top_k, a):
    generator = torch.Generator().manual_seed(1)
    concept_activations = 0.2 + 0.03 * torch.randn(2500, 150, generator=generator)
    sets = torch.randint(0, 2500, (300, top_k), generator=generator)
    side = wpmi_side(concept_activations, top_k, a)
    result = side._likelihood(sets).double()
    expected = exact_log_likelihood(concept_activations, sets, a) - side._likelihood.constant
    assert (result - expected).abs().max() < 2e-4 * expected.std(dim=0).median()


def test_likelihoods_are_the_same_whether_their_tables_are_kept_or_made_anew():
    generator = torch.Generator().manual_seed(1)
    concept_activations = 0.2 + 0.03 * torch.randn(400, 70, generator=generator)
    sets = torch.randint(0, 400, (50, 28), generator=generator)
    kept, streamed = (
        wpmi_side(concept_activations, 28, 2),
        wpmi_side(concept_activations, 28, 2, cache_bytes=0),
    )
    assert torch.equal(streamed.log_likelihood(sets), kept.log_likelihood(sets))


@pytest.mark.parametrize("name", ["wpmi", "soft_wpmi"])
@pytest.mark.parametrize("concepts", [3, 200])
def test_likelihoods_do_not_depend_on_the_number_of_threads(name, concepts):
    activations, concept_activations = draw(300, 90, concepts)
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            side = SIDES[name](concept_activations)
            results.append(side.log_likelihood(side._image_sets(activations)[0]))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(results[1], results[0])
    assert torch.equal(results[2], results[0])
