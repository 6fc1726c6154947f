"""The nearest neurons in a card: lit up, opened, counted up, measured otherwise."""

from __future__ import annotations

from collections.abc import Callable

from tests.browser.cards import card, loaded, open_cards
from tests.browser.tab import Tab

OpenTab = Callable[..., Tab]


def test_a_nearest_neuron_lights_up_on_the_map_and_opens(open_tab: OpenTab) -> None:
    tab = open_cards(open_tab, 4)
    other = loaded(tab, 4).locator("section.relatives .relative").first
    number = other.locator(".relative-id").inner_text()

    other.hover()
    tab.frame.wait_for_selector("#card:not([hidden])")
    assert tab.text("#card .card-head b") == f"neuron {number}"
    other.click()
    tab.frame.wait_for_selector(f'.neuron-card.focused[data-neuron="{number}"]')
    assert tab.frame.locator(".neuron-card").first.get_attribute("data-neuron") == number


def test_the_closest_neuron_of_other_runs_is_told_and_opens_though_its_run_is_not_shown(
    open_tab: OpenTab,
) -> None:
    tab = open_cards(open_tab, 4, step=15)
    rows = loaded(tab, 4).locator(".across .relative")
    rows.first.wait_for()
    assert "Numbers mean nothing across runs" in card(tab, 4).inner_text()

    row = rows.filter(has_text="poor").first
    number = row.locator(".relative-id").inner_text()
    row.click()
    foreign = tab.frame.locator(f'.neuron-card.focused[aria-label$="poor"][data-neuron="{number}"]')
    foreign.wait_for()
    foreign.locator(".film .thumb:not(.pending, .missing)").first.wait_for()
    assert foreign.locator(".film-step").count() == 12
    assert "poor" in foreign.locator(".neuron-where").inner_text()
    assert tab.errors == []


def test_the_nearest_neurons_can_be_counted_up_and_selected(open_tab: OpenTab) -> None:
    tab = open_tab(layer="layer4", panel="neurons", neuron=9)
    nearest = tab.frame.locator(".relatives[aria-label='Nearest neurons']")
    tab.until(lambda: nearest.locator("li").count() == 5, "five neighbours")

    nearest.get_by_text("show 25").click()
    tab.until(lambda: nearest.locator("li").count() == 25, "twenty-five")
    nearest.get_by_text("select on the map").click()

    tab.until(lambda: "26 neurons" in tab.text("#caption .chip"), "it and its neighbours are selected")


def test_near_can_mean_distance_instead_of_cosine(open_tab: OpenTab) -> None:
    tab = open_tab(layer="layer4", panel="neurons", neuron=9)
    nearest = tab.frame.locator(".relatives[aria-label='Nearest neurons']")
    values = nearest.locator(".relative-cosine")
    tab.until(lambda: values.count() == 5, "five neighbours")
    cosines = [float(text) for text in values.all_inner_texts()]

    nearest.get_by_role("button", name="cosine").click()
    tab.until(lambda: nearest.get_by_role("button", name="euclidean").count() == 1, "the other metric")
    distances = [float(text) for text in values.all_inner_texts()]

    assert cosines == sorted(cosines, reverse=True)
    assert distances == sorted(distances)
    assert distances != cosines
