"""Shared by all tests: one thread for torch, how many run side by side, and in which order files come.

And notes of what tests tried to break: `--write-reliability` makes docs/reliability.md of them.
"""

import os
from collections.abc import Callable, Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest

from tests.reliability.notes import DOCUMENT, Notes, reliability
from tests.servers import TensorBoardServer

__all__ = ["reliability"]
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")

ROOT = Path(__file__).parent


def pytest_addoption(parser: pytest.Parser) -> None:
    """Register the option here: of a folder further down, pytest would know it too late."""
    parser.addoption(
        "--write-reliability", action="store_true", help="write docs/reliability.md from what the tests noted"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Collect notes in the process that hears of all tests."""
    if config.getoption("--write-reliability", default=False) and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Notes(DOCUMENT, ROOT))


def pytest_xdist_auto_num_workers() -> int:
    """One worker more than cores (`-n auto`): browsers and servers often wait, and a core with them."""
    return len(os.sched_getaffinity(0)) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first, so that no core is idle at the end; browsers and processes of one's own in turns."""
    order = sorted({item.path for item in items})
    browser = [path for path in order if path.is_relative_to(ROOT / "browser")]
    integration = [path for path in order if path.is_relative_to(ROOT / "integration")]
    turns = [path for pair in zip_longest(integration, browser) for path in pair if path is not None]
    places = {path: place for place, path in enumerate([*turns, *order][::-1])}
    items.sort(key=lambda item: -places[item.path])


@pytest.fixture
def tensorboard() -> Iterator[Callable[..., TensorBoardServer]]:
    """Start TensorBoard with `tensorboard(logdir, *flags)`; it is killed after the test."""
    servers: list[TensorBoardServer] = []

    def start(*arguments: Any, **settings: Any) -> TensorBoardServer:
        server = TensorBoardServer(*arguments, **settings)
        servers.append(server)
        return server.start()

    yield start
    for server in servers:
        server.stop()
