"""The top bar, the threshold, comparing runs and layers, and explanations, as a reader uses them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page

from tests.browser.tab import Tab

OpenTab = Callable[..., Tab]


def interpretable(tab: Tab) -> int:
    """Interpretable neurons that the caption tells."""
    return int(tab.text("#caption .epoch-summary").split(" of ")[0])


def passing(tab: Tab) -> str:
    return tab.frame.locator(".threshold-scale input").get_attribute("aria-valuetext") or ""


def test_a_word_explains_itself_on_hover_and_on_focus_until_escape(open_tab: OpenTab) -> None:
    tab = open_tab(layer="layer4")
    tip = tab.frame.locator("[role=tooltip]")
    mark = tab.frame.locator("#threshold .explain-mark")

    mark.hover()
    tip.wait_for(state="visible")
    assert "interpretable" in tip.inner_text()
    tab.page.mouse.move(400, 400)
    tip.wait_for(state="hidden")
    tab.frame.locator(".menu-main, #undo button, #help button").last.focus()
    mark.focus()
    tip.wait_for(state="visible")
    assert mark.get_attribute("aria-describedby") == tip.get_attribute("id")
    box, viewport = tip.bounding_box(), tab.page.viewport_size
    assert box is not None
    assert viewport is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= viewport["width"]
    assert box["y"] + box["height"] <= viewport["height"]

    tab.press("Escape")
    tip.wait_for(state="hidden")
    assert tab.frame.evaluate("document.activeElement.className") == "explain-mark"
    assert tab.errors == []


def test_the_help_sheet_opens_by_key_finds_words_and_keeps_time_still(open_tab: OpenTab) -> None:
    tab = open_tab(layer="layer4", step=7)
    tab.until(lambda: tab.step == "7", "the step")

    tab.press("?")
    sheet = tab.frame.locator("dialog.help")
    sheet.wait_for(state="visible")
    assert "Each dot is one neuron" in sheet.inner_text()
    sheet.locator("input").fill("anchor distance")
    tab.until(lambda: sheet.locator(".help-list dt").count() == 1, "one word is found")
    assert "d_anchor" in sheet.locator(".help-list dt").inner_text()
    sheet.locator("button[aria-label=Close]").focus()
    tab.press("ArrowLeft")
    tab.press("Escape")

    sheet.wait_for(state="hidden")
    assert tab.step == "7"


def test_the_threshold_recounts_at_once_and_goes_back_to_the_logged_one(open_tab: OpenTab) -> None:
    tab = open_tab(layer="layer4")
    tab.frame.wait_for_selector("html[data-loaded=true]")
    logged = interpretable(tab)
    slider = tab.frame.locator(".threshold-scale input")
    assert "0.35" in passing(tab)

    slider.focus()
    step = tab.step
    for _ in range(12):
        tab.press("ArrowRight")
    tab.until(lambda: interpretable(tab) < logged, "a higher threshold lets fewer pass")

    assert tab.step == step, "the arrows move the slider, not time"
    tab.until(
        lambda: passing(tab).split(": ")[1].startswith(f"{interpretable(tab)} of "), "the caption agrees"
    )
    tab.frame.fill(".threshold-value", "0")
    tab.frame.press(".threshold-value", "Tab")
    tab.until(lambda: interpretable(tab) > logged, "a lower one lets more pass")
    tab.until(lambda: "p.conceptmon.threshold=0" in tab.page.url, "the address follows")
    tab.frame.click(".threshold-reset")
    tab.until(lambda: interpretable(tab) == logged, "back to the logged one")
    assert tab.frame.locator(".threshold-reset").count() == 0


def test_the_logged_threshold_is_marked_with_where_it_comes_from(open_tab: OpenTab) -> None:
    tab = open_tab(layer="layer4", threshold=0.6)

    mark = tab.frame.locator(".threshold-mark-logged")
    assert mark.get_attribute("title") == "0.35: calibrated: 1% of noise passes"
    assert "to 0.35" in tab.text(".threshold-reset")
    bars, tick = tab.frame.locator(".threshold-bars").bounding_box(), mark.bounding_box()
    assert bars is not None
    assert tick is not None
    assert bars["x"] <= tick["x"] <= bars["x"] + bars["width"]


def test_up_to_four_runs_and_layers_are_shown_and_taken_away_again(open_tab: OpenTab) -> None:
    tab = open_tab(layer="layer4")
    tab.frame.click(".runs summary")

    tab.frame.click("button[aria-label='Compare with poor']")
    tab.frame.click("button[aria-label='Compare with layer layer2']")
    tab.frame.click("button[aria-label='Compare with layer layer3']")
    tab.until(lambda: tab.frame.locator(".map-frame:not([hidden])").count() == 4, "four maps")
    assert tab.frame.locator("button[aria-label='Compare with irregular']").is_disabled()
    tab.frame.select_option("select[aria-label='Layer of poor']", "layer3")
    tab.frame.wait_for_selector("#map-2[data-layer=layer3]")
    for _ in range(3):
        tab.frame.locator("button[aria-label^='Stop comparing']").first.click()

    tab.until(lambda: tab.frame.locator(".map-frame:not([hidden])").count() == 1, "one map is left")
    assert tab.errors == []


def test_runs_without_the_layer_or_without_concepts_are_greyed_with_the_reason(open_tab: OpenTab) -> None:
    tab = open_tab(run="healthy", layer="layer2")

    tab.frame.click(".runs summary")

    row = tab.frame.locator(".run-menu .lacking", has=tab.frame.locator("[title=bare]"))
    assert "no layer “layer2”: has layer3, layer4" in row.inner_text()
    assert row.locator(".menu-main").is_enabled()


def test_the_chooser_goes_by_keyboard(open_tab: OpenTab) -> None:
    tab = open_tab(layer="layer4")
    tab.frame.focus(".runs summary")
    step = tab.step

    tab.press("Enter")
    tab.frame.wait_for_selector(".run-menu", state="visible")
    tab.press("Tab")
    names = []
    for _ in range(3):
        names.append(tab.frame.evaluate("document.activeElement.title"))
        tab.press("ArrowDown")
    tab.press("Escape")

    assert len(set(names)) == 3
    assert tab.step == step
    assert tab.frame.locator(".run-menu").is_hidden()
    assert tab.frame.evaluate("document.activeElement.tagName") == "SUMMARY"


def test_colour_and_size_are_chosen_in_the_bar(open_tab: OpenTab) -> None:
    tab = open_tab(layer="layer4")

    values = tab.frame.locator("select[aria-label='Colour by'] option").evaluate_all(
        "(all) => all.map(({value}) => value)"
    )
    assert values == ["category", "concept", "layer", "run", "similarity", "displacement", "born"]
    tab.frame.select_option("select[aria-label='Colour by']", "born")
    tab.until(lambda: "color=born" in tab.page.url, "the address follows")
    tab.frame.click("button[aria-label='Size by similarity']")
    tab.until(lambda: "size=1" in tab.page.url, "the address follows")
    tab.frame.click("button[aria-label=Undo]")

    tab.until(lambda: "size=1" not in tab.page.url, "undone")
    assert "color=born" in tab.page.url


@pytest.mark.parametrize("width", [1440, 1024])
def test_the_bar_has_room_for_four_names(page: Page, open_tab: OpenTab, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 700})
    tab = open_tab(layer="layer4", compare="poor,irregular,silent")
    tab.until(lambda: tab.frame.locator(".map-frame:not([hidden])").count() == 4, "four maps")

    outside = tab.frame.evaluate(
        """() => [...document.querySelectorAll('#top button, #top select, #top summary, #top input')]
            .map((element) => [element.getBoundingClientRect(), element.outerHTML.slice(0, 80)])
            .filter(([{left, right, width}]) => width && (left < 0 || right > innerWidth))
            .map(([, text]) => text)"""
    )
    assert outside == []
    overlapping = tab.frame.evaluate(
        """() => {
            const boxes = [...document.querySelector('#top').children].map((e) => e.getBoundingClientRect());
            const shown = boxes.filter(({width}) => width);
            return shown.filter((box, i) => i && box.left < shown[i - 1].right - 9).length;
        }"""
    )
    assert overlapping == 0


def test_one_run_alone_is_offered_others_to_compare_with(open_tab: OpenTab) -> None:
    tab = open_tab(layer="layer4", panel="compare")

    tab.frame.click(".pick:has-text('poor')")

    tab.until(lambda: tab.frame.locator(".compare-table").count() == 1, "the table")
    assert tab.frame.locator(".compare-table thead th").count() == 2


def test_the_comparison_tells_which_run_is_healthy_and_why(open_tab: OpenTab) -> None:
    tab = open_tab(layer="layer4", compare="poor", panel="compare")
    tab.until(lambda: tab.frame.locator(".compare-table").count() == 1, "the table")

    assert tab.text(".verdict h3").startswith("poor looks less healthy than healthy")
    facts = tab.text(".verdict ul")
    assert "less diverse: anchor distance" in facts
    assert "0 of 256 neurons interpretable" in facts
    badges = tab.frame.locator(".health-cell").all_inner_texts()
    assert [badge.strip() for badge in badges] == ["looks healthy", "looks poor"]
    best = tab.frame.locator(".compare-table tr:has-text('interpretable') .best").first
    assert best.locator(".mark-best").inner_text().startswith("✓")


def test_the_table_counts_what_the_maps_show(open_tab: OpenTab) -> None:
    tab = open_tab(layer="layer4", compare="healthy:layer2", panel="compare", step=10)
    tab.until(lambda: tab.frame.locator(".compare-table").count() == 1, "the table")

    def first(row: str) -> int:
        return int(tab.text(f".compare-table tbody tr:has(th span:text-is('{row}')) td b"))

    tab.until(lambda: tab.step == "10", "the step")
    tab.until(lambda: first("interpretable") == interpretable(tab), "the caption's count")
    legend = tab.frame.locator("#legend .legend-item:has-text('object') .legend-count").inner_text()
    assert tab.text(".compare-table .category-row:has-text('object') td b") == legend
    tab.press("End")
    tab.until(lambda: tab.text(".compare-table thead th").endswith("step 19"), "the table follows time")
    tab.until(lambda: first("interpretable") == interpretable(tab), "and so do its counts")


def test_a_concept_gained_is_brought_out_on_a_click(open_tab: OpenTab) -> None:
    tab = open_tab(layer="layer4", compare="healthy:layer2", panel="compare")
    tab.until(lambda: tab.frame.locator(".word-chip").count() > 3, "words")
    chip = tab.frame.locator(".word-chip").first
    word = chip.inner_text().rsplit(" ", 1)[0].strip()

    chip.click()

    tab.until(lambda: word in tab.text("#caption .chip"), "the word is brought out")
    assert chip.get_attribute("aria-pressed") == "true"


def test_the_health_of_a_run_is_told_over_its_map_and_above_the_charts(open_tab: OpenTab) -> None:
    tab = open_tab(layer="layer4")
    tab.until(lambda: tab.frame.locator("#health .health").count() == 1, "the line")

    assert tab.text("#caption .health-badge") == "looks healthy"
    line = tab.text("#health")
    assert line.startswith("Looks healthy: anchor distance fell from")
    assert "rule of thumb" in (tab.frame.locator("#health .health").get_attribute("title") or "")
    tab.press("Home")
    tab.until(lambda: tab.text("#health").startswith("Too early to tell"), "one step tells no trend")


def test_many_runs_are_searched_by_name(page: Page, open_tab: OpenTab) -> None:
    names = '["healthy", "poor", ' + ", ".join(f'"sweep/{i:02}"' for i in range(30)) + "]"
    page.route("**/data/runs", lambda route: route.fulfill(body=names, content_type="application/json"))
    tab = open_tab(layer="layer4")

    tab.frame.click(".runs summary")
    field = tab.frame.locator(".menu-search")
    field.wait_for(state="visible")
    tab.until(lambda: "and 25 runs without concepts" in tab.text(".run-menu"), "all runs are known")
    field.fill("poo")
    tab.until(lambda: tab.frame.locator(".menu-row").count() == 1, "one run is found")
    field.fill("nothing like it")

    tab.until(lambda: "No run with “nothing like it”" in tab.text(".run-menu"), "none is found")


def test_help_is_offered_in_words_until_it_was_read_once(open_tab: OpenTab) -> None:
    tab = open_tab(layer="layer4")
    assert tab.text("#help") == "New here?"

    tab.frame.click("button[aria-label=Help]")
    tab.press("Escape")
    assert tab.text("#help") == ""
    tab.page.reload()
    frame = tab.page.wait_for_selector("iframe", state="attached").content_frame()
    assert frame is not None
    frame.wait_for_selector("#help button")

    assert frame.locator("#help").inner_text().strip() == ""
