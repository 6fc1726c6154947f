"""What the callbacks of all training libraries share: when to look, at what, and what a failure does.

The writer belongs to the library, and so does the file: two writers in one directory hide each other's
points in TensorBoard, so a callback never opens a second one.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from typing import Any, Literal, cast

from tensorboard.compat.proto import event_pb2
from torch import nn
from torch.utils.tensorboard import SummaryWriter

from conceptmon_tb.activations import check_choice
from conceptmon_tb.monitor import Collected, ConceptMonitor
from conceptmon_tb.named_layers import find_layers
from conceptmon_tb.writer import add_concepts, session_of

Axis = Literal["step", "epoch"]

_HIDES_NOTHING = 2**62  # no training takes so many steps
_NOTHING_LOGGED = -2  # the step before training is -1
logger = logging.getLogger(__name__)


class LoopCallback:
    """A monitor at work in somebody else's training loop; the base of the libraries' callbacks.

    Args:
        monitor: What looks at the model.
        every_n_epochs: Look after each n-th epoch; the default is each.
        every_n_steps: Look after each n-th optimiser step instead.
        axis: What concepts are logged over: "step" as the library logs its scalars, or "epoch".
        before_training: Also look before the first step of a training that is not resumed.
        module: Name of the part of the model that is looked at, as in `model.get_submodule`; "" is all of
            it. Layer names are relative to it, and the probe's pictures are its input.
        strict: True raises a failure inside monitoring; False warns once and goes on; None does as
            `monitor.strict` says.

    Raises:
        TypeError: An argument of the wrong type.
        ValueError: An argument out of range, or two that exclude each other.
    """

    def __init__(
        self,
        monitor: ConceptMonitor,
        *,
        every_n_epochs: int | None = None,
        every_n_steps: int | None = None,
        axis: Axis = "step",
        before_training: bool = False,
        module: str = "",
        strict: bool | None = None,
    ) -> None:
        if not isinstance(monitor, ConceptMonitor):
            raise TypeError(f"monitor must be a ConceptMonitor, got {type(monitor).__name__}")
        check_choice("axis", axis, Axis)
        if every_n_epochs is not None and every_n_steps is not None:
            raise ValueError("every_n_epochs and every_n_steps exclude each other; give one of them")
        if every_n_steps is not None and axis == "epoch":
            raise ValueError("axis='epoch' has one place for each epoch; use every_n_epochs, or axis='step'")
        if not isinstance(module, str):
            raise TypeError(
                f"module must be the name of a part of the model, as in model.named_modules(), got "
                f"{type(module).__name__}"
            )
        self.monitor = monitor
        self.every_n_steps = _check_every("every_n_steps", every_n_steps)
        self.every_n_epochs = _check_every("every_n_epochs", every_n_epochs)
        if self.every_n_steps is None and self.every_n_epochs is None:
            self.every_n_epochs = 1
        self.axis, self.before_training, self.module = axis, before_training, module
        self.strict = monitor.strict if strict is None else strict
        self._logged_until = _NOTHING_LOGGED
        self._has_warned = False

    def _is_due(self, every: int | None, count: int) -> bool:
        return every is not None and count > 0 and count % every == 0

    def _watched(self, model: nn.Module) -> nn.Module:
        """The part of the model that is looked at.

        Raises:
            ValueError: There is no such part, or it lacks a layer of the monitor.
        """
        try:
            watched = model.get_submodule(self.module)
        except AttributeError as error:
            parts = ", ".join(name for name, _ in model.named_children())
            raise ValueError(f"module: the model has no part {self.module!r}; it has {parts}") from error
        find_layers(watched, self.monitor.layers)
        return watched

    def _resume(self, writer: SummaryWriter | None, step: int) -> None:
        """Begin to log after a resume, at a step of the library's own axis.

        A checkpoint may have been saved between the last step of an epoch and the epoch's end, which then
        comes again; what the log holds of it stays.
        """
        if writer is None:
            return
        if self.axis == "step":
            hide_from(writer, step)
        session = session_of(writer)
        if session.history.last_look is not None:
            self.monitor.repeat_choice(*session.history.last_look)
        known = [session.last_step(layer) for layer in self.monitor.layers]
        self._logged_until = min((last for last in known if last is not None), default=_NOTHING_LOGGED)
        if self.axis == "epoch" and self._logged_until >= 0:
            logger.warning(
                "%s has concepts up to epoch %d; they stay, and later epochs are logged. To have the epochs "
                "that are trained anew logged anew, use axis='step'",
                writer.log_dir,
                self._logged_until,
            )

    def _look(
        self, model: nn.Module, writer: SummaryWriter | None, step: int, scalars: Mapping[str, Any]
    ) -> None:
        """Look at the model and log what is seen; without a writer, only do one's share of looking."""
        ranks = self.monitor.ranks
        if writer is None and ranks.size == 1:
            return  # the process that writes looks alone
        try:
            with ranks.meeting(type(self).__name__):
                watched = self._watched(model)
                collected = self.monitor.collect(watched)
                ranks.lead(
                    lambda: self._score_and_log(collected, watched, writer, step, scalars),
                    "scoring and writing",
                )
        except Exception as error:
            if self.strict:
                raise
            self._warn_once(f"concepts were not logged at step {step}: {type(error).__name__}: {error}")

    def _score_and_log(
        self,
        collected: Collected,
        watched: nn.Module,
        writer: SummaryWriter | None,
        step: int,
        scalars: Mapping[str, Any],
    ) -> None:
        snapshots = self.monitor.score(collected, watched)
        if writer is None or step <= self._logged_until:
            return
        cast("Any", writer)._get_file_writer()  # noqa: SLF001 (opens a closed file anew, as a scalar would)
        add_concepts(
            writer,
            snapshots,
            step,
            self.monitor.probe,
            strict=self.strict,
            cost=self.monitor.last_cost,
            scalars=scalars,
        )

    def _warn_once(self, message: str) -> None:
        if self._has_warned:
            return
        self._has_warned = True
        warnings.warn(
            f"{message}. Training goes on; further failures are not reported. strict=True raises them",
            RuntimeWarning,
            stacklevel=4,
        )


def hide_from(writer: SummaryWriter, step: int) -> None:
    """Hide what an earlier session logged at a step and later, as a resumed training logs it anew.

    TensorBoard's Python loader takes the first START event of a run for its beginning and hides nothing;
    libraries write none, so there is one here that counts as the first.

    Args:
        writer: The library's writer; it has logged nothing yet at this step or later.
        step: The first step that comes again.
    """
    file_writer = cast("Any", writer)._get_file_writer()  # noqa: SLF001 (no public way)
    for first_hidden in (_HIDES_NOTHING, step):
        start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
        file_writer.add_event(event_pb2.Event(step=first_hidden, session_log=start))
    session_of(writer).begin_again(step)


def _check_every(argument: str, value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{argument} must be a whole number, got {type(value).__name__}: {value!r}")
    if value < 1:
        raise ValueError(f"{argument} must be at least 1, got {value}")
    return value
