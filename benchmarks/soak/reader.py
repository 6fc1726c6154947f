"""Somebody at the tab, in Chromium, who does one thing after the other.

Chromium is spoken to through its pipe, with no more than is needed. A driver that also listens to the network
makes the page's own process keep up to 100 MB of what it received, which would look like a leak of ours.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

import psutil

from benchmarks.frontend.browser import find_chromium
from benchmarks.soak.trends import MIB

# Cheaper than WebGL in software, and the same for JavaScript: a soak is no measurement of speed.
ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",
    "--no-first-run",
    "--disable-gpu",
    "--disable-software-rasterizer",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--disable-sync",
    "--window-size=1280,800",
    "--remote-debugging-pipe",
)
COMMANDS, ANSWERS = 3, 4  # the file descriptors at which Chromium listens and answers
START_SECONDS, TRY_SECONDS = 60.0, 5.0
EMPTY_SECONDS = (
    0.2  # until decoded pictures and compiled code are gone, which Chromium keeps while it has room
)
KEYS = {"Home": 36, "End": 35}
# In the tab's frame: errors are kept, and elements are waited for.
PREPARE = """
    const tab = document.querySelector('iframe').contentWindow;
    if (!tab.soakErrors) {
        tab.soakErrors = [];
        tab.addEventListener('error', (event) => tab.soakErrors.push(event.message));
        tab.addEventListener('unhandledrejection', (event) => tab.soakErrors.push(String(event.reason)));
    }
    const find = (selector) => tab.document.querySelector(selector);
"""


class ReaderError(RuntimeError):
    """Something was not there, or went wrong in the page."""


class Reader:
    """Somebody at the tab; entering opens a Chromium of his own, leaving closes it.

    Args:
        url: TensorBoard's address.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._acts = self._calls = 0
        self._session = ""
        self._leaving = contextlib.ExitStack()
        self.failed: list[str] = []

    def __enter__(self) -> Reader:  # noqa: PYI034  # Self is not in Python 3.10
        profile = self._leaving.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
        (their_input, commands), (answers, their_output) = os.pipe(), os.pipe()
        # The shell puts the pipes where Chromium looks for them.
        shell = f'exec "$@" {COMMANDS}<&{their_input} {ANSWERS}>&{their_output}'
        chromium = [find_chromium(), *ARGUMENTS, f"--user-data-dir={profile}", f"{self._url}#conceptmon"]
        self._process = subprocess.Popen(
            ["bash", "-c", shell, "bash", *chromium],
            pass_fds=(their_input, their_output),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for end in (their_input, their_output):
            os.close(end)
        self._commands = self._leaving.enter_context(os.fdopen(commands, "wb", buffering=0))
        self._answers = self._leaving.enter_context(os.fdopen(answers, "rb"))
        self._leaving.callback(self._kill)
        self._until(self._attach, START_SECONDS)
        self._call("Performance.enable")
        self._until(lambda: self._run("return Boolean(find('#map[data-layer]'))"), START_SECONDS)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leaving.close()

    def act(self, newest: str) -> None:
        """Do the next thing; what is not there just now is noted."""
        acts: list[Callable[[], object]] = [
            lambda: self._choose(newest),
            lambda: self._press("Home"),
            lambda: self._select("layer3"),
            lambda: self._click("#tab-neurons"),
            self._hover,
            lambda: self._click("button[aria-label=Play]"),
            lambda: self._click("#tab-concepts"),
            lambda: self._select("layer4"),
            self._hover,
            lambda: self._click("#tab-compare"),
            lambda: self._press("End"),
            lambda: self._click("#tab-overview"),
        ]
        number, self._acts = self._acts % len(acts), self._acts + 1
        try:
            acts[number]()
            self.failed += self._run("return tab.soakErrors.splice(0)")
        except ReaderError as error:
            self.failed.append(f"act {number}: {error}")

    def weigh(self) -> dict[tuple[str, str], float]:
        """What the page holds, after its garbage was collected and its caches were emptied."""
        self._call("HeapProfiler.collectGarbage")
        self._call("Memory.simulatePressureNotification", level="critical")
        time.sleep(EMPTY_SECONDS)
        metrics = {m["name"]: m["value"] for m in self._call("Performance.getMetrics")["metrics"]}
        return {
            ("page: memory", "MiB"): self._page_memory() / MIB,
            ("page: JavaScript heap", "MiB"): metrics["JSHeapUsedSize"] / MIB,
            ("page: nodes", ""): metrics["Nodes"],
            ("page: event listeners", ""): metrics["JSEventListeners"],
        }

    def _choose(self, run: str) -> None:
        self._click(".runs summary")
        self._click(f".menu-main[title={run}]")

    def _click(self, selector: str) -> None:
        self._until(lambda: self._run(f"const it = find({selector!r}); it?.click(); return Boolean(it)"))

    def _select(self, layer: str) -> None:
        self._run(
            f"const it = find('select[aria-label=Layer]'); it.value = {layer!r};"
            "it.dispatchEvent(new tab.Event('change', {bubbles: true}))"
        )

    def _press(self, key: str) -> None:
        self._run("tab.focus()")
        for kind in ("keyDown", "keyUp"):
            self._call(
                "Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=KEYS[key]
            )

    def _hover(self) -> None:
        box = self._run(
            "const frame = document.querySelector('iframe').getBoundingClientRect();"
            "const map = find('#map .overlay').getBoundingClientRect();"
            "return [frame.x + map.x, frame.y + map.y, map.width, map.height]"
        )
        for part in range(2, 9):
            x, y = (box[i] + box[i + 2] * part / 10 for i in range(2))
            self._call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def _attach(self) -> bool:
        targets = self._call("Target.getTargets")["targetInfos"]
        pages = [target["targetId"] for target in targets if target["type"] == "page"]
        if pages:
            attached = self._call("Target.attachToTarget", targetId=pages[0], flatten=True)
            self._session = attached["sessionId"]
        return bool(pages)

    def _run(self, script: str) -> Any:
        """Run a script in the page and return what it returns."""
        answer = self._call(
            "Runtime.evaluate", expression=f"(() => {{ {PREPARE} {script} }})()", returnByValue=True
        )
        if "exceptionDetails" in answer:
            raise ReaderError(answer["exceptionDetails"].get("exception", {}).get("description", "")[:200])
        return answer["result"].get("value")

    def _call(self, method: str, **parameters: object) -> Any:
        """Send a command and wait for its answer; events are passed over."""
        self._calls += 1
        session = {"sessionId": self._session} if self._session else {}
        command = {"id": self._calls, "method": method, "params": parameters, **session}
        self._commands.write(json.dumps(command).encode() + b"\0")
        while True:
            message = bytearray()
            while (byte := self._answers.read(1)) != b"\0":
                if not byte:
                    raise ReaderError("Chromium has ended")
                message += byte
            answer = json.loads(message)
            if answer.get("id") == self._calls:
                if "error" in answer:
                    raise ReaderError(f"{method}: {answer['error']['message']}")
                return answer["result"]

    def _until(self, done: Callable[[], Any], seconds: float = TRY_SECONDS) -> None:
        deadline = time.monotonic() + seconds
        while True:
            with contextlib.suppress(ReaderError):
                if done():
                    return
            if time.monotonic() > deadline:
                raise ReaderError("it did not come")
            time.sleep(0.1)

    def _page_memory(self) -> int:
        """Bytes that the heaviest page's process has for itself."""
        weights = [0]
        for process in psutil.Process(self._process.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if "--type=renderer" in process.cmdline():
                    weights.append(process.memory_full_info().uss)
        return max(weights)

    def _kill(self) -> None:
        processes = psutil.Process(self._process.pid).children(recursive=True)
        for process in (*processes, self._process):
            with contextlib.suppress(psutil.Error):
                process.kill()
        self._process.wait()
