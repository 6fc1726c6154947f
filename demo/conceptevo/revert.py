"""Does importance mean something? `python -m demo.conceptevo.revert`: Fig. 7.7 on the picture world.

Trains a small network on the ten objects of the picture world under a monitor, takes the epochs whose
training accuracy is nearest to 25, 50 and 75%, logs which evolutions between them matter to which class, and
reverts them by quarters of importance. The run, the tables and the figure can be looked at afterwards.

Source: ConceptEvo, dissertation section 7.3.4.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import conceptmon_tb as cm
from conceptmon_tb.evolution import RevertTest, draw_revert_test, important_evolutions, revert_test
from conceptmon_tb.evolution.diagnosis import MILESTONES, nearest_steps
from demo.case_studies.loop import Recipe, fit
from demo.case_studies.pictures import Task
from demo.network import SmallResNet
from demo.pictures import Pictures, world_pictures

LAYERS = ["layer1", "layer2", "layer3", "layer4"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the test from the command line."""
    args = parse_arguments(arguments)
    started = time.perf_counter()
    pictures = world_pictures(args.images, num_test=1)
    states, accuracy = train(pictures, args)
    steps = sorted(set(args.steps or nearest_steps(accuracy, MILESTONES)))
    if len(steps) < 2 or not set(steps) <= set(states):
        raise SystemExit(
            f"demo.conceptevo.revert: the steps are {steps} of 0 to {args.epochs}, and two are needed: train "
            f"for more epochs, or choose them with --steps"
        )
    print("steps " + ", ".join(f"{step} ({accuracy.get(step, 0):.0%})" for step in steps))
    tests = compare(pictures, states, list(pairwise(steps)), args)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    draw_revert_test(tests).savefig(args.out, dpi=args.dpi)
    print(f"wrote {args.out} and {args.logdir} in {time.perf_counter() - started:.0f} s")


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The test's options."""
    parser = argparse.ArgumentParser(
        prog="python -m demo.conceptevo.revert",
        description="Revert evolutions by their importance and measure what it costs.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--logdir", type=Path, default=Path("runs/conceptevo/revert"), help="the run's own directory")
    add("--out", type=Path, default=Path("runs/conceptevo/revert.png"), help=".png, .svg or .pdf")
    add("--dpi", type=int, default=160, help="of the figure")
    add("--images", type=int, default=4000, help="training images")
    add("--epochs", type=int, default=10, help="of the training")
    add("--steps", type=int, nargs="+", help="epochs to compare (default: at 25, 50 and 75%% accuracy)")
    add("--width", type=int, default=16, help="channels of the first stage")
    add("--num-images", type=int, default=128, help="images of each class in a sample")
    add("--repeats", type=int, default=5, help="independent samples")
    add("--probe-images", type=int, default=2000, help="that the tab shows neurons with; 0: no snapshots")
    add("--seed", type=int, default=0, help="of the training and the samples")
    return parser.parse_args(arguments)


def train(
    pictures: Pictures, args: argparse.Namespace
) -> tuple[dict[int, dict[str, Tensor]], dict[int, float]]:
    """Train a network, and keep its weights.

    Returns:
        Weights after each epoch, and training accuracy of each but the one before training.
    """
    task = Task(pictures, torch.device("cpu"))
    torch.manual_seed(args.seed)
    network = SmallResNet(len(pictures.classes), args.width, pictures.size)
    monitor = None
    if args.probe_images:
        probe = cm.ProbeSet.world(args.probe_images, transform=pictures.normalizer())
        monitor = cm.ConceptMonitor(LAYERS, probe)
    states, accuracy = {0: copy.deepcopy(network.state_dict())}, {}
    recipe = Recipe(args.epochs, batch=128, learning_rate=0.1)
    with cm.ConceptWriter(args.logdir, monitor=monitor) as writer:
        if monitor is not None:
            writer.add_concepts(network, 0)
        for epoch in fit(network, task, recipe, name="revert", progress=True):
            for tag, value in epoch.scalars.items():
                writer.add_scalar(tag, value, epoch.number)
            if monitor is not None:
                writer.add_concepts(network, epoch.number)
            states[epoch.number] = copy.deepcopy(network.state_dict())
            accuracy[epoch.number] = epoch.scalars["accuracy/train"]
    return states, accuracy


def compare(
    pictures: Pictures,
    states: dict[int, dict[str, Tensor]],
    pairs: Sequence[tuple[int, int]],
    args: argparse.Namespace,
) -> list[RevertTest]:
    """Measure and log importance, and revert evolutions, for each pair of epochs."""
    task = Task(pictures, torch.device("cpu"))
    network = SmallResNet(len(pictures.classes), args.width, pictures.size)
    images, labels = Inputs(task), pictures.train_labels
    tests = []
    with cm.ConceptWriter(args.logdir) as writer:
        for first, last in pairs:
            options: dict[str, Any] = {
                "from_step": first, "to_step": last, "classes": pictures.classes, "model": network,
                "num_images": args.num_images, "seed": args.seed,
            }  # fmt: skip
            given = (states[first], states[last], images, labels, LAYERS)
            writer.add_evolutions(important_evolutions(*given, **options))
            tests.append(revert_test(*given, repeats=args.repeats, **options))
            print(tests[-1])
    return tests


class Inputs:
    """Training pictures as the network sees them, one by one."""

    def __init__(self, task: Task) -> None:
        self._task = task

    def __len__(self) -> int:
        return len(self._task.pictures.train_labels)

    def __getitem__(self, number: int) -> Tensor:
        return self._task.normalize(self._task.train[0][number])


if __name__ == "__main__":
    main()
