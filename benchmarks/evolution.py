"""ConceptEvo: its speed against the published loops, what a look costs, and how time and memory grow.

- speed: the steps against a plain-Python restatement of the published code
  (`benchmarks/published/conceptevo.py`), one after the other in one process, on the same draws.
- cost: projecting an epoch (Step 2.2) against the bare forward pass of the probe through ResNet-18.
- growth: time and peak memory from 2,500 neurons and 12,500 images to 20,000 and 100,000, synthetic
  activations, each size in a process of its own.
- methods: which image method places the neurons of other networks best (`benchmarks/evolution_methods.py`).

Run: python -m benchmarks.evolution [--parts speed cost growth methods] [--write]
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import platform
import re
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
import torchvision

import conceptmon_tb as cm
from benchmarks.evolution_methods import as_methods_table, measure_methods
from benchmarks.published import conceptevo as published
from conceptmon_tb.evolution import (
    CoActivation,
    StimuliTally,
    average_images,
    co_activation_loss,
    embed_further_images,
    embed_images,
    find_stimuli,
    group_neurons,
    learn_embedding,
)
from conceptmon_tb.evolution.image_embedding import DIRECT
from conceptmon_tb.projection import ConceptMap

DOCUMENT = Path(__file__).parents[1] / "docs" / "evolution_performance.md"
SIZES = [(2500, 12_500), (5000, 25_000), (10_000, 50_000), (20_000, 100_000)]
TARGETS = {"stimuli": 5, "neuron embedding": 109, "image embedding": 1000}
MOST_COST, METHOD_IMAGES = 0.1, 2000
PASSES, RATE, IMAGE_RATE, K, DIM, NEGATIVES = 20, 0.05, 0.1, 10, 30, 3
TIMED_IMAGE_PASSES, IMAGE_LOSS = 2, 0.01  # of the loss at the start
LAYERS = ["layer1", "layer2", "layer3", "layer4"]
Ints = npt.NDArray[np.int32]
_Result = TypeVar("_Result")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--images", type=int, default=1000, help="of the probe, for the cost")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=12, help="of the networks, for the methods")
    parser.add_argument("--write", action="store_true", help="write docs/evolution_performance.md")
    parser.add_argument("--size", type=int, nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    logging.getLogger("conceptmon_tb").setLevel(logging.ERROR)
    if options.size:
        print(json.dumps(grow(*options.size)))
        return
    for part in options.parts:
        text = f"<!-- {part} -->\n\n{PARTS[part](options)}\n\n<!-- end of {part} -->"
        print(text, flush=True)
        if options.write:
            page = DOCUMENT.read_text(encoding="utf-8")
            place = re.compile(f"<!-- {part} -->.*<!-- end of {part} -->", re.DOTALL)
            DOCUMENT.write_text(place.sub(lambda _, text=text: text, page), encoding="utf-8")


def clocked(task: Callable[[], _Result]) -> tuple[float, _Result]:
    """Seconds of processor time, which other work on the machine disturbs least, and the result."""
    start = time.process_time()
    result = task()
    return time.process_time() - start, result


def planted_stimuli(neurons: int, images: int, seed: int = 0) -> Ints:
    """Groups of 20 neurons share 20 images; three of ten stimuli are any images."""
    random = np.random.default_rng(seed)
    groups = max(1, neurons // 20)
    group = random.integers(0, groups, neurons)
    own = (random.random((neurons, 20)).argsort(axis=1)[:, :K] * groups + group[:, None]) % images
    any_image = random.integers(0, images, own.shape)
    stimuli = np.where(random.random(own.shape) < 0.3, any_image, own)
    for row in np.flatnonzero([len(set(row)) < K for row in stimuli.tolist()]):
        stimuli[row] = random.choice(images, K, replace=False)
    return stimuli.astype(np.int32)


def speed_text(options: argparse.Namespace) -> str:
    rows = [time_stimuli(options.rounds), time_neurons(options.rounds), time_images(options.rounds)]
    lines = [
        f"{about(options)}",
        "",
        "| step | published, s | ours, s | times faster | target | met | loss, published | loss, ours |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, size, theirs, ours, losses in rows:
        ratio, target = theirs / ours, TARGETS[name]
        told = "- | -" if losses is None else f"{losses[0]:.4f} | {losses[1]:.4f}"
        met = "yes" if ratio >= target else "NO"
        lines.append(
            f"| {name}, {size} | {theirs:.2f} | {ours:.4f} | {ratio:,.0f} | {target:,} | {met} | {told} |"
        )
    return "\n".join(lines)


Timing = tuple[str, str, float, float, "tuple[float, float] | None"]


def time_stimuli(rounds: int) -> Timing:
    activations = torch.randn(2000, 512, generator=torch.Generator().manual_seed(0)).relu()
    activations += torch.rand(2000, 512, generator=torch.Generator().manual_seed(1)) * 1e-3  # no ties
    find_stimuli(activations)  # compiles
    theirs, ours = [], []
    for _ in range(rounds):
        seconds, expected = clocked(lambda: published.get_stimuli(activations, K))
        theirs.append(seconds)
        seconds, found = clocked(lambda: find_stimuli(activations))
        ours.append(seconds)
        assert found.images.tolist() == expected
    return "stimuli", "512 neurons, 2,000 images", median(theirs), median(ours), None


def time_neurons(rounds: int) -> Timing:
    """Pairs and negatives are handed to the published loop, and drawn anew by ours: that is in its time."""
    stimuli = planted_stimuli(2000, 2000)
    together = CoActivation(stimuli)
    learn_embedding(together, repeats=1)  # compiles

    def learn() -> npt.NDArray[np.float32]:
        return learn_embedding(CoActivation(stimuli), repeats=PASSES, rate=RATE, seed=0).vectors

    ours = [clocked(learn) for _ in range(max(5, rounds))]
    random = np.random.Generator(np.random.PCG64(0))
    vectors = (random.standard_normal((2000, DIM)) / math.sqrt(DIM)).astype(np.float32)
    seconds = 0.0
    for _ in range(PASSES):
        pairs = together.sample_pairs(random)
        drawn = random.integers(0, 2000, (len(pairs), NEGATIVES)).astype(np.int32)
        taken, _ = clocked(
            lambda pairs=pairs, drawn=drawn: published.embed_neurons(vectors, pairs, drawn, RATE)  # type: ignore[misc]
        )
        seconds += taken
    fresh = np.random.default_rng(99)
    pairs = together.sample_pairs(fresh)
    drawn = fresh.integers(0, 2000, (len(pairs), NEGATIVES)).astype(np.int32)
    losses = tuple(co_activation_loss(end, pairs, drawn) for end in (vectors, ours[-1][1]))
    size = f"2,000 neurons, {PASSES} passes"
    return "neuron embedding", size, seconds, median([each for each, _ in ours]), losses  # type: ignore[return-value]


def time_images(rounds: int) -> Timing:
    """A few passes of the published loop are timed; how many it needs is found by whole passes at once."""
    images, stimuli = 5000, planted_stimuli(2000, 5000)
    vectors, placed = learn_embedding(CoActivation(stimuli), repeats=PASSES)
    solved = [
        clocked(lambda: embed_images(vectors, placed, stimuli, images, "least_squares"))
        for _ in range(rounds)
    ]
    random = np.random.default_rng(1)
    start = (random.standard_normal((images, DIM)) / math.sqrt(DIM)).astype(np.float32)
    goal = IMAGE_LOSS * published.image_loss(start, vectors, stimuli)
    excited, looped = published.co_activated(stimuli), start.copy()
    seconds = []
    for _ in range(TIMED_IMAGE_PASSES):
        taken, _ = clocked(lambda: published.embed_images(looped, vectors, stimuli, excited, IMAGE_RATE))
        seconds.append(taken)
    passes, at_once = 0, start.astype(np.float64)
    while published.image_loss(at_once, vectors, stimuli) > goal:  # type: ignore[arg-type]
        slope = (at_once[stimuli].mean(axis=1) - vectors) / K
        step = np.zeros_like(at_once)
        np.add.at(step, stimuli.ravel(), np.repeat(slope, K, axis=0))
        at_once -= IMAGE_RATE * step
        passes += 1
    ours = published.image_loss(solved[-1][1][0], vectors, stimuli)
    size = f"2,000 neurons, 5,000 images, {passes:,} passes (from {TIMED_IMAGE_PASSES})"
    theirs = statistics.mean(seconds) * passes
    return "image embedding", size, theirs, median([each for each, _ in solved]), (goal, ours)


def cost_text(options: argparse.Namespace) -> str:
    """A look at ResNet-18 with random weights, and what of it is not the forward pass."""
    torch.manual_seed(0)
    model = torchvision.models.resnet18(weights=None, num_classes=10).eval()
    probe = cm.ProbeSet.world(options.images, size=64)
    settings = cm.SpaceSettings(repeats=5, indirect=False)
    space = cm.fit_semantic_space(model, LAYERS, probe, settings=settings, progress=False)
    monitor = cm.SemanticSpaceMonitor(LAYERS, probe, space, progress=False)
    bare, step, score = [], [], []
    monitor.score(monitor.collect(model))
    for _ in range(options.rounds):
        with torch.no_grad():
            seconds, _ = clocked(lambda: [model(batch) for batch in probe.batches()])
        bare.append(seconds)
        collected = monitor.collect(model)
        start = time.process_time()
        for values, peaks in collected.activations.values():
            space.project(find_stimuli(values, peaks).images)
        step.append((time.process_time() - start) / bare[-1])
        start = time.process_time()
        monitor.score(collected, model)
        score.append((time.process_time() - start) / bare[-1])
    lines = [
        about(options, "each against the bare forward of the same round"),
        "",
        f"ResNet-18 at 64 px, {options.images:,} images, 960 neurons: the bare forward takes "
        f"{median(bare):.1f} s.",
        "",
        "| of the bare forward | measured | target | met |",
        "| --- | --- | --- | --- |",
    ]
    for name, shares in (
        ("Step 2.2: stimuli and projection", step),
        ("all that follows the forward: also map, names, thresholds, metrics", score),
    ):
        share = median(shares)
        lines.append(
            f"| {name} | {share:.2%} | below {MOST_COST:.0%} | {'yes' if share < MOST_COST else 'NO'} |"
        )
    return "\n".join(lines)


def growth_text(options: argparse.Namespace) -> str:
    rows = []
    for neurons, images in SIZES:
        command = [sys.executable, "-m", "benchmarks.evolution", "--threads", str(options.threads)]
        done = subprocess.run(
            [*command, "--size", str(neurons), str(images)], check=True, capture_output=True, text=True
        )
        rows.append(json.loads(done.stdout.splitlines()[-1]))
    names = list(rows[0])
    head = " | ".join(f"{neurons:,} x {images:,}" for neurons, images in SIZES)
    lines = [
        about(options, "each size in a process of its own"),
        "",
        f"| neurons x images | {head} | growth |",
        "| --- |" + " --- |" * (len(SIZES) + 1),
    ]
    for name in names:
        values = [row[name] for row in rows]
        growth = math.log(values[-1] / values[0]) / math.log(SIZES[-1][0] / SIZES[0][0])
        cells = " | ".join(f"{value:.2f}" for value in values)
        lines.append(f"| {name} | {cells} | n^{growth:.2f} |")
    return "\n".join(lines)


def grow(neurons: int, images: int) -> dict[str, float]:
    """Seconds of each step at one size, and peak memory beyond what the process needs without work."""
    compile_everything()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found: dict[str, float] = {}
    activations = torch.rand(max(64, (1 << 28) // (4 * neurons)), neurons)
    tally, seconds, left = StimuliTally(K), 0.0, images
    generator = torch.Generator().manual_seed(1)
    while left:
        activations.mul_(0.95 + 0.1 * float(torch.rand(1, generator=generator)))
        part = activations[:left]
        taken, _ = clocked(lambda part=part: tally.update(part))  # type: ignore[misc]
        seconds, left = seconds + taken, left - len(part)
    found["stimuli, ns per neuron and image"] = 1e9 * seconds / neurons / images
    del activations
    stimuli = planted_stimuli(neurons, images)
    found["neuron embedding, 30 passes, s"], (vectors, placed) = clocked(
        lambda: learn_embedding(CoActivation(stimuli))
    )
    for method in ("mean", "least_squares"):
        found[f"image embedding, {method}, s"], (vectors_of, covered) = clocked(
            lambda method=method: embed_images(vectors, placed, stimuli, images, method)  # type: ignore[misc]
        )
    top = planted_stimuli(images, neurons, seed=2)
    for name, members in (("neurons", stimuli), ("images", top)):
        found[f"pairs of {name} in one pass, thousands"] = CoActivation(members).num_windows / 1000
    options = {"num_negatives": NEGATIVES, "repeats": 30, "rate": RATE}
    found["further images, 30 passes, s"], (vectors_of, coverage) = clocked(
        lambda: embed_further_images(vectors_of, covered, top, **options)  # type: ignore[arg-type]
    )
    found["projection, s"], (projected, _) = clocked(lambda: average_images(stimuli, vectors_of, coverage))
    landmarks = projected[:2000]
    concept_map = ConceptMap.from_positions(landmarks, landmarks[:, :2])
    found["places on the map, s"], _ = clocked(lambda: concept_map.project(projected))
    found["groups, s"], _ = clocked(lambda: group_neurons(projected, 40))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found["peak memory, MiB"] = (peak - before) / 1024
    return found


def compile_everything() -> None:
    stimuli = planted_stimuli(200, 1000)
    vectors, placed = learn_embedding(CoActivation(stimuli), repeats=1)
    embed_images(vectors, placed, stimuli, 1000)
    average_images(stimuli, np.zeros((1000, DIM), np.float32), np.full(1000, DIRECT, np.uint8))
    find_stimuli(torch.rand(400, 100))


def methods_text(options: argparse.Namespace) -> str:
    names, rows = measure_methods(METHOD_IMAGES, options.epochs)
    return as_methods_table(names, rows)


def about(options: argparse.Namespace, more: str = "in one process") -> str:
    machine = f"{platform.machine()}, torch {torch.__version__}"
    return f"Processor time, {options.threads} thread(s), {machine}, {more}."


def median(values: list[float]) -> float:
    return statistics.median(values)


PARTS: dict[str, Callable[[argparse.Namespace], str]] = {
    "speed": speed_text,
    "cost": cost_text,
    "growth": growth_text,
    "methods": methods_text,
}


if __name__ == "__main__":
    main()
