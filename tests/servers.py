"""A real TensorBoard process for integration and browser tests."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

START_SECONDS = 60.0
PLUGIN_ROUTE = "/data/plugin/conceptmon/"


class TensorBoardServer:
    """TensorBoard on a free port; started by entering, killed with its data server by leaving.

    Args:
        logdir: Log directory.
        *flags: More command line flags, such as "--load_fast=false".
        prefix: What `--path_prefix` was given, if it was.
        environment: Changed environment variables.
        bind_all: Listen on all interfaces; else on localhost alone, as TensorBoard does unless told.
    """

    def __init__(
        self,
        logdir: str | Path,
        *flags: str,
        prefix: str = "",
        environment: dict[str, str] | None = None,
        bind_all: bool = True,
    ) -> None:
        self.logdir = Path(logdir)
        self.prefix = prefix
        self._flags = [*flags, f"--path_prefix={prefix}"] if prefix else list(flags)
        self._flags += ["--bind_all"] if bind_all else []
        self._environment = {**os.environ, **(environment or {})}
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  # closed by stop
        self._process: subprocess.Popen[bytes] | None = None
        self.port = _free_port()

    @property
    def url(self) -> str:
        """Address of the page, ending in a slash."""
        return f"http://127.0.0.1:{self.port}{self.prefix}/"

    @property
    def pid(self) -> int:
        """Id of the running process."""
        if self._process is None:
            raise RuntimeError("TensorBoard is not running; start it first")
        return self._process.pid

    @property
    def log(self) -> str:
        """What the process has printed so far."""
        self._log.seek(0)
        return self._log.read().decode(errors="replace")

    def start(self) -> TensorBoardServer:
        """Start the process and wait for its first answer."""
        command = [
            sys.executable,
            "-m",
            "tensorboard.main",
            "--logdir",
            str(self.logdir),
            "--port",
            str(self.port),
        ]
        self._process = subprocess.Popen(
            [*command, *self._flags],
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env=self._environment,
            start_new_session=True,
        )
        self.wait_for(lambda: self._is_up(), START_SECONDS)
        return self

    def kill(self) -> None:
        """Kill the process and the data server that it started; `start` starts others at the same address."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """Kill everything for good."""
        self.kill()
        self._log.close()

    def fetch(
        self, route: str, method: str = "GET", **parameters: object
    ) -> tuple[int, bytes, dict[str, str]]:
        """Request a route of the plugin, or any path that starts with a slash.

        Returns:
            Status, body and headers; errors are answers too.
        """
        path = route if route.startswith("/") else PLUGIN_ROUTE + route
        query = "?" + urllib.parse.urlencode(parameters) if parameters else ""
        request = urllib.request.Request(f"{self.url.rstrip('/')}{path}{query}", method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read(), dict(answer.headers)
        except urllib.error.HTTPError as error:
            return error.code, error.read(), dict(error.headers)

    def json(self, route: str, **parameters: object) -> Any:
        """Request a route of the plugin and parse its answer, whatever the status."""
        return json.loads(self.fetch(route, **parameters)[1])

    def runs(self) -> dict[str, Any]:
        """The `runs` part of the plugin's answer of that name."""
        return self.json("runs")["runs"]

    def wait_for(self, condition: Callable[[], Any], seconds: float = 30.0) -> Any:
        """Ask again and again until the condition holds, and return what it gave."""
        deadline = time.monotonic() + seconds
        while True:
            result = condition()
            if result:
                return result
            if time.monotonic() > deadline:
                raise TimeoutError(f"not within {seconds} s; TensorBoard printed:\n{self.log[-4000:]}")
            time.sleep(0.1)

    def __enter__(self) -> TensorBoardServer:  # noqa: PYI034  # Self is not in Python 3.10
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _is_up(self) -> bool:
        if self._process is not None and self._process.poll() is not None:
            raise RuntimeError(f"TensorBoard ended with {self._process.returncode}:\n{self.log[-4000:]}")
        try:
            return self.fetch("/data/plugins_listing")[0] == 200
        except (ConnectionError, urllib.error.URLError, TimeoutError):
            return False


class Corner:
    """A folder of its own in the log directory of a TensorBoard that other tests of the file use as well.

    Runs are asked for and answered as if nothing else were there.

    Args:
        server: The TensorBoard; it sees new runs within a second (`--reload_interval=1`).
        name: Name of the folder.
    """

    def __init__(self, server: TensorBoardServer, name: str) -> None:
        self._server = server
        self._prefix = f"{name}/"
        self.folder = server.logdir / name
        self.fetch_any, self.wait_for = server.fetch, server.wait_for

    def fetch(self, route: str, *, run: str, **parameters: object) -> tuple[int, bytes, dict[str, str]]:
        """Request a route of the plugin about a run here, or any path that starts with a slash."""
        return self._server.fetch(route, run=self._prefix + run, **parameters)

    def json(self, route: str, *, run: str, **parameters: object) -> Any:
        """Request a route about a run here and parse its answer, whatever the status."""
        return json.loads(self.fetch(route, run=run, **parameters)[1])

    def runs(self) -> dict[str, Any]:
        """What the plugin's answer `runs` says of the runs here."""
        runs = self._server.runs().items()
        return {name.removeprefix(self._prefix): run for name, run in runs if name.startswith(self._prefix)}

    @property
    def revision(self) -> str:
        """What changes with every change of any run."""
        return str(self._server.json("runs")["revision"])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
