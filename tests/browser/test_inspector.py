"""The inspector and the hover card: what they tell of a neuron before its card is open."""

from __future__ import annotations

from collections.abc import Callable

from tests.browser.cards import loaded
from tests.browser.tab import Tab

OpenTab = Callable[..., Tab]


def test_the_inspector_leads_to_the_card(open_tab: OpenTab) -> None:
    tab = open_tab(layer="layer4", neuron=4, step=12)
    tab.frame.get_by_role("button", name="open card").click()

    shown = loaded(tab, 4)
    assert tab.frame.locator("#tab-neurons").get_attribute("aria-selected") == "true"
    tab.press("p")
    tab.frame.wait_for_selector('.neuron-card [aria-label="Unpin neuron 4"]')
    tab.press("t")
    assert shown.locator('[aria-label="Stop tracking neuron 4"]').count() == 1


def test_the_inspector_tells_of_neurons_of_the_second_source(open_tab: OpenTab) -> None:
    tab = open_tab(layer="layer4", compare="poor", step=12)
    tab.frame.wait_for_selector("#map-2 canvas")
    tab.hover_a_neuron("#map")
    box = tab.frame.locator("#map-2 .overlay").bounding_box()
    assert box is not None
    assert "layer4 · healthy" in tab.text("#card .card-source")
    tab.page.mouse.move(box["x"] + 5, box["y"] + 5)
    found = tab.frame.locator("#inspector .tracked-row").last
    found.click()
    assert "layer4 · poor" in tab.text("#inspector h3")
    assert tab.frame.locator("#inspector .barcode rect").count() >= 1


def test_the_hover_card_outlines_patches_and_never_covers_the_pointer(open_tab: OpenTab) -> None:
    tab = open_tab(layer="layer4")
    tab.hover_a_neuron()
    tab.frame.wait_for_selector("#card .thumb .patch")

    covers = tab.frame.evaluate(
        """() => {
            const card = document.querySelector('#card').getBoundingClientRect();
            const ring = document.querySelector('#map .overlay').matches(':hover');
            return [ring, card.left, card.right, card.top, card.bottom];
        }"""
    )
    assert covers[0]
    assert tab.frame.locator("#card .bar-row").count() == 4
