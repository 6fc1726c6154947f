"""Stimuli and co-activated pairs, against plain loops."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conceptmon_tb.activations import collect_activations
from conceptmon_tb.evolution.co_activation import CoActivation
from conceptmon_tb.evolution.stimuli import (
    StimuliTally,
    collect_stimuli,
    find_stimuli,
    find_top_neurons,
    join_layers,
)
from conceptmon_tb.patches import View, draw_patches, find_peaks
from conceptmon_tb.probe import ProbeSet
from tests.models import make_net

VIEW = View(0.0, 0.1, 1.0, 0.9)


def restated(activations: np.ndarray, k: int) -> list[list[int]]:
    """Algorithm 2, image by image; an image at a neuron's lowest activation is no stimulus."""
    found = []
    for column in activations.T:
        order = sorted(range(len(column)), key=lambda image: (-column[image], image))[:k]
        kept = [image for image in order if column[image] > column.min()]
        found.append(kept + [-1] * (min(k, len(column)) - len(kept)))
    return found


def sparse(images: int, neurons: int, seed: int) -> torch.Tensor:
    """Rounded and rectified, so that there are ties, zeros, and neurons with few images."""
    drawn = torch.randn(images, neurons, generator=torch.Generator().manual_seed(seed))
    return (2 * (drawn - torch.linspace(-1, 2, neurons))).round().relu() / 2


@settings(max_examples=20, deadline=None, derandomize=True)
@given(
    images=st.integers(2, 60), neurons=st.integers(1, 9), k=st.integers(1, 12), cuts=st.integers(1, 4),
    seed=st.integers(0, 99),
)  # fmt: skip
def test_stimuli_are_the_top_images_however_they_stream_by(
    images: int, neurons: int, k: int, cuts: int, seed: int
) -> None:
    activations = sparse(images, neurons, seed)
    tally = StimuliTally(k)
    for part in activations.tensor_split(min(cuts, images)):
        tally.update(part)
    assert tally.stimuli().images.tolist() == restated(activations.numpy(), k)


@settings(max_examples=10, deadline=None, derandomize=True)
@given(order=st.permutations(range(7)), seed=st.integers(0, 99))
def test_the_order_of_neurons_does_not_matter(order: list[int], seed: int) -> None:
    activations = sparse(40, 7, seed)
    assert (find_stimuli(activations[:, order]).images == find_stimuli(activations).images[order]).all()


def test_neurons_that_say_nothing_have_no_stimuli() -> None:
    activations = sparse(30, 5, 0) + torch.arange(30)[:, None] / 100
    activations[:, 1], activations[:, 2] = 0.0, 3.0
    activations[4, 3] = torch.nan
    found = find_stimuli(activations, k=4)
    assert found.valid.tolist() == [True, False, False, False, True]
    assert (found.images[~found.valid] == -1).all()
    assert (found.images[found.valid] >= 0).all()
    assert (found.activation[~found.valid] == 0).all()


@pytest.mark.parametrize("level", [0, 10_000])
def test_means_and_spreads_are_those_over_all_images(level: float) -> None:
    activations = sparse(50, 4, 3) + level
    tally = StimuliTally(3)
    for part in activations.split(7):
        tally.update(part)
    found = tally.stimuli()
    np.testing.assert_allclose(found.mean, activations.double().numpy().mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(found.spread, activations.double().numpy().std(axis=0), rtol=1e-6)


def test_patches_are_those_of_the_top_images() -> None:
    maps = torch.rand(20, 3, 24, generator=torch.Generator().manual_seed(0))
    peaks, tally = find_peaks(maps, (4, 6)), StimuliTally(5)
    for start in (0, 8, 16):
        part = slice(start, start + 8)
        tally.update(maps[part].amax(dim=2), find_peaks(maps[part], (4, 6)))
    found = tally.stimuli()
    assert (found.patches(VIEW) == draw_patches(peaks, found.images, VIEW)).all()
    assert (find_stimuli(maps.amax(dim=2), k=5).patches(VIEW) == 0).all()


def test_all_layers_come_from_one_stream_and_the_model_is_as_before() -> None:
    net, probe = make_net(), ProbeSet.world(50, size=16, batch_size=8)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    whole = collect_activations(net, ["a", "b"], probe.batches(), len(probe), pooling="max")
    found = collect_stimuli(net, ["a", "b"], probe, 4, images_at_once=16)
    for layer, (values, peaks) in whole.items():
        expected = find_stimuli(values, peaks, 4)
        assert (found[layer].images == expected.images).all()
        assert (found[layer].cells == expected.cells).all()
        assert found[layer].grid == (16, 16)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert net.training


def test_top_neurons_are_measured_in_their_own_spread() -> None:
    activations = sparse(40, 6, 5) + torch.rand(40, 6, generator=torch.Generator().manual_seed(1))
    activations[:, 2] *= 1000
    stimuli = find_stimuli(activations)
    placed = np.array([True, True, True, False, True, True])
    found = find_top_neurons(activations, stimuli, placed, 2)
    wide = activations.double().numpy()
    excitement = (wide - wide.mean(axis=0)) / wide.std(axis=0)
    for image, row in enumerate(found.tolist()):
        allowed = [neuron for neuron in range(6) if placed[neuron]]
        assert row == sorted(allowed, key=lambda neuron: -excitement[image, neuron])[:2]


def test_layers_are_joined_neuron_after_neuron() -> None:
    parts = [find_stimuli(sparse(30, width, width), k=3) for width in (2, 4)]
    together = join_layers(parts)
    assert (together.images == np.concatenate([part.images for part in parts])).all()
    assert together.valid.shape == (6,)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_window_walks_once_over_each_image_in_random_order(seed: int) -> None:
    random = np.random.default_rng(seed)
    stimuli = np.stack([random.choice(12, 4, replace=False) for _ in range(30)])
    stimuli[random.random(stimuli.shape) < 0.2] = -1
    pairs = CoActivation(stimuli).sample_pairs(np.random.default_rng(seed)).tolist()
    for image in range(12):
        members = [n for n in range(30) if image in stimuli[n]]
        walk, pairs = pairs[: max(0, len(members) - 1)], pairs[max(0, len(members) - 1) :]
        assert all(left[1] == right[0] for left, right in pairwise(walk))
        if walk:
            assert sorted([walk[0][0], *(right for _, right in walk)]) == members
    assert not pairs


def test_all_orders_of_an_image_are_equally_likely() -> None:
    together, random = CoActivation(np.zeros((4, 1), int)), np.random.default_rng(0)
    orders = Counter(
        (pairs[0, 0], *pairs[:, 1]) for pairs in (together.sample_pairs(random) for _ in range(4800))
    )
    assert len(orders) == 24
    assert max(orders.values()) < 2 * min(orders.values())


def test_who_has_a_partner_and_who_is_connected() -> None:
    together = CoActivation(np.array([[0, 1], [1, -1], [2, 3], [3, -1], [9, -1], [-1, -1]]))
    assert together.has_partner.tolist() == [True, True, True, True, False, False]
    known = np.array([False, True, False, False, True, False])
    assert together.reached_from(known).tolist() == [True, True, False, False, True, False]
    assert together.num_windows == 2


def test_what_is_no_matrix_of_ids_is_refused() -> None:
    with pytest.raises(ValueError, match="groups must be a matrix of integer ids"):
        CoActivation(np.zeros((3, 2)))
    with pytest.raises(ValueError, match="k must be at least 1"):
        StimuliTally(0)
    tally = StimuliTally(2)
    with pytest.raises(ValueError, match="no image was seen"):
        tally.stimuli()
    tally.update(torch.zeros(2, 3))
    with pytest.raises(ValueError, match="4 neurons and had 3"):
        tally.update(torch.zeros(2, 4))
