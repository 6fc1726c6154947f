"""The tab's own files, which a browser keeps until one of them changes."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.browser.tab import Tab
from tests.servers import TensorBoardServer
from tests.synthetic import write_run

ROOT = Path(__file__).parents[2]
# Bytes that came over the wire for each file of the tab: none for one that the browser had kept.
FETCHED = """() => Object.fromEntries(performance.getEntriesByType('resource')
    .filter(({name}) => name.includes('/static/') || name.includes('index.js'))
    .map(({name, transferSize}) => [name.split('/conceptmon/')[1], transferSize]))"""
FOR_EVER = "private, max-age=31536000, immutable"
ASK_AGAIN = "no-cache, must-revalidate"


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package with files of the tab that a test may change; the rest is the checkout's."""
    package = tmp_path_factory.mktemp("path") / "conceptmon_tb"
    package.mkdir()
    for entry in (ROOT / "conceptmon_tb").iterdir():
        (package / entry.name).symlink_to(entry)
    shutil.copytree(ROOT / "plugin_static", package / "plugin_static")
    return package


@pytest.fixture(scope="module")
def changing(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TensorBoardServer]:
    """A TensorBoard that serves the files of `package`: `python -m` looks first where it is started."""
    logdir = tmp_path_factory.mktemp("logs")
    write_run(logdir / "healthy", epochs=2, layers={"layer4": 12})
    with contextlib.ExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(package.parent)
            server = stack.enter_context(TensorBoardServer(logdir))
        server.wait_for(lambda: len(server.runs().get("healthy", {}).get("layers", {})) == 1)
        yield server


def version_told(server: TensorBoardServer) -> str:
    mechanism = json.loads(server.fetch("/data/plugins_listing")[1])["conceptmon"]["loading_mechanism"]
    address, _, version = mechanism["module_path"].partition("?version=")
    assert address == "/data/plugin/conceptmon/index.js"
    return version


def test_a_file_is_fetched_once_until_one_changes(
    page: Page, package: Path, changing: TensorBoardServer
) -> None:
    opened = Tab.open(page, changing.url, run="healthy")
    opened.frame.wait_for_selector("#share button")
    first = opened.frame.evaluate(FETCHED)
    assert len(first) > 100
    assert all(first.values())

    again = Tab.open(page, changing.url, run="healthy")
    again.frame.wait_for_selector("#share button")
    assert again.frame.evaluate(FETCHED) == dict.fromkeys(first, 0)

    with (package / "plugin_static" / "style.css").open("a") as style:
        style.write("\n#top { outline: 3px solid rgb(1, 2, 3); }\n")
    changed = Tab.open(page, changing.url, run="healthy")
    outline = changed.frame.locator("#top").evaluate("(top) => getComputedStyle(top).outlineColor")
    assert outline == "rgb(1, 2, 3)"
    assert not set(changed.frame.evaluate(FETCHED)) & set(first)
    assert changed.errors == []


def test_only_what_is_as_its_version_says_may_be_kept(package: Path, changing: TensorBoardServer) -> None:
    old, name = version_told(changing), "panels/help.js"

    def ask(address: str) -> tuple[bytes, str]:
        status, body, headers = changing.fetch(address)
        assert status == 200
        return body, headers["Cache-Control"]

    file = package / "plugin_static" / name
    before = file.read_bytes()
    assert ask(f"static/{old}/{name}") == (before, FOR_EVER)
    assert ask(f"index.js?version={old}")[1] == FOR_EVER
    for address in (f"static/{name}", f"static/{'0' * 16}/{name}"):
        assert ask(address) == (before, ASK_AGAIN)
    assert ask("index.js")[1] == ASK_AGAIN

    after = before + b"\n// changed\n"
    file.write_bytes(after)
    assert ask(f"static/{old}/{name}") == (after, ASK_AGAIN)
    new = version_told(changing)
    assert new != old
    assert ask(f"static/{new}/{name}") == (after, FOR_EVER)
    assert ask(f"static/{old}/style.css")[1] == ASK_AGAIN

    file.write_bytes(before)
    assert version_told(changing) == old
