"""The charts: scalars added, smoothed and read at the cursor, counts and bars."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable

import pytest

from conceptmon_tb.differential_entropy import map_spread
from conceptmon_tb.reader import read_run
from tests.browser.charts import chart, export, lines, read
from tests.browser.tab import Tab
from tests.servers import TensorBoardServer

OpenTab = Callable[..., Tab]


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
