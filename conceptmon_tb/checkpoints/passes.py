"""Forward passes over checkpoints, in this process or in several, always handed out in order.

Only the passes are shared out: they are most of the work, and what they give is small. Naming concepts stays
in one process, which measures displacement from step to step. Processes are spawned (torch's threads do not
survive a fork), build the model once, and hold one checkpoint at a time; they end by themselves when this
process does.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import multiprocessing
import os
import pickle
import signal
import threading
import time
import warnings
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import torch
from torch import nn
from tqdm.auto import tqdm

from conceptmon_tb.checkpoints.factory import ModelSource, build_model
from conceptmon_tb.checkpoints.files import CheckpointError
from conceptmon_tb.checkpoints.keys import take_state
from conceptmon_tb.checkpoints.loading import read_checkpoint
from conceptmon_tb.checkpoints.plan import Checkpoint
from conceptmon_tb.monitor import Collected, ConceptMonitor

STARTUP_SECONDS = 12.0
"""What a further process costs before its first pass: imports, and preparing the pictures."""

SHARE_SAVED = 0.2
"""What processes save of the time of one that uses all cores by threads (benchmarks/backfill.py)."""

MOST_WORKERS = 4
_IDLE_SECONDS, _PATIENCE = 0.5, 5.0


class WorkerError(RuntimeError):
    """A further process died; the message names the checkpoint that it was at."""


@dataclass(frozen=True)
class Recipe:
    """All that a process needs to run the probe through checkpoints; it can be pickled.

    Attributes:
        source: What the model is built from.
        arguments: Keyword arguments of the factory.
        device: Where the model runs.
        monitor: What looks at it.
        allow_classes: Classes that checkpoints may hold.
    """

    source: ModelSource
    arguments: Mapping[str, Any] | None
    device: str
    monitor: ConceptMonitor
    allow_classes: tuple[str, ...]


class Runner:
    """A model that takes on the weights of one checkpoint after the other.

    Args:
        recipe: How it is built.
        model: It, if it was built already.

    Attributes:
        model: The model.
    """

    def __init__(self, recipe: Recipe, model: nn.Module | None = None) -> None:
        self._recipe = recipe
        if model is None:
            model = build_model(recipe.source, recipe.arguments, recipe.monitor.seed)
        try:
            self.model = model.to(recipe.device)
        except (RuntimeError, AssertionError) as error:
            raise ValueError(f"device {recipe.device!r} cannot be used: {error}") from error
        # Weights that a checkpoint lacks are the factory's, not those of the checkpoint before.
        self._initial = {name: copy.deepcopy(value) for name, value in self.model.state_dict().items()}

    def collect(self, checkpoint: Checkpoint) -> Collected:
        """Load a checkpoint and run the probe through it.

        Args:
            checkpoint: One that fits.

        Returns:
            What the layers answer.

        Raises:
            CheckpointError: It cannot be read any more, or the forward pass fails; the message names it.
        """
        try:
            content = read_checkpoint(checkpoint.path, allow_classes=self._recipe.allow_classes)
            state = take_state(content, checkpoint.match)
            lacking = {name: self._initial[name] for name in self._initial if name not in state}
            self.model.load_state_dict(lacking, strict=False)
            self.model.load_state_dict(state, strict=False)
            del content, state
            return self._recipe.monitor.collect(self.model)
        except Exception as error:
            raise CheckpointError(describe_failure(checkpoint, error)) from error


def describe_failure(checkpoint: Checkpoint, error: BaseException) -> str:
    """Say which checkpoint an error belongs to."""
    reason = str(error) if isinstance(error, CheckpointError) else f"{type(error).__name__}: {error}"
    return f"{checkpoint.path} (step {checkpoint.step}): {reason}"


def collect_in_order(
    recipe: Recipe, runner: Runner, checkpoints: Sequence[Checkpoint], workers: int | None
) -> Generator[tuple[Checkpoint, Collected], None, None]:
    """Run the probe through checkpoints.

    Args:
        recipe: How models are built.
        runner: This process's own.
        checkpoints: In the order wanted.
        workers: Processes; 1 uses this one alone. None starts with this one, and takes more when what
            is left would keep it busy for much longer than they need to start.

    Yields:
        Each checkpoint with what its layers answer, in order.

    Raises:
        CheckpointError: One failed; those before it have been handed out.
        WorkerError: A process died.
    """
    rest = list(checkpoints)
    if workers is None:
        seconds = 0.0
        while rest and (workers := _workers_that_pay(recipe, len(rest), seconds)) == 1:
            started = time.monotonic()
            collected = runner.collect(rest[0])
            # The first pass also prepares the pictures.
            seconds = time.monotonic() - started if len(rest) < len(checkpoints) else 0.0
            yield rest.pop(0), collected
    if not rest:
        return
    if workers is None or min(workers, len(rest)) == 1:
        for checkpoint in rest:
            yield checkpoint, runner.collect(checkpoint)
        return
    with _Workers(recipe, min(workers, len(rest))) as processes:
        yield from processes.collect(rest)


def _workers_that_pay(recipe: Recipe, left: int, seconds: float) -> int:
    """How many processes are worth their start for so many passes of so many seconds each."""
    if torch.device(recipe.device).type == "cpu":
        most = min(MOST_WORKERS, _num_cores())
    elif recipe.device == "cuda":
        most = min(MOST_WORKERS, torch.cuda.device_count())
    else:
        most = 1
    most = min(most, left)
    if most < 2:
        return 1
    # Threads of one process share a pass nearly as well; on a GPU they do nothing.
    shared = torch.get_num_threads() > 1 and torch.device(recipe.device).type == "cpu"
    saved = left * seconds * (SHARE_SAVED if shared else 1 - 1 / most)
    return most if saved > 2 * STARTUP_SECONDS else 1


def _num_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Workers:
    """Spawned processes that take checkpoints in turn."""

    def __init__(self, recipe: Recipe, count: int) -> None:
        context = multiprocessing.get_context("spawn")
        threads = max(1, torch.get_num_threads() // count)
        self._processes: list[Any] = []
        self._connections: list[Connection] = []
        packed = [_pack(_place(recipe, number)) for number in range(count)]
        for content in packed:
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(theirs, threads), daemon=True)
            process.start()
            theirs.close()
            self._processes.append(process)
            self._connections.append(ours)
            with _dead_ends_are_told_later():
                ours.send_bytes(content)

    def __enter__(self) -> _Workers:  # noqa: PYI034 (Self is Python 3.11's)
        return self

    def __exit__(self, *_: object) -> None:
        for connection in self._connections:
            connection.close()  # an idle process ends by itself then
        for process in self._processes:
            process.join(_IDLE_SECONDS)
            process.terminate()
            process.join(_PATIENCE)
            if process.is_alive():
                process.kill()

    def collect(self, checkpoints: Sequence[Checkpoint]) -> Iterator[tuple[Checkpoint, Collected]]:
        count = len(self._connections)
        for number, checkpoint in enumerate(checkpoints[:count]):
            self._send(number, checkpoint)
        for i, checkpoint in enumerate(checkpoints):
            collected = self._receive(i % count, checkpoint)
            if i + count < len(checkpoints):
                self._send(i % count, checkpoints[i + count])
            yield checkpoint, collected

    def _send(self, number: int, checkpoint: Checkpoint) -> None:
        with _dead_ends_are_told_later():
            self._connections[number].send_bytes(pickle.dumps(checkpoint))

    def _receive(self, number: int, checkpoint: Checkpoint) -> Collected:
        try:
            answer = pickle.loads(self._connections[number].recv_bytes())  # noqa: S301 (our own)
        except (EOFError, OSError) as error:
            process = self._processes[number]
            process.join(_PATIENCE)
            raise WorkerError(
                f"{checkpoint.path} (step {checkpoint.step}): the process that looked at it ended with exit "
                f"code {process.exitcode}{_likely_cause(process.exitcode)}. What was written stays; run it "
                f"again with workers=1 (--workers 1) to go on"
            ) from error
        if isinstance(answer, str):
            raise CheckpointError(answer)
        assert isinstance(answer, Collected)
        return answer


def _likely_cause(exit_code: int | None) -> str:
    if exit_code == -signal.SIGKILL:
        return " (killed: out of memory?)"
    if exit_code == 1:
        return " (in a script, call backfill under: if __name__ == '__main__':)"
    return ""


class _dead_ends_are_told_later:  # noqa: N801 (reads as a sentence)
    """A process that died is met again, and told of, when its answer is asked for."""

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        return kind is not None and issubclass(kind, (BrokenPipeError, ConnectionError))


def _place(recipe: Recipe, number: int) -> Recipe:
    """Give each process a GPU of its own where there are several."""
    light = dataclasses.replace(recipe, monitor=_only_collecting(recipe.monitor))
    if recipe.device == "cuda" and torch.cuda.device_count() > 1:
        return dataclasses.replace(light, device=f"cuda:{number % torch.cuda.device_count()}")
    return light


def _only_collecting(monitor: ConceptMonitor) -> ConceptMonitor:
    """A copy that can collect and not score: encoders are large, and may be on a device."""
    light = copy.copy(monitor)
    placed = monitor._placed  # noqa: SLF001 (so that no process fits a map of its own)
    light.__dict__.pop("_observer", None)
    light.__dict__.update(_placed=placed, encoder=None, explain=False, progress=False)
    # What belongs to a process: locks, and what is known of models that are alive in it.
    light.__dict__.update(_one_at_a_time=contextlib.nullcontext(), _before=None, _space_known_to=None)
    return light


def _pack(recipe: Recipe) -> bytes:
    try:
        return pickle.dumps(recipe)
    except Exception as error:
        raise ValueError(
            f"workers: the model's factory, the probe set and its transform must be picklable for further "
            f"processes, and are not ({error}); define them in a module of yours, or use workers=1 "
            f"(--workers 1)"
        ) from error


def _work(connection: Connection, threads: int) -> None:
    """What a further process does: checkpoints in, answers of the layers out, until the other end closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that was interrupted ends this one
    warnings.simplefilter("ignore")  # they were shown there
    torch.set_num_threads(threads)
    tqdm.set_lock(threading.RLock())  # its own is shared by processes, and left behind by one that is ended
    runner: Runner | None = None
    failure = ""
    try:
        try:
            runner = Runner(pickle.loads(connection.recv_bytes()))  # noqa: S301 (our own)
        except Exception as error:  # noqa: BLE001 (whatever the user's own code raises)
            failure = f"{type(error).__name__}: {error}"
        while True:
            checkpoint = pickle.loads(connection.recv_bytes())  # noqa: S301
            connection.send_bytes(pickle.dumps(_answer(runner, checkpoint, failure), protocol=5))
    except (EOFError, ConnectionError):
        return


def _answer(runner: Runner | None, checkpoint: Checkpoint, failure: str) -> Collected | str:
    if runner is None:
        return f"{checkpoint.path} (step {checkpoint.step}): a further process could not begin: {failure}"
    try:
        return runner.collect(checkpoint)
    except CheckpointError as error:
        return str(error)
