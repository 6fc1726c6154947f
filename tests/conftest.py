"""Shared by all tests: one thread for torch, so that results and times do not depend on the machine.

And notes of what tests tried to break: `--write-reliability` makes docs/reliability.md of them.
"""

import os
from pathlib import Path

import pytest

from tests.reliability.notes import DOCUMENT, Notes, reliability

__all__ = ["reliability"]
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Register the option here: of a folder further down, pytest would know it too late."""
    parser.addoption(
        "--write-reliability", action="store_true", help="write docs/reliability.md from what the tests noted"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Collect notes in the process that hears of all tests."""
    if config.getoption("--write-reliability", default=False) and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Notes(DOCUMENT, Path(__file__).parent))
