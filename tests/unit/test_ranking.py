"""Orders of images: NumPy loops as the reference, and the tie rule."""

from unittest.mock import patch

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from conceptmon_tb.functional.health import valid_neurons
from conceptmon_tb.functional.ranking import _sample, image_ranks, random_orders, top_images, top_of_valid

few_values = st.sampled_from([-np.inf, -1.5, -0.0, 0.0, 1e-40, 0.5, 1.5, np.inf])
matrices = st.tuples(st.integers(1, 12), st.integers(1, 4)).flatmap(
    lambda shape: arrays(np.float32, shape, elements=few_values)
)


@settings(deadline=None)
@given(matrices, st.integers(1, 15))
def test_top_images_are_those_of_a_sort_by_activation_then_image(values, k):
    expected = [
        sorted(range(len(column)), key=lambda image: (-column[image], image))[:k] for column in values.T
    ]
    assert top_images(torch.from_numpy(values), k).tolist() == expected


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 10_000),
    k=st.integers(1, 9),
    columns=st.integers(2, 40),
    distinct=st.sampled_from([2, 5, 1000]),
    sampled=st.sampled_from([1, 50, 1000]),
)
def test_top_images_of_many_images_are_those_of_a_sort(seed, k, columns, distinct, sampled):
    rng = np.random.default_rng(seed)
    values = rng.integers(-distinct, distinct, (400, columns)).astype(np.float32)
    values[:, 0] = np.sort(values[:, 0])  # every image is a new candidate
    values[:, 1] = 0
    values[::2, 2 % columns] = -np.inf
    values[rng.integers(0, 400, 30), rng.integers(0, columns, 30)] = np.nan
    values[rng.integers(0, 400, 5), rng.integers(0, columns, 5)] = rng.choice([np.inf, -np.inf], 5)
    low = np.where(np.isnan(values), -np.inf, values)
    expected = [np.lexsort((np.isnan(column), -low[:, n]))[:k] for n, column in enumerate(values.T)]
    with patch("conceptmon_tb.functional.ranking._IMAGES_IN_SAMPLE", (sampled, sampled)):
        found = top_images(torch.from_numpy(values), k)
    assert found.tolist() == np.stack(expected).tolist()
    assert torch.equal(top_images(torch.from_numpy(values).T.contiguous().T, k), found)


def test_top_images_of_a_column_of_nan_are_the_first(monkeypatch):
    monkeypatch.setattr("conceptmon_tb.functional.ranking._IMAGES_IN_SAMPLE", (1, 1))
    values = torch.full((400, 3), float("nan"))
    values[7, 1] = float("-inf")
    assert top_images(values, 3).tolist() == [[0, 1, 2], [7, 0, 1], [0, 1, 2]]


@pytest.mark.parametrize("transposed", [False, True])
def test_valid_neurons_and_their_top_are_found_together(transposed, monkeypatch):
    monkeypatch.setattr("conceptmon_tb.functional.ranking._IMAGES_IN_SAMPLE", (1, 1))
    values = torch.randn(400, 8, generator=torch.Generator().manual_seed(0))
    values[:, 1], values[:, 3] = 0, 5.0
    values[9, 4], values[9, 6] = float("nan"), float("-inf")
    layout = values.T.contiguous().T if transposed else values
    found, places, valid = top_of_valid(layout, 5)
    assert valid.tolist() == [True, False, True, False, False, True, False, True]
    assert torch.equal(places, top_images(values[:, valid], 5))
    assert torch.equal(found, values[:, valid].T.gather(1, places))


def reference_top(values, k):
    keys = [
        np.lexsort((np.isnan(column), -np.where(np.isnan(column), -np.inf, column))) for column in values.T
    ]
    return np.stack(keys)[:, :k].tolist()


@pytest.mark.parametrize("k", [1, 20])
@pytest.mark.parametrize("threads", [1, 3])
def test_top_images_are_found_where_a_sample_says_nothing(k, threads):
    generator = np.random.default_rng(0)
    images = np.arange(4000)
    sampled = _sample(4000, k)[0]
    low_in_sample, high_in_sample = np.full(4000, 5.0), np.zeros(4000)
    low_in_sample[sampled], high_in_sample[sampled] = 1.0, 3.0
    columns = [
        low_in_sample
        + generator.normal(0, 0.1, 4000),  # far more exceed the threshold than there is room for
        high_in_sample,  # none exceeds it, many equal it
        np.where(images < 3, 1.0, -0.0),  # a few exceed it, and both zeros equal it
        np.where(images % 2, -1.0, 0.0) * np.float32(1e-45),
        np.where(images % 3 == 0, np.nan, images),
        np.where(images == 1234, np.inf, -images),
        np.where(images < 30, np.inf, 0.0),
        np.where(images == 7, 1.0, -np.inf),
        np.where(images == 7, 1.0, np.nan),
        np.full(4000, np.nan),
        np.full(4000, -np.inf),
        np.full(4000, 2.5),
        images,
        -images,
        images % 10,
    ]
    values = np.stack([*columns, *generator.normal(size=(180, 4000))], axis=1).astype(np.float32)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        matrix = torch.from_numpy(values)
        found, (_, places, valid) = top_images(matrix, k), top_of_valid(matrix, k)
    finally:
        torch.set_num_threads(before)
    assert found.tolist() == reference_top(values, k)
    expected = valid_neurons(matrix).valid
    assert valid.tolist() == expected.tolist()
    assert valid.tolist()[:15] == [True] * 4 + [False] * 8 + [True] * 3
    assert torch.equal(places, found[expected])


def test_a_single_image_decides_whether_a_neuron_is_valid():
    values = torch.full((4000, 80), 2.0)
    values[:, 40:] = torch.randn(4000, 40, generator=torch.Generator().manual_seed(0))
    outside = [image for image in range(4000) if image not in set(_sample(4000, 3)[0].tolist())][50:55]
    values[outside[0], 0], values[outside[1], 1] = 1.0, 3.0
    values[outside[2], 50], values[outside[3], 51], values[outside[4], 52] = (
        float("-inf"),
        float("nan"),
        float("inf"),
    )
    valid = top_of_valid(values, 3)[2]
    assert valid.nonzero().squeeze(1).tolist() == [0, 1, *range(40, 50), *range(53, 80)]


@settings(deadline=None)
@given(matrices)
def test_image_ranks_are_those_of_a_stable_ascending_sort(values):
    expected = [np.argsort(np.argsort(column + 0.0, kind="stable")).tolist() for column in values.T]
    assert image_ranks(torch.from_numpy(values)).tolist() == expected


def test_nan_is_never_among_the_top():
    values = torch.tensor([[float("nan")], [-5.0], [float("-inf")]])
    assert top_images(values, 3).tolist() == [[1, 2, 0]]


def test_input_is_not_changed():
    values = torch.tensor([[3.0], [1.0], [2.0]])
    top_images(values, 2)
    image_ranks(values)
    assert values.tolist() == [[3.0], [1.0], [2.0]]


def test_k_below_one_is_refused():
    with pytest.raises(ValueError, match="k must be at least 1, got 0"):
        top_images(torch.zeros(2, 2), 0)


def test_random_orders_are_permutations_and_repeat_with_the_seed():
    first = random_orders(50, 30, torch.Generator().manual_seed(3))
    again = random_orders(50, 30, torch.Generator().manual_seed(3))
    assert torch.equal(first, again)
    assert torch.equal(first.sort(dim=1).values, torch.arange(30).expand(50, 30))
    assert len({tuple(row) for row in first.tolist()}) == 50


def test_random_orders_put_every_image_first_equally_often():
    counts = torch.bincount(random_orders(20_000, 5, torch.Generator().manual_seed(0))[:, 0], minlength=5)
    assert (counts - 4000).abs().max() < 300
