"""From what was measured to tables: for the terminal, and for docs/frontend_performance.md."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.frontend.measure import Measured, mib

FRAME_MS = 100.0
_TOLERANCE_MS = 1.0  # frames come every 16.67 ms: six of them are not over 100 ms


_METHOD = """\
Chromium draws without a graphics processor (SwiftShader), in a window of 1440 x 900, through TensorBoard's
own page on localhost, from real event files (`python -m tests.synthetic LOGDIR --large 7000x100x4`). Every
opening starts with an empty cache. *Usable* means: the first frame with data is drawn and the time line
works. The *bare renderer* is a page with nothing but the tab's own renderer, which draws the same points at
the same size in the same browser; the two take turns, and one frame moves the time line by the same amount
in both. A frame counts when the map has drawn it. *Memory* is what the page's process has for itself
(unique set size), the browser's own code included: about 60 MiB for an empty page.
Where the load average shows that the machine did other work meanwhile, trust ratios and
processor times.""".splitlines()
_GROWTH = """\
The tab asks for the step under the cursor first and for its neighbours later, so the time until it is
usable depends on the number of neurons, hardly on the number of epochs. It keeps the frames of the layers
shown, up to a fixed budget; beyond it those far from the cursor are let go and fetched again when needed
(then there is no time at which all are there). Other layers and runs cost only their lists and
scalars.""".splitlines()


@dataclass(frozen=True)
class Target:
    """A figure that must hold."""

    what: str
    value: float
    unit: str
    limit: float
    at_least: bool = False

    @property
    def is_met(self) -> bool:
        """Whether it does."""
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def row(self) -> list[str]:
        """Cells of a table."""
        sign = "at least" if self.at_least else "at most"
        unit = f" {self.unit}" if self.unit else ""
        digits = 0 if self.unit == "ms" else 2
        wanted = f"{sign} {self.limit:g}{unit}"
        return [self.what, f"{self.value:.{digits}f}{unit}", wanted, "yes" if self.is_met else "NO"]


def typical_targets(measured: Measured) -> list[Target]:
    """Targets for a typical large log."""
    return [
        Target(f"{measured.log}: tab usable", measured.usable, "s", 2.0),
        Target(f"{measured.log}: frames per second, tab / bare renderer", measured.ratio, "", 0.8, True),
    ]


def large_targets(measured: Measured) -> list[Target]:
    """Targets for a very large layer."""
    longest = max(sweep.longest for sweep in measured.tab)
    return [
        Target(f"{measured.log}: first picture", measured.usable, "s", 5.0),
        Target(
            f"{measured.log}: longest frame of {len(measured.tab)} sweeps",
            longest,
            "ms",
            FRAME_MS + _TOLERANCE_MS,
        ),
    ]


def as_text(
    targets: Sequence[Target], found: Mapping[str, Measured], grown: Mapping[str, Sequence[Measured]]
) -> str:
    """Everything, for the terminal."""
    parts = (
        [_aligned(["", "measured", "target", "met"], [target.row() for target in targets])] if targets else []
    )
    for one in found.values():
        parts += [_aligned([str(one.log), ""], _details(one)), _aligned(_VIEWS_HEAD, _views(one))]
    parts += [_aligned(_GROWTH_HEAD, [_growth_row(one) for one in several]) for several in grown.values()]
    return "\n\n".join(parts)


def as_document(
    targets: Sequence[Target],
    found: Mapping[str, Measured],
    grown: Mapping[str, Sequence[Measured]],
    arguments: Sequence[str],
    when: str,
) -> str:
    """Everything, as docs/frontend_performance.md; `when` is what `circumstances` said at the start."""
    command = f"python -m benchmarks.frontend {' '.join(arguments)}"
    written = f"Written by `{command}`, not by hand: {when}, load average {os.getloadavg()[2]:.1f}."
    table = _markdown(["", "measured", "target", "met"], [target.row() for target in targets])
    lines = ["# How fast the tab is", "", written, "", *_METHOD, "", "## Targets", "", *table, ""]
    for one in found.values():
        lines += [f"## {one.log}", "", *_markdown(["", ""], _details(one)), ""]
        lines += ["While scrubbing with other views open:", "", *_markdown(_VIEWS_HEAD, _views(one)), ""]
    lines += ["## Growth", "", *_GROWTH, ""]
    for name, several in grown.items():
        lines += [f"### With {name}", "", *_markdown(_GROWTH_HEAD, [_growth_row(one) for one in several]), ""]
    return "\n".join(lines)


_VIEWS_HEAD = [
    "view",
    "frames per second",
    "of the bare renderer's",
    "longest frame",
    "processor, main thread",
]
_GROWTH_HEAD = [
    "log",
    "event files",
    "usable",
    "first opening",
    "all frames there",
    "memory at first",
    "when loaded",
]


def _growth_row(one: Measured) -> list[str]:
    return [
        str(one.log),
        f"{one.megabytes:.0f} MB",
        f"{one.usable:.2f} s",
        f"{one.first.usable:.2f} s",
        _seconds(one.loaded),
        mib(one.memory_first),
        mib(one.memory_loaded),
    ]


def _details(one: Measured) -> list[list[str]]:
    own = statistics.median(one.empty)
    frames = [delta for sweep in one.tab for delta in sweep.deltas]
    over = sum(delta > FRAME_MS + _TOLERANCE_MS for delta in frames) / len(frames)
    early = "" if one.early is None else f"{one.early.longest:.0f} ms"
    return [
        ["event files", f"{one.megabytes:.0f} MB"],
        ["TensorBoard's own start (empty page in place of the tab)", f"{own:.2f} s"],
        ["tab usable, from the navigation of TensorBoard's page", f"{one.usable:.2f} s"],
        ["of which the tab's own share", f"{one.usable - own:.2f} s ({1 - own / one.usable:.0%})"],
        ["first opening after TensorBoard has started", f"{one.first.usable:.2f} s"],
        ["all frames of the shown layer there", _seconds(one.loaded)],
        ["frames per second while scrubbing: tab", f"{_median(one.tab, 'rate'):.1f}"],
        ["frames per second while scrubbing: bare renderer", f"{_median(one.bare, 'rate'):.1f}"],
        ["ratio, median of sweeps in turn", f"{one.ratio:.2f}"],
        ["processor time for each frame, page's main thread: tab", _milliseconds(one.tab, "main_ms")],
        [
            "processor time for each frame, page's main thread: bare renderer",
            _milliseconds(one.bare, "main_ms"),
        ],
        ["processor time for each frame, all of Chromium: tab", _milliseconds(one.tab, "all_ms")],
        ["processor time for each frame, all of Chromium: bare renderer", _milliseconds(one.bare, "all_ms")],
        ["longest frame: tab", f"{max(sweep.longest for sweep in one.tab):.0f} ms"],
        ["longest frame: bare renderer", f"{max(sweep.longest for sweep in one.bare):.0f} ms"],
        ["longest frame of a sweep begun at the first picture", early],
        ["frames over 100 ms", f"{over:.1%}"],
        ["memory at the first picture", mib(one.memory_first)],
        ["memory when all is loaded", mib(one.memory_loaded)],
        ["memory while scrubbing, at most", mib(max(sweep.memory for sweep in one.tab))],
    ]


def _views(one: Measured) -> list[list[str]]:
    bare = _median(one.bare, "rate")
    return [
        [
            name,
            f"{_median(sweeps, 'rate'):.1f}",
            f"{_median(sweeps, 'rate') / bare:.2f}",
            f"{max(sweep.longest for sweep in sweeps):.0f} ms",
            _milliseconds(sweeps, "main_ms"),
        ]
        for name, sweeps in one.views.items()
    ]


def _median(sweeps: Sequence[object], name: str) -> float:
    return statistics.median(getattr(sweep, name) for sweep in sweeps)


def _milliseconds(sweeps: Sequence[object], name: str) -> str:
    return f"{_median(sweeps, name):.1f} ms"


def _seconds(value: float | None) -> str:
    return "never all at once" if value is None else f"{value:.2f} s"


def circumstances() -> str:
    """Day, commit, machine and priority, to be asked for before anything is measured."""
    root = Path(__file__).parents[2]
    git = ["git", "-C", str(root), "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip() or "unknown"
    day = time.strftime("%Y-%m-%d", time.gmtime())
    priority = os.getpriority(os.PRIO_PROCESS, 0)
    raised = f", niceness {priority}" if priority else ""
    return f"{day}, commit {commit}, {os.cpu_count()} cores ({platform.machine()}){raised}"


def _aligned(head: list[str], rows: list[list[str]]) -> str:
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [head, *rows]
    )


def _markdown(head: list[str], rows: list[list[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows]]
