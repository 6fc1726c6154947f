"""Concept Monitor as a callback of Lightning's Trainer.

Works with both packages that Lightning comes in, `lightning` and `pytorch_lightning`. Nothing of either is
imported here; a callback becomes one of the package, or packages, that are imported when it is made.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Mapping
from functools import cache
from typing import Any

from torch import nn
from torch.utils.tensorboard import SummaryWriter

from conceptmon_tb.integrations.common import Axis, LoopCallback
from conceptmon_tb.monitor import ConceptMonitor

PACKAGES = ("lightning.pytorch", "pytorch_lightning")


class LightningHooks:
    """A callback for Trainers of both packages: an instance is a `Callback` of each that is imported.

    A Trainer refuses callbacks of the other package, and which one a program uses may not be known yet
    when this module is imported.
    """

    def __new__(cls, *_args: Any, **_options: Any) -> Any:
        """Make it an instance of a class that is a callback as well."""
        kind: Any = cls
        return object.__new__(_with_bases(kind, _imported_callbacks()))

    def __reduce__(self) -> Any:
        # The class of an instance has no name to be found by; pickling names the class it was made from.
        return type(self).__mro__[1].__new__, (type(self).__mro__[1],), self.__dict__


def _imported_callbacks() -> tuple[type, ...]:
    imported = [package for package in PACKAGES if hasattr(sys.modules.get(package), "Callback")]
    if not imported:
        installed = [package for package in PACKAGES if importlib.util.find_spec(package.partition(".")[0])]
        if not installed:
            raise ImportError(
                "this callback needs Lightning; install it with pip install 'conceptmon-tb[lightning]' "
                "(pytorch_lightning will do too)"
            )
        importlib.import_module(installed[0])
        imported = installed[:1]
    return tuple(sys.modules[package].Callback for package in imported)


@cache
def _with_bases(cls: Any, callbacks: tuple[type, ...]) -> type:
    about = {"__module__": cls.__module__, "__qualname__": cls.__qualname__, "__doc__": cls.__doc__}
    return type(cls.__name__, (cls, *callbacks), about)


class ConceptMonitorCallback(LoopCallback, LightningHooks):
    """Logs concepts with the Trainer's TensorBoardLogger, in the same event file as its scalars.

        monitor = cm.ConceptMonitor(["net.layer3", "net.layer4"], probe)
        trainer = Trainer(callbacks=[ConceptMonitorCallback(monitor)])

    Sanity checks, validation and tests log nothing; with `fast_dev_run` nothing is looked at. Only the
    process of global rank 0 writes. A failure inside monitoring does not end the training.

    Args:
        monitor: What looks at the LightningModule.
        every_n_epochs: Look at the end of each n-th epoch, after validation; the default is each.
        every_n_steps: Look after each n-th optimiser step instead.
        axis: "step" logs at the step at which Lightning logs the same moment's loss, so that both share one
            axis in TensorBoard: steps count from 0. "epoch" logs at the number of the epoch, from 0.
        before_training: Also look before the first step, at step -1; not when resumed.
        module: Name of the part of the LightningModule that is looked at, "net" for `self.net`; "" is all of
            it, with its own `forward`. Layer names are relative to it.
        strict: True raises a failure inside monitoring; False warns once and goes on; None does as
            `monitor.strict` says.

    Raises:
        ImportError: Lightning is not installed.
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
        self._optimizer_steps = 0
        self._is_resumed = False
        self._heard: dict[str, float] = {}

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:  # noqa: ARG002
        """Refuse a Trainer that logs nowhere, before anything is trained."""
        if stage == "fit" and not trainer.fast_dev_run:
            tensorboard_logger(trainer)

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        """Refuse layers that the model does not have, before anything is trained."""
        if trainer.fast_dev_run:
            return
        watched = self._watched(pl_module)
        if _has_no_forward(watched):
            raise ValueError(
                f"{type(watched).__name__} has no forward(), so pictures cannot be put through it; define "
                f"one, or name the part that has one with ConceptMonitorCallback(..., module=...)"
            )

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Look before the first step, where that is wanted."""
        self._optimizer_steps = trainer.global_step
        self._is_resumed = trainer.global_step > 0
        if self.before_training and not self._is_resumed:
            self._log(trainer, pl_module, -1)

    def on_train_batch_start(self, trainer: Any, *_: Any) -> None:
        """After a resume: hide what comes again. Only now does Lightning know its step."""
        self._begin_again(trainer)

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
        """Look after each n-th step; a batch whose gradients are only accumulated is none."""
        if trainer.global_step == self._optimizer_steps and pl_module.automatic_optimization:
            return
        self._optimizer_steps = trainer.global_step
        step = _steps_logged(trainer)  # of this batch: Lightning counts it later
        if self._is_due(self.every_n_steps, step + 1):
            self._log(trainer, pl_module, step, self._news(trainer.callback_metrics))

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Look after each n-th epoch, at the step of its last batch."""
        self._begin_again(trainer)
        if self._is_due(self.every_n_epochs, trainer.current_epoch + 1):
            step = _steps_logged(trainer) - 1 if self.axis == "step" else trainer.current_epoch
            self._log(trainer, pl_module, step)

    def _begin_again(self, trainer: Any) -> None:
        if self._is_resumed and not trainer.fast_dev_run:
            self._resume(trainers_writer(trainer), _steps_logged(trainer))
        self._is_resumed = False

    def _news(self, metrics: Mapping[str, Any]) -> dict[str, float]:
        """In the middle of an epoch, leave out what still is the epoch's before: Lightning keeps it."""
        before, self._heard = self._heard, {name: float(value) for name, value in metrics.items()}
        return {
            name: value
            for name, value in self._heard.items()
            if value != before.get(name) and not name.endswith("_epoch")
        }

    def _log(
        self, trainer: Any, pl_module: nn.Module, step: int, scalars: Mapping[str, Any] | None = None
    ) -> None:
        if not trainer.fast_dev_run:
            known = trainer.callback_metrics if scalars is None else scalars
            self._look(pl_module, trainers_writer(trainer), step, known)


def _steps_logged(trainer: Any) -> int:
    """Where Lightning's own loggers are: one for each batch that stepped, however many optimisers it has."""
    return int(trainer.fit_loop.epoch_loop._batches_that_stepped)  # noqa: SLF001 (as Lightning's own callbacks do)


def trainers_writer(trainer: Any) -> SummaryWriter | None:
    """The Trainer's SummaryWriter; None on all processes but the one that writes."""
    return tensorboard_logger(trainer).experiment if trainer.is_global_zero else None


def tensorboard_logger(trainer: Any, callback: str = "ConceptMonitorCallback") -> Any:
    """The Trainer's TensorBoardLogger; Lightning's own error names the callback where there is none."""
    kinds = tuple(
        sys.modules[f"{package}.loggers"].TensorBoardLogger
        for package in PACKAGES
        if f"{package}.loggers" in sys.modules
    )
    for logger in trainer.loggers:
        if isinstance(logger, kinds):
            return logger
    package = type(trainer).__module__.partition(".trainer")[0]
    found = ", ".join(type(logger).__name__ for logger in trainer.loggers) or "none"
    raise importlib.import_module(f"{package}.utilities.exceptions").MisconfigurationException(
        f"{callback} works with the Trainer's TensorBoardLogger, and its loggers are: {found}. "
        f"Give the Trainer one: Trainer(logger=TensorBoardLogger(save_dir)); several loggers go in a list"
    )


def _has_no_forward(module: nn.Module) -> bool:
    owner = next(cls for cls in type(module).__mro__ if "forward" in vars(cls))
    return owner is nn.Module or (owner.__name__ == "LightningModule" and "forward" not in vars(module))
