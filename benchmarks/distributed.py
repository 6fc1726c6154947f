"""Probe images per second by number of ranks: one process and all ranks of one run, in turn.

ResNet-18 with random weights, three layers, 64 px, one thread for each process. Every rank of one torchrun
holds the model; in one arm rank 0 looks alone while the others sleep in a barrier, in the other all look.

Run: python -m benchmarks.distributed [--ranks 2] [--write]
"""

from __future__ import annotations

import argparse
import logging
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.distributed as dist
import torchvision

import conceptmon_tb as cm

PAGE = Path(__file__).parents[1] / "docs" / "distributed.md"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
LAYERS = ["layer2", "layer3", "layer4"]
EXPECTED_RANKS = (2, 4, 8, 16)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--images", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="write the figures into docs/distributed.md")
    options = parser.parse_args()
    if "RANK" not in os.environ:
        torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
        torchrun += [f"--nproc-per-node={options.ranks}", "-m", "benchmarks.distributed", *sys.argv[1:]]
        raise SystemExit(subprocess.call(torchrun, env=os.environ | {"OMP_NUM_THREADS": "1"}))
    logging.getLogger("conceptmon_tb").setLevel(logging.ERROR)
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    text = compare(options)
    if dist.get_rank() == 0:
        print(text)
        if options.write:
            before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
            after = rest.partition(END)[2]
            PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")
    dist.destroy_process_group()


def compare(options: argparse.Namespace) -> str:
    """All figures, as a table; what counts is the ratio of arms of the same round."""
    torch.manual_seed(0)
    model = torchvision.models.resnet18(weights=None)
    probe = cm.ProbeSet.world(options.images, batch_size=64)
    alone = cm.ConceptMonitor(LAYERS, probe, progress=False, distributed=False)
    shared = cm.ConceptMonitor(LAYERS, cm.ProbeSet.world(options.images, batch_size=64), progress=False)
    leads = dist.get_rank() == 0
    empty = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 8, 8))
    exchange = cm.ConceptMonitor(["0"], cm.ProbeSet.world(64, size=8, batch_size=32), progress=False)

    def look_alone(look: Callable[[], object]) -> Callable[[], object]:
        return look if leads else lambda: None

    arms = {
        "forward, one": look_alone(lambda: alone.collect(model)),
        "forward, all": lambda: shared.collect(model),
        "look, one": look_alone(lambda: alone.observe(model)),
        "look, all": lambda: shared.observe(model),
        "nothing to do": lambda: exchange.collect(empty),
    }
    times: dict[str, list[float]] = {name: [] for name in arms}
    for turn in range(-1, options.rounds):  # the first prepares what holds still
        for name in list(arms) if turn % 2 else list(arms)[::-1]:
            seconds = measure(arms[name])
            if turn >= 0:
                times[name].append(seconds)
    return as_text(times, options)


def measure(act: Callable[[], object]) -> float:
    """Seconds until the last rank is done."""
    dist.barrier()
    start = time.perf_counter()
    act()
    dist.barrier()
    return time.perf_counter() - start


def as_text(times: dict[str, list[float]], options: argparse.Namespace) -> str:
    middle = {name: statistics.median(seconds) for name, seconds in times.items()}

    def row(what: str, name: str) -> str:
        ratios = [a / b for a, b in zip(times[f"{name}, one"], times[f"{name}, all"], strict=True)]
        rates = [options.images / middle[f"{name}, {arm}"] for arm in ("one", "all")]
        spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
        return f"| {what} | {rates[0]:.0f} | {rates[1]:.0f} | {statistics.median(ratios):.2f} ({spread}) |"

    forward, scoring = middle["forward, one"], middle["look, one"] - middle["forward, one"]
    fixed = middle["nothing to do"]
    whole = [(forward + scoring) / (forward / n + scoring + fixed) for n in EXPECTED_RANKS]
    return "\n".join(
        (
            f"| images per second | 1 process | {options.ranks} ranks | ratio |",
            "| --- | --- | --- | --- |",
            row("forward passes (`collect`)", "forward"),
            row("the whole look (`observe`)", "look"),
            "",
            f"Scoring takes {scoring:.2f} s on rank 0, forward passes in one process {forward:.2f} s, and "
            f"meeting, comparing and gathering take {1000 * fixed:.0f} ms where there is nothing to do. So "
            + ", ".join(f"{n} ranks would be {r:.1f}" for n, r in zip(EXPECTED_RANKS, whole, strict=True))
            + " times as fast as one process, if each has a device of its own.",
        )
    )


if __name__ == "__main__":
    main()
