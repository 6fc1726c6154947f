"""Writes and views for some time, and reads what everybody holds."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from pathlib import Path

import psutil
from tqdm import tqdm

from benchmarks.soak.actors import RUN_EPOCHS, Training, Visitor
from benchmarks.soak.reader import Reader
from benchmarks.soak.trends import Samples, weigh
from tests.servers import TensorBoardServer

SAMPLE_SECONDS, VIEW_EVERY = 10.0, 4
LOADED_SECONDS = 10.0


def soak(
    seconds: float,
    *,
    pace: float = 1.0,
    epochs: int = RUN_EPOCHS,
    sample_seconds: float = SAMPLE_SECONDS,
    loaded_seconds: float = LOADED_SECONDS,
    with_reader: bool = False,
) -> tuple[Samples, int, list[str]]:
    """Write and view for some time.

    Args:
        seconds: How long.
        pace: Seconds from one epoch to the next.
        epochs: Of each run.
        sample_seconds: Between samples.
        loaded_seconds: After a run is complete it is surely loaded.
        with_reader: Whether somebody looks at the tab too.

    Returns:
        What was read, the number of epochs, and what went wrong.
    """
    samples = Samples()
    with contextlib.ExitStack() as leaving:
        logdir = Path(leaving.enter_context(tempfile.TemporaryDirectory()))
        training = Training(logdir, epochs)
        leaving.callback(training.close)
        training.write_epoch()
        server = leaving.enter_context(TensorBoardServer(logdir, "--reload_interval=1"))
        server.wait_for(server.runs)
        visitor = Visitor(server)
        reader = leaving.enter_context(Reader(server.url)) if with_reader else None
        begin = time.monotonic()
        bar = leaving.enter_context(tqdm(total=round(seconds), unit="s", desc="Soaking", disable=None))
        next_sample, ticks = 0.0, 0
        while (now := time.monotonic() - begin) < seconds:
            training.write_epoch()
            if training.complete is not None and training.epoch * pace > loaded_seconds:
                visitor.ask(training.complete)
            if reader is not None and ticks % VIEW_EVERY == 0 and training.epoch * pace > loaded_seconds:
                reader.act(training.newest)
            if now >= next_sample:
                samples.add(now / 60, {**_weigh_all(server), **(reader.weigh() if reader else {})})
                next_sample += sample_seconds
            ticks += 1
            bar.update(round(now) - bar.n)
            time.sleep(max(0.0, begin + ticks * pace - time.monotonic()))
        return samples, ticks, [*visitor.refused, *(reader.failed if reader else [])]


def _weigh_all(server: TensorBoardServer) -> dict[tuple[str, str], float]:
    found = {**weigh("writer", os.getpid()), **weigh("TensorBoard", server.pid)}
    for child in psutil.Process(server.pid).children():
        if "server" in child.name():
            found |= weigh("data server", child.pid)
    return found
