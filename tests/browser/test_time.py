"""The time line and the charts: played, looped, measured by any scalar, smoothed, counted."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Locator, Page
from tensorboard.compat.proto import summary_pb2

from conceptmon_tb.differential_entropy import map_spread
from conceptmon_tb.reader import read_run
from conceptmon_tb.snapshot import ConceptSnapshot
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


def chart(tab: Tab, name: str) -> Locator:
    """A chart of the column by its name."""
    return tab.frame.locator(f'.chart[data-chart="{name}"]')


def read(tab: Tab, name: str) -> str:
    """What a chart says to those who cannot see it."""
    return chart(tab, name).locator("svg.chart-plot").get_attribute("aria-label") or ""


def lines(tab: Tab, name: str, of: str = "path.line") -> list[str]:
    """The paths that a chart draws."""
    return chart(tab, name).locator(of).evaluate_all("(paths) => paths.map((path) => path.getAttribute('d'))")


def export(server: TensorBoardServer, layer: str, step: int, run: str = "healthy") -> list[dict[str, Any]]:
    """The table of a layer's neurons, from the server."""
    return server.json("export", run=run, layer=layer, step=step, format="json")["neurons"]


# ---- the time line ----


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


# ---- charts ----


def test_scalars_are_added_by_search_removed_and_kept_in_the_address(open_tab: OpenTab) -> None:
    tab = open_tab(layer="layer4")
    tab.until(lambda: chart(tab, "loss").count() == 1, "the loss is there at first")

    tab.frame.click("#scalar-picker > button")
    tab.page.keyboard.type("layer4 d_anchor")
    tab.press("Enter")
    name = "concepts/layer4/d_anchor"
    tab.until(lambda: lines(tab, name) != [], "a scalar of our own")
    tab.press("Escape")
    assert tab.frame.locator("#scalar-picker .menu").count() == 0
    assert tab.frame.evaluate("document.activeElement.closest('#scalar-picker') !== null")
    tab.frame.get_by_role("button", name="Remove the chart Loss").click()

    tab.until(lambda: name in tab.page.url.replace("%2F", "/"), "the address follows")
    assert chart(tab, "loss").count() == 0
    names = tab.frame.locator("[data-section=scalars] .chart").evaluate_all(
        "(all) => all.map((one) => one.dataset.chart)"
    )
    assert names == [name]


def test_smoothing_is_tensorboards_and_the_logged_curve_stays_behind(
    open_tab: OpenTab, server: TensorBoardServer
) -> None:
    tab = open_tab(charts='["accuracy"]')
    tab.until(lambda: "0." in read(tab, "accuracy"), "a value")
    assert lines(tab, "accuracy", "path.raw") == []
    logged = lines(tab, "accuracy")

    slider = tab.frame.get_by_role("slider", name="Smoothing")
    slider.fill("0.8")
    tab.until(lambda: lines(tab, "accuracy", "path.raw") != [], "the logged curve")

    values = [value for _, _, value in server.json("scalars", run="healthy", tag="accuracy/val")["points"]]
    last, weight = 0.0, 0.8
    for value in values:
        last = last * weight + (1 - weight) * value
    assert f"{last / (1 - weight ** len(values)):.3f}" in read(tab, "accuracy")
    assert len(lines(tab, "accuracy")) == 2 * len(logged)
    tab.until(lambda: "smooth=0.8" in tab.page.url, "the address follows")


def test_a_logarithmic_scale_changes_the_curve_and_its_ticks(open_tab: OpenTab) -> None:
    tab = open_tab(charts='["loss"]')
    tab.until(lambda: lines(tab, "loss") != [], "the curve")
    before = lines(tab, "loss")

    tab.frame.get_by_role("button", name="Logarithmic scale").click()

    tab.until(lambda: lines(tab, "loss") != before, "another curve")
    ticks = [float(text) for text in chart(tab, "loss").locator(".tick").all_text_contents()]
    assert 1 in ticks
    tab.until(lambda: "log=1" in tab.page.url, "the address follows")


def test_charts_read_the_values_at_the_cursor(open_tab: OpenTab) -> None:
    tab = open_tab(layer="layer4", step=12)
    tab.until(lambda: "step 12" in read(tab, "interpretable"), "the step of the address")
    before = {name: read(tab, name) for name in ("loss", "anchor distance", "interpretable")}
    drawn = lines(tab, "anchor distance")

    chart(tab, "loss").locator("svg.chart-plot").focus()
    tab.press("ArrowLeft")
    tab.until(
        lambda: all("step 11" in read(tab, name) for name in before),
        "the step before, by keyboard on a chart",
    )

    assert lines(tab, "anchor distance") == drawn
    assert all(read(tab, name).split(":")[1] != before[name].split(":")[1] for name in before)


def test_charts_follow_the_layer(open_tab: OpenTab) -> None:
    tab = open_tab(layer="layer4")
    tab.until(lambda: lines(tab, "loss"), "the scalars have come")
    before = (lines(tab, "anchor distance"), lines(tab, "interpretable", "path.band"), lines(tab, "loss"))

    tab.frame.select_option("select[aria-label=Layer]", "layer2")
    tab.until(lambda: tab.text(".count-now").endswith("of 64"), "layer2 has 64 neurons")

    assert lines(tab, "anchor distance") != before[0]
    assert lines(tab, "interpretable", "path.band") != before[1]
    assert lines(tab, "loss") == before[2]


def test_the_threshold_changes_counts_areas_and_bars_at_once(
    open_tab: OpenTab, server: TensorBoardServer
) -> None:
    tab = open_tab(layer="layer4", step=15, threshold=0.6)
    cut = {
        layer: sum(row["valid"] and row["similarity"] > 0.6 for row in export(server, layer, 15))
        for layer in ("layer2", "layer3", "layer4")
    }

    tab.until(lambda: tab.text(".count-now b") == str(cut["layer4"]), "neurons above the threshold")
    assert f"{cut['layer4']} in all" in read(tab, "interpretable")
    tab.frame.wait_for_selector("html[data-loaded=true]")
    before = lines(tab, "interpretable", "path.band")
    field = tab.frame.get_by_role("spinbutton", name="Threshold as a number")
    field.fill("0.45")
    field.press("Enter")
    tab.until(lambda: lines(tab, "interpretable", "path.band") != before, "other areas")

    field.fill("0.6")
    field.press("Enter")
    tab.frame.get_by_role("button", name="Bars of every layer at this step").click()
    for layer, count in cut.items():
        total = tab.frame.locator(f".bar-group[data-layer={layer}] .bar-total")
        tab.until(lambda total=total, count=count: total.text_content() == str(count), f"{layer} has {count}")


def test_bars_show_each_layers_categories_in_percent(open_tab: OpenTab, server: TensorBoardServer) -> None:
    tab = open_tab(layer="layer4", step=19)
    tab.frame.get_by_role("button", name="Bars of every layer at this step").click()
    tab.frame.get_by_role("button", name="Percent of the layer’s neurons").click()

    rows = export(server, "layer3", 19)
    counts = Counter(row["category"] for row in rows if row["interpretable"])
    share = 100 * sum(counts.values()) / len(rows)
    tab.until(lambda: tab.frame.locator(".bar-group").count() == 3, "three layers")
    group = tab.frame.locator(".bar-group[data-layer=layer3]")
    heights = {
        title.split(": ")[1].split()[0]: float(height)
        for title, height in group.locator("rect").evaluate_all(
            "(bars) => bars.map((bar) => [bar.textContent, bar.getAttribute('height')])"
        )
    }

    assert (group.locator(".bar-total").text_content() or "").startswith(f"{share:.1f}".removesuffix(".0"))
    top = max(counts, key=lambda name: counts[name])
    for name, count in counts.items():
        assert heights[name] / heights[top] == pytest.approx(count / counts[top], abs=0.02)


def test_more_measures_unfold_with_the_entropy_of_concepts_and_of_places(
    open_tab: OpenTab, server: TensorBoardServer
) -> None:
    tab = open_tab(layer="layer4", step=19)
    assert chart(tab, "concept entropy").count() == 0

    tab.frame.get_by_role("button", name="More measures").click()
    words = Counter(row["word"] for row in export(server, "layer4", 19) if row["interpretable"])
    total = sum(words.values())
    bits = -sum(count / total * math.log2(count / total) for count in words.values())

    tab.until(lambda: f"{bits:.2f}" in read(tab, "concept entropy"), f"{bits:.2f} bits")
    places = map_spread(read_run(server.logdir / "healthy").snapshots["layer4"][19].position).entropy
    assert f"{abs(places):.3g}" in read(tab, "entropy of places")
    assert lines(tab, "mean pairwise distance") != []
    assert lines(tab, "mean displacement") != []
    tab.until(lambda: "folded=" in tab.page.url, "kept in the address")


def test_a_section_folds_away_and_gives_its_room_to_the_others(open_tab: OpenTab) -> None:
    tab = open_tab(layer="layer4")
    before = chart(tab, "anchor distance").bounding_box()

    tab.frame.get_by_role("button", name="Scalars", exact=True).click()

    assert tab.frame.locator("[data-section=scalars] .chart").count() == 0
    after = chart(tab, "anchor distance").bounding_box()
    assert before is not None
    assert after is not None
    assert after["height"] > before["height"]


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


def test_four_lines_are_told_apart_and_named(open_tab: OpenTab) -> None:
    tab = open_tab(layer="layer4", compare="poor,healthy:layer3,healthy:layer2")
    tab.until(lambda: tab.frame.locator(".chart-legend li").count() == 4, "four sources")
    tab.until(
        lambda: chart(tab, "anchor distance").locator("path.line").count() == 5,
        "one line each, and the gated one",
    )

    looks = (
        chart(tab, "anchor distance")
        .locator("path.line:not(.soft)")
        .evaluate_all(
            """(lines) => lines.map((line) => getComputedStyle(line))
                .map((style) => style.stroke + style.strokeDasharray)"""
        )
    )
    assert len(set(looks)) == 4
    assert read(tab, "anchor distance").count("healthy layer") == 3
    assert json.dumps(looks).count("none") == 1


def test_the_first_three_charts_and_the_tracked_neurons_fit(open_tab: OpenTab) -> None:
    tab = open_tab(layer="layer4")
    tab.frame.wait_for_selector(".tracked-row")

    bottom = tab.frame.locator("#inspector").evaluate(
        "(element) => [...element.querySelectorAll('.tracked-row')].pop().getBoundingClientRect().bottom"
    )
    column = tab.frame.locator("#panel-overview").evaluate(
        "(element) => element.getBoundingClientRect().bottom"
    )

    assert bottom <= column
    assert chart(tab, "interpretable").count() == 1
