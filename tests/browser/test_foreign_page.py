"""What a page of another site gets of a TensorBoard on the reader's machine, in a real browser."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import CHROMIUM_ARGS, find_chromium
from tests.reliability.notes import Note
from tests.servers import PLUGIN_ROUTE, TensorBoardServer
from tests.synthetic import write_run

FOREIGN, OTHER = "rebound.example", "other.example"
ASK = """async ([url, mode]) => {
  try { return (await fetch(url, { mode })).status; } catch (error) { return String(error); }
}"""

FRAME = """(src) => {
  document.body.append(Object.assign(document.createElement('iframe'), { src, width: 1200, height: 700 }));
}"""


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TensorBoardServer]:
    logdir = tmp_path_factory.mktemp("private")
    write_run(logdir / "run", epochs=1, layers={"layer1": 6})
    with TensorBoardServer(logdir, bind_all=False) as server:
        server.wait_for(lambda: server.runs().get("run", {}).get("layers"))
        yield server


class OtherSite(BaseHTTPRequestHandler):
    """A page without any policy of its own."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><p>other</p>")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def other_site() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), OtherSite) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://{OTHER}:{server.server_address[1]}/"
        server.shutdown()


@pytest.fixture
def rebound(browser: Browser) -> Iterator[Page]:
    """A browser for which a foreign name has the address of this machine, as after DNS rebinding."""
    args = [*CHROMIUM_ARGS, "--host-resolver-rules=MAP *.example 127.0.0.1"]
    other = browser.browser_type.launch(executable_path=find_chromium(), args=args)
    yield other.new_context().new_page()
    other.close()


def test_a_page_under_a_rebound_name_reads_nothing_and_the_tab_says_why(
    rebound: Page, other_site: str, local: TensorBoardServer, reliability: Note
) -> None:
    rebound.goto(f"http://{FOREIGN}:{local.port}/#conceptmon")
    frame = rebound.frame_locator("iframe")
    expect(frame.locator("#loading")).to_contain_text(f"--host={FOREIGN}", timeout=30_000)
    for route in ("runs", "timeline?run=run", "images?run=run&step=0"):
        assert rebound.evaluate(ASK, [PLUGIN_ROUTE + route, "cors"]) == 403

    rebound.goto(other_site)
    blocked: list[str | None] = []
    rebound.on("requestfailed", lambda request: blocked.append(request.failure))
    url = f"{local.url.rstrip('/')}{PLUGIN_ROUTE}images?run=run&step=0"
    assert "TypeError" in rebound.evaluate(ASK, [url, "cors"])
    rebound.evaluate(ASK, [url, "no-cors"])
    rebound.evaluate(
        "url => new Promise((done) => { Object.assign(new Image(), { src: url, onerror: done }); })", url
    )
    assert blocked == ["net::ERR_FAILED", *["net::ERR_BLOCKED_BY_RESPONSE.NotSameOrigin"] * 2]

    # A notebook on this machine shows TensorBoard in a frame of its own page: that goes on to work.
    rebound.goto(other_site.replace(OTHER, "localhost"))
    rebound.evaluate(FRAME, f"http://localhost:{local.port}/#conceptmon")
    tab = rebound.frame_locator("iframe").frame_locator("iframe")
    expect(tab.locator("#maps canvas").first).to_be_visible(timeout=30_000)
    reliability(area="requests", tried="a rebound name and a page of another site, in Chromium", count=6)
