"""What a reader does in the tab, in the words of a reader."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from playwright.sync_api import Frame, Page

READY = "#map[data-layer], #empty:not([hidden])"
# TensorBoard's own page says this one in every tab.
FOREIGN = ("Multiple instances of Three.js",)
# Our frame is loaded anew inside a TensorBoard that stays open. A blank page in between ends all that the old
# still had to do; what a reader has stored or chosen is forgotten, as in a new browser.
LEAVE = """async () => {
    const frame = document.querySelector('iframe');
    const left = new Promise((resolve) => frame.addEventListener('load', resolve, {once: true}));
    frame.contentWindow.location.replace('about:blank');
    await left;
    localStorage.clear();
    sessionStorage.clear();
    document.body.classList.remove('dark-mode');
}"""
ENTER = """async (hash) => {
    const frame = document.querySelector('iframe');
    const entered = new Promise((resolve) => frame.addEventListener('load', resolve, {once: true}));
    history.replaceState(history.state, '', hash);
    frame.contentWindow.location.replace(frame.src);
    await entered;
}"""


@dataclass
class Tab:
    """The tab, opened; `frame` is its iframe inside TensorBoard's `page`."""

    page: Page
    frame: Frame
    messages: list[str]

    @classmethod
    def open(cls, page: Page, url: str, *, ready: str = READY, **state: object) -> Tab:
        """Open TensorBoard at the tab, with the given state in the address.

        A page that shows the tab already keeps TensorBoard's own part, whose start takes three times as long.
        """
        messages: list[str] = []
        shown = page.url.startswith(f"{url}#conceptmon")
        if shown:
            page.evaluate(LEAVE)
        elif page.url != "about:blank":
            page.goto("about:blank")  # what it shows may have gone, and is asked for until it is left
        page.on(
            "console",
            lambda message: (
                messages.append(f"{message.text} {message.location['url']}")
                if message.type == "error"
                else None
            ),
        )
        page.on("pageerror", lambda error: messages.append(str(error)))
        hash_ = "".join(f"&p.conceptmon.{key}={quote(str(value))}" for key, value in state.items())
        if shown:
            page.evaluate(ENTER, f"#conceptmon{hash_}")
        else:
            page.goto(f"{url}#conceptmon{hash_}")
        element = page.wait_for_selector("iframe[src*=conceptmon], iframe", state="attached")
        frame = element.content_frame()
        assert frame is not None
        frame.wait_for_selector(ready, timeout=30_000)
        return cls(page, frame, messages)

    @property
    def errors(self) -> list[str]:
        """Errors in the console so far, TensorBoard's own left out."""
        return [text for text in self.messages if not any(foreign in text for foreign in FOREIGN)]

    @property
    def step(self) -> str:
        """The step that the time line shows."""
        return self.text(".step-now b").replace("\u2212", "-")

    def text(self, selector: str) -> str:
        """Visible text of the first match."""
        return self.frame.locator(selector).first.inner_text().strip()

    def until(self, condition: Callable[[], Any], what: str, seconds: float = 10) -> None:
        """Wait for a condition in small steps."""
        for _ in range(int(seconds * 20)):
            if condition():
                return
            self.page.wait_for_timeout(50)
        raise AssertionError(f"not within {seconds} s: {what}; step {self.step}")

    def press(self, key: str) -> None:
        """Press a key; the tab has taken the focus when it opened."""
        self.page.keyboard.press(key)

    def canvas_colors(self, selector: str = "#map canvas") -> dict[str, int]:
        """Pixels of the map by exact colour, the commonest hundred."""
        return dict(
            self.frame.evaluate(
                """(selector) => {
                    const canvas = document.querySelector(selector);
                    const {width, height} = canvas;
                    const copy = Object.assign(document.createElement('canvas'), {width, height});
                    const context = copy.getContext('2d');
                    context.drawImage(canvas, 0, 0);
                    const {data} = context.getImageData(0, 0, width, height);
                    const counts = new Map();
                    // As whole numbers, blue first: a word for each of a million pixels takes half a second.
                    for (const pixel of new Uint32Array(data.buffer)) {
                        const color = pixel & 0xffffff;
                        counts.set(color, (counts.get(color) || 0) + 1);
                    }
                    const byte = (color, k) => (color >> k & 255).toString(16).padStart(2, '0');
                    const hex = (color) => '#' + [0, 8, 16].map((k) => byte(color, k)).join('');
                    const commonest = [...counts].sort((a, b) => b[1] - a[1]).slice(0, 100);
                    return commonest.map(([color, count]) => [hex(color), count]);
                }""",
                selector,
            )
        )

    def color(self, name: str) -> str:
        """A colour of the current theme, such as "--slot-0"."""
        return self.frame.evaluate(
            "(name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim()", name
        )

    def hover_a_neuron(self, selector: str = "#map") -> None:
        """Move the real pointer on to a neuron that has a concept, found by its colour."""
        self.page.wait_for_timeout(300)
        place = self.frame.evaluate(
            """(selector) => {
                const canvas = document.querySelector(`${selector} canvas`);
                const style = getComputedStyle(document.documentElement);
                const slots = [0, 1, 2, 3, 4, 5].map((slot) => style.getPropertyValue(`--slot-${slot}`));
                const number = (hex) => parseInt(hex.slice(5, 7) + hex.slice(3, 5) + hex.slice(1, 3), 16);
                const wanted = new Set(slots.map((value) => number(value.trim())));
                const {width, height} = canvas;
                const copy = Object.assign(document.createElement('canvas'), {width, height});
                const context = copy.getContext('2d');
                context.drawImage(canvas, 0, 0);
                const pixels = new Uint32Array(context.getImageData(0, 0, width, height).data.buffer);
                const colour = (x, y) => pixels[y * width + x] & 0xffffff;
                for (let y = 120; y < copy.height - 120; y += 2) for (let x = 60; x < width - 120; x += 2) {
                    const here = colour(x, y);
                    const inside = colour(x - 2, y) === here && colour(x, y + 2) === here;
                    if (wanted.has(here) && inside) return [x, y];
                }
                return null;
            }""",
            selector,
        )
        assert place is not None, "no neuron with a concept on the map"
        box = self.frame.locator(f"{selector} .overlay").bounding_box()
        assert box is not None
        self.page.mouse.move(box["x"] + place[0], box["y"] + place[1])
        self.frame.wait_for_selector("#card:not([hidden])")
