"""Notes of what tests tried, how often and what was lost, and `docs/reliability.md` made of them.

A test notes what it did with the fixture `reliability`, after its assertions. The notes travel with the
test's report, also from one process of pytest-xdist to another; `--write-reliability` writes the document:

    python -m pytest tests --write-reliability

None may fail. Rows of tests that did not run this time are kept, as long as there is such a test.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "reliability.md"
FIXTURE = "reliability"
AREAS = {
    "content": "Hostile content",
    "payloads": "Hostile payloads",
    "requests": "Hostile requests",
    "faults": "Faults",
    "long runs": "Long runs",
    "supply": "Supply and secrets",
    "tensorboard": "Where TensorBoard is at fault",
}
# Too long for a test: their own documents say in short what was found.
MEASURED = {
    "hostile_logs.md": ("payloads", "Fuzzing for long, and a million tags"),
    "long_runs.md": ("long runs", "What a long run costs"),
    "soak.md": ("long runs", "A long soak"),
}
IN_SHORT = "In short: "
HEAD = ("what was tried", "times", "what was lost", "test")
INTRODUCTION = """\
# What was tried to break it

Written by `python -m pytest tests --write-reliability` from the notes of the tests, not by hand. Each row is
made by the test that it names, after all that the test asserts held; a test that fails leaves no document.
*Times* counts inputs, faults or requests; *lost* is what a user would miss of what was whole before.

Event files are shared between people. Two promises are tested here: a log from a stranger cannot hurt whoever
looks at it ([SECURITY.md](../SECURITY.md) says what that means), and a fault costs no data that was written,
and no training ([resume.md](resume.md) says what each case does).
"""

Note = Callable[..., None]


class Row(NamedTuple):
    """One row of the document.

    Attributes:
        area: Key of `AREAS`.
        tried: What was tried.
        lost: What was lost.
        test: File and function of the test.
    """

    area: str
    tried: str
    lost: str
    test: str


@pytest.fixture
def reliability(request: pytest.FixtureRequest) -> Note:
    """Note what the test tried: `reliability(area="faults", tried="bit flips", count=512, lost="nothing")`.

    Call it after the test's assertions. `area` is a key of `AREAS`; `tried` must not change from run to run.
    Notes that differ only in `count`, as those of a parametrised test, become one row with their sum.
    """

    def note(*, area: str, tried: str, count: int, lost: str = "nothing") -> None:
        if area not in AREAS:
            raise ValueError(f"area is {area!r}; it must be one of {', '.join(map(repr, AREAS))}")
        if not tried or not lost or "\n" in tried + lost:
            raise ValueError("tried and lost must be one line each, and not empty")
        if count < 1:
            raise ValueError(f"count is {count}; a test that tried nothing has nothing to note")
        request.node.user_properties.append((FIXTURE, [area, tried, lost, int(count)]))

    return note


class Notes:
    """Collects the notes of all tests and writes the document; a pytest plugin of the controlling process.

    Args:
        path: The document; what it says of tests that do not run is kept.
        tests: Folder of the tests.
    """

    def __init__(self, path: Path, tests: Path) -> None:
        self._path = path
        self._tests = tests
        self._counts: dict[Row, int] = {}
        self._ran: set[str] = set()
        self._said = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take the notes of a test that passed."""
        if report.when != "call" or not report.passed:
            return
        self._ran.add(_test_of(report.nodeid))
        for name, value in report.user_properties:
            if name == FIXTURE:
                area, tried, lost, count = value
                row = Row(area, tried, lost, _test_of(report.nodeid))
                self._counts[row] = self._counts.get(row, 0) + count

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        """Write the document, if everything passed."""
        if exitstatus != pytest.ExitCode.OK:
            self._said = f"{self._path.name} was not written: not all tests passed"
            return
        known = read_document(self._path.read_text(encoding="utf-8")) if self._path.exists() else {}
        kept = {
            row: count for row, count in known.items() if row.test not in self._ran and self._is_there(row)
        }
        text = as_document({**kept, **self._counts}, read_measured(self._path.parent))
        self._path.write_text(text, encoding="utf-8")
        self._said = f"wrote {self._path}: {len(self._counts)} rows of this time, {len(kept)} kept"

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Say what became of the document."""
        terminalreporter.write_line(self._said)

    def _is_there(self, row: Row) -> bool:
        file, _, name = row.test.partition("::")
        path = self._tests / file
        return path.is_file() and f"def {name}(" in path.read_text(encoding="utf-8")


def as_document(counts: dict[Row, int], measured: dict[str, str] | None = None) -> str:
    """Return the document.

    Args:
        counts: How often each thing was tried.
        measured: What documents of long measurements say in short, by file name.
    """
    parts = [INTRODUCTION]
    for area, title in AREAS.items():
        own = sorted(row for row in counts if row.area == area)
        said = [
            f"[{MEASURED[name][1]}]({name}): {text}\n"
            for name, text in (measured or {}).items()
            if MEASURED[name][0] == area
        ]
        if own or said:
            parts += [f"## {title}\n", *said]
        if own:
            rows = [(row.tried, f"{counts[row]:,}", row.lost, f"`{row.test}`") for row in own]
            parts.append("\n".join(map(_line, [HEAD, ["---"] * len(HEAD), *rows])) + "\n")
    return "\n".join(parts)


def read_measured(folder: Path) -> dict[str, str]:
    """What the documents of long measurements say in short, by file name; those that there are.

    Args:
        folder: Of the documents.
    """
    there = {name: folder / name for name in MEASURED if (folder / name).exists()}
    return {
        name: line.removeprefix(IN_SHORT)
        for name, path in there.items()
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.startswith(IN_SHORT)
    }


def read_document(text: str) -> dict[Row, int]:
    """Return the rows of a document.

    Args:
        text: As `as_document` made it.
    """
    titles = {f"## {title}": area for area, title in AREAS.items()}
    counts: dict[Row, int] = {}
    area = ""
    for line in text.splitlines():
        area = titles.get(line, area)
        if area and line.endswith("` |"):
            cells = re.split(r"(?<!\\) \| ", line.removeprefix("| ").removesuffix(" |"))
            tried, count, lost, test = (cell.replace("\\|", "|") for cell in cells)
            counts[Row(area, tried, lost, test.strip("`"))] = int(count.replace(",", ""))
    return counts


def _line(cells: Iterable[str]) -> str:
    escaped = (cell.replace("|", "\\|") for cell in cells)
    return f"| {' | '.join(escaped)} |"


def _test_of(nodeid: str) -> str:
    """File and function of a test, without its parameters."""
    return nodeid.partition("[")[0].removeprefix("tests/")
