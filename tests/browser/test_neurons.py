"""Neuron cards, the figure of neurons over steps, the hover card and the inspector, as a reader uses them."""

from __future__ import annotations

import json
from collections.abc import Callable

from playwright.sync_api import Route

from tests.browser.cards import card, loaded, open_cards, pin
from tests.browser.conftest import HOSTILE
from tests.browser.tab import Tab

OpenTab = Callable[..., Tab]


def test_a_card_tells_concepts_history_images_and_neighbours(open_tab: OpenTab) -> None:
    tab = open_cards(open_tab, step=10, neuron=4)
    shown = loaded(tab, 4)

    assert shown.locator(".bar-row").count() == 5
    assert shown.locator(".bar-mark").count() == 5
    assert shown.locator(".neuron-life rect[class^=slot-]").count() >= 1
    assert shown.locator(".film-step").count() == 12
    assert shown.locator('.film-step[aria-current="step"]').get_attribute("data-step") == "10"
    assert shown.locator(".film-step").first.locator(".thumb").count() == 3
    assert shown.locator("section.relatives .relative").count() == 5
    assert shown.locator(".neuron-label b").inner_text() == shown.locator(".bar-word").first.inner_text()
    assert tab.errors == []


def test_the_activating_patch_is_outlined_where_it_is_known(open_tab: OpenTab) -> None:
    tab = open_cards(open_tab, 4)
    shown = loaded(tab, 4)

    image = shown.locator(".film .thumb").first.bounding_box()
    patch = shown.locator(".film .thumb .patch").first.bounding_box()
    assert image is not None
    assert patch is not None
    assert 4 < patch["width"] < image["width"]
    assert image["x"] <= patch["x"] + 1
    assert patch["x"] + patch["width"] <= image["x"] + image["width"] + 1
    assert 4 < patch["height"] < image["height"]


def test_nothing_is_outlined_where_the_patch_is_not_known(open_tab: OpenTab) -> None:
    tab = open_tab(layer="layer2", panel="neurons", pinned=pin(4, layer="layer2"))

    assert loaded(tab, 4).locator(".patch").count() == 0


def test_pinned_cards_stand_side_by_side_behind_the_one_in_focus(open_tab: OpenTab) -> None:
    tab = open_cards(open_tab, 4, 9, neuron=7)

    numbers = tab.frame.locator(".neuron-card").evaluate_all(
        "cards => cards.map((card) => card.dataset.neuron)"
    )
    boxes = [box for box in (card(tab, neuron).bounding_box() for neuron in (7, 4)) if box]
    assert numbers == ["7", "4", "9"]
    assert abs(boxes[0]["y"] - boxes[1]["y"]) < 1
    assert boxes[1]["x"] >= boxes[0]["x"] + boxes[0]["width"]

    card(tab, 7).get_by_role("button", name="Pin neuron 7").click()
    tab.frame.wait_for_selector('.neuron-card[data-neuron="7"] [aria-pressed=true]')
    tab.press("Escape")
    tab.until(
        lambda: (
            tab.frame.locator(".neuron-card").evaluate_all(
                "cards => cards.map((card) => card.dataset.neuron)"
            )
            == ["4", "9", "7"]
        ),
        "the card stays because it is pinned",
    )


def test_closing_a_card_moves_the_focus_to_the_next(open_tab: OpenTab) -> None:
    tab = open_cards(open_tab, 4, 9)
    for left in (1, 0):
        tab.frame.locator('.neuron-card [aria-label^="Close"]').first.focus()
        tab.press("Enter")
        tab.until(lambda left=left: tab.frame.locator(".neuron-card").count() == left, "the card is gone")
        expected = "Close the card of neuron 9" if left else "tab-neurons"
        tab.until(
            lambda expected=expected: (
                tab.frame.evaluate(
                    "document.activeElement.getAttribute('aria-label') || document.activeElement.id"
                )
                == expected
            ),
            f"the focus is on {expected}",
        )
    assert "No card is open" in tab.text("#panel-neurons")


def test_a_column_of_the_film_goes_to_its_step(open_tab: OpenTab) -> None:
    tab = open_cards(open_tab, 4, step=10)
    shown = loaded(tab, 4)

    shown.locator('.film-step[data-step="12"]').click()
    tab.until(lambda: tab.step == "12", "the tab is at step 12")
    tab.until(
        lambda: shown.locator('.film-step[aria-current="step"]').get_attribute("data-step") == "12",
        "so is the film",
    )

    shown.locator('.film-step[aria-current="step"]').focus()
    tab.press("End")
    tab.press("Enter")
    tab.until(lambda: tab.step == "19", "Enter goes to the last column")


def test_dragging_in_the_label_history_moves_time(open_tab: OpenTab) -> None:
    tab = open_cards(open_tab, 4, step=3)
    box = card(tab, 4).locator(".neuron-life").bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2

    tab.page.mouse.move(box["x"] + 5, middle)
    tab.page.mouse.down()
    tab.page.mouse.move(box["x"] + box["width"] * 0.8, middle, steps=4)
    tab.page.mouse.up()

    tab.until(lambda: tab.step in {"15", "16"}, "the cursor followed")
    tab.page.wait_for_timeout(300)
    line = card(tab, 4).locator(".now-line").bounding_box()
    assert line is not None
    assert abs(line["x"] - (box["x"] + box["width"] * int(tab.step) / 19)) < 3


def test_cards_ask_once_at_rest_and_never_while_playing(open_tab: OpenTab) -> None:
    asked: list[str] = []
    tab = open_cards(open_tab, 4, 9, step=5)
    loaded(tab, 4), loaded(tab, 9)
    tab.page.on("request", lambda request: asked.append(request.url) if "/neuron?" in request.url else None)

    tab.frame.click("button[aria-label=Play]")
    tab.until(lambda: int(tab.step) >= 9, "it plays")
    assert asked == []
    label = card(tab, 4).locator(".neuron-life").get_attribute("aria-valuetext") or ""
    assert int(label.split()[1].rstrip(":")) >= 8
    tab.frame.click("button[aria-label=Pause]")
    tab.until(lambda: len(asked) == 2, "one request a card at rest")
    tab.page.wait_for_timeout(600)
    assert len(asked) == 2

    tab.press("ArrowLeft")
    tab.until(lambda: len(asked) == 4, "another step is asked for")
    tab.press("ArrowRight")
    tab.page.wait_for_timeout(1500)
    assert len(asked) == 4, "what is known is not asked for again"


def test_a_failing_request_is_told_in_the_card_and_can_be_tried_again(open_tab: OpenTab) -> None:
    broken = [True]

    def answer(route: Route) -> None:
        if broken[0]:
            route.fulfill(
                status=500, content_type="application/json", body='{"error": "the disk is on fire"}'
            )
        else:
            route.continue_()

    tab = open_tab(layer="layer4", panel="neurons")
    tab.page.route("**/neuron?*", answer)
    tab.frame.locator(".neurons-offer .relative").first.click()
    problem = tab.frame.locator(".neuron-problem")
    problem.wait_for()
    assert "the disk is on fire" in problem.inner_text()

    broken[0] = False
    problem.get_by_role("button", name="try again").click()
    tab.frame.wait_for_selector(".neuron-card section.relatives .relative")
    assert problem.count() == 0


def test_images_that_cannot_be_loaded_are_marked(open_tab: OpenTab) -> None:
    tab = open_tab(layer="layer4", panel="neurons")
    tab.page.route("**/images?*step=*", lambda route: route.abort())
    tab.frame.locator(".neurons-offer .relative").first.click()

    tab.frame.wait_for_selector(".film .thumb.missing")
    name = tab.frame.locator(".film .thumb.missing").first.get_attribute("aria-label") or ""
    assert "could not be loaded" in name


def test_a_dead_neuron_says_so(open_tab: OpenTab) -> None:
    tab = open_tab(run="silent", layer="layer4", panel="neurons", pinned=pin(3, run="silent"))
    tab.frame.wait_for_selector(".neuron-card .film-step")

    text = card(tab, 3).inner_text()
    assert "no signal" in text
    assert "Dead or constant" in text


def test_a_neuron_that_the_space_does_not_know_says_so_and_shows_what_excites_it(open_tab: OpenTab) -> None:
    tab = open_tab(run="foreign", layer="layer4", panel="neurons", pinned=pin(3, run="foreign"))
    tab.frame.wait_for_selector(".neuron-card .film-step .thumb:not(.pending)")

    text = card(tab, 3).inner_text()
    assert "no known stimulus" in text
    assert "knows none of the images" in text
    assert "Dead or constant" not in text
    assert "rather than an invented one" in (
        card(tab, 3).locator(".neuron-label").get_attribute("title") or ""
    )
    assert "6 without known stimulus" in tab.text("#caption .epoch-summary")
    assert "6 without known stimulus" in tab.text("#legend")
    assert tab.errors == []


def test_a_run_without_images_still_has_cards(open_tab: OpenTab) -> None:
    tab = open_tab(run="bare", layer="layer4", panel="neurons", pinned=pin(3, run="bare"))
    tab.frame.wait_for_selector(".neuron-card .film-step")

    assert "no probe images" in card(tab, 3).inner_text()
    assert card(tab, 3).locator(".bar-row").count() >= 1


def test_the_figure_has_neurons_as_rows_and_steps_as_columns(open_tab: OpenTab) -> None:
    tab = open_cards(open_tab, 4, 9)
    tab.frame.get_by_role("radio", name="figure").click()
    tab.frame.wait_for_selector(".figure-images .thumb:not(.pending)")
    tab.until(lambda: tab.frame.locator(".figure-images .thumb.pending").count() == 0, "all images are there")

    assert tab.frame.locator(".neuron-figure tbody tr").count() == 2
    steps = tab.frame.locator(".neuron-figure thead select").evaluate_all(
        "all => all.map((one) => one.value)"
    )
    assert steps == ["0", "5", "10", "14", "19"]
    assert tab.frame.locator(".figure-cell").first.locator(".thumb").count() == 4

    tab.frame.locator(".neuron-figure thead select").nth(1).select_option("3")
    tab.frame.locator(".figure-cell").nth(1).click()
    tab.until(lambda: tab.step == "3", "a cell goes to its step")
    tab.frame.get_by_label("Number of steps").select_option("4")
    tab.until(lambda: tab.frame.locator(".neuron-figure thead select").count() == 4, "four columns")
    assert tab.errors == []


def test_a_selection_is_pinned_at_once(open_tab: OpenTab) -> None:
    tab = open_tab(layer="layer4", panel="neurons", selection=json.dumps([["healthy", "layer4", "3-5.9"]]))

    tab.frame.get_by_role("button", name="pin 4 selected neurons").first.click()
    tab.until(lambda: tab.frame.locator(".neuron-card").count() == 4, "four cards")
    tab.frame.get_by_role("button", name="unpin all").click()
    assert "No card is open" in tab.text("#panel-neurons")


def test_thirty_pinned_cards_stay_fluid(open_tab: OpenTab) -> None:
    tab = open_tab(layer="layer4", panel="neurons", pinned=pin(*range(30)), step=4)
    tab.frame.wait_for_selector(".neuron-card .film-step")
    tab.page.wait_for_timeout(2500)

    filled = tab.frame.locator(".neuron-card .film").count()
    assert filled < 12, "cards out of sight are not drawn"
    median = tab.frame.evaluate(
        """async () => {
            const input = document.querySelector('.scrub input');
            const times = [];
            for (let i = 0; i < 12; i++) {
                input.value = String(4 + i);
                const before = performance.now();
                input.dispatchEvent(new Event('input', { bubbles: true }));
                times.push(performance.now() - before);
                await new Promise((resolve) => requestAnimationFrame(resolve));
            }
            return times.sort((a, b) => a - b)[6];
        }"""
    )
    assert median < 50
    tab.frame.locator(".neuron-card").last.scroll_into_view_if_needed()
    tab.frame.locator(".neuron-card").last.locator(".film-step").first.wait_for()
    assert tab.errors == []


def test_escape_closes_the_card_in_focus_and_the_focus_stays_in_the_panel(open_tab: OpenTab) -> None:
    tab = open_cards(open_tab, 9, neuron=4)
    card(tab, 4).get_by_role("button", name="Pin neuron 4").focus()

    tab.press("Escape")
    tab.until(lambda: card(tab, 4).count() == 0, "the card is gone")
    tab.until(
        lambda: (
            tab.frame.evaluate("document.activeElement.getAttribute('aria-label')")
            == "Close the card of neuron 9"
        ),
        "the next card has the focus",
    )


def test_a_card_of_a_run_that_is_not_shown_survives_a_reload(open_tab: OpenTab) -> None:
    reference = json.dumps({"run": "poor", "layer": "layer3", "neuron": 5})
    tab = open_tab(layer="layer4", panel="neurons", focus=reference, step=6)

    foreign = tab.frame.locator('.neuron-card.focused[data-neuron="5"]')
    foreign.locator(".film .thumb:not(.pending, .missing)").first.wait_for()
    assert "layer3 · poor" in foreign.inner_text()
    assert foreign.locator('.film-step[aria-current="step"]').get_attribute("data-step") == "6"
    tab.until(lambda: "conceptmon.focus=" in tab.page.url, "the address has it")


def test_a_pinned_neuron_that_the_log_does_not_have_says_so(open_tab: OpenTab) -> None:
    tab = open_tab(layer="layer4", panel="neurons", pinned=pin(3, run="gone"))

    tab.frame.wait_for_selector(".neuron-card .hint")
    assert "no such neuron" in card(tab, 3).inner_text()
    card(tab, 3).get_by_role("button", name="Close").click()
    tab.until(lambda: card(tab, 3).count() == 0, "it can be closed")


def test_the_threshold_of_the_reader_changes_labels_and_history(open_tab: OpenTab) -> None:
    tab = open_cards(open_tab, 4, threshold=0.99)
    shown = loaded(tab, 4)

    assert shown.locator(".neuron-label b").inner_text() == "no clear concept"
    assert shown.locator(".neuron-life rect[class^=slot-]").count() == 0


def test_names_from_the_log_stay_text_and_inside_the_card(open_tab: OpenTab) -> None:
    tab = open_tab(
        run=HOSTILE, layer="layer4", panel="neurons", compare="poor", pinned=pin(3, 5, run=HOSTILE)
    )
    loaded(tab, 3)

    wide = tab.frame.evaluate(
        """[...document.querySelectorAll('.neuron-card')]
            .filter((card) => card.scrollWidth > card.clientWidth + 1).length"""
    )
    assert wide == 0
    assert HOSTILE in (card(tab, 3).get_attribute("aria-label") or "")
    assert tab.frame.locator("img").count() == 0
    assert tab.page.evaluate("window.hacked") is None
    tab.frame.get_by_role("radio", name="figure").click()
    tab.frame.wait_for_selector(".figure-images .thumb:not(.pending)")
    sizes = tab.frame.locator("#panel-neurons").evaluate("panel => [panel.scrollWidth, panel.clientWidth]")
    assert sizes[0] <= sizes[1]


def test_a_card_tells_the_neuron_as_a_weighted_sum(open_tab: OpenTab) -> None:
    tab = open_cards(open_tab, step=10, neuron=9)
    shown = loaded(tab, 9)
    route = "/data/plugin/conceptmon/neuron?run=healthy&layer=layer4&neuron=9&step=10&k=0"
    answer = tab.frame.evaluate(f"fetch('{route}').then((answer) => answer.json())")

    terms = shown.locator(".term-row")
    assert terms.locator(".bar-word").all_inner_texts() == [one["word"] for one in answer["explanation"]]
    weights = [f"+{one['weight']:.2f}" for one in answer["explanation"]]
    assert terms.locator(".bar-value").all_inner_texts() == weights
    assert f"fit {answer['explanation_fit']:.2f}" in shown.locator(".weighted-sum h4").inner_text()
    assert shown.locator(".serves").inner_text().startswith(f"serves {answer['num_concepts']:.1f} concept")


def test_a_layer_without_explanations_shows_none(open_tab: OpenTab) -> None:
    tab = open_tab(layer="layer2", panel="neurons", neuron=4)
    card(tab, 4).locator("section.relatives .relative").first.wait_for()
    assert card(tab, 4).locator(".weighted-sum").count() == 0
