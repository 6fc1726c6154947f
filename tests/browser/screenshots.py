"""Take the pictures of `docs/` from the demo runs: `python -m tests.browser.screenshots LOGDIR docs/images`.

Every scene is one address, so what a picture shows can be opened by hand too. The scene of
evolutions is of another run, made by `python -m demo.conceptevo.revert --logdir LOGDIR/revert`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright
from tqdm import tqdm

from tests.browser.conftest import CHROMIUM_ARGS, find_chromium
from tests.browser.tab import Tab
from tests.servers import TensorBoardServer

SIZES = ((1440, 900), (1024, 700))
THEMES = ("light", "dark")
RUN, POOR, LAYER = "world-healthy", "world-poor", "layer4"
CARDS = f'[{{"run":"{RUN}","layer":"{LAYER}","neuron":115}},{{"run":"{RUN}","layer":"{LAYER}","neuron":168}}]'
SCENES: dict[str, dict[str, str]] = {
    "overview": {"run": RUN, "layer": LAYER},
    "compare": {"run": RUN, "layer": LAYER, "compare": POOR, "panel": "compare"},
    "neurons": {"run": RUN, "layer": LAYER, "panel": "neurons", "neuron": "115", "pinned": CARDS},
    "concepts": {"run": RUN, "layer": LAYER, "panel": "concepts", "concepts": "flow"},
    "evolutions": {"run": "revert", "layer": LAYER, "panel": "evolutions", "class": "cabin", "neuron": "58"},
}


def main() -> None:
    """Take every scene in both themes and both sizes."""
    parser = argparse.ArgumentParser(description="Take the pictures of docs/ from the demo's runs.")
    parser.add_argument("logdir", type=Path, help="log directory of `make demo`")
    parser.add_argument("out", type=Path, help="directory for the PNG files")
    parser.add_argument("--scene", choices=sorted(SCENES), help="only this one")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    scenes = [arguments.scene] if arguments.scene else list(SCENES)
    jobs = [(scene, theme, size) for scene in scenes for theme in THEMES for size in SIZES]
    with TensorBoardServer(arguments.logdir) as server, sync_playwright() as playwright:
        runs = {SCENES[scene][key] for scene in scenes for key in ("run", "compare") if key in SCENES[scene]}
        server.wait_for(lambda: runs <= set(server.runs()))
        chromium = playwright.chromium.launch(executable_path=find_chromium(), args=CHROMIUM_ARGS)
        for scene, theme, (width, height) in tqdm(jobs, unit="picture"):
            path = arguments.out / f"{scene}_{theme}_{width}x{height}.png"
            take(chromium, server.url, SCENES[scene], theme, (width, height), path)
        chromium.close()


def take(
    chromium: Browser, url: str, state: dict[str, str], theme: str, size: tuple[int, int], path: Path
) -> None:
    """Open one view and save the page as a picture."""
    context = chromium.new_context(viewport={"width": size[0], "height": size[1]})
    page = context.new_page()
    tab = Tab.open(page, f"{url}?darkMode=true" if theme == "dark" else url, **state)
    tab.frame.wait_for_selector("html[data-loaded=true]")
    page.wait_for_timeout(1500)
    page.screenshot(path=path)
    context.close()


if __name__ == "__main__":
    main()
