"""When further processes pay in a backfill: `python -m benchmarks.backfill [--network NAME]`.

Checkpoints of a network are looked at by one process with all threads, by as many processes as there are
cores, and by one process with one thread. Seconds for each checkpoint are those after the first one, which
also starts processes and prepares pictures; both are printed, and from how many checkpoints on processes pay.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import torch
import torchvision
from torchvision.transforms.functional import to_tensor

import conceptmon_tb as cm
from conceptmon_tb.checkpoints.passes import collect_in_order
from conceptmon_tb.checkpoints.timeline import PlanOptions, prepare_backfill
from demo.network import SmallResNet

NETWORKS = {
    "small": (SmallResNet, {"num_classes": 10}, 64, 1000),
    "resnet18": (torchvision.models.resnet18, {"num_classes": 10}, 128, 256),
}


def make_checkpoints(folder: Path, name: str, count: int) -> None:
    factory, arguments, _, _ = NETWORKS[name]
    for step in range(count):
        torch.manual_seed(step)
        torch.save(factory(**arguments).state_dict(), folder / f"step{step}.pt")


def run(folder: Path, name: str, workers: int, threads: int) -> tuple[float, float]:
    """Seconds until the first step is scored, and for each further one."""
    torch.set_num_threads(threads)
    factory, arguments, size, images = NETWORKS[name]
    probe = cm.ProbeSet.world(images, size=size, transform=to_tensor)
    monitor = cm.ConceptMonitor(["layer2", "layer4"], probe, progress=False)
    options = PlanOptions(progress=False)
    prepared = prepare_backfill(
        folder / "*.pt", factory, monitor, folder / "run", model_args=arguments, options=options
    )
    monitor.score(monitor.collect(prepared.runner.model))  # words, pictures and map are prepared in any case
    times = [time.perf_counter()]
    for _, collected in collect_in_order(prepared.recipe, prepared.runner, prepared.new, workers):
        monitor.score(collected, prepared.runner.model)
        times.append(time.perf_counter())
    return times[1] - times[0], (times[-1] - times[1]) / (len(times) - 2)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--network", choices=NETWORKS, nargs="+", default=list(NETWORKS))
    parser.add_argument("--checkpoints", type=int, default=9)
    args = parser.parse_args()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for name in args.network:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            make_checkpoints(folder, name, args.checkpoints)
            results = {}
            for workers, threads in ((1, cores), (cores, cores), (1, 1)):
                first, each = results[workers, threads] = run(folder, name, workers, threads)
                print(
                    f"{name:>10}: {workers} process(es), {threads} thread(s) in all: "
                    f"first step after {first:5.1f} s, then {each:5.2f} s each"
                )
        (start, shared), (_, alone), (_, single) = results[cores, cores], results[1, cores], results[1, 1]
        pays = f"from {1 + start / (alone - shared):.0f} checkpoints on" if shared < alone else "never"
        print(
            f"{name:>10}: {cores} processes are {alone / shared:.2f} times as fast as one with {cores} "
            f"threads, {single / shared:.2f} times as one with one thread; they pay {pays}"
        )


if __name__ == "__main__":
    main()
