"""What the tab says when data are missing, left out, old, late, unreachable, or hidden by the reader."""

from __future__ import annotations

import dataclasses
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route
from tensorboard.compat.proto import summary_pb2

from conceptmon_tb.payloads import pack_neurons
from conceptmon_tb.summary import concept_summary
from tests.browser.tab import Tab
from tests.servers import TensorBoardServer
from tests.synthetic import SECONDS_PER_EPOCH, SyntheticRun, make_snapshots, make_space, write_run

SMALL = {"layer3": 24, "layer4": 48}
KEPT, LOGGED = 4, 7
OpenStates = Callable[..., Tab]


def write_states(logdir: Path) -> None:
    """Write one run for each state, all of them small."""
    write_run(logdir / "healthy", epochs=4, layers=SMALL)
    now = time.time()
    write_run(logdir / "stopped", epochs=4, layers=SMALL, start_time=now - 1500 - 3 * SECONDS_PER_EPOCH)
    write_run(logdir / "running", epochs=4, layers=SMALL, start_time=now - 3 * SECONDS_PER_EPOCH)
    write_run(logdir / "long", epochs=LOGGED, layers=SMALL)
    space = make_space(seed=5)
    other = dataclasses.replace(
        space, words=(*space.words[:-12], *(f"own {i}" for i in range(12))), encoder="another"
    )
    write_run(logdir / "stranger", epochs=4, layers=SMALL, space=other)
    _write_newer(logdir / "newer")
    with SyntheticRun(logdir / "scalars only", epochs=1, with_space=False) as run:
        value = summary_pb2.Summary.Value(tag="loss", simple_value=1.0)
        run.add_summary(summary_pb2.Summary(value=[value]))


def _write_newer(logdir: Path) -> None:
    """Write four epochs, the last of layer4 as a newer version of the package would."""
    with SyntheticRun(logdir, epochs=4, layers=SMALL) as run:
        for _ in range(3):
            run.write_epoch()
        snapshots = next(make_snapshots(1, SMALL, space=run.space))
        summary = concept_summary(snapshots, run.step)
        (value,) = (value for value in summary.value if value.tag == "concepts/layer4/neurons")
        payload = bytearray(pack_neurons(snapshots["layer4"], run.step))
        payload[4] = 9
        value.tensor.tensor_content = bytes(payload)
        run.add_summary(summary)


@pytest.fixture(scope="module")
def states_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TensorBoardServer]:
    logdir = tmp_path_factory.mktemp("states")
    write_states(logdir)
    with TensorBoardServer(logdir, f"--samples_per_plugin=conceptmon={KEPT}", "--load_fast=false") as server:
        server.wait_for(lambda: len(server.runs()) == 6)
        server.wait_for(lambda: server.runs()["stranger"]["layers"])
        yield server


@pytest.fixture
def open_states(page: Page, states_server: TensorBoardServer) -> OpenStates:
    def open_(**state: object) -> Tab:
        return Tab.open(page, states_server.url, **{"run": "healthy", "layer": "layer4", **state})

    return open_


def notice(tab: Tab, name: str) -> str:
    """Text of a notice over the first map, with all its details."""
    shown = tab.frame.locator(f"#caption [data-notice={name}]")
    tab.until(lambda: shown.count() == 1, f"the notice {name}")
    return shown.text_content() or ""


def test_an_old_run_tells_its_age_quietly_and_a_running_one_nothing(open_states: OpenStates) -> None:
    tab = open_states(run="healthy")
    assert tab.text("#caption .caption-age") == "last step on 2023-11-14"
    assert tab.frame.locator("#caption .notice.warn").count() == 0

    tab.frame.click(".runs summary")
    tab.frame.click(".menu-main[title=running]")
    tab.until(lambda: tab.text(".run-name") == "running", "the running one")

    tab.until(lambda: tab.frame.locator("#caption .caption-age").count() == 0, "no age")
    assert tab.frame.locator("#caption .notice.warn").count() == 0


def test_a_training_that_stopped_is_told_with_its_usual_pace(open_states: OpenStates) -> None:
    tab = open_states(run="stopped")

    text = notice(tab, "stale")

    # The runs were written when the tests of this file began.
    assert re.match(r"\s*Training seems to have stopped (2[5-9]|3\d) minutes ago", text)
    title = tab.frame.get_attribute("#caption [data-notice=stale]", "title")
    assert "usually one came every 30 s" in (title or "")


def test_sampled_steps_are_told_with_how_to_keep_all(open_states: OpenStates) -> None:
    tab = open_states(run="long")

    text = notice(tab, "sampled")

    assert f"kept {KEPT} of {LOGGED}" in text
    assert "--samples_per_plugin conceptmon=0" in text


def test_records_of_a_newer_version_ask_for_an_update(open_states: OpenStates) -> None:
    tab = open_states(run="newer")

    text = notice(tab, "newer")

    assert text.strip().startswith("1 record written by a newer version")
    assert "Update conceptmon-tb" in text
    assert tab.frame.locator(".scrub input").get_attribute("max") == "2"


def test_runs_without_concepts_are_listed_greyed_with_the_reason(open_states: OpenStates) -> None:
    tab = open_states()

    tab.frame.click(".runs summary")
    row = tab.frame.locator(".run-menu .menu-row", has=tab.frame.locator("[title='scalars only']"))
    row.wait_for(state="visible")

    assert "logged no concepts" in row.inner_text()
    assert row.locator(".menu-main").is_disabled()
    assert row.locator(".menu-side").count() == 0


def test_nothing_above_the_threshold_offers_the_way_back(open_states: OpenStates) -> None:
    tab = open_states(threshold=5)

    assert "Nothing is interpretable above your threshold" in notice(tab, "threshold")
    tab.frame.click("#caption [data-notice=threshold] button")

    tab.until(lambda: tab.frame.locator("[data-notice=threshold]").count() == 0, "it is gone")
    assert not tab.text("#caption .epoch-summary").startswith("0 of")


def test_filters_that_hide_everything_can_be_cleared(open_states: OpenStates) -> None:
    tab = open_states(concept="no such word")

    assert "filters hide every neuron" in notice(tab, "filtered")
    tab.frame.click("#caption [data-notice=filtered] button")

    tab.until(lambda: tab.frame.locator("[data-notice=filtered]").count() == 0, "it is gone")
    assert tab.frame.locator(".chip").count() == 0


def test_an_unreachable_tensorboard_leaves_what_was_shown_and_tells_since_when(
    page: Page, open_states: OpenStates
) -> None:
    tab = open_states()
    summary = tab.text("#caption .epoch-summary")

    page.route("**/data/plugin/conceptmon/runs*", lambda route: route.abort())
    tab.until(lambda: tab.frame.locator("[data-notice=problem]").count() == 1, "the notice", 20)
    assert "has not answered since" in notice(tab, "problem")
    assert tab.text("#caption .epoch-summary") == summary
    page.unroute("**/data/plugin/conceptmon/runs*")

    tab.until(lambda: tab.frame.locator("[data-notice=problem]").count() == 0, "it answers again", 40)


def test_a_failing_route_is_told_in_its_own_words(page: Page, states_server: TensorBoardServer) -> None:
    def fail(route: Route) -> None:
        route.fulfill(status=400, content_type="application/json", body='{"error": "the layer is on fire"}')

    page.route("**/data/plugin/conceptmon/layer?*", fail)
    tab = Tab.open(page, states_server.url, ready="#caption h2", run="healthy")

    assert "the layer is on fire" in notice(tab, "problem")


def test_a_skeleton_and_a_bar_tell_that_steps_are_loading(
    page: Page, states_server: TensorBoardServer
) -> None:
    held: list[Route] = []
    free = threading.Event()
    page.route(
        "**/data/plugin/conceptmon/layer?*",
        lambda route: route.continue_() if free.is_set() else held.append(route),
    )
    tab = Tab.open(page, states_server.url, ready=".skeleton", run="healthy", layer="layer4")
    page.wait_for_timeout(300)

    held.pop(0).continue_()
    tab.frame.wait_for_selector("[role=progressbar]")
    assert tab.text(".progress-text") == "1 of 4 steps loaded"
    assert tab.frame.locator(".skeleton").count() == 0
    free.set()
    for route in held:
        route.continue_()

    tab.frame.wait_for_selector("html[data-loaded=true]")
    tab.frame.wait_for_selector("[role=progressbar]", state="detached")


def test_different_concept_spaces_are_not_overlaid_and_what_differs_is_said(open_states: OpenStates) -> None:
    tab = open_states(compare="stranger", layout="overlay", panel="compare")

    assert "Different concept spaces" in notice(tab, "spaces")
    assert tab.frame.locator(".map-frame:not([hidden])").count() == 2
    told = tab.text("#panel-compare .space-notice")
    assert "words: 72 and 72, 60 shared" in told
    assert "encoder: synthetic and another" in told
    tab.frame.click("button[aria-label=Overlay]")
    tab.page.wait_for_timeout(300)
    assert tab.frame.locator(".map-frame:not([hidden])").count() == 2
    assert tab.frame.locator("button[aria-label='Side by side']").get_attribute("aria-checked") == "true"


def test_a_map_of_another_space_has_a_camera_of_its_own(open_states: OpenStates) -> None:
    tab = open_states(compare="stranger")
    tab.frame.wait_for_selector("#map-2 .stars path")

    def star(which: str) -> str | None:
        return tab.frame.locator(f"{which} .stars path").first.get_attribute("transform")

    before = star("#map"), star("#map-2")
    tab.frame.hover("#map-2 .overlay")
    tab.page.mouse.wheel(0, -400)
    tab.until(lambda: star("#map-2") != before[1], "the map under the pointer is zoomed")
    assert star("#map") == before[0]
    zoomed = star("#map-2")
    tab.frame.hover("#map .overlay")
    tab.page.mouse.wheel(0, -400)
    tab.until(lambda: star("#map") != before[0], "now the first one")
    assert star("#map-2") == zoomed
    tab.frame.click("button[aria-label='Fit the whole map']")

    tab.until(lambda: (star("#map"), star("#map-2")) == before, "both are whole again")


def test_one_space_is_overlaid(open_states: OpenStates) -> None:
    tab = open_states(compare="stopped", layout="overlay")

    tab.until(lambda: tab.frame.locator(".map-frame:not([hidden])").count() == 1, "one map")
    assert tab.frame.locator("[data-notice=spaces]").count() == 0


def test_a_run_without_images_says_so_once_a_card_is_open(open_tab: Callable[..., Tab]) -> None:
    tab = open_tab(run="bare", layer="layer4", neuron=3)

    assert "no probe images" in notice(tab, "images")
