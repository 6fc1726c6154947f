"""What is known of one layer of one run, and how `runs` tells it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from conceptmon_tb.plugin.errors import NotFoundError
from conceptmon_tb.plugin.records import Flaw, Point, Record
from conceptmon_tb.plugin.source import BlobPoint, Signature, Source

_MANY = 3
_MAX_STEP = 2**53  # numbers of JavaScript are exact up to here


class Metrics(NamedTuple):
    """What the metrics of one step tell of its neurons.

    Attributes:
        record: The step.
        neurons: Number of neurons.
        space: Fingerprint of the concept space.
        note: The space's note.
    """

    record: Record
    neurons: int
    space: str
    note: str


@dataclass(frozen=True)
class LayerEntry:
    """What is known of one layer of one run; replaced as a whole when that changes.

    Attributes:
        metrics_signature: Listing of the metrics that this was made of.
        metrics: All steps that have metrics.
        logged: Steps that the run logged, as far as can be known; more than there are where
            TensorBoard dropped some.
        neurons_signature: Listing of the neurons that were verified or listed, None before.
        records: Verified neuron payloads, where they are tensors.
        blobs: Where the neuron payloads are, where they are blobs: those are verified when they are read.
        flaws: What turned out when neuron payloads were read.
        neurons: Number of neurons at the latest step.
        steps: Usable steps, sorted.
        spaces: Fingerprint of the space at each of `steps`.
        note: The space's note at the latest step.
        skipped: `(step, flaw)` of what cannot be used.
        kept: Steps that TensorBoard kept.
    """

    metrics_signature: Signature
    metrics: tuple[Metrics, ...]
    logged: int
    neurons_signature: Signature | None = None
    records: Mapping[Point, Record] | None = None
    blobs: Mapping[int, BlobPoint] | None = None
    flaws: Mapping[Point, Flaw] | None = None
    neurons: int = 0
    steps: tuple[Point, ...] = ()
    spaces: tuple[str, ...] = ()
    note: str = ""
    skipped: tuple[tuple[int, Flaw], ...] = ()
    kept: int = 0

    def merged(self) -> LayerEntry:
        """Fill in what follows from the metrics and, once known, the neuron payloads."""
        looked = [(item, *self._look_up(item)) for item in self.metrics]
        kept = [(item, flaw) for item, is_kept, flaw in looked if is_kept]
        # One bad epoch must not make all others look wrong: only what can be used tells the layer's size.
        usable = [item for item, flaw in kept if flaw is None]
        good = usable or [item for item in self.metrics if item.record.flaw is None]
        size = good[-1].neurons if good else 0
        steps: list[Point] = []
        spaces: list[str] = []
        skipped: list[tuple[int, Flaw]] = []
        for item, flaw in kept:
            if flaw is None and item.neurons != size:
                flaw = Flaw(
                    "size",
                    f"the layer had {item.neurons} neurons at this step and has {size} at the latest",
                )
            if flaw is not None:
                skipped.append((item.record.step, flaw))
                continue
            steps.append(item.record.point)
            spaces.append(item.space)
        return replace(
            self,
            neurons=size,
            note=good[-1].note if good else "",
            steps=tuple(steps),
            spaces=tuple(spaces),
            skipped=tuple(skipped),
            kept=len(steps) + len(skipped),
        )

    def _look_up(self, item: Metrics) -> tuple[bool, Flaw | None]:
        """Whether TensorBoard kept the neurons of a step, and what is wrong with it."""
        is_kept, flaw = self._look_up_neurons(item)
        if abs(item.record.step) > _MAX_STEP:
            flaw = Flaw("damaged", "its number is too large: browsers cannot tell it from its neighbours")
        return is_kept, item.record.flaw or flaw

    def _look_up_neurons(self, item: Metrics) -> tuple[bool, Flaw | None]:
        point = item.record.point
        noted = (self.flaws or {}).get(point)
        if self.blobs is not None:
            blob = self.blobs.get(point[0])
            if blob is None:
                return False, None
            if not same_time(blob.wall_time, point[1]):
                return True, Flaw(
                    "missing", "logged twice, and TensorBoard kept the neurons of the other record"
                )
            return True, noted if blob.key is not None else Flaw("damaged", "an empty record")
        if self.records is not None:
            record = self.records.get(point)
            if record is None:
                return False, None
            if record.flaw is None and item.record.flaw is None and record.neurons != item.neurons:
                reason = f"{record.neurons} neurons where the metrics of this step tell of {item.neurons}"
                return True, Flaw("size", reason)
            return True, record.flaw or noted
        return True, noted


class LoggedLayer(NamedTuple):
    """One layer of one run, for the time of one request.

    Attributes:
        source: The request's source.
        run: The run.
        name: The layer's name.
        entry: What is known of it.
    """

    source: Source
    run: str
    name: str
    entry: LayerEntry

    def space_at(self, step: int) -> str:
        """Fingerprint of the space of a step.

        Raises:
            NotFoundError: There is no such step, or it cannot be used.
        """
        for (known, _), space in zip(self.entry.steps, self.entry.spaces, strict=True):
            if known == step:
                return space
        reason = next((f": {flaw.reason}" for bad, flaw in self.entry.skipped if bad == step), "")
        raise NotFoundError(f"step {step} of layer {self.name!r}{reason}")


def same_time(left: float, right: float) -> bool:
    """Whether two wall times are those of one event."""
    return math.isclose(left, right, abs_tol=1e-6, rel_tol=0)


def describe_run(
    entries: Mapping[str, LayerEntry],
    has_space: bool,
    newest: float | None,
    flaws: Mapping[str, Mapping[Point, Flaw]],
) -> dict[str, Any]:
    """Return one run of the route `runs`.

    Args:
        entries: Its layers.
        has_space: Whether it logged any concept space.
        newest: Wall time of the newest concept data, in seconds since 1970.
        flaws: What turned out when the run's own blobs were read, by tag.
    """
    skipped: list[dict[str, Any]] = []
    if not has_space:
        missing = Flaw("space", "the concept space of this run is not in the log (yet)")
        skipped.append({"step": None, "reason": missing.reason, "code": missing.code})
    for tag, known in flaws.items():
        skipped += _grouped(
            (step, Flaw(flaw.code, f"{tag}: {flaw.reason}"))
            for (step, _), flaw in sorted(known.items(), key=lambda item: item[0])
        )
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
        "newest_wall_time": newest,
        "skipped": skipped,
        "sampled": {
            layer: {"kept": entry.kept, "logged": entry.logged}
            for layer, entry in sorted(entries.items())
            if entry.kept < entry.logged
        },
    }


def _grouped(skipped: Iterable[tuple[int, Flaw]]) -> list[dict[str, Any]]:
    """List one item per step, but one for all steps that share a reason and are many."""
    by_flaw: dict[Flaw, list[int]] = {}
    for step, flaw in skipped:
        by_flaw.setdefault(flaw, []).append(step)
    result: list[dict[str, Any]] = []
    for flaw, steps in by_flaw.items():
        if len(steps) > _MANY:
            span = f"{len(steps)} steps from {steps[0]} to {steps[-1]}"
            result.append({"step": steps[0], "reason": f"{span}: {flaw.reason}", "code": flaw.code})
        else:
            result += [{"step": step, "reason": flaw.reason, "code": flaw.code} for step in steps]
    return result
