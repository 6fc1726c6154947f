"""Finds what a request names: runs, layers, steps, spaces and blobs; or says what there is instead."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from typing import Any
from weakref import WeakKeyDictionary

from conceptmon_tb.embedding_codec import stored_text_embedding
from conceptmon_tb.metadata import SPACE_TAG, Payload, PayloadError, layer_tag
from conceptmon_tb.payloads import check_concepts
from conceptmon_tb.plugin.cache import RecentItems
from conceptmon_tb.plugin.entry import LoggedLayer, same_time
from conceptmon_tb.plugin.errors import NotFoundError
from conceptmon_tb.plugin.index import RunIndex
from conceptmon_tb.plugin.neurons import Part, read_neurons
from conceptmon_tb.plugin.records import Flaw, GoneError, RecordStore
from conceptmon_tb.plugin.source import BlobPoint, Source
from conceptmon_tb.snapshot import FloatArray

_REMEMBERED_SPACES = 1000
_MAX_TOLD = 3

_texts: WeakKeyDictionary[Payload, tuple[FloatArray, FloatArray]] = WeakKeyDictionary()


class Lookup:
    """What requests name, in the log.

    Args:
        store: Verified records.
        index: What every run holds.
    """

    def __init__(self, store: RecordStore, index: RunIndex) -> None:
        self.store = store
        self.index = index
        self._words: RecentItems[int] = RecentItems(_REMEMBERED_SPACES)
        store.forget_with_runs(self._words)

    def layers(self, source: Source, run: str) -> list[str]:
        """Layers of a run, sorted.

        Raises:
            NotFoundError: The run has no concept data.
        """
        layers = self.index.layers(source, run)
        if not layers and run not in self.index.runs(source):
            raise NotFoundError(f"run {run!r} has no concept data")
        return sorted(layers)

    def layer(self, source: Source, run: str, layer: str) -> LoggedLayer:
        """A layer and what is known of it.

        Raises:
            NotFoundError: There is no such run or layer.
        """
        entry = self.index.entry(source, run, layer)
        if entry is None:
            listed = ", ".join(self.layers(source, run)) or "none"
            raise NotFoundError(f"layer {layer!r} of run {run!r}: its layers are {listed}")
        return LoggedLayer(source, run, layer, entry)

    def neurons(self, logged: LoggedLayer, steps: Collection[int], part: Part) -> dict[int, Payload]:
        """Neuron payloads of those of some steps that can be used; see `read_neurons`.

        A step whose neurons name concepts that its space does not have is noted as damaged.
        """
        found = read_neurons(self.store, logged, steps, part)
        times = dict(logged.entry.steps)
        spaces = {step: logged.space_at(step) for step in found}
        words = {fingerprint: self._count_words(logged, fingerprint) for fingerprint in set(spaces.values())}
        for step, payload in list(found.items()):
            num_words = words[spaces[step]]
            if num_words is None:  # the space is lost, and its words with it
                continue
            try:
                check_concepts(payload, num_words)
            except PayloadError as error:
                tag = layer_tag(logged.name, "neurons")
                self.store.note_flaw(logged.source, logged.run, tag, (step, times[step]), Flaw.of(error))
                del found[step]
        return found

    def _count_words(self, logged: LoggedLayer, fingerprint: str) -> int | None:
        key = (logged.source.experiment, logged.run, fingerprint)
        count = self._words.get(key)
        if count is None:
            with suppress(NotFoundError):
                count = len(self.space(logged.source, logged.run, fingerprint).attrs["words"])
                self._words.put(key, count)
        return count

    def neurons_at(self, logged: LoggedLayer, step: int, part: Part) -> Payload:
        """Neuron payload of one step.

        Raises:
            NotFoundError: It cannot be used.
        """
        found = self.neurons(logged, [step], part)
        if step not in found:
            raise NotFoundError(f"step {step} of layer {logged.name!r}: its neurons cannot be used")
        return found[step]

    def blob_points(self, source: Source, run: str, tag: str) -> list[BlobPoint]:
        """Where the blobs of a tag are; empty where the run has none."""
        return self.index.blob_points(source, run, tag)

    def blob(
        self, source: Source, run: str, tag: str, kind: str, point: BlobPoint, keep: bool = True
    ) -> Payload:
        """One verified blob; `keep` keeps it in the cache.

        Raises:
            PayloadError: It cannot be used.
        """
        if point.key is None:
            raise PayloadError("an empty record")
        return self.store.blob(source, run, tag, kind, point.step, point.wall_time, point.key, keep)

    def note(self, source: Source, run: str, tag: str, point: BlobPoint, error: PayloadError) -> None:
        """Remember what is wrong with a run's own blob, so that `runs` tells it."""
        if not isinstance(error, GoneError):
            self.store.note_flaw(source, run, tag, (point.step, point.wall_time), Flaw.of(error))

    def embedding(self, logged: LoggedLayer, step: int, keep: bool = True) -> Payload:
        """Embeddings of one of a layer's steps; `keep` keeps them in the cache.

        Raises:
            NotFoundError: They are not in the log.
            PayloadError: They cannot be used.
        """
        source, run, layer, entry = logged
        tag, wall_time = layer_tag(layer, "embedding"), dict(entry.steps)[step]
        # The Python loader keeps the first blob of a step that was logged twice: that one is not ours.
        for point in self.blob_points(source, run, tag):
            if point.step == step and same_time(point.wall_time, wall_time):
                return self.blob(source, run, tag, "embedding", point, keep)
        raise NotFoundError(f"the embeddings of step {step} are not in the log")

    def space(self, source: Source, run: str, fingerprint: str | None) -> Payload:
        """A concept space of a run, the latest unless told.

        Raises:
            NotFoundError: It is not in the log, or cannot be used.
        """
        self.layers(source, run)
        known = self.store.flaws(source, run, SPACE_TAG)
        problems = []
        for point in reversed(self.blob_points(source, run, SPACE_TAG)):
            flaw = known.get((point.step, point.wall_time))
            if flaw is not None:
                problems.append(f"step {point.step}: {flaw.reason}")
                continue
            try:
                payload = self.blob(source, run, SPACE_TAG, "space", point)
            except PayloadError as error:
                problems.append(f"step {point.step}: {error}")
                self.note(source, run, SPACE_TAG, point, error)
                continue
            if fingerprint is None or payload.attrs["fingerprint"] == fingerprint:
                return payload
        which = "the concept space" if fingerprint is None else f"concept space {fingerprint!r}"
        told = "".join(f"; {problem}" for problem in problems[:_MAX_TOLD])
        raise NotFoundError(f"{which} of run {run!r} is not in its log{told}")


def text_embeddings(space: Payload) -> tuple[FloatArray, FloatArray]:
    """Embeddings of a space's concepts and of its anchors, `(words, dim)` float32 unit rows each.

    Raises:
        NotFoundError: They do not fit together.
    """
    found = _texts.get(space)
    if found is None:
        concepts = stored_text_embedding(space.arrays["text_embedding"])
        anchors = stored_text_embedding(space.arrays["anchor_embedding"])
        if len(anchors) and anchors.shape[1] != concepts.shape[1]:
            raise NotFoundError("the anchors of this concept space have other dimensions than its concepts")
        found = _texts[space] = (concepts, anchors.reshape(len(anchors), concepts.shape[1]))
    return found


class Names:
    """Words and categories of the spaces of a run, each looked up once; empty where a space is lost.

    Args:
        lookup: Finds the spaces.
        source: The request's source.
        run: A listed run.
    """

    def __init__(self, lookup: Lookup, source: Source, run: str) -> None:
        self._lookup, self._source, self._run = lookup, source, run
        self._known: dict[str, tuple[list[str], list[str]]] = {}

    def of(self, fingerprint: str) -> tuple[list[str], list[str]]:
        """Words and categories of one space."""
        if fingerprint not in self._known:
            try:
                attrs: Any = self._lookup.space(self._source, self._run, fingerprint).attrs
                self._known[fingerprint] = (list(attrs["words"]), list(attrs["categories"]))
            except NotFoundError:
                self._known[fingerprint] = ([], [])
        return self._known[fingerprint]
