"""The loop's own scalars between two epochs: which of them are the training loss and accuracy.

What counts for an epoch is the mean of all that was logged since the epoch before, whatever steps the loop
counts in: loops log a loss per batch or per epoch, before or after the concepts.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from tensorboard.compat.proto import event_pb2

from conceptmon_tb.metadata import TAG_PREFIX, parse_layer_tag

Role = Literal["loss", "accuracy"]

_WORDS: Mapping[Role, frozenset[str]] = {
    "loss": frozenset({"loss"}),
    "accuracy": frozenset({"accuracy", "acc", "acc1", "top1"}),
}
_TRAINING = frozenset({"train", "training"})
_HELD_OUT = frozenset({"val", "valid", "validation", "test", "testing", "eval", "evaluation", "dev"})
_FLOAT_TYPES = {1: "<f4", 2: "<f8"}  # DT_FLOAT, DT_DOUBLE


class ScalarMeans:
    """Means of scalars by tag since they were last taken; values that are not finite are left out."""

    def __init__(self) -> None:
        self._sums: dict[str, tuple[float, int]] = {}

    def note(self, tag: str, value: float) -> None:
        """Take one value into account.

        Args:
            tag: Tag of the scalar.
            value: Its value.
        """
        if math.isfinite(value):
            total, count = self._sums.get(tag, (0.0, 0))
            self._sums[tag] = (total + value, count + 1)

    def take(self) -> dict[str, float]:
        """Return the means and begin anew."""
        means = {tag: total / count for tag, (total, count) in self._sums.items()}
        self._sums = {}
        return means


class TrainingTimeline:
    """The loop's scalars between the epochs of a run, from its events in their order.

    Attributes:
        known: Means by tag of what was logged between the epoch before and this one, by step.
    """

    def __init__(self) -> None:
        self.known: dict[int, dict[str, float]] = {}
        self._means = ScalarMeans()

    def take_event(self, event: Any) -> None:
        """Take in one event: a scalar, an epoch, or the start of a session."""
        if event.session_log.status == event_pb2.SessionLog.START:
            self._means.take()
            self.known = {step: means for step, means in self.known.items() if step < event.step}
        is_epoch = False
        for value in event.summary.value:
            number = scalar_value(value)
            if number is not None:
                self._means.note(value.tag, number)
            elif not is_epoch:
                found = parse_layer_tag(value.tag)
                is_epoch = found is not None and found[1] == "metrics"
        if is_epoch:
            self.known.setdefault(event.step, {}).update(self._means.take())

    def correct(self, step: int, used: Mapping[str, float]) -> None:
        """Put in what the alert rules were given: an epoch that was scored late is logged late.

        Args:
            step: Step of an epoch.
            used: Training loss and accuracy by tag, as the epoch's record of alerts has them.
        """
        others = {tag: mean for tag, mean in self.known.get(step, {}).items() if role_of(tag) is None}
        self.known[step] = {**others, **used}


def scalar_value(value: Any) -> float | None:
    """Return the number in a `Summary.Value`, however a writer spelt it.

    Args:
        value: A value of any plugin.

    Returns:
        The number; None where it is none, or one of our own.
    """
    if value.tag.startswith(TAG_PREFIX):
        return None
    if value.HasField("simple_value"):
        return float(value.simple_value)
    if (
        not value.HasField("tensor")
        or value.tensor.dtype not in _FLOAT_TYPES
        or value.tensor.tensor_shape.dim
    ):
        return None
    tensor = value.tensor
    if tensor.tensor_content:
        numbers = np.frombuffer(tensor.tensor_content, _FLOAT_TYPES[tensor.dtype]).tolist()
    else:
        numbers = list(tensor.float_val) + list(tensor.double_val)
    return float(numbers[0]) if len(numbers) == 1 else None


def find_tag(tags: Iterable[str], role: Role) -> str | None:
    """Choose the scalar that is the training loss or accuracy by its name.

    A name with "train" in it comes first, then one with "epoch", then the shortest; names of held-out data
    never count.

    Args:
        tags: Tags of scalars.
        role: "loss" or "accuracy".

    Returns:
        The tag, or None.

    Example:
        >>> find_tag(["accuracy/val", "loss/val", "loss/train", "loss"], "loss")
        'loss/train'
    """
    fitting = [tag for tag in tags if role_of(tag) == role]
    return min(fitting, key=_preference, default=None)


@lru_cache(maxsize=4096)
def role_of(tag: str) -> Role | None:
    """Say what a scalar may be by its name; None for neither."""
    words = _words(tag)
    if words & _HELD_OUT:
        return None
    return next((role for role, names in _WORDS.items() if words & names), None)


def _words(tag: str) -> set[str]:
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", tag)
    return set(re.split(r"[^a-z0-9]+", spaced.lower()))


def _preference(tag: str) -> tuple[bool, bool, int, str]:
    words = _words(tag)
    return not words & _TRAINING, "epoch" not in words, len(tag), tag
