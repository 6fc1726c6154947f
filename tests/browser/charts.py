"""What a reader reads off the charts, and what the plugin exports."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Locator

from tests.browser.tab import Tab
from tests.servers import TensorBoardServer


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
