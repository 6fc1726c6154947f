"""What each route answers, made of verified payloads; `app` turns it into HTTP."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from conceptmon_tb.alert_records import unpack_alerts
from conceptmon_tb.csv_text import csv_text
from conceptmon_tb.metadata import ALERTS_TAG, IMAGES_TAG, Payload, PayloadError, layer_tag, pack_payload
from conceptmon_tb.payload_checks import METRICS
from conceptmon_tb.payloads import widen_ids
from conceptmon_tb.plugin.cards import NeuronCards
from conceptmon_tb.plugin.distances import Distances
from conceptmon_tb.plugin.errors import BadRequestError, NotFoundError
from conceptmon_tb.plugin.evolutions import EvolutionTables
from conceptmon_tb.plugin.index import RunIndex
from conceptmon_tb.plugin.labels import finite, label_neuron, name_at
from conceptmon_tb.plugin.live_words import LiveWords
from conceptmon_tb.plugin.lookup import Lookup, Names
from conceptmon_tb.plugin.neurons import (
    Part,
    bytes_per_neuron,
    count_concepts,
    count_images,
    stack_neurons,
)
from conceptmon_tb.plugin.records import RecordStore
from conceptmon_tb.plugin.source import BlobPoint, Source
from conceptmon_tb.plugin.suggestions import suggest
from conceptmon_tb.plugin.words import Words

MAX_ANSWER_BYTES = 256 * 1024 * 1024

MAX_PAGES = 4096
MAX_TAGS = 10_000

_READERS = 4
_TIMELINE = sorted(METRICS - {"layer", "note"})
_EVIDENCE = ("series", "change", "needed", "noise")


class Answers:
    """The plugin's answers; holds all state that outlives a request.

    Args:
        store: Verified records.
        index: What every run holds.
        live: Embeds words that a reader types.
    """

    def __init__(
        self,
        store: RecordStore | None = None,
        index: RunIndex | None = None,
        live: LiveWords | None = None,
    ) -> None:
        self._store = RecordStore() if store is None else store
        self._index = RunIndex(self._store) if index is None else index
        self._lookup = Lookup(self._store, self._index)
        self._cards = NeuronCards(self._lookup)
        self._words = Words(live)
        self._distances = Distances(self._lookup, self._words)
        self.evolutions = EvolutionTables(self._lookup)

    def runs(self, source: Source) -> dict[str, Any]:
        """Answer of `runs`."""
        return self._index.describe(source)

    def space(self, source: Source, run: str, fingerprint: str | None) -> bytes:
        """Answer of `space`: the space without its embeddings."""
        payload = self._lookup.space(source, run, fingerprint)
        names = ("words", "categories", "anchors", "encoder", "note", "projection", "fingerprint")
        attrs = {name: payload.attrs[name] for name in names}
        attrs["encoder_fingerprint"] = payload.attrs.get("encoder_fingerprint", "")
        arrays = {name: payload.arrays[name] for name in ("position", "anchor_position")}
        return pack_payload("space", payload.step, attrs, arrays)

    def timeline(self, source: Source, run: str) -> dict[str, Any]:
        """Answer of `timeline`: the metrics of every usable step of every layer."""
        layers = {}
        for layer in self._lookup.layers(source, run):
            entry = self._lookup.layer(source, run, layer).entry
            usable = set(entry.steps)
            tag = layer_tag(layer, "metrics")
            found = self._store.payloads(source, run, tag, entry.metrics_signature, usable)
            layers[layer] = [
                {
                    "step": record.step,
                    "wall_time": record.wall_time,
                    # What nobody has checked is not handed on.
                    **{name: payload.attrs[name] for name in _TIMELINE if name in payload.attrs},
                }
                for record, payload in found
            ]
        return {"layers": layers}

    def alerts(self, source: Source, run: str) -> dict[str, Any]:
        """Answer of `alerts`: what the rules raised while the run was trained, and where they looked."""
        self._lookup.layers(source, run)
        signature = source.list_tensors(run).get(run, {}).get(ALERTS_TAG)
        if signature is None:
            return {"checked": [], "alerts": [], "skipped": []}
        found = self._store.payloads(source, run, ALERTS_TAG, signature)
        records = self._store.records(source, run, ALERTS_TAG, signature)
        told: list[dict[str, Any]] = []
        holding: dict[tuple[str, str, int], list[dict[str, Any]]] = {}
        for _, payload in found:
            raised, ended, _ = unpack_alerts(payload)
            for alert in raised:
                evidence = {name: alert.evidence.get(name) for name in _EVIDENCE}
                told.append({**vars(alert), "evidence": evidence, "ended": None})
                holding.setdefault((alert.rule, alert.layer, alert.step), []).append(told[-1])
            for key in ended:
                for entry in holding.pop(key, ()):
                    entry["ended"] = payload.step
        return {
            "checked": [record.step for record, _ in found],
            "alerts": told,
            "skipped": [{"step": r.step, "reason": r.flaw.reason} for r in records if r.flaw is not None],
        }

    def layer(
        self,
        source: Source,
        run: str,
        layer: str,
        first: int | None = None,
        last: int | None = None,
        part: Part = "all",
        take_room: Callable[[int], None] | None = None,
    ) -> bytes:
        """Answer of `layer`: arrays of all usable steps, or of those in a range.

        Args:
            source: The request's source.
            run: A run.
            layer: One of its layers.
            first: First step, None for all.
            last: Last step, None for all.
            part: Which arrays.
            take_room: Called with the size of the answer before it is made.

        Raises:
            BadRequestError: The answer would be too large.
        """
        logged = self._lookup.layer(source, run, layer)
        entry = logged.entry
        wanted = [
            step
            for step, _ in entry.steps
            if (first is None or step >= first) and (last is None or step <= last)
        ]
        if len(wanted) > 1 or (wanted and entry.blobs is not None):
            # The first step alone tells how much there is of the others.
            probe = self._lookup.neurons(logged, wanted[:1], part).values()
            size = bytes_per_neuron(part, count_concepts(probe), count_images(probe)) * entry.neurons
            _check_size(size, len(wanted), part)
            if take_room is not None:
                take_room(size * len(wanted))
        payloads = self._lookup.neurons(logged, wanted, part)
        steps = [step for step in wanted if step in payloads]
        found = [payloads[step] for step in steps]
        # All steps are filled up to the one that has the most.
        _check_size(
            bytes_per_neuron(part, count_concepts(found), count_images(found)) * entry.neurons,
            len(found),
            part,
        )
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

    def neuron(
        self,
        source: Source,
        run: str,
        layer: str,
        neuron: int,
        step: int,
        k: int,
        across: bool = False,
        film: Sequence[int] = (),
    ) -> dict[str, Any]:
        """Answer of `neuron`: one neuron's labels over time and its neighbours at a step."""
        return self._cards.describe(source, run, layer, neuron, step, k, across, film)

    def scalar_tags(self, source: Source, run: str) -> dict[str, Any]:
        """Answer of `scalars` without a tag."""
        self._lookup.layers(source, run)
        tags = source.list_scalars(run)
        return {"tags": tags[:MAX_TAGS], "left_out": max(0, len(tags) - MAX_TAGS)}

    def scalar_points(self, source: Source, run: str, tag: str) -> dict[str, Any]:
        """Answer of `scalars` with a tag."""
        self._lookup.layers(source, run)
        tags = source.list_scalars(run)
        if tag not in tags:
            raise NotFoundError(f"scalar {tag!r} of run {run!r}", suggestions=suggest(tag, tags[:MAX_TAGS]))
        points = source.read_scalars({run}, {tag}).get(run, {}).get(tag, [])
        return {"points": [[step, wall_time, finite(value)] for step, wall_time, value in points]}

    def images(self, source: Source, run: str) -> dict[str, Any]:
        """Answer of `images` without a step: which image is where in which atlas page."""
        self._lookup.layers(source, run)
        pages, skipped, tile = [], [], 0

        def read(point: BlobPoint) -> Payload | str:
            try:
                return self._lookup.blob(source, run, IMAGES_TAG, "images", point)
            except PayloadError as error:
                self._lookup.note(source, run, IMAGES_TAG, point, error)
                return str(error)

        points = self._lookup.blob_points(source, run, IMAGES_TAG)
        # The data server stalls on some reads: the others need not wait for those.
        with ThreadPoolExecutor(_READERS) as pool:
            found = list(pool.map(read, points[:MAX_PAGES]))
        if len(points) > MAX_PAGES:
            told = f"{len(points)} pages, of which {MAX_PAGES} are shown"
            skipped.append({"step": points[MAX_PAGES].step, "reason": told})
        for point, payload in zip(points, found, strict=False):
            if isinstance(payload, str):
                skipped.append({"step": point.step, "reason": payload})
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
        self._lookup.layers(source, run)
        for point in self._lookup.blob_points(source, run, IMAGES_TAG):
            if point.step == step:
                try:
                    return (
                        self._lookup.blob(source, run, IMAGES_TAG, "images", point).arrays["jpeg"].tobytes()
                    )
                except PayloadError as error:
                    raise NotFoundError(f"images of run {run!r} at step {step}: {error}") from error
        raise NotFoundError(f"images of run {run!r} at step {step}")

    def anchor(self, source: Source, run: str, word: str, fingerprint: str | None) -> dict[str, Any] | None:
        """Answer of `anchor`: where a word is on the map; None while its encoder is loading."""
        found = self._words.place(self._lookup.space(source, run, fingerprint), word)
        if found is None:
            return None
        return {
            "word": found.name,
            "kind": found.kind,
            "index": found.index,
            "category": found.category,
            "position": [finite(value) for value in found.position],
        }

    def distances(
        self, source: Source, run: str, layer: str, words: Sequence[str], step: int | None
    ) -> dict[str, Any]:
        """Answer of `distances`: of some words over the steps, or of the whole space at one step."""
        if words:
            return self._distances.of_words(source, run, layer, words, step)
        if step is None:
            raise BadRequestError("parameter 'step' is missing: give it, or words")
        return self._distances.of_step(source, run, layer, step)

    def export_rows(self, source: Source, run: str, layer: str, step: int) -> list[dict[str, Any]]:
        """Rows of `export`: one per neuron with its labels, place and displacement."""
        logged = self._lookup.layer(source, run, layer)
        fingerprint = logged.space_at(step)
        arrays = self._lookup.neurons_at(logged, step, "all").arrays
        words, categories = Names(self._lookup, source, run).of(fingerprint)
        ids = widen_ids(arrays["concept_ids"])
        rows = []
        for neuron in range(logged.entry.neurons):
            row: dict[str, Any] = {"run": run, "layer": layer, "step": step, "neuron": neuron}
            row.update(label_neuron(arrays, neuron, (words, categories)))
            for rank, (concept, similarity) in enumerate(
                zip(ids[neuron], arrays["similarity"][neuron], strict=True)
            ):
                if rank:
                    row[f"word_{rank + 1}"] = name_at(words, concept)
                    row[f"similarity_{rank + 1}"] = finite(similarity) if concept >= 0 else None
            row["x"], row["y"] = (finite(value) for value in arrays["position"][neuron])
            rows.append(row)
        return rows

    def export_csv(self, source: Source, run: str, layer: str, step: int) -> str:
        """Rows of `export` as CSV with a header line; unknown numbers are empty fields."""
        rows = self.export_rows(source, run, layer, step)
        file = io.StringIO()
        writer = csv.DictWriter(file, list(rows[0]) if rows else [], lineterminator="\n")
        writer.writeheader()
        for row in rows:
            cells = row.items()
            writer.writerow({name: csv_text(cell) if isinstance(cell, str) else cell for name, cell in cells})
        return file.getvalue()


def _check_size(step_bytes: int, steps: int, part: Part) -> None:
    """Refuse an answer that would be too large, unless it is of one step."""
    if steps > 1 and step_bytes * steps > MAX_ANSWER_BYTES:
        raise BadRequestError(
            f"an answer of some {step_bytes * steps >> 20} MiB; ask for at most "
            f"{max(1, MAX_ANSWER_BYTES // step_bytes)} of these {steps} steps at once, with 'from' and 'to'"
            + ("" if part == "frames" else ", or for part=frames")
        )
