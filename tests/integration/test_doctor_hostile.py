"""The doctor in places that are not as they should be: links, odd names, closed folders, a full disk."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from conceptmon_tb.cli import main
from conceptmon_tb.doctor import examine, repair
from conceptmon_tb.event_files import event_files, frame_record, read_records
from tests.synthetic import write_run

SMALL = {"layer1": 8}
DOCTOR = [sys.executable, "-m", "conceptmon_tb", "doctor"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One run, to be copied."""
    folder = tmp_path_factory.mktemp("made") / "run"
    write_run(folder, epochs=2, layers=SMALL)
    return folder


@pytest.fixture
def nobody() -> Iterator[None]:
    """Tests may run as root, who may read everything."""
    user = os.geteuid()
    os.seteuid(user or 65534)
    yield
    os.seteuid(user)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users may look into, unlike pytest's."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_links_are_followed_and_what_two_names_lead_to_is_one_run(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made, tmp_path / "elsewhere" / "run")
    shutil.copytree(made, tmp_path / "logs" / "own")
    (tmp_path / "logs" / "a link").symlink_to("own")
    (tmp_path / "logs" / "own" / "round in circles").symlink_to("..")
    (tmp_path / "logs" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "logs" / "nowhere").symlink_to(tmp_path / "is not there")
    runs = examine(tmp_path / "logs").runs
    assert [(run.name, run.steps) for run in runs] == [("linked/run", (0, 1)), ("own", (0, 1))]
    done = subprocess.run(
        [*DOCTOR, str(tmp_path / "logs"), "--repair", str(tmp_path / "elsewhere" / "run" / "copy")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "has links to runs there" in done.stderr
    repair(tmp_path / "logs", tmp_path / "elsewhere" / "copy")
    assert [run.name for run in examine(tmp_path / "elsewhere" / "copy").runs] == ["linked/run", "own"]


@pytest.mark.parametrize("name", [b"r\xff\xfe", b"new\nline", b"\x1b[31mred", "ü ✓".encode()])
def test_names_of_any_bytes_are_examined_shown_harmlessly_and_copied(
    made: Path, tmp_path: Path, name: bytes
) -> None:
    shutil.copytree(made, tmp_path / "logs" / os.fsdecode(name))
    command = [*DOCTOR, "logs", "--repair", "out"]
    said = subprocess.run(command, capture_output=True, check=True, cwd=tmp_path).stdout.decode()
    shown = said.splitlines()
    notes = [line for line in shown if "stops at it and shows nothing" in line]
    assert (len(shown) - len(notes), len(notes)) == (12, int(name == b"r\xff\xfe"))
    assert shown[0].startswith(("r\\udcff\\udcfe: ", "new\\nline: ", "\\x1b[31mred: ", "ü ✓: "))
    assert [path.name for path in (tmp_path / "out").iterdir()] == [os.fsdecode(name)]


def test_a_folder_that_may_not_be_read_is_named_and_the_others_are_examined(
    made: Path, open_folder: Path, request: pytest.FixtureRequest
) -> None:
    shutil.copytree(made, open_folder / "a" / "run")
    (open_folder / "b").mkdir(mode=0)
    request.getfixturevalue("nobody")
    first, second = examine(open_folder).runs
    assert (first.name, first.problems, first.steps) == ("a/run", (), (0, 1))
    (problem,) = second.problems
    assert (second.name, problem.code) == ("b", "unreadable")
    assert "Permission denied" in problem.message


def test_a_log_that_nobody_may_write_to_is_examined_and_copied(
    made: Path, open_folder: Path, request: pytest.FixtureRequest
) -> None:
    shutil.copytree(made, open_folder / "logs" / "run")
    (open_folder / "out").mkdir()
    (open_folder / "out").chmod(0o777)
    for path in [*(open_folder / "logs").rglob("*"), open_folder / "logs"]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    request.getfixturevalue("nobody")
    repair(open_folder / "logs", open_folder / "out")
    assert examine(open_folder / "logs").is_clean
    assert examine(open_folder / "out").is_clean


def test_a_copy_that_cannot_be_finished_is_taken_back_and_the_report_is_there(
    made: Path, tmp_path: Path
) -> None:
    shutil.copytree(made, tmp_path / "logs" / "a")
    write_run(tmp_path / "logs" / "b", epochs=2, layers={"layer1": 400})
    (tmp_path / "empty").mkdir()

    def fill_disk() -> None:
        limit = event_files(made)[0].stat().st_size + 100_000
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    for out in ("new/copy", "empty"):
        done = subprocess.run(
            [*DOCTOR, "logs", "--repair", out], cwd=tmp_path, preexec_fn=fill_disk,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 2
        assert done.stdout.splitlines()[-1] == "2 runs: clean"
        assert "the copy could not be written, and is removed again: [Errno 27] File too large" in done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"logs", "empty"}
    assert list((tmp_path / "empty").iterdir()) == []


def test_a_file_that_goes_away_meanwhile_is_named(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made, tmp_path / "a")
    shutil.copytree(made, tmp_path / "b")

    def remove(_: int) -> None:
        shutil.rmtree(tmp_path / "b", ignore_errors=True)

    first, *_ = examine(tmp_path, remove).runs
    assert (first.name, first.problems) == ("a", ())


def test_pipes_and_folders_with_names_of_event_files_are_no_event_files(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made, tmp_path / "run")
    os.mkfifo(tmp_path / "run" / "events.out.tfevents.1.pipe.1.0")
    (tmp_path / "run" / "events.out.tfevents.2.folder.1.0").mkdir()
    (run,) = examine(tmp_path).runs
    assert (len(run.files), run.problems) == (1, ())


def test_what_stands_behind_a_hole_of_a_gigabyte_is_found(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made, tmp_path / "run")
    (file,) = event_files(tmp_path / "run")
    size = file.stat().st_size
    os.truncate(file, size + (1 << 28))
    with file.open("ab") as opened:
        opened.write(frame_record(b""))
    *_, hole, last = read_records(file, salvage=True)
    assert (hole.offset, hole.nbytes) == (size, 1 << 28)
    assert (last.damage, last.data) == (None, b"")


def test_wrong_places_for_a_copy_are_named(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere" / "at all")
    for out in (tmp_path / "dangling", Path("/proc/nope")):
        assert main(["doctor", str(made), "--repair", str(out)]) == 2
        assert "conceptmon doctor: the copy could not be written" in capsys.readouterr().err
