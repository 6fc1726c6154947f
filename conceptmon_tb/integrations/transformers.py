"""Concept Monitor as a callback of Transformers' Trainer, for models of images."""

from __future__ import annotations

import inspect
import logging
import math
import os
from pathlib import Path
from typing import Any

from torch import nn
from torch.utils.tensorboard import SummaryWriter

from conceptmon_tb.integrations.common import Axis, LoopCallback
from conceptmon_tb.monitor import ConceptMonitor
from conceptmon_tb.training_scalars import ScalarMeans
from conceptmon_tb.writer import ConceptWriter

try:
    from transformers.trainer_callback import CallbackHandler, TrainerCallback
except ModuleNotFoundError as error:
    if error.name != "transformers":
        raise
    raise ImportError(
        "this callback needs Transformers; install it with pip install 'conceptmon-tb[transformers]'"
    ) from error

logger = logging.getLogger(__name__)


class ConceptMonitorCallback(LoopCallback, TrainerCallback):
    """Logs concepts beside the Trainer's scalars, in the same event file.

        monitor = cm.ConceptMonitor(["vit.layers.5", "vit.layers.11"], probe)
        trainer = Trainer(model, TrainingArguments(..., report_to="tensorboard"), train_dataset=train_set,
                          callbacks=[ConceptMonitorCallback(monitor)])

    The writer is that of the Trainer's TensorBoardCallback; a Trainer without one gets a writer of its own
    in the folder where that callback would write. Only the process of world rank 0 writes. A failure inside
    monitoring does not end the training.

    Args:
        monitor: What looks at the model. Pictures go into the first argument of its `forward`, which is
            `pixel_values` for models of images.
        every_n_epochs: Look at the end of each n-th epoch; the default is each.
        every_n_steps: Look after each n-th optimiser step instead.
        axis: "step" logs at the Trainer's `global_step`, like its scalars: steps count from 1. "epoch" logs
            at the number of the epoch, from 1.
        before_training: Also look before the first step, at step 0; not when resumed.
        module: Name of the part of the model that is looked at, "vision_model" for a CLIP model's; "" is all
            of it. Layer names are relative to it.
        strict: True raises a failure inside monitoring; False warns once and goes on; None does as
            `monitor.strict` says.

    Raises:
        ImportError: On import of this module: Transformers is not installed.
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
        super().__init__(
            monitor,
            every_n_epochs=every_n_epochs,
            every_n_steps=every_n_steps,
            axis=axis,
            before_training=before_training,
            module=module,
            strict=strict,
        )
        self._own_writer: ConceptWriter | None = None
        self._has_begun = False
        self._heard = 0  # entries of the Trainer's log

    def on_train_begin(
        self,
        args: Any,  # noqa: ARG002
        state: Any,
        control: Any,  # noqa: ARG002
        model: nn.Module,
        **_: Any,
    ) -> None:
        """Refuse layers that the model does not have, before anything is trained."""
        self._watched(model)
        self._has_begun, self._heard = False, len(state.log_history)

    def on_epoch_begin(
        self,
        args: Any,
        state: Any,
        control: Any,  # noqa: ARG002
        model: nn.Module,
        **_: Any,
    ) -> None:
        """Begin, now that all callbacks have opened their files: look, or hide what comes again."""
        if self._has_begun:
            return
        self._has_begun = True
        if state.global_step == 0:
            if self.before_training:
                self._log(model, args, state, 0)
            return
        writer = self._writer(args, state)
        if writer is not self._own_writer:
            self._resume(writer, state.global_step + 1)

    def on_step_end(
        self,
        args: Any,
        state: Any,
        control: Any,  # noqa: ARG002
        model: nn.Module,
        **_: Any,
    ) -> None:
        """Look after each n-th step."""
        if self._is_due(self.every_n_steps, state.global_step):
            self._log(model, args, state, state.global_step)

    def on_epoch_end(
        self,
        args: Any,
        state: Any,
        control: Any,  # noqa: ARG002
        model: nn.Module,
        **_: Any,
    ) -> None:
        """Look after each n-th epoch, also one that ended early."""
        epoch = math.ceil(round(state.epoch or 0, 6))
        if self._is_due(self.every_n_epochs, epoch):
            step = state.global_step if self.axis == "step" else epoch
            self._log(model, args, state, step)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Close a writer of our own."""
        if self._own_writer is not None:
            self._own_writer.close()
            self._own_writer = None

    def _log(self, model: nn.Module, args: Any, state: Any, step: int) -> None:
        new, self._heard = state.log_history[self._heard :], len(state.log_history)
        means = ScalarMeans()
        for entry in new:
            for name, value in entry.items():
                if isinstance(value, (int, float)):
                    means.note(name, value)
        self._look(model, self._writer(args, state), step, means.take())

    def _writer(self, args: Any, state: Any) -> SummaryWriter | None:
        """The Trainer's TensorBoard writer, or else our own; None where another process writes."""
        if not state.is_world_process_zero:
            return None
        writer = _trainers_writer()
        if writer is not None:
            return writer
        if self._own_writer is None:
            folder = _logging_dir(args, state)
            logger.warning(
                "the Trainer has no TensorBoardCallback, so concepts go to an event file of their own in %s; "
                "with report_to='tensorboard' they go beside the scalars",
                folder,
            )
            resumed_at = state.global_step + 1 if state.global_step and self.axis == "step" else None
            self._own_writer = ConceptWriter(folder, strict=self.strict, purge_step=resumed_at)
        return self._own_writer


def _trainers_writer() -> SummaryWriter | None:
    """The writer of the Trainer that calls us.

    A callback is told neither the Trainer nor the other callbacks; but who calls it is the object that has
    them all.
    """
    from transformers.integrations import TensorBoardCallback

    frame = inspect.currentframe()
    while frame is not None:
        handler = frame.f_locals.get("self")
        if isinstance(handler, CallbackHandler):
            writers = [c.tb_writer for c in handler.callbacks if isinstance(c, TensorBoardCallback)]
            return next((writer for writer in writers if writer is not None), None)
        frame = frame.f_back
    return None


def _logging_dir(args: Any, state: Any) -> Path:
    """Where the Trainer's TensorBoardCallback would write."""
    from transformers.integrations.integration_utils import default_logdir

    named = getattr(args, "logging_dir", None) or os.getenv("TENSORBOARD_LOGGING_DIR")
    folder = Path(named).expanduser() if named else Path(args.output_dir, default_logdir())
    return folder / state.trial_name if state.is_hyper_param_search and state.trial_name else folder
