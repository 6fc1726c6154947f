"""Neuron embeddings in about one byte per dimension, true to a cosine of at least 0.9999.

Plain 8-bit rows fail on real CLIP embeddings: a few dimensions are huge and common to all texts,
and set the scale for all others. What tells neurons apart is the difference to a common base, so
only that is quantised. Three codecs are tried, cheapest first, and the decoded rows are compared
with the originals before one is accepted:

1. "space": 8-bit residual against the mean text embedding of the concept space, which the reader
   has anyway; one float32 scale per neuron.
2. "mean": the same against the layer's own mean, sent along as float16.
3. "half": float16 rows, scaled to at most 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from conceptmon_tb.snapshot import FloatArray

MIN_COSINE = 0.9999
_LEVELS = 127


def stored_text_embedding(text_embedding: npt.NDArray[Any]) -> FloatArray:
    """Round text embeddings as the wire does: float16, then unit length again.

    Args:
        text_embedding: `(concepts, dim)` float, unit rows.

    Returns:
        `(concepts, dim)` float32, unit rows; rows of zeros stay zeros.
    """
    rounded = np.asarray(text_embedding).astype(np.float16).astype(np.float32)
    with np.errstate(invalid="ignore"):  # a log may hold infinite embeddings
        length = np.linalg.norm(rounded, axis=1, keepdims=True)
        unit: FloatArray = np.divide(rounded, length, out=np.zeros_like(rounded), where=length > 0)
    return unit


def base_embedding(stored_text: FloatArray) -> FloatArray:
    """Return the base of codec "space": the mean of the text embeddings as a reader sees them.

    Args:
        stored_text: `(concepts, dim)` float32 from `stored_text_embedding` or from a reader.

    Returns:
        `(dim,)` float32.
    """
    mean = stored_text.mean(axis=0, dtype=np.float64) if len(stored_text) else np.zeros(stored_text.shape[1])
    return np.asarray(mean, dtype=np.float32)


def encode_embedding(embedding: FloatArray, base: FloatArray) -> tuple[str, dict[str, npt.NDArray[Any]]]:
    """Quantise the embeddings of one layer.

    Args:
        embedding: `(neurons, dim)` float32; rows of zeros or with a non-finite value mean "none".
        base: `(dim,)` float32 from `base_embedding`.

    Returns:
        The codec's name and its arrays: `scale (neurons,)` float32, NaN for neurons without an
        embedding, and `residual (neurons, dim)` int8 (codec "mean": also `base (dim,)` float16), or
        `rows (neurons, dim)` float16.
    """
    embedding = np.asarray(embedding, dtype=np.float32)
    present = np.isfinite(embedding).all(axis=1) & (embedding != 0).any(axis=1)
    rows = np.where(present[:, None], embedding, 0).astype(np.float32)

    arrays = _encode_residual(rows, base, present)
    if _worst_cosine(rows[present], decode_embedding("space", arrays, base)[present]) >= MIN_COSINE:
        return "space", arrays

    with np.errstate(over="ignore"):
        own = rows[present].mean(axis=0, dtype=np.float64).astype(np.float16) if present.any() else None
    if own is not None and np.isfinite(own).all():
        arrays = {**_encode_residual(rows, own.astype(np.float32), present), "base": own}
        if _worst_cosine(rows[present], decode_embedding("mean", arrays, base)[present]) >= MIN_COSINE:
            return "mean", arrays

    scale = np.abs(rows).max(axis=1, initial=0)
    half = np.divide(rows, scale[:, None], out=np.zeros_like(rows), where=scale[:, None] > 0)
    return "half", {
        "scale": np.where(present, scale, np.nan).astype(np.float32),
        "rows": half.astype(np.float16),
    }


def decode_embedding(codec: str, arrays: Mapping[str, npt.NDArray[Any]], base: FloatArray) -> FloatArray:
    """Undo `encode_embedding`.

    Args:
        codec: The name that `encode_embedding` returned.
        arrays: Its arrays.
        base: `(dim,)` float32 from `base_embedding`; used by codec "space" only.

    Returns:
        `(neurons, dim)` float32; zeros for neurons without an embedding.

    Raises:
        ValueError: The codec is unknown, or base and residuals have other dimensions.
    """
    scale = arrays["scale"].astype(np.float32)
    if codec == "half":
        rows = arrays["rows"].astype(np.float32) * scale[:, None]
    elif codec in ("space", "mean"):
        start = base if codec == "space" else arrays["base"].astype(np.float32)
        if start.shape != arrays["residual"].shape[1:]:  # they would be made to fit, at any size
            raise ValueError(f"base of {start.shape} for residuals of {arrays['residual'].shape}")
        rows = start + arrays["residual"].astype(np.float32) * scale[:, None]
    else:
        raise ValueError(f"unknown embedding codec {codec!r}; this version knows 'space', 'mean' and 'half'")
    rows[np.isnan(scale)] = 0
    return np.asarray(rows, dtype=np.float32)


def _encode_residual(
    rows: FloatArray, base: FloatArray, present: npt.NDArray[np.bool_]
) -> dict[str, npt.NDArray[Any]]:
    with np.errstate(over="ignore", invalid="ignore"):
        residual = rows - base
        scale = (np.abs(residual).max(axis=1, initial=0) / _LEVELS).astype(np.float32)
        levels = np.divide(residual, scale[:, None], out=np.zeros_like(residual), where=scale[:, None] > 0)
        levels = np.clip(np.nan_to_num(np.rint(levels)), -_LEVELS, _LEVELS)
    return {"scale": np.where(present, scale, np.nan).astype(np.float32), "residual": levels.astype(np.int8)}


def _worst_cosine(left: FloatArray, right: FloatArray) -> float:
    if not len(left):
        return 1.0
    # Scaled to at most 1 first: squares of float32's largest and smallest values must not vanish.
    with np.errstate(all="ignore"):
        a = left / np.abs(left).max(axis=1, keepdims=True).astype(np.float64)
        b = right / np.abs(right).max(axis=1, keepdims=True).astype(np.float64)
        cosine = (a * b).sum(axis=1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))
    return float(np.nan_to_num(cosine, nan=-1.0).min())
