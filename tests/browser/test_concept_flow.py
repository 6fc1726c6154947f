"""The flow of neurons between concepts, and the concepts that no neuron detects."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.browser.concepts import ask, missing, open_concepts, selected
from tests.browser.tab import Tab

OpenTab = Callable[..., Tab]


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
