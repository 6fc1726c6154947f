"""Answers the route `evolutions`: which pairs of epochs were compared, and what matters to a class.

A table is one blob for each pair of epochs. Only the row of the class that is asked for is decoded.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from conceptmon_tb.evolution_records import places_of, rank, scale_sensitivity
from conceptmon_tb.metadata import Payload, PayloadError, evolutions_tag, parse_evolutions_tag
from conceptmon_tb.plugin.cards import tell_details
from conceptmon_tb.plugin.errors import NotFoundError
from conceptmon_tb.plugin.labels import finite, label_neuron
from conceptmon_tb.plugin.lookup import Lookup, Names
from conceptmon_tb.plugin.source import Source
from conceptmon_tb.plugin.suggestions import suggest

Order = Literal["most", "least"]

MAX_PAIRS = 1000
MAX_CLASSES = 10_000
MAX_LAYERS = 1000

_MAX_LISTED = 20
_SHOWN = 200


class EvolutionTables:
    """Answers the route `evolutions`.

    Args:
        lookup: Finds what a request names.
    """

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup

    def pairs(self, source: Source, run: str) -> dict[str, Any]:
        """Which pairs of epochs have a table, by the later one; nothing of them is read.

        Raises:
            NotFoundError: The run has no concept data.
        """
        self._lookup.layers(source, run)
        found = []
        # By the listing that tables are looked up in: what is told can be asked for.
        for tag, signature in self._lookup.index.blob_tags(source, run).items():
            pair = parse_evolutions_tag(tag)
            if pair is not None and pair[0] < pair[1] == signature.max_step:
                found.append({"from": pair[0], "to": pair[1], "wall_time": signature.max_wall_time})
        found.sort(key=lambda pair: (pair["to"], pair["from"]))
        return {"pairs": found[:MAX_PAIRS], "left_out": max(0, len(found) - MAX_PAIRS)}

    def describe(self, source: Source, run: str, first: int, last: int) -> dict[str, Any]:
        """Classes and layers of one pair's table.

        Raises:
            NotFoundError: There is no such table, or it cannot be used.
        """
        table = self._table(source, run, first, last)
        attrs, images = table.attrs, table.arrays["num_images"].tolist()
        classes, layers = attrs["classes"], attrs["layers"]
        return {
            "from": first,
            "to": last,
            "classes": [
                {"name": name, "images": count}
                for name, count in zip(classes[:MAX_CLASSES], images, strict=False)
            ],
            "layers": [
                {"name": name, "neurons": count}
                for name, count in zip(layers[:MAX_LAYERS], attrs["neurons"], strict=False)
            ],
            "left_out": max(0, len(classes) - MAX_CLASSES) + max(0, len(layers) - MAX_LAYERS),
        }

    def ranked(
        self,
        source: Source,
        run: str,
        pair: tuple[int, int],
        class_name: str,
        layer: str | None,
        k: int,
        order: Order,
    ) -> dict[str, Any]:
        """The evolutions that matter most, or least, to a class, with the neurons before and after.

        Args:
            source: The request's source.
            run: Any name.
            pair: Any two steps.
            class_name: Any name.
            layer: Any name; None for all layers together.
            k: How many.
            order: Which end comes first.

        Raises:
            NotFoundError: There is no such run, table, class or layer.
        """
        table = self._table(source, run, *pair)
        names, layers, neurons = (list(table.attrs[name]) for name in ("classes", "layers", "neurons"))
        if class_name not in names:
            raise NotFoundError(
                f"class {class_name[:_SHOWN]!r} in the evolutions from step {pair[0]} to {pair[1]}",
                suggestions=suggest(class_name, names[:MAX_CLASSES]),
            )
        if layer is not None and layer not in layers:
            listed = ", ".join(layers[:_MAX_LISTED])
            raise NotFoundError(f"layer {layer[:_SHOWN]!r} in these evolutions; they have {listed}")
        row = names.index(class_name)
        images = int(table.arrays["num_images"][row])
        positive = table.arrays["positive"][row]
        sensitivity = scale_sensitivity(
            table.arrays["sensitivity"][row : row + 1], table.arrays["scale"][row : row + 1]
        )[0]
        columns = np.arange(len(positive))
        if layer is not None:
            start = sum(neurons[: layers.index(layer)])
            columns = columns[start : start + neurons[layers.index(layer)]]
        ranked = columns[rank(positive[columns], sensitivity[columns])]
        chosen = (ranked[::-1] if order == "least" else ranked)[:k].tolist()
        shown = _Neurons(self._lookup, source, run, pair, dict(zip(layers, neurons, strict=True)))
        rows = []
        for number, (column, place) in enumerate(
            zip(chosen, places_of(chosen, layers, neurons), strict=True)
        ):
            before, after = shown.tell(*place)
            rows.append(
                {
                    "rank": len(ranked) - number if order == "least" else number + 1,
                    "layer": place[0],
                    "neuron": place[1],
                    "score": round(int(positive[column]) / images, 6),
                    "positive": int(positive[column]),
                    "sensitivity": finite(sensitivity[column]),
                    "before": before,
                    "after": after,
                }
            )
        return {
            "from": pair[0],
            "to": pair[1],
            "class": class_name,
            "images": images,
            "layer": layer,
            "order": order,
            "total": len(ranked),
            "unranked": len(columns) - len(ranked),
            "evolutions": rows,
        }

    def _table(self, source: Source, run: str, first: int, last: int) -> Payload:
        self._lookup.layers(source, run)
        tag = evolutions_tag(first, last)
        for point in self._lookup.blob_points(source, run, tag):
            if point.step == last:
                try:
                    payload = self._lookup.blob(source, run, tag, "evolutions", point)
                except PayloadError as error:
                    raise NotFoundError(f"the evolutions from step {first} to {last}: {error}") from error
                if payload.attrs["from_step"] == first:
                    return payload
        known = self.pairs(source, run)["pairs"][:_MAX_LISTED]
        listed = ", ".join(f"{pair['from']} to {pair['to']}" for pair in known) or "none"
        raise NotFoundError(f"evolutions from step {first} to {last} in run {run!r}; there are {listed}")


class _Neurons:
    """What neurons detected at two steps; each layer is read once."""

    def __init__(
        self, lookup: Lookup, source: Source, run: str, steps: tuple[int, int], neurons: dict[str, int]
    ) -> None:
        self._lookup, self._source, self._run, self._steps = lookup, source, run, steps
        self._expected = neurons
        self._names = Names(lookup, source, run)
        self._known: dict[str, dict[int, tuple[Payload, str]]] = {}

    def tell(self, layer: str, neuron: int) -> list[dict[str, Any] | None]:
        """One neuron at both steps; None where the run has not logged it."""
        if layer not in self._known:
            self._known[layer] = self._read(layer)
        told: list[dict[str, Any] | None] = []
        for step in self._steps:
            if step not in self._known[layer]:
                told.append(None)
                continue
            payload, space = self._known[layer][step]
            names = self._names.of(space)
            label = label_neuron(payload.arrays, neuron, names)
            told.append({"step": step, **label, **tell_details(payload, neuron, names)})
        return told

    def _read(self, layer: str) -> dict[int, tuple[Payload, str]]:
        try:
            logged = self._lookup.layer(self._source, self._run, layer)
        except NotFoundError:
            return {}
        if logged.entry.neurons != self._expected[layer]:
            return {}  # another layer of this name
        wanted = [step for step, _ in logged.entry.steps if step in self._steps]
        found = self._lookup.neurons(logged, wanted, "all")
        return {step: (payload, logged.space_at(step)) for step, payload in found.items()}
