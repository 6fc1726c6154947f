"""Neuron cards, opened and waited for."""

from __future__ import annotations

import json
from collections.abc import Callable

from playwright.sync_api import Locator

from tests.browser.tab import Tab

OpenTab = Callable[..., Tab]


def pin(*neurons: int, run: str = "healthy", layer: str = "layer4") -> str:
    return json.dumps([{"run": run, "layer": layer, "neuron": neuron} for neuron in neurons])


def open_cards(open_tab: OpenTab, *pinned: int, **state: object) -> Tab:
    tab = open_tab(layer="layer4", panel="neurons", pinned=pin(*pinned), **state)
    tab.frame.wait_for_selector(".neuron-card .film-step")
    return tab


def card(tab: Tab, neuron: int) -> Locator:
    return tab.frame.locator(f'.neuron-card[data-neuron="{neuron}"]')


def loaded(tab: Tab, neuron: int) -> Locator:
    """The card once its images and neighbours are there."""
    found = card(tab, neuron)
    found.locator(".film .thumb:not(.pending)").first.wait_for()
    tab.until(lambda: found.locator(".film .thumb.pending").count() == 0, "all images are there")
    found.locator("section.relatives .relative").first.wait_for()
    return found
