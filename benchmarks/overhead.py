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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
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
        options.layers, probe, detector=cm.ClipDissect(options.similarity), anchors=["dog", "sky"], strict=True
    )
    with tempfile.TemporaryDirectory() as folder, cm.ConceptWriter(folder, monitor=monitor) as writer:
        first = seconds(lambda: writer.add_concepts(model, 0))
        bare, monitored, writing = [], [], []
        for repeat in range(1, options.repeats + 1):
            bare.append(seconds(lambda: forward(model, probe)))
            monitored.append(seconds(lambda repeat=repeat: writer.add_concepts(model, repeat)))
            # The event file is written by a thread; its work counts too.
            writing.append(seconds(writer.flush))
        if options.profile:
            profiler = cProfile.Profile()
            profiler.runcall(writer.add_concepts, model, 10_000)
            pstats.Stats(profiler).sort_stats("tottime").print_stats(18)
    total = [call + flush for call, flush in zip(monitored, writing, strict=True)]
    ratios = [one / other for one, other in zip(total, bare, strict=True)]
    print(f"ResNet-18, {options.layers}, {options.images} images at 64 px, {options.threads} thread(s)")
    print(f"first call (draws and encodes the probe)  {first:8.3f} s")
    print(f"bare forward passes, median               {statistics.median(bare):8.3f} s")
    print(f"add_concepts, median                      {statistics.median(monitored):8.3f} s")
    print(f"waiting for the event file, median        {statistics.median(writing):8.3f} s")
    print(f"ratio of medians                          {statistics.median(total) / statistics.median(bare):8.3f}")
    print(f"median of ratios (target at most 1.05)    {statistics.median(ratios):8.3f}")


@torch.no_grad()
def forward(model: nn.Module, probe: cm.ProbeSet) -> None:
    model.eval()
    for batch in probe.batches():
        model(batch)


def seconds(act: Callable[[], None]) -> float:
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
