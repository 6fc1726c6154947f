"""What a long run costs: file, TensorBoard's start, memory of server and page, and response times.

Synthetic runs of 2,048 neurons a layer are written, up to 1,000 epochs of five layers, and each is opened as
a reader does: the tab at one layer, and then every route. Memory and times should grow with what is shown,
one layer, not with all that was logged.

    python -m benchmarks.long_runs --write
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from tqdm import tqdm

from benchmarks.frontend.browser import MIB, Chromium, chromium, open_tab, wait_until_loaded
from benchmarks.frontend.report import Target, circumstances
from tests.servers import TensorBoardServer
from tests.synthetic_large import write_large_run

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs" / "long_runs.md"
NEURONS, RUN = 2048, "long"
EPOCHS, LAYERS = 1000, 5
GROWTH = {
    "With epochs, five layers": [(100, 5), (300, 5), (1000, 5)],
    "With layers, 300 epochs": [(300, 1), (300, 3), (300, 5)],
}
READ_SECONDS = 600.0
TRIES = 5
SETTLE_MS = 1500
METHOD = f"""\
Runs of {NEURONS:,} neurons a layer in real event files (`python -m tests.synthetic LOGDIR --large
{NEURONS}x{EPOCHS}x{LAYERS}`), served by TensorBoard with its data server, opened in Chromium without a
graphics processor. *Answers* is the time from TensorBoard's start to its first answer, *all read* to the
moment when the plugin lists every epoch. *TensorBoard* is the memory (resident set) of its Python process,
with the plugin in it; *data server* is that of TensorBoard's own reader, which holds all event data, ours or
not: `--samples_per_plugin conceptmon=N` keeps N steps there. *Page* is what the tab's process has for itself
once one layer is there with all its steps. Times are medians of {TRIES} requests at steps and neurons that
differ."""


@dataclass
class Measured:
    """What was measured of one run; bytes and seconds.

    Attributes:
        epochs: Its epochs.
        layers: Its layers.
        file: Size of the event file.
        answers: Until TensorBoard answers.
        read: Until it lists all epochs.
        server: Memory of TensorBoard, when all was asked for.
        data_server: Memory of its data server.
        usable: Until the tab is usable.
        page: Memory of the page.
        routes: Time of each request, by name.
    """

    epochs: int
    layers: int
    file: int
    answers: float = 0.0
    read: float = 0.0
    server: int = 0
    data_server: int = 0
    usable: float = 0.0
    page: int = 0
    routes: dict[str, float] = field(default_factory=dict)


def measure(epochs: int, layers: int, neurons: int, progress: Callable[[str], None]) -> Measured:
    """Write a run, serve it, open the tab and ask for every route."""
    size = f"{epochs} epochs x {layers} layers"
    with tempfile.TemporaryDirectory() as folder:
        write_large_run(Path(folder) / RUN, neurons, epochs, layers)
        file = sum(file.stat().st_size for file in Path(folder).rglob("*tfevents*"))
        measured = Measured(epochs, layers, file)
        progress(f"{size}: written")
        begin = time.monotonic()
        with TensorBoardServer(folder) as server:
            measured.answers = time.monotonic() - begin
            server.wait_for(lambda: _is_read(server, epochs, layers), READ_SECONDS)
            measured.read = time.monotonic() - begin
            progress(f"{size}: read")
            with chromium() as browser:
                measured.usable, measured.page = _open(browser, server)
            progress(f"{size}: shown")
            measured.routes = {name: _time(server, name, epochs, neurons) for name in _requests()}
            measured.server = psutil.Process(server.pid).memory_info().rss
            children = psutil.Process(server.pid).children()
            measured.data_server = sum(child.memory_info().rss for child in children)
            progress(f"{size}: asked")
    return measured


def _is_read(server: TensorBoardServer, epochs: int, layers: int) -> bool:
    listed = server.runs().get(RUN, {"layers": {}})["layers"].values()
    return len(listed) == layers and all(len(layer["steps"]) == epochs for layer in listed)


def _open(browser: Chromium, server: TensorBoardServer) -> tuple[float, int]:
    with browser.page() as page:
        frame, opening = open_tab(page, server.url, layer="layer1")
        wait_until_loaded(page, frame)
        page.wait_for_timeout(SETTLE_MS)
        return opening.usable, browser.memory()


def _requests() -> dict[str, Callable[[int, int], dict[str, object]]]:
    """Parameters of each kind of request for a step and a neuron, by the name that the document gives it."""
    layer = {"run": RUN, "layer": "layer1"}
    return {
        "runs": lambda *_: {},
        "timeline": lambda *_: {"run": RUN},
        "layer, one step": lambda step, _: {**layer, "from": step, "to": step},
        "layer, frames of 60 steps": lambda step, _: {
            **layer, "part": "frames", "from": step // 2, "to": step // 2 + 59
        },
        "layer, frames of all steps": lambda *_: {**layer, "part": "frames"},
        "neuron": lambda step, neuron: {**layer, "neuron": neuron, "step": step},
        "distances, one step": lambda step, _: {**layer, "step": step},
        "scalars, one tag": lambda *_: {"run": RUN, "tag": "concepts/layer1/d_anchor"},
        "images": lambda *_: {"run": RUN},
        "export, one step": lambda step, _: {**layer, "step": step, "format": "csv"},
    }  # fmt: skip


def _time(server: TensorBoardServer, name: str, epochs: int, neurons: int) -> float:
    """Median seconds of a few requests of a kind."""
    times = []
    for number in range(TRIES):
        parameters = _requests()[name]((number * 37 + 11) % epochs, (number * 311) % neurons)
        begin = time.perf_counter()
        status, _, _ = server.fetch(name.partition(",")[0], **parameters)
        times.append(time.perf_counter() - begin)
        if status != 200:
            raise RuntimeError(f"{name} answered {status}")
    return statistics.median(times)


def targets(found: dict[tuple[int, int], Measured], neurons: int) -> list[Target]:
    """What must hold: bounds at the largest run, and no growth with what is not shown."""
    largest, short = found[EPOCHS, LAYERS], found[100, LAYERS]
    narrow, wide = found[300, 1], found[300, LAYERS]
    cells = neurons * EPOCHS * LAYERS
    one = "layer, one step"
    return [
        Target("largest run: event file for a neuron and epoch", largest.file / cells, "bytes", 160),
        Target("largest run: TensorBoard answers", largest.answers, "s", 10),
        Target("largest run: all epochs listed", largest.read, "s", 120),
        Target("largest run: tab usable", largest.usable, "s", 5),
        Target("largest run: memory of TensorBoard with the plugin", largest.server / MIB, "MiB", 768),
        Target("largest run: memory of the page", largest.page / MIB, "MiB", 512),
        Target("largest run: slowest answer", max(largest.routes.values()), "s", 3),
        Target("largest run: one step of a layer", largest.routes[one], "s", 0.2),
        Target("1,000 epochs / 100: file", largest.file / short.file, "", 10.5),
        Target("1,000 epochs / 100: memory of TensorBoard", largest.server / short.server, "", 3),
        Target("1,000 epochs / 100: tab usable", largest.usable / short.usable, "", 2),
        Target("5 layers / 1: memory of the page", wide.page / narrow.page, "", 1.2),
        Target("5 layers / 1: memory of TensorBoard", wide.server / narrow.server, "", 1.5),
        Target("5 layers / 1: tab usable", wide.usable / narrow.usable, "", 1.5),
    ]


def as_tables(found: dict[tuple[int, int], Measured], limits: list[Target]) -> str:
    """Everything measured as Markdown."""
    parts = ["## Targets\n", *_table(["", "measured", "target", "met"], [limit.row() for limit in limits])]
    for title, sizes in GROWTH.items():
        rows = [found[size] for size in sizes]
        head = ["", *(f"{row.epochs:,} epochs, {row.layers} layers" for row in rows)]
        cells = [
            ["event file", *(f"{row.file / 1e6:,.0f} MB" for row in rows)],
            ["answers", *(f"{row.answers:.1f} s" for row in rows)],
            ["all read", *(f"{row.read:.1f} s" for row in rows)],
            ["TensorBoard", *(f"{row.server / MIB:,.0f} MiB" for row in rows)],
            ["data server", *(f"{row.data_server / MIB:,.0f} MiB" for row in rows)],
            ["tab usable", *(f"{row.usable:.2f} s" for row in rows)],
            ["page", *(f"{row.page / MIB:,.0f} MiB" for row in rows)],
        ]
        cells += [
            [f"`{name}`", *(f"{1000 * row.routes[name]:,.0f} ms" for row in rows)] for name in rows[0].routes
        ]
        parts += [f"\n## {title}\n", *_table(head, cells)]
    return "\n".join(parts)


def as_document(
    found: dict[tuple[int, int], Measured], limits: list[Target], command: list[str], when: str
) -> str:
    """Return the document."""
    largest = found[EPOCHS, LAYERS]
    met = sum(limit.is_met for limit in limits)
    said = (
        f"{EPOCHS:,} epochs of {LAYERS} layers with {NEURONS:,} neurons: {largest.file / 1e6:,.0f} MB, tab "
        f"usable after {largest.usable:.1f} s, page {largest.page / MIB:,.0f} MiB, TensorBoard "
        f"{largest.server / MIB:,.0f} MiB, one step of a layer in "
        f"{1000 * largest.routes['layer, one step']:.0f} ms; {met} of {len(limits)} targets met"
    )
    return f"""\
# What a long run costs

Written by `python -m benchmarks.long_runs {" ".join(command)}`, not by hand: {when}.

In short: {said}.

{METHOD}

{as_tables(found, limits)}
"""


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows]]


def main() -> None:
    """Measure, print, and say by the exit status whether a target is missed."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.long_runs", description="What a long run costs, and what that grows with."
    )
    parser.add_argument("--shrink", type=int, default=1, help="divide the neurons, to try the command")
    parser.add_argument("--write", action="store_true", help=f"write {DOCUMENT.relative_to(ROOT)}")
    options = parser.parse_args()
    if options.write and options.shrink != 1:
        parser.error("--write needs all neurons")
    neurons, when = NEURONS // options.shrink, f"{circumstances()}, load average {os.getloadavg()[0]:.1f}"
    sizes = sorted({size for sizes in GROWTH.values() for size in sizes})
    found = {}
    with tqdm(total=4 * len(sizes), desc="Measuring", unit="step") as bar:

        def progress(what: str) -> None:
            bar.set_postfix_str(what)
            bar.update()

        for epochs, layers in sizes:
            found[epochs, layers] = measure(epochs, layers, neurons, progress)
    limits = targets(found, neurons)
    print(as_tables(found, limits))
    if options.write:
        DOCUMENT.write_text(as_document(found, limits, sys.argv[1:], when), encoding="utf-8")
        print(f"wrote {DOCUMENT}")
    sys.exit(any(not limit.is_met for limit in limits))


if __name__ == "__main__":
    main()
