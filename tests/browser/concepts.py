"""What a reader does with concepts, and what the plugin answers without the tab's own code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.browser.tab import Tab

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


def search_for(tab: Tab, query: str) -> list[str]:
    """Type into the search box by keyboard alone; what each match is and does."""
    tab.press("/")
    tab.page.keyboard.type(query)
    tab.frame.wait_for_selector("#matches")
    found: list[str] = tab.frame.eval_on_selector_all(
        ".match", "(all) => all.map((one) => `${one.querySelector('.menu-name')?.innerText}: ${one.title}`)"
    )
    return found
