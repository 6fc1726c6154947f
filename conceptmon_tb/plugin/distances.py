"""How far words are from their nearest neuron: the anchor distance d_anchor, word by word.

Source: Concept-Monitor, thesis section 2.1.3, Eq. 2.2.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from conceptmon_tb.payloads import FLAG_INTERPRETABLE, FLAG_VALID
from conceptmon_tb.plugin.cache import RecentItems
from conceptmon_tb.plugin.embeddings import StepEmbedding, read_embedding
from conceptmon_tb.plugin.entry import LoggedLayer
from conceptmon_tb.plugin.errors import NotFoundError
from conceptmon_tb.plugin.labels import finite_list, neuron_list
from conceptmon_tb.plugin.lookup import Lookup, text_embeddings
from conceptmon_tb.plugin.source import Source
from conceptmon_tb.plugin.words import Word, Words
from conceptmon_tb.snapshot import BoolArray, FloatArray

# Embeddings of all steps pass through memory for one word; they are kept for the next one if they are small.
_KEEP_BYTES = 64 * 1024 * 1024
_READERS = 2
_REMEMBERED_WORDS = 50_000
_REMEMBERED_SPACES = 256

IntArray = npt.NDArray[np.int64]


class Nearest(NamedTuple):
    """The nearest neurons of some words; the last axis is (valid neurons, interpretable neurons).

    Attributes:
        distance: `(..., 2)` float32 Euclidean; NaN where no neuron qualifies.
        neuron: `(..., 2)` int64; -1 where no neuron qualifies.
    """

    distance: FloatArray
    neuron: IntArray

    def tell(self) -> dict[str, Any]:
        """Return what the route answers of `(n, 2)` of them."""
        return {
            "distance": finite_list(self.distance[:, 0]),
            "neuron": neuron_list(self.neuron[:, 0]),
            "gated_distance": finite_list(self.distance[:, 1]),
            "gated_neuron": neuron_list(self.neuron[:, 1]),
        }


class Distances:
    """Answers the route `distances`.

    Args:
        lookup: Finds what a request names.
        words: Knows the embeddings of words.
    """

    def __init__(self, lookup: Lookup, words: Words) -> None:
        self._lookup = lookup
        self._words = words
        self._of_words: RecentItems[Nearest] = RecentItems(_REMEMBERED_WORDS)
        self._of_spaces: RecentItems[Nearest] = RecentItems(_REMEMBERED_SPACES)
        for known in (self._of_words, self._of_spaces):
            lookup.store.forget_with_runs(known)
        # One product at a time: together they would take no less time, but several times the memory.
        self._busy = threading.Lock()

    def of_step(self, source: Source, run: str, layer: str, step: int) -> dict[str, Any]:
        """Distances of all concepts and anchors of the space at one step.

        Raises:
            NotFoundError: There is no such run, layer or step, or its embeddings are missing.
        """
        logged = self._lookup.layer(source, run, layer)
        fingerprint = logged.space_at(step)
        concepts, anchors = text_embeddings(self._lookup.space(source, run, fingerprint))
        key = (*_key(logged, step), fingerprint)
        found = self._of_spaces.get(key)
        if found is None:
            found = self._measure(logged, step, np.concatenate([concepts, anchors]))
            self._of_spaces.put(key, found)
        count = len(concepts)
        return {
            "run": run,
            "layer": layer,
            "step": step,
            "space": fingerprint,
            **Nearest(found.distance[:count], found.neuron[:count]).tell(),
            "anchors": Nearest(found.distance[count:], found.neuron[count:]).tell(),
        }

    def of_words(
        self, source: Source, run: str, layer: str, names: Sequence[str], step: int | None
    ) -> dict[str, Any]:
        """Distances of some words at every step, or at one.

        Args:
            source: The request's source.
            run: Any name.
            layer: Any name.
            names: Words; case does not matter.
            step: Any number; None for all steps.

        Raises:
            NotFoundError: There is no such run, layer or step, or a word is not known.
            BadRequestError: A word is too long.
        """
        logged = self._lookup.layer(source, run, layer)
        steps = [step for step, _ in logged.entry.steps]
        if step is not None:
            logged.space_at(step)
            steps = [step]
        latest = self._lookup.space(source, run, None)
        words = [self._words.find(latest, name) for name in names]
        found = Nearest(
            np.full((len(steps), len(words), 2), np.nan, np.float32),
            np.full((len(steps), len(words), 2), -1, np.int64),
        )
        keep = self._may_keep(logged, text_embeddings(latest)[0].shape[1])
        skipped = []

        def measure(at: int) -> dict[int, Nearest] | str:
            try:
                return self._of_step(logged, at, self._embeddings(logged, at, latest.attrs, words), keep)
            except NotFoundError as error:
                return str(error)

        with ThreadPoolExecutor(_READERS) as pool:
            for row, (at, answer) in enumerate(zip(steps, pool.map(measure, steps), strict=True)):
                if isinstance(answer, str):
                    skipped.append({"step": at, "reason": answer})
                    continue
                for column, nearest in answer.items():
                    found.distance[row, column], found.neuron[row, column] = nearest
        return {
            "run": run,
            "layer": layer,
            "steps": steps,
            "words": [
                {
                    "word": word.name,
                    "kind": word.kind,
                    "category": word.category,
                    **Nearest(found.distance[:, column], found.neuron[:, column]).tell(),
                }
                for column, word in enumerate(words)
            ],
            "skipped": skipped,
        }

    def _embeddings(
        self, logged: LoggedLayer, step: int, latest: Mapping[str, Any], words: Sequence[Word]
    ) -> dict[int, FloatArray]:
        """Embeddings of those words that the space of a step has too, by their place in the request."""
        fingerprint = logged.space_at(step)
        if fingerprint == latest["fingerprint"]:
            return {place: word.embedding for place, word in enumerate(words)}
        space = self._lookup.space(logged.source, logged.run, fingerprint)
        found = {place: self._words.look_up(space, word.name) for place, word in enumerate(words)}
        return {place: word.embedding for place, word in found.items() if word is not None}

    def _of_step(
        self, logged: LoggedLayer, step: int, embeddings: Mapping[int, FloatArray], keep: bool
    ) -> dict[int, Nearest]:
        """Nearest neurons of some words at one step, from memory where they are known."""
        keys: dict[int, Hashable] = {
            place: (*_key(logged, step), _digest(row)) for place, row in embeddings.items()
        }
        known = {place: self._of_words.get(key) for place, key in keys.items()}
        missing = [place for place, nearest in known.items() if nearest is None]
        if missing:
            measured = self._measure(logged, step, np.stack([embeddings[i] for i in missing]), keep)
            for place, distance, neuron in zip(missing, *measured, strict=True):
                nearest = Nearest(distance.copy(), neuron.copy())
                known[place] = nearest
                self._of_words.put(keys[place], nearest)
        return {place: nearest for place, nearest in known.items() if nearest is not None}

    def _measure(self, logged: LoggedLayer, step: int, words: FloatArray, keep: bool = True) -> Nearest:
        embedding = read_embedding(self._lookup, logged, step, keep)
        if embedding.dim != words.shape[1]:
            raise NotFoundError(
                f"the embeddings of step {step} have {embedding.dim} dimensions, the words {words.shape[1]}"
            )
        flags = self._lookup.neurons_at(logged, step, "frames").arrays["flags"].astype(np.uint8)
        valid = ((flags & FLAG_VALID) != 0) & embedding.present
        with self._busy:
            return nearest_neurons(embedding, words, valid, valid & ((flags & FLAG_INTERPRETABLE) != 0))

    def _may_keep(self, logged: LoggedLayer, dim: int) -> bool:
        """Whether the embeddings of all steps may stay in the cache without driving out everything else."""
        return dim * logged.entry.neurons * len(logged.entry.steps) <= _KEEP_BYTES


def nearest_neurons(
    embedding: StepEmbedding, words: FloatArray, valid: BoolArray, interpretable: BoolArray
) -> Nearest:
    """Find the nearest neuron of every word.

    Args:
        embedding: The neurons.
        words: `(words, dim)` float32 embeddings.
        valid: `(neurons,)` bool.
        interpretable: `(neurons,)` bool.

    Returns:
        `(words, 2)` nearest neurons among the valid and among the interpretable ones; the first one where
        several are equally near.

    Source: Concept-Monitor, thesis section 2.1.3, Eq. 2.2.
    """
    least = np.full((len(words), 2), np.inf, np.float32)
    neuron = np.full((len(words), 2), -1, np.int64)
    for start, rows in embedding.rows():
        # A word's own length does not change which neuron is nearest to it.
        with np.errstate(invalid="ignore"):  # a log may hold infinite embeddings
            squared = np.einsum("ij,ij->i", rows, rows) - 2 * (words @ rows.T)
        for column, mask in enumerate((valid, interpretable)):
            counted = np.flatnonzero(mask[start : start + len(rows)])
            if not len(counted):
                continue
            part = squared if len(counted) == len(rows) else squared[:, counted]
            nearest = part.argmin(axis=1)
            value = part[np.arange(len(words)), nearest]
            closer = value < least[:, column]
            least[closer, column] = value[closer]
            neuron[closer, column] = start + counted[nearest[closer]]
    distance = np.full((len(words), 2), np.nan, np.float32)
    for column in range(2):
        known = neuron[:, column] >= 0
        # From differences, not from the product: exact where a neuron sits on a word.
        away = embedding.take(neuron[known, column]) - words[known]
        distance[known, column] = np.linalg.norm(away, axis=1)
    return Nearest(distance, neuron)


def _key(logged: LoggedLayer, step: int) -> tuple[Hashable, ...]:
    return (logged.source.experiment, logged.run, logged.name, step, dict(logged.entry.steps)[step])


def _digest(row: FloatArray) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(row).tobytes(), digest_size=16).digest()
