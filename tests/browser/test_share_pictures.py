"""Pictures, animations, films and figures that a reader takes away, opened again and looked at."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page

from tests.browser.conftest import HOSTILE
from tests.browser.sharing import choose, exported, message, save
from tests.browser.tab import Tab
from tests.servers import TensorBoardServer

OpenTab = Callable[..., Tab]
PARSE_SVG = """(text) => {
    const parsed = new DOMParser().parseFromString(text, 'image/svg+xml');
    const all = (selector) => [...parsed.querySelectorAll(selector)];
    const attributes = all('*').flatMap((element) => [...element.attributes]);
    const handlers = attributes.filter(({name}) => /^on/.test(name));
    return {
        error: parsed.querySelector('parsererror')?.textContent ?? '',
        neurons: all('.neurons > *').length + all('.marked > g').length,
        fills: [...new Set(all('.neurons > *').map((mark) => mark.getAttribute('fill')))],
        stars: all('.anchors path').length,
        trails: all('.trails path').length,
        names: all('.names text').map((text) => text.textContent),
        texts: all('text').map((text) => text.textContent),
        scripts: all('script, foreignObject, a').length + handlers.length,
        outside: attributes.filter(({name, value}) => name !== "xmlns" && value.includes("//")).length,
        ids: all('[id]').length === new Set(all('[id]').map(({id}) => id)).size,
    };
}"""


def test_the_svg_holds_every_neuron_star_and_name(open_tab: OpenTab, server: TensorBoardServer) -> None:
    tab = open_tab(layer="layer4", step=19, tracked="4.8")
    tab.frame.wait_for_selector("[data-loaded=true]", state="attached")
    tab.frame.wait_for_selector(".names text")
    rows = json.loads(exported(server, "healthy", "layer4", 19, "json"))["neurons"]

    name, content = save(tab, "Picture (SVG)")

    picture = tab.frame.evaluate(PARSE_SVG, content.decode())
    assert name == "map_healthy_layer4_step19.svg"
    assert picture["error"] == ""
    assert picture["neurons"] == sum(row["valid"] for row in rows) > 200
    assert {tab.color("--slot-0"), tab.color("--slot-1")} <= set(picture["fills"])
    assert picture["stars"] == tab.frame.locator(".stars path").count() == 5
    assert set(picture["names"]) <= set(tab.frame.locator(".names text").all_text_contents()) | {"wheel"}
    assert len(picture["names"]) >= 3
    assert picture["trails"] > 4
    assert any("healthy · layer4 · step 19" in text for text in picture["texts"])
    assert any("encoder" in text for text in picture["texts"])
    assert picture["outside"] == picture["scripts"] == 0
    assert picture["ids"]


def test_maps_side_by_side_are_one_picture_with_the_names_of_both(open_tab: OpenTab) -> None:
    tab = open_tab(layer="layer4", step=19, compare="poor")
    tab.frame.wait_for_selector("#map-2[data-layer]")
    tab.frame.wait_for_selector("[data-loaded=true]", state="attached")

    _, content = save(tab, "Picture (SVG)")

    picture = tab.frame.evaluate(PARSE_SVG, content.decode())
    assert picture["error"] == ""
    assert picture["neurons"] > 400
    assert {"healthy", "poor"} <= set(picture["texts"])
    assert picture["ids"]


def test_the_svg_of_a_hostile_log_is_text_only(open_tab: OpenTab) -> None:
    tab = open_tab(run=HOSTILE)

    name, content = save(tab, "Picture (SVG)")

    picture = tab.frame.evaluate(PARSE_SVG, content.decode())
    assert picture["error"] == ""
    assert picture["scripts"] == 0
    assert any(HOSTILE in text for text in picture["texts"])
    assert not set(name) & set("<>:=/ ")


@pytest.mark.parametrize("for_print", [False, True])
def test_the_png_has_the_colours_of_the_categories(open_tab: OpenTab, for_print: bool) -> None:
    tab = open_tab(layer="layer4", step=19)
    slots = [tab.color(name) for name in ("--slot-0", "--slot-1")]
    ground = "#ffffff" if for_print else tab.color("--well")
    tab.frame.wait_for_selector("[data-loaded=true]", state="attached")

    if for_print:
        choose(tab, "On white", role="menuitemcheckbox")
    _, content = save(tab, "Picture (PNG)")

    picture = Image.open(io.BytesIO(content)).convert("RGB")
    box = tab.frame.locator("#map").bounding_box()
    assert box is not None
    assert picture.width == 2 * box["width"]
    red, green, blue = np.asarray(picture).astype(np.uint32).reshape(-1, 3).T
    colors, occurrences = np.unique(red << 16 | green << 8 | blue, return_counts=True)
    counts = {f"#{color:06x}": int(count) for color, count in zip(colors, occurrences, strict=True)}
    assert counts[ground] > picture.width * picture.height / 10
    assert all(counts[slot] > 1000 for slot in slots)


def open_saved(tab: Tab, content: bytes, folder: Path) -> tuple[Page, list[str], list[str]]:
    """Open a saved page from disk, without any network; returns it with its requests and errors."""
    file = folder / "animation.html"
    file.write_bytes(content)
    browser = tab.page.context.browser
    assert browser is not None
    page = browser.new_context(viewport={"width": 1000, "height": 700}, offline=True).new_page()
    requests: list[str] = []
    errors: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda entry: errors.append(entry.text) if entry.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(file.as_uri())
    wait_for_step(page, 0)
    page.wait_for_timeout(200)
    return page, [url for url in requests if url != file.as_uri()], errors


def wait_for_step(page: Page, step: int) -> None:
    """Wait until the player shows a step, or a later one; its policy forbids waiting within the page."""
    for _ in range(200):
        shown = page.locator("#step-now").text_content()
        if shown and int(shown.replace("\u2212", "-")) >= step:
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"the player does not reach step {step}")


CANVAS_COLORS = """() => {
    const canvas = document.querySelector('canvas');
    const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    const counts = new Map();
    for (const pixel of new Uint32Array(data.buffer)) {
        counts.set(pixel & 0xffffff, (counts.get(pixel & 0xffffff) || 0) + 1);
    }
    const byte = (color, k) => (color >> k & 255).toString(16).padStart(2, '0');
    return Object.fromEntries([...counts].map(([color, count]) => {
        return ['#' + [0, 8, 16].map((k) => byte(color, k)).join(''), count];
    }));
}"""


def test_the_saved_animation_plays_from_disk_without_a_request(open_tab: OpenTab, tmp_path: Path) -> None:
    tab = open_tab(layer="layer4", tracked="4.8", compare="poor", layout="overlay")
    slots = [tab.color(name) for name in ("--slot-0", "--slot-1", "--star")]
    counts = tab.frame.locator(".names text").count

    name, content = save(tab, "Animation (HTML)")
    page, requests, errors = open_saved(tab, content, tmp_path)
    page.keyboard.press("End")
    wait_for_step(page, 19)
    page.wait_for_timeout(200)
    at_end = page.evaluate(CANVAS_COLORS)
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    wait_for_step(page, 1)
    page.click("#play")
    wait_for_step(page, 3)
    page.keyboard.press(" ")
    page.click("#theme")
    page.wait_for_timeout(200)
    dark = page.evaluate(CANVAS_COLORS)

    assert name == "animation_healthy-and-poor_layer4_steps0-19.html"
    assert all(at_end.get(slot, 0) > 30 for slot in slots), {slot: at_end.get(slot) for slot in slots}
    assert dark.get("#262729", 0) > 100_000
    assert "healthy" in page.inner_text("h1")
    assert requests == errors == []
    assert counts() > 0


def test_the_saved_animation_of_a_hostile_log_shows_its_names_as_text(
    open_tab: OpenTab, tmp_path: Path
) -> None:
    tab = open_tab(run=HOSTILE)

    _, content = save(tab, "Animation (HTML)")
    page, requests, errors = open_saved(tab, content, tmp_path)

    assert HOSTILE in page.inner_text("h1")
    assert page.locator("img").count() == 0
    assert page.evaluate("window.hacked === undefined")
    assert requests == errors == []


def test_the_saved_animation_names_the_neuron_under_the_pointer(open_tab: OpenTab, tmp_path: Path) -> None:
    tab = open_tab(layer="layer4")

    _, content = save(tab, "Animation (HTML)")
    page, _, _ = open_saved(tab, content, tmp_path)
    page.keyboard.press("End")
    for x in range(300, 700, 12):
        page.mouse.move(x, 300)
        if page.locator("#tip:not([hidden])").count():
            break

    assert "neuron" in page.inner_text("#tip")


@pytest.mark.slow
def test_the_film_has_the_length_of_the_range_and_its_colours(open_tab: OpenTab, tmp_path: Path) -> None:
    tab = open_tab(layer="layer3", range="[14,19]", speed="8", camera="1.1,0,0")

    name, content = save(tab, "Animation (WebM)", seconds=120)
    (tmp_path / "film.webm").write_bytes(content)
    (tmp_path / "film.html").write_text("<video src=film.webm muted></video>")
    page = tab.page.context.new_page()
    page.goto((tmp_path / "film.html").as_uri())
    film = page.evaluate(
        """async () => {
            const video = document.querySelector('video');
            if (!video.readyState) await new Promise((resolve) => { video.onloadeddata = resolve; });
            video.currentTime = 1;
            await new Promise((resolve) => { video.onseeked = resolve; });
            return {duration: video.duration, width: video.videoWidth, seekable: video.seekable.end(0)};
        }"""
    )

    assert name == "animation_healthy_layer3_steps14-19.webm"
    assert film["duration"] == pytest.approx(1.6 + 5 / 32, abs=0.2)
    assert film["seekable"] == pytest.approx(film["duration"], abs=0.1)
    assert film["width"] == 1440


def test_a_film_can_be_cancelled(open_tab: OpenTab) -> None:
    tab = open_tab(layer="layer4", speed="0.25")

    choose(tab, "Animation (WebM)")
    tab.frame.click(".share-status button:has-text('Cancel')")

    tab.until(lambda: "cancelled" in message(tab), "the film is cancelled")
    tab.page.wait_for_timeout(500)
    assert "cancelled" in message(tab)
    assert tab.errors == []


def test_the_figure_for_print_shows_space_images_and_bars_at_four_steps(
    open_tab: OpenTab, tmp_path: Path
) -> None:
    tab = open_tab(layer="layer4", tracked="4.8.15")
    tab.frame.wait_for_selector("[data-loaded=true]", state="attached")

    name, content = save(tab, "Figure for print", seconds=40)

    figure = tab.frame.evaluate(
        """(text) => {
            const parsed = new DOMParser().parseFromString(text, 'image/svg+xml');
            const texts = (selector) => [...parsed.querySelectorAll(selector)].map((one) => one.textContent);
            const sources = [...parsed.querySelectorAll('image')].map((one) => one.getAttribute('href'));
            return {
                error: parsed.querySelector('parsererror')?.textContent ?? '',
                width: parsed.documentElement.getAttribute('width'),
                rows: [...parsed.querySelectorAll('.row')].map((row) => row.getAttribute('aria-label')),
                neurons: parsed.querySelectorAll('.neuron').length,
                followed: parsed.querySelectorAll('.followed').length,
                images: sources.length,
                outside: sources.filter((source) => !source.startsWith('data:image/')).length,
                words: texts('.neuron-word'),
                layers: [...new Set(texts('.bar-layer'))],
                distances: texts('.distance'),
                caption: texts('.caption').join(' '),
            };
        }""",
        content.decode(),
    )
    assert figure["error"] == ""
    assert name == "figure_healthy_layer4_steps0-5-10-19.svg"
    assert figure["width"] == "180mm"
    assert figure["rows"] == ["step 0", "step 5", "step 10", "step 19"]
    assert figure["neurons"] > 800
    assert figure["followed"] >= 8
    assert figure["images"] >= 48
    assert figure["outside"] == 0
    assert len(figure["words"]) == 12
    assert len(figure["layers"]) >= 2
    assert len(set(figure["distances"])) > 1
    assert "steps 0, 5, 10 and 19" in figure["caption"]


def test_the_figure_opens_on_a_page_of_its_own_to_be_printed(open_tab: OpenTab) -> None:
    tab = open_tab(layer="layer4", tracked="4")
    save(tab, "Figure for print", seconds=40)

    with tab.page.context.expect_page() as opened:
        tab.frame.click(".share-status button:has-text('Print it')")
    page = opened.value
    page.wait_for_load_state()
    page.emulate_media(media="print")

    assert page.locator("svg .row").count() == 4
    assert not page.locator("body > p").is_visible()
    assert tab.errors == []
