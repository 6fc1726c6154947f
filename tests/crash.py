"""Trainings that are killed: real processes that log concepts until somebody ends them.

Each epoch carries its step and its session in the position of neuron 0, so that whoever serves it can be
asked which session it is from.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import multiprocessing
import os
import random
import runpy
import signal
import sys
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from conceptmon_tb.metadata import unpack_payload
from conceptmon_tb.reader import read_run
from conceptmon_tb.snapshot import ConceptSnapshot, ConceptSpace
from conceptmon_tb.writer import ConceptWriter, add_concepts
from tests.servers import TensorBoardServer
from tests.synthetic import make_images, make_snapshots, make_space

LAYERS = {"layer1": 40, "layer2": 60}
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.crash"])  # torch is imported once, and each process starts at once


def stamped(
    step: int, session: int, layers: Mapping[str, int] = LAYERS, space: ConceptSpace | None = None
) -> dict[str, ConceptSnapshot]:
    """Snapshots of one epoch that tell their step and session."""
    snapshots = next(make_snapshots(1, layers, seed=step, space=space or make_space()))
    for layer, snapshot in snapshots.items():
        position = snapshot.position.copy()
        position[0] = step, session
        valid = snapshot.valid.copy()
        valid[0] = True
        snapshots[layer] = dataclasses.replace(snapshot, position=position, valid=valid)
    return snapshots


def stamps(positions: np.ndarray) -> list[tuple[int, int]]:
    """Step and session of each `(neurons, 2)` of positions."""
    return [(int(position[0, 0]), int(position[0, 1])) for position in positions]


def log_epochs(
    folder: Path,
    session: int,
    steps: Sequence[int],
    *,
    purge_step: int | None = None,
    writer: Any = None,
    layers: Mapping[str, int] = LAYERS,
    space: ConceptSpace | None = None,
    log: Path | None = None,
    pause: float = 0.0,
) -> None:
    """Log epochs as a training loop does, and note each one that is done."""
    images = make_images(space or make_space(), 32)
    with warnings.catch_warnings(), writer or ConceptWriter(folder, purge_step=purge_step) as open_writer:
        warnings.simplefilter("ignore")  # refused steps, and alerts of a made-up training
        for step in steps:
            open_writer.add_scalar("loss/train", 1 / (step + 1), step)
            add_concepts(open_writer, stamped(step, session, layers, space), step, images)
            if log is not None:
                with log.open("a") as file:
                    file.write(f"{session} {step}\n")
            time.sleep(pause)


def start(*arguments: Any, **settings: Any) -> Any:
    """Run `log_epochs` in a process of its own."""
    process = _CONTEXT.Process(target=log_epochs, args=arguments, kwargs=settings)
    process.start()
    return process


def start_module(name: str, *arguments: str) -> Any:
    """Run `python -m name arguments` in a process of its own, which need not import torch again."""
    importlib.import_module("open_clip")  # here once, if nobody has yet
    process = multiprocessing.get_context("fork").Process(target=_run_module, args=(name, arguments))
    process.start()
    return process


def noted(log: Path) -> list[tuple[int, int]]:
    """Session and step of every epoch that `add_concepts` returned for."""
    lines = log.read_text().split("\n")[:-1] if log.exists() else []
    return [(int(line.split()[0]), int(line.split()[1])) for line in lines]


def train_and_kill(
    folder: Path, log: Path, *, steps: int, kills: int, resumes_with_purge: bool, seed: int
) -> Iterator[int]:
    """Train from checkpoints, kill -9 at random moments, resume, and finish; yields the sessions.

    A checkpoint is saved at every third epoch, so that a resumed session comes to some steps again.
    """
    dice = random.Random(seed)
    for session in range(kills + 1):
        done = [step for _, step in noted(log)]
        first = (max(done, default=-1) + 1) // 3 * 3
        purge = first if resumes_with_purge and session else None
        process = start(folder, session, range(first, steps), purge_step=purge, log=log)
        if session < kills:
            enough = len(done) + dice.randrange(1, 5)
            _wait_for(lambda: len(noted(log)) >= enough or not process.is_alive(), 30)  # noqa: B023
            time.sleep(dice.uniform(0, 0.02))
            os.kill(process.pid, signal.SIGKILL)
        process.join(60)
        yield session


def _run_module(name: str, arguments: Sequence[str]) -> None:
    sys.argv = [name, *arguments]
    runpy.run_module(name, run_name="__main__")


def _wait_for(condition: Any, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.002)


def shown(server: TensorBoardServer, run: str, layer: str = "layer1") -> list[tuple[int, int]]:
    """Step and session of every epoch that a TensorBoard serves of a run."""
    status, body, _ = server.fetch("layer", run=run, layer=layer)
    if status != 200:
        return []
    arrays = unpack_payload(body).arrays
    stamped = stamps(arrays["position"])
    assert [step for step, _ in stamped] == arrays["steps"].tolist()
    return stamped


def read(folder: Path, layer: str = "layer1") -> list[tuple[int, int]]:
    """Step and session of every epoch that `read_run` gives."""
    by_step = read_run(folder).snapshots[layer]
    stamped = stamps(np.stack([by_step[step].position for step in sorted(by_step)]))
    assert [step for step, _ in stamped] == sorted(by_step)
    return stamped


def scalar_steps(server: TensorBoardServer, run: str, tag: str) -> list[int]:
    """Steps that TensorBoard's own Scalars tab shows of a tag."""
    status, body, _ = server.fetch("/data/plugin/scalars/scalars", run=run, tag=tag)
    return [int(step) for _, step, _ in json.loads(body)] if status == 200 else []
