"""Sharing: links and tables that a reader takes away are opened again and compared with what was shown."""

from __future__ import annotations

import csv
import io
import json
import math
import urllib.request
from collections import Counter
from collections.abc import Callable
from urllib.parse import quote

import pytest
from playwright.sync_api import Page

from tests.browser.sharing import choose, copied_link, exported, message, open_menu, save
from tests.browser.tab import Tab
from tests.servers import TensorBoardServer

OpenTab = Callable[..., Tab]


def test_the_menu_opens_moves_and_closes_by_keys(open_tab: OpenTab) -> None:
    tab = open_tab(step=7)
    tab.until(lambda: tab.step == "7", "the address's step is shown")
    focused = "document.activeElement.textContent.trim()"

    tab.frame.focus(".share-button")
    tab.press("Enter")
    first = tab.frame.evaluate(focused)
    tab.press("ArrowDown")
    second = tab.frame.evaluate(focused)
    tab.press("End")
    last = tab.frame.evaluate(focused)
    tab.press("Escape")

    assert first.startswith("Copy link")
    assert len({first, second, last}) == 3
    assert tab.frame.locator("#share-menu").count() == 0
    assert tab.frame.evaluate(focused) == "Share"
    assert tab.step == "7"
    assert tab.errors == []


def test_a_click_elsewhere_closes_the_menu(open_tab: OpenTab) -> None:
    tab = open_tab()

    open_menu(tab)
    tab.frame.click("#top .brand")

    tab.until(lambda: tab.frame.locator("#share-menu").count() == 0, "the menu is closed")


def test_a_copied_link_shows_the_same_view_to_somebody_else(open_tab: OpenTab, page: Page) -> None:
    state: dict[str, object] = {
        "layer": "layer4",
        "step": 7,
        "compare": "poor",
        "camera": "2,-300,-200",
        "hidden": '["texture"]',
        "selection": '[["healthy","layer4","3-5.9"]]',
        "threshold": "0.2",
        "color": "similarity",
        "anchors": '["garden","dog"]',
        "panel": "concepts",
        "axis": "epoch",
        "range": "[2,12]",
        "tracked": "4.8",
        "neuron": 8,
        "trackedToo": '[["poor","layer4","1.3-4"]]',
        "speed": "2",
        "loop": "1",
        "trails": "0",
    }
    tab = open_tab(**state)
    tab.until(lambda: tab.step == "7", "the address's step is shown")

    link = copied_link(tab)
    other = page.context.new_page()
    other.goto(link)
    element = other.wait_for_selector("iframe", state="attached")
    frame = element.content_frame() if element else None
    assert frame is not None
    frame.wait_for_selector("#map[data-layer]")
    seen = Tab(other, frame, [])
    seen.until(lambda: seen.step == "7", "the link's step is shown")

    for name, value in state.items():
        if name != "step":
            assert f"p.conceptmon.{name}={quote(str(value), safe='')}" in link.replace("!", "%21"), name
    assert copied_link(seen) == link


def test_a_link_that_would_be_too_long_leaves_the_selection_out_and_tells(open_tab: OpenTab) -> None:
    scattered = ".".join(str(2 * i) for i in range(2400))
    tab = open_tab(layer="layer4", selection=f'[["healthy","layer4","{scattered}"]]', hidden='["texture"]')

    link = copied_link(tab)

    assert "selection" in message(tab)
    assert "p.conceptmon.selection" not in link
    assert "p.conceptmon.hidden" in link
    assert len(link) < 8000


@pytest.mark.parametrize("size", [(1440, 900), (1024, 700)])
def test_a_link_shows_the_same_place_in_any_window(
    open_tab: OpenTab, server: TensorBoardServer, size: tuple[int, int]
) -> None:
    with urllib.request.urlopen(
        f"{server.url}data/plugin/conceptmon/anchor?run=healthy&word=garden"
    ) as answer:
        x, y = json.loads(answer.read())["position"]

    tab = open_tab(layer="layer4", camera=f"3,{x},{y}")
    tab.page.set_viewport_size({"width": size[0], "height": size[1]})
    tab.page.reload()
    frame = tab.page.wait_for_selector("iframe", state="attached").content_frame()
    frame.wait_for_selector("html[data-loaded=true]")
    tab.page.wait_for_timeout(500)

    star = frame.locator("#map .stars path", has=frame.locator("title", has_text="garden")).bounding_box()
    well = frame.locator("#map").bounding_box()
    assert star["x"] + star["width"] / 2 == pytest.approx(well["x"] + well["width"] / 2, abs=6)
    assert star["y"] + star["height"] / 2 == pytest.approx(well["y"] + well["height"] / 2, abs=6)


@pytest.mark.parametrize("step", [7, 19])
def test_the_table_has_the_numbers_of_the_route_export(
    open_tab: OpenTab, server: TensorBoardServer, step: int
) -> None:
    tab = open_tab(layer="layer4", step=step)
    tab.until(lambda: tab.step == str(step), "the address's step is shown")

    name, content = save(tab, "Table (CSV)")

    rows = list(csv.DictReader(io.StringIO(content.decode())))
    expected = list(csv.DictReader(io.StringIO(exported(server, "healthy", "layer4", step, "csv"))))
    assert name == f"concepts_healthy_layer4_step{step}.csv"
    assert [{key: row[key] for key in expected[0]} for row in rows] == expected
    assert all(float(row["threshold"]) > 0 for row in rows)


def test_the_json_table_is_typed_and_says_what_it_is_of(open_tab: OpenTab, server: TensorBoardServer) -> None:
    tab = open_tab(layer="layer4", step=7)
    tab.until(lambda: tab.step == "7", "the address's step is shown")

    _, content = save(tab, "Table (JSON)")

    table = json.loads(content)
    expected = json.loads(exported(server, "healthy", "layer4", 7, "json"))["neurons"]
    assert table["sources"][0]["run"] == "healthy"
    assert table["columns"][:4] == ["run", "layer", "step", "neuron"]
    assert len(table["neurons"]) == len(expected)
    for row, wanted in zip(table["neurons"], expected, strict=True):
        for key, value in wanted.items():
            if isinstance(value, float):
                assert math.isclose(row[key], value, rel_tol=1e-6)
            else:
                assert row[key] == value


def test_the_table_of_concepts_counts_what_the_neurons_detect(
    open_tab: OpenTab, server: TensorBoardServer
) -> None:
    tab = open_tab(layer="layer4", step=15, hidden='["scene"]')
    tab.frame.wait_for_selector("html[data-loaded=true]")

    name, content = save(tab, "Concepts (CSV)")

    neurons = csv.DictReader(io.StringIO(exported(server, "healthy", "layer4", 15, "csv")))
    shown = [row for row in neurons if row["interpretable"] == "True" and row["category"] != "scene"]
    rows = list(csv.DictReader(io.StringIO(content.decode())))
    counts = [int(row["neurons"]) for row in rows]
    assert name == "concept-counts_healthy_layer4_step15.csv"
    named = {row["concept"]: count for row, count in zip(rows, counts, strict=True) if count}
    assert named == Counter(row["word"] for row in shown)
    assert counts == sorted(counts, reverse=True)


def test_the_table_can_leave_out_what_selection_and_filters_dim(open_tab: OpenTab) -> None:
    tab = open_tab(layer="layer4", step=19, selection='[["healthy","layer4","3-5.9"]]', threshold="0.2")

    choose(tab, "not dimmed", role="menuitemcheckbox")
    _, content = save(tab, "Table (JSON)")

    table = json.loads(content)
    assert [row["neuron"] for row in table["neurons"]] == [3, 4, 5, 9]
    assert all(row["threshold"] == pytest.approx(0.2) for row in table["neurons"])
    assert all(row["interpretable"] == (row["similarity"] > 0.2) for row in table["neurons"])
    assert table["threshold_set_by_reader"] is True


def test_a_card_open_in_the_run_compared_with_is_in_the_link(open_tab: OpenTab) -> None:
    focus = '{"run":"poor","layer":"layer4","neuron":5}'
    tab = open_tab(layer="layer4", compare="poor", focus=focus)

    link = copied_link(tab)

    assert f"p.conceptmon.focus={quote(focus, safe='')}" in link
    assert "p.conceptmon.neuron" not in link
