"""The page that the browser tests share: what one test or file does to it does not reach the next."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser
from playwright.sync_api import Error as PlaywrightError

from tests.browser.conftest import Window


@pytest.fixture
def windows(browser: Browser) -> Iterator[tuple[Window, Window]]:
    windows = Window(browser), Window(browser)
    yield windows
    for window in windows[::-1]:
        window.close()


def test_a_window_closes_what_a_test_opened_and_leaves_the_page_of_another(
    browser: Browser, windows: tuple[Window, Window]
) -> None:
    first, second = windows
    kept, own = first.page, second.page
    beside, context = own.context.new_page(), browser.new_context()
    second.tidy()
    assert [page.is_closed() for page in (kept, own, beside)] == [False, False, True]
    assert context not in browser.contexts
    second.close()
    assert [page.is_closed() for page in (kept, own)] == [False, True]


def test_a_page_that_crashed_is_told_and_another_one_comes(windows: tuple[Window, Window]) -> None:
    window = windows[0]
    crashed = window.page
    with pytest.raises(PlaywrightError):
        crashed.goto("chrome://crash")
    with pytest.raises(PlaywrightError):
        window.tidy()
    window.close()
    assert window.page is not crashed
    assert window.page.evaluate("1 + 1") == 2
