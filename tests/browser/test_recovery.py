"""The tab when TensorBoard is killed and started again, and when the log under it goes and comes again."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Page

from tests.browser.tab import Tab
from tests.reliability.notes import Note
from tests.servers import TensorBoardServer
from tests.synthetic import SyntheticRun, write_run

SMALL = {"layer3": 12, "layer4": 24}
EPOCHS, STEP = 6, 2


@pytest.fixture(scope="module")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    logdir = tmp_path_factory.mktemp("recovery")
    for run in ("first", "shown"):
        write_run(logdir / run, epochs=EPOCHS, layers=SMALL)
    return logdir


@pytest.fixture(scope="module")
def killed(logdir: Path) -> Iterator[TensorBoardServer]:
    with TensorBoardServer(logdir, "--reload_interval=1") as server:
        server.wait_for(lambda: len(server.runs()) == 2 and server.runs()["shown"]["layers"])
        yield server


def where(tab: Tab) -> list[str]:
    """What the reader looks at."""
    layer = tab.frame.locator("select[aria-label=Layer]").input_value()
    return [tab.text(".run-name"), layer, tab.step]


def notices(tab: Tab, name: str) -> int:
    return tab.frame.locator(f"#caption [data-notice={name}]").count()


def test_the_tab_recovers_by_itself_when_tensorboard_is_killed_and_started_again(
    page: Page, killed: TensorBoardServer, reliability: Note
) -> None:
    tab = Tab.open(page, killed.url, run="shown", layer="layer3", step=STEP)
    tab.frame.wait_for_selector("html[data-loaded=true]")
    before = where(tab)
    assert before == ["shown", "layer3", str(STEP)]
    summary = tab.text("#caption .epoch-summary")

    killed.kill()
    tab.until(lambda: notices(tab, "problem") == 1, "the tab says so", 20)
    assert where(tab) == before

    # What the reader looks at is read last: TensorBoard lists the other run alone at first.
    hidden = (killed.logdir / "shown").rename(killed.logdir.with_name("hidden"))
    killed.start()
    tab.until(lambda: notices(tab, "problem") == 0, "it answers again", 30)
    tab.until(lambda: notices(tab, "gone") == 1, "the run is not there yet", 20)
    assert where(tab) == before
    hidden.rename(killed.logdir / "shown")
    tab.until(lambda: notices(tab, "gone") == 0, "the run is there again", 20)
    assert where(tab) == before
    assert tab.text("#caption .epoch-summary") == summary

    with SyntheticRun(killed.logdir / "shown", 1, SMALL, first_step=EPOCHS, seed=1) as run:
        run.write_epoch()
    tab.until(lambda: f"/ {EPOCHS}" in tab.text(".step-now"), "a new epoch is shown", 20)
    assert where(tab) == before
    assert not [text for text in tab.errors if "ERR_CONNECTION_REFUSED" not in text]
    reliability(area="faults", tried="TensorBoard killed and started again under an open tab", count=1)


def test_what_is_shown_stays_when_its_folder_is_removed(
    page: Page, killed: TensorBoardServer, reliability: Note
) -> None:
    tab = Tab.open(page, killed.url, run="shown", layer="layer4", step=STEP)
    tab.frame.wait_for_selector("html[data-loaded=true]")
    before = where(tab)

    for run in ("first", "shown"):
        shutil.rmtree(killed.logdir / run)
    tab.until(lambda: notices(tab, "gone") == 1, "the tab says so", 30)
    assert where(tab)[0::2] == before[0::2]
    tab.press("ArrowRight")
    tab.until(lambda: tab.step == str(STEP + 1), "what was read can be looked at")

    write_run(killed.logdir / "other", epochs=EPOCHS, layers=SMALL)
    tab.frame.click(".runs summary")
    tab.frame.click(".menu-main[title=other]", timeout=20_000)
    tab.until(lambda: tab.text(".run-name") == "other" and notices(tab, "gone") == 0, "the other one")
    assert tab.errors == []
    reliability(
        area="faults", tried="all folders removed under an open tab, and another one written", count=1
    )


def test_a_data_server_that_ended_is_told_and_what_is_shown_stays(
    page: Page, killed: TensorBoardServer, reliability: Note
) -> None:
    """TensorBoard goes on without the process that reads its files, and never starts it again."""
    write_run(killed.logdir / "last", epochs=EPOCHS, layers=SMALL)
    killed.wait_for(lambda: killed.runs().get("last", {}).get("layers"))
    tab = Tab.open(page, killed.url, run="last", layer="layer4", step=STEP)
    tab.frame.wait_for_selector("html[data-loaded=true]")
    before = where(tab)

    (data_server,) = psutil.Process(killed.pid).children()
    os.kill(data_server.pid, signal.SIGKILL)

    tab.until(lambda: notices(tab, "problem") == 1, "the tab says so", 20)
    assert "data server has ended" in tab.text("#caption [data-notice=problem]")
    assert where(tab) == before
    assert killed.fetch("runs")[0] == 503
    tried = (
        "its data server killed under an open tab, which it does not start again: 503, and the tab says why"
    )
    reliability(area="tensorboard", tried=tried, count=1)
