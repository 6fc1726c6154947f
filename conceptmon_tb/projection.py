"""The 2-D concept map: one per concept space, shared by epochs, layers and runs.

UMAP lays the concepts' text embeddings out once. Every neuron is then placed by a fixed rule from its
embedding alone (a modified Shepard interpolation between its nearest concepts), so a neuron whose
embedding did not change does not move, and what else is on the map does not matter. The joint layout of
all epochs that the papers use moves old points when an epoch is added; it is here as `fit_joint`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
Method = Literal["umap", "pca"]

NEAREST = 15
"""Concepts between which a neuron is placed."""

_SPARE = 5  # candidates beyond the (k + 1)-th, so that rounding in the search cannot change the choice
_ROWS_AT_ONCE = 64
_NEAR = 1e-6  # keeps the weight of a concept finite where a neuron sits on it
_FEWEST_FOR_UMAP = 5


class ConceptMap:
    """Positions of the concepts on the map, and the rule that places neurons between them.

    Use `fit` or `from_positions`.

    Args:
        text_embedding: `(concepts, dim)` text embeddings f(w_i); normalised here.
        position: `(concepts, 2)` positions of the concepts.
        name: What to call layout and rule.
        axes: `(dim + 1, 2)` affine projection that places neurons, of the PCA map; None for the Shepard
            rule.

    Attributes:
        position: `(concepts, 2)` float32; in the square [-1, 1] x [-1, 1] when fitted here.
        name: Layout and rule, such as "umap+shepard15".

    Raises:
        ValueError: Shapes do not fit, or a text embedding is zero or not finite.
    """

    def __init__(
        self,
        text_embedding: npt.ArrayLike,
        position: npt.ArrayLike,
        *,
        name: str = f"umap+shepard{NEAREST}",
        axes: npt.NDArray[np.float64] | None = None,
    ) -> None:
        self._text = _unit_rows("text_embedding", text_embedding)
        self.position: FloatArray = np.array(position, dtype=np.float32)
        if self.position.shape != (len(self._text), 2) or not np.isfinite(self.position).all():
            raise ValueError(
                f"position must be finite and ({len(self._text)}, 2), one row per text embedding, "
                f"got shape {self.position.shape}"
            )
        self.name = name
        self._axes = axes

    @classmethod
    def fit(cls, text_embedding: npt.ArrayLike, seed: int = 0, method: Method = "umap") -> ConceptMap:
        """Lay the concepts out on the square [-1, 1] x [-1, 1].

        Args:
            text_embedding: `(concepts, dim)` text embeddings; their lengths do not matter.
            seed: Seed of UMAP; the same seed gives the same map.
            method: "umap" keeps neighbourhoods; "pca" is a linear view of the whole, in which distances
                are projections of real ones. Fewer than 5 concepts are laid out by PCA and named so.

        Returns:
            The map, named "umap+shepard15" or "pca".

        Raises:
            ValueError: There is no such method, or `text_embedding` is not a matrix of non-zero finite rows.
        """
        if method not in get_args(Method):
            raise ValueError(f"method must be 'umap' or 'pca', got {method!r}")
        text = _unit_rows("text_embedding", text_embedding)
        if method == "pca" or len(text) < _FEWEST_FOR_UMAP:
            axes = _fit_axes(text)
            return cls(text, _apply_axes(text, axes), name="pca", axes=axes)
        return cls(text, _fill_square(_umap_layout(text, seed)))

    @classmethod
    def from_positions(
        cls, text_embedding: npt.ArrayLike, position: npt.ArrayLike, name: str = f"umap+shepard{NEAREST}"
    ) -> ConceptMap:
        """A map whose layout is known already, such as one that is shipped or was read from a log.

        Args:
            text_embedding: `(concepts, dim)` text embeddings.
            position: `(concepts, 2)` positions, taken as they are.
            name: What to call layout and rule.

        Returns:
            The map; neurons are placed by the Shepard rule.

        Raises:
            ValueError: Shapes do not fit.
        """
        return cls(text_embedding, position, name=name)

    @classmethod
    def fit_joint(
        cls, text_embedding: npt.ArrayLike, embeddings: Sequence[npt.ArrayLike], seed: int = 0
    ) -> tuple[ConceptMap, list[FloatArray]]:
        """Lay concepts and neurons of all epochs out together, as the papers do.

        Such a layout fits this set of epochs only: with another epoch, old points move by a fifth of the
        map. Use it for a figure, not to follow training.

        Args:
            text_embedding: `(concepts, dim)` text embeddings.
            embeddings: One `(neurons, dim)` array for every epoch or layer.
            seed: Seed of UMAP.

        Returns:
            The map of the concepts, named "umap-joint+shepard15", and `(neurons, 2)` float32 positions for
            each of `embeddings`, NaN where an embedding is zero or not finite.

        Source: Concept-Monitor, thesis section 2.1.2 and Fig. 2.1.
        """
        text = _unit_rows("text_embedding", text_embedding)
        arrays = [np.asarray(embedding, dtype=np.float32) for embedding in embeddings]
        rows, usable = _normalise(np.concatenate(arrays)) if arrays else (text[:0], np.zeros(0, bool))
        everything = np.concatenate([text, rows[usable]])
        if len(everything) < _FEWEST_FOR_UMAP:
            raise ValueError(f"embeddings has too few rows for a layout ({len(everything)} with the texts)")
        layout = _fill_square(_umap_layout(everything, seed))
        neurons = np.full((len(rows), 2), np.nan, dtype=np.float32)
        neurons[usable] = layout[len(text) :]
        ends = np.cumsum([len(array) for array in arrays])[:-1]
        positions = np.split(neurons, ends) if arrays else []
        return cls(text, layout[: len(text)], name=f"umap-joint+shepard{NEAREST}"), positions

    def project(self, embedding: npt.ArrayLike) -> FloatArray:
        """Place neurons, or any embedded word, on the map.

        Weights are `((R - d)+ / (R (d + 1e-6)))^2` over the 15 nearest concepts, d the distance of the
        normalised embeddings and R that of the 16th nearest. Concepts land on their own positions. A
        row's place depends on nothing but the row, to the last bit.

        Args:
            embedding: `(n, dim)` embeddings; their lengths do not matter to the Shepard rule.

        Returns:
            `(n, 2)` float32 positions, inside the convex hull of the concepts' positions; NaN where the
            embedding is zero or not finite.

        Raises:
            ValueError: `embedding` is not `(n, dim)`.
        """
        embedding = np.asarray(embedding, dtype=np.float32)
        if embedding.ndim != 2 or embedding.shape[1] != self._text.shape[1]:
            raise ValueError(f"embedding must be (n, {self._text.shape[1]}), got {embedding.shape}")
        rows, usable = _normalise(embedding)
        place = self._shepard if self._axes is None else self._linear
        position = np.full((len(rows), 2), np.nan, dtype=np.float32)
        source = rows if self._axes is None else embedding
        chosen = np.flatnonzero(usable)
        for start in range(0, len(chosen), _ROWS_AT_ONCE):
            chunk = chosen[start : start + _ROWS_AT_ONCE]
            position[chunk] = place(source[chunk])
        return position

    def _linear(self, rows: FloatArray) -> npt.NDArray[np.float64]:
        assert self._axes is not None
        return _apply_axes(rows, self._axes)

    def _shepard(self, rows: FloatArray) -> npt.NDArray[np.float64]:
        concepts = len(self._text)
        nearest = min(NEAREST, concepts - 1)
        if nearest == 0:
            return np.repeat(self.position.astype(np.float64), len(rows), axis=0)
        candidates = min(concepts, nearest + 1 + _SPARE)
        cosine = rows @ self._text.T
        found = np.sort(np.argpartition(-cosine, candidates - 1, axis=1)[:, :candidates], axis=1)
        difference = self._text[found]
        difference -= rows[:, None, :]
        np.multiply(difference, difference, out=difference)
        # One sum per pair over a contiguous axis: the same bits however many rows come at once.
        distance = np.sqrt(difference.sum(axis=2).astype(np.float64))
        order = np.argsort(distance, axis=1, kind="stable")
        distance = np.take_along_axis(distance, order, axis=1)
        found = np.take_along_axis(found, order, axis=1)[:, :nearest]
        radius = np.maximum(distance[:, nearest, None], np.finfo(np.float64).tiny)
        distance = distance[:, :nearest]
        weight = np.square(np.maximum(radius - distance, 0) / (radius * (distance + _NEAR)))
        total = weight.sum(axis=1, keepdims=True)
        weight = np.where(total > 0, weight, 1.0)  # all neighbours equally far: their mean
        corner = self.position[found].astype(np.float64)
        placed: npt.NDArray[np.float64] = (weight[:, :, None] * corner).sum(axis=1)
        placed /= weight.sum(axis=1, keepdims=True)
        return placed


def _umap_layout(rows: FloatArray, seed: int) -> npt.NDArray[np.float64]:
    import torch  # with umap slow to import, and only needed where no layout is at hand
    import umap

    reducer = umap.UMAP(
        n_components=2,
        n_neighbors=min(15, len(rows) - 1),
        metric="cosine",
        init="spectral" if len(rows) > 2 * NEAREST else "random",
        random_state=seed,
        n_jobs=1,
    )
    threads = torch.get_num_threads()
    try:
        return np.asarray(reducer.fit_transform(rows), dtype=np.float64)
    finally:
        torch.set_num_threads(threads)  # umap's numba sets OpenMP's threads for the whole process


def _fill_square(layout: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Centre and scale, both axes alike, so that the wider one spans [-1, 1]."""
    low, high = layout.min(axis=0), layout.max(axis=0)
    half = max(float((high - low).max()) / 2, float(np.finfo(np.float64).tiny))
    filled: npt.NDArray[np.float64] = (layout - (low + high) / 2) / half
    return filled


def _fit_axes(text: FloatArray) -> npt.NDArray[np.float64]:
    """`(dim + 1, 2)` affine projection on the two main axes, filling the square; signs are fixed."""
    rows = text.astype(np.float64)
    mean = rows.mean(axis=0)
    _, _, components = np.linalg.svd(rows - mean, full_matrices=False)
    axes = np.zeros((rows.shape[1], 2))
    axes[:, : min(2, len(components))] = components[:2].T
    largest = np.abs(axes).argmax(axis=0)
    axes *= np.where(axes[largest, [0, 1]] < 0, -1.0, 1.0)
    layout = (rows - mean) @ axes
    low, high = layout.min(axis=0), layout.max(axis=0)
    half = float((high - low).max()) / 2
    scale = 1 / half if half > _NEAR else 1.0
    offset = -(mean @ axes) - (low + high) / 2
    return np.concatenate([axes, offset[None]]) * scale


def _apply_axes(rows: FloatArray, axes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    # Sums over a contiguous axis in place of a product, for the same bits however many rows come at once.
    wide = rows.astype(np.float64)
    columns = [(wide * np.ascontiguousarray(axis)).sum(axis=1) for axis in axes[:-1].T]
    placed: npt.NDArray[np.float64] = np.stack(columns, axis=1) + axes[-1]
    return placed


def _normalise(rows: FloatArray) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """Unit rows, and which rows have a direction."""
    wide = rows.astype(np.float64)
    length = np.sqrt(np.square(wide).sum(axis=1, keepdims=True))
    usable = np.isfinite(length[:, 0]) & (length[:, 0] > 0)
    return (wide / np.where(usable[:, None], length, 1.0)).astype(np.float32), usable


def _unit_rows(name: str, rows: npt.ArrayLike) -> FloatArray:
    matrix = np.asarray(rows, dtype=np.float32)
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise ValueError(f"{name} must be (concepts, dim) with at least one concept, got {matrix.shape}")
    unit, usable = _normalise(matrix)
    if not usable.all():
        raise ValueError(
            f"{name}[{int(np.argmin(usable))}] is zero or not finite; every concept needs a direction"
        )
    return unit
