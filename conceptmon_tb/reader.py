"""Event files to snapshots, for notebooks: `read_run(logdir)`.

The same rules as in TensorBoard hold: event files are read in the order of their names, a session that
resumes at a step replaces what an earlier one logged from that step on, and of a step that was logged twice
the later one counts. Records that cannot be used are skipped, and `Run.warnings` tells which.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError
from tensorboard import data_compat, dataclass_compat
from tensorboard.compat.proto import event_pb2

from conceptmon_tb.alert_records import Alert, unpack_alerts
from conceptmon_tb.atlas import Thumbnails, cut_atlas
from conceptmon_tb.event_files import Record, event_files, read_records, run_folders
from conceptmon_tb.evolution_records import Evolutions, unpack_evolutions
from conceptmon_tb.metadata import (
    ALERTS_TAG,
    IMAGES_TAG,
    SPACE_TAG,
    NewerSchemaError,
    Payload,
    PayloadError,
    parse_evolutions_tag,
    parse_layer_tag,
    shown,
    unpack_payload,
)
from conceptmon_tb.payload_checks import check_payload
from conceptmon_tb.payloads import check_embedding, unpack_snapshot, unpack_space
from conceptmon_tb.snapshot import ConceptSnapshot, ConceptSpace, IntArray, ProbeImages
from conceptmon_tb.training_scalars import TrainingTimeline

MAX_THUMBNAIL_BYTES = 1 << 31  # of a run; 170,000 pictures of the usual 64 pixels

_RUN_KINDS = {SPACE_TAG: "space", IMAGES_TAG: "images", ALERTS_TAG: "alerts"}


@dataclass(frozen=True, eq=False)
class Run:
    """What one run logged.

    Attributes:
        steps: All steps with a snapshot, sorted.
        snapshots: Snapshots by layer, then by step.
        space: The space of the latest snapshot; earlier ones are in `snapshots[...].space`.
        images: All thumbnails that were logged, None without any.
        warnings: What could not be used, one sentence each.
        training: The loop's own scalars by step and tag: the mean of what was logged between the epoch
            before and this one. Of loss and accuracy, what the alert rules were given.
        alerts: What was raised while the run was trained, in order; `check_run` looks again.
        evolutions: Tables of important evolutions, by the epoch at which they end, then begin.
    """

    steps: tuple[int, ...]
    snapshots: dict[str, dict[int, ConceptSnapshot]]
    space: ConceptSpace
    images: ProbeImages | None
    warnings: tuple[str, ...] = field(default=())
    training: dict[int, dict[str, float]] = field(default_factory=dict)
    alerts: tuple[Alert, ...] = field(default=())
    evolutions: tuple[Evolutions, ...] = field(default=())


def read_run(logdir: str | Path) -> Run:
    """Read the snapshots of one run from its event files.

    Args:
        logdir: The run's own directory (not one above it).

    Returns:
        All that can be used, and warnings about the rest.

    Raises:
        FileNotFoundError: There is no such directory, or it holds no concept data; the message names
            runs found below it.
        NotADirectoryError: `logdir` is a file.
        NewerSchemaError: Everything was written by a later version.

    Example:
        >>> run = read_run("runs/resnet18")  # doctest: +SKIP
        >>> run.snapshots["layer4"][39].words[:3]  # doctest: +SKIP
    """
    folder = Path(logdir)
    if not folder.exists():
        raise FileNotFoundError(f"logdir {str(logdir)!r} does not exist; pass the one given to ConceptWriter")
    if not folder.is_dir():
        raise NotADirectoryError(f"logdir {str(logdir)!r} is a file; pass the directory that holds it")
    collected = _Collected()
    for path in event_files(folder):
        collected.read_file(path)
    return collected.assemble(folder)


class _Collected:
    """Payloads by tag and step, kept as TensorBoard keeps them."""

    def __init__(self) -> None:
        self._payloads: dict[str, dict[int, Payload]] = defaultdict(dict)
        self._bad: dict[tuple[str, int], str] = {}
        self._newer: NewerSchemaError | None = None
        self._warnings: list[str] = []
        self._metadata: dict[str, Any] = {}
        self._training = TrainingTimeline()

    def read_file(self, path: Path) -> None:
        """Take in one event file; damaged records are skipped, as TensorBoard's fast loader skips them."""
        try:
            for record in read_records(path):
                if record.damage is not None:
                    place = f"{path.name}: record {record.number} at byte {record.offset}"
                    self._warnings.append(f"{place}: {record.damage.reason}")
                for event in self._parse(record):
                    self._take_event(event, damaged=record.damage is not None)
        except OSError as error:
            self._warnings.append(f"{path.name}: cannot be read ({error.strerror or error})")

    def _parse(self, record: Record) -> Iterator[Any]:
        """The events of a record, in today's form whatever writer made them."""
        try:
            event = event_pb2.Event.FromString(record.data or b"")
        except DecodeError:
            if record.damage is None:
                self._warnings.append(f"a record at byte {record.offset} is no event")
            return
        if record.damage is not None:
            # Only payloads have a checksum of their own, which still tells the good from the bad.
            kept = [value for value in event.summary.value if _kind(value.tag) is not None]
            event = event_pb2.Event(wall_time=event.wall_time, step=event.step)
            event.summary.value.extend(kept)
        try:
            migrated = list(dataclass_compat.migrate_event(data_compat.migrate_event(event), self._metadata))
        except Exception as error:  # noqa: BLE001  # TensorBoard's own, of whatever a stranger's log holds
            self._warnings.append(f"a record at byte {record.offset} cannot be read: {shown(error)}")
            return
        yield from migrated

    def assemble(self, folder: Path) -> Run:
        """Make snapshots of what was collected."""
        spaces = self._spaces()
        snapshots: dict[str, dict[int, ConceptSnapshot]] = {}
        for layer, step, parts in self._complete():
            metrics = parts["metrics"]
            space = spaces.get(metrics.attrs["space"])
            if space is None:
                self._warnings.append(f"layer {layer!r}, step {step}: its concept space is not in the log")
                continue
            embedding = parts.get("embedding")
            try:
                if embedding is not None:
                    check_embedding(embedding, metrics.attrs["neurons"], space)
            except PayloadError as error:
                self._warnings.append(f"layer {layer!r}, step {step}: {error}; its embeddings read as zeros")
                embedding = None
            try:
                snapshot = unpack_snapshot(layer, parts["neurons"], metrics, embedding, space)
            except PayloadError as error:
                self._warnings.append(f"layer {layer!r}, step {step}: {error}")
                continue
            snapshots.setdefault(layer, {})[step] = snapshot
        bad = sorted(self._bad.items())
        self._warnings += [f"{tag}, step {step}: {reason}" for (tag, step), reason in bad]
        steps = tuple(sorted({step for by_step in snapshots.values() for step in by_step}))
        alerts, evolutions = self._alerts(), self._evolutions()
        if not steps:
            if evolutions:
                self._warnings.append(
                    "it has tables of important evolutions, but no snapshots of their epochs: log both into "
                    "one directory"
                )
            raise self._newer or FileNotFoundError(_nothing_found(folder, self._warnings))
        latest = next(by_step[steps[-1]] for by_step in snapshots.values() if steps[-1] in by_step)
        return Run(
            steps,
            snapshots,
            latest.space,
            self._images(),
            tuple(self._warnings),
            self._training.known,
            alerts,
            evolutions,
        )

    def _take_event(self, event: Any, *, damaged: bool) -> None:
        if event.HasField("session_log") and event.session_log.status == event_pb2.SessionLog.START:
            self._purge(event.step)
        self._training.take_event(event)
        for value in event.summary.value if event.HasField("summary") else ():
            kind = _kind(value.tag)
            if kind is not None and value.HasField("tensor"):
                self._take_payload(value.tag, kind, event.step, value.tensor, damaged)

    def _take_payload(self, tag: str, kind: str, step: int, tensor: Any, damaged: bool) -> None:
        try:
            payload = unpack_payload(tensor.string_val[0] if tensor.string_val else tensor.tensor_content)
            check_payload(payload, kind, step)
        except PayloadError as error:
            if damaged and step in self._payloads[tag]:
                return  # the step that a damaged record names may be another one's
            self._bad[tag, step] = str(error)
            self._payloads[tag].pop(step, None)
            if isinstance(error, NewerSchemaError):
                self._newer = error
            return
        self._bad.pop((tag, step), None)
        self._payloads[tag][step] = payload

    def _purge(self, first_step: int) -> None:
        """Forget what was logged from a step on: a session starts there again."""
        for by_step in self._payloads.values():
            for step in [s for s in by_step if s >= first_step]:
                del by_step[step]
        for key in [k for k in self._bad if k[1] >= first_step]:
            del self._bad[key]

    def _spaces(self) -> dict[str, ConceptSpace]:
        spaces: dict[str, ConceptSpace] = {}
        for step, payload in sorted(self._payloads[SPACE_TAG].items()):
            try:
                space = unpack_space(payload)
            except PayloadError as error:
                self._bad[SPACE_TAG, step] = str(error)
                continue
            # Snapshots of one space share one object, wherever it was written again.
            spaces.setdefault(space.fingerprint, space)
        return spaces

    def _complete(self) -> Iterator[tuple[str, int, dict[str, Payload]]]:
        layers: dict[str, dict[str, dict[int, Payload]]] = defaultdict(dict)
        for tag, by_step in self._payloads.items():
            parsed = parse_layer_tag(tag)
            if parsed is not None:
                layers[parsed[0]][parsed[1]] = by_step
        for layer, kinds in layers.items():
            for step in sorted(set(kinds.get("neurons", {})) & set(kinds.get("metrics", {}))):
                yield layer, step, {kind: by_step[step] for kind, by_step in kinds.items() if step in by_step}
                if step not in kinds.get("embedding", {}):
                    self._warnings.append(f"layer {layer!r}, step {step}: no embeddings; they read as zeros")

    def _alerts(self) -> tuple[Alert, ...]:
        alerts: list[Alert] = []
        for step, payload in sorted(self._payloads[ALERTS_TAG].items()):
            try:
                raised, _, used = unpack_alerts(payload)
            except PayloadError as error:
                self._warnings.append(f"alerts of step {step}: {error}")
                continue
            alerts += raised
            self._training.correct(step, used)
        return tuple(alerts)

    def _evolutions(self) -> tuple[Evolutions, ...]:
        tables = [
            self._unpack_evolutions(tag, step, payload)
            for tag, by_step in self._payloads.items()
            if parse_evolutions_tag(tag) is not None
            for step, payload in by_step.items()
        ]
        known = [table for table in tables if table is not None]
        return tuple(sorted(known, key=lambda table: (table.to_step, table.from_step)))

    def _unpack_evolutions(self, tag: str, step: int, payload: Payload) -> Evolutions | None:
        try:
            return unpack_evolutions(payload, tag)
        except PayloadError as error:
            self._warnings.append(f"{tag}, step {step}: {error}")
            return None

    def _images(self) -> ProbeImages | None:
        ids: list[IntArray] = []
        thumbnails: list[Thumbnails] = []
        held = 0
        for step, payload in sorted(self._payloads[IMAGES_TAG].items()):
            try:
                tiles = cut_atlas(payload)
            except PayloadError as error:
                self._warnings.append(f"images of step {step}: {error}")
                continue
            held += tiles.nbytes
            if held > MAX_THUMBNAIL_BYTES:
                self._warnings.append(
                    f"images from step {step} on: left out, together they take more than "
                    f"{MAX_THUMBNAIL_BYTES >> 20} MiB"
                )
                break
            if thumbnails and tiles.shape[1:] != thumbnails[0].shape[1:]:
                self._warnings.append(f"images of step {step}: another size than the first ones; left out")
                continue
            ids.append(payload.arrays["ids"].astype(np.int32))
            thumbnails.append(tiles)
        if not ids:
            return None
        all_ids, first = np.unique(np.concatenate(ids), return_index=True)
        return ProbeImages(ids=all_ids, thumbnails=np.concatenate(thumbnails)[first])


def _kind(tag: str) -> str | None:
    """The kind of payload that a tag has; None for tags of others."""
    if parse_evolutions_tag(tag) is not None:
        return "evolutions"
    layer = parse_layer_tag(tag)
    return _RUN_KINDS.get(tag) or (layer[1] if layer else None)


def _nothing_found(folder: Path, warnings: list[str]) -> str:
    if warnings:
        return f"no usable concept data in {str(folder)!r}: {'; '.join(warnings[:5])}"
    below = [str(run.relative_to(folder)) for run in run_folders(folder) if run != folder]
    if below and not event_files(folder):
        listed = ", ".join(below[:8]) + (", ..." if len(below) > 8 else "")
        return f"no event files in {str(folder)!r} itself; it holds the runs {listed}: pass one of those"
    mend = "log some with ConceptWriter(...).add_concepts(model, global_step=...)"
    return f"no concept data in {str(folder)!r}: {mend}"
