"""Embeddings of one layer at one step, decoded some rows at a time: all of them at once may be 200 MB."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from conceptmon_tb.embedding_codec import base_embedding, decode_embedding
from conceptmon_tb.metadata import Payload, PayloadError
from conceptmon_tb.plugin.entry import LoggedLayer
from conceptmon_tb.plugin.errors import NotFoundError
from conceptmon_tb.plugin.lookup import Lookup, text_embeddings
from conceptmon_tb.snapshot import FloatArray

_ROWS_AT_ONCE = 4096
_PER_NEURON = ("scale", "residual", "rows")


class StepEmbedding:
    """The neurons' embeddings u_n at one step.

    Args:
        payload: A verified payload of kind "embedding".
        base: `(dim,)` float32, base of codec "space"; empty for other codecs.

    Attributes:
        neurons: Number of neurons.
        present: `(neurons,)` bool; False for a neuron without embedding.

    Raises:
        PayloadError: The codec is unknown, or what it needs is missing.
    """

    def __init__(self, payload: Payload, base: FloatArray) -> None:
        self._codec, self._arrays, self._base = payload.attrs["codec"], payload.arrays, base
        self.neurons = len(payload.arrays["scale"])
        self.present: npt.NDArray[np.bool_] = ~np.isnan(payload.arrays["scale"])
        try:
            self.dim = self._decode(slice(0, 1)).shape[1]
        except (KeyError, ValueError) as error:
            raise PayloadError(f"the embeddings cannot be decoded: {error}") from error

    def rows(self) -> Iterator[tuple[int, FloatArray]]:
        """Yield the number of the first row, and some `(rows, dim)` float32; zeros where not present."""
        for start in range(0, self.neurons, _ROWS_AT_ONCE):
            yield start, self._decode(slice(start, start + _ROWS_AT_ONCE))

    def take(self, neurons: npt.NDArray[np.int64]) -> FloatArray:
        """Return the rows of some neurons, `(neurons, dim)` float32."""
        return self._decode(neurons)

    def cosines(self, direction: FloatArray) -> FloatArray:
        """Cosine of every neuron with one direction.

        Args:
            direction: `(dim,)` float32.

        Returns:
            `(neurons,)` float32; minus infinity for a neuron without embedding or a direction of zero.
        """
        cosine = np.full(self.neurons, -np.inf, np.float32)
        size = float(np.linalg.norm(direction))
        for start, rows in self.rows() if size else ():
            length = np.sqrt(np.einsum("ij,ij->i", rows, rows))
            usable = length > 0
            with np.errstate(invalid="ignore"):  # a log may hold infinite embeddings
                cosine[start : start + len(rows)][usable] = (rows[usable] @ direction) / (
                    length[usable] * size
                )
        return cosine

    def euclidean(self, point: FloatArray) -> FloatArray:
        """Euclidean distance of every neuron to one embedding.

        Args:
            point: `(dim,)` float32.

        Returns:
            `(neurons,)` float32; infinite for a neuron without embedding.
        """
        distance = np.full(self.neurons, np.inf, np.float32)
        for start, rows in self.rows():
            with np.errstate(invalid="ignore"):  # likewise
                distance[start : start + len(rows)] = np.linalg.norm(rows - point, axis=1)
        distance[~self.present] = np.inf
        return distance

    def _decode(self, chosen: slice | npt.NDArray[np.int64]) -> FloatArray:
        arrays: dict[str, npt.NDArray[Any]] = {
            name: array[chosen] if name in _PER_NEURON else array for name, array in self._arrays.items()
        }
        return decode_embedding(self._codec, arrays, self._base)


def read_embedding(lookup: Lookup, logged: LoggedLayer, step: int, keep: bool = True) -> StepEmbedding:
    """Read the embeddings of one step.

    Args:
        lookup: Finds them.
        logged: The layer.
        step: One of its steps.
        keep: Whether to keep them in the cache.

    Raises:
        NotFoundError: They are not in the log or cannot be used; the message says why.
    """
    try:
        payload = lookup.embedding(logged, step, keep)
        base = np.zeros(0, np.float32)
        if payload.attrs["codec"] == "space":
            space = lookup.space(logged.source, logged.run, payload.attrs["space"])
            base = base_embedding(text_embeddings(space)[0])
        embedding = StepEmbedding(payload, base)
    except (PayloadError, KeyError) as error:
        raise NotFoundError(str(error)) from error
    if payload.attrs["space"] != logged.space_at(step):
        raise NotFoundError(f"the embeddings of step {step} are in another concept space")
    if embedding.neurons != logged.entry.neurons:
        raise NotFoundError(f"the embeddings of step {step} are of {embedding.neurons} neurons")
    return embedding
