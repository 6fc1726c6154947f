"""The distance of a batch against a reference that reads like Eq. 3.1, and what it must not depend on."""

from __future__ import annotations

import math
from random import Random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from conceptmon_tb import functional
from conceptmon_tb.regularizer import batch_anchor_distance
from tests.regularizing import random, unit


def reference(
    activations: np.ndarray, concepts: np.ndarray, text: np.ndarray, anchors: np.ndarray, temperature: float
) -> float:
    """Eq. 3.1 in loops; neurons that are the same for all images are left out."""

    def direction(values: np.ndarray) -> np.ndarray:
        cubed = (values - values.mean()) ** 3
        return cubed / math.sqrt((cubed**2).sum())

    places = []
    for neuron in activations.T:
        if neuron.max() == neuron.min():
            continue
        similarity = [direction(neuron) @ direction(concept) for concept in concepts.T]
        weights = [math.exp((s - max(similarity)) / temperature) for s in similarity]
        places.append(sum(w * v for w, v in zip(weights, text, strict=True)) / sum(weights))
    distances = [min(math.sqrt(((place - anchor) ** 2).sum()) for place in places) for anchor in anchors]
    return sum(distances) / len(distances)


@pytest.mark.parametrize("temperature", [0.01, 0.1, 1.0])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-4), (torch.float64, 1e-9)])
def test_the_value_is_that_of_the_formula(temperature: float, dtype: torch.dtype, tolerance: float) -> None:
    activations, concepts = random(20, 9, dtype=dtype), random(20, 7, seed=1, dtype=dtype)
    activations[:, 4] = 3.0
    text, anchors = unit(7, 6).to(dtype), unit(4, 6, seed=3).to(dtype)
    value = batch_anchor_distance(activations, concepts, text, anchors, temperature=temperature)
    assert value.dtype == dtype
    arrays = (part.double().numpy() for part in (activations, concepts, text, anchors))
    assert value.item() == pytest.approx(reference(*arrays, temperature), abs=tolerance)


def test_the_value_is_what_the_monitors_functions_give_in_a_row() -> None:
    activations, concepts, text = random(64, 30), random(64, 11, seed=1), unit(11, 8)
    similarity = functional.cos_cubed(activations.requires_grad_(), concepts)
    embedding = functional.embed_neurons(similarity, text, 0.01)
    expected = functional.anchor_distance(embedding, text)
    assert batch_anchor_distance(activations, concepts, text, temperature=0.01).item() == pytest.approx(
        expected.item(), abs=2e-5
    )


@pytest.mark.parametrize("temperature", [0.03, 0.3])
def test_gradients_are_those_of_finite_differences(temperature: float) -> None:
    activations = random(10, 6, dtype=torch.float64)
    activations[:, 2] = 0.0  # a dead neuron has no gradient, and disturbs no other
    concepts, text = random(10, 5, seed=1, dtype=torch.float64), unit(5, 4).double()

    def loss(living: Tensor) -> Tensor:
        whole = torch.cat([living[:, :2], activations[:, 2:3], living[:, 2:]], dim=1)
        return batch_anchor_distance(whole, concepts, text, temperature=temperature)

    living = activations[:, [0, 1, 3, 4, 5]].clone().requires_grad_()
    assert torch.autograd.gradcheck(loss, living, eps=1e-7, atol=1e-6, rtol=1e-4)


@given(st.integers(2, 24), st.integers(1, 12), st.integers(1, 9), st.randoms(use_true_random=False))
@settings(max_examples=20, deadline=None)
def test_the_order_of_images_and_of_neurons_means_nothing(
    images: int, neurons: int, concepts: int, dice: Random
) -> None:
    activations = random(images, neurons, dtype=torch.float64).requires_grad_()
    seen, text = random(images, concepts, seed=1, dtype=torch.float64), unit(concepts, 6).double()
    by_image = torch.tensor(dice.sample(range(images), images))
    by_neuron = torch.tensor(dice.sample(range(neurons), neurons))
    value = batch_anchor_distance(activations, seen, text, temperature=0.1)
    shuffled = batch_anchor_distance(
        activations[by_image][:, by_neuron], seen[by_image], text, temperature=0.1
    )
    assert shuffled.item() == pytest.approx(value.item(), abs=1e-9)
    (one,) = torch.autograd.grad(value, activations)
    (other,) = torch.autograd.grad(shuffled, activations)
    torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-7)
    assert 0 <= value.item() <= 2


@given(st.floats(1e-3, 1e3), st.floats(-5, 5))
@settings(max_examples=20, deadline=None)
def test_a_neurons_scale_and_offset_mean_nothing(scale: float, offset: float) -> None:
    activations, concepts = random(16, 5, dtype=torch.float64), random(16, 4, seed=1, dtype=torch.float64)
    expected = batch_anchor_distance(activations, concepts, unit(4, 3).double())
    value = batch_anchor_distance(activations * scale + offset, concepts, unit(4, 3).double())
    assert value.item() == pytest.approx(expected.item(), abs=1e-7)


@pytest.mark.parametrize("bad", [0.0, 5.0, math.nan, math.inf])
def test_neurons_that_say_nothing_are_left_out_without_harming_the_others(bad: float) -> None:
    activations, concepts, text = random(16, 5), random(16, 4, seed=1), unit(4, 3)
    spoilt = torch.cat([activations, torch.full((16, 1), bad)], dim=1).requires_grad_()
    value = batch_anchor_distance(spoilt, concepts, text)
    assert value.item() == pytest.approx(batch_anchor_distance(activations, concepts, text).item(), abs=1e-6)
    value.backward()
    assert bool(torch.isfinite(spoilt.grad).all())
    assert not spoilt.grad[:, 5].any()
    assert spoilt.grad[:, :5].any()


def test_a_dead_layer_has_a_finite_distance_and_no_gradient() -> None:
    activations, text = torch.zeros(8, 3, requires_grad=True), unit(4, 3)
    value = batch_anchor_distance(activations, random(8, 4), text)
    assert value.item() == pytest.approx((text.mean(0) - text).norm(dim=1).mean().item(), abs=1e-6)
    value.backward()
    assert not activations.grad.any()


def test_a_descent_on_it_brings_neurons_to_the_anchors() -> None:
    activations, concepts, text = random(64, 24).requires_grad_(), random(64, 10, seed=1), unit(10, 8)
    optimizer = torch.optim.Adam([activations], lr=0.05)
    values = []
    for _ in range(100):
        value = batch_anchor_distance(activations, concepts, text)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        values.append(value.item())
    assert values[-1] < 0.3 * values[0]
