"""The time line: played, looped, ranged, measured by any scalar, with its events marked."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page
from tensorboard.compat.proto import summary_pb2

from conceptmon_tb.snapshot import ConceptSnapshot
from tests.browser.charts import lines, read
from tests.browser.conftest import SMALL
from tests.browser.tab import Tab
from tests.servers import TensorBoardServer
from tests.synthetic import SyntheticRun, make_snapshots, make_space, write_run

OpenTab = Callable[..., Tab]
DIES_AT, FALLS_AT, RATE_AT, EPOCHS = 15, 8, 4, 20
LONG = 10_000


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TensorBoardServer]:
    """Runs in which something is planted: events, a slower twin, and a long scalar with gaps."""
    logdir = tmp_path_factory.mktemp("planted")
    space = make_space()
    with SyntheticRun(logdir / "eventful", EPOCHS, SMALL, snapshots=_eventful(), space=space) as run:
        for epoch in range(EPOCHS):
            _add_scalar(run, "lr", 0.1 if epoch < RATE_AT else 0.01)
            run.write_epoch()
    write_run(logdir / "fast", 20, SMALL)
    write_run(logdir / "slow", 40, SMALL)
    with SyntheticRun(logdir / "long", 6, SMALL) as run:
        for epoch in range(6):
            run.step = epoch * (LONG // 6)
            run.write_epoch()
            for batch in range(LONG // 6):
                run.step = epoch * (LONG // 6) + batch
                gap = epoch in {2, 3} and 300 < batch < 1200
                _add_scalar(run, "batch/loss", math.nan if gap else 3 / (1 + run.step / 500) + batch % 7 / 10)
    with TensorBoardServer(logdir, f"--samples_per_plugin=scalars={LONG}") as server:
        server.wait_for(lambda: len(server.runs()) == 4)
        server.wait_for(lambda: len(server.runs()["slow"]["layers"]["layer4"]["steps"]) == 40)
        yield server


@pytest.fixture
def open_planted(page: Page, planted: TensorBoardServer) -> OpenTab:
    return lambda **state: Tab.open(page, planted.url, **{"layer": "layer4", **state})


def _eventful() -> Iterator[dict[str, ConceptSnapshot]]:
    """Snapshots whose anchor distance rises from one epoch on, a third of whose neurons die at another."""
    for epoch, snapshots in enumerate(make_snapshots(EPOCHS, SMALL, space=make_space())):
        yield {
            name: dataclasses.replace(
                snapshot,
                anchor_distance=1.0 + 0.05 * min(5, max(0, epoch - FALLS_AT)),
                num_dead=2 if epoch < DIES_AT else 18,
            )
            for name, snapshot in snapshots.items()
        }


def _add_scalar(run: SyntheticRun, tag: str, value: float) -> None:
    run.add_summary(summary_pb2.Summary(value=[summary_pb2.Summary.Value(tag=tag, simple_value=value)]))


def test_playing_stops_at_the_end_and_with_loop_starts_again(open_tab: OpenTab) -> None:
    tab = open_tab(step=17, speed=8)
    loop = tab.frame.locator("button[aria-label^=Loop]")

    tab.press(" ")
    tab.until(
        lambda: tab.step == "19" and tab.frame.locator("button[aria-label=Play]").count() == 1, "the end"
    )
    tab.press("l")
    tab.until(lambda: loop.get_attribute("aria-pressed") == "true", "the key l switches the loop on")
    tab.press(" ")
    tab.until(lambda: 0 < int(tab.step) < 17, "it starts again")
    tab.until(lambda: int(tab.step) > 16, "up to the end")
    tab.until(lambda: int(tab.step) < 16, "and again")

    assert tab.frame.locator("button[aria-label=Pause]").count() == 1


def test_a_key_sets_a_speed_that_no_button_has_and_it_is_shown(open_tab: OpenTab) -> None:
    tab = open_tab()
    pressed = tab.frame.locator(".speed [aria-pressed=true]")
    assert pressed.all_inner_texts() == ["1×"]

    tab.press("6")
    tab.until(lambda: pressed.all_inner_texts() == ["3×"], "three times")
    tab.frame.click(".speed button:has-text('2×')")

    assert tab.frame.locator(".speed button").all_inner_texts() == ["0.5×", "1×", "2×", "4×"]
    assert pressed.all_inner_texts() == ["2×"]


def test_the_range_is_set_by_keys_kept_in_the_address_and_cleared(open_tab: OpenTab) -> None:
    tab = open_tab(step=10)
    start, end = (tab.frame.get_by_role("slider", name=name) for name in ("Range start", "Range end"))

    start.focus()
    for _ in range(3):
        tab.press("ArrowRight")
    end.focus()
    tab.press("PageUp")
    tab.until(lambda: end.get_attribute("aria-valuetext") == "step 9", "ten steps back")
    assert (start.get_attribute("aria-valuetext"), tab.step) == ("step 3", "10")
    tab.until(lambda: "range=%5B3%2C9%5D" in tab.page.url or "range=[3,9]" in tab.page.url, "in the address")
    tab.frame.locator(".play").focus()
    tab.press("Home")
    tab.until(lambda: tab.step == "3", "Home leads to the start of the range")

    tab.frame.click(".range-clear")
    assert end.get_attribute("aria-valuetext") == "step 19"


def test_shift_dragging_sets_a_range_and_playing_stays_in_it(open_tab: OpenTab) -> None:
    tab = open_tab(speed=8, loop=1)
    box = tab.frame.locator(".scrub").bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2

    tab.page.keyboard.down("Shift")
    tab.page.mouse.move(box["x"] + box["width"] * 5.1 / 19, middle)
    tab.page.mouse.down()
    tab.page.mouse.move(box["x"] + box["width"] * 8.9 / 19, middle, steps=4)
    tab.page.mouse.up()
    tab.page.keyboard.up("Shift")
    assert tab.text(".range-clear").startswith("5–9")
    assert tab.step == "19"

    tab.press(" ")
    seen = set()
    for _ in range(40):
        tab.page.wait_for_timeout(40)
        seen.add(int(tab.step))
    assert {6, 7, 8} <= seen
    assert seen <= set(range(5, 10)) | {19}
    tab.press(" ")
    tab.frame.locator(".range-handle.from").dblclick()
    assert tab.frame.locator(".range-clear").count() == 0


def test_any_scalar_is_found_by_search_and_measures_the_time_line(open_tab: OpenTab) -> None:
    tab = open_tab(step=5)
    before = lines(tab, "anchor distance")
    knob = tab.frame.locator(".knob").get_attribute("style")

    tab.frame.click("#axis-picker > button")
    tab.page.keyboard.type("accur")
    tab.press("Enter")
    tab.until(lambda: "0." in tab.text("#axis-picker > button b"), "its value now")
    tab.until(lambda: lines(tab, "anchor distance") != before, "charts are laid out anew")

    assert tab.step == "5"
    assert tab.frame.locator(".knob").get_attribute("style") != knob
    slider = tab.frame.locator(".scrub input").get_attribute("aria-valuetext")
    assert slider is not None
    assert re.fullmatch(r"accuracy/val 0\.\d+, step 5", slider)
    assert tab.text(".axis .axis-name") == "accuracy/val"
    tab.until(lambda: "axis=scalar" in tab.page.url, "the address follows")


def test_two_runs_are_compared_where_their_accuracy_is_equal(open_planted: OpenTab) -> None:
    tab = open_planted(run="fast", compare="slow", step=8, axis="scalar:accuracy/val", charts='["accuracy"]')
    other = tab.frame.locator(".chart-legend li:nth-child(2)")

    tab.until(lambda: "step 1" in other.inner_text(), "the slow run is as far at a later step")
    values = [float(value) for value in re.findall(r"0\.\d+", read(tab, "accuracy"))]

    assert 14 <= int(other.inner_text().split()[-1]) <= 18
    assert len(values) == 2
    assert abs(values[0] - values[1]) < 0.06
    tab.frame.click("#axis-picker > button")
    tab.page.keyboard.type("step")
    tab.press("Enter")
    tab.until(lambda: other.inner_text().endswith("step 8"), "by steps they go together")


def test_every_step_of_a_plateau_is_reached_by_keys(open_tab: OpenTab) -> None:
    tab = open_tab(run="poor", axis="scalar:accuracy/val")
    tab.until(lambda: "accuracy" in tab.text("#axis-picker > button") and tab.step == "19", "the last step")

    seen = []
    for _ in range(4):
        before = tab.step
        tab.press("ArrowLeft")
        tab.until(lambda before=before: tab.step == str(int(before) - 1), "one step back")
        tab.page.wait_for_timeout(300)
        seen.append(tab.step)

    assert seen == ["18", "17", "16", "15"]


@pytest.mark.parametrize(("axis", "unit"), [("time", "min"), ("epoch", "19")])
def test_time_is_measured_by_the_clock_or_by_epochs(open_tab: OpenTab, axis: str, unit: str) -> None:
    tab = open_tab(axis=axis)

    tab.until(lambda: unit in tab.text("#axis-picker > button"), "in its unit")


def test_planted_events_are_marked_explained_and_led_to(open_planted: OpenTab) -> None:
    tab = open_planted(run="eventful")
    marks = tab.frame.locator(".event-mark")
    tab.until(
        lambda: tab.frame.locator(".event-mark[data-kind=rate]").count() == 1, "the learning rate has come"
    )
    names = {mark.get_attribute("data-kind"): mark.get_attribute("aria-label") for mark in marks.all()}

    falling, dead, rate = (names.get(kind) or "" for kind in ("falling", "dead", "rate"))
    assert falling.startswith(f"Step {FALLS_AT}: Diversity falls: the anchor distance rises from 1")
    assert f"Step {DIES_AT}: Neurons without signal rise from 2 to 18 of 48" in dead
    assert f"Step {RATE_AT}: Learning rate 0.100 → 0.010" in rate

    tab.frame.locator(".event-mark[data-kind=falling]").focus()
    assert "at least 2%" in tab.text(".event-tip")
    tab.press("Enter")
    tab.until(lambda: tab.step == str(FALLS_AT), "the mark leads to its step")


def test_a_run_that_learns_is_marked_and_a_poor_one_is_not(open_tab: OpenTab) -> None:
    tab = open_tab(layer="layer4")
    tab.until(lambda: tab.frame.locator(".event-mark[data-kind=reached]").count() >= 1, "shares reached")
    assert tab.frame.locator(".event-mark:not([data-kind=reached])").count() == 0

    tab.frame.click(".runs summary")
    tab.frame.click(".menu-main[title=poor]")

    tab.until(lambda: tab.frame.locator(".event-mark").count() == 0, "nothing happens in the poor run")


def test_steps_that_have_not_arrived_are_lighter_on_the_track(page: Page, open_tab: OpenTab) -> None:
    asked: list[str] = []
    page.route(
        lambda url: "/layer?" in url and "part=frames" in url,
        lambda route: (asked.append(route.request.url), route.continue_() if len(asked) == 1 else None),
    )
    tab = open_tab(layer="layer4")

    tab.until(lambda: len(asked) > 1, "the step shown has come, the others are on their way")
    loaded = tab.frame.locator(".track-loaded")
    assert loaded.count() == 1
    box, track = loaded.bounding_box(), tab.frame.locator(".track").bounding_box()
    assert box is not None
    assert track is not None
    assert box["width"] < 0.05 * track["width"]
    assert abs(box["x"] - track["x"] - track["width"]) < 3


def test_a_long_series_keeps_its_gaps_and_stays_fast(open_planted: OpenTab) -> None:
    tab = open_planted(run="long", charts='["batch/loss"]')
    tab.until(lambda: lines(tab, "batch/loss") != [], "the curve")
    (path,) = lines(tab, "batch/loss")

    assert path.count("M") == 3
    assert len(path) < 20_000
    milliseconds = tab.frame.evaluate(
        """async () => {
            const input = document.querySelector('.scrub input');
            const times = Array.from({length: 50}, (_, i) => {
                const start = performance.now();
                input.value = String(i / 10);
                input.dispatchEvent(new Event('input', {bubbles: true}));
                return performance.now() - start;
            });
            return times.sort((a, b) => a - b)[25];
        }"""
    )
    assert milliseconds < 30
