"""The panel's table of concepts, as a reader uses it."""

from __future__ import annotations

from collections.abc import Callable

from tests.browser.concepts import ROWS, open_concepts, plain_counts, selected
from tests.browser.tab import Tab

OpenTab = Callable[..., Tab]


def table(tab: Tab) -> list[list[str]]:
    """Texts of the rows in sight: concept, one count for each layer, change, first step."""
    rows: list[list[str]] = tab.frame.evaluate(
        f"""[...document.querySelectorAll('{ROWS}')]
            .sort((a, b) => a.ariaRowIndex - b.ariaRowIndex)
            .map((row) => [...row.children].slice(0, -1))
            .map((cells) => cells.map((cell) => cell.innerText.split(',')[0].trim()))"""
    )
    return rows


def test_the_table_counts_the_neurons_of_every_concept_and_layer(open_tab: OpenTab) -> None:
    tab = open_concepts(open_tab, step=12)
    expected = {layer: plain_counts(tab, layer, 12) for layer in ("layer2", "layer3", "layer4")}
    at_first = plain_counts(tab, "layer4", 0)
    tab.until(lambda: not any("–" in row for row in table(tab)), "the counts of the other layers")

    rows = table(tab)

    assert len(rows) > 10
    for word, *counts, change, _ in rows:
        assert [int(count) for count in counts] == [layer.get(word, 0) for layer in expected.values()], word
        assert int(change.replace("\u2212", "-")) == expected["layer4"].get(word, 0) - at_first.get(word, 0)
    shown = [int(row[3]) for row in rows]
    assert shown == sorted(shown, reverse=True)


def test_a_row_selects_its_neurons_and_says_how_many(open_tab: OpenTab) -> None:
    tab = open_concepts(open_tab, step=19)
    first, second = table(tab)[:2]

    tab.frame.locator(ROWS).nth(0).click()
    one = selected(tab)
    assert tab.text("#caption .chip").startswith(f"{first[0]} – {first[3]} neurons")
    tab.frame.locator(ROWS).nth(1).click(modifiers=["Control"])
    both = selected(tab)

    assert len(one) == int(first[3])
    assert one < both
    assert len(both) == int(first[3]) + int(second[3])
    assert tab.frame.locator(f"{ROWS}[aria-selected=true]").count() == 2


def test_a_concept_under_the_pointer_is_brought_out_on_the_map(open_tab: OpenTab) -> None:
    tab = open_concepts(open_tab, step=19)
    # Scenes are slot 1; every other category fades while a scene is pointed at.
    before = tab.canvas_colors().get(tab.color("--slot-0"), 0)

    tab.frame.locator(f"{ROWS}:has(.slot-1)").first.hover()
    tab.page.wait_for_timeout(500)
    during = tab.canvas_colors().get(tab.color("--slot-0"), 0)
    tab.frame.hover(".brand")
    tab.page.wait_for_timeout(500)

    assert before > 300
    assert during < before / 4
    assert tab.canvas_colors().get(tab.color("--slot-0"), 0) > before / 2


def test_columns_sort_and_tell_screen_readers(open_tab: OpenTab) -> None:
    tab = open_concepts(open_tab, step=12)
    header = "[role=columnheader]:has-text('concept')"

    tab.frame.click(f"{header} button")
    words = [row[0] for row in table(tab)]

    assert tab.frame.get_attribute(header, "aria-sort") == "ascending"
    assert words == sorted(words, key=str.lower)
    tab.frame.click(f"{header} button")
    assert tab.frame.get_attribute(header, "aria-sort") == "descending"
    assert table(tab)[0][0] != words[0]


def test_filters_are_the_words_typed_and_the_categories_of_the_map(open_tab: OpenTab) -> None:
    tab = open_concepts(open_tab, step=19)

    tab.frame.fill(".find input", "ar")
    assert all("ar" in row[0] for row in table(tab))
    tab.frame.fill(".find input", "")
    tab.frame.click(".concepts-categories button:has-text('scene')")

    assert tab.frame.get_attribute("#legend button:has-text('scene')", "aria-pressed") == "false"
    assert tab.frame.locator(f"{ROWS} .slot-1").count() == 0
    assert "filtered out" in tab.text(".concepts-told")


def test_changes_are_counted_from_the_step_that_one_chooses(open_tab: OpenTab) -> None:
    tab = open_concepts(open_tab, step=14)
    now, before = plain_counts(tab, "layer4", 14), plain_counts(tab, "layer4", 11)

    tab.frame.select_option(".base select", "11")
    changes = {row[0]: int(row[4].replace("\u2212", "-")) for row in table(tab)}

    assert changes == {word: now.get(word, 0) - before.get(word, 0) for word in changes}
    assert any(changes.values())
    tab.page.wait_for_timeout(450)
    assert "p.conceptmon.base=11" in tab.page.url


def test_the_table_works_with_the_keyboard_alone(open_tab: OpenTab) -> None:
    tab = open_concepts(open_tab, step=19)
    second = table(tab)[1]

    tab.frame.focus(".grid-table")
    tab.press("ArrowDown")
    tab.press("ArrowDown")
    active = tab.frame.get_attribute(".grid-table", "aria-activedescendant")
    tab.press("Enter")

    assert tab.frame.inner_text(f"#{active} .grid-word").startswith(second[0])
    assert len(selected(tab)) == int(second[3])
    assert tab.step == "19"


def test_counts_follow_the_threshold(open_tab: OpenTab) -> None:
    tab = open_concepts(open_tab, step=19, threshold=0.6)
    expected = plain_counts(tab, "layer4", 19, cut=0.6)

    rows = {row[0]: int(row[3]) for row in table(tab)}

    assert rows == {word: expected.get(word, 0) for word in rows}
    assert 0 < sum(rows.values()) < sum(plain_counts(tab, "layer4", 19).values())


def test_a_concept_that_nobody_has_now_says_when_it_was_there(open_tab: OpenTab) -> None:
    tab = open_concepts(open_tab, step=19, sort="now")
    word, *_ = table(tab)[0]

    tab.frame.locator(ROWS).nth(0).click()

    assert tab.text(".concepts-told").startswith(f"No neuron has “{word}” at step 19; the last was at step")


def test_the_panel_of_concepts_survives_a_reload(open_tab: OpenTab) -> None:
    tab = open_concepts(open_tab, step=12)
    tab.frame.click("[role=columnheader]:has-text('change') button")
    tab.frame.fill(".find input", "e")
    tab.page.wait_for_timeout(500)
    before = table(tab)

    tab.page.reload()
    element = tab.page.wait_for_selector("iframe[src*=conceptmon], iframe", state="attached")
    assert element is not None
    frame = element.content_frame()
    assert frame is not None
    again = Tab(tab.page, frame, tab.messages)
    frame.wait_for_selector("html[data-loaded=true]")

    again.until(lambda: table(again) == before, "the same rows in the same order")
    assert frame.input_value(".find input") == "e"
