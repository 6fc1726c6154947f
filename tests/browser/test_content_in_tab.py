"""A stranger's log in the tab, in a real browser: no script runs, every view opens, and nothing bursts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, ViewportSize

from tests.browser.conftest import Window
from tests.browser.sharing import choose, save
from tests.browser.tab import Tab
from tests.reliability.attacks import EMBEDDINGS, HARMLESS, PAGES, SPACES
from tests.reliability.hostile import NAMES, TEXTS, WHOLE, write_attacked, write_hostile_content
from tests.reliability.notes import Note
from tests.servers import TensorBoardServer

WORDS, NAMED, PAGE = "words", "layers", "page"
LAYERS = {"plain": len(TEXTS), "second": 5}
SIZE: ViewportSize = {"width": 1280, "height": 800}
STATIC = Path(__file__).parents[2] / "plugin_static"
LOOK = (Path(__file__).parent / "look.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TensorBoardServer]:
    top = tmp_path_factory.mktemp("hostile")
    write_hostile_content(top / WORDS, LAYERS)
    write_hostile_content(top / NAMED, dict.fromkeys(WHOLE.values(), 6), epochs=2)
    for text in NAMES.values():
        write_attacked(top / text, "none", lambda value: None, layers={"plain": 12})
    write_attacked(top / "no space", "concepts/space/definition", SPACES["words that are numbers"])
    write_attacked(top / "strange", "concepts/victim/neurons", HARMLESS["NaN and infinite places"][1])
    write_attacked(top / "no neighbours", "concepts/victim/embedding", EMBEDDINGS["an unknown codec"])
    write_attacked(
        top / PAGE, "concepts/space/images", PAGES["an SVG with a script"], every_epoch=True, layers=LAYERS
    )
    with TensorBoardServer(top) as tensorboard:
        tensorboard.wait_for(lambda: len(tensorboard.runs()) == len(NAMES) + 6)
        yield tensorboard


class WatchedWindow(Window):
    """A window whose pages look for harm from their beginning on."""

    @property
    def page(self) -> Page:
        """The page, opened when first asked for."""
        is_new = self._page is None
        page = super().page
        if is_new:
            page.context.add_init_script(LOOK)
        return page


@pytest.fixture(scope="module")
def window(browser: Browser) -> Iterator[Window]:
    window = WatchedWindow(browser)
    yield window
    window.close()


class Watch:
    """What the browser asks for, and what it was made to show, since this began."""

    def __init__(self, page: Page, server: TensorBoardServer) -> None:
        self.page = page
        self.foreign: list[str] = []
        self.dialogs: list[str] = []
        own = (server.url, "data:", "blob:", "about:")
        page.on("request", lambda r: None if r.url.startswith(own) else self.foreign.append(r.url))
        page.on("dialog", lambda dialog: (self.dialogs.append(dialog.message), dialog.dismiss()))

    def nothing_happened(self, tab: Tab) -> None:
        """Assert that no script of the log ran or was tried, and that all text keeps to its place."""
        assert tab.frame.evaluate("lookForHarm()") == []
        assert self.page.evaluate("window.hacked") is None
        assert (self.foreign, self.dialogs, tab.errors) == ([], [], [])


@pytest.fixture
def watch(page: Page, server: TensorBoardServer) -> Watch:
    page.set_viewport_size(SIZE)
    return Watch(page, server)


VIEWS: list[dict[str, Any]] = [
    {"panel": "overview", "bars": "layers", "folded": "none", "axis": "scalar:" + TEXTS["markup"]},
    {"panel": "neurons", "neuron": 1, "pinned": '[{"run":"words","layer":"plain","neuron":2}]'},
    {"panel": "neurons", "neuron": 3, "cards": "figure", "contours": "1", "ghost": "1", "color": "concept"},
    {"panel": "concepts", "concepts": "table", "concept": TEXTS["a formula"]},
    {"panel": "concepts", "concepts": "flow", "flow": "concept"},
    {"panel": "concepts", "concepts": "missing", "among": "concepts"},
    {"panel": "evolutions", "pair": "0,2", "class": TEXTS["the end of a script"], "evolayer": "plain"},
    {
        "panel": "compare",
        "compare": "constructor:plain,__proto__:plain,layers:..%2F..%2F..%2F..%2Fetc%2Fpasswd",
    },
]


def test_every_view_of_a_hostile_run_opens_and_no_script_runs(
    server: TensorBoardServer, page: Page, watch: Watch, reliability: Note
) -> None:
    for view in VIEWS:
        tab = Tab.open(page, server.url, run=WORDS, layer="plain", **view)
        page.wait_for_timeout(400)
        watch.nothing_happened(tab)
    reliability(area="content", tried="views of a run in which all text is hostile", count=len(VIEWS))


def test_menus_cards_and_searches_of_a_hostile_run_show_text(
    server: TensorBoardServer, page: Page, watch: Watch, reliability: Note
) -> None:
    tab = Tab.open(page, server.url, run=WORDS, layer="plain", panel="neurons")
    _hover_any_neuron(tab)
    watch.nothing_happened(tab)
    for typed in ("img", "long", "half", "__proto__", "\u05e9"):
        tab.frame.fill(".search input", typed)
        page.wait_for_timeout(250)
        watch.nothing_happened(tab)
    tab.press("Escape")
    tab.frame.click(".runs summary")
    page.wait_for_timeout(300)
    watch.nothing_happened(tab)
    tab.press("Escape")
    reliability(area="content", tried="menus, cards and searches", count=7)


def _hover_any_neuron(tab: Tab) -> None:
    """Move the pointer over the map until it meets a neuron, whatever colour it has."""
    box = tab.frame.locator("#map .overlay").bounding_box()
    assert box is not None
    for y in range(180, int(box["height"]) - 140, 24):
        for x in range(60, int(box["width"]) - 60, 24):
            tab.page.mouse.move(box["x"] + x, box["y"] + y)
            if tab.frame.locator("#card:not([hidden])").count():
                return
    raise AssertionError("no neuron on the map")


def test_names_of_runs_and_layers_are_text_and_cut_where_they_are_long(
    server: TensorBoardServer, page: Page, watch: Watch, reliability: Note
) -> None:
    tab = Tab.open(page, server.url, run=NAMED, layer="constructor", bars="layers")
    tab.frame.click(".runs summary")
    listed = tab.frame.locator(".run-menu .menu-main[title]")
    tab.until(lambda: listed.count() == len(NAMES) + 6, "all runs are listed")
    watch.nothing_happened(tab)
    layers = tab.frame.locator("select[aria-label=Layer] option")
    values = layers.evaluate_all("(options) => options.map(({value}) => value)")
    assert sorted(values) == sorted(WHOLE.values())
    for name in ("__proto__", TEXTS["NUL"], TEXTS["an override of direction"], TEXTS["10 kB"]):
        tab.frame.select_option("select[aria-label=Layer]", value=name)
        _wait_for_layer(tab, name)
        watch.nothing_happened(tab)
    chosen = tab.frame.locator("select[aria-label=Layer]").bounding_box()
    assert chosen is not None
    assert chosen["width"] < 200
    tab = Tab.open(page, server.url, run=WORDS, layer="plain", compare=NAMED + ":" + TEXTS["10 kB"])
    headings = tab.frame.locator(".map-name h2")
    tab.until(lambda: headings.count() >= 1, "names over the maps")
    cut = "(all) => all.map((e) => [e.getBoundingClientRect().width < 500, getComputedStyle(e).textOverflow])"
    assert {str(one) for one in headings.evaluate_all(cut)} == {str([True, "ellipsis"])}
    watch.nothing_happened(tab)
    for text in ("a path upwards", "markup", "the end of a script", "text from right to left"):
        name = Path(NAMES.get(text, "constructor")).as_posix()
        tab = Tab.open(page, server.url, run=name)
        watch.nothing_happened(tab)
        assert tab.frame.get_attribute("#map", "data-layer") == "plain"
    reliability(area="content", tried="names of runs and layers in the tab", count=len(NAMES) + len(WHOLE))


def _wait_for_layer(tab: Tab, name: str) -> None:
    tab.until(lambda: tab.frame.get_attribute("#map", "data-layer") == name, "the layer is shown")


def test_the_address_brings_back_a_hostile_concept(
    server: TensorBoardServer, page: Page, watch: Watch, reliability: Note
) -> None:
    for name in ("markup", "quotes"):
        tab = Tab.open(page, server.url, run=WORDS, layer="plain", concept=TEXTS[name], neuron=2)
        _step_back(tab)
        watch.nothing_happened(tab)
        assert page.url.startswith(server.url)
        assert "<" not in page.url
        assert tab.frame.locator(".chip").count() == 1
    reliability(area="content", tried="addresses of views", count=2)


KEPT = r"\bkeep\('([A-Za-z]+)'"
STRANGE = ("-1", TEXTS["markup"], '[{"run":{"toString":1},"layer":[],"neuron":"x"}]')


def test_an_address_made_by_a_stranger_opens_the_tab_and_nothing_else(
    server: TensorBoardServer, page: Page, watch: Watch, reliability: Note
) -> None:
    sources = (
        path.read_text(encoding="utf-8") for path in STATIC.rglob("*.js") if "vendor" not in path.parts
    )
    kept = {name for text in sources for name in re.findall(KEPT, text)} - {"run", "layer"}
    assert len(kept) > 45
    for value in STRANGE:
        tab = Tab.open(page, server.url, run=WORDS, layer="plain", **dict.fromkeys(kept, value))
        page.wait_for_timeout(300)
        watch.nothing_happened(tab)
        assert tab.frame.get_attribute("#map", "data-layer") == "plain"
    tried = "addresses in which every part of the view is something else"
    reliability(area="content", tried=tried, count=len(STRANGE) * len(kept))


def _step_back(tab: Tab) -> None:
    tab.press("ArrowLeft")
    tab.until(lambda: "p.conceptmon.step=1" in tab.page.url, "the address follows")


def test_saved_files_run_nothing_of_the_log(
    server: TensorBoardServer, page: Page, watch: Watch, tmp_path: Path, reliability: Note
) -> None:
    tab = Tab.open(page, server.url, run=WORDS, layer="plain", tracked="1.2")
    saved = [save(tab, label) for label in ("SVG", "Figure", "Table", "Animation")]
    names = [name for name, _ in saved]
    assert [re.fullmatch(r"[\w.-]+", name) is not None for name in names] == [True] * len(saved), names
    for name, content in saved:
        (tmp_path / name).write_bytes(content)
        content.decode("utf-8")
    watch.nothing_happened(tab)
    for name in names:
        if not name.endswith((".svg", ".html")):
            continue
        other = page.context.new_page()
        seen = Watch(other, server)
        seen.foreign.clear()
        other.goto((tmp_path / name).as_uri())
        other.wait_for_timeout(400)
        assert other.evaluate("lookForHarm(true)") == []
        assert [url for url in seen.foreign if not url.startswith("file:")] == []
        assert seen.dialogs == []
        other.close()
    choose(tab, "Copy link")
    reliability(area="content", tried="saved SVG, figure, table and HTML file", count=len(saved))


def test_images_of_a_refused_page_are_marked_in_their_place(
    server: TensorBoardServer, page: Page, watch: Watch, reliability: Note
) -> None:
    tab = Tab.open(page, server.url, run=PAGE, layer="plain", panel="neurons", neuron=1)
    marks = tab.frame.locator(".neuron-card .thumb.missing")
    tab.until(lambda: marks.count() > 0, "marks in the place of images")
    assert "its page cannot be shown" in (marks.first.get_attribute("title") or "")
    tab.until(lambda: tab.frame.locator("#caption [data-notice=skipped]").count() == 1, "the notice", 15)
    assert "an SVG" not in tab.text("#caption")
    watch.nothing_happened(tab)
    reliability(area="content", tried="image pages that are no pages, in the tab: marked in place", count=1)


@pytest.mark.parametrize("run", ["no space", "strange", "no neighbours"])
def test_what_is_whole_of_a_damaged_run_is_shown(
    server: TensorBoardServer, page: Page, watch: Watch, run: str, reliability: Note
) -> None:
    for panel in ("neurons", "concepts"):
        tab = Tab.open(page, server.url, run=run, layer="victim", panel=panel, neuron=1)
        page.wait_for_timeout(300)
        tab.messages[:] = [text for text in tab.messages if "404" not in text]
        watch.nothing_happened(tab)
        assert tab.text(".run-name") == run
    if run == "no space":
        tab.until(lambda: tab.frame.locator("#caption [data-notice=skipped]").count() == 1, "a mark", 15)
    reliability(area="payloads", tried="damaged runs in the tab: what is whole is shown", count=2)
