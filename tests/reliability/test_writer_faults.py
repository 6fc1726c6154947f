"""Disks that run full, folders that go away, clocks that run backwards: training goes on, little is lost."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from conceptmon_tb.doctor import examine
from conceptmon_tb.event_files import event_files
from conceptmon_tb.reader import read_run
from conceptmon_tb.writer import ConceptWriter, add_concepts
from tests.crash import log_epochs, read, scalar_steps, shown, stamped
from tests.crash import start as start_training
from tests.reliability.notes import Note
from tests.reliability.troubled import BEGINS, COURSES, DISK_COURSES, ENDS, EPOCHS, start
from tests.servers import TensorBoardServer

BEFORE, AFTER, SINCE = list(range(BEGINS)), list(range(ENDS, EPOCHS)), list(range(BEGINS, EPOCHS))
# Steps that each run has in the end, by what happened before step 3 and was over before step 6.
LEFT = {
    "full": {"run": [*BEFORE, *AFTER]},
    "full to the end": {"run": BEFORE},
    "limited": {"run": [*BEFORE, *AFTER]},
    "read-only": {"run": [*BEFORE, *AFTER]},
    "removed": {"run": SINCE},
    "file removed": {"run": SINCE},
    "moved": {"moved": BEFORE, "run": SINCE},
    "replaced by a file": {"moved": BEFORE, "run": AFTER},
}
# What is told of it: what was tried, and what was lost.
TOLD = {
    "full": ("disk full in the middle of an epoch, and room again", "the epochs without room"),
    "full to the end": ("disk full in the middle of an epoch, to the end", "the epochs without room"),
    "limited": ("files that may not grow any more in the middle of an epoch", "the epochs without room"),
    "read-only": ("disk read-only while training, and writable again", "the epochs meanwhile"),
    "removed": ("run's folder removed while training", "nothing but what was removed"),
    "file removed": ("event file removed while training", "nothing but what was removed"),
    "moved": ("run's folder moved while training", "nothing"),
    "replaced by a file": ("file in place of the run's folder while training", "the epochs meanwhile"),
}
RUNS = [(course, run) for course, runs in LEFT.items() for run in runs]
SMALL = {"layer1": 8}
TOGETHER = 3  # processes that are given one folder in the same second


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trainings to which something happened, each in a process of its own."""
    top = tmp_path_factory.mktemp("troubled")
    processes = [start(top, course) for course in (*DISK_COURSES, *COURSES)]
    processes += [start_training(top / "left" / "same", session, range(4)) for session in range(TOGETHER)]
    _log_backwards(top / "left" / "backwards")
    for process in processes:
        process.join(100)
    return top


@pytest.fixture(scope="module", params=["--load_fast=true", "--load_fast=false"])
def server(logs: Path, request: pytest.FixtureRequest) -> Iterator[TensorBoardServer]:
    with TensorBoardServer(logs / "left", request.param) as running:
        running.wait_for(lambda: all(running.runs().get(f"moved/{run}") for run in LEFT["moved"]))
        running.wait_for(lambda: shown(running, "moved/run") and shown(running, "backwards"))
        yield running


def check_allowed(logs: Path, course: str) -> list[str]:
    """How a training went, line by line."""
    told = (logs / f"{course}.txt").read_text().splitlines()
    if told[0].startswith("not allowed"):
        pytest.skip(f"this system gives no disk of one's own ({told[0]}); 'limited' stands for a full one")
    return told


@pytest.mark.parametrize("course", LEFT)
def test_training_goes_on_and_all_that_could_be_written_is_there(
    logs: Path, course: str, reliability: Note
) -> None:
    told = check_allowed(logs, course)
    assert told[0] == "trained to the end"
    (trouble,) = [line for line in told[1:] if "could not" in line]
    assert "Training goes on" in trouble
    for run, steps in LEFT[course].items():
        assert read(logs / "left" / course / run) == [(step, 0) for step in steps]
        assert read_run(logs / "left" / course / run).images is not None
    damage = {problem.code for problem in examine(logs / "left" / course).problems}
    assert damage <= {"truncated"}
    tried, lost = TOLD[course]
    reliability(area="faults", tried=tried, count=1, lost=lost)


@pytest.mark.parametrize(("course", "run"), RUNS)
def test_both_loaders_show_what_was_written(
    logs: Path, server: TensorBoardServer, course: str, run: str
) -> None:
    check_allowed(logs, course)
    name = f"{course}/{run}"
    server.wait_for(lambda: len(shown(server, name)) == len(LEFT[course][run]))
    assert shown(server, name) == read(logs / "left" / name)
    assert server.runs()[name]["skipped"] == []


@pytest.mark.parametrize("course", ["full", "limited"])
def test_the_disk_was_full_in_the_middle_of_a_record(logs: Path, course: str) -> None:
    check_allowed(logs, course)
    codes = [problem.code for problem in examine(logs / "left" / course / "run").problems]
    assert codes == ["truncated"]


def test_writers_that_start_in_one_folder_in_the_same_second_lose_nothing(
    logs: Path, server: TensorBoardServer, reliability: Note
) -> None:
    folders = sorted((logs / "left").glob("same*"))
    assert len(folders) == TOGETHER
    sessions = {session for folder in folders for _, session in read(folder)}
    assert sessions == set(range(TOGETHER))
    for folder in folders:
        assert [step for step, _ in read(folder)] == list(range(4))
        assert shown(server, folder.name) == read(folder)
    assert examine(logs / "left" / "same").is_clean
    reliability(area="faults", tried="writers that start in one folder in the same second", count=TOGETHER)


def test_a_clock_that_runs_backwards_changes_nothing_but_the_times(
    logs: Path, server: TensorBoardServer, reliability: Note
) -> None:
    steps = [(step, 0) for step in range(5)]
    assert read(logs / "left" / "backwards") == steps
    assert shown(server, "backwards") == steps
    assert scalar_steps(server, "backwards", "concepts/layer1/d_anchor") == [step for step, _ in steps]
    listed = server.runs()["backwards"]
    assert listed["skipped"] == []
    times = listed["layers"]["layer1"]["wall_times"]
    assert times == sorted(times, reverse=True)
    reliability(area="faults", tried="epochs whose clock runs backwards", count=len(steps))


def _log_backwards(folder: Path) -> None:
    with warnings.catch_warnings(), ConceptWriter(folder) as writer:
        warnings.simplefilter("ignore")
        for step in range(5):
            add_concepts(writer, stamped(step, 0, SMALL), step, walltime=time.time() - 3600 * step)


def test_a_file_that_is_removed_before_the_first_epoch_is_begun_anew(tmp_path: Path) -> None:
    with ConceptWriter(tmp_path / "run") as writer:
        event_files(tmp_path / "run")[0].unlink()
        with pytest.warns(RuntimeWarning, match="removed or replaced"):
            add_concepts(writer, stamped(0, 0, SMALL), 0)
    assert read(tmp_path / "run") == [(0, 0)]
    log_epochs(tmp_path / "run", 1, range(3), layers=SMALL, purge_step=0)
    assert read(tmp_path / "run") == [(0, 1), (1, 1), (2, 1)]


def test_strict_raises_where_the_file_is_gone(tmp_path: Path) -> None:
    writer = ConceptWriter(tmp_path / "run", strict=True)
    event_files(tmp_path / "run")[0].unlink()
    with pytest.raises(FileNotFoundError, match="removed or replaced"):
        add_concepts(writer, stamped(0, 0, SMALL), 0)


def test_an_epoch_that_could_not_be_written_may_be_logged_again(tmp_path: Path) -> None:
    with ConceptWriter(tmp_path / "run") as writer:
        add_concepts(writer, stamped(0, 0, SMALL), 0)
        away = (tmp_path / "run").rename(tmp_path / "away")
        (tmp_path / "run").write_text("in the way")
        with pytest.warns(RuntimeWarning, match="could not be written"):
            add_concepts(writer, stamped(1, 0, SMALL), 1)
        (tmp_path / "run").unlink()
        away.rename(tmp_path / "run")
        add_concepts(writer, stamped(1, 0, SMALL), 1)
    assert read(tmp_path / "run") == [(0, 0), (1, 0)]
