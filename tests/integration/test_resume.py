"""Every way to go on in a folder that holds epochs already, as TensorBoard shows it in both loading modes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from torch.utils.tensorboard import SummaryWriter

from conceptmon_tb.doctor import examine, repair
from conceptmon_tb.event_files import event_files
from conceptmon_tb.folder_lock import is_locked, lock_folder
from conceptmon_tb.reader import read_run
from conceptmon_tb.writer import ConceptWriter, add_concepts
from tests.crash import log_epochs, read, scalar_steps, shown, stamped, start, start_module
from tests.loops import wait_for_the_next_second
from tests.servers import TensorBoardServer
from tests.synthetic import make_space

FIRST = [(0, 0), (1, 0), (2, 0), (3, 0)]
PURGED = [(0, 0), (1, 0), (2, 1), (3, 1), (4, 1)]
KEPT = [*FIRST, (4, 1)]
# What both loaders and read_run must show, by run.
EXPECTED = {
    "resumed with purge_step": PURGED,
    "resumed without": KEPT,
    "plain and resumed with purge_step": PURGED,
    "plain and resumed without": KEPT,
    "plain and resumed plain": KEPT,
    "another concept set": PURGED,
    "another concept set without purge_step": KEPT,
    "a cut record and a resumed file": [(0, 0), (1, 0), (2, 0), (3, 1), (4, 1)],
    "two processes": FIRST,
    "two processes_2": [(0, 7), (1, 7), (2, 7)],
    "ten sessions in a second": [(step, step) for step in range(10)],
    "mended/layers changed": PURGED,
    "mended/plain writer with purge_step": PURGED,
    "mended/repeated by an old writer": [(0, 0), (1, 0), (2, 1), (3, 0)],
    "mended/two plain writers": FIRST,
    "mended/two plain writers_2": [(0, 5), (1, 5), (2, 5)],
}
SMALL = {"layer1": 8}


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    logs = tmp_path_factory.mktemp("resumed")
    for name in EXPECTED:
        if "process" not in name and "ten" not in name and "/" not in name:
            plain = SummaryWriter(str(logs / name)) if "plain and" in name else None
            log_epochs(logs / name, 0, range(4), layers=SMALL, writer=plain)
    log_epochs(logs / "resumed with purge_step", 1, range(2, 5), purge_step=2, layers=SMALL)
    log_epochs(logs / "resumed without", 1, range(2, 5), layers=SMALL)
    log_epochs(logs / "plain and resumed with purge_step", 1, range(2, 5), purge_step=2, layers=SMALL)
    log_epochs(logs / "plain and resumed without", 1, range(2, 5), layers=SMALL)
    wait_for_the_next_second()
    plain = SummaryWriter(str(logs / "plain and resumed plain"))
    log_epochs(logs, 1, range(2, 5), writer=plain, layers=SMALL)
    other = make_space(seed=3)
    log_epochs(logs / "another concept set", 1, range(2, 5), purge_step=2, layers=SMALL, space=other)
    log_epochs(logs / "another concept set without purge_step", 1, range(2, 5), layers=SMALL, space=other)
    (cut,) = event_files(logs / "a cut record and a resumed file")
    os.truncate(cut, cut.stat().st_size - 1000)
    log_epochs(cut.parent, 1, range(3, 5), layers=SMALL)
    _log_together(logs / "two processes")
    for session in range(10):
        log_epochs(logs / "ten sessions in a second", session, [session], layers=SMALL)
    make_mendable(logs / "ill")
    repair(logs / "ill", logs.with_name("copy"))
    shutil.move(logs.with_name("copy"), logs / "mended")
    return logs


@pytest.fixture(scope="module", params=["--load_fast=true", "--load_fast=false"])
def server(logs: Path, request: pytest.FixtureRequest) -> Iterator[TensorBoardServer]:
    with TensorBoardServer(logs, request.param) as running:
        running.wait_for(lambda: all(shown(running, run) for run in EXPECTED))
        yield running


def make_mendable(folder: Path) -> None:
    """Runs that TensorBoard's loaders do not agree about, from writers that did not know better."""
    log_epochs(folder / "layers changed", 0, range(4), layers={**SMALL, "layer2": 6})
    log_epochs(folder / "layers changed", 1, range(2, 5), purge_step=2, layers={**SMALL, "layer3": 6})
    for session, purge_step in ((0, None), (1, 2)):
        wait_for_the_next_second()
        plain = SummaryWriter(str(folder / "plain writer with purge_step"), purge_step=purge_step)
        log_epochs(folder, session, range(4) if session == 0 else range(2, 5), writer=plain, layers=SMALL)
    log_epochs(folder / "repeated by an old writer", 0, range(4), layers=SMALL)
    wait_for_the_next_second()
    log_epochs(folder, 1, [2], layers=SMALL, writer=SummaryWriter(str(folder / "apart")))
    (later,) = event_files(folder / "apart")
    later.rename(folder / "repeated by an old writer" / later.name)
    (folder / "apart").rmdir()
    first, second = (SummaryWriter(str(folder / "two plain writers")) for _ in range(2))
    other = SummaryWriter(str(folder / "elsewhere"))
    for step in range(4):
        add_concepts(first, stamped(step, 0, SMALL), step)
        if step < 3:
            add_concepts(other, stamped(step, 5, SMALL), step)
    for writer in (first, second, other):
        writer.close()
    empty = event_files(folder / "two plain writers")[-1]
    (elsewhere,) = event_files(folder / "elsewhere")
    elsewhere.rename(empty)
    (folder / "elsewhere").rmdir()


@pytest.mark.parametrize("run", EXPECTED)
def test_both_loaders_and_read_run_show_what_they_should(
    logs: Path, server: TensorBoardServer, run: str
) -> None:
    assert read(logs / run) == EXPECTED[run]
    assert shown(server, run) == EXPECTED[run]
    steps = [step for step, _ in EXPECTED[run]]
    assert scalar_steps(server, run, "concepts/layer1/d_anchor") == steps
    entry = server.runs()[run]
    assert entry["skipped"] == []
    assert set(entry["spaces"]) == {
        snapshot.space.fingerprint for snapshot in read_run(logs / run).snapshots["layer1"].values()
    }


def test_all_is_clean_but_what_was_made_ill(logs: Path) -> None:
    found = {run.name: {problem.code for problem in run.problems} for run in examine(logs).runs}
    ill = {run: codes for run, codes in found.items() if codes}
    repeated = {"values repeated"}  # the loop's own scalars, which nobody keeps from being logged again
    assert ill == {
        "resumed without": repeated,
        "plain and resumed without": repeated,
        "plain and resumed plain": repeated,
        "another concept set without purge_step": repeated,
        "a cut record and a resumed file": {
            "truncated",
            "values repeated",
        },
        "ill/layers changed": {"left over"},
        "ill/plain writer with purge_step": {"not purged"},
        "ill/repeated by an old writer": {"repeated", "out of order", "values repeated"},
        "ill/two plain writers": {"two writers"},
    }


def test_the_first_refused_step_names_the_mend_and_the_others_are_silent(tmp_path: Path) -> None:
    log_epochs(tmp_path, 0, range(4), layers=SMALL)
    with ConceptWriter(tmp_path) as writer:
        with pytest.warns(RuntimeWarning, match=r"up to step 3; .* resume with .*purge_step=1"):
            add_concepts(writer, stamped(1, 1, SMALL), 1)
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            add_concepts(writer, stamped(2, 1, SMALL), 2)
    with ConceptWriter(tmp_path) as writer, pytest.raises(ValueError, match="an earlier session"):
        add_concepts(writer, stamped(3, 1, SMALL), 3, strict=True)
    assert read(tmp_path) == FIRST


def test_a_step_that_comes_after_a_later_one_would_hide_it(tmp_path: Path) -> None:
    with ConceptWriter(tmp_path) as writer:
        add_concepts(writer, stamped(5, 0, SMALL), 5)
        with pytest.warns(RuntimeWarning, match="later step than global_step=3"):
            add_concepts(writer, stamped(3, 0, SMALL), 3)
    assert read(tmp_path) == [(5, 0)]


def test_an_epoch_whose_record_was_spoilt_is_logged_again(tmp_path: Path) -> None:
    log_epochs(tmp_path, 0, range(3), layers=SMALL)
    (file,) = event_files(tmp_path)
    data = bytearray(file.read_bytes())
    data[data.rindex(b"CMON") + 30] ^= 1  # in the embedding of the last epoch: labels are there
    data[data.rindex(b'{"kind":"neurons"') + 3] ^= 1
    file.write_bytes(data)
    log_epochs(tmp_path, 1, range(3), layers=SMALL)
    assert read(tmp_path) == [(0, 0), (1, 0), (2, 1)]


def test_a_second_process_is_told_and_goes_beside_the_first(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    process = _hold(folder)
    try:
        with pytest.warns(RuntimeWarning, match=r"another process is writing .* goes to .*run_2"):
            writer = ConceptWriter(folder)
        assert writer.log_dir == str(tmp_path / "run_2")
        writer.close()
        with pytest.raises(RuntimeError, match="log_dir of its own"):
            ConceptWriter(folder, strict=True)
    finally:
        process.kill()
        process.wait()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ConceptWriter(folder).close()  # the lock went with the process


def test_a_child_of_a_writer_does_not_keep_the_folder_when_the_writer_has_gone(tmp_path: Path) -> None:
    code = (
        "import os, sys, time; from conceptmon_tb.folder_lock import lock_folder\n"
        "lock = lock_folder(sys.argv[1])\n"
        "if os.fork() == 0: time.sleep(60)\n"
        "print('held', flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, start_new_session=True
    )
    try:
        assert parent.stdout is not None
        parent.stdout.readline()
        assert is_locked(tmp_path)
        parent.kill()
        parent.wait()
        deadline = time.monotonic() + 10  # the child may not have run at all yet
        while is_locked(tmp_path):
            assert time.monotonic() < deadline
    finally:
        os.killpg(parent.pid, 9)


def test_two_writers_of_one_process_share_the_folder_until_both_are_closed(tmp_path: Path) -> None:
    first, second = lock_folder(tmp_path), lock_folder(tmp_path)
    assert first is not None
    assert second is not None
    first.release()
    first.release()
    assert is_locked(tmp_path)
    second.release()
    assert not is_locked(tmp_path)


def test_a_plain_writers_purge_step_that_one_loader_ignores_is_said(tmp_path: Path) -> None:
    log_epochs(tmp_path, 0, range(3), layers=SMALL, writer=SummaryWriter(str(tmp_path)))
    wait_for_the_next_second()
    told = pytest.warns(RuntimeWarning, match="hides steps 1 to 2 .* only in .* fast loader.* ConceptWriter")
    with SummaryWriter(str(tmp_path), purge_step=1) as writer, told:
        add_concepts(writer, stamped(1, 1, SMALL), 1)
    assert read(tmp_path) == [(0, 0), (1, 1)]


def test_another_file_that_grows_is_noticed(tmp_path: Path) -> None:
    with SummaryWriter(str(tmp_path)) as scalars, ConceptWriter(tmp_path) as writer:
        add_concepts(writer, stamped(0, 0, SMALL), 0)
        scalars.add_scalar("loss", 1.0, 0)
        scalars.flush()
        with pytest.warns(RuntimeWarning, match="something else is writing to .* one writer in each"):
            add_concepts(writer, stamped(1, 0, SMALL), 1)
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            add_concepts(writer, stamped(2, 0, SMALL), 2)
    assert [step for step, _ in read(tmp_path)] == [0, 1, 2]


def test_layers_that_are_gone_after_a_resume_are_named(tmp_path: Path) -> None:
    from conceptmon_tb.session import resume

    log_epochs(tmp_path, 0, range(4), layers={"layer1": 6, "layer2": 6})
    with pytest.warns(RuntimeWarning, match=r"layers layer2 were logged from step 2 on .* doctor"):
        resume(tmp_path, 2, ["layer1"])


def test_a_clock_that_is_behind_is_said(tmp_path: Path) -> None:
    log_epochs(tmp_path, 0, range(2), layers=SMALL)
    (file,) = event_files(tmp_path)
    file.rename(tmp_path / file.name.replace("tfevents.1", "tfevents.9"))
    with pytest.warns(RuntimeWarning, match="ahead of this machine's clock"):
        ConceptWriter(tmp_path).close()


def _hold(folder: Path) -> subprocess.Popen[bytes]:
    """Another process that holds a folder as a ConceptWriter does."""
    folder.mkdir()
    code = (
        "import sys, time; from conceptmon_tb.folder_lock import lock_folder\n"
        "lock = lock_folder(sys.argv[1]); print('held', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    return process


def _log_together(folder: Path) -> None:
    """Two trainings that were given one directory by mistake."""
    first = start(folder, 0, range(4), layers=SMALL, pause=0.4)
    while not folder.exists() or not is_locked(folder):
        time.sleep(0.01)
    second = start(folder, 7, range(3), layers=SMALL)
    second.join(60)
    assert first.is_alive()
    first.join(60)


def test_the_example_goes_on_where_it_was_killed(tmp_path: Path) -> None:
    killed = start_module("demo.examples.resume", "--logdir", str(tmp_path), "--kill-at", "1")
    killed.join(120)
    assert killed.exitcode == -signal.SIGKILL
    assert read_run(tmp_path).steps == (0, 1)
    resumed = start_module("demo.examples.resume", "--logdir", str(tmp_path))
    resumed.join(120)
    assert resumed.exitcode == 0
    assert read_run(tmp_path).steps == (0, 1, 2, 3)
    assert [file.starts for file in examine(tmp_path).runs[0].files] == [(0,), (1,)]
