"""The search, and the anchors edited live, as a reader uses them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.browser.concepts import ask, missing, open_concepts, plain_counts, search_for, selected
from tests.browser.tab import Tab
from tests.browser.test_accessibility import violations

OpenTab = Callable[..., Tab]


def test_search_selects_the_neurons_of_a_concept_by_keyboard_alone(open_tab: OpenTab) -> None:
    tab = open_tab(layer="layer4", step=19)
    count = plain_counts(tab, "layer4", 19)["garden"]

    found = search_for(tab, "gard")
    tab.press("Enter")

    assert found[0] == f"garden: Select its {count} neurons"
    assert "garden: Go to its star" in found
    assert len(selected(tab)) == count
    assert tab.frame.locator("#matches").count() == 0
    assert "p.conceptmon.camera" in tab.page.url


def test_search_finds_a_neuron_of_another_layer(open_tab: OpenTab) -> None:
    tab = open_tab(layer="layer4")

    assert search_for(tab, "layer3:17") == ["neuron 17: Show layer3 and open its card"]
    tab.press("Enter")

    tab.until(lambda: tab.frame.locator("select[aria-label=Layer]").input_value() == "layer3", "the layer")
    tab.until(lambda: "p.conceptmon.neuron=17" in tab.page.url, "the neuron")


def test_search_finds_categories_and_layers_and_leaves_with_escape(open_tab: OpenTab) -> None:
    tab = open_tab(layer="layer4")

    assert "scene: Show these neurons only" in search_for(tab, "scene")
    tab.press("Enter")
    hidden = tab.frame.locator("#legend [aria-pressed=false]").count()
    found = search_for(tab, "layer")
    tab.press("Escape")

    assert hidden == 6
    assert {"layer2: Show this layer", "layer3: Show this layer"} <= set(found)
    assert tab.frame.locator("#matches").count() == 0
    assert tab.frame.evaluate("document.activeElement.getAttribute('type')") == "search"


def stars(tab: Tab) -> set[str]:
    """Words with a star on the map, as the map tells screen readers."""
    told = tab.frame.locator("#map .overlay").get_attribute("aria-label") or ""
    return set(told.split("anchors ")[1].split(".")[0].split(", "))


def test_a_concept_becomes_an_anchor_and_the_distance_is_computed_anew(open_tab: OpenTab) -> None:
    tab = open_tab(layer="layer4", step=15)
    words = [("word", word) for word in ("plane", "dog")]
    answer = ask(tab, "distances", ("layer", "layer4"), ("step", "15"), *words)["words"]
    expected = sum(word["distance"][0] for word in answer) / len(answer)

    tab.frame.click("#legend button:has-text('anchor')")
    for logged in ("striped", "garden", "stairs", "bicycle"):
        tab.frame.click(f".anchor-editor button[aria-label='Remove {logged}']")
    tab.page.keyboard.type("Dog")
    tab.press("Enter")

    tab.until(lambda: stars(tab) == {"plane", "dog"}, "the stars")
    tab.until(lambda: tab.frame.locator(".anchor-editor footer b").count() == 1, "the distance")
    assert float(tab.text(".anchor-editor footer b")) == pytest.approx(expected, abs=6e-4)
    tab.page.wait_for_timeout(400)
    assert "plane" in tab.page.url
    tab.frame.click(".anchor-editor button:has-text('reset')")
    tab.until(lambda: stars(tab) == {"striped", "plane", "garden", "stairs", "bicycle"}, "as logged")
    tab.press("Escape")
    assert tab.frame.locator(".anchor-editor:not([hidden])").count() == 0


def test_a_word_without_a_place_says_why_and_what_else(open_tab: OpenTab) -> None:
    tab = open_tab(layer="layer4")

    search_for(tab, "dogg")
    tab.press("Enter")

    why = tab.frame.wait_for_selector(".anchor-why")
    assert why is not None
    assert "“dogg” has no place on the map: new words are placed by the encoder" in why.inner_text()
    tab.frame.click(".anchor-why button:has-text('dog')")
    tab.until(lambda: "dog" in stars(tab), "the suggestion has its star")
    assert "dogg" not in stars(tab)


def test_a_typed_word_gets_its_star_when_the_encoder_has_loaded(open_tab: OpenTab) -> None:
    asked: list[str] = []

    def answer(route: Any) -> None:
        asked.append(route.request.url)
        if len(asked) < 3:
            route.fulfill(status=202, json={"status": "loading"})
        else:
            route.fulfill(json={"word": "zebra", "kind": "typed", "index": None, "position": [0.5, 0.5]})

    tab = open_tab(layer="layer4")
    tab.page.route("**/anchor?*", answer)
    tab.page.route("**/distances?*zebra*", lambda route: route.fulfill(json={"steps": [], "words": []}))

    search_for(tab, "zebra")
    tab.press("Enter")
    tab.until(lambda: "the encoder is loading" in tab.text(".anchor-editor ul"), "it says that it is loading")
    tab.until(lambda: "zebra" in stars(tab), "the star")

    assert len(asked) == 3
    tab.page.wait_for_timeout(450)
    tab.page.reload()
    tab.until(lambda: len(asked) == 4, "a link asks for its typed words again")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious_in_flow_missing_words_search_and_anchors(
    open_tab: OpenTab, theme: str
) -> None:
    tab = open_concepts(open_tab, step=15, concepts="flow", base=11)
    if theme == "dark":
        tab.page.evaluate("document.body.classList.add('dark-mode')")
    tab.frame.wait_for_selector(".flow-band")
    found = violations(tab)

    tab.frame.click(".switch button:has-text('Missing')")
    missing(tab)
    tab.frame.click("#legend button:has-text('anchor')")
    tab.page.keyboard.type("zebra")
    tab.page.wait_for_timeout(300)
    found += violations(tab)
    tab.press("Escape")
    tab.page.wait_for_timeout(300)
    search_for(tab, "a")
    found += violations(tab)

    assert found == []
    assert tab.errors == []
