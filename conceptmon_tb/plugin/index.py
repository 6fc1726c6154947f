"""What every run holds: the light answer that the tab polls.

Listing costs two calls whatever the number of runs. Only series whose signature changed are read: the
small metrics at once, the larger neuron payloads within a time budget, and many runs together. So a
first look at 200 runs answers at once, and their checksums are verified over the next few polls.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from conceptmon_tb.metadata import SCHEMA_VERSION, SPACE_TAG, layer_tag, parse_layer_tag
from conceptmon_tb.plugin.records import Record, RecordStore
from conceptmon_tb.plugin.source import Listing, Signature, Source

VERIFY_SECONDS = 0.4

# Many small reads are slow (the data server takes some 45 ms for each), and one answer of it is limited
# to 256 MiB: series are read together up to these limits. Metrics take about 1 KB per step.
_METRICS_PER_READ = 64
_BYTES_PER_READ = 24 * 1024 * 1024
_BYTES_PER_NEURON = 72


@dataclass
class LayerEntry:
    """What is known of one layer of one run.

    Attributes:
        metrics_signature: Listing of the metrics that this was made of.
        neurons_signature: Listing of the neurons that were verified, None before.
        neurons: Number of neurons at the latest step.
        steps: Usable `(step, wall time)`, sorted.
        spaces: Fingerprint of the space at each of `steps`.
        note: The space's note at the latest step.
        skipped: `(step, reason)` of what cannot be used.
        logged: Steps that the run logged, as far as can be known; more than there are where
            TensorBoard dropped some.
    """

    metrics_signature: Signature
    neurons_signature: Signature | None = None
    neurons: int = 0
    steps: list[tuple[int, float]] = field(default_factory=list)
    spaces: list[str] = field(default_factory=list)
    note: str = ""
    skipped: list[tuple[int, str]] = field(default_factory=list)
    kept: int = 0
    logged: int = 0
    metrics: list[tuple[Record, int, str, str]] = field(default_factory=list)


class RunIndex:
    """Keeps one entry per run and layer, brought up to date by `describe`.

    Args:
        store: Where records come from.
        verify_seconds: Time that one call may spend on verifying neuron payloads.
    """

    def __init__(self, store: RecordStore, verify_seconds: float = VERIFY_SECONDS) -> None:
        self._store = store
        self._verify_seconds = verify_seconds
        self._entries: dict[tuple[str, str, str], LayerEntry] = {}
        self._lock = threading.Lock()
        self._answers: dict[str, tuple[object, dict[str, Any]]] = {}

    def describe(self, source: Source) -> dict[str, Any]:
        """Return the answer of the route `runs`, as documented in `docs/http_api.md`."""
        with self._lock:
            tensors, blobs = source.list_tensors(), source.list_blobs()
            layers = dict(_layers(tensors))
            state = (tensors, blobs)
            known = self._answers.get(source.experiment)
            if known is not None and known[0] == state:
                return known[1]
            complete = self._refresh(source, layers)
            answer = self._answer(source, layers, tensors, blobs)
            if complete:
                self._answers[source.experiment] = (state, answer)
            return answer

    def entry(self, source: Source, run: str, layer: str) -> LayerEntry | None:
        """Return one layer's entry, verified; None where the run has no such layer.

        Args:
            source: The request's source.
            run: Any name.
            layer: Any name.
        """
        listed = source.list_tensors(run)
        layers = {key: tags for key, tags in _layers(listed) if key == (run, layer)}
        if (run, layer) not in layers:
            return None
        with self._lock:
            self._refresh(source, layers, patient=True)
            # A copy: the next poll may fill in the entry anew while this request is being answered.
            return replace(self._entries[source.experiment, run, layer])

    def layers(self, source: Source, run: str) -> list[tuple[str, Mapping[str, Signature]]]:
        """Layers of a run with their signatures by kind; empty for an unknown run."""
        return [(layer, kinds) for (_, layer), kinds in _layers(source.list_tensors(run))]

    def _refresh(
        self,
        source: Source,
        layers: Mapping[tuple[str, str], Mapping[str, Signature]],
        patient: bool = False,
    ) -> bool:
        """Bring the entries of the given layers up to date; True when nothing is left to verify."""
        changed = [key for key, kinds in layers.items() if self._needs_metrics(source, key, kinds["metrics"])]
        for batch in _batches(changed, lambda _: 1, _METRICS_PER_READ):
            self._read_metrics(source, {key: layers[key]["metrics"] for key in batch})
        entries = {(run, layer): self._entries[source.experiment, run, layer] for run, layer in layers}
        first: list[tuple[str, str]] = []
        later: list[tuple[str, str]] = []
        for (run, layer), kinds in layers.items():
            if entries[run, layer].neurons_signature != kinds["neurons"]:
                known = self._store.has(source, run, layer_tag(layer, "neurons"))
                (later if known else first).append((run, layer))
        deadline = time.monotonic() + self._verify_seconds
        batches = _batches(first, lambda key: _neuron_bytes(entries[key]), _BYTES_PER_READ)
        for batch in (*([key] for key in later), *batches):
            if not patient and time.monotonic() > deadline:
                return False
            self._verify(source, {key: (entries[key], layers[key]["neurons"]) for key in batch})
        return True

    def _verify(self, source: Source, batch: Mapping[tuple[str, str], tuple[LayerEntry, Signature]]) -> None:
        listed = {(run, layer_tag(layer, "neurons")): mark for (run, layer), (_, mark) in batch.items()}
        if len(batch) > 1:
            self._store.read_together(source, listed)
        for (run, layer), (entry, signature) in batch.items():
            expected = [record.point for record, *_ in entry.metrics]
            records = self._store.records(source, run, layer_tag(layer, "neurons"), signature, expected)
            _merge(entry, records)
            entry.neurons_signature = signature

    def _needs_metrics(self, source: Source, key: tuple[str, str], signature: Signature) -> bool:
        entry = self._entries.get((source.experiment, *key))
        return entry is None or entry.metrics_signature != signature

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
            entry = LayerEntry(signature)
            for record in records:
                payload = payloads.get(record.point)
                attrs: Mapping[str, Any] = (
                    payload.attrs if payload is not None else {"neurons": 0, "space": ""}
                )
                entry.metrics.append((record, attrs["neurons"], attrs["space"], str(attrs.get("note", ""))))
            scalars = counts.get(run, {}).get(layer_tag(layer, "interpretable"), [])
            entry.logged = max(len(records), len({step for step, _, _ in scalars}))
            _merge(entry, None)
            self._entries[source.experiment, run, layer] = entry

    def _answer(
        self,
        source: Source,
        layers: Mapping[tuple[str, str], Mapping[str, Signature]],
        tensors: Listing,
        blobs: Listing,
    ) -> dict[str, Any]:
        gone = [k for k in self._entries if k[0] == source.experiment and k[1:] not in layers]
        for key in gone:
            del self._entries[key]
        self._store.forget_runs_except(source, tensors)
        runs: dict[str, Any] = {}
        for run in sorted({*tensors, *blobs}):
            entries = {
                layer: self._entries[source.experiment, run, layer] for name, layer in layers if name == run
            }
            if entries or SPACE_TAG in blobs.get(run, {}):
                runs[run] = _describe_run(entries, has_space=SPACE_TAG in blobs.get(run, {}))
        answer = {"runs": runs, "schema": SCHEMA_VERSION, "logdir": source.data_location()}
        text = json.dumps(answer, sort_keys=True)
        return {**answer, "revision": hashlib.sha256(text.encode()).hexdigest()[:16]}


def _layers(listed: Listing) -> Iterator[tuple[tuple[str, str], Mapping[str, Signature]]]:
    for run, tags in listed.items():
        found: dict[str, dict[str, Signature]] = {}
        for tag, signature in tags.items():
            parsed = parse_layer_tag(tag)
            if parsed is not None:
                found.setdefault(parsed[0], {})[parsed[1]] = signature
        for layer, kinds in found.items():
            if "neurons" in kinds and "metrics" in kinds:
                yield (run, layer), kinds


def _batches(
    keys: list[tuple[str, str]], weigh: Callable[[tuple[str, str]], int], limit: int
) -> Iterator[list[tuple[str, str]]]:
    """Group `(run, layer)` for one read each; a read takes runs x tags, so a group's runs share layers."""
    layers: dict[str, set[str]] = {}
    for run, layer in keys:
        layers.setdefault(run, set()).add(layer)
    same: dict[frozenset[str], list[str]] = {}
    for run, names in layers.items():
        same.setdefault(frozenset(names), []).append(run)
    for shared, runs in same.items():
        batch: list[tuple[str, str]] = []
        weight = 0
        for run in runs:
            group = [(run, layer) for layer in sorted(shared)]
            added = sum(map(weigh, group))
            if added > limit:
                yield from ([key] for key in group)
                continue
            if batch and weight + added > limit:
                yield batch
                batch, weight = [], 0
            batch += group
            weight += added
        if batch:
            yield batch


def _neuron_bytes(entry: LayerEntry) -> int:
    return (entry.neurons * _BYTES_PER_NEURON + 1024) * len(entry.metrics)


def _merge(entry: LayerEntry, neurons: list[Record] | None) -> None:
    """Fill in what follows from the metrics and, once verified, the neuron payloads."""
    verified = None if neurons is None else {record.point: record for record in neurons}
    good = [item for item in entry.metrics if item[0].reason is None]
    entry.neurons = good[-1][1] if good else 0
    entry.note = good[-1][3] if good else ""
    entry.steps, entry.spaces, entry.skipped, entry.kept = [], [], [], 0
    for record, size, space, _ in entry.metrics:
        reason = record.reason
        if verified is not None:
            twin = verified.get(record.point)
            if twin is None:
                continue
            reason = reason or twin.reason
        entry.kept += 1
        if reason is None and size != entry.neurons:
            reason = f"the layer had {size} neurons at this step and has {entry.neurons} at the latest"
        if reason is not None:
            entry.skipped.append((record.step, reason))
            continue
        entry.steps.append(record.point)
        entry.spaces.append(space)


def _describe_run(entries: Mapping[str, LayerEntry], has_space: bool) -> dict[str, Any]:
    skipped: list[dict[str, Any]] = []
    if not has_space:
        skipped.append({"step": None, "reason": "the concept space of this run is not in the log (yet)"})
    for layer, entry in entries.items():
        skipped += [{"layer": layer, **item} for item in _grouped(entry.skipped)]
    latest = max((e for e in entries.values() if e.steps), key=lambda e: e.steps[-1], default=None)
    return {
        "layers": {
            layer: {
                "neurons": entry.neurons,
                "steps": [step for step, _ in entry.steps],
                "wall_times": [wall_time for _, wall_time in entry.steps],
            }
            for layer, entry in sorted(entries.items())
        },
        "spaces": sorted({space for entry in entries.values() for space in entry.spaces}),
        "note": latest.note if latest is not None else "",
        "skipped": skipped,
        "sampled": {
            layer: {"kept": entry.kept, "logged": entry.logged}
            for layer, entry in sorted(entries.items())
            if entry.kept < entry.logged
        },
    }


def _grouped(skipped: Iterable[tuple[int, str]]) -> list[dict[str, Any]]:
    """List one entry per step, but one for all steps that share a reason and are many."""
    by_reason: dict[str, list[int]] = {}
    for step, reason in skipped:
        by_reason.setdefault(reason, []).append(step)
    result: list[dict[str, Any]] = []
    for reason, steps in by_reason.items():
        if len(steps) > 3:
            span = f"{len(steps)} steps from {steps[0]} to {steps[-1]}"
            result.append({"step": steps[0], "reason": f"{span}: {reason}"})
        else:
            result += [{"step": step, "reason": reason} for step in steps]
    return result
