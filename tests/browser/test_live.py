"""The tab before there is data, and while data arrive."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page

from tests.browser.tab import Tab
from tests.servers import TensorBoardServer
from tests.synthetic import SyntheticRun


def test_an_empty_log_directory_shows_lines_to_paste_until_epochs_arrive(page: Page, tmp_path: Path) -> None:
    with TensorBoardServer(tmp_path, "--reload_interval=1") as server:
        tab = Tab.open(page, server.url)

        code = tab.text("#empty pre")
        assert "monitor = cm.ConceptMonitor(" in code
        assert "writer.add_concepts(model, global_step=epoch)" in code
        assert len(code.splitlines()) == 5
        assert tab.frame.locator("#empty button:has-text('Copy')").is_visible()

        with SyntheticRun(tmp_path / "live", epochs=4) as run:
            run.write_epoch()
            run.write_epoch()
            tab.frame.wait_for_selector("#map[data-layer]", timeout=30_000)
            tab.until(lambda: tab.step == "1", "two epochs are shown", 20)

            run.write_epoch()
            tab.until(lambda: tab.step == "2", "the cursor follows the newest epoch", 20)

            tab.press("Home")
            tab.until(lambda: tab.step == "0", "back to the start")
            run.write_epoch()
            tab.until(lambda: "/ 3" in tab.text(".step-now"), "the fourth epoch is known", 20)
            assert tab.step == "0"
        assert tab.errors == []
