"""What is measured of a log: how fast the tab opens and moves, and what it weighs."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.frontend.browser import (
    BARE_SCRUB,
    MIB,
    TAB_SCRUB,
    Chromium,
    Opening,
    Scrub,
    capture,
    chromium,
    open_bare,
    open_empty,
    open_tab,
    scrub,
    wait_until_loaded,
)
from tests.servers import TensorBoardServer
from tests.synthetic_large import write_large_run

Progress = Callable[[str], None]
RUN = "large"
# What else a reader may look at while the time line moves, as the tab's address names it.
VIEWS = {
    "neurons": {"panel": "neurons"},
    "concepts, table": {"panel": "concepts"},
    "concepts, flow": {"panel": "concepts", "concepts": "flow"},
    "colour by similarity": {"color": "similarity"},
    "contours": {"contours": "1"},
}
SETTLE_MS = 1500


@dataclass(frozen=True)
class Log:
    """How large a log directory is."""

    neurons: int
    epochs: int
    layers: int = 1
    runs: int = 1

    def __str__(self) -> str:
        runs = f", {self.runs} runs" if self.runs > 1 else ""
        layers = f" x {self.layers} layers" if self.layers > 1 else ""
        return f"{self.neurons:,} neurons x {self.epochs} epochs{layers}{runs}"


@dataclass
class Measured:
    """Everything measured of one log; seconds, bytes, and sweeps over the time line.

    Attributes:
        first: The first opening after TensorBoard has started.
        openings: Further ones, each with an empty cache in the browser.
        empty: TensorBoard's own start, with an empty page in place of the tab, in turn with `openings`.
        loaded: Until the tab holds all frames of the layer shown, None if it keeps only some of them.
        memory_first: Of the page at the first picture.
        memory_loaded: Of the page once nothing more is loaded.
        early: A sweep that begins at the first picture, while frames are still being loaded.
        tab: Sweeps once nothing more is loaded.
        bare: The bare renderer's sweeps, in turn with `tab`.
        views: Sweeps with other views open.
        megabytes: Size of the event files.
    """

    log: Log
    first: Opening
    megabytes: float
    openings: list[Opening] = field(default_factory=list)
    empty: list[float] = field(default_factory=list)
    loaded: float | None = None
    memory_first: int = 0
    memory_loaded: int = 0
    early: Scrub | None = None
    tab: list[Scrub] = field(default_factory=list)
    bare: list[Scrub] = field(default_factory=list)
    views: dict[str, list[Scrub]] = field(default_factory=dict)

    @property
    def usable(self) -> float:
        """Median seconds until the tab is usable."""
        return statistics.median(opening.usable for opening in self.openings)

    @property
    def ratio(self) -> float:
        """Median ratio of the tab's drawn frames per second to the bare renderer's."""
        return statistics.median(
            ours.rate / bare.rate for ours, bare in zip(self.tab, self.bare, strict=True)
        )


@contextmanager
def serving(log: Log) -> Iterator[tuple[TensorBoardServer, float]]:
    """Write a log and serve it; gives the server and the log's size in megabytes."""
    with tempfile.TemporaryDirectory() as folder:
        for number in range(log.runs):
            name = RUN if log.runs == 1 else f"{RUN}{number:03d}"
            write_large_run(Path(folder) / name, log.neurons, log.epochs, log.layers, seed=number)
        size = sum(file.stat().st_size for file in Path(folder).rglob("*tfevents*")) / 1e6
        with TensorBoardServer(folder) as server:
            server.wait_for(lambda: _is_listed(server, log), 300)
            yield server, size


def measure_openings(log: Log, repeats: int, progress: Progress) -> Measured:
    """How long the tab takes to open, and what the page weighs then."""
    with serving(log) as (server, size), chromium() as browser:
        return _measure_openings(browser, server, log, size, repeats, progress)


def measure_all(log: Log, repeats: int, sweeps: int, frames: int, progress: Progress) -> Measured:
    """The same, and how fluently the tab moves beside the bare renderer."""
    with serving(log) as (server, size):
        with chromium() as browser:
            measured = _measure_openings(browser, server, log, size, repeats, progress)
        with chromium() as browser:
            page = browser.context().new_page()
            frame, _ = open_tab(page, server.url)
            measured.early = scrub(browser, page, frame, TAB_SCRUB, frames)
            progress(f"{log}: sweep while loading")
            wait_until_loaded(page, frame)
            where = capture(frame)
            layer = frame.evaluate("document.querySelector('#map').dataset.layer")
            bare = browser.context().new_page()
            open_bare(bare, server.url, RUN, layer, where)
            for number in range(sweeps):
                for is_tab in (True, False) if number % 2 else (False, True):
                    target, script = (frame, TAB_SCRUB) if is_tab else (bare, BARE_SCRUB)
                    result = scrub(browser, page if is_tab else bare, target, script, frames)
                    (measured.tab if is_tab else measured.bare).append(result)
                progress(f"{log}: sweep {number + 1} of {sweeps}")
            page.context.close()
            bare.context.close()
            for name, state in VIEWS.items():
                with browser.page() as page:
                    frame, _ = open_tab(page, server.url, **state)
                    wait_until_loaded(page, frame)
                    measured.views[name] = [scrub(browser, page, frame, TAB_SCRUB, frames) for _ in range(2)]
                progress(f"{log}: {name}")
    return measured


def _measure_openings(
    browser: Chromium, server: TensorBoardServer, log: Log, size: float, repeats: int, progress: Progress
) -> Measured:
    measured: Measured | None = None
    for number in range(repeats + 1):
        if measured is not None:
            with browser.page() as page:
                measured.empty.append(open_empty(page, server.url))
        with browser.page() as page:
            frame, opening = open_tab(page, server.url)
            if measured is None:
                measured = Measured(log, opening, size)
            else:
                measured.openings.append(opening)
            if number == repeats:
                measured.memory_first = browser.memory()
                measured.loaded = wait_until_loaded(page, frame)
                page.wait_for_timeout(SETTLE_MS)
                measured.memory_loaded = browser.memory()
        progress(f"{log}: opening {number + 1} of {repeats + 1}")
    assert measured is not None
    return measured


def _is_listed(server: TensorBoardServer, log: Log) -> bool:
    listed = [layer for run in server.runs().values() for layer in run["layers"].values()]
    return len(listed) == log.layers * log.runs and all(len(layer["steps"]) == log.epochs for layer in listed)


def mib(size: int) -> str:
    """Bytes as whole MiB."""
    return f"{size / MIB:.0f} MiB"
