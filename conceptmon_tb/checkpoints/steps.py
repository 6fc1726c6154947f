"""Which global step a checkpoint belongs to: from its name, or from what it says of itself."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from torch import Tensor

from conceptmon_tb.checkpoints.files import CheckpointError, listed

StepSource = Literal["auto", "step", "epoch", "number"]
LARGEST_STEP = (1 << 63) - 1
"""Event files number steps in 64 bits."""

_IN_NAME = {
    "step": re.compile(
        r"(?:global[-_]?step|step|iter(?:ation)?|checkpoint|ckpt)s?[-_=. ]?(\d+)", re.IGNORECASE
    ),
    "epoch": re.compile(r"(?:epoch|(?<![a-z])ep)s?[-_=. ]?(\d+)", re.IGNORECASE),
}
_ALONE = re.compile(r"(?:^|[-_= ])(\d+)(?=$|[-_= ])")
_ATTACHED = re.compile(r"(?<![\d.vV])(\d+)(?![\d.])")
_ENTRIES = {"step": ("global_step", "step", "iteration"), "epoch": ("epoch",)}
"""Where checkpoints of Lightning and of plain loops say how far they are."""


class Steps(NamedTuple):
    """The steps of several checkpoints.

    Attributes:
        steps: Global step of each, in the order of the checkpoints.
        source: What they were read from: "step", "epoch", "number" or the pattern.
        told_by: For each, where its number stands, for people.
    """

    steps: tuple[int, ...]
    source: str
    told_by: tuple[str, ...]


def find_steps(
    paths: Sequence[Path],
    own: Sequence[Mapping[str, Any]],
    source: StepSource = "auto",
    pattern: str | None = None,
) -> Steps:
    """Tell the step of each checkpoint.

    Args:
        paths: Checkpoints.
        own: For each, entries of its own content that may name its step.
        source: The number after "step" (or "checkpoint", "iter"), after "epoch", or the last number of the
            name. "auto" takes the first of these three that all checkpoints tell. Where a name lacks "step"
            or "epoch", the checkpoint's own entry counts.
        pattern: A regular expression whose first group is the step; it is searched in the path.

    Returns:
        The steps, each different.

    Raises:
        CheckpointError: A checkpoint tells no step, or two have the same.
        ValueError: An unknown source, or a pattern that is no regular expression with a group.
    """
    if source not in get_args(StepSource):
        raise ValueError(f"step_from must be one of {', '.join(get_args(StepSource))}, got {source!r}")
    if pattern is not None:
        found = _by_pattern(paths, pattern)
    else:
        kinds = get_args(StepSource)[1:] if source == "auto" else (source,)
        tries = [_by_kind(paths, own, kind) for kind in kinds]
        whole = [steps for steps in tries if steps is not None]
        if not whole:
            raise CheckpointError(_nothing_told(paths, source))
        # "step=0" in every name tells nothing: prefer what tells checkpoints apart.
        found = next((steps for steps in whole if len(set(steps.steps)) == len(paths)), whole[0])
    _check(paths, found)
    return found


def _by_pattern(paths: Sequence[Path], pattern: str) -> Steps:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ValueError(f"step_pattern {pattern!r} is no regular expression: {error}") from error
    if not compiled.groups:
        raise ValueError(f"step_pattern {pattern!r} has no group; put the number in parentheses: 'ep(\\d+)'")
    matches = [compiled.search(path.as_posix()) for path in paths]
    told = [(match[1], path) for match, path in zip(matches, paths, strict=True) if match]
    numbers = [(int(text), path) for text, path in told if text and re.fullmatch(r"-?\d+", text)]
    if len(numbers) < len(paths):
        known = {path for _, path in numbers}
        examples = [f"{path.name} -> {step}" for step, path in numbers]
        raise CheckpointError(
            f"step_pattern {pattern!r} finds no whole number in {len(paths) - len(numbers)} of {len(paths)} "
            f"checkpoints: {listed(path.name for path in paths if path not in known)}; "
            f"found: {listed(examples) or 'none'}"
        )
    return Steps(tuple(step for step, _ in numbers), pattern, ("pattern",) * len(paths))


def _by_kind(paths: Sequence[Path], own: Sequence[Mapping[str, Any]], kind: str) -> Steps | None:
    """Steps of one kind, None where a checkpoint does not tell it."""
    steps, told_by = [], []
    for path, entries in zip(paths, own, strict=True):
        step = number_in_name(path, kind)
        where = f"name ({kind})"
        if step is None:
            step, where = _own_step(entries, kind)
        if step is None:
            return None
        steps.append(step)
        told_by.append(where)
    return Steps(tuple(steps), kind, tuple(told_by))


def number_in_name(path: Path, kind: str) -> int | None:
    """The number of a kind in a checkpoint's name; for `epoch3/model.pt`, in its folder's name.

    >>> number_in_name(Path("epoch=3-step=120.ckpt"), "step"), number_in_name(Path("net_v2_12.pt"), "number")
    (120, 12)
    """
    for name in (path.name, path.parent.name):
        stem = re.sub(r"(\.(pth|pt|ckpt|bin|safetensors|tar|index|json))+$", "", name, flags=re.IGNORECASE)
        searched = [_IN_NAME[kind]] if kind in _IN_NAME else [_ALONE, _ATTACHED]
        for expression in searched:
            numbers = expression.findall(stem)
            if numbers:
                return int(numbers[-1])
    return None


def _own_step(entries: Mapping[str, Any], kind: str) -> tuple[int | None, str]:
    for name in _ENTRIES.get(kind, ()):
        value = entries.get(name)
        if isinstance(value, Tensor) and value.numel() == 1 and not value.is_meta:
            value = value.item()
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool):
            return value, f"its entry {name!r}"
    return None, ""


def _check(paths: Sequence[Path], found: Steps) -> None:
    by_step: dict[int, list[Path]] = defaultdict(list)
    for path, step in zip(paths, found.steps, strict=True):
        if not -1 <= step <= LARGEST_STEP:
            raise CheckpointError(f"step must be between -1 and {LARGEST_STEP}, got {step} for {str(path)!r}")
        by_step[step].append(path)
    repeated = [f"{step}: {listed(same)}" for step, same in by_step.items() if len(same) > 1]
    if repeated:
        raise CheckpointError(
            f"checkpoints with the same step (by {found.source}): {'; '.join(repeated[:4])}"
            f"{'; ...' if len(repeated) > 4 else ''}. Leave all but one out with a narrower pattern, or say "
            f"which number is the step: step_from='epoch', 'step' or 'number' (--step-from), or step_pattern "
            f"(--step-pattern 'epoch=(\\d+)')"
        )


def _nothing_told(paths: Sequence[Path], source: str) -> str:
    kinds = get_args(StepSource)[1:] if source == "auto" else (source,)
    silent = {kind: [path.name for path in paths if number_in_name(path, kind) is None] for kind in kinds}
    missing = "; ".join(f"no {kind} in {listed(names, 4)}" for kind, names in silent.items() if names)
    return (
        f"the step of each checkpoint is not known ({missing}, nor in their own entries). Leave such "
        f"files out with a narrower pattern, or say where the number stands: step_pattern (--step-pattern "
        f"'epoch(\\d+)')"
    )
