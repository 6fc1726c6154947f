"""Important evolutions against the published loops, restated in `benchmarks/published/importance.py`.

VGG-11 with random weights and 8 images of one class, both epochs in memory, on the same images in one
process; the tables must be the same.

Run: python -m benchmarks.evolution_importance [--write]
"""

from __future__ import annotations

import argparse
import platform
import re
import statistics
from typing import Any

import numpy as np
import torch
import torchvision
from torch import nn

import conceptmon_tb as cm
from benchmarks.evolution import DOCUMENT, clocked
from benchmarks.published import importance as published

TARGET = 33
SIZE, IMAGES, CLASSES, LABEL = 64, 8, 10, 3
REPEATS = 4  # of ours for one of theirs, which takes half a minute
PART = re.compile("<!-- importance -->.*<!-- end of importance -->", re.DOTALL)


def main() -> None:
    """Measure, print the table, and write it where asked to."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--write", action="store_true", help=f"write docs/{DOCUMENT.name}")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    text = f"<!-- importance -->\n\n{compare(options)}\n\n<!-- end of importance -->"
    print(text)
    if options.write:
        page = DOCUMENT.read_text(encoding="utf-8")
        DOCUMENT.write_text(PART.sub(lambda _: text, page), encoding="utf-8")


def compare(options: argparse.Namespace) -> str:
    """A table of both sides, over all layers with maps and over convolutions alone."""
    lines = [
        f"Processor time, {options.threads} thread(s), {platform.machine()}, torch {torch.__version__}, "
        f"in one process; VGG-11 at {SIZE} px, {IMAGES} images.",
        "",
        "| layers | neurons | published, s | ours, s | times faster | target | met |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, kinds, target in (
        ("all with maps", (nn.Conv2d, nn.ReLU, nn.MaxPool2d), TARGET),
        ("convolutions alone", (nn.Conv2d,), None),
    ):
        layers, neurons, theirs, ours = time_both(kinds, options.rounds)
        aim = "- | -" if target is None else f"{target} | {'yes' if theirs / ours >= target else 'NO'}"
        lines.append(
            f"| {layers}, {name} | {neurons:,} | {theirs:.2f} | {ours:.3f} | {theirs / ours:.0f} | {aim} |"
        )
    return "\n".join(lines)


def time_both(kinds: tuple[type[nn.Module], ...], rounds: int) -> tuple[int, int, float, float]:
    """Layers, neurons, and median seconds of the published loops and of ours, in turn."""
    before, after = make_epoch(0), make_epoch(1)
    layers = [f"features.{i}" for i, part in enumerate(before.features) if isinstance(part, kinds)]
    images = torch.randn(IMAGES, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(2))

    def measure() -> cm.Evolutions:
        labels = [LABEL] * IMAGES
        return cm.important_evolutions(before, after, images, labels, layers, from_step=0, to_step=1)

    measure()  # what torch does once
    theirs, ours = [], []
    for _ in range(rounds):
        for _ in range(REPEATS):
            seconds, table = clocked(measure)
            ours.append(seconds)
        seconds, expected = clocked(
            lambda: published.measure_sensitivity(before, after, images, LABEL, layers)
        )
        theirs.append(seconds)
    check_same(table, expected)
    return len(layers), sum(table.neurons), statistics.median(theirs), statistics.median(ours)


def make_epoch(seed: int) -> torchvision.models.VGG:
    """A VGG-11; the published code keeps maps that an activation in place would alter."""
    torch.manual_seed(seed)
    model = torchvision.models.vgg11(weights=None, num_classes=CLASSES).eval()
    for module in model.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False
    return model


def check_same(table: cm.Evolutions, expected: dict[str, list[list[float]]]) -> None:
    """Means to float32's last digits; counts of images but for sums that are zero but for rounding."""
    for layer, rows in expected.items():
        columns, values = table.columns(layer), np.array(rows)
        scale = float(np.abs(values).max())
        np.testing.assert_allclose(table.sensitivity[0, columns], values.mean(axis=0), atol=1e-4 * scale)
        differs: Any = table.positive[0, columns] != published.count_positive(rows)
        near_zero = np.abs(values).min(axis=0) < 1e-4 * scale
        assert not (differs & ~near_zero).any(), layer


if __name__ == "__main__":
    main()
