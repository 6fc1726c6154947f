"""The document of what was tried: made of notes of tests, and of all of them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.reliability.notes import DOCUMENT, ROOT, Note, Notes, Row, as_document, read_document

CALL = r"\breliability\(\s*area="
NOTING = """
import pytest

@pytest.mark.parametrize("times", [1, 2])
def test_notes(reliability, times):
    reliability(area="faults", tried="pull | plug", count=times)

def test_says_nothing():
    pass

def test_fails(reliability):
    reliability(area="faults", tried="fail", count=1)
    assert {passes}
"""


def test_notes_of_all_processes_become_one_document_unless_a_test_fails(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(
        "import pathlib\n"
        "from tests.reliability.notes import Notes, reliability\n"
        "def pytest_configure(config):\n"
        "    if not hasattr(config, 'workerinput'):\n"
        "        here = pathlib.Path(__file__).parent\n"
        "        config.pluginmanager.register(Notes(here / 'told.md', here))\n"
    )

    def run(*, passes: bool, workers: str) -> int:
        (tmp_path / "test_it.py").write_text(NOTING.format(passes=passes))
        command = [sys.executable, "-m", "pytest", "-n", workers, "-p", "no:cacheprovider"]
        command += ["--rootdir", str(tmp_path), str(tmp_path)]
        return subprocess.run(command, cwd=ROOT, capture_output=True, timeout=100).returncode

    assert run(passes=False, workers="0") == 1
    assert not (tmp_path / "told.md").exists()
    assert run(passes=True, workers="2") == 0
    said = (tmp_path / "told.md").read_text()
    assert "| pull \\| plug | 3 | nothing | `test_it.py::test_notes` |" in said
    assert read_document(said) == {
        Row("faults", "pull | plug", "nothing", "test_it.py::test_notes"): 3,
        Row("faults", "fail", "nothing", "test_it.py::test_fails"): 1,
    }


def test_rows_of_tests_that_did_not_run_are_kept_while_there_are_such_tests(tmp_path: Path) -> None:
    rows = {Row("faults", "a", "nothing", f"test_it.py::test_{name}"): 1 for name in ("ran", "kept", "gone")}
    (tmp_path / "test_it.py").write_text("def test_ran(): ...\ndef test_kept(): ...\n")
    (tmp_path / "told.md").write_text(as_document(rows))
    notes = Notes(tmp_path / "told.md", tmp_path)
    notes.pytest_runtest_logreport(
        pytest.TestReport("test_it.py::test_ran[x]", ("", 0, ""), {}, "passed", None, "call")
    )
    notes.pytest_sessionfinish(pytest.ExitCode.OK)
    assert [row.test for row in read_document((tmp_path / "told.md").read_text())] == [
        "test_it.py::test_kept"
    ]


def test_rows_are_in_the_order_of_areas_whatever_the_order_of_tests() -> None:
    rows = {Row("faults", "b", "nothing", "x"): 1, Row("content", "c", "nothing", "x"): 2000}
    rows[Row("faults", "a", "nothing", "x")] = 3
    said = as_document(rows)
    assert said == as_document(dict(reversed(rows.items())))
    assert read_document(said) == rows
    short = {"soak.md": "nothing grew."}
    assert "## Long runs\n\n[A long soak](soak.md): nothing grew.\n" in as_document(rows, short)
    assert said.index("## Hostile content") < said.index("2,000") < said.index("| a |") < said.index("| b |")


@pytest.mark.parametrize(
    "wrong",
    [{"area": "fault"}, {"tried": ""}, {"count": 0}, {"lost": "a\nb"}],
    ids=lambda wrong: next(iter(wrong)),
)
def test_a_note_that_says_nothing_is_refused(reliability: Note, wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        reliability(**{"area": "faults", "tried": "a", "count": 1, "lost": "nothing", **wrong})


def test_the_document_names_all_files_that_note_something_and_no_test_that_is_gone(
    pytestconfig: pytest.Config,
) -> None:
    if pytestconfig.getoption("--write-reliability"):
        pytest.skip("the document is being written")
    tests = ROOT / "tests"
    named = {row.test for row in read_document(DOCUMENT.read_text(encoding="utf-8"))}
    texts = {
        path: path.read_text(encoding="utf-8") for path in tests.rglob("test_*.py") if path != Path(__file__)
    }
    noting = {str(path.relative_to(tests)) for path, text in texts.items() if re.search(CALL, text)}
    assert noting <= {test.partition("::")[0] for test in named}
    for test in named:
        file, _, name = test.partition("::")
        assert f"def {name}(" in texts[tests / file]
