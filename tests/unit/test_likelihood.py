"""Likelihoods of image sets, which both kinds of pointwise mutual information add up."""

import pytest
import torch

from conceptmon_tb.functional.pmi import PmiConcepts
from tests.unit.published_similarities import SIDES, draw


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
