"""One Chromium and one TensorBoard with synthetic runs for all browser tests."""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, sync_playwright
from playwright.sync_api import Error as PlaywrightError
from tensorboard.compat.proto import event_pb2
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from conceptmon_tb.evolution_records import Evolutions, evolutions_summary
from conceptmon_tb.payloads import pack_neurons
from conceptmon_tb.snapshot import ConceptSnapshot
from conceptmon_tb.summary import concept_summary
from tests.browser.tab import Tab
from tests.servers import TensorBoardServer
from tests.synthetic import (
    LAYERS,
    SECONDS_PER_EPOCH,
    START_TIME,
    SyntheticRun,
    make_snapshots,
    make_space,
    write_run,
)

HOSTILE = "<img src=x onerror=window.top.hacked=1>"
IRREGULAR_STEPS = (-1, 0, 5, 10, 40)
SMALL = {"layer3": 24, "layer4": 48}
UNKNOWN = 6
EVOLUTION_STEPS = ((0, 5), (5, 19))
CLASSES = ("dog", "cat", "boat", *(f"class {i}" for i in range(90)))
SIZE: ViewportSize = {"width": 1440, "height": 900}
# Without any graphics processor the page is composed in main memory, far cheaper than by WebGL in software.
CHROMIUM_ARGS = ["--no-sandbox", "--disable-gpu", "--disable-software-rasterizer"]
WEBGL_ARGS = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]


def find_chromium() -> str:
    """Path of the browser; where there is none, the test fails and says how to get one."""
    path = os.environ.get("CHROMIUM") or next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )
    if path is None:
        pytest.fail("no Chromium: run tests/install_chromium.sh, or name one in the variable CHROMIUM")
    return path


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = find_chromium()
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=CHROMIUM_ARGS)
        yield chromium
        chromium.close()


class Window:
    """The page that all tests share, because opening TensorBoard takes longer than most tests.

    `Tab.open` loads the tab anew in it; what a test did to the page around is undone by `tidy`. A file may
    have a window of its own in the same browser: neither closes what is the other's.
    """

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._page: Page | None = None
        self._of_others: list[BrowserContext] = []

    @property
    def page(self) -> Page:
        """The page, opened when first asked for."""
        if self._page is None:
            self._of_others = self._browser.contexts
            self._page = self._browser.new_context(viewport=SIZE).new_page()
        return self._page

    def tidy(self) -> None:
        """Leave the page as a new one would be. Listeners stay: they tell tests that are over."""
        page, context = self.page, self.page.context
        for other in self._opened_since():
            if other != context:
                other.close()
        for other in context.pages:
            if other != page:
                other.close()
        page.unroute_all(behavior="ignoreErrors")
        context.clear_permissions()
        if page.viewport_size != SIZE:
            page.set_viewport_size(SIZE)
        page.mouse.move(0, 0)

    def close(self) -> None:
        """Close the page and what tests opened beside it; the next test gets a new one."""
        if self._page is not None:
            self._page = None
            for context in self._opened_since():
                context.close()

    def _opened_since(self) -> list[BrowserContext]:
        return [context for context in self._browser.contexts if context not in self._of_others]


@pytest.fixture(scope="session")
def window(browser: Browser) -> Iterator[Window]:
    window = Window(browser)
    yield window
    window.close()


@pytest.fixture
def page(window: Window, request: pytest.FixtureRequest) -> Iterator[Page]:
    failed = request.session.testsfailed
    yield window.page
    if request.session.testsfailed > failed:
        window.close()
        return
    try:
        window.tidy()
    except PlaywrightError:  # a page that has crashed or closed fails the test that had it, and no other
        window.close()
        raise


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TensorBoardServer]:
    logdir = tmp_path_factory.mktemp("runs")
    write_run(logdir / "healthy", epochs=20)
    write_run(logdir / "poor", epochs=20, poor=True, seed=1)
    _write_irregular(logdir / "irregular")
    _write_hostile(logdir / HOSTILE)
    _write_damaged(logdir / "damaged")
    for steps in EVOLUTION_STEPS:
        write_evolutions(logdir / "healthy", make_evolutions(steps))
    write_evolutions(logdir / HOSTILE, make_evolutions((1, 4), (HOSTILE, "constructor"), ("layer4", HOSTILE)))
    write_evolutions(logdir / "damaged", make_evolutions((0, 2)), damage=True)
    _write_bare(logdir / "bare", epochs=4)
    _write_bare(logdir / "single", epochs=1)
    _write_bare(logdir / "silent", epochs=3, change=_silence)
    _write_foreign(logdir / "foreign", epochs=3)
    with TensorBoardServer(logdir) as tensorboard:
        tensorboard.wait_for(lambda: len(tensorboard.runs()) == 9)
        tensorboard.wait_for(
            lambda: len(tensorboard.runs()["healthy"]["layers"].get("layer4", {}).get("steps", [])) == 20
        )
        yield tensorboard


@pytest.fixture
def open_tab(page: Page, server: TensorBoardServer) -> Callable[..., Tab]:
    def open_(**state: object) -> Tab:
        return Tab.open(page, server.url, **{"run": "healthy", **state})

    return open_


def make_evolutions(
    steps: tuple[int, int], classes: tuple[str, ...] = CLASSES, layers: tuple[str, ...] = ("layer3", "layer4")
) -> Evolutions:
    """Draw a table of important evolutions for layers as wide as the synthetic ones; some neurons tie."""
    rng = np.random.default_rng(steps[1])
    neurons = tuple(LAYERS.get(layer, 5) for layer in layers)
    images = np.arange(8, 8 + len(classes), dtype=np.int32)
    positive = rng.integers(0, images[:, None], (len(classes), sum(neurons)), endpoint=True).astype(np.int32)
    sensitivity = rng.normal(size=positive.shape).astype(np.float32)
    return Evolutions(*steps, classes, images, layers, neurons, positive, sensitivity)


def write_evolutions(logdir: Path, table: Evolutions, *, damage: bool = False) -> None:
    """Log a table beside a run's epochs, as a program of its own would; `damage` alters one byte."""
    summary = evolutions_summary(table)
    if damage:
        payload = bytearray(summary.value[0].tensor.string_val[0])
        payload[-1] ^= 1
        summary.value[0].tensor.string_val[0] = bytes(payload)
    file = EventFileWriter(str(logdir), filename_suffix=f".{table.from_step}")
    wall_time = START_TIME + 20 * SECONDS_PER_EPOCH
    file.add_event(event_pb2.Event(wall_time=wall_time, step=table.to_step, summary=summary))
    file.close()


def _write_irregular(logdir: Path) -> None:
    with SyntheticRun(logdir, len(IRREGULAR_STEPS), first_step=IRREGULAR_STEPS[0]) as run:
        for step in IRREGULAR_STEPS:
            run.step = step
            run.write_epoch()


def _write_damaged(logdir: Path) -> None:
    """Write four epochs, the second of layer4 with one byte altered."""
    with SyntheticRun(logdir, epochs=4, layers=SMALL) as run:
        run.write_epoch()
        snapshots = next(make_snapshots(1, SMALL, space=run.space))
        summary = concept_summary(snapshots, run.step)
        (value,) = (value for value in summary.value if value.tag == "concepts/layer4/neurons")
        payload = bytearray(pack_neurons(snapshots["layer4"], run.step))
        payload[-1] ^= 1
        value.tensor.tensor_content = bytes(payload)
        run.add_summary(summary)
        run.step += 1
        run.write_epoch()
        run.write_epoch()


def _write_bare(
    logdir: Path,
    epochs: int,
    change: Callable[[ConceptSnapshot], ConceptSnapshot] = lambda snapshot: snapshot,
) -> None:
    """Write concepts only: neither images nor scalars."""
    with SyntheticRun(logdir, epochs, SMALL) as run:
        for snapshots in make_snapshots(epochs, SMALL, space=run.space):
            changed = {name: change(snapshot) for name, snapshot in snapshots.items()}
            run.add_summary(concept_summary(changed, run.step))
            run.step += 1


def _silence(snapshot: ConceptSnapshot) -> ConceptSnapshot:
    """Make every neuron dead."""
    nobody = np.zeros_like(snapshot.valid)
    return dataclasses.replace(
        snapshot,
        valid=nobody,
        interpretable=nobody,
        embedding=np.zeros_like(snapshot.embedding),
        concept_ids=np.full_like(snapshot.concept_ids, -1),
        similarity=np.zeros_like(snapshot.similarity),
        position=np.full_like(snapshot.position, np.nan),
        top_images=np.full_like(snapshot.top_images, -1),
        displacement=np.full_like(snapshot.displacement, np.nan),
        category_counts=dict.fromkeys(snapshot.category_counts, 0),
        anchor_distance=float("nan"),
        anchor_distance_gated=float("nan"),
        mean_pairwise_distance=float("nan"),
        num_dead=len(nobody),
        num_constant=0,
        num_nonfinite=0,
    )


def _write_foreign(logdir: Path, epochs: int) -> None:
    """Write a run of whose first six neurons a semantic space knows no stimulus."""

    def forget(snapshot: ConceptSnapshot) -> ConceptSnapshot:
        silent = _silence(snapshot)
        unknown = np.arange(snapshot.num_neurons) < UNKNOWN
        fields = ("valid", "interpretable", "embedding", "concept_ids", "similarity", "position")
        changed = {name: getattr(snapshot, name).copy() for name in fields}
        for name, values in changed.items():
            values[unknown] = getattr(silent, name)[unknown]
        return dataclasses.replace(snapshot, **changed, unknown=unknown)

    moments = make_snapshots(epochs, SMALL)
    snapshots = ({name: forget(one) for name, one in moment.items()} for moment in moments)
    with SyntheticRun(logdir, epochs, SMALL, snapshots=snapshots) as run:
        for _ in range(epochs):
            run.write_epoch()


def _write_hostile(logdir: Path) -> None:
    space = make_space(note=HOSTILE)
    words = tuple(f"{HOSTILE}{i}" for i in range(len(space.words)))
    hostile = dataclasses.replace(space, words=words, anchors=(HOSTILE, *space.anchors[1:]))
    write_run(logdir, epochs=6, space=hostile)
