"""One Chromium and one TensorBoard with synthetic runs for all browser tests."""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.tab import Tab
from tests.servers import TensorBoardServer
from tests.synthetic import SyntheticRun, make_space, write_run

HOSTILE = "<img src=x onerror=window.top.hacked=1>"
IRREGULAR_STEPS = (-1, 0, 5, 10, 40)
CHROMIUM_ARGS = [
    "--no-sandbox",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-gpu-rasterization",
]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = os.environ.get("CHROMIUM") or next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )
    if path is None:
        pytest.fail("no Chromium: run tests/install_chromium.sh, or name one in the variable CHROMIUM")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=CHROMIUM_ARGS)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    yield context.new_page()
    context.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TensorBoardServer]:
    logdir = tmp_path_factory.mktemp("runs")
    write_run(logdir / "healthy", epochs=20)
    write_run(logdir / "poor", epochs=20, poor=True, seed=1)
    _write_irregular(logdir / "irregular")
    _write_hostile(logdir / HOSTILE)
    with TensorBoardServer(logdir) as tensorboard:
        tensorboard.wait_for(lambda: len(tensorboard.runs()) == 4)
        tensorboard.wait_for(
            lambda: len(tensorboard.runs()["healthy"]["layers"].get("layer4", {}).get("steps", [])) == 20
        )
        yield tensorboard


@pytest.fixture
def open_tab(page: Page, server: TensorBoardServer) -> Callable[..., Tab]:
    def open_(**state: object) -> Tab:
        return Tab.open(page, server.url, **{"run": "healthy", **state})

    return open_


def _write_irregular(logdir: Path) -> None:
    with SyntheticRun(logdir, len(IRREGULAR_STEPS), first_step=IRREGULAR_STEPS[0]) as run:
        for step in IRREGULAR_STEPS:
            run.step = step
            run.write_epoch()


def _write_hostile(logdir: Path) -> None:
    space = make_space(note=HOSTILE)
    words = tuple(f"{HOSTILE}{i}" for i in range(len(space.words)))
    hostile = dataclasses.replace(space, words=words, anchors=(HOSTILE, *space.anchors[1:]))
    write_run(logdir, epochs=6, space=hostile)
