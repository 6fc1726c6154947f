"""Scoring in a thread beside the training, one epoch at a time.

The training owns everything global of the process: Python's, NumPy's and torch's random streams, autocast's
cache, the number of threads. Scoring needs none of it, and `training_state.beside_training` sees to that.
A thread shares the loaded encoder, probe and detector, and torch and the compiled kernels do not hold
Python's lock while they compute, so that the next epoch runs meanwhile (docs/cost.md has the figures).
"""

from __future__ import annotations

import concurrent.futures.thread  # noqa: F401  # its exit handler must be there first, to run after ours
import os
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from conceptmon_tb.training_state import beside_training

WORTH_TELLING = 0.1
"""Seconds; waiting less for the epoch before is no falling behind."""


class Finished(NamedTuple):
    """How a task in the background ended.

    Attributes:
        step: Its global step.
        seconds: How long it took.
        waited: How long the training stood still for it, in seconds.
        since: Seconds from its start to the moment when its end was asked for: the epoch that it overlapped.
        error: What it raised, None if nothing.
    """

    step: int
    seconds: float
    waited: float
    since: float
    error: BaseException | None


def check_background(detector: object) -> None:
    """Refuse a detector that does not say that it may score beside a training.

    Args:
        detector: A concept detector.

    Raises:
        ValueError: It does not; the message says what to do.
    """
    if getattr(detector, "runs_in_background", False) is not True:
        raise ValueError(
            f"asynchronous=True scores in a thread beside the training, and {type(detector).__name__} does "
            f"not say that it leaves global state alone. If it draws random numbers only from generators of "
            f"its own, set runs_in_background = True on it; else use asynchronous=False"
        )


def too_slow(finished: Finished, before: int) -> str | None:
    """What to tell of a training that stood still because scoring takes longer than an epoch.

    Args:
        finished: How the task ended.
        before: The step that had to wait.

    Returns:
        The message; None where waiting is not worth telling.
    """
    if finished.waited < WORTH_TELLING:
        return None
    return (
        f"scoring step {finished.step} took {finished.seconds:.1f} s and training went on for only "
        f"{finished.since:.1f} s meanwhile, so step {before} waited {finished.waited:.1f} s for it. "
        f"Concepts stay complete and in order. To wait less, look at fewer epochs (every_n_epochs) or fewer "
        f"images (ConceptMonitor(max_seconds=...)). Further waits are not reported"
    )


class Background:
    """At most one task beside the training; whoever wants to start another waits for it.

    A task that still runs when the process ends is waited for, and so is one whose owner was forgotten.

    Args:
        at_exit: Called at the end of the process while a task was started and never waited for; it must
            wait.
    """

    def __init__(self, at_exit: Callable[[], None]) -> None:
        self._task: _Task | None = None
        self._at_exit = at_exit

    def start(self, step: int, act: Callable[[], None]) -> None:
        """Begin a task; `finish` must have been called after the one before.

        Args:
            step: Its global step.
            act: What to do. It must not touch global state.
        """
        assert self._task is None, "finish() comes before the next start()"
        _running.add(self)
        _wait_at_exit()
        self._task = _Task(step, act)
        # A new thread each time takes on the number of threads that torch has been given since.
        self._task.thread.start()

    def finish(self) -> Finished | None:
        """Wait for the task.

        Returns:
            How it ended; None if there was none since the last call.
        """
        task = self._task
        if task is None:
            return None
        asked = time.perf_counter()
        task.thread.join()
        self._task = None
        _running.discard(self)
        waited = time.perf_counter() - asked
        return Finished(task.step, task.seconds, waited, asked - task.started, task.error)

    def leave(self) -> None:
        """The process ends."""
        self._at_exit()


class _Task:
    def __init__(self, step: int, act: Callable[[], None]) -> None:
        self.step = step
        self.error: BaseException | None = None
        self.seconds = 0.0
        self.started = time.perf_counter()
        self._act = act
        self.thread = threading.Thread(target=self._run, name=f"conceptmon scoring of step {step}")

    def _run(self) -> None:
        try:
            with beside_training():
                self._act()
        except BaseException as error:  # noqa: BLE001  # told in the training's thread
            self.error = error
        self.seconds = time.perf_counter() - self.started
        del self._act  # what it holds, a model and its activations, may be large


_running: set[Background] = set()
_process: list[int] = []


def _wait_at_exit() -> None:
    """See to it that a process that ends waits, while threads can still be started for the work."""
    if os.getpid() in _process:
        return
    _process[:] = [os.getpid()]
    # Handlers of `atexit` run too late: Python has closed all thread pools by then, and scoring uses one.
    threading._register_atexit(_leave_all)  # type: ignore[attr-defined]  # noqa: SLF001  # no public way


def _leave_all() -> None:
    if os.getpid() not in _process:
        return  # a forked child (a worker of a DataLoader) ends; the thread is its parent's
    for background in list(_running):
        background.leave()
