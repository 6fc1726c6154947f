"""Neuron embeddings in one byte per dimension, true to a cosine of 0.9999."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from conceptmon_tb.embedding_codec import (
    MIN_COSINE,
    base_embedding,
    decode_embedding,
    encode_embedding,
    stored_text_embedding,
)
from conceptmon_tb.metadata import pack_payload


def worst_cosine(left: np.ndarray, right: np.ndarray) -> float:
    """The smallest cosine of two rows, by the formula and in Python's own floats."""
    worst = 1.0
    for a, b in zip(left.astype(float), right.astype(float), strict=True):
        a, b = a / np.abs(a).max(), b / np.abs(b).max()
        worst = min(
            worst,
            sum(x * y for x, y in zip(a, b, strict=True))
            / (sum(x * x for x in a) * sum(y * y for y in b)) ** 0.5,
        )
    return worst


def clip_like(neurons: int, dim: int, seed: int, outlier: float) -> tuple[np.ndarray, np.ndarray]:
    """Softmax mixtures of unit texts that share some huge dimensions, as real CLIP embeddings do."""
    rng = np.random.default_rng(seed)
    text = rng.normal(size=(200, dim))
    text[:, rng.integers(0, dim, 2)] += outlier
    text = (text / np.linalg.norm(text, axis=1, keepdims=True)).astype(np.float32)
    weight = np.exp(rng.uniform(0, 12, (neurons, 1)) * rng.normal(size=(neurons, 200)))
    return (weight / weight.sum(axis=1, keepdims=True) @ text).astype(np.float32), text


@given(
    st.integers(1, 70),
    st.sampled_from([1, 16, 128, 512]),
    st.integers(0, 99),
    st.sampled_from([0.0, 5.0, 200.0]),
)
@settings(max_examples=40)
def test_embeddings_with_outliers_common_to_all_keep_their_direction(neurons, dim, seed, outlier) -> None:
    embedding, text = clip_like(neurons, dim, seed, outlier)
    base = base_embedding(stored_text_embedding(text))
    codec, arrays = encode_embedding(embedding, base)
    assert worst_cosine(embedding, decode_embedding(codec, arrays, base)) >= MIN_COSINE


@given(
    hnp.arrays(
        np.float32,
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=9),
        elements=st.floats(-(2.0**80), 2.0**80, width=32, allow_subnormal=False),
    )
)
@settings(max_examples=150)
def test_any_embeddings_keep_their_direction(embedding) -> None:
    base = np.zeros(embedding.shape[1], np.float32)
    codec, arrays = encode_embedding(embedding, base)
    decoded = decode_embedding(codec, arrays, base)
    present = (embedding != 0).any(axis=1)
    assert not decoded[~present].any()
    assert worst_cosine(embedding[present], decoded[present]) >= MIN_COSINE


@pytest.mark.parametrize("outlier", [0.0, 5.0, 200.0])
@pytest.mark.parametrize(("neurons", "dim"), [(64, 128), (64, 512), (512, 512), (256, 768)])
def test_one_and_a_tenth_bytes_per_dimension_are_enough(neurons, dim, outlier) -> None:
    embedding, text = clip_like(neurons, dim, 1, outlier)
    codec, arrays = encode_embedding(embedding, base_embedding(stored_text_embedding(text)))
    payload = pack_payload("embedding", 0, {"space": "0" * 16, "codec": codec}, arrays)
    assert len(payload) <= 1.1 * neurons * dim


def test_an_outlier_that_the_texts_do_not_share_falls_back_to_the_layers_own_mean() -> None:
    rng = np.random.default_rng(0)
    embedding = rng.normal(size=(64, 512)).astype(np.float32)
    embedding[:, 7] += 400
    codec, arrays = encode_embedding(embedding, np.zeros(512, np.float32))
    assert codec == "mean"
    assert sum(array.nbytes for array in arrays.values()) <= 1.1 * embedding.size


def test_outliers_of_single_neurons_fall_back_to_half_precision() -> None:
    rng = np.random.default_rng(0)
    embedding = rng.normal(size=(64, 512)).astype(np.float32)
    embedding[np.arange(64), rng.integers(0, 512, 64)] += 60
    codec, arrays = encode_embedding(embedding, np.zeros(512, np.float32))
    assert codec == "half"
    assert worst_cosine(embedding, decode_embedding(codec, arrays, np.zeros(512, np.float32))) >= MIN_COSINE


def test_neurons_without_an_embedding_come_back_as_zeros() -> None:
    embedding = np.ones((4, 8), np.float32)
    embedding[1] = 0
    embedding[2, 3] = np.nan
    base = np.full(8, 0.3, np.float32)
    codec, arrays = encode_embedding(embedding, base)
    decoded = decode_embedding(codec, arrays, base)
    assert not decoded[1].any()
    assert not decoded[2].any()
    np.testing.assert_allclose(decoded[[0, 3]], 1, atol=0.01)


def test_a_layer_without_any_embedding_is_fine() -> None:
    codec, arrays = encode_embedding(np.zeros((3, 8), np.float32), np.ones(8, np.float32))
    assert not decode_embedding(codec, arrays, np.ones(8, np.float32)).any()


def test_an_unknown_codec_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="'zip'"):
        decode_embedding("zip", {"scale": np.zeros(1)}, np.zeros(1, np.float32))


def test_stored_texts_are_unit_and_close_to_the_originals() -> None:
    _, text = clip_like(1, 512, 0, 5.0)
    stored = stored_text_embedding(text)
    np.testing.assert_allclose(np.linalg.norm(stored, axis=1), 1, atol=1e-6)
    assert worst_cosine(text, stored) > 0.999999
