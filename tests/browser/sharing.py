"""What a reader does in the menu Share."""

from __future__ import annotations

import urllib.request
from urllib.parse import quote

from tests.browser.tab import Tab
from tests.servers import TensorBoardServer


def open_menu(tab: Tab) -> None:
    """Open the Share menu with the mouse."""
    tab.frame.click(".share-button")
    tab.frame.wait_for_selector("#share-menu")


def choose(tab: Tab, label: str, role: str = "menuitem") -> None:
    """Choose an entry of the menu, which is opened where it is not."""
    if not tab.frame.locator("#share-menu").count():
        open_menu(tab)
    tab.frame.locator(f"#share-menu [role={role}]", has_text=label).first.click()


def save(tab: Tab, label: str, seconds: float = 20) -> tuple[str, bytes]:
    """Choose what gives a file; returns its name and content."""
    with tab.page.expect_download(timeout=seconds * 1000) as download:
        choose(tab, label)
    return download.value.suggested_filename, download.value.path().read_bytes()


def message(tab: Tab) -> str:
    """What the tab told last about sharing."""
    return tab.text(".share-told")


def copied_link(tab: Tab) -> str:
    """The link that the menu puts on the clipboard."""
    tab.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    choose(tab, "Copy link")
    tab.until(lambda: "copied" in message(tab), "the link is copied")
    return str(tab.frame.evaluate("navigator.clipboard.readText()"))


def exported(server: TensorBoardServer, run: str, layer: str, step: int, format_: str) -> str:
    """The table of the route `export`."""
    query = f"run={quote(run)}&layer={layer}&step={step}&format={format_}"
    with urllib.request.urlopen(f"{server.url}data/plugin/conceptmon/export?{query}") as answer:
        return str(answer.read().decode())
