"""What an earlier backfill left in a run: steps, settings and which checkpoint each step was made of.

All of it is in the event files themselves. Settings and checkpoints are text summaries, so they can be read
in TensorBoard's Text tab, and a run that is copied takes them along.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from google.protobuf.message import DecodeError
from tensorboard.compat.proto import event_pb2
from torch import nn
from torch.utils.tensorboard import SummaryWriter

from conceptmon_tb.checkpoints.keys import model_shapes
from conceptmon_tb.checkpoints.plan import Checkpoint, Plan
from conceptmon_tb.event_files import event_files, read_records
from conceptmon_tb.history import read_history
from conceptmon_tb.monitor import ConceptMonitor

SETTINGS_TAG = "backfill/settings"
CHECKPOINT_TAG = "backfill/checkpoint"
_TAGS = b"backfill/"
_SUFFIX = "/text_summary"  # what torch's add_text puts behind a tag
_NUM_INPUTS = 16
_FENCE = "```"
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")

Settings = Mapping[str, Any]


class ConflictError(ValueError):
    """The run holds something that cannot be continued; the message says what and the mend."""


@dataclass
class Earlier:
    """What is in a run.

    Attributes:
        steps: Steps with concepts.
        settings: How they were made; None if no backfill made them.
        digests: Of some steps, the checkpoint they were made of.
    """

    steps: set[int] = field(default_factory=set)
    settings: Settings | None = None
    digests: dict[int, str] = field(default_factory=dict)


def read_earlier(folder: str | Path) -> Earlier:
    """Read what an earlier backfill left.

    Args:
        folder: The run's folder; it need not exist.

    Returns:
        What is there, as far as the event files can be read.
    """
    earlier = Earlier()
    if not Path(folder).is_dir():
        return earlier
    earlier.steps = set().union(*read_history(folder).steps.values())
    for path in event_files(folder):
        for record in read_records(path, verify=False):
            if record.data is not None and _TAGS in record.data:
                with contextlib.suppress(DecodeError):
                    _take(earlier, event_pb2.Event.FromString(record.data))
    return earlier


def describe_settings(
    monitor: ConceptMonitor, model: nn.Module, plan: Plan, ignore_keys: Sequence[str]
) -> Settings:
    """Everything that steps of one time line must have in common, in words and digests.

    Args:
        monitor: What looks at the models.
        model: The model, with any weights.
        plan: The checkpoints.
        ignore_keys: Names that need not fit.

    Returns:
        Plain values by name.
    """
    structure = [_ADDRESS.sub("", repr(model)), repr(list(model_shapes(model).shapes.items()))]
    concepts = [repr(monitor.concepts.words), repr(monitor.concepts.categories)]
    return {
        "model": f"{type(model).__name__} {_digest(structure)}",
        "weights": str(plan.checkpoints[0].match.place),
        "ignore_keys": sorted(ignore_keys),
        "step_from": plan.step_source,
        "layers": list(monitor.layers),
        "probe": f"{len(monitor.probe)} images {monitor.probe.fingerprint[:16]}",
        "transform": _digest(_input_bytes(monitor)),
        "concepts": f"{len(monitor.concepts)} {_digest(concepts)}",
        "encoder": f"{monitor.encoder.name} {monitor.encoder.fingerprint}",
        "detector": monitor.detector.describe(),
        "temperature": monitor.temperature,
        "threshold": "auto" if monitor.threshold is None else monitor.threshold,
        "threshold_level": monitor.threshold_level,
        "anchors": list(monitor.anchors),
        "anchor_set": monitor.anchor_set,
        "track": {layer: list(neurons) for layer, neurons in sorted(monitor.track.items())},
        "top_concepts": monitor.top_concepts,
        "num_images": monitor.num_images,
        "pooling": monitor.pooling,
        "tokens": monitor.tokens,
        "precision": monitor.precision,
        "explain": monitor.explain,
        "seed": monitor.seed,
    }


def select_new(
    plan: Plan, earlier: Earlier, settings: Settings | None, folder: str | Path
) -> list[Checkpoint]:
    """Leave out what the run has already, and refuse what would not belong to the same time line.

    Args:
        plan: All checkpoints.
        earlier: What the run has.
        settings: How steps are made now; None leaves that unchecked.
        folder: The run's folder, for messages.

    Returns:
        Checkpoints whose steps are still to be made.

    Raises:
        ConflictError: The steps there were made otherwise, by something else, of other checkpoints, or are
            later than one that is to be made.
    """
    if earlier.steps and earlier.settings is None:
        raise ConflictError(
            f"the run {str(folder)!r} has concepts that were logged in training, not by a backfill; "
            f"write to another folder (--logdir)"
        )
    if earlier.steps and settings is not None and earlier.settings is not None:
        _check_settings(earlier.settings, settings, folder)
    for checkpoint in plan.checkpoints:
        if earlier.digests.get(checkpoint.step, checkpoint.digest) != checkpoint.digest:
            raise ConflictError(
                f"step {checkpoint.step} in {str(folder)!r} was made of another {checkpoint.path.name} than "
                f"is there now (trained again?); write to another folder (--logdir)"
            )
    new = [checkpoint for checkpoint in plan.checkpoints if checkpoint.step not in earlier.steps]
    last = max(earlier.steps, default=-2)
    if new and new[0].step < last:
        raise ConflictError(
            f"{new[0].path.name} is of step {new[0].step}, but {str(folder)!r} has step {last} already, and "
            f"a time line only grows at its end (displacement is measured from step to step); write all "
            f"checkpoints to another folder (--logdir)"
        )
    return new


def write_settings(
    writer: SummaryWriter, settings: Settings, step: int, walltime: float | None = None
) -> None:
    """Put the settings into the run, before the first step that they hold for."""
    text = json.dumps(dict(settings), indent=1, ensure_ascii=False)
    writer.add_text(SETTINGS_TAG, f"{_FENCE}\n{text}\n{_FENCE}", step, walltime)


def write_checkpoint(writer: SummaryWriter, checkpoint: Checkpoint, walltime: float | None = None) -> None:
    """Put into the run which checkpoint a step was made of, after the step itself."""
    writer.add_text(CHECKPOINT_TAG, f"`{checkpoint.path}` {checkpoint.digest}", checkpoint.step, walltime)


def _take(earlier: Earlier, event: event_pb2.Event) -> None:
    for value in event.summary.value:
        if value.tag == SETTINGS_TAG + _SUFFIX:
            earlier.settings = _parse_settings(_text(value))
        elif value.tag == CHECKPOINT_TAG + _SUFFIX and event.step in earlier.steps:
            earlier.digests[event.step] = _text(value).rpartition(" ")[2]


def _text(value: Any) -> str:
    return str(value.tensor.string_val[0].decode(errors="replace")) if value.tensor.string_val else ""


def _parse_settings(text: str) -> Settings:
    try:
        parsed = json.loads(text.strip().strip("`"))
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _check_settings(there: Settings, now: Settings, folder: str | Path) -> None:
    now = json.loads(json.dumps(dict(now)))
    # A setting that one of two versions does not know cannot have been changed by the user.
    other = [name for name in now if name in there and there[name] != now[name]]
    if other:
        differences = "; ".join(f"{name}: {there[name]!r} there, {now[name]!r} now" for name in other[:4])
        raise ConflictError(
            f"the run {str(folder)!r} was made with other settings ({differences}); use the same ones, or "
            f"write to another folder (--logdir)"
        )


def _digest(parts: Iterable[str | bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part)
    return digest.hexdigest()[:16]


def _input_bytes(monitor: ConceptMonitor) -> Iterable[bytes]:
    """What the model gets for some pictures: this is what a transform means, whatever it is called."""
    count = len(monitor.probe)
    for i in range(min(count, _NUM_INPUTS)):
        tensor = monitor.probe.model_input(i * count // min(count, _NUM_INPUTS)).contiguous()
        yield repr((tuple(tensor.shape), tensor.dtype)).encode()
        yield tensor.reshape(-1).view(torch.uint8).numpy().tobytes()
