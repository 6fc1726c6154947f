"""Trainings that are really killed (SIGKILL, at random moments) and resumed, and what is left of them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from conceptmon_tb.doctor import examine, repair
from conceptmon_tb.event_files import event_files, read_records
from conceptmon_tb.folder_lock import is_locked
from tests.crash import log_epochs, noted, read, scalar_steps, shown, start, train_and_kill
from tests.servers import TensorBoardServer

STEPS, KILLS = 26, 4
WAYS = {"purge": True, "keep": False}
RUNS = ["purge", "keep", "repaired/purge", "repaired/keep"]


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two trainings, each killed four times, and their clean copies."""
    logs = tmp_path_factory.mktemp("logs")
    for name, resumes_with_purge in WAYS.items():
        folder, log = logs / "killed" / name, logs / f"{name}.log"
        folder.mkdir(parents=True)
        sessions = train_and_kill(
            folder, log, steps=STEPS, kills=KILLS, resumes_with_purge=resumes_with_purge, seed=len(name)
        )
        assert list(sessions) == list(range(KILLS + 1))
    repair(logs / "killed", logs / "copy")
    (logs / "copy").rename(logs / "killed" / "repaired")
    return logs


@pytest.fixture(scope="module", params=["--load_fast=true", "--load_fast=false"])
def server(logs: Path, request: pytest.FixtureRequest) -> Iterator[TensorBoardServer]:
    with TensorBoardServer(logs / "killed", request.param) as running:
        running.wait_for(lambda: all(len(shown(running, run)) == STEPS for run in RUNS))
        yield running


def test_the_trainings_were_killed_in_the_middle(logs: Path) -> None:
    for name in WAYS:
        sessions = {session for session, _ in noted(logs / f"{name}.log")}
        assert len(event_files(logs / "killed" / name)) == KILLS + 1
        assert len(sessions) > KILLS // 2


@pytest.mark.parametrize("name", WAYS)
def test_no_epoch_is_lost_and_none_is_there_twice(logs: Path, name: str) -> None:
    assert [step for step, _ in read(logs / "killed" / name)] == list(range(STEPS))


def test_with_purge_step_each_epoch_is_from_the_last_session_that_trained_it(logs: Path) -> None:
    last = {step: session for session, step in sorted(noted(logs / "purge.log"))}
    assert all(session >= last[step] for step, session in read(logs / "killed" / "purge"))


def test_without_purge_step_each_epoch_is_from_the_first_session_that_logged_it(logs: Path) -> None:
    first = {step: session for session, step in sorted(noted(logs / "keep.log"), reverse=True)}
    assert all(session <= first[step] for step, session in read(logs / "killed" / "keep"))


@pytest.mark.parametrize("run", RUNS)
def test_both_loaders_serve_what_read_run_gives(logs: Path, server: TensorBoardServer, run: str) -> None:
    for layer in ("layer1", "layer2"):
        assert shown(server, run, layer) == read(logs / "killed" / run, layer)
    assert scalar_steps(server, run, "concepts/layer1/d_anchor") == list(range(STEPS))
    assert server.runs()[run]["skipped"] == []


@pytest.mark.parametrize("run", ["purge", "repaired/purge", "repaired/keep"])
def test_the_loops_own_scalars_are_there_once(server: TensorBoardServer, run: str) -> None:
    assert scalar_steps(server, run, "loss/train") == list(range(STEPS))


def test_the_doctor_finds_no_more_than_what_a_kill_does(logs: Path) -> None:
    original = examine(logs / "killed")
    assert {problem.code for problem in original.problems} <= {"truncated", "values repeated"}
    assert examine(logs / "killed" / "repaired").is_clean


def test_an_epoch_is_in_the_file_when_the_call_returns(tmp_path: Path) -> None:
    process = start(tmp_path, 0, range(1000), log=tmp_path / "log", pause=0.01)
    while len(noted(tmp_path / "log")) < 3:
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    done = [step for _, step in noted(tmp_path / "log")]
    assert [step for step, _ in read(tmp_path)][: len(done)] == done
    assert not is_locked(tmp_path)


def test_a_file_cut_at_any_place_keeps_all_whole_records_and_can_be_resumed(tmp_path: Path) -> None:
    log_epochs(tmp_path / "whole", 0, range(3), layers={"layer1": 5})
    (whole,) = event_files(tmp_path / "whole")
    data = whole.read_bytes()
    last = [record for record in read_records(whole) if record.nbytes > 2000][-1]
    for number, cut in enumerate((1, 7, 11, 12, 500, last.nbytes - 4, last.nbytes - 1)):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / whole.name).write_bytes(data[: last.offset + cut])
        log_epochs(folder, 1, range(1, 5), layers={"layer1": 5})
        assert read(folder) == [(0, 0), (1, 0), (2, 1), (3, 1), (4, 1)]
        (problem,) = [problem for problem in examine(folder).problems if problem.level == "damage"]
        assert (problem.code, problem.offset, problem.record) == ("truncated", last.offset, last.number)
