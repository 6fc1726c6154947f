"""What a call of `add_concepts` costs, relative to the bare forward passes over the same images.

ResNet-18 with random weights, three layers, 2,000 probe images at 64 px, writing included. Both arms run
in one process, in turn, on the same input tensors, in evaluation mode without gradients and with the same
number of threads. Run: python -m benchmarks.overhead
"""

from __future__ import annotations

import argparse
import cProfile
import logging
import pstats
import statistics
import tempfile
import time
from collections.abc import Callable

import torch
import torchvision
from torch import nn

import conceptmon_tb as cm


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--layers", nargs="+", default=["layer2", "layer3", "layer4"])
    parser.add_argument("--similarity", default="soft_wpmi")
    parser.add_argument("--profile", action="store_true", help="print where the time of add_concepts goes")
    options = parser.parse_args()
    logging.getLogger("conceptmon_tb").setLevel(logging.ERROR)
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    model = torchvision.models.resnet18(weights=None)
    probe = cm.ProbeSet.world(options.images)
    monitor = cm.ConceptMonitor(
        options.layers,
        probe,
        detector=cm.ClipDissect(options.similarity),
        anchors=["dog", "sky"],
        strict=True,
    )
    with tempfile.TemporaryDirectory() as folder, cm.ConceptWriter(folder, monitor=monitor) as writer:
        first = measure(lambda: writer.add_concepts(model, 0))
        bare, monitored = [], []
        for repeat in range(1, options.repeats + 1):
            arms = [lambda: bare.append(measure(lambda: forward(model, probe)))]
            arms.append(lambda repeat=repeat: monitored.append(measure(lambda: log(writer, model, repeat))))
            for arm in arms if repeat % 2 else arms[::-1]:
                arm()
        if options.profile:
            profiler = cProfile.Profile()
            profiler.runcall(writer.add_concepts, model, 10_000)
            pstats.Stats(profiler).sort_stats("tottime").print_stats(18)
    print(f"ResNet-18, {options.layers}, {options.images} images at 64 px, {options.threads} thread(s)")
    print("                                            wall     CPU, of all threads")
    report("first call (draws and encodes the probe)", [first])
    report("bare forward passes, median", bare)
    report("add_concepts and flush, median", monitored)
    ratios = [
        (ours[0] / theirs[0], ours[1] / theirs[1]) for ours, theirs in zip(monitored, bare, strict=True)
    ]
    wall, cpu = (statistics.median(times) for times in zip(*ratios, strict=True))
    print(f"{'median of ratios (target at most 1.05)':<42}{wall:8.3f}  {cpu:8.3f}")


def log(writer: cm.ConceptWriter, model: nn.Module, step: int) -> None:
    writer.add_concepts(model, step)
    writer.flush()  # the event file is written by a thread; its work counts too


def report(what: str, times: list[tuple[float, float]]) -> None:
    wall, cpu = (statistics.median(column) for column in zip(*times, strict=True))
    print(f"{what:<42}{wall:8.3f} s{cpu:8.3f} s")


@torch.no_grad()
def forward(model: nn.Module, probe: cm.ProbeSet) -> None:
    model.eval()
    for batch in probe.batches():
        model(batch)


def measure(act: Callable[[], None]) -> tuple[float, float]:
    """Seconds by the wall's clock, and of processor time: the latter holds on a busy machine too."""
    wall, cpu = time.perf_counter(), time.process_time()
    act()
    return time.perf_counter() - wall, time.process_time() - cpu


if __name__ == "__main__":
    main()
