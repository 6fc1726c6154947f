"""The panel of concepts, the search and the anchors edited live, as a reader uses them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.browser.tab import Tab
from tests.browser.test_accessibility import violations

OpenTab = Callable[..., Tab]
ROWS = ".grid-body .grid-row"
# Neurons of a layer by word, counted from the logged frames by a plain loop in the page.
PLAIN_COUNTS = """async ([run, layer, step, cut]) => {
    const asked = performance.getEntriesByType('resource').map(({name}) => name);
    const base = asked.find((name) => name.includes('/runs')).split('runs')[0];
    const {decodeContainer} = await import(`${base}static/container.js`);
    const ask = async (route, params) => decodeContainer(await (await fetch(
        `${base}${route}?${new URLSearchParams(params)}`)).arrayBuffer());
    const {attrs: {words}} = await ask('space', {run});
    const {arrays} = await ask('layer', {run, layer, from: step, to: step, part: 'frames'});
    const counts = {};
    for (let n = 0; n < arrays.flags.values.length; n++) {
        const clear = cut === null ? arrays.flags.values[n] === 3 : arrays.similarity.values[n] > cut;
        if (!clear || arrays.flags.values[n] < 2) continue;
        const word = words[arrays.concept_ids.values[n]];
        counts[word] = (counts[word] || 0) + 1;
    }
    return counts;
}"""


# What the plugin answers, without the tab's own code.
ASK = """async ([route, parameters]) => {
    const asked = performance.getEntriesByType('resource').map(({name}) => name);
    const base = asked.find((name) => name.includes('/runs')).split('runs')[0];
    return (await fetch(`${base}${route}?${new URLSearchParams(parameters)}`)).json();
}"""


def ask(tab: Tab, route: str, *parameters: tuple[str, str]) -> Any:
    """Answer of a route to the tab's run."""
    return tab.frame.evaluate(ASK, [route, [["run", "healthy"], *map(list, parameters)]])


def open_concepts(open_tab: OpenTab, **state: object) -> Tab:
    """Open the panel with all steps loaded."""
    tab = open_tab(panel="concepts", layer="layer4", **state)
    tab.frame.wait_for_selector("html[data-loaded=true]")
    tab.page.wait_for_timeout(300)
    return tab


def plain_counts(tab: Tab, layer: str, step: int, cut: float | None = None) -> dict[str, int]:
    """Count labels from what the plugin answers, without the tab's own code."""
    counts: dict[str, int] = tab.frame.evaluate(PLAIN_COUNTS, ["healthy", layer, str(step), cut])
    return counts


def table(tab: Tab) -> list[list[str]]:
    """Texts of the rows in sight: concept, one count for each layer, change, first step."""
    rows: list[list[str]] = tab.frame.evaluate(
        f"""[...document.querySelectorAll('{ROWS}')]
            .sort((a, b) => a.ariaRowIndex - b.ariaRowIndex)
            .map((row) => [...row.children].slice(0, -1))
            .map((cells) => cells.map((cell) => cell.innerText.split(',')[0].trim()))"""
    )
    return rows


def selected(tab: Tab) -> set[int]:
    """Selected neurons of the first layer as the address has them."""
    tab.page.wait_for_timeout(450)
    found: list[int] = tab.page.evaluate(
        """() => {
            const part = location.hash.split('p.conceptmon.selection=')[1];
            if (!part) return [];
            const spans = JSON.parse(decodeURIComponent(part.split('&')[0]))[0][2].split('.');
            return spans.flatMap((span) => {
                const [from, to = from] = span.split('-').map(Number);
                return Array.from({length: to - from + 1}, (_, i) => from + i);
            });
        }"""
    )
    return set(found)


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


def bands(tab: Tab) -> dict[str, int]:
    """Neurons of every band of the diagram by "from → to", as a screen reader is told."""
    names: list[str] = tab.frame.eval_on_selector_all(
        ".flow-band", "(bands) => bands.map((band) => band.getAttribute('aria-label'))"
    )
    found = {}
    for name in names:
        count, what = name.removesuffix(". Select them.").split(": ")
        found[what] = int(count.split()[0].replace("\u2009", ""))
    return found


def test_the_flow_accounts_for_every_neuron(open_tab: OpenTab) -> None:
    tab = open_concepts(open_tab, step=14, concepts="flow", base=11)
    tab.frame.wait_for_selector(".flow-band")
    told = tab.frame.locator(".flow-node").evaluate_all(
        "(n) => n.map((one) => one.getAttribute('aria-label'))"
    )
    summary = tab.text(".flow-told")

    counts = bands(tab)

    assert sum(counts.values()) == 256
    same = sum(count for what, count in counts.items() if what.endswith("as before"))
    assert summary.startswith(f"{256 - same} of 256 neurons changed")
    sides = [sum(int(name.split()[0]) for name in told if f"at step {step}" in name) for step in (11, 14)]
    assert sides == [256, 256]


def test_a_band_of_the_flow_selects_its_neurons(open_tab: OpenTab) -> None:
    tab = open_concepts(open_tab, step=16, concepts="flow", base=12)
    tab.frame.wait_for_selector(".flow-band")
    what, count = max(bands(tab).items(), key=lambda item: item[1] * (" → scene" in item[0]))

    tab.frame.locator(f".flow-band[aria-label*='{what}']").hover()
    assert tab.text(".flow-told").startswith(f"{count} neurons")
    assert what in tab.text(".flow-told")
    tab.frame.locator(f".flow-band[aria-label*='{what}']").click()

    assert len(selected(tab)) == count


def test_the_flow_works_with_the_keyboard_and_as_a_table(open_tab: OpenTab) -> None:
    tab = open_concepts(open_tab, step=16, concepts="flow", base=12, flow="concept")
    tab.frame.wait_for_selector(".flow-band")

    tab.frame.focus(".flow-plot [tabindex='0']")
    for _ in range(16):
        tab.press("ArrowDown")
    told = tab.text(".flow-told")
    tab.press("Enter")

    assert len(selected(tab)) == int(told.split()[0])
    assert tab.step == "16"
    tab.frame.click(".flow-numbers summary")
    rows = tab.frame.locator(".flow-numbers tbody tr").all_inner_texts()
    assert sum(int(row.split("\t")[-1]) for row in rows) == 256
    assert len(rows) == len(bands(tab))


def missing(tab: Tab) -> list[tuple[str, float, int]]:
    """Rows of the view of missing words: word, distance, nearest neuron."""
    tab.until(lambda: tab.frame.locator(f".concepts-missing {ROWS}").count() > 0, "the words are listed")
    tab.until(lambda: "Measuring" not in tab.text(".concepts-missing .flow-told"), "the distances came")
    rows: list[list[str]] = tab.frame.evaluate(
        f"""[...document.querySelectorAll('.concepts-missing {ROWS}')]
            .sort((a, b) => a.ariaRowIndex - b.ariaRowIndex)
            .map((row) => ['.grid-word', '.bar-value', '.nearest-id']
                .map((cell) => row.querySelector(cell).innerText))"""
    )
    return [(word.strip(), float(distance), int(neuron)) for word, distance, neuron in rows]


def test_missing_anchors_come_farthest_first_with_their_nearest_neuron(open_tab: OpenTab) -> None:
    tab = open_concepts(open_tab, step=15, concepts="missing")
    anchors = ("striped", "plane", "garden", "stairs", "bicycle")
    layer, step = ("layer", "layer4"), ("step", "15")
    words = ask(tab, "distances", layer, step, *[("word", word) for word in anchors])["words"]
    expected = sorted(((w["word"], w["distance"][0], w["neuron"][0]) for w in words), key=lambda row: -row[1])

    rows = missing(tab)

    assert [(word, neuron) for word, _, neuron in rows] == [(word, neuron) for word, _, neuron in expected]
    assert [distance for _, distance, _ in rows] == pytest.approx([row[1] for row in expected], abs=2e-3)
    mean = sum(row[1] for row in expected) / len(expected)
    assert float(tab.text(".flow-told b >> visible=true")) == pytest.approx(mean, abs=2e-3)
    assert tab.frame.locator(".spark-line").count() == len(anchors)


def test_missing_concepts_of_the_whole_set_and_the_gate(open_tab: OpenTab) -> None:
    tab = open_concepts(open_tab, step=15, concepts="missing")
    answer = ask(tab, "distances", ("layer", "layer4"), ("step", "15"))

    tab.frame.click(".concepts-missing button:has-text('All concepts')")
    tab.until(lambda: len(missing(tab)) > 10, "all concepts")
    plain = missing(tab)
    tab.frame.check(".concepts-missing .check input")
    gated = missing(tab)

    assert [row[1] for row in plain] == pytest.approx(
        sorted(answer["distance"], reverse=True)[: len(plain)], abs=6e-4
    )
    top = sorted(answer["gated_distance"], reverse=True)[: len(gated)]
    assert [row[1] for row in gated] == pytest.approx(top, abs=6e-4)
    assert plain != gated


def test_a_missing_word_leads_to_the_neuron_nearest_to_it(open_tab: OpenTab) -> None:
    tab = open_concepts(open_tab, step=19, concepts="missing")
    _, _, neuron = missing(tab)[1]

    tab.frame.focus(".concepts-missing .grid-table")
    tab.press("ArrowDown")
    tab.press("ArrowDown")
    tab.press("Enter")

    tab.page.wait_for_timeout(450)
    assert f"p.conceptmon.neuron={neuron}" in tab.page.url


def search_for(tab: Tab, query: str) -> list[str]:
    """Type into the search box by keyboard alone; what each match is and does."""
    tab.press("/")
    tab.page.keyboard.type(query)
    tab.frame.wait_for_selector("#matches")
    found: list[str] = tab.frame.eval_on_selector_all(
        ".match", "(all) => all.map((one) => `${one.querySelector('.menu-name')?.innerText}: ${one.title}`)"
    )
    return found


def test_search_selects_the_neurons_of_a_concept_by_keyboard_alone(open_tab: OpenTab) -> None:
    tab = open_tab(layer="layer4", step=19)
    count = plain_counts(tab, "layer4", 19)["garden"]

    found = search_for(tab, "gard")
    tab.press("Enter")

    assert found[0] == f"garden: Select its {count} neurons"
    assert "garden: Go to its star" in found
    assert len(selected(tab)) == count
    assert tab.frame.locator("#matches").count() == 0
    assert "p.conceptmon.camera" in tab.page.url


def test_search_finds_a_neuron_of_another_layer(open_tab: OpenTab) -> None:
    tab = open_tab(layer="layer4")

    assert search_for(tab, "layer3:17") == ["neuron 17: Show layer3 and open its card"]
    tab.press("Enter")

    tab.until(lambda: tab.frame.locator("select[aria-label=Layer]").input_value() == "layer3", "the layer")
    tab.until(lambda: "p.conceptmon.neuron=17" in tab.page.url, "the neuron")


def test_search_finds_categories_and_layers_and_leaves_with_escape(open_tab: OpenTab) -> None:
    tab = open_tab(layer="layer4")

    assert "scene: Show these neurons only" in search_for(tab, "scene")
    tab.press("Enter")
    hidden = tab.frame.locator("#legend [aria-pressed=false]").count()
    found = search_for(tab, "layer")
    tab.press("Escape")

    assert hidden == 6
    assert {"layer2: Show this layer", "layer3: Show this layer"} <= set(found)
    assert tab.frame.locator("#matches").count() == 0
    assert tab.frame.evaluate("document.activeElement.getAttribute('type')") == "search"


def stars(tab: Tab) -> set[str]:
    """Words with a star on the map, as the map tells screen readers."""
    told = tab.frame.locator("#map .overlay").get_attribute("aria-label") or ""
    return set(told.split("anchors ")[1].split(".")[0].split(", "))


def test_a_concept_becomes_an_anchor_and_the_distance_is_computed_anew(open_tab: OpenTab) -> None:
    tab = open_tab(layer="layer4", step=15)
    words = [("word", word) for word in ("plane", "dog")]
    answer = ask(tab, "distances", ("layer", "layer4"), ("step", "15"), *words)["words"]
    expected = sum(word["distance"][0] for word in answer) / len(answer)

    tab.frame.click("#legend button:has-text('anchor')")
    for logged in ("striped", "garden", "stairs", "bicycle"):
        tab.frame.click(f".anchor-editor button[aria-label='Remove {logged}']")
    tab.page.keyboard.type("Dog")
    tab.press("Enter")

    tab.until(lambda: stars(tab) == {"plane", "dog"}, "the stars")
    tab.until(lambda: tab.frame.locator(".anchor-editor footer b").count() == 1, "the distance")
    assert float(tab.text(".anchor-editor footer b")) == pytest.approx(expected, abs=6e-4)
    tab.page.wait_for_timeout(400)
    assert "plane" in tab.page.url
    tab.frame.click(".anchor-editor button:has-text('reset')")
    tab.until(lambda: stars(tab) == {"striped", "plane", "garden", "stairs", "bicycle"}, "as logged")
    tab.press("Escape")
    assert tab.frame.locator(".anchor-editor:not([hidden])").count() == 0


def test_a_word_without_a_place_says_why_and_what_else(open_tab: OpenTab) -> None:
    tab = open_tab(layer="layer4")

    search_for(tab, "dogg")
    tab.press("Enter")

    why = tab.frame.wait_for_selector(".anchor-why")
    assert why is not None
    assert "“dogg” has no place on the map: new words are placed by the encoder" in why.inner_text()
    tab.frame.click(".anchor-why button:has-text('dog')")
    tab.until(lambda: "dog" in stars(tab), "the suggestion has its star")
    assert "dogg" not in stars(tab)


def test_a_typed_word_gets_its_star_when_the_encoder_has_loaded(open_tab: OpenTab) -> None:
    asked: list[str] = []

    def answer(route: Any) -> None:
        asked.append(route.request.url)
        if len(asked) < 3:
            route.fulfill(status=202, json={"status": "loading"})
        else:
            route.fulfill(json={"word": "zebra", "kind": "typed", "index": None, "position": [0.5, 0.5]})

    tab = open_tab(layer="layer4")
    tab.page.route("**/anchor?*", answer)
    tab.page.route("**/distances?*zebra*", lambda route: route.fulfill(json={"steps": [], "words": []}))

    search_for(tab, "zebra")
    tab.press("Enter")
    tab.until(lambda: "the encoder is loading" in tab.text(".anchor-editor ul"), "it says that it is loading")
    tab.until(lambda: "zebra" in stars(tab), "the star")

    assert len(asked) == 3
    tab.page.wait_for_timeout(450)
    tab.page.reload()
    tab.until(lambda: len(asked) == 4, "a link asks for its typed words again")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious_in_flow_missing_words_search_and_anchors(
    open_tab: OpenTab, theme: str
) -> None:
    tab = open_concepts(open_tab, step=15, concepts="flow", base=11)
    if theme == "dark":
        tab.page.evaluate("document.body.classList.add('dark-mode')")
    tab.frame.wait_for_selector(".flow-band")
    found = violations(tab)

    tab.frame.click(".switch button:has-text('Missing')")
    missing(tab)
    tab.frame.click("#legend button:has-text('anchor')")
    tab.page.keyboard.type("zebra")
    tab.page.wait_for_timeout(300)
    found += violations(tab)
    tab.press("Escape")
    tab.page.wait_for_timeout(300)
    search_for(tab, "a")
    found += violations(tab)

    assert found == []
    assert tab.errors == []
