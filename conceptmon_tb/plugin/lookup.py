"""Finds what a request names: runs, layers, steps, spaces and blobs; or says what there is instead."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from conceptmon_tb.metadata import SPACE_TAG, Payload, PayloadError, layer_tag
from conceptmon_tb.plugin.entry import LayerEntry, same_time
from conceptmon_tb.plugin.errors import NotFoundError
from conceptmon_tb.plugin.index import RunIndex
from conceptmon_tb.plugin.neurons import Part, read_neurons
from conceptmon_tb.plugin.records import RecordStore
from conceptmon_tb.plugin.source import BlobPoint, Source


class Lookup:
    """What requests name, in the log.

    Args:
        store: Verified records.
        index: What every run holds.
    """

    def __init__(self, store: RecordStore, index: RunIndex) -> None:
        self.store = store
        self.index = index

    def layers(self, source: Source, run: str) -> list[str]:
        """Layers of a run, sorted.

        Raises:
            NotFoundError: The run has no concept data.
        """
        layers = self.index.layers(source, run)
        if not layers and run not in self.index.runs(source):
            raise NotFoundError(f"run {run!r} has no concept data")
        return sorted(layers)

    def entry(self, source: Source, run: str, layer: str) -> LayerEntry:
        """What is known of a layer.

        Raises:
            NotFoundError: There is no such run or layer.
        """
        entry = self.index.entry(source, run, layer)
        if entry is None:
            listed = ", ".join(self.layers(source, run)) or "none"
            raise NotFoundError(f"layer {layer!r} of run {run!r}: its layers are {listed}")
        return entry

    def neurons(
        self, source: Source, run: str, layer: str, entry: LayerEntry, steps: Collection[int], part: Part
    ) -> dict[int, Payload]:
        """Neuron payloads of those of some steps that can be used; see `read_neurons`."""
        return read_neurons(self.store, source, run, layer, entry, steps, part)

    def neurons_at(
        self, source: Source, run: str, layer: str, entry: LayerEntry, step: int, part: Part
    ) -> Payload:
        """Neuron payload of one step.

        Raises:
            NotFoundError: It cannot be used.
        """
        found = self.neurons(source, run, layer, entry, [step], part)
        if step not in found:
            raise NotFoundError(f"step {step} of layer {layer!r}: its neurons cannot be used")
        return found[step]

    def blob_points(self, source: Source, run: str, tag: str) -> list[BlobPoint]:
        """Where the blobs of a tag are; empty where the run has none."""
        return self.index.blob_points(source, run, tag)

    def blob(self, source: Source, run: str, tag: str, kind: str, point: BlobPoint) -> Payload:
        """One verified blob.

        Raises:
            PayloadError: It cannot be used.
        """
        if point.key is None:
            raise PayloadError("an empty record")
        return self.store.blob(source, run, tag, kind, point.step, point.wall_time, point.key)

    def embedding_point(
        self, source: Source, run: str, layer: str, entry: LayerEntry, step: int
    ) -> BlobPoint | None:
        """Where the embeddings of a step are, None where they are not in the log."""
        wall_time = dict(entry.steps)[step]
        # The Python loader keeps the first blob of a step that was logged twice: that one is not ours.
        for point in self.blob_points(source, run, layer_tag(layer, "embedding")):
            if point.step == step and same_time(point.wall_time, wall_time):
                return point
        return None

    def embedding(self, source: Source, run: str, layer: str, point: BlobPoint, keep: bool = True) -> Payload:
        """Embeddings of one step; `keep` keeps them in the cache.

        Raises:
            PayloadError: They cannot be used.
        """
        tag = layer_tag(layer, "embedding")
        if point.key is None:
            raise PayloadError("an empty record")
        return self.store.blob(source, run, tag, "embedding", point.step, point.wall_time, point.key, keep)

    def space(self, source: Source, run: str, fingerprint: str | None) -> Payload:
        """A concept space of a run, the latest unless told.

        Raises:
            NotFoundError: It is not in the log, or cannot be used.
        """
        self.layers(source, run)
        problems = []
        for point in reversed(self.blob_points(source, run, SPACE_TAG)):
            try:
                payload = self.blob(source, run, SPACE_TAG, "space", point)
            except PayloadError as error:
                problems.append(f"step {point.step}: {error}")
                continue
            if fingerprint is None or payload.attrs["fingerprint"] == fingerprint:
                return payload
        which = "the concept space" if fingerprint is None else f"concept space {fingerprint!r}"
        raise NotFoundError(f"{which} of run {run!r} is not in its log" + "".join(f"; {p}" for p in problems))


def space_at(entry: LayerEntry, layer: str, step: int) -> str:
    """Fingerprint of the space of a step.

    Raises:
        NotFoundError: There is no such step, or it cannot be used.
    """
    for (known, _), space in zip(entry.steps, entry.spaces, strict=True):
        if known == step:
            return space
    reason = next((f": {flaw.reason}" for bad, flaw in entry.skipped if bad == step), "")
    raise NotFoundError(f"step {step} of layer {layer!r}{reason}")


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
                self._known[fingerprint] = (attrs["words"], attrs["categories"])
            except NotFoundError:
                self._known[fingerprint] = ([], [])
        return self._known[fingerprint]
