"""Alerts in the tab: marks on the time line, the list with its numbers, and the way to step and layer."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

import conceptmon_tb as cm
from tests.browser.conftest import HOSTILE, SMALL
from tests.browser.tab import Tab
from tests.servers import TensorBoardServer
from tests.synthetic import make_snapshots, write_run

OpenTab = Callable[..., Tab]
DEAD = (0, 0, 0, 4, 4, 4, 4, 0, 0, 0, 20, 20)


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TensorBoardServer]:
    """A run in which neurons die twice, a quiet one, one with a hostile layer, one without alerts."""
    logdir = tmp_path_factory.mktemp("watched")
    _write(logdir / "dying", {name: name for name in SMALL}, DEAD)
    _write(logdir / "hostile", {"layer3": "layer3", "layer4": HOSTILE}, DEAD)
    _write(logdir / "quiet", {name: name for name in SMALL}, (0,) * len(DEAD))
    write_run(logdir / "unwatched", len(DEAD), SMALL)
    with TensorBoardServer(logdir) as server:
        server.wait_for(lambda: len(server.runs()) == 4)
        server.wait_for(lambda: len(server.json("alerts", run="dying")["checked"]) == len(DEAD))
        yield server


def _write(logdir: Any, layers: dict[str, str], dead: tuple[int, ...]) -> None:
    with warnings.catch_warnings(), cm.ConceptWriter(logdir) as writer:
        warnings.simplefilter("ignore", cm.ConceptAlert)
        for epoch, snapshots in enumerate(make_snapshots(len(dead), SMALL)):
            layer4 = dataclasses.replace(snapshots["layer4"], num_dead=dead[epoch])
            now = {layers["layer3"]: snapshots["layer3"], layers["layer4"]: layer4}
            cm.add_concepts(writer, {n: dataclasses.replace(s, layer=n) for n, s in now.items()}, epoch)


@pytest.fixture
def open_watched(page: Page, watched: TensorBoardServer) -> OpenTab:
    return lambda **state: Tab.open(page, watched.url, **{"run": "dying", "layer": "layer4", **state})


def test_alerts_are_marked_listed_and_led_to(open_watched: OpenTab) -> None:
    tab = open_watched(layer="layer3")
    marks = tab.frame.locator(".event-mark[data-kind=alert], .event-mark[data-kind=critical]")
    tab.until(lambda: marks.count() == 2, "the marks have come")

    names = [mark.get_attribute("aria-label") or "" for mark in marks.all()]
    assert names[0].startswith("Step 4: layer4: Neurons without signal (dead or constant) rose from 0")
    assert names[1].startswith("Step 11: layer4: Neurons without signal (dead or constant) rose from 0")
    assert tab.frame.locator(".event-mark[data-kind=dead]").count() == 0  # not judged twice

    rows = tab.frame.locator(".alert-row")
    assert tab.text(".alerts header").split("\n")[-2:] == ["2", "1 of 2 hold"]
    assert [row.get_attribute("data-severity") for row in rows.all()] == ["critical", "warning"]
    assert "step 4, over at 8" in rows.nth(1).inner_text()
    rows.nth(1).locator("summary").focus()
    tab.press("Enter")
    assert "4 at 3, 4 at 4" in rows.nth(1).locator("dl").inner_text()

    rows.nth(1).locator("button").focus()
    tab.press("Enter")
    tab.until(lambda: tab.step == "4", "the alert's step")
    tab.until(lambda: tab.frame.locator("#map[data-layer=layer4]").count() == 1, "the alert's layer")
    assert tab.errors == []


def test_the_list_folds_away_and_a_quiet_run_says_that_there_are_none(open_watched: OpenTab) -> None:
    tab = open_watched()
    tab.until(lambda: tab.frame.locator(".alert-row").count() == 2, "the list")
    tab.frame.click(".alerts .fold")
    assert tab.frame.locator(".alert-row").count() == 0
    assert tab.frame.locator(".alerts .fold").get_attribute("aria-expanded") == "false"

    quiet = open_watched(run="quiet")
    quiet.until(lambda: "none at 12 logged steps" in quiet.text("#alerts"), "none are told")
    assert quiet.frame.locator(".event-mark[data-kind=alert]").count() == 0


def test_a_run_without_alerts_is_judged_by_the_tab_as_before(open_watched: OpenTab) -> None:
    tab = open_watched(run="unwatched")
    tab.until(lambda: tab.frame.locator(".event-mark[data-kind=reached]").count() >= 1, "marks of its own")
    assert tab.frame.locator("#alerts").is_hidden()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious_in_marks_and_list(open_watched: OpenTab, theme: str) -> None:
    tab = open_watched()
    if theme == "dark":
        tab.page.evaluate("document.body.classList.add('dark-mode')")
    tab.until(lambda: tab.frame.locator(".alert-row").count() == 2, "the list")
    tab.frame.locator(".alert-evidence summary").first.click()
    tab.frame.locator(".event-mark[data-kind=critical]").focus()

    found = Axe().run(tab.frame, "#column, #timeline").response["violations"]
    assert [one["id"] for one in found if one["impact"] in {"serious", "critical"}] == []


def test_texts_of_the_log_stay_texts_in_the_dark(open_watched: OpenTab) -> None:
    tab = open_watched(run="hostile", layer="layer3")
    tab.page.evaluate("document.body.classList.add('dark-mode')")
    tab.until(lambda: HOSTILE in tab.text(".alert-row"), "the layer's name as it is")
    assert tab.page.evaluate("window.hacked") is None
    contrast = tab.frame.evaluate(
        """() => ['.alert-message', '.alert-row .mute', '.alert-evidence summary'].map((selector) => {
            const light = (text) => {
                const parts = text.match(/[0-9.]+/g).slice(0, 3).map((part) => part / 255);
                const linear = parts.map((c) => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
                return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
            };
            const list = getComputedStyle(document.querySelector('.alert-list')).backgroundColor;
            const [a, b] = [light(getComputedStyle(document.querySelector(selector)).color), light(list)];
            return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        })"""
    )
    assert min(contrast) >= 4.5
