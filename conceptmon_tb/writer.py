"""The writer: one call per epoch puts the concepts of a model into the run's event file.

Logging never kills training: a failure inside monitoring, or a disk that is full, warns once and the
training goes on; `strict=True` raises instead. What was written before stays readable.
"""

from __future__ import annotations

import contextlib
import logging
import time
import warnings
import weakref
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from tensorboard.compat.proto import event_pb2
from torch import nn
from torch.utils.tensorboard import SummaryWriter

from conceptmon_tb.alert_log import AlertLog, OnAlert
from conceptmon_tb.alert_rules import AlertRules
from conceptmon_tb.background import Background, check_background, too_slow
from conceptmon_tb.call_site import level_outside
from conceptmon_tb.collecting import Collected
from conceptmon_tb.distributed import RankError, Ranks, find_ranks
from conceptmon_tb.event_files import event_files
from conceptmon_tb.event_guard import GuardedEventWriter, check_folder
from conceptmon_tb.event_writing import (
    add_concepts,
    alerts_of,
    check_open,
    check_step,
    file_name,
    is_repeated,
    sent_by,
    session_of,
    warn_once,
    write_snapshots,
)
from conceptmon_tb.evolution_records import Evolutions
from conceptmon_tb.evolution_writing import add_evolutions
from conceptmon_tb.monitor import ConceptMonitor
from conceptmon_tb.session import Session, open_folder, resume, wait_for_a_later_name
from conceptmon_tb.silence import SilentFileWriter

__all__ = ["ConceptWriter", "add_concepts", "alerts_of", "session_of"]
logger = logging.getLogger(__name__)


class ConceptWriter(SummaryWriter):
    """A SummaryWriter that also knows how to log concepts.

    A fresh run starts with a START event at step 0, so that a later `purge_step=k` hides the steps from k
    on in both of TensorBoard's loading modes; a folder that holds event files already is only continued. An
    epoch is in the event file when `add_concepts` returns: a crash after that does not lose it. A folder that
    another process is writing to is left to it, and this run goes to a new one beside it (`log_dir` tells
    which), with a warning; see docs/resume.md.

    Under `torch.distributed` make one on every rank: only rank 0 makes a folder and a file, and writes; what
    a loop logs on other ranks is dropped (docs/distributed.md).

    Args:
        log_dir: The run's folder; as in SummaryWriter.
        monitor: What looks at the model.
        strict: True raises a failure inside monitoring or writing; False warns once and goes on; None does
            as `monitor.strict` says.
        purge_step: Resume from a checkpoint: hide what an earlier session logged at this step and later.
            Without it, what an earlier session logged stays, and steps up to its last one are not logged
            again (a warning, or with `strict` a ValueError).
        every_n_epochs: Look at steps that are multiples of this number only, and at -1, before training;
            see `add_concepts` for the last one.
        asynchronous: Score in a thread beside the next epoch. What is logged is bit for bit the same, and so
            is the training. The first epoch is still scored at once: what holds still is prepared with it.
            `close` and `flush` wait for the epoch that is being scored, and so does the end of the process;
            a failure is told at the next call. The detector must allow it, as `ClipDissect` and
            `NetworkDissection` do.
        alerts: Rules that every epoch is looked at with; True for the defaults, False for none. An alert is a
            `ConceptAlert` warning, a text in the Text tab and a mark in the tab's time line. Training loss
            and accuracy are known from what passes through `add_scalar`; see docs/alerts.md.
        on_alert: Called with each new `Alert` after its epoch was written; what it raises ends the loop.
        **options: Further keyword arguments of SummaryWriter.

    Raises:
        OSError: The folder cannot be made or written to.
        RuntimeError: Another process is writing to the folder, with `strict`.
        TypeError: An argument of the wrong type.
        ValueError: `every_n_epochs` is below 1, or the detector must not score beside a training.
    """

    all_writers: Any  # torch says None

    def __init__(
        self,
        log_dir: str | Path | None = None,
        *,
        monitor: ConceptMonitor | None = None,
        strict: bool | None = None,
        purge_step: int | None = None,
        every_n_epochs: int = 1,
        asynchronous: bool = False,
        alerts: AlertRules | bool = True,
        on_alert: OnAlert | None = None,
        **options: Any,
    ) -> None:
        if monitor is not None and not isinstance(monitor, ConceptMonitor):
            raise TypeError(f"monitor must be a ConceptMonitor or None, got {type(monitor).__name__}")
        self.every_n_epochs = _check_every(every_n_epochs)
        alert_log = AlertLog(alerts, on_alert)
        if asynchronous and monitor is not None:
            check_background(monitor.detector)
        self._is_silent = not find_ranks("auto" if monitor is None else monitor.distributed).leads
        self._background = Background(self._leave) if asynchronous and not self._is_silent else None
        self._is_prepared = self._told_of_waiting = False
        self.monitor = monitor
        self.strict = strict if strict is not None else bool(monitor is not None and monitor.strict)
        is_local = log_dir is not None and "://" not in str(log_dir) and not self._is_silent
        session, self._lock = Session(None), None
        if is_local:
            folder = Path(str(log_dir))
            check_folder(folder)
            folder, self._lock = open_folder(folder, strict=self.strict)
            weakref.finalize(self, self._lock.release)
            session = resume(folder, purge_step, monitor.layers if monitor is not None else None)
            if monitor is not None and session.history.last_look is not None:
                monitor.repeat_choice(*session.history.last_look)
            log_dir = folder
        if purge_step is None and (not log_dir or (is_local and not session.history.sizes)):
            purge_step = 0
        sent = sent_by(self)
        sent.session, sent.alerts = session, alert_log
        super().__init__(None if log_dir is None else str(log_dir), purge_step=purge_step, **options)

    def add_concepts(
        self, model: nn.Module, global_step: int, walltime: float | None = None, *, force: bool = False
    ) -> None:
        """Look at the model and log what its neurons detect.

        The model and the random streams are bit for bit as before afterwards. A second call at the same
        step is refused: the first stays (a warning, or with `strict` a ValueError). Under
        `torch.distributed` every rank must call it: they share the work, rank 0 writes, and what fails on
        one rank fails on all, or on all is a warning.

        Args:
            model: The model in training.
            global_step: The epoch or step, -1 or more; the same axis as your scalars.
            walltime: Seconds since 1970; None for now.
            force: Look also where `every_n_epochs` leaves the step out: the last epoch, say.

        Raises:
            RuntimeError: The writer is closed. With `asynchronous` and `strict`: scoring an earlier step
                failed; the message names it.
            TypeError: `global_step` is not a whole number.
            ValueError: There is no monitor, or `global_step` is below -1.
            Exception: Whatever failed inside, with `strict` only.
        """
        if self.monitor is None:
            raise ValueError("the writer has no monitor; make it with ConceptWriter(log_dir, monitor=...)")
        if self._leaves_out(global_step) and not force:
            return
        ranks, together = self.monitor.ranks, contextlib.ExitStack()
        try:
            together.enter_context(ranks.meeting("ConceptWriter.add_concepts"))
        except RankError as error:
            if self.strict:
                raise
            warn_once(sent_by(self), f"concepts were not logged at step {global_step}", error)
            return
        with together:
            self._add_together(ranks, self.monitor, model, global_step, walltime)

    def add_evolutions(self, evolutions: Evolutions, walltime: float | None = None) -> None:
        """Log which neurons' evolution between two epochs matters to which class.

        A second table for the same two epochs is refused: the first stays (a warning, or with `strict` a
        ValueError). Of several ranks only rank 0 writes; the others may call it or not.

        Args:
            evolutions: From `evolution.important_evolutions`.
            walltime: Seconds since 1970; None for now.

        Raises:
            RuntimeError: The writer is closed.
            TypeError: It is something else.
            ValueError: The two epochs are in the log already, with `strict` only.
            Exception: Whatever failed while writing, with `strict` only.
        """
        if self._is_silent:
            return
        self._finish()
        add_evolutions(self, evolutions, walltime, strict=self.strict)

    def _leaves_out(self, global_step: Any) -> bool:
        """Whether `every_n_epochs` leaves a step out; what is no step is refused later, by all ranks."""
        with contextlib.suppress(TypeError, ValueError):
            step = check_step(global_step)
            return step > 0 and step % self.every_n_epochs > 0
        return False

    def _add_together(
        self,
        ranks: Ranks,
        monitor: ConceptMonitor,
        model: nn.Module,
        global_step: int,
        walltime: float | None,
    ) -> None:
        strict = any(ranks.exchange(self.strict))
        step = ranks.agree(lambda: self._check_call(global_step), "checking the call")
        ranks.compare({"global_step": step})
        if not ranks.lead(lambda: self._is_new(step, monitor, strict), "preparing to write"):
            return
        try:
            collected = monitor.collect(model)
        except Exception as error:
            if strict:
                raise
            warn_once(sent_by(self), f"concepts were not logged at step {step}", error)
            return
        ranks.lead(
            lambda: self._score_and_write(monitor, collected, model, step, walltime, strict),
            "scoring and writing",
        )

    def _check_call(self, global_step: Any) -> int:
        step = check_step(global_step)
        check_open(self)
        return step

    def _is_new(self, step: int, monitor: ConceptMonitor, strict: bool) -> bool:
        """Whether the file can take this step; only here is known what it holds."""
        self._finish(step)
        self.reopen_if_failed()
        return not is_repeated(session_of(self), monitor.layers, step, strict)

    def _score_and_write(
        self,
        monitor: ConceptMonitor,
        collected: Collected,
        model: nn.Module,
        step: int,
        walltime: float | None,
        strict: bool,
    ) -> None:
        try:
            if self._background is not None and self._is_prepared:
                self._score_beside(self._background, collected, model, step, walltime)
                return
            snapshots = monitor.score(collected, model)
            if self._background is not None:
                self._prepare()
        except Exception as error:
            if strict:
                raise
            warn_once(sent_by(self), f"concepts were not logged at step {step}", error)
            return
        add_concepts(self, snapshots, step, monitor.probe, walltime, strict=strict, cost=monitor.last_cost)

    def add_scalars(self, *arguments: Any, **options: Any) -> None:
        """As in SummaryWriter; it makes files of its own, and so nothing on ranks that do not write."""
        if self._is_silent:
            return
        writers: dict[str, Any] = self.all_writers or {}
        for name in [name for name, one in writers.items() if one is not self.file_writer]:
            if getattr(writers[name].event_writer, "failed", False):
                del writers[name]  # the next try gets a new file
        with self._warning("add_scalars could not write"):
            super().add_scalars(*arguments, **options)
        writers = self.all_writers or {}
        for one in writers.values():
            if not isinstance(one.event_writer, GuardedEventWriter):
                one.event_writer = GuardedEventWriter(one.event_writer, self, is_main=False)

    def add_hparams(self, *arguments: Any, **options: Any) -> None:
        """As in SummaryWriter; it makes a file of its own, and so nothing on ranks that do not write."""
        if not self._is_silent:
            with self._warning("add_hparams could not write"):
                super().add_hparams(*arguments, **options)

    @contextlib.contextmanager
    def _warning(self, what: str) -> Iterator[None]:
        """Tell a failure of the disk instead of raising it, unless `strict`."""
        try:
            yield
        except OSError as error:
            if self.strict:
                raise
            warn_once(sent_by(self), what, error)

    @property
    def alerts(self) -> AlertLog:
        """What was raised so far, and what holds at the last epoch."""
        return alerts_of(self)

    def flush(self) -> None:
        """Wait for the epoch that is being scored, if any, and write everything to the disk."""
        self._finish()
        super().flush()

    def close(self) -> None:
        """Wait for the epoch that is being scored, if any, and close the event file."""
        try:
            self._finish()
        finally:
            super().close()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            self._finish(strict=False)  # the loop's own error is the one to be seen
        self.close()

    def _prepare(self) -> None:
        """Make sure, after the first epoch, that the later ones can be scored beside the training."""
        assert self.monitor is not None
        if self.monitor.scoring_draws:
            raise RuntimeError(
                f"the detector {self.monitor.detector.describe()!r} drew from the global random streams, "
                f"which are the training's; give it a generator of its own, or use asynchronous=False"
            )
        _ = self.monitor.probe.thumbnails  # reading pictures may draw random numbers too
        self._is_prepared = True

    def _score_beside(
        self,
        background: Background,
        collected: Collected,
        model: nn.Module,
        step: int,
        walltime: float | None,
    ) -> None:
        monitor, now = self.monitor, walltime or time.time()
        assert monitor is not None
        training = self.alerts.take_training()  # of the epoch that ends here, not of the next one

        def score_and_write() -> None:
            snapshots = monitor.score(collected, model)
            write_snapshots(self, snapshots, step, monitor.probe, now, monitor.last_cost, training)

        background.start(step, score_and_write)

    def _finish(self, before: int | None = None, *, strict: bool | None = None) -> None:
        """Wait for the step that is being scored, and tell how it went."""
        finished = self._background.finish() if self._background else None
        if finished is None:
            return
        if before is not None and not self._told_of_waiting and (message := too_slow(finished, before)):
            self._told_of_waiting = True
            warnings.warn(message, RuntimeWarning, stacklevel=level_outside())
        if finished.error is None:
            self.alerts.tell(quietly=strict is False)
            return
        what = f"concepts were not logged at step {finished.step}"
        if self.strict if strict is None else strict:
            message = f"{what}: {type(finished.error).__name__}: {finished.error}"
            raise RuntimeError(message) from finished.error
        warn_once(sent_by(self), what, finished.error)

    def _leave(self) -> None:
        """The process ends, and nobody has closed the writer."""
        try:
            self._finish(strict=False)
            super().flush()
        except Exception:
            logger.exception("the last concepts may be missing in %s", self.log_dir)

    def _get_file_writer(self) -> Any:
        if self._is_silent:
            silent: Any = SilentFileWriter(str(self.log_dir))
            self.file_writer, self.all_writers = silent, {silent.get_logdir(): silent}
            return silent
        session, purge_step = sent_by(self).session, self.purge_step
        is_new = self.file_writer is None or self.all_writers is None
        if is_new and session is not None and (message := wait_for_a_later_name(session.folder)) is not None:
            warnings.warn(message, RuntimeWarning, stacklevel=4)
        file_writer: Any = super()._get_file_writer()  # type: ignore[no-untyped-call]
        if is_new and session is not None:
            is_first_start = session.history.sizes and not session.history.starts
            session.use_file(file_name(file_writer))
            if purge_step is not None and is_first_start:
                # TensorBoard's Python loader ignores the first START event of a run.
                start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
                file_writer.add_event(event_pb2.Event(step=purge_step, session_log=start))
        if not isinstance(file_writer.event_writer, GuardedEventWriter):
            file_writer.event_writer = GuardedEventWriter(file_writer.event_writer, self)
        return file_writer

    def release(self) -> None:
        """Let other processes write to the folder; closing does it."""
        if self._lock is not None:
            self._lock.release()

    def reopen_if_failed(self) -> None:
        """Try a new event file after a failed write: the disk may have room again, or the folder be gone."""
        old: Any = self.file_writer
        if old.event_writer.reaches_file():
            return
        writers: dict[str, Any] = self.all_writers or {}
        others = {name: one for name, one in writers.items() if one is not old}
        try:
            if "://" not in str(self.log_dir):
                self._make_folder(Path(str(self.log_dir)))
            self.file_writer = None
            self._get_file_writer()
        except OSError:
            self.file_writer = old
            return
        old.event_writer.abandon()
        for one in others.values():
            one.event_writer.reaches_file()  # they share the trouble, which was told
        self.all_writers = {**(self.all_writers or {}), **others}
        logger.warning("logging to %s again; what was logged since the failure is lost", self.log_dir)
        sent = sent_by(self)
        sent.space, sent.warned = "", False
        sent.images.clear()

    def _make_folder(self, folder: Path) -> None:
        """Make sure that there is a folder, that it can be written to, and that it is ours."""
        check_folder(folder)
        held, session = self._lock, sent_by(self).session
        if held is not None:  # on the folder that was there before; this may be another of its name
            folder, self._lock = open_folder(folder, strict=self.strict)
            weakref.finalize(self, self._lock.release)
            held.release()
            self.log_dir = str(folder)
        if session is not None and session.folder is not None and not event_files(folder):
            self.purge_step, sent_by(self).session = 0, Session(folder)  # all is gone: the run begins anew


def _check_every(every_n_epochs: Any) -> int:
    if isinstance(every_n_epochs, bool) or not isinstance(every_n_epochs, (int, np.integer)):
        raise TypeError(
            f"every_n_epochs must be a whole number, got {type(every_n_epochs).__name__}: {every_n_epochs!r}"
        )
    if every_n_epochs < 1:
        raise ValueError(f"every_n_epochs must be at least 1, got {every_n_epochs}")
    return int(every_n_epochs)
