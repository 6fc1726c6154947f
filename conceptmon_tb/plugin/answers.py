"""What each route answers, made of verified payloads; `app` turns it into HTTP."""

from __future__ import annotations

import csv
import difflib
import io
import math
from collections.abc import Collection, Mapping
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from conceptmon_tb.embedding_codec import base_embedding, decode_embedding, stored_text_embedding
from conceptmon_tb.metadata import IMAGES_TAG, SPACE_TAG, Payload, PayloadError, layer_tag, pack_payload
from conceptmon_tb.payloads import FLAG_INTERPRETABLE, FLAG_VALID, widen_ids
from conceptmon_tb.plugin.entry import LayerEntry, same_time
from conceptmon_tb.plugin.errors import BadRequestError, NotFoundError
from conceptmon_tb.plugin.index import RunIndex
from conceptmon_tb.plugin.neurons import (
    Part,
    bytes_per_neuron,
    count_concepts,
    count_images,
    read_neurons,
    stack_neurons,
)
from conceptmon_tb.plugin.records import RecordStore
from conceptmon_tb.plugin.source import BlobPoint, Source

MAX_ANSWER_BYTES = 256 * 1024 * 1024


class Answers:
    """The plugin's answers; holds all state that outlives a request.

    Args:
        store: Verified records.
        index: What every run holds.
    """

    def __init__(self, store: RecordStore | None = None, index: RunIndex | None = None) -> None:
        self._store = RecordStore() if store is None else store
        self._index = RunIndex(self._store) if index is None else index

    def runs(self, source: Source) -> dict[str, Any]:
        """Answer of `runs`."""
        return self._index.describe(source)

    def space(self, source: Source, run: str, fingerprint: str | None) -> bytes:
        """Answer of `space`: the space without its embeddings."""
        payload = self._space(source, run, fingerprint)
        names = ("words", "categories", "anchors", "encoder", "note", "projection", "fingerprint")
        attrs = {name: payload.attrs[name] for name in names}
        arrays = {name: payload.arrays[name] for name in ("position", "anchor_position")}
        return pack_payload("space", payload.step, attrs, arrays)

    def timeline(self, source: Source, run: str) -> dict[str, Any]:
        """Answer of `timeline`: the metrics of every usable step of every layer."""
        layers = {}
        for layer in sorted(self._layers(source, run)):
            entry = self._entry(source, run, layer)
            usable = set(entry.steps)
            tag = layer_tag(layer, "metrics")
            found = self._store.payloads(source, run, tag, entry.metrics_signature, usable)
            layers[layer] = [
                {
                    "step": record.step,
                    "wall_time": record.wall_time,
                    **_without(payload.attrs, "layer", "note"),
                }
                for record, payload in found
            ]
        return {"layers": layers}

    def layer(
        self,
        source: Source,
        run: str,
        layer: str,
        first: int | None = None,
        last: int | None = None,
        part: Part = "all",
    ) -> bytes:
        """Answer of `layer`: arrays of all usable steps, or of those in a range.

        Raises:
            BadRequestError: The answer would be too large.
        """
        entry = self._entry(source, run, layer)
        wanted = [
            step
            for step, _ in entry.steps
            if (first is None or step >= first) and (last is None or step <= last)
        ]
        if entry.blobs is not None and len(wanted) > 1:
            # The first step alone tells how much there is of the others.
            probe = self._read(source, run, layer, entry, wanted[:1], part).values()
            size = bytes_per_neuron(part, count_concepts(probe), count_images(probe)) * entry.neurons
            if size * len(wanted) > MAX_ANSWER_BYTES:
                raise BadRequestError(
                    f"an answer of some {size * len(wanted) >> 20} MiB; ask for at most "
                    f"{max(1, MAX_ANSWER_BYTES // size)} of these {len(wanted)} steps at once, with 'from' "
                    f"and 'to'" + ("" if part == "frames" else ", or for part=frames")
                )
        payloads = self._read(source, run, layer, entry, wanted, part)
        steps = [step for step in wanted if step in payloads]
        found = [payloads[step] for step in steps]
        spaces = {step: space for (step, _), space in zip(entry.steps, entry.spaces, strict=True)}
        attrs = {
            "layer": layer,
            "neurons": entry.neurons,
            "steps": steps,
            "space": [spaces[step] for step in steps],
            "top_concepts": count_concepts(found),
            "images": count_images(found),
        }
        latest = steps[-1] if steps else 0
        return pack_payload("layer", latest, attrs, stack_neurons(found, steps, entry.neurons, part))

    def neuron(self, source: Source, run: str, layer: str, neuron: int, step: int, k: int) -> dict[str, Any]:
        """Answer of `neuron`: one neuron's labels over time and its neighbours at a step."""
        entry = self._entry(source, run, layer)
        if not 0 <= neuron < entry.neurons:
            last = entry.neurons - 1
            raise NotFoundError(f"neuron {neuron} of layer {layer!r}: it has neurons 0 to {last}")
        fingerprint = self._fingerprint_at(entry, layer, step)
        payloads = self._read(source, run, layer, entry, [at for at, _ in entry.steps], "frames")
        arrays = self._read_one(source, run, layer, entry, step, "all").arrays
        names = _Names(self, source, run)
        history = [
            {"step": at, **_label(payloads[at].arrays, neuron, names.of(space))}
            for (at, _), space in zip(entry.steps, entry.spaces, strict=True)
            if at in payloads
        ]
        words, categories = names.of(fingerprint)
        ids, similarity = widen_ids(arrays["concept_ids"][neuron]), arrays["similarity"][neuron]
        nearest, problem = self._nearest(source, run, layer, entry, neuron, step, k)
        return {
            "run": run,
            "layer": layer,
            "neuron": neuron,
            **_label(arrays, neuron, (words, categories)),
            "step": step,
            "concepts": [
                {
                    "id": int(i),
                    "word": _at(words, i),
                    "category": _at(categories, i),
                    "similarity": _finite(s),
                }
                for i, s in zip(ids, similarity, strict=True)
                if i >= 0
            ],
            "position": [_finite(value) for value in arrays["position"][neuron]],
            "top_images": [int(i) for i in widen_ids(arrays["top_images"][neuron]) if i >= 0],
            "top_patches": _patches(arrays, neuron),
            "history": history,
            "nearest": [
                {"neuron": other, "cosine": cosine, **_label(arrays, other, (words, categories))}
                for other, cosine in nearest
            ],
            "nearest_error": problem,
        }

    def scalar_tags(self, source: Source, run: str) -> dict[str, Any]:
        """Answer of `scalars` without a tag."""
        self._layers(source, run)
        return {"tags": source.list_scalars(run)}

    def scalar_points(self, source: Source, run: str, tag: str) -> dict[str, Any]:
        """Answer of `scalars` with a tag."""
        self._layers(source, run)
        tags = source.list_scalars(run)
        if tag not in tags:
            close = difflib.get_close_matches(tag, tags)
            raise NotFoundError(f"scalar {tag!r} of run {run!r}", suggestions=close)
        points = source.read_scalars({run}, {tag}).get(run, {}).get(tag, [])
        return {"points": [[step, wall_time, _finite(value)] for step, wall_time, value in points]}

    def images(self, source: Source, run: str) -> dict[str, Any]:
        """Answer of `images` without a step: which image is where in which atlas page."""
        self._layers(source, run)
        pages, skipped, tile = [], [], 0
        for point in self._blob_points(source, run, IMAGES_TAG):
            try:
                payload = self._blob(source, run, IMAGES_TAG, "images", point)
            except PayloadError as error:
                skipped.append({"step": point.step, "reason": str(error)})
                continue
            tile = int(payload.attrs["tile"])
            pages.append(
                {
                    "step": point.step,
                    "tile": tile,
                    "columns": payload.attrs["columns"],
                    "ids": payload.arrays["ids"].tolist(),
                }
            )
        return {"tile": tile, "pages": pages, "skipped": skipped}

    def image_page(self, source: Source, run: str, step: int) -> bytes:
        """Answer of `images` with a step: one JPEG atlas page."""
        self._layers(source, run)
        for point in self._blob_points(source, run, IMAGES_TAG):
            if point.step == step:
                try:
                    return self._blob(source, run, IMAGES_TAG, "images", point).arrays["jpeg"].tobytes()
                except PayloadError as error:
                    raise NotFoundError(f"images of run {run!r} at step {step}: {error}") from error
        raise NotFoundError(f"images of run {run!r} at step {step}")

    def anchor(self, source: Source, run: str, word: str, fingerprint: str | None) -> dict[str, Any]:
        """Answer of `anchor`: where a word of the space is on the map."""
        payload = self._space(source, run, fingerprint)
        wanted = word.strip().casefold()
        for kind, names, positions in (
            ("anchor", payload.attrs["anchors"], payload.arrays["anchor_position"]),
            ("concept", payload.attrs["words"], payload.arrays["position"]),
        ):
            for index, name in enumerate(names):
                if str(name).casefold() == wanted:
                    position = [_finite(value) for value in positions[index]]
                    category = payload.attrs["categories"][index] if kind == "concept" else ""
                    return {
                        "word": name,
                        "kind": kind,
                        "index": index,
                        "category": category,
                        "position": position,
                    }
        known = sorted({str(name) for name in (*payload.attrs["words"], *payload.attrs["anchors"])})
        close = difflib.get_close_matches(wanted, known, n=5, cutoff=0.5)
        raise NotFoundError(f"{word!r} is not a word of the concept space of run {run!r}", suggestions=close)

    def export_rows(self, source: Source, run: str, layer: str, step: int) -> list[dict[str, Any]]:
        """Rows of `export`: one per neuron with its labels, place and displacement."""
        entry = self._entry(source, run, layer)
        fingerprint = self._fingerprint_at(entry, layer, step)
        arrays = self._read_one(source, run, layer, entry, step, "all").arrays
        words, categories = _Names(self, source, run).of(fingerprint)
        ids = widen_ids(arrays["concept_ids"])
        rows = []
        for neuron in range(entry.neurons):
            row: dict[str, Any] = {"run": run, "layer": layer, "step": step, "neuron": neuron}
            row.update(_label(arrays, neuron, (words, categories)))
            for rank, (concept, similarity) in enumerate(
                zip(ids[neuron], arrays["similarity"][neuron], strict=True)
            ):
                if rank:
                    row[f"word_{rank + 1}"] = _at(words, concept)
                    row[f"similarity_{rank + 1}"] = _finite(similarity) if concept >= 0 else None
            row["x"], row["y"] = (_finite(value) for value in arrays["position"][neuron])
            rows.append(row)
        return rows

    def export_csv(self, source: Source, run: str, layer: str, step: int) -> str:
        """Rows of `export` as CSV with a header line; unknown numbers are empty fields."""
        rows = self.export_rows(source, run, layer, step)
        file = io.StringIO()
        writer = csv.DictWriter(file, list(rows[0]) if rows else [], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return file.getvalue()

    def _layers(self, source: Source, run: str) -> list[str]:
        layers = self._index.layers(source, run)
        if not layers and run not in source.list_blobs(run):
            raise NotFoundError(f"run {run!r} has no concept data")
        return layers

    def _entry(self, source: Source, run: str, layer: str) -> LayerEntry:
        entry = self._index.entry(source, run, layer)
        if entry is None:
            listed = ", ".join(sorted(self._layers(source, run))) or "none"
            raise NotFoundError(f"layer {layer!r} of run {run!r}: its layers are {listed}")
        return entry

    def _fingerprint_at(self, entry: LayerEntry, layer: str, step: int) -> str:
        for (known, _), space in zip(entry.steps, entry.spaces, strict=True):
            if known == step:
                return space
        reason = next((f": {flaw.reason}" for bad, flaw in entry.skipped if bad == step), "")
        raise NotFoundError(f"step {step} of layer {layer!r}{reason}")

    def _read(
        self,
        source: Source,
        run: str,
        layer: str,
        entry: LayerEntry,
        steps: Collection[int],
        part: Part,
    ) -> dict[int, Payload]:
        return read_neurons(self._store, source, run, layer, entry, steps, part)

    def _read_one(
        self, source: Source, run: str, layer: str, entry: LayerEntry, step: int, part: Part
    ) -> Payload:
        found = self._read(source, run, layer, entry, [step], part)
        if step not in found:
            raise NotFoundError(f"step {step} of layer {layer!r}: its neurons cannot be used")
        return found[step]

    def _blob_points(self, source: Source, run: str, tag: str) -> list[BlobPoint]:
        if tag not in source.list_blobs(run).get(run, {}):
            return []
        return source.blob_points(run, tag)

    def _blob(self, source: Source, run: str, tag: str, kind: str, point: BlobPoint) -> Payload:
        if point.key is None:
            raise PayloadError("an empty record")
        return self._store.blob(source, run, tag, kind, point.step, point.wall_time, point.key)

    def _space(self, source: Source, run: str, fingerprint: str | None) -> Payload:
        self._layers(source, run)
        problems = []
        for point in reversed(self._blob_points(source, run, SPACE_TAG)):
            try:
                payload = self._blob(source, run, SPACE_TAG, "space", point)
            except PayloadError as error:
                problems.append(f"step {point.step}: {error}")
                continue
            if fingerprint is None or payload.attrs["fingerprint"] == fingerprint:
                return payload
        which = "the concept space" if fingerprint is None else f"concept space {fingerprint!r}"
        raise NotFoundError(f"{which} of run {run!r} is not in its log" + "".join(f"; {p}" for p in problems))

    def _nearest(
        self, source: Source, run: str, layer: str, entry: LayerEntry, neuron: int, step: int, k: int
    ) -> tuple[list[tuple[int, float]], str | None]:
        """Return the neurons with the closest embeddings, or why they are not known."""
        tag = layer_tag(layer, "embedding")
        logged = dict(entry.steps)
        # The Python loader keeps the first blob of a step that was logged twice: that one is not ours.
        points = [
            p
            for p in self._blob_points(source, run, tag)
            if p.step == step and same_time(p.wall_time, logged[step])
        ]
        if not points:
            return [], f"the embeddings of step {step} are not in the log"
        try:
            payload = self._blob(source, run, tag, "embedding", points[0])
            base = np.zeros(0, np.float32)
            if payload.attrs["codec"] == "space":
                space = self._space(source, run, payload.attrs["space"])
                base = base_embedding(stored_text_embedding(space.arrays["text_embedding"]))
            embedding = decode_embedding(payload.attrs["codec"], payload.arrays, base)
        except (PayloadError, NotFoundError, KeyError, ValueError) as error:
            return [], str(error)
        if len(embedding) != entry.neurons:
            return [], f"the embeddings of step {step} are of {len(embedding)} neurons"
        length = np.linalg.norm(embedding, axis=1)
        if not length[neuron]:
            return [], None
        unit = np.divide(embedding, length[:, None], out=np.zeros_like(embedding), where=length[:, None] > 0)
        cosine = unit @ unit[neuron]
        order = [int(i) for i in np.argsort(-cosine, kind="stable") if i != neuron and length[i]]
        return [(i, round(float(cosine[i]), 6)) for i in order[:k]], None


class _Names:
    """Words and categories of the spaces of a run, each looked up once; empty where a space is lost."""

    def __init__(self, answers: Answers, source: Source, run: str) -> None:
        self._look_up = partial(answers._space, source, run)  # noqa: SLF001
        self._known: dict[str, tuple[list[str], list[str]]] = {}

    def of(self, fingerprint: str) -> tuple[list[str], list[str]]:
        if fingerprint not in self._known:
            try:
                attrs = self._look_up(fingerprint).attrs
                self._known[fingerprint] = (attrs["words"], attrs["categories"])
            except NotFoundError:
                self._known[fingerprint] = ([], [])
        return self._known[fingerprint]


def _label(
    arrays: Mapping[str, npt.NDArray[Any]], neuron: int, names: tuple[list[str], list[str]]
) -> dict[str, Any]:
    words, categories = names
    ids = widen_ids(arrays["concept_ids"][neuron])
    best = int(ids[0]) if ids.size else -1
    flags = int(arrays["flags"][neuron])
    return {
        "valid": bool(flags & FLAG_VALID),
        "interpretable": bool(flags & FLAG_INTERPRETABLE),
        "word": _at(words, best),
        "category": _at(categories, best),
        "similarity": _finite(arrays["similarity"][neuron][0]) if best >= 0 else None,
        "displacement": _finite(arrays["displacement"][neuron]),
    }


def _patches(arrays: Mapping[str, npt.NDArray[Any]], neuron: int) -> list[list[int] | None]:
    """The box in each of a neuron's images, None where it is not known; empty without any."""
    if "top_patches" not in arrays:
        return []
    known = widen_ids(arrays["top_images"][neuron]) >= 0
    boxes = arrays["top_patches"][neuron][known]
    return [box.tolist() if box.any() else None for box in boxes]


def _at(names: list[str], index: int) -> str:
    return str(names[index]) if 0 <= index < len(names) else ""


def _finite(value: Any) -> float | None:
    return float(str(value)) if math.isfinite(value) else None


def _without(attrs: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in attrs.items() if name not in names}
