"""The calibrated threshold: meaningless neurons rarely pass it."""

import math

import pytest
import torch

from conceptmon_tb.functional.null import (
    calibrate_threshold,
    conformal_threshold,
    null_activations,
    null_similarity,
    quantile_rank,
)
from conceptmon_tb.functional.similarity import cos_similarity_cubed


def generator(seed):
    return torch.Generator().manual_seed(seed)


def test_null_neurons_are_permutations_of_valid_neurons_taken_in_turn():
    activations = torch.randn(40, 3, generator=generator(0))
    activations[:, 1] = 0
    null = null_activations(activations, num_null=5)
    assert null.shape == (40, 5)
    sources = [
        [torch.equal(column.sort().values, activations[:, n].sort().values) for n in (0, 2)]
        for column in null.T
    ]
    assert sorted(map(sum, zip(*sources, strict=True))) == [2, 3]
    assert not torch.equal(null[:, 0], null[:, 2])


def test_null_neurons_repeat_with_the_seed_and_leave_the_global_random_state_alone():
    activations = torch.randn(40, 3, generator=generator(0))
    before = torch.get_rng_state()
    assert torch.equal(null_activations(activations, seed=4), null_activations(activations, seed=4))
    assert not torch.equal(null_activations(activations, seed=4), null_activations(activations, seed=5))
    assert torch.equal(torch.get_rng_state(), before)


def test_null_similarity_is_the_best_over_concepts():
    activations = torch.randn(40, 3, generator=generator(0))
    concepts = torch.randn(40, 6, generator=generator(1))
    null = null_similarity(lambda a: cos_similarity_cubed(a, concepts), activations, num_null=10)
    expected = cos_similarity_cubed(null_activations(activations, num_null=10), concepts).amax(dim=1)
    assert torch.equal(null, expected)


def test_the_threshold_is_the_conformal_quantile():
    null = torch.randperm(256, generator=generator(0)).float()
    assert conformal_threshold(null, level=0.01) == sorted(null.tolist())[math.ceil(257 * 0.99) - 1]
    assert quantile_rank(99, 0.01) == 99
    assert quantile_rank(1, 0.99) == 1


@pytest.mark.parametrize(("num_null", "level", "needed"), [(98, 0.01, 99), (100, 0.001, 999), (18, 0.05, 19)])
def test_too_few_null_neurons_for_the_level_is_an_error_that_says_how_many(num_null, level, needed):
    with pytest.raises(ValueError, match=f"draw at least {needed}"):
        quantile_rank(num_null, level)


@pytest.mark.parametrize("level", [0.0, 1.0, -0.1, float("nan")])
def test_a_level_outside_the_unit_interval_is_refused(level):
    with pytest.raises(ValueError, match="level must be between 0 and 1"):
        calibrate_threshold(lambda a: a, torch.zeros(2, 2), level=level)


def test_without_valid_neurons_nothing_exceeds_the_threshold():
    assert math.isnan(calibrate_threshold(lambda a: a, torch.zeros(10, 4)))


def test_the_pass_rate_is_the_level_on_average():
    rate = []
    for seed in range(200):
        scores = torch.rand(456, generator=generator(seed))
        rate.append((scores[256:] > conformal_threshold(scores[:256], 0.05)).float().mean().item())
    assert sum(rate) / len(rate) == pytest.approx(12 / 257, abs=0.004)  # 257 - ceil(257 * 0.95) = 12
