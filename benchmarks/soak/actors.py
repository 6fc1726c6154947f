"""Who takes part: a training that writes, and a visitor who asks for routes; `reader` has somebody more."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path

from conceptmon_tb.snapshot import ConceptSnapshot
from conceptmon_tb.writer import ConceptWriter, add_concepts
from tests.servers import TensorBoardServer
from tests.synthetic import make_images, make_snapshots, make_space

LAYERS = {"layer3": 128, "layer4": 256}
RUN_EPOCHS, KEPT_RUNS = 60, 3


class Training:
    """Short runs, one after the other; the oldest is removed.

    Args:
        logdir: Log directory.
        epochs: Of each run.
    """

    def __init__(self, logdir: Path, epochs: int = RUN_EPOCHS) -> None:
        self._logdir = logdir
        self._epochs = epochs
        self._space = make_space()
        self._images = make_images(self._space, 32)
        self._runs: list[str] = []
        self._number = 0
        self._open: tuple[ConceptWriter, Iterator[dict[str, ConceptSnapshot]]] | None = None

    @property
    def newest(self) -> str:
        """The run that is being written."""
        return self._runs[-1]

    @property
    def complete(self) -> str | None:
        """The latest run that is complete; None in the first one."""
        return self._runs[-2] if len(self._runs) > 1 else None

    @property
    def epoch(self) -> int:
        """Epochs of the newest run."""
        return self._number % self._epochs

    def write_epoch(self) -> None:
        """Write the next epoch, as a training loop does."""
        step = self.epoch
        if step == 0:
            self._begin()
        assert self._open is not None
        writer, snapshots = self._open
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # alerts of a training that is made up
            writer.add_scalar("loss/train", 1 / (step + 1), step)
            add_concepts(writer, next(snapshots), step, self._images)
        self._number += 1

    def close(self) -> None:
        """Close the run."""
        if self._open is not None:
            self._open[0].close()

    def _begin(self) -> None:
        self.close()
        run = f"run{self._number // self._epochs:04d}"
        self._runs.append(run)
        snapshots = make_snapshots(self._epochs, LAYERS, seed=self._number, space=self._space)
        self._open = (ConceptWriter(self._logdir / run), snapshots)
        if len(self._runs) > KEPT_RUNS:
            shutil.rmtree(self._logdir / self._runs.pop(0))


class Visitor:
    """Asks for one route after the other, as other tabs and notebooks do.

    Args:
        server: TensorBoard.
    """

    def __init__(self, server: TensorBoardServer) -> None:
        self._server = server
        self._number = 0
        self.refused: list[str] = []

    def ask(self, run: str) -> None:
        """Ask for the next route of a run that is complete."""
        layer = {"run": run, "layer": "layer4"}
        routes: list[tuple[str, dict[str, object]]] = [
            ("runs", {}),
            ("timeline", {"run": run}),
            ("layer", {**layer, "part": "frames"}),
            ("neuron", {**layer, "neuron": self._number % 256, "step": 5}),
            ("distances", {**layer, "step": self._number % 20}),
            ("distances", {**layer, "word": "striped"}),
            ("space", {"run": run}),
            ("images", {"run": run}),
            ("images", {"run": run, "step": 0}),
            ("layer", {**layer, "from": 3, "to": 5}),
            ("export", {**layer, "step": 7, "format": "csv"}),
            ("scalars", {"run": run, "tag": "concepts/layer4/d_anchor"}),
            ("alerts", {"run": run}),
        ]
        route, parameters = routes[self._number % len(routes)]
        self._number += 1
        status = self._server.fetch(route, **parameters)[0]
        if status != 200:
            self.refused.append(f"{status} {route} {parameters}")
