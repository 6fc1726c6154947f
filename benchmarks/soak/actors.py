"""Who takes part: a training that writes, a visitor who asks for routes, and a reader at the tab."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

from playwright.sync_api import CDPSession, Error, Frame, Page

from benchmarks.frontend.browser import Chromium
from benchmarks.soak.trends import MIB
from conceptmon_tb.snapshot import ConceptSnapshot
from conceptmon_tb.writer import ConceptWriter, add_concepts
from tests.servers import TensorBoardServer
from tests.synthetic import make_images, make_snapshots, make_space

LAYERS = {"layer3": 128, "layer4": 256}
RUN_EPOCHS, KEPT_RUNS = 60, 3


class Training:
    """Short runs, one after the other; the oldest is removed.

    Args:
        logdir: Log directory.
        epochs: Of each run.
    """

    def __init__(self, logdir: Path, epochs: int = RUN_EPOCHS) -> None:
        self._logdir = logdir
        self._epochs = epochs
        self._space = make_space()
        self._images = make_images(self._space, 32)
        self._runs: list[str] = []
        self._number = 0
        self._open: tuple[ConceptWriter, Iterator[dict[str, ConceptSnapshot]]] | None = None

    @property
    def newest(self) -> str:
        """The run that is being written."""
        return self._runs[-1]

    @property
    def complete(self) -> str | None:
        """The latest run that is complete; None in the first one."""
        return self._runs[-2] if len(self._runs) > 1 else None

    @property
    def epoch(self) -> int:
        """Epochs of the newest run."""
        return self._number % self._epochs

    def write_epoch(self) -> None:
        """Write the next epoch, as a training loop does."""
        step = self.epoch
        if step == 0:
            self._begin()
        assert self._open is not None
        writer, snapshots = self._open
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # alerts of a training that is made up
            writer.add_scalar("loss/train", 1 / (step + 1), step)
            add_concepts(writer, next(snapshots), step, self._images)
        self._number += 1

    def close(self) -> None:
        """Close the run."""
        if self._open is not None:
            self._open[0].close()

    def _begin(self) -> None:
        self.close()
        run = f"run{self._number // self._epochs:04d}"
        self._runs.append(run)
        snapshots = make_snapshots(self._epochs, LAYERS, seed=self._number, space=self._space)
        self._open = (ConceptWriter(self._logdir / run), snapshots)
        if len(self._runs) > KEPT_RUNS:
            shutil.rmtree(self._logdir / self._runs.pop(0))


class Visitor:
    """Asks for one route after the other, as other tabs and notebooks do.

    Args:
        server: TensorBoard.
    """

    def __init__(self, server: TensorBoardServer) -> None:
        self._server = server
        self._number = 0
        self.refused: list[str] = []

    def ask(self, run: str) -> None:
        """Ask for the next route of a run that is complete."""
        layer = {"run": run, "layer": "layer4"}
        routes: list[tuple[str, dict[str, object]]] = [
            ("runs", {}),
            ("timeline", {"run": run}),
            ("layer", {**layer, "part": "frames"}),
            ("neuron", {**layer, "neuron": self._number % 256, "step": 5}),
            ("distances", {**layer, "step": self._number % 20}),
            ("distances", {**layer, "word": "striped"}),
            ("space", {"run": run}),
            ("images", {"run": run}),
            ("images", {"run": run, "step": 0}),
            ("layer", {**layer, "from": 3, "to": 5}),
            ("export", {**layer, "step": 7, "format": "csv"}),
            ("scalars", {"run": run, "tag": "concepts/layer4/d_anchor"}),
            ("alerts", {"run": run}),
        ]
        route, parameters = routes[self._number % len(routes)]
        self._number += 1
        status = self._server.fetch(route, **parameters)[0]
        if status != 200:
            self.refused.append(f"{status} {route} {parameters}")


class Reader:
    """Somebody at the tab, who does one thing after the other.

    Args:
        browser: Chromium.
        url: TensorBoard's address.
    """

    def __init__(self, browser: Chromium, url: str) -> None:
        self._browser = browser
        self.page: Page = browser.browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
        self.page.set_default_timeout(5000)
        self._session: CDPSession = self.page.context.new_cdp_session(self.page)
        self._session.send("Performance.enable")
        self._number = 0
        self.failed: list[str] = []
        self.page.on("pageerror", lambda error: self.failed.append(str(error)))
        self.page.goto(f"{url}#conceptmon", timeout=60_000)

    def act(self, newest: str) -> None:
        """Do the next thing; what is not there just now is noted."""
        acts: list[Callable[[Frame], object]] = [
            lambda frame: self._choose(frame, newest),
            lambda _: self.page.keyboard.press("Home"),
            lambda frame: frame.select_option("select[aria-label=Layer]", "layer3"),
            lambda frame: frame.click("#tab-neurons"),
            self._hover,
            lambda frame: frame.click("button[aria-label=Play]"),
            lambda frame: frame.click("#tab-concepts"),
            lambda frame: frame.select_option("select[aria-label=Layer]", "layer4"),
            self._hover,
            lambda frame: frame.click("#tab-compare"),
            lambda _: self.page.keyboard.press("End"),
            lambda frame: frame.click("#tab-overview"),
        ]
        act = acts[self._number % len(acts)]
        number, self._number = self._number, self._number + 1
        try:
            act(self._frame())
        except Error as error:
            self.failed.append(f"act {number % len(acts)}: {error.message.splitlines()[0]}")

    def weigh(self) -> dict[tuple[str, str], float]:
        """What the page holds, after its garbage was collected."""
        self._session.send("HeapProfiler.collectGarbage")
        metrics = {m["name"]: m["value"] for m in self._session.send("Performance.getMetrics")["metrics"]}
        return {
            ("page: memory", "MiB"): self._browser.memory() / MIB,
            ("page: JavaScript heap", "MiB"): metrics["JSHeapUsedSize"] / MIB,
            ("page: nodes", ""): metrics["Nodes"],
            ("page: event listeners", ""): metrics["JSEventListeners"],
        }

    def _frame(self) -> Frame:
        element = self.page.wait_for_selector("iframe", state="attached")
        frame = element.content_frame() if element else None
        if frame is None:
            raise Error("the tab is not there")
        return frame

    def _choose(self, frame: Frame, run: str) -> None:
        frame.click(".runs summary")
        frame.click(f".menu-main[title={run}]")

    def _hover(self, frame: Frame) -> None:
        box = frame.locator("#map .overlay").bounding_box()
        assert box is not None
        for part in range(2, 9):
            self.page.mouse.move(box["x"] + box["width"] * part / 10, box["y"] + box["height"] * part / 10)
