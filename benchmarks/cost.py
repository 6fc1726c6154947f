"""What scoring beside the next epoch wins: epochs by the clock without a monitor, at once, and beside.

ResNet-18 (random weights) trains for a few epochs at 32 px, looked at after each through 1,000 probe images;
896 neurons are compared with Broden's labels in an embedding of a real CLIP's size. The arms take turns in
one process, in another order every round. Three kinds of epoch: one that keeps one of two cores busy, one
that keeps both busy, and one that only waits, as a loop does whose work is on a GPU. What cannot be hidden
are the probe's forward passes: they need the model.

Run: python -m benchmarks.cost [--write]
"""

from __future__ import annotations

import argparse
import logging
import platform
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
import torchvision
from torch import nn

import conceptmon_tb as cm
from benchmarks.overhead import FixedVectors

PAGE = Path(__file__).parents[1] / "docs" / "cost.md"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
LAYERS = ["layer2", "layer3", "layer4"]
SIZE, BATCH = 32, 32
ARMS = ("none", "at once", "beside")


class Case(NamedTuple):
    """One row: which detector, what the training does meanwhile, and how many threads torch has."""

    detector: str
    epoch: str
    threads: int


CASES = [
    Case("top_correlation", "trains on one core", 1),
    Case("soft_wpmi", "trains on one core", 1),
    Case("soft_wpmi", "trains on both cores", 2),
    Case("soft_wpmi", "waits, as for a GPU", 1),
]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=1000, help="of the probe")
    parser.add_argument("--batches", type=int, default=12, help="of an epoch")
    parser.add_argument("--epochs", type=int, default=4, help="of an arm, after the first")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="write the figures into docs/cost.md")
    options = parser.parse_args()
    logging.getLogger("conceptmon_tb").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    lines = [as_row(case, compare(case, options)) for case in CASES]
    text = as_text(lines, options)
    print(text)
    if options.write:
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{rest.split(END)[1]}", encoding="utf-8")


def compare(case: Case, options: argparse.Namespace) -> list[dict[str, float]]:
    """Seconds of an epoch in every arm, and of the scoring in it, for every round."""
    torch.set_num_threads(case.threads)
    monitor = cm.ConceptMonitor(
        LAYERS,
        cm.ProbeSet.world(options.images, size=SIZE),
        cm.ConceptSet.broden(),
        FixedVectors(512),
        cm.ClipDissect(case.detector),
        strict=True,
        progress=False,
    )
    monitor.observe(torchvision.models.resnet18(weights=None))  # what is done only once
    torch.set_num_threads(case.threads)  # fitting a map with UMAP may have changed OpenMP's number
    epoch = make_epoch(case, options.batches)
    rounds = []
    for number in range(options.rounds):
        figures = {}
        for arm in ARMS[:: 1 if number % 2 else -1]:
            figures[arm] = run(arm, monitor, epoch, options.epochs)
            if arm == "at once":
                assert monitor.last_cost is not None
                figures["forward"] = monitor.last_cost.forward_seconds
                figures["scoring"] = monitor.last_cost.scoring_seconds
        rounds.append(figures)
        print(case, {name: round(value, 3) for name, value in figures.items()}, flush=True)
    return rounds


def make_epoch(case: Case, batches: int) -> Callable[[nn.Module, torch.optim.Optimizer], None]:
    images, labels = torch.rand(BATCH, 3, SIZE, SIZE), torch.randint(1000, (BATCH,))

    def train(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        for _ in range(batches):
            loss = nn.functional.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    def wait(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:  # noqa: ARG001
        for _ in range(batches):
            time.sleep(0.15)  # a loop that waits for a GPU takes Python's lock now and then

    return wait if case.epoch.startswith("waits") else train


def run(
    arm: str,
    monitor: cm.ConceptMonitor,
    epoch: Callable[[nn.Module, torch.optim.Optimizer], None],
    epochs: int,
) -> float:
    """Seconds of an epoch, the first one and what is written then left out, the wait at the end included."""
    torch.manual_seed(0)
    model = torchvision.models.resnet18(weights=None)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    with tempfile.TemporaryDirectory() as folder:
        writer = cm.ConceptWriter(folder, monitor=monitor, asynchronous=arm == "beside")
        if arm != "none":
            writer.add_concepts(model, 0)
        start = time.perf_counter()
        for number in range(1, epochs + 1):
            epoch(model, optimizer)
            if arm != "none":
                writer.add_concepts(model, number)
        writer.flush()
        seconds = time.perf_counter() - start
        writer.close()
    return seconds / epochs


def as_row(case: Case, rounds: list[dict[str, float]]) -> str:
    """Medians; what is hidden is a share of the scoring, each from a round's own times."""
    none, at_once, beside, forward, scoring = (
        statistics.median(figures[name] for figures in rounds)
        for name in ("none", "at once", "beside", "forward", "scoring")
    )
    hidden = statistics.median((f["at once"] - f["beside"]) / f["scoring"] for f in rounds)
    faster = statistics.median(f["at once"] / f["beside"] for f in rounds)
    return (
        f"| {case.detector} | {case.epoch} | {none:.2f} | {forward:.2f} | {scoring:.2f} | {at_once:.2f} "
        f"| {beside:.2f} | {hidden:.0%} | {faster:.2f} |"
    )


def as_text(lines: list[str], options: argparse.Namespace) -> str:
    written = (
        f"Written by `python -m benchmarks.cost --write`, not by hand: medians of {options.rounds} rounds of "
        f"{options.epochs} epochs, {platform.machine()}, 2 cores, torch {torch.__version__}. Seconds of an "
        f"epoch by the clock; the last epoch's scoring, which nothing can hide, is in the averages."
    )
    columns = "similarity", "the epoch", "without", "forward passes", "scoring", "at once", "beside"
    columns += "hidden of the scoring", "epochs per second, beside : at once"
    return "\n".join([written, "", f"| {' | '.join(columns)} |", "| --- " * len(columns) + "|", *lines])


if __name__ == "__main__":
    main()
