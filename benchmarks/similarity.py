"""Speed, accuracy and memory of the five similarities, against the published code in the same process.

Candidates take turns: the published code, what torch alone reaches without its loop over neurons, ours in a
single call, and ours with the concept side kept from the epoch before. Ratios are of medians. Errors are
those against the published formulas in float64, relative to the largest value. Memory is measured in a
process of its own for each call.

Run: python -m benchmarks.similarity [--quick] [--write]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from benchmarks.published import clip_dissect as published
from benchmarks.similarity_report import (
    FEW_NEURONS,
    LOOPED_NEURONS,
    TARGET_SIZES,
    Memory,
    Row,
    Size,
    as_document,
    as_line,
)
from conceptmon_tb.functional import SIMILARITIES
from conceptmon_tb.functional.cosine import CosineConcepts
from conceptmon_tb.functional.pmi import PmiConcepts
from conceptmon_tb.functional.rank import RankConcepts

NAMES = ["soft_wpmi", "wpmi", "rank_reorder", "cos_similarity", "cos_similarity_cubed"]
SIZES: list[Size] = [
    (2000, 1197, 512),
    (2000, 1197, 2048),
    (10_000, 1197, 2048),
    (63_305, 1197, 512),
    (10_000, 20_000, 512),
]
QUICK: list[Size] = [(500, 100, 64)]
LARGE: list[Size] = [(63_305, 1197, 2048), (63_305, 20_000, 512)]
FEW_CONCEPTS = 2000  # whose results are compared with float64, where concepts do not share a softmax
DOCUMENT = Path(__file__).parents[1] / "docs" / "performance.md"

_Side = PmiConcepts | RankConcepts | CosineConcepts
_Result = TypeVar("_Result")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one small size")
    parser.add_argument("--write", action="store_true", help="write docs/performance.md")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument(
        "--size", type=int, nargs=3, action="append", metavar=("IMAGES", "CONCEPTS", "NEURONS"), default=[]
    )
    parser.add_argument("--no-large", action="store_true", help="leave out the sizes of several GiB")
    parser.add_argument("--memory", nargs=5, metavar=("NAME", "P", "S", "N", "DTYPE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.memory:
        name, *size, dtype = options.memory
        measure_memory(name, (int(size[0]), int(size[1]), int(size[2])), getattr(torch, dtype))
        return
    sizes: list[Size] = [(p, s, n) for p, s, n in options.size] or (QUICK if options.quick else SIZES)
    limits = measure_limits(small=options.quick)
    rows = []
    for size in sizes:
        for name in NAMES:
            rows.append(compare(name, size, options.rounds))
            print(as_line(rows[-1]), flush=True)
    memory = []
    for size in QUICK if options.quick else TARGET_SIZES + ([] if options.no_large else LARGE):
        for name in NAMES:
            for dtype in ["float32", "bfloat16"] if size in TARGET_SIZES else ["float32"]:
                memory.append(memory_of_child(name, size, dtype, options.threads))
                print(" ".join(map(str, memory[-1])), flush=True)
    document = as_document(rows, memory, limits, options.rounds, options.threads, quick=options.quick)
    print(document)
    if options.write:
        DOCUMENT.write_text(document, encoding="utf-8")


def draw(size: Size, dtype: torch.dtype = torch.float32, concept_part: float = 0.03) -> tuple[Tensor, Tensor]:
    """Activations and cosines as a CLIP gives them: around 0.2, a few hundredths apart."""
    images, concepts, neurons = size
    generator = torch.Generator().manual_seed(0)
    activations = torch.empty((images, neurons), dtype=dtype).normal_(generator=generator)
    cosines = torch.empty((images, concepts), dtype=dtype).normal_(0.2, concept_part, generator=generator)
    return activations, cosines


def prepared(name: str, cosines: Tensor) -> _Side:
    """The concept side that a monitor keeps between epochs."""
    if name == "soft_wpmi":
        return PmiConcepts(cosines, top_k=100, a=10, lam=1, prior="layer", membership=(0.998, 0.97))
    if name == "wpmi":
        return PmiConcepts(cosines, top_k=28, a=2, lam=0.6, prior="layer")
    if name == "rank_reorder":
        return RankConcepts(cosines)
    return CosineConcepts(cosines, cubed=name == "cos_similarity_cubed")


def compare(name: str, size: Size, rounds: int) -> Row:
    activations, cosines = draw(size)
    first, median = time_arms(name, activations, cosines, rounds)  # its hundreds of megabytes are free again
    error, published_error = errors(name, activations, cosines)
    return Row(
        name,
        size,
        median["published"],
        median.get("torch only"),
        median["once"],
        first,
        median["kept"],
        error,
        published_error,
    )


def time_arms(name: str, activations: Tensor, cosines: Tensor, rounds: int) -> tuple[float, dict[str, float]]:
    """Seconds of the first epoch, and the median of each candidate, which take turns."""
    torch_only = {"soft_wpmi": published.soft_wpmi_vectorised, "wpmi": published.wpmi_vectorised}.get(name)
    looped = activations[:, :LOOPED_NEURONS] if name == "rank_reorder" else activations
    reference = getattr(published, name)
    SIMILARITIES[name](activations[:100, :8], cosines[:100])  # compiles
    first, side = timed(lambda: _epoch(prepared(name, cosines), activations))
    arms: dict[str, Callable[[], object]] = {
        "published": lambda: reference(cosines, looped),
        "once": lambda: SIMILARITIES[name](activations, cosines),
        "kept": lambda: side.similarity(activations),
    }
    if torch_only:
        arms["torch only"] = lambda: torch_only(cosines, activations)
    seconds: dict[str, list[float]] = {arm: [] for arm in arms}
    for turn in range(rounds):
        order = list(arms)[turn % len(arms) :] + list(arms)[: turn % len(arms)]
        for arm in order:
            seconds[arm].append(timed(arms[arm])[0])
    median = {arm: statistics.median(values) for arm, values in seconds.items()}
    median["published"] *= activations.shape[1] / looped.shape[1]
    return first, median


def errors(name: str, activations: Tensor, cosines: Tensor) -> tuple[float, float]:
    """Ours and the published code's, against float64, over a few neurons."""
    few = LOOPED_NEURONS if name == "rank_reorder" else FEW_NEURONS
    neurons = activations[:, :few]
    if not name.endswith("wpmi"):  # a concept stands for itself: some are enough
        cosines = cosines[:, :FEW_CONCEPTS]
    exact_chance = {"draws": None} if name == "rank_reorder" else {}
    reference = getattr(published, name)
    by_image = (
        1e-15 * torch.arange(len(cosines), dtype=torch.float64)[:, None]
    )  # decides between equal cosines
    exact = reference(cosines + by_image, neurons.double(), **exact_chance)
    scale = float(exact.abs().max())
    found = SIMILARITIES[name](neurons, cosines), reference(cosines, neurons, **exact_chance)
    ours, theirs = (float((values - exact).abs().max()) / scale for values in found)
    return ours, theirs


def timed(call: Callable[[], _Result]) -> tuple[float, _Result]:
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


def _epoch(side: _Side, activations: Tensor) -> _Side:
    side.similarity(activations)
    return side


def measure_limits(*, small: bool) -> dict[str, float]:
    """What the machine can do at most: operations and bytes per second."""
    side = 512 if small else 2048
    square, many = torch.rand(side, side), torch.rand(1 << (20 if small else 26))
    few, other = torch.rand(1 << 16) + 0.5, torch.empty(1 << 16)
    copy = torch.empty_like(many)

    def rate(work: float, call: Callable[[], object], repeats: int = 1) -> float:
        return work * repeats / min(timed(lambda: [call() for _ in range(repeats)])[0] for _ in range(5))

    return {
        "matrix product, operations": rate(2 * side**3, lambda: square @ square),
        "main memory, bytes": rate(8 * many.numel(), lambda: copy.copy_(many)),
        "cache, bytes": rate(8 * few.numel(), lambda: torch.mul(few, 2.0, out=other), 200),
        "exponentials": rate(few.numel(), lambda: torch.exp(few, out=other), 200),
        "logarithms": rate(few.numel(), lambda: torch.log(few, out=other), 200),
    }


def measure_memory(name: str, size: Size, dtype: torch.dtype) -> None:
    """Print peak bytes over those before the inputs, bytes of inputs and output, peak bytes, and seconds."""
    warm, cosines = draw((100, 10, 20), dtype)
    SIMILARITIES[name](warm, cosines)  # numba, its kernels and the threads are loaded
    before = _status("VmRSS")
    activations, cosines = draw(size, dtype)
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far, which drawing may have made
    seconds, result = timed(lambda: SIMILARITIES[name](activations, cosines))
    assert isinstance(result, Tensor)
    peak = _status("VmHWM")  # not ru_maxrss, which starts at the peak of the process that started this one
    data = sum(tensor.numel() * tensor.element_size() for tensor in (activations, cosines, result))
    print(peak - before, data, peak, seconds)


def _status(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


def memory_of_child(name: str, size: Size, dtype: str, threads: int) -> Memory:
    """Peak over inputs and output, peak of the whole process in GiB, seconds."""
    command = [sys.executable, "-m", "benchmarks.similarity", "--threads", str(threads), "--memory", name]
    child = subprocess.run(
        [*command, *map(str, size), dtype], capture_output=True, text=True, check=True, env=os.environ
    )
    over, data, peak, seconds = map(float, child.stdout.split())
    return name, size, dtype, over / data, peak / 2**30, seconds


if __name__ == "__main__":
    main()
