"""The panel of evolutions: a class, two steps, and which neurons' change matters, as a reader uses it."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from urllib.parse import parse_qsl, urlsplit

from tests.browser.concepts import ask
from tests.browser.conftest import HOSTILE, make_evolutions, write_evolutions
from tests.browser.sharing import save
from tests.browser.tab import Tab
from tests.servers import TensorBoardServer

OpenTab = Callable[..., Tab]
Row = tuple[int, str, int, float]
PANEL = "#panel-evolutions"
ROWS = f"{PANEL} .grid-body .grid-row"
TABLE = make_evolutions((5, 19))


def open_evolutions(open_tab: OpenTab, **state: object) -> Tab:
    """Open the panel with its rows there."""
    tab = open_tab(panel="evolutions", **{"layer": "layer4", **state})
    tab.frame.wait_for_selector("html[data-loaded=true]")
    tab.frame.wait_for_selector(ROWS)
    return tab


def rows(tab: Tab) -> list[Row]:
    """Rank, layer, neuron and score of the rows in the page, in their order."""
    found: list[list[str]] = tab.frame.evaluate(
        f"""[...document.querySelectorAll('{ROWS}')]
            .sort((a, b) => a.ariaRowIndex - b.ariaRowIndex)
            .map((row) => [row.children[0], ...row.querySelectorAll('.evolution-name > *, .bar-value')])
            .map((parts) => parts.map((part) => part.innerText.trim()))"""
    )
    return [(int(rank), layer, int(neuron), float(score)) for rank, layer, neuron, score in found]


def expected(name: str, layer: str | None = None, *, least: bool = False) -> list[Row]:
    """The same from the table itself."""
    whole = TABLE.ranked(name, layer)
    ranked = list(enumerate(whole, 1))
    return [
        (rank, row.layer, row.neuron, round(row.score + 1e-9, 2))
        for rank, row in (ranked[::-1] if least else ranked)
    ]


def kept(tab: Tab) -> dict[str, str]:
    """What the address keeps of the view, once it has settled."""
    tab.page.wait_for_timeout(450)
    parts = parse_qsl(urlsplit(tab.page.url).fragment, keep_blank_values=True)
    return {name.removeprefix("p.conceptmon."): value for name, value in parts}


def same(shown: list[Row], wanted: list[Row]) -> bool:
    """Whether what is in the page is the beginning of a ranking; scores are written with two digits."""
    near = [abs(a[3] - b[3]) < 0.011 for a, b in zip(shown, wanted, strict=False)]
    return len(shown) > 5 and all(near) and [a[:3] for a in shown] == [b[:3] for b in wanted[: len(shown)]]


def test_evolutions_are_ranked_and_told_before_and_after(open_tab: OpenTab) -> None:
    tab = open_evolutions(open_tab)

    assert same(rows(tab), expected("dog"))
    _, layer, neuron, _ = rows(tab)[0]
    first = tab.frame.locator(ROWS).first
    for place, step in enumerate((5, 19)):
        cell = first.locator(".evolution-moment").nth(place)
        told = ask(tab, "neuron", ("layer", layer), ("neuron", str(neuron)), ("step", str(step)))
        (entry,) = (entry for entry in told["history"] if entry["step"] == step)
        word = entry["word"] if entry["interpretable"] else "no clear concept"
        assert cell.locator(".evolution-word").inner_text().strip() == word
        images = cell.locator(".thumb").all()
        assert [image.get_attribute("aria-label").split(",")[0] for image in images] == [
            f"probe image {image}" for image in told["top_images"][: len(images)]
        ]
    assert first.locator(".evolution-moment").nth(0).locator(".thumb .patch").count() == 3
    assert "before: step 5" in tab.text(f"{PANEL} .grid-head")
    assert tab.errors == []


def test_class_steps_layer_and_order_are_chosen_and_kept_in_the_address(open_tab: OpenTab) -> None:
    tab = open_evolutions(open_tab)

    tab.frame.click("#class-picker > button")
    tab.page.keyboard.type("class 77")
    tab.press("Enter")
    tab.until(lambda: same(rows(tab), expected("class 77")), "the class found by typing")
    tab.frame.get_by_role("radio", name="Least").click()
    tab.until(lambda: same(rows(tab), expected("class 77", least=True)), "the least important first")
    tab.frame.get_by_label("Layer of the ranking").select_option("layer3")
    tab.until(lambda: same(rows(tab), expected("class 77", "layer3", least=True)), "one layer alone")
    assert {"class": "class 77", "order": "least", "evolayer": "layer3"}.items() <= kept(tab).items()

    tab.frame.click("#pair-picker > button")
    tab.press("ArrowDown")
    tab.press("Enter")
    tab.until(lambda: "after: step 5" in tab.text(f"{PANEL} .grid-head"), "the other pair")
    assert kept(tab)["pair"] == "0,5"

    other = open_evolutions(open_tab, pair="5,19", **{"class": "cat", "order": "least", "evolayer": "layer4"})
    assert same(rows(other), expected("cat", "layer4", least=True))


def test_a_row_shows_its_neuron_in_all_views(open_tab: OpenTab) -> None:
    tab = open_evolutions(open_tab, **{"layer": "layer4", "class": "boat"})
    ranked = rows(tab)
    here = next(i for i, row in enumerate(ranked) if row[1] == "layer4")
    other = next(i for i, row in enumerate(ranked) if row[1] == "layer3")

    assert tab.frame.locator(".evolution-end").count() == 2
    tab.frame.locator(ROWS).nth(here).click()
    assert kept(tab)["neuron"] == str(ranked[here][2])
    assert tab.frame.locator(f"{ROWS}[aria-selected=true]").count() == 1
    tab.frame.wait_for_selector("#map .evolution-way circle", state="attached")
    assert f"number {ranked[here][0]} of 384" in tab.text(".evolutions-told")

    tab.frame.focus(f"{PANEL} .grid-table")
    for _ in range(abs(other - here)):
        tab.press("ArrowDown" if other > here else "ArrowUp")
    tab.press("Enter")
    tab.frame.wait_for_selector('#map[data-layer="layer3"]')
    assert {"layer": "layer3", "neuron": str(ranked[other][2])}.items() <= kept(tab).items()
    assert tab.step == "19", "the arrows of the ranking do not move time"

    tab.frame.get_by_role("button", name="before: step 5").click()
    tab.until(lambda: tab.step == "5", "the heading goes to its step")
    tab.frame.get_by_role("button", name="open card").click()
    tab.frame.wait_for_selector(f'.neuron-card[data-neuron="{ranked[other][2]}"]')
    marks = (".neuron-card .evolution-tick", ".evolution-end", "#map .evolution-way circle")
    tab.until(
        lambda: [tab.frame.locator(mark).count() for mark in marks] == [2, 2, 1], "card, time line and map"
    )
    tab.press("Escape")
    tab.until(lambda: [tab.frame.locator(mark).count() for mark in marks] == [0, 0, 0], "nothing is marked")
    assert tab.errors == []


def test_more_evolutions_are_listed_on_demand_and_all_of_them_are_saved(open_tab: OpenTab) -> None:
    tab = open_evolutions(open_tab, **{"class": "cat", "evolayer": "layer4"})

    tab.frame.get_by_role("button", name="show 200").click()
    tab.frame.wait_for_selector(f"{PANEL} .grid-table[aria-rowcount='201']")
    assert "200 of 256 neurons" in tab.text(".evolutions-told")
    tab.frame.focus(f"{PANEL} .grid-table")
    tab.press("End")
    tab.until(lambda: rows(tab)[-1][:3] == expected("cat", "layer4")[199][:3], "the last of them")

    name, content = save(tab, "Evolutions (CSV)")
    table = list(csv.DictReader(io.StringIO(content.decode())))
    assert name == "evolutions_healthy_step5-to-19_cat_layer4.csv"
    assert [(int(row["rank"]), row["layer"], int(row["neuron"])) for row in table] == [
        row[:3] for row in expected("cat", "layer4")[:200]
    ]
    constant = ("run", "from_step", "to_step", "class", "images")
    assert {tuple(row[name] for name in constant) for row in table} == {("healthy", "5", "19", "cat", "9")}
    assert all(row["after_word"] for row in table if row["after_interpretable"] == "True")


def test_a_run_without_tables_tells_the_lines_until_one_arrives(
    open_tab: OpenTab, server: TensorBoardServer
) -> None:
    tab = open_tab(run="poor", panel="evolutions")

    tab.frame.wait_for_selector(".evolutions-empty pre")
    lines = tab.text(".evolutions-empty pre")
    compile(lines, "the lines", "exec")
    assert "cm.important_evolutions(" in lines
    assert "writer.add_evolutions(table)" in lines

    write_evolutions(server.logdir / "poor", make_evolutions((3, 7)))
    tab.until(lambda: tab.frame.locator(ROWS).count() > 5, "the table is shown", 30)
    assert tab.frame.locator(".evolutions-empty").is_hidden()
    assert "3 → 7" in tab.text("#pair-picker > button")
    assert tab.errors == []


def test_names_from_a_strangers_table_stay_text_and_inside(open_tab: OpenTab) -> None:
    tab = open_evolutions(open_tab, run=HOSTILE)

    assert HOSTILE in tab.text("#class-picker > button")
    tab.frame.get_by_label("Layer of the ranking").select_option(HOSTILE)
    tab.until(lambda: tab.frame.locator(ROWS).count() == 5, "the layer that the run has not logged")
    assert tab.frame.locator(".evolution-moment").first.inner_text() == "not in the log"
    tab.frame.locator(ROWS).first.click()
    assert "no concepts of <img" in tab.text(".evolutions-told")
    tab.frame.click("#class-picker > button")
    tab.frame.get_by_role("option", name="constructor").click()
    tab.until(lambda: "constructor" in tab.text("#class-picker > button"), "a class of any name")

    assert tab.frame.locator("img").count() == 0
    assert tab.page.evaluate("window.hacked") is None
    sizes = tab.frame.locator(PANEL).evaluate("panel => [panel.scrollWidth, panel.clientWidth]")
    assert sizes[0] <= sizes[1]
    assert tab.errors == []


def test_a_table_that_cannot_be_used_says_why(open_tab: OpenTab) -> None:
    tab = open_tab(run="damaged", panel="evolutions")

    tab.frame.wait_for_selector(f"{PANEL} [role=alert]")
    assert "checksum mismatch" in tab.text(f"{PANEL} [role=alert]")
    tab.frame.get_by_role("button", name="try again").click()
    tab.until(lambda: "checksum mismatch" in tab.text(f"{PANEL} [role=alert]"), "it still cannot")


def test_nothing_is_cut_off_in_a_small_window(open_tab: OpenTab) -> None:
    tab = open_evolutions(open_tab)
    tab.page.set_viewport_size({"width": 1024, "height": 700})
    tab.page.wait_for_timeout(300)

    outside = tab.frame.evaluate(
        """[...document.querySelectorAll('#panels button, #panel-evolutions *')]
            .filter((element) => element.getBoundingClientRect().right > innerWidth + 1).length"""
    )
    assert outside == 0
    assert tab.frame.locator(ROWS).first.locator(".evolution-moment").first.locator(".thumb").count() == 2
