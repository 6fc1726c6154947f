"""The runs of the story: networks are trained once, seen in one semantic space, and logged side by side.

First all networks are trained, and the weights of each epoch are kept. The base network's last epoch makes
the semantic space. Then every network is looked at through it, epoch by epoch, from the kept weights: the log
is the same as that of a training under the monitor. What is finished is not made again.
"""

from __future__ import annotations

import copy
import json
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from tqdm import tqdm

import conceptmon_tb as cm
from conceptmon_tb.evolution import important_evolutions
from conceptmon_tb.evolution.diagnosis import nearest_steps
from conceptmon_tb.projection import Method
from conceptmon_tb.world import WorldDataset
from demo.case_studies.loop import Recipe, evaluate, fit
from demo.case_studies.pictures import Task
from demo.case_studies.records import COMPLETE_TAG, read_log
from demo.conceptevo.networks import BASE, KINDS, Kind
from demo.conceptevo.revert import Inputs
from demo.pictures import world_pictures

COLLAPSED = f"{BASE}-collapsed"
NAMES = (*KINDS, COLLAPSED)
"""What is trained. The last is the base network again, whose rate becomes far too high on the way."""

_SEED = "-seed"

LOGDIR = Path("runs/conceptevo")

PROBE_SEED = 1_000_003  # as of `ProbeSet.world`


class StoryError(RuntimeError):
    """The story cannot go on; the message says why and what helps."""


@dataclass(frozen=True)
class Options:
    """How large everything is, and where it goes.

    Attributes:
        logdir: Log directory; a folder in it for each run.
        images: Training pictures.
        probe_images: Pictures that networks are looked at with.
        epochs: Of each training.
        width: Channels of the first stage.
        batch: Pictures of a step.
        too_high: How many times its own rate the base network is trained with when it is to collapse.
        class_images: Pictures of each class that importance is measured on.
        layout: Of the map; "umap" takes some 20 s to be compiled.
        seed: Of everything random.
        training_seeds: How often each network is trained; more than once tells how far entropy varies.
        seeds: How many seeds of the embedding alignment is measured with.
        repeats: Samples of the revert test.
        progress: Show progress bars.
    """

    logdir: Path = LOGDIR
    images: int = 3000
    probe_images: int = 2000
    epochs: int = 10
    width: int = 16
    batch: int = 64
    too_high: float = 10.0
    class_images: int = 48
    layout: Method = "umap"
    seed: int = 0
    training_seeds: int = 1
    seeds: int = 5
    repeats: int = 5
    progress: bool = True

    def as_text(self) -> str:
        """What the runs depend on, as JSON."""
        others = ("logdir", "training_seeds", "seeds", "repeats", "progress")
        chosen = {name: value for name, value in asdict(self).items() if name not in others}
        return json.dumps(chosen, sort_keys=True)


class Trained(NamedTuple):
    """A network's training.

    Attributes:
        states: Weights before training and after each epoch.
        scalars: By tag, for each of these.
    """

    states: list[dict[str, Tensor]]
    scalars: list[dict[str, float]]

    @property
    def accuracy(self) -> dict[int, float]:
        """Training accuracy by epoch, 0 to 1."""
        return {step: told["accuracy/train"] for step, told in enumerate(self.scalars) if step}


def again(name: str, number: int) -> str:
    """Name of the run in which something of `NAMES` is trained for the n-th time, from 0 on."""
    return f"{name}{_SEED}{number}" if number else name


class Runs:
    """Networks, space and runs of one log directory.

    Args:
        options: How large, and where.

    Raises:
        StoryError: The log directory holds a story with other options.
    """

    def __init__(self, options: Options) -> None:
        self.options = options
        self._trained: dict[str, Trained] = {}
        path, wanted = options.logdir / "story.json", options.as_text()
        found = path.read_text(encoding="utf-8") if path.exists() else wanted
        if found != wanted:
            raise StoryError(
                f"{options.logdir} holds a story with other options: {found} instead of {wanted}; choose "
                f"another --logdir, or remove that folder"
            )
        options.logdir.mkdir(parents=True, exist_ok=True)
        if not path.exists():  # another process may be reading it
            path.write_text(wanted, encoding="utf-8")

    @cached_property
    def task(self) -> Task:
        """The ten objects of the picture world."""
        held_out = max(100, min(self.options.images // 4, 800))
        return Task(world_pictures(self.options.images, held_out), torch.device("cpu"))

    @cached_property
    def world(self) -> WorldDataset:
        """Held-out pictures that all networks are looked at with; which concepts each shows is known."""
        return WorldDataset(self.options.probe_images, PROBE_SEED)

    @cached_property
    def probe(self) -> cm.ProbeSet:
        """The same, as networks see them."""
        return cm.ProbeSet(self.world, transform=self.task.pictures.normalizer())

    @property
    def names(self) -> tuple[str, ...]:
        """All runs, those of the first training of each network first."""
        return tuple(again(name, number) for number in range(self.options.training_seeds) for name in NAMES)

    def kind(self, name: str) -> Kind:
        """The kind of network of a run."""
        what = name.partition(_SEED)[0]
        return KINDS[BASE if what == COLLAPSED else what]

    def network(self, name: str, step: int | None = None) -> nn.Module:
        """A network with random weights, or with those after an epoch."""
        torch.manual_seed(self.options.seed + int(name.partition(_SEED)[2] or 0))
        pictures = self.task.pictures
        network = self.kind(name).build(len(pictures.classes), self.options.width, pictures.size)
        if step is not None:
            network.load_state_dict(self.trained(name).states[step])
        return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]

    def recipe(self, name: str) -> Recipe:
        """How a network is trained."""
        kind, options = self.kind(name), self.options
        batch = max(1, round(kind.batch * options.batch))
        recipe = Recipe(options.epochs, batch, kind.learning_rate, adaptive=kind.adaptive)
        if not name.startswith(COLLAPSED):
            return recipe
        rate = options.too_high * kind.learning_rate
        return replace(
            recipe, epochs=options.epochs - self.healthy_epochs, learning_rate=rate, schedule=False
        )

    @property
    def healthy_epochs(self) -> int:
        """Epochs that the training that collapses shares with the base network's."""
        return max(1, self.options.epochs // 3)

    def trained(self, name: str) -> Trained:
        """Train a network, or take what was trained before."""
        path = self.options.logdir / "networks" / f"{name}.pt"
        if name not in self._trained:
            if path.exists():
                print(f"{name} is trained already: {path}", flush=True)
                self._trained[name] = Trained(**torch.load(path, weights_only=True))
            else:
                self._trained[name] = trained = self._train(name)
                write_whole(path, trained._asdict())
        return self._trained[name]

    def _train(self, name: str) -> Trained:
        if name.startswith(COLLAPSED):
            healthy, shared = name.replace(COLLAPSED, BASE), self.healthy_epochs + 1
            begun, network = self.trained(healthy), self.network(healthy, self.healthy_epochs)
            trained = Trained(begun.states[:shared], begun.scalars[:shared])
        else:
            network = self.network(name)
            start = {"accuracy/val": self._accuracy(network)}
            trained = Trained([copy.deepcopy(network.state_dict())], [start])
        for epoch in fit(network, self.task, self.recipe(name), name=name, progress=self.options.progress):
            trained.states.append(copy.deepcopy(network.state_dict()))
            trained.scalars.append({**epoch.scalars, "accuracy/val": self._accuracy(network)})
        return trained

    def _accuracy(self, network: nn.Module) -> float:
        return evaluate(network, self.task)[1]

    @cached_property
    def space(self) -> cm.SemanticSpace:
        """The semantic space of the base network's last epoch, made once and kept beside the runs."""
        path, options = self.options.logdir / "space.safetensors", self.options
        if not path.exists():
            settings = cm.SpaceSettings(layout=options.layout, seed=options.seed)
            cm.fit_semantic_space(
                self.network(BASE, options.epochs),
                self.kind(BASE).layers,
                self.probe,
                base=self.kind(BASE).title,
                step=options.epochs,
                settings=settings,
                progress=options.progress,
            ).save(path)
        return cm.SemanticSpace.load(path)

    def log(self, name: str) -> Path:
        """Look at every epoch of a network through the space, and write its run.

        Returns:
            The run's folder.
        """
        folder = self.options.logdir / name
        if read_log(folder).is_complete:
            print(f"{folder} is logged already", flush=True)
            return folder
        kind, trained = self.kind(name), self.trained(name)
        monitor = cm.SemanticSpaceMonitor(kind.layers, self.probe, self.space, strict=True, progress=False)
        epochs = tqdm(trained.scalars, f"looking at {name}", unit="epoch", disable=not self.options.progress)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", cm.ConceptAlert)  # they are in the log; the collapse raises many
            with cm.ConceptWriter(folder, monitor=monitor, purge_step=0) as writer:
                for step, scalars in enumerate(epochs):
                    for tag, value in scalars.items():
                        writer.add_scalar(tag, value, step)
                    writer.add_concepts(self.network(name, step), step)
                if name == BASE:
                    writer.add_evolutions(self.evolutions())
                writer.add_scalar(COMPLETE_TAG, 1.0, 0)
        return folder

    def milestones(self) -> tuple[int, int]:
        """Two epochs of the base network: a quarter of what it learns is learned, and three quarters."""
        accuracy = self.trained(BASE).accuracy
        chance = 1 / len(self.task.pictures.classes)
        gain = max(accuracy.values()) - chance
        first, last = nearest_steps(accuracy, [chance + gain / 4, chance + 3 * gain / 4])
        return (first, last) if first < last else (min(accuracy), max(accuracy))

    def evolutions(self) -> Any:
        """Which of the base network's evolutions between the milestones matter to which class."""
        first, last = self.milestones()
        return important_evolutions(*self.between(first, last), **self.between_options(first, last))

    def between(self, first: int, last: int) -> tuple[Any, ...]:
        """What importance and the revert test take, of two epochs of the base network."""
        states = self.trained(BASE).states
        labels = self.task.pictures.train_labels
        return states[first], states[last], Inputs(self.task), labels, self.kind(BASE).layers

    def between_options(self, first: int, last: int) -> Mapping[str, Any]:
        """The same by name."""
        options = self.options
        return {
            "from_step": first, "to_step": last, "classes": self.task.pictures.classes,
            "model": self.network(BASE), "num_images": options.class_images, "seed": options.seed,
        }  # fmt: skip


def write_whole(path: Path, content: Mapping[str, Any]) -> None:
    """Write a file of tensors and plain values, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    torch.save(dict(content), part)
    part.replace(path)
