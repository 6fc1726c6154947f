"""What every run holds: the light answer that the tab polls.

Listing costs two calls whatever the number of runs. Only series whose signature changed are read: the
small metrics at once, the larger neuron payloads within a time budget, and many runs together. So a
first look at 200 runs answers at once, and their checksums are verified over the next few polls. Of
large layers, whose neurons are blobs, only the list of steps is read; a blob is verified when it is used.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from conceptmon_tb.metadata import IMAGES_TAG, SCHEMA_VERSION, SPACE_TAG, layer_tag
from conceptmon_tb.plugin.entry import LayerEntry, Metrics, describe_run
from conceptmon_tb.plugin.layers import Kinds, Layers, batches, list_layers
from conceptmon_tb.plugin.records import Flaw, Point, RecordStore
from conceptmon_tb.plugin.source import BlobPoint, Listing, Signature, Source

VERIFY_SECONDS = 0.4

METRICS_SECONDS = 5.0
"""For so long one answer reads metrics, which are small; those of very many layers take several answers."""

LISTING_SECONDS = 1.0
"""For so long other routes go by the last listing: the data server takes 45 ms for a new one."""

# Many small reads are slow (the data server takes some 45 ms for each), and one answer of it is limited
# to 256 MiB: series are read together up to these limits. Metrics take about 1 KB per step.
_SMALL_SERIES_PER_READ = 64
_BYTES_PER_READ = 24 * 1024 * 1024
_BYTES_PER_NEURON = 72

# Plain TensorBoard has one experiment; whatever name a request gives it, little is kept.
_EXPERIMENTS = 8
# A listing of so many seconds or more is reused for a multiple of that: a million tags take that long.
_LONG_LISTING = 0.5
_LONG_LISTING_RESTS = 5


@dataclass
class _Known:
    """What is known of one experiment.

    Attributes:
        entries: Layers by run and name.
        points: Blob sequences by run and tag, with the listing that they were read at.
        listing: When, and what was listed then.
        listing_took: Seconds.
        layers: The tensors of a listing, and the layers in it.
        answer: What `describe` answered last, and what it was made of.
    """

    entries: dict[tuple[str, str], LayerEntry] = field(default_factory=dict)
    points: dict[tuple[str, str], tuple[Signature, list[BlobPoint]]] = field(default_factory=dict)
    listing: tuple[float, Listing, Listing] | None = None
    listing_took: float = 0.0
    layers: tuple[Listing, tuple[Layers, dict[str, list[dict[str, Any]]]]] | None = None
    answer: tuple[object, dict[str, Any]] | None = None


class RunIndex:
    """Keeps one entry for every run and layer, brought up to date by `describe`.

    Args:
        store: Where records come from.
        verify_seconds: Time that one call may spend on verifying neuron payloads.
    """

    def __init__(self, store: RecordStore, verify_seconds: float = VERIFY_SECONDS) -> None:
        self._store = store
        self._verify_seconds = verify_seconds
        self._experiments: OrderedDict[str, _Known] = OrderedDict()
        self._lock = threading.Lock()
        self._mutex = threading.Lock()

    def describe(self, source: Source) -> dict[str, Any]:
        """Return the answer of the route `runs`, as documented in `docs/http_api.md`."""
        with self._lock:
            tensors, blobs = self._list(source, max_age=0)
            state = (tensors, blobs, self._store.flaws_found)
            known = self._known(source)
            if known.answer is not None and known.answer[0] == state:
                return known.answer[1]
            if known.layers is None or known.layers[0] is not tensors:
                known.layers = (tensors, list_layers(tensors, blobs))
            layers, left_out = known.layers[1]
            complete = self._refresh(source, layers)
            answer = self._answer(source, layers, left_out, (tensors, blobs))
            if complete:
                known.answer = (state, answer)
            return answer

    def entry(self, source: Source, run: str, layer: str) -> LayerEntry | None:
        """Return one layer's entry, verified; None where the run has no such layer.

        Args:
            source: The request's source.
            run: Any name.
            layer: Any name.
        """
        kinds = self._listed(source, run).get((run, layer))
        if kinds is None:
            return None
        entries = self._known(source).entries
        entry = entries.get((run, layer))
        # Most requests find everything up to date and need not wait for a poll that is being answered.
        if entry is None or not self._is_current(source, (run, layer), entry, kinds):
            with self._lock:
                self._refresh(source, {(run, layer): kinds}, patient=True)
                entry = entries[run, layer]
        return entry

    def layers(self, source: Source, run: str) -> list[str]:
        """Layers of a run; empty for an unknown run."""
        return [layer for _, layer in self._listed(source, run)]

    def layers_in_space(self, source: Source, fingerprint: str) -> dict[tuple[str, str], list[int]]:
        """Steps of each `(run, layer)` that are in one concept space; not all of them verified yet."""
        self.describe(source)
        found: dict[tuple[str, str], list[int]] = {}
        for key, entry in list(self._known(source).entries.items()):
            in_space = zip(entry.steps, entry.spaces, strict=True)
            steps = [step for (step, _), space in in_space if space == fingerprint]
            if steps:
                found[key] = steps
        return found

    def runs(self, source: Source) -> list[str]:
        """Runs with anything of this plugin, sorted."""
        tensors, blobs = self._list(source)
        return sorted({*tensors, *blobs})

    def blob_tags(self, source: Source, run: str) -> Mapping[str, Signature]:
        """Blob sequences of a run by tag, as of the last listing; empty for an unknown run."""
        return self._list(source)[1].get(run, {})

    def blob_points(self, source: Source, run: str, tag: str) -> list[BlobPoint]:
        """All points of a blob sequence, sorted by step; empty where the run has no such tag."""
        points = self._known(source).points
        signature = self._list(source)[1].get(run, {}).get(tag)
        if signature is None:
            points.pop((run, tag), None)
            return []
        known = points.get((run, tag))
        if known is None or known[0] != signature:
            known = points[run, tag] = (signature, source.blob_points(run, tag))
        return known[1]

    def _known(self, source: Source) -> _Known:
        """What is known of the request's experiment; a few of them are remembered."""
        with self._mutex:
            known = self._experiments.setdefault(source.experiment, _Known())
            self._experiments.move_to_end(source.experiment)
            while len(self._experiments) > _EXPERIMENTS:
                self._store.forget_experiment(self._experiments.popitem(last=False)[0])
            return known

    def _list(self, source: Source, max_age: float | None = None) -> tuple[Listing, Listing]:
        """All tensor series and all blob sequences, listed not longer ago than that."""
        known, max_age = self._known(source), LISTING_SECONDS if max_age is None else max_age
        if known.listing_took > _LONG_LISTING:
            max_age = max(max_age, known.listing_took * _LONG_LISTING_RESTS)
        if known.listing is not None and time.monotonic() - known.listing[0] < max_age:
            source.check_access()
            return known.listing[1:]
        start = time.monotonic()
        tensors, blobs = source.list_all()
        now = time.monotonic()
        known.listing_took = now - start
        known.listing = (start if known.listing_took <= _LONG_LISTING else now, tensors, blobs)
        return tensors, blobs

    def _listed(self, source: Source, run: str) -> Layers:
        tensors, blobs = self._list(source)
        return dict(list_layers({run: tensors.get(run, {})}, {run: blobs.get(run, {})})[0])

    def _is_current(self, source: Source, key: tuple[str, str], entry: LayerEntry, kinds: Kinds) -> bool:
        listed = (entry.metrics_signature, entry.neurons_signature) == (kinds.metrics, kinds.neurons)
        return listed and (entry.flaws or {}) == self._flaws(source, key)

    def _flaws(self, source: Source, key: tuple[str, str]) -> Mapping[Point, Flaw]:
        return self._store.flaws(source, key[0], layer_tag(key[1], "neurons"))

    def _refresh(self, source: Source, layers: Layers, patient: bool = False) -> bool:
        """Bring the entries of the given layers up to date; True when nothing is left to verify."""
        changed = [key for key, kinds in layers.items() if self._needs_metrics(source, key, kinds.metrics)]
        deadline = time.monotonic() + METRICS_SECONDS
        read_all = True
        for batch in batches(changed, lambda _: 1, _SMALL_SERIES_PER_READ):
            if not patient and time.monotonic() > deadline:
                read_all = False
                break
            self._read_metrics(source, {key: layers[key].metrics for key in batch})
        entries = self._known(source).entries
        if not read_all:
            layers = {key: kinds for key, kinds in layers.items() if key in entries}
        stale = {key: kinds for key, kinds in layers.items() if self._needs_neurons(source, key, kinds)}
        blobs = [key for key, kinds in stale.items() if kinds.is_blob]
        for batch in batches(blobs, lambda _: 1, _SMALL_SERIES_PER_READ):
            self._list_neurons(source, {key: layers[key].neurons for key in batch})
        complete = self._verify_tensors(
            source, {key: kinds.neurons for key, kinds in stale.items() if not kinds.is_blob}, patient
        )
        for key in layers:
            flaws = self._flaws(source, key)
            if (entries[key].flaws or {}) != flaws:
                entries[key] = replace(entries[key], flaws=flaws).merged()
        return complete and read_all

    def _verify_tensors(
        self, source: Source, signatures: Mapping[tuple[str, str], Signature], patient: bool
    ) -> bool:
        entries = self._known(source).entries
        first: list[tuple[str, str]] = []
        later: list[tuple[str, str]] = []
        for run, layer in signatures:
            known = self._store.has(source, run, layer_tag(layer, "neurons"))
            (later if known else first).append((run, layer))
        deadline = time.monotonic() + self._verify_seconds
        together = batches(first, lambda key: _neuron_bytes(entries[key]), _BYTES_PER_READ)
        for batch in (*([key] for key in later), *together):
            if not patient and time.monotonic() > deadline:
                return False
            self._verify(source, {key: (entries[key], signatures[key]) for key in batch})
        return True

    def _verify(self, source: Source, batch: Mapping[tuple[str, str], tuple[LayerEntry, Signature]]) -> None:
        listed = {(run, layer_tag(layer, "neurons")): mark for (run, layer), (_, mark) in batch.items()}
        if len(batch) > 1:
            self._store.read_together(source, listed)
        for (run, layer), (entry, signature) in batch.items():
            expected = [item.record.point for item in entry.metrics]
            records = self._store.records(source, run, layer_tag(layer, "neurons"), signature, expected)
            by_point = {record.point: record for record in records}
            verified = replace(entry, neurons_signature=signature, records=by_point, blobs=None)
            self._known(source).entries[run, layer] = verified.merged()

    def _list_neurons(self, source: Source, batch: Mapping[tuple[str, str], Signature]) -> None:
        """Learn where the neurons of large layers are; none of them is read."""
        tags = {key: layer_tag(key[1], "neurons") for key in batch}
        found = source.many_blob_points({run for run, _ in batch}, set(tags.values()))
        for (run, layer), signature in batch.items():
            points = found.get(run, {}).get(tags[run, layer], [])
            entry = self._known(source).entries[run, layer]
            listed = replace(
                entry, neurons_signature=signature, blobs={p.step: p for p in points}, records=None
            )
            self._known(source).entries[run, layer] = listed.merged()

    def _needs_metrics(self, source: Source, key: tuple[str, str], signature: Signature) -> bool:
        entry = self._known(source).entries.get(key)
        return entry is None or entry.metrics_signature != signature

    def _needs_neurons(self, source: Source, key: tuple[str, str], kinds: Kinds) -> bool:
        entry = self._known(source).entries[key]
        return entry.neurons_signature != kinds.neurons or (entry.blobs is not None) != kinds.is_blob

    def _read_metrics(self, source: Source, batch: Mapping[tuple[str, str], Signature]) -> None:
        runs = {run for run, _ in batch}
        # Scalars first: were they read last, an epoch written in between would look like a dropped one.
        counts = source.read_scalars(runs, {layer_tag(layer, "interpretable") for _, layer in batch})
        listed = {(run, layer_tag(layer, "metrics")): signature for (run, layer), signature in batch.items()}
        if len(batch) > 1:
            self._store.read_together(source, listed)
        for (run, layer), signature in batch.items():
            tag = layer_tag(layer, "metrics")
            records = self._store.records(source, run, tag, signature)
            payloads = {r.point: p for r, p in self._store.payloads(source, run, tag, signature)}
            metrics = []
            for record in records:
                payload = payloads.get(record.point)
                attrs: Mapping[str, Any] = (
                    payload.attrs if payload is not None else {"neurons": 0, "space": ""}
                )
                note = str(attrs.get("note", ""))
                metrics.append(Metrics(record, attrs["neurons"], attrs["space"], note))
            scalars = counts.get(run, {}).get(layer_tag(layer, "interpretable"), [])
            logged = max(len(records), len({step for step, _, _ in scalars}))
            entry = LayerEntry(signature, tuple(metrics), logged, flaws=self._flaws(source, (run, layer)))
            self._known(source).entries[run, layer] = entry.merged()

    def _answer(
        self,
        source: Source,
        layers: Layers,
        left_out: Mapping[str, list[dict[str, Any]]],
        listing: tuple[Listing, Listing],
    ) -> dict[str, Any]:
        known, (tensors, blobs) = self._known(source), listing
        for key in [key for key in known.entries if key not in layers]:
            del known.entries[key]
        for run, tag in list(known.points):
            if tag not in blobs.get(run, {}):
                known.points.pop((run, tag), None)
        self._store.forget_runs_except(source, {*tensors, *blobs})
        by_run: dict[str, dict[str, LayerEntry]] = {}
        for run, layer in layers:
            if (run, layer) in known.entries:
                by_run.setdefault(run, {})[layer] = known.entries[run, layer]
        runs: dict[str, Any] = {}
        for run in sorted({*tensors, *blobs}):
            entries = by_run.get(run, {})
            has_space = SPACE_TAG in blobs.get(run, {})
            if entries or has_space or left_out.get(run):
                series = (*tensors.get(run, {}).values(), *blobs.get(run, {}).values())
                newest = max((signature.max_wall_time for signature in series), default=None)
                flaws = {tag: self._store.flaws(source, run, tag) for tag in (SPACE_TAG, IMAGES_TAG)}
                described = describe_run(entries, has_space, newest, flaws)
                described["skipped"] += left_out.get(run, [])
                runs[run] = described
        answer = {"runs": runs, "schema": SCHEMA_VERSION}
        text = json.dumps(answer, sort_keys=True)
        return {**answer, "revision": hashlib.sha256(text.encode()).hexdigest()[:16]}


def _neuron_bytes(entry: LayerEntry) -> int:
    return (entry.neurons * _BYTES_PER_NEURON + 1024) * len(entry.metrics)
