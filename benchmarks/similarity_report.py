"""What `benchmarks.similarity` measured, as lines and as `docs/performance.md`."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path

import torch

Size = tuple[int, int, int]
Memory = tuple[str, Size, str, float, float, float]
"""Similarity, size, dtype, peak over inputs and output, peak of the whole process in GiB, seconds."""

TARGET_SIZES = [(10_000, 1197, 2048), (10_000, 20_000, 512)]
LIMIT_GIB = 8.0
MOST_MEMORY = 1.5
MOST_ERROR = 1e-4
FEW_NEURONS = 64  # whose results are compared with float64
LOOPED_NEURONS = 8  # of the published rank_reorder, which takes a constant time for each

_METHOD = """\
*Published* is CLIP-Dissect's `similarity.py`, restated in `benchmarks/published/clip_dissect.py`; *torch
only* computes the same without the loop over neurons, with running products. All take turns in one process
on the same float32 inputs, images by rows, so that ratios hold where the machine does other work too."""
_TIME = """\
*One call* is the public function, which keeps nothing. *First epoch* prepares the concept side and scores,
*later epochs* only score. The published rank_reorder is timed on a few neurons and multiplied: its loop takes
the same time for each. Milliseconds."""
_ACCURACY = f"""\
Largest difference from the published formula in float64, relative to its largest value, over the first
{FEW_NEURONS} neurons ({LOOPED_NEURONS} of rank_reorder, with the expected change by chance). Equal cosines
count in the order of the images there; the published code leaves their order to the sort."""
_MEMORY = """\
Of one call in a process of its own, over what the process had before its inputs were drawn (numba and its
kernels loaded). *Process* is everything, Python and torch included."""
_ROOFLINE = """\
What the machine reached on its own just before, and the least time that follows for an epoch with a kept
concept side. Above 100% the inputs were closer than main memory."""


@dataclass
class Row:
    """One similarity at one size, seconds."""

    name: str
    size: Size
    published: float
    torch_only: float | None
    once: float
    first: float
    kept: float
    error: float
    published_error: float

    def target(self) -> float | None:
        """How many times faster than the published code it has to be."""
        fixed = {"soft_wpmi": 10.0, "wpmi": 8.0, "rank_reorder": 3.0}
        if self.name == "cos_similarity_cubed":
            return 1.5 if self.size[2] <= 512 else 1.15
        return fixed.get(self.name)


def as_document(
    rows: list[Row],
    memory: list[Memory],
    limits: dict[str, float],
    rounds: int,
    threads: int,
    *,
    quick: bool,
) -> str:
    flags = " --quick" if quick else ""
    lines = ["# How fast neurons are scored", ""]
    lines += [
        f"Written by `python -m benchmarks.similarity --write{flags}`, not by hand: medians of "
        f"{rounds} rounds, {threads} threads, {platform.machine()} ({_processor()}), "
        f"torch {torch.__version__}."
    ]
    lines += ["", *_METHOD.splitlines(), "", "## Targets", ""]
    lines += _table(["", "measured", "target", "met"], _targets(rows, memory))
    lines += ["", "## Time", "", *_TIME.splitlines(), ""]
    lines += _table(
        ["similarity", "images x concepts x neurons", "published", "torch only", "one call", "first epoch",
         "later epochs", "published / one call", "published / later", "torch only / later"],
        [_time_cells(row) for row in rows],
    )  # fmt: skip
    lines += ["", "## Accuracy", "", *_ACCURACY.splitlines(), ""]
    lines += _table(
        ["similarity", "images x concepts", "ours", "published, float32"],
        [
            [row.name, f"{row.size[0]:,} x {row.size[1]:,}", f"{row.error:.1e}", f"{row.published_error:.1e}"]
            for row in rows
        ],
    )
    lines += ["", "## Memory", "", *_MEMORY.splitlines(), ""]
    lines += _table(
        [
            "similarity",
            "images x concepts x neurons",
            "inputs",
            "peak / (inputs + output)",
            "process, GiB",
            "time",
        ],
        [[n, _shape(s), d, f"{ratio:.2f}", f"{gib:.2f}", f"{t:.1f} s"] for n, s, d, ratio, gib, t in memory],
    )
    lines += ["", "## Roofline", "", *_ROOFLINE.splitlines(), ""]
    lines += _table(
        ["", "each second"], [[what, f"{rate / 1e9:.1f} x 10^9"] for what, rate in limits.items()]
    )
    lines += [""]
    lines += _table(
        ["similarity", "images x concepts x neurons", "tightest limit", "at least", "later epochs", "share"],
        [_roofline_cells(row, limits) for row in rows if row.size in TARGET_SIZES or quick],
    )
    return "\n".join([*lines, ""])


def as_line(row: Row) -> str:
    return " | ".join([*_time_cells(row), f"{row.error:.1e}", f"{row.published_error:.1e}"])


def floors(row: Row, limits: dict[str, float]) -> dict[str, float]:
    """Least seconds that each resource needs for an epoch with a kept concept side."""
    images, concepts, neurons = row.size
    moved = 4 * (images * neurons + images * concepts + neurons * concepts)
    if row.name.startswith("cos"):
        return {
            "matrix product": 2 * images * concepts * neurons / limits["matrix product, operations"],
            "main memory": moved / limits["main memory, bytes"],
        }
    top = {"soft_wpmi": 100, "wpmi": 28}.get(row.name, images // 20)
    looked_up = top * concepts * neurons
    return {
        "cache, one look-up for each image of a set": 4 * looked_up / limits["cache, bytes"],
        "main memory": moved / limits["main memory, bytes"],
        "logarithms": neurons * concepts / limits["logarithms"] if row.name != "rank_reorder" else 0.0,
    }


def _targets(rows: list[Row], memory: list[Memory]) -> list[list[str]]:
    found = []
    for row in rows:
        target = row.target()
        if target is None:
            continue
        found.append(
            _target(f"{row.name}, {_shape(row.size)}: times faster", row.published / row.kept, target)
        )
        if row.name == "soft_wpmi" and row.torch_only:
            what = f"{row.name}, {_shape(row.size)}: times faster than torch only"
            found.append(_target(what, row.torch_only / row.kept, 3.5))
    worst = max(row.error for row in rows)
    found.append(["largest error", f"{worst:.1e}", f"at most {MOST_ERROR:.0e}", _yes(worst <= MOST_ERROR)])
    most = [one for one in memory if one[1] in TARGET_SIZES]
    if most:
        peak = max(one[3] for one in most)
        what = "peak memory over inputs and output, sizes of the target"
        found.append([what, f"{peak:.2f}", f"at most {MOST_MEMORY}", _yes(peak <= MOST_MEMORY)])
        gib = max(one[4] for one in memory)
        found.append(["largest process, GiB", f"{gib:.2f}", f"at most {LIMIT_GIB:g}", _yes(gib <= LIMIT_GIB)])
    return found


def _target(what: str, value: float, least: float) -> list[str]:
    return [
        what,
        f"{value:.1f}" if least >= 3 else f"{value:.2f}",
        f"at least {least:g}",
        _yes(value >= least),
    ]


def _yes(met: bool) -> str:
    return "yes" if met else "NO"


def _time_cells(row: Row) -> list[str]:
    torch_only = "-" if row.torch_only is None else f"{row.torch_only * 1e3:.0f}"
    times = [f"{seconds * 1e3:.0f}" for seconds in (row.once, row.first, row.kept)]
    ratios = [f"{row.published / seconds:.1f}" for seconds in (row.once, row.kept)]
    vectorised = "-" if row.torch_only is None else f"{row.torch_only / row.kept:.1f}"
    return [row.name, _shape(row.size), f"{row.published * 1e3:.0f}", torch_only, *times, *ratios, vectorised]


def _roofline_cells(row: Row, limits: dict[str, float]) -> list[str]:
    what, least = max(floors(row, limits).items(), key=lambda item: item[1])
    share = f"{least / row.kept:.0%}"
    return [row.name, _shape(row.size), what, f"{least * 1e3:.0f} ms", f"{row.kept * 1e3:.0f} ms", share]


def _shape(size: Size) -> str:
    return " x ".join(f"{n:,}" for n in size)


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in [head, ["---"] * len(head), *rows]]


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()
