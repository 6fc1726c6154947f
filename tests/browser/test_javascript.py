"""Unit tests of the tab's pure modules, run in the browser that they are made for."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, Route

ROOT = Path(__file__).resolve().parents[2]
ORIGIN = "http://unit.test/"
TYPES = {".js": "text/javascript", ".mjs": "text/javascript", ".html": "text/html"}
SUITES = sorted(path.name for path in (Path(__file__).parent / "js").glob("*.test.js"))


@pytest.fixture
def unit_page(page: Page) -> Page:
    """A page whose origin is the repository on disk."""

    def answer(route: Route) -> None:
        path = ROOT / route.request.url.removeprefix(ORIGIN)
        if path.is_file():
            route.fulfill(body=path.read_bytes(), content_type=TYPES.get(path.suffix, "text/plain"))
        else:
            route.fulfill(body="<!doctype html><title>unit tests</title>", content_type="text/html")

    page.route(f"{ORIGIN}**", answer)
    page.goto(ORIGIN)
    return page


@pytest.mark.parametrize("suite", SUITES)
def test_the_pure_modules_behave(unit_page: Page, suite: str) -> None:
    results = unit_page.evaluate(
        """async (suite) => {
            await import(`/tests/browser/js/${suite}`);
            return (await import('/tests/browser/js/harness.js')).run();
        }""",
        suite,
    )

    assert len(results) > 0
    failures = [f"{result['name']}: {result['error']}" for result in results if result["error"]]
    assert failures == []
