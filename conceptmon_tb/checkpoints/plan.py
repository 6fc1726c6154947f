"""What is to be done, checked whole before any of it: every checkpoint's step, place, names and shapes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor, nn
from tqdm.auto import tqdm

from conceptmon_tb.checkpoints.files import (
    CheckpointError,
    DamagedError,
    digest_file,
    find_checkpoints,
    listed,
    weights_file,
)
from conceptmon_tb.checkpoints.keys import Match, match_checkpoint
from conceptmon_tb.checkpoints.loading import check_classes, own_entries, read_checkpoint
from conceptmon_tb.checkpoints.steps import Steps, StepSource, find_steps

_MANY = 20


@dataclass(frozen=True)
class Checkpoint:
    """One saved model that fits.

    Attributes:
        path: File or folder.
        step: Global step.
        told_by: What told the step, for people.
        match: Where its weights are, and their names.
        digest: Tells it from another one of the same name.
        modified: When it was saved, seconds since 1970.
    """

    path: Path
    step: int
    told_by: str
    match: Match
    digest: str
    modified: float


@dataclass(frozen=True)
class Plan:
    """Checkpoints in the order of their steps.

    Attributes:
        checkpoints: All that will be looked at.
        step_source: What the steps were read from.
        notes: What a user should know, one sentence each.
    """

    checkpoints: tuple[Checkpoint, ...]
    step_source: str
    notes: tuple[str, ...]


class PlanOptions(NamedTuple):
    """How checkpoints are found and read; see `backfill`."""

    step_from: StepSource = "auto"
    step_pattern: str | None = None
    state_key: str | None = None
    prefix: str | None = None
    ignore_keys: Sequence[str] = ()
    allow_classes: Sequence[str] = ()
    every: int = 1
    skip_damaged: bool = False
    progress: bool = True


class _Looked(NamedTuple):
    path: Path
    match: Match
    entries: Mapping[str, Any]


def make_plan(patterns: str | Path | Sequence[str | Path], model: nn.Module, options: PlanOptions) -> Plan:
    """Find checkpoints and check each against the model; only names and shapes are read.

    Args:
        patterns: As for `find_checkpoints`.
        model: What the weights are for.
        options: How to find and read them.

    Returns:
        What to do.

    Raises:
        CheckpointError: A checkpoint cannot be used; the message names it and the mend.
        FileNotFoundError: There are none.
        ValueError: `every` is below 1, or another option is wrong.
    """
    if options.every < 1:
        raise ValueError(f"every must be at least 1, got {options.every}")
    check_classes(options.allow_classes)
    looked, notes = _look(find_checkpoints(patterns), model, options)
    _check_one_place(looked)
    steps = find_steps(
        [one.path for one in looked], [one.entries for one in looked], options.step_from, options.step_pattern
    )
    order = sorted(range(len(looked)), key=lambda i: steps.steps[i])[:: options.every]
    checkpoints = tuple(_checkpoint(looked[i], steps, i) for i in order)
    return Plan(checkpoints, steps.source, (*notes, *_notes(looked, steps)))


def _look(paths: Sequence[Path], model: nn.Module, options: PlanOptions) -> tuple[list[_Looked], list[str]]:
    looked: list[_Looked] = []
    damaged: list[str] = []
    shown = options.progress and len(paths) >= _MANY
    for path in tqdm(paths, "Checking checkpoints", disable=not shown, leave=False):
        try:
            content = read_checkpoint(path, allow_classes=options.allow_classes, only_shapes=True)
        except DamagedError as error:
            damaged.append(str(error))
            continue
        match = match_checkpoint(
            content,
            model,
            name=str(path),
            state_key=options.state_key,
            prefix=options.prefix,
            ignore_keys=options.ignore_keys,
        )
        looked.append(_Looked(path, match, _small(own_entries(path, content))))
    if damaged and (not looked or not options.skip_damaged):
        raise DamagedError(
            f"{len(damaged)} of {len(paths)} checkpoints cannot be read: {'; '.join(damaged[:4])}. Leave "
            f"them out with a narrower pattern, or all such with skip_damaged (--skip-damaged)"
        )
    return looked, [f"left out: {reason}" for reason in damaged]


def _small(entries: Mapping[str, Any]) -> dict[str, Any]:
    """Entries without weights, so that no checkpoint stays in memory."""
    return {
        name: value.clone() if isinstance(value, Tensor) else value
        for name, value in entries.items()
        if isinstance(value, (int, float)) or (isinstance(value, Tensor) and value.numel() == 1)
    }


def _check_one_place(looked: Sequence[_Looked]) -> None:
    """Weights in training of one checkpoint and their average of the next would be two stories in one."""
    first = looked[0]
    for one in looked:
        if one.match.place != first.match.place:
            raise CheckpointError(
                f"checkpoints keep their weights in different places: {first.path} at {first.match.place}, "
                f"{one.path} at {one.match.place}; say which with state_key and prefix (--state-key, "
                f"--prefix)"
            )


def _checkpoint(looked: _Looked, steps: Steps, i: int) -> Checkpoint:
    return Checkpoint(
        path=looked.path,
        step=steps.steps[i],
        told_by=steps.told_by[i],
        match=looked.match,
        digest=digest_file(looked.path),
        modified=weights_file(looked.path).stat().st_mtime,
    )


def _notes(looked: Sequence[_Looked], steps: Steps) -> list[str]:
    match = looked[0].match
    notes = [f"{len(looked)} checkpoints, step by {steps.source}"]
    if match.place.key or match.place.prefix:
        notes.append(f"weights are taken from: {match.place}")
    if match.left_out:
        notes.append(
            f"names outside {match.place.prefix!r} belong to other modules: {listed(match.left_out, 4)}"
        )
    if match.others:
        others = listed(map(repr, match.others))
        notes.append(f"not taken: {others}, which would fit too (--state-key {match.others[0]})")
    ignored = {name for one in looked for name in one.match.ignored}
    if ignored:
        notes.append(f"ignored as asked: {listed(sorted(ignored), 4)}")
    return notes
