"""What a listing says of layers: which there are, how many are shown, and how to read them together."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from conceptmon_tb.metadata import parse_layer_tag, shown
from conceptmon_tb.plugin.source import Listing, Signature

MAX_LAYERS = 1000
"""Layers of a run that are shown; MAX_LAYERS_IN_ALL of all runs together. A log may hold a million tags."""

MAX_LAYERS_IN_ALL = 20_000

_MAX_TOLD = 3
_SETTLED_SECONDS = 60


class Kinds(NamedTuple):
    """Listing of a layer: its metrics, and its neurons, which are tensors or, in large layers, blobs."""

    metrics: Signature
    neurons: Signature
    is_blob: bool


Layers = Mapping[tuple[str, str], Kinds]
"""Layers by run and name."""


def list_layers(tensors: Listing, blobs: Listing) -> tuple[Layers, dict[str, list[dict[str, Any]]]]:
    """Layers by run and name, and of each run what is left out of it, as `skipped` tells it."""
    found: dict[tuple[str, str], Kinds] = {}
    left_out: dict[str, list[dict[str, Any]]] = {}
    for run, tags in tensors.items():
        metrics, neurons = _by_layer(tags, "metrics"), _by_layer(tags, "neurons")
        large = _by_layer(blobs.get(run, {}), "neurons")
        names = [name for name in metrics if name in neurons or name in large]
        room = max(0, min(MAX_LAYERS, MAX_LAYERS_IN_ALL - len(found)))
        if len(names) > room:
            told = f"{len(names)} layers, of which {room} are shown"
            left_out.setdefault(run, []).append({"step": None, "reason": told, "code": "missing"})
            names = heapq.nsmallest(room, names)
        for layer in names:
            if layer in neurons:
                found[run, layer] = Kinds(metrics[layer], neurons[layer], is_blob=False)
            else:
                found[run, layer] = Kinds(metrics[layer], large[layer], is_blob=True)
        alone = sorted({*neurons, *large} ^ metrics.keys())
        newest = max((signature.max_wall_time for signature in tags.values()), default=0.0)
        # While an epoch is being read, one half of it may be listed before the other.
        if alone and time.time() - newest > _SETTLED_SECONDS:
            told = ", ".join(shown(name) for name in alone[:_MAX_TOLD])
            reason = f"only a part of what is logged of {len(alone)} layers is in the log: {told}"
            left_out.setdefault(run, []).append({"step": None, "reason": reason, "code": "missing"})
    return found, left_out


def _by_layer(tags: Mapping[str, Signature], kind: str) -> dict[str, Signature]:
    parsed = ((parse_layer_tag(tag), signature) for tag, signature in tags.items())
    return {found[0]: signature for found, signature in parsed if found is not None and found[1] == kind}


def batches(
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
                yield from _parts(group, weigh, limit)
                continue
            if batch and weight + added > limit:
                yield batch
                batch, weight = [], 0
            batch += group
            weight += added
        if batch:
            yield batch


def _parts(
    keys: list[tuple[str, str]], weigh: Callable[[tuple[str, str]], int], limit: int
) -> Iterator[list[tuple[str, str]]]:
    """Layers of one run in groups up to a limit; one that is beyond it alone."""
    part: list[tuple[str, str]] = []
    weight = 0
    for key in keys:
        if part and weight + weigh(key) > limit:
            yield part
            part, weight = [], 0
        part.append(key)
        weight += weigh(key)
    if part:
        yield part
