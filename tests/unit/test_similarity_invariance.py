"""What must not change a similarity: blocks, tables, threads, layout, copies, neurons that say nothing."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conceptmon_tb.functional.acceleration import TORCH_ONLY
from conceptmon_tb.functional.cosine import CosineConcepts
from conceptmon_tb.functional.similarity import (
    SIMILARITIES,
    cos_similarity,
    cos_similarity_cubed,
    rank_reorder,
    soft_wpmi,
)
from tests.unit.published_similarities import NAMES, SHAPES, SIDES, draw


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
