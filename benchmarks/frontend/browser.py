"""The tab and the bare renderer in Chromium, and what is measured of them."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Frame,
    Page,
    Route,
    ViewportSize,
    sync_playwright,
)
from playwright.sync_api import TimeoutError as PlaywrightTimeout

HERE = Path(__file__).parent
SIZE: ViewportSize = {"width": 1440, "height": 900}
# No graphics processor: WebGL and everything else is drawn by the processor, as the tests' browser does it.
CHROMIUM_ARGS = [
    "--no-sandbox",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-gpu-rasterization",
]
BARE = "bare-renderer"
BARE_PAGE = f"""<!doctype html><title>bare</title>
<link rel="stylesheet" href="/data/plugin/conceptmon/static/style.css">
<body style="margin: 0"><canvas></canvas><script type="module" src="/{BARE}.js"></script>"""
EMPTY_PAGE = "<!doctype html><title>empty</title>"
TIMEOUT_MS = 60_000
QUIET_LOOKS = 8  # of half a second each without a request for frames: then nothing more will come
FRAMES_FETCHED = (
    "performance.getEntriesByType('resource').filter(({name}) => name.includes('part=frames')).length"
)
MIB = 1 << 20


@dataclass(frozen=True)
class Opening:
    """Seconds from the navigation of TensorBoard's page.

    Attributes:
        frame: Until the tab's iframe began to load.
        usable: Until the first frame with data is drawn and the time line works.
    """

    frame: float
    usable: float


@dataclass(frozen=True)
class Scrub:
    """One sweep over the time line.

    Attributes:
        deltas: Milliseconds between frames.
        drawn: Frames that the map drew meanwhile.
        draw_ms: Milliseconds that drawing each of them took.
        memory: Largest memory of the page meanwhile, bytes.
        busy: Processor seconds of the page's main thread, and of all of Chromium: unlike the time between
            frames, these hold on a busy machine too.
    """

    deltas: list[float]
    drawn: int
    draw_ms: list[float]
    memory: int
    busy: tuple[float, float]

    @property
    def main_ms(self) -> float:
        """Processor milliseconds of the page's main thread for each frame."""
        return 1000 * self.busy[0] / len(self.deltas)

    @property
    def all_ms(self) -> float:
        """Processor milliseconds of all of Chromium for each frame."""
        return 1000 * self.busy[1] / len(self.deltas)

    @property
    def rate(self) -> float:
        """Drawn frames per second."""
        return 1000 * min(self.drawn, len(self.deltas)) / sum(self.deltas)

    @property
    def longest(self) -> float:
        """The longest time between two frames, milliseconds."""
        return max(self.deltas)


class Chromium:
    """A browser of our own, whose processes can be weighed."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser
        self._session = browser.new_browser_cdp_session()

    def context(self) -> BrowserContext:
        """A fresh profile: nothing is cached."""
        context = self.browser.new_context(viewport=SIZE)
        context.set_default_timeout(TIMEOUT_MS)
        context.add_init_script(path=HERE / "probe.js")
        return context

    @contextmanager
    def page(self) -> Iterator[Page]:
        """A page of a fresh profile, closed afterwards."""
        context = self.context()
        try:
            yield context.new_page()
        finally:
            context.close()

    def memory(self) -> int:
        """Bytes that the heaviest page's process has for itself (its unique set)."""
        weights = [0]
        for process in self._processes("renderer"):
            with suppress(psutil.Error):
                weights.append(process.memory_full_info().uss)
        return max(weights)

    def busy(self) -> dict[int, tuple[float, float]]:
        """Processor seconds so far by process: of its main thread if it is a page's, and of all threads."""
        seconds: dict[int, tuple[float, float]] = {}
        pages = {process.pid for process in self._processes("renderer")}
        for process in self._processes():
            with suppress(psutil.Error):
                threads = {thread.id: thread.user_time + thread.system_time for thread in process.threads()}
                main = threads.get(process.pid, 0.0) if process.pid in pages else 0.0
                seconds[process.pid] = (main, sum(threads.values()))
        return seconds

    def _processes(self, kind: str | None = None) -> list[psutil.Process]:
        found = []
        for process in self._session.send("SystemInfo.getProcessInfo")["processInfo"]:
            if kind in (None, process["type"]):
                with suppress(psutil.Error):
                    found.append(psutil.Process(process["id"]))
        return found


def find_chromium() -> str:
    """Path of Chromium, named by the variable CHROMIUM or found on the path."""
    names = ("chromium", "chromium-browser", "google-chrome")
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if path is None:
        raise FileNotFoundError("no Chromium: run tests/install_chromium.sh, or name one in CHROMIUM")
    return path


@contextmanager
def chromium() -> Iterator[Chromium]:
    """Start Chromium."""
    path = find_chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_ARGS)
        try:
            yield Chromium(browser)
        finally:
            browser.close()


def open_empty(page: Page, url: str) -> float:
    """Open TensorBoard at the tab with nothing in the tab's iframe.

    Returns:
        Seconds from the navigation until the empty iframe is there: TensorBoard's own start.
    """
    page.route(
        "**/data/plugin_entry.html*", lambda route: route.fulfill(body=EMPTY_PAGE, content_type="text/html")
    )
    page.goto(f"{url}#conceptmon", wait_until="commit")
    frame = _iframe(page)
    frame.wait_for_load_state("load")
    frame.wait_for_function("window.conceptmonMarks")
    return (_marks(frame)["origin"] - page.evaluate("performance.timeOrigin")) / 1000


def open_tab(page: Page, url: str, **state: str) -> tuple[Frame, Opening]:
    """Open TensorBoard at the tab and wait until the tab is usable.

    Returns:
        The tab's frame, and how long it took.
    """
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    hash_ = "".join(f"&p.conceptmon.{name}={value}" for name, value in state.items())
    page.goto(f"{url}#conceptmon{hash_}", wait_until="commit")
    frame = _iframe(page)
    try:
        frame.wait_for_function("window.conceptmonMarks && window.conceptmonMarks.usable > 0", polling=50)
    except PlaywrightTimeout as error:
        raise RuntimeError(f"the tab did not become usable; its errors: {errors}") from error
    marks, origin = _marks(frame), page.evaluate("performance.timeOrigin")
    return frame, Opening((marks["origin"] - origin) / 1000, (marks["usable"] - origin) / 1000)


def wait_until_loaded(page: Page, frame: Frame, seconds: float = 120) -> float | None:
    """Wait until the tab holds all frames of the shown layers.

    Returns:
        Seconds since the navigation; None if the tab keeps less than all of them.
    """
    deadline = time.monotonic() + seconds
    before, quiet = -1, 0
    while time.monotonic() < deadline and quiet < QUIET_LOOKS:
        page.wait_for_timeout(500)
        marks = _marks(frame)
        if marks["loaded"]:
            return (marks["loaded"] - page.evaluate("performance.timeOrigin")) / 1000
        fetched = frame.evaluate(FRAMES_FETCHED)
        quiet = quiet + 1 if fetched == before else 0
        before = fetched
    return None  # nothing more is asked for, and not all is there


def scrub(chromium: Chromium, page: Page, target: Frame | Page, script: str, frames: int) -> Scrub:
    """Sweep over all steps, one place further in every frame, and weigh the page meanwhile."""
    page.bring_to_front()
    before = chromium.busy()
    keep = "(result) => { window.swept = result; }"
    target.evaluate(f"(count) => {{ window.swept = null; ({script})(count).then({keep}); }}", frames)
    memory = chromium.memory()
    while not target.evaluate("window.swept !== null"):
        page.wait_for_timeout(250)
        memory = max(memory, chromium.memory())
    result: Mapping[str, Any] = target.evaluate("window.swept")
    spent = [_less(after, before.get(pid, (0.0, 0.0))) for pid, after in chromium.busy().items()]
    busy = max(main for main, _ in spent), sum(whole for _, whole in spent)
    return Scrub(result["deltas"], result["drawn"], result["drawMs"], memory, busy)


def open_bare(page: Page, url: str, run: str, layer: str, where: Mapping[str, Any]) -> None:
    """Open the bare renderer on the same data; `where` is the tab's frame as `capture` gives it."""
    page.route(f"**/{BARE}.html", lambda route: route.fulfill(body=BARE_PAGE, content_type="text/html"))
    page.route(f"**/{BARE}.js", _serve_bare)
    page.goto(f"{url}{BARE}.html")
    page.wait_for_function("document.documentElement.dataset.ready === 'true'")
    page.evaluate("([run, layer, where]) => window.prepare(run, layer, where)", [run, layer, dict(where)])


def capture(frame: Frame) -> dict[str, Any]:
    """Where and how the tab draws its map: width, height, scale and the like."""
    where: dict[str, Any] = frame.evaluate((HERE / "capture.js").read_text(encoding="utf-8"))
    return where


TAB_SCRUB = (HERE / "scrub.js").read_text(encoding="utf-8")
BARE_SCRUB = "window.scrub"


def _less(after: tuple[float, float], before: tuple[float, float]) -> tuple[float, float]:
    return after[0] - before[0], after[1] - before[1]


def _serve_bare(route: Route) -> None:
    route.fulfill(path=HERE / "bare.js", content_type="text/javascript")


def _iframe(page: Page) -> Frame:
    element = page.wait_for_selector("iframe", state="attached")
    frame = element.content_frame() if element else None
    if frame is None:
        raise RuntimeError("TensorBoard's page shows no tab")
    return frame


def _marks(frame: Frame) -> dict[str, float]:
    marks: dict[str, float] = frame.evaluate(
        "(({origin, ready, usable, loaded}) => ({origin, ready, usable, loaded}))(window.conceptmonMarks)"
    )
    return marks
