"""The whole tab: opened, played, hovered, switched, as a reader does it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.browser.conftest import HOSTILE
from tests.browser.tab import Tab

OpenTab = Callable[..., Tab]


def test_the_tab_opens_without_console_errors(open_tab: OpenTab) -> None:
    tab = open_tab()

    tab.page.wait_for_timeout(800)

    assert tab.errors == []
    assert tab.text(".brand") == "Concept Monitor"


def test_the_map_draws_neurons_in_the_colours_of_their_categories(open_tab: OpenTab) -> None:
    tab = open_tab(layer="layer4")

    tab.page.wait_for_timeout(500)
    colors = tab.canvas_colors()

    assert colors[tab.color("--well")] > 100_000
    assert colors.get(tab.color("--slot-1"), 0) > 300
    assert colors.get(tab.color("--slot-0"), 0) > 300


def test_anchors_are_stars_with_their_names(open_tab: OpenTab) -> None:
    tab = open_tab()

    tab.frame.wait_for_selector(".names text")
    names = tab.frame.locator(".names text").all_text_contents()

    assert tab.frame.locator(".stars path").count() == 5
    assert {"striped", "garden"} <= set(names)


def test_play_advances_and_pausing_rests_on_a_logged_step(open_tab: OpenTab) -> None:
    tab = open_tab(step=3)

    tab.frame.click("button[aria-label=Play]")
    tab.until(lambda: int(tab.step) >= 6, "playing reaches step 6")
    tab.frame.click("button[aria-label=Pause]")
    tab.page.wait_for_timeout(700)

    value = float(tab.frame.locator(".scrub input").input_value())
    assert value == round(value)
    assert int(tab.step) == value


def test_keys_step_through_time(open_tab: OpenTab) -> None:
    tab = open_tab(step=7)
    tab.until(lambda: tab.step == "7", "the address's step is shown")

    for key, step in [
        ("ArrowRight", "8"),
        ("ArrowLeft", "7"),
        ("PageUp", "17"),
        ("Home", "0"),
        ("End", "19"),
    ]:
        tab.press(key)
        tab.until(lambda step=step: tab.step == step, f"{key} leads to step {step}")


def test_space_plays_and_pauses(open_tab: OpenTab) -> None:
    tab = open_tab(step=3)

    tab.press(" ")
    tab.until(lambda: tab.frame.locator("button[aria-label=Pause]").count() == 1, "playing")
    tab.press(" ")

    tab.until(lambda: tab.frame.locator("button[aria-label=Play]").count() == 1, "paused")


def test_scrubbing_moves_map_summary_and_charts_together(open_tab: OpenTab) -> None:
    tab = open_tab()
    box = tab.frame.locator(".scrub").bounding_box()
    assert box is not None

    tab.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    tab.until(lambda: tab.step in {"9", "10"}, "the middle of the time line")

    assert f"since step {int(tab.step) - 1}" in tab.text("#caption .epoch-summary")
    tab.until(lambda: tab.frame.locator("#map").get_attribute("data-draw-ms") is not None, "drawn")


def test_dragging_in_a_chart_moves_the_cursor(open_tab: OpenTab) -> None:
    tab = open_tab()
    box = tab.frame.locator("#charts").bounding_box()
    assert box is not None

    tab.page.mouse.click(box["x"] + 45, box["y"] + 60)

    tab.until(lambda: int(tab.step) <= 1, "the left end of a chart is the first step")


def test_the_hover_card_names_concept_similarity_and_images(open_tab: OpenTab) -> None:
    tab = open_tab(layer="layer4")

    tab.hover_a_neuron()

    assert tab.text(".card-head b").startswith("neuron ")
    assert tab.text(".card-concept b")
    assert tab.frame.locator("#card .bar-row").count() == 4
    thumbnails = tab.frame.locator("#card .thumb")
    assert thumbnails.count() == 8
    tab.frame.wait_for_selector("#card .thumb:not(.pending)")
    background = thumbnails.first.evaluate("(element) => getComputedStyle(element).backgroundImage")
    loaded = tab.frame.evaluate(
        """async (url) => {
            const image = Object.assign(new Image(), {src: url});
            await image.decode();
            return image.naturalWidth;
        }""",
        background.removeprefix('url("').removesuffix('")'),
    )
    assert loaded > 64


def test_clicking_a_neuron_opens_its_history_and_tracking_keeps_it(open_tab: OpenTab) -> None:
    tab = open_tab(layer="layer4")
    tab.hover_a_neuron()
    name = tab.text("#card .card-head b")

    tab.page.mouse.down()
    tab.page.mouse.up()
    tab.until(lambda: name in tab.text("#inspector h3"), "the inspector shows the neuron")
    tracked = tab.frame.locator("#inspector header button").first
    if tracked.inner_text() == "track":
        tracked.click()
    tab.frame.click("#inspector header button:has-text('close')")

    assert name.removeprefix("neuron ") in tab.frame.locator(".tracked-id").all_inner_texts()


def test_the_layer_chooser_changes_the_layer_and_keeps_the_step(open_tab: OpenTab) -> None:
    tab = open_tab(layer="layer4", step=7)
    tab.until(lambda: tab.step == "7", "the address's step is shown")

    tab.frame.select_option("select[aria-label=Layer]", "layer2")

    tab.until(lambda: "of 64 neurons" in tab.text("#caption .epoch-summary"), "layer2 has 64 neurons")
    assert tab.step == "7"


def test_the_run_chooser_changes_the_run(open_tab: OpenTab) -> None:
    tab = open_tab(layer="layer4")

    tab.frame.click(".runs summary")
    tab.frame.click(".menu-main[title=poor]")

    tab.until(lambda: tab.text(".run-name") == "poor", "the poor run is chosen")
    tab.until(
        lambda: tab.text("#caption .epoch-summary").startswith("0 of"), "nothing is interpretable in it"
    )


def test_two_runs_share_one_map(open_tab: OpenTab) -> None:
    tab = open_tab(compare="poor", layer="layer4")

    tab.frame.wait_for_selector(".map-frame:not([hidden]) #map-2 .stars path")
    tab.until(lambda: tab.frame.locator("path.line.other").count() >= 3, "dotted lines of the other run")

    assert tab.text(".map-frame:not([hidden]) .map-name .caption-name") == "poor"
    tab.until(
        lambda: tab.text(".map-frame:not([hidden]) .map-name p").startswith("0 of 256 neurons"),
        "how the other run fares",
    )
    stars = [
        tab.frame.locator(f"{which} .stars path").first.get_attribute("transform")
        for which in ("#map", "#map-2")
    ]
    assert stars[0] == stars[1]


def test_records_that_cannot_be_read_are_told_with_their_reason(open_tab: OpenTab) -> None:
    tab = open_tab(run="damaged", layer="layer4")

    notice = tab.frame.locator("details.notice")
    tab.until(lambda: notice.count() == 1, "the notice")
    assert notice.locator("summary").inner_text().strip() == "1 record could not be read"
    notice.locator("summary").click()
    reason = notice.locator("li").inner_text()

    assert "layer4, step 1" in reason
    assert "checksum" in reason
    assert tab.frame.locator(".scrub input").get_attribute("max") == "2"
    assert tab.errors == []


def test_a_run_without_images_and_scalars_shows_all_the_rest(open_tab: OpenTab) -> None:
    tab = open_tab(run="bare", layer="layer4")

    tab.hover_a_neuron()

    assert tab.frame.locator("#card .thumb").count() == 0
    assert tab.frame.locator("#card .bar-row").count() == 4
    assert "no scalars in this run" in tab.text(".chart-title")
    assert tab.errors == []


def test_a_single_epoch_cannot_be_played(open_tab: OpenTab) -> None:
    tab = open_tab(run="single", layer="layer4")

    assert tab.step == "0"
    assert tab.frame.locator("button[aria-label=Play]").is_disabled()
    assert tab.errors == []


def test_a_layer_without_any_signal_says_so(open_tab: OpenTab) -> None:
    tab = open_tab(run="silent", layer="layer4", compare="bare", neuron=3)

    tab.until(lambda: "No neuron has a signal" in tab.text(".notice.warn"), "the notice")
    assert "48 dead" in tab.text("#caption .epoch-summary")
    assert "Dead or constant" in tab.text("#inspector .hint")
    assert tab.frame.locator("path.line.other").count() >= 2
    assert tab.errors == []


def test_the_legend_dims_a_category(open_tab: OpenTab) -> None:
    tab = open_tab(layer="layer4")
    tab.page.wait_for_timeout(400)
    scene = tab.color("--slot-1")
    before = tab.canvas_colors().get(scene, 0)

    button = tab.frame.locator(".legend-item:has-text('scene')")
    button.click()
    tab.page.wait_for_timeout(400)

    assert button.get_attribute("aria-pressed") == "false"
    assert tab.canvas_colors().get(scene, 0) < 0.2 * before


def test_search_finds_concepts_and_neurons_by_keyboard(open_tab: OpenTab) -> None:
    tab = open_tab(layer="layer4")
    field = tab.frame.locator(".search input")

    field.fill("gard")
    field.press("Enter")
    tab.until(lambda: "garden" in tab.text(".chip"), "the concept is brought out")
    field.fill("17")
    field.press("Enter")

    tab.until(lambda: "neuron 17" in tab.text("#inspector h3"), "the neuron is opened")


def test_dark_mode_follows_tensorboard(open_tab: OpenTab) -> None:
    tab = open_tab()
    light = tab.frame.evaluate("getComputedStyle(document.body).backgroundColor")

    tab.page.evaluate("document.body.classList.add('dark-mode')")

    tab.until(lambda: tab.frame.locator("html[data-theme=dark]").count() == 1, "dark")
    assert light == "rgb(255, 255, 255)"
    assert tab.frame.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(48, 48, 48)"
    tab.page.wait_for_timeout(300)
    assert tab.canvas_colors()["#262729"] > 100_000


def test_irregular_steps_each_take_one_key_press(open_tab: OpenTab) -> None:
    tab = open_tab(run="irregular")
    tab.until(lambda: tab.step == "40", "the last step")

    seen = []
    for _ in range(4):
        before = tab.step
        tab.press("ArrowLeft")
        tab.until(lambda before=before: tab.step != before, "a step back")
        tab.page.wait_for_timeout(400)
        seen.append(tab.step)

    assert seen == ["10", "5", "0", "-1"]


def test_names_from_the_log_stay_text(open_tab: OpenTab) -> None:
    tab = open_tab(run=HOSTILE, layer="layer4")

    tab.hover_a_neuron()
    tab.frame.fill(".search input", "img")
    tab.page.wait_for_timeout(400)

    assert tab.frame.locator("img").count() == 0
    assert tab.page.evaluate("window.hacked") is None
    assert HOSTILE in tab.text(".notice span")
    assert HOSTILE in tab.frame.locator(".runs summary").get_attribute("aria-label")


def test_the_address_brings_back_run_layer_step_and_tracked_neurons(open_tab: OpenTab) -> None:
    tab = open_tab(run="poor", layer="layer3", step=4, tracked="3.5")

    tab.until(lambda: tab.step == "4", "the step")
    assert tab.text(".run-name") == "poor"
    assert tab.frame.locator("select[aria-label=Layer]").input_value() == "layer3"
    assert tab.frame.locator(".tracked-id").all_inner_texts() == ["3", "5"]
    tab.press("ArrowRight")
    tab.until(lambda: "p.conceptmon.step=5" in tab.page.url, "the address follows")


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (1024, 700)])
def test_nothing_overflows(open_tab: OpenTab, width: int, height: int) -> None:
    tab = open_tab(layer="layer4", neuron=9)
    tab.page.set_viewport_size({"width": width, "height": height})
    tab.page.wait_for_timeout(500)

    outside = tab.frame.evaluate(
        """() => [...document.querySelectorAll(
                '#top *, #timeline *, #legend *, #caption *, .chart-title *, .end text, .bar-row *, .thumb')]
            .filter((element) => element.getClientRects().length && !element.closest('.visually-hidden'))
            .filter((element) => {
                const {left, right} = element.getBoundingClientRect();
                return left < -8 || right > innerWidth + 8;
            })
            .map((element) => element.outerHTML.slice(0, 80))"""
    )
    assert outside == []
    assert tab.frame.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_every_control_has_a_name(open_tab: OpenTab) -> None:
    tab = open_tab(compare="poor")

    nameless = tab.frame.evaluate(
        """() => [...document.querySelectorAll('button, select, input, summary')]
            .filter((element) => !element.getAttribute('aria-label') && !element.textContent.trim())
            .filter((element) => !element.closest('label')?.textContent.trim())
            .map((element) => element.outerHTML.slice(0, 120))"""
    )
    assert nameless == []


def test_keyboard_alone_reaches_runs_layer_and_play(open_tab: OpenTab) -> None:
    tab = open_tab()

    reached = []
    tab.frame.locator(".runs summary").focus()
    for _ in range(40):
        reached.append(tab.frame.evaluate("document.activeElement.getAttribute('aria-label') || ''"))
        tab.page.keyboard.press("Tab")

    assert any(name.startswith("Runs") for name in reached)
    assert {"Layer", "Colour by", "Find a concept or neuron", "Trails", "Fit the whole map"} <= set(reached)
