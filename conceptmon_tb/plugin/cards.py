"""What the card of one neuron shows: its labels over time, its neighbours, and its like in other runs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from conceptmon_tb.metadata import Payload
from conceptmon_tb.payloads import widen_ids
from conceptmon_tb.plugin.embeddings import StepEmbedding, read_embedding
from conceptmon_tb.plugin.entry import LoggedLayer
from conceptmon_tb.plugin.errors import NotFoundError
from conceptmon_tb.plugin.labels import NamesOfSpace, finite, label_neuron, name_at
from conceptmon_tb.plugin.lookup import Lookup, Names
from conceptmon_tb.plugin.source import Source
from conceptmon_tb.snapshot import FloatArray

MAX_ACROSS = 20

_STEPS_AT_ONCE = 4


class NeuronCards:
    """Answers the route `neuron`.

    Args:
        lookup: Finds what a request names.
    """

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup

    def describe(
        self,
        source: Source,
        run: str,
        layer: str,
        neuron: int,
        step: int,
        k: int,
        across: bool,
        film: Collection[int] = (),
    ) -> dict[str, Any]:
        """Return the answer of `neuron`.

        Args:
            source: The request's source.
            run: Any name.
            layer: Any name.
            neuron: Any number.
            step: Any number.
            k: Number of neighbours.
            across: Whether to look for its like in other layers and runs.
            film: Steps whose concepts and images are told too; those that are not in the log are left out.

        Raises:
            NotFoundError: There is no such run, layer, neuron or step.
        """
        logged = self._lookup.layer(source, run, layer)
        if not 0 <= neuron < logged.entry.neurons:
            last = logged.entry.neurons - 1
            raise NotFoundError(f"neuron {neuron} of layer {layer!r}: it has neurons 0 to {last}")
        fingerprint = logged.space_at(step)
        payload = self._lookup.neurons_at(logged, step, "all")
        arrays = payload.arrays
        names = Names(self._lookup, source, run)
        embedding, problem = self._embedding(logged, step)
        card: dict[str, Any] = {
            "run": run,
            "layer": layer,
            "neuron": neuron,
            **_describe(payload, neuron, names.of(fingerprint)),
            "step": step,
            "history": self._history(logged, neuron, names, set(film)),
            "nearest": [],
            "nearest_euclidean": [],
            "nearest_error": problem,
        }
        if across:
            card |= {"across": [], "across_left_out": 0}
        if embedding is None or not embedding.present[neuron]:
            return card
        direction = embedding.take(np.array([neuron]))[0]
        card["nearest"] = [
            {"neuron": other, "cosine": cosine, **label_neuron(arrays, other, names.of(fingerprint))}
            for other, cosine in _best(embedding.cosines(direction), k, without=neuron)
        ]
        card["nearest_euclidean"] = [
            {"neuron": other, "distance": -closeness, **label_neuron(arrays, other, names.of(fingerprint))}
            for other, closeness in _best(-embedding.euclidean(direction), k, without=neuron)
        ]
        if across:
            card |= self._across(logged, step, fingerprint, direction)
        return card

    def _history(
        self, logged: LoggedLayer, neuron: int, names: Names, film: Collection[int]
    ) -> list[dict[str, Any]]:
        steps = [step for step, _ in logged.entry.steps]
        payloads = self._lookup.neurons(logged, steps, "frames")
        details = self._details(logged, neuron, names, film)
        return [
            {
                "step": step,
                **label_neuron(payloads[step].arrays, neuron, names.of(space)),
                **details.get(step, {}),
            }
            for step, space in zip(steps, logged.entry.spaces, strict=True)
            if step in payloads
        ]

    def _details(
        self, logged: LoggedLayer, neuron: int, names: Names, film: Collection[int]
    ) -> dict[int, dict[str, Any]]:
        """What a card shows of some steps: much more than the map needs, so few are held at once."""
        spaces = zip(logged.entry.steps, logged.entry.spaces, strict=True)
        chosen = [(step, space) for (step, _), space in spaces if step in film]
        told = {}
        for start in range(0, len(chosen), _STEPS_AT_ONCE):
            part = dict(chosen[start : start + _STEPS_AT_ONCE])
            for step, payload in self._lookup.neurons(logged, list(part), "details").items():
                told[step] = tell_details(payload, neuron, names.of(part[step]))
        return told

    def _embedding(self, logged: LoggedLayer, step: int) -> tuple[StepEmbedding | None, str | None]:
        try:
            return read_embedding(self._lookup, logged, step), None
        except NotFoundError as error:
            return None, str(error)

    def _across(self, own: LoggedLayer, step: int, fingerprint: str, direction: FloatArray) -> dict[str, Any]:
        """The closest neuron of every other layer whose embeddings are in the same space."""
        candidates = self._lookup.index.layers_in_space(own.source, fingerprint)
        candidates.pop((own.run, own.name), None)
        # First the layers of the run, then the same layer of other runs, then the rest.
        order = sorted(candidates, key=lambda key: (key[0] != own.run, key[1] != own.name, key))
        rows = []
        for run, layer in order[:MAX_ACROSS]:
            nearest = min(candidates[run, layer], key=lambda other: (abs(other - step), other))
            try:
                row = self._closest(own.source, run, layer, nearest, fingerprint, direction)
            except NotFoundError:
                continue
            rows += [] if row is None else [row]
        rows.sort(key=lambda row: -row["cosine"])
        return {"across": rows, "across_left_out": len(order[MAX_ACROSS:])}

    def _closest(
        self, source: Source, run: str, layer: str, step: int, fingerprint: str, direction: FloatArray
    ) -> dict[str, Any] | None:
        logged = self._lookup.layer(source, run, layer)
        embedding = (
            read_embedding(self._lookup, logged, step) if logged.space_at(step) == fingerprint else None
        )
        if embedding is None or embedding.dim != len(direction):
            return None
        arrays = self._lookup.neurons_at(logged, step, "frames").arrays
        names = Names(self._lookup, source, run).of(fingerprint)
        for neuron, cosine in _best(embedding.cosines(direction), 1):
            label = label_neuron(arrays, neuron, names)
            return {"run": run, "layer": layer, "step": step, "neuron": neuron, "cosine": cosine, **label}
        return None


def _describe(payload: Payload, neuron: int, names: NamesOfSpace) -> dict[str, Any]:
    return {
        **label_neuron(payload.arrays, neuron, names),
        **tell_details(payload, neuron, names),
        "position": [finite(value) for value in payload.arrays["position"][neuron]],
    }


def tell_details(payload: Payload, neuron: int, names: NamesOfSpace) -> dict[str, Any]:
    """Tell a neuron's top concepts, most activating images, linear explanation and description.

    Args:
        payload: Of kind "neurons", with the arrays of "details".
        neuron: Its number.
        names: Of the step's space.
    """
    arrays = payload.arrays
    descriptions = payload.attrs.get("descriptions", [])
    return {
        "concepts": _weighted_concepts(arrays, "concept_ids", "similarity", neuron, names),
        "top_images": [int(i) for i in widen_ids(arrays["top_images"][neuron]) if i >= 0],
        "top_patches": _patches(arrays, neuron),
        "explanation": _weighted_concepts(arrays, "explanation_ids", "explanation_weights", neuron, names),
        "explanation_fit": _number_of(arrays, "explanation_fit", neuron),
        "num_concepts": _number_of(arrays, "num_concepts", neuron),
        "description": descriptions[neuron] if descriptions else "",
    }


def _weighted_concepts(
    arrays: Mapping[str, npt.NDArray[Any]], ids: str, values: str, neuron: int, names: NamesOfSpace
) -> list[dict[str, Any]]:
    """A neuron's concepts, each with its similarity or its weight; empty where none were logged."""
    if ids not in arrays:
        return []
    words, categories = names
    key = "similarity" if values == "similarity" else "weight"
    return [
        {"id": int(i), "word": name_at(words, i), "category": name_at(categories, i), key: finite(value)}
        for i, value in zip(widen_ids(arrays[ids][neuron]), arrays[values][neuron], strict=True)
        if i >= 0
    ]


def _number_of(arrays: Mapping[str, npt.NDArray[Any]], name: str, neuron: int) -> float | None:
    return finite(arrays[name][neuron]) if name in arrays else None


def _patches(arrays: Mapping[str, npt.NDArray[Any]], neuron: int) -> list[list[int] | None]:
    """The box in each of a neuron's images, None where it is not known; empty without any."""
    if "top_patches" not in arrays:
        return []
    known = widen_ids(arrays["top_images"][neuron]) >= 0
    boxes = arrays["top_patches"][neuron][known]
    return [box.tolist() if box.any() else None for box in boxes]


def _best(closeness: FloatArray, count: int, without: int = -1) -> list[tuple[int, float]]:
    """The closest neurons, the lower number first where equal; those without embedding are left out."""
    usable = np.flatnonzero(np.isfinite(closeness))
    usable = usable[usable != without]
    order = usable[np.argsort(-closeness[usable], kind="stable")][:count]
    return [(int(neuron), round(float(closeness[neuron]), 6)) for neuron in order]
