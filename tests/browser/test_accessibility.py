"""What readers with a keyboard, a screen reader or weak eyes need, by axe-core, and what goes out."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.browser.tab import Tab

OpenTab = Callable[..., Tab]
OPTIONS = {
    "resultTypes": ["violations"],
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"],
}
SERIOUS = {"serious", "critical"}


def violations(tab: Tab) -> list[str]:
    """Serious findings, each with the first elements it is about."""
    found = Axe().run(tab.frame, options=OPTIONS).response["violations"]
    return [
        f"{finding['id']}: {finding['help']}: {[node['html'][:160] for node in finding['nodes'][:4]]}"
        for finding in found
        if finding["impact"] in SERIOUS
    ]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious_in_any_panel(open_tab: OpenTab, theme: str) -> None:
    neuron = '[{"run":"healthy","layer":"layer4","neuron":9}]'
    tab = open_tab(layer="layer4", compare="poor", neuron=3, pinned=neuron)
    if theme == "dark":
        tab.page.evaluate("document.body.classList.add('dark-mode')")
    tab.frame.wait_for_selector("html[data-loaded=true]")

    found = {}
    for panel in ("overview", "neurons", "concepts", "evolutions", "compare"):
        tab.frame.click(f"#tab-{panel}")
        tab.page.wait_for_timeout(600)
        found[panel] = violations(tab)

    assert found == {"overview": [], "neurons": [], "concepts": [], "evolutions": [], "compare": []}
    assert tab.errors == []


def test_nothing_is_asked_of_another_host(open_tab: OpenTab) -> None:
    tab = open_tab()
    ours = urlsplit(tab.page.url).netloc
    asked: list[str] = []
    tab.page.on("request", lambda request: asked.append(request.url))

    tab.page.reload()
    frame = tab.page.wait_for_selector("iframe[src*=conceptmon], iframe", state="attached").content_frame()
    frame.wait_for_selector("html[data-loaded=true]")

    hosts = {urlsplit(url).netloc for url in asked if not url.startswith(("data:", "blob:"))}
    assert hosts == {ours}
    assert len(asked) > 30


def test_the_panels_are_tabs_for_the_keyboard(open_tab: OpenTab) -> None:
    tab = open_tab()

    tab.frame.focus("#tab-overview")
    tab.press("ArrowRight")
    tab.press("ArrowRight")

    assert tab.frame.get_attribute("#tab-concepts", "aria-selected") == "true"
    assert tab.frame.locator("#panel-concepts").is_visible()
    assert not tab.frame.locator("#panel-overview").is_visible()
    assert tab.step == "19", "the arrows of the tabs do not move time"


def test_the_divider_gives_the_panels_more_room_by_mouse_and_keyboard(open_tab: OpenTab) -> None:
    tab = open_tab()
    width = tab.frame.locator("#column").bounding_box()["width"]
    box = tab.frame.locator("#divider").bounding_box()

    tab.page.mouse.move(box["x"] + 4, box["y"] + 200)
    tab.page.mouse.down()
    tab.page.mouse.move(box["x"] - 146, box["y"] + 200)
    tab.page.mouse.up()
    wider = tab.frame.locator("#column").bounding_box()["width"]
    tab.frame.focus("#divider")
    tab.press("ArrowLeft")

    assert wider == pytest.approx(width + 150, abs=6)
    assert tab.frame.locator("#column").bounding_box()["width"] == pytest.approx(wider + 24, abs=2)
    tab.until(lambda: "p.conceptmon.column=" in tab.page.url, "the width is kept in the address")


def test_undo_brings_back_the_filters(open_tab: OpenTab) -> None:
    tab = open_tab(layer="layer4")
    button = tab.frame.locator(".legend-item:has-text('scene')")
    tab.page.wait_for_timeout(600)

    button.click()
    tab.until(lambda: "p.conceptmon.hidden" in tab.page.url, "the filter is in the address")
    tab.press("Control+z")

    tab.until(lambda: button.get_attribute("aria-pressed") == "true", "the category is shown again")
    tab.until(lambda: "p.conceptmon.hidden" not in tab.page.url, "and the address says so")
