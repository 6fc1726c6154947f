"""A training that is over: its checkpoints give the time line of live logging, also when interrupted."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

import conceptmon_tb as cm
from conceptmon_tb.checkpoints import CheckpointError, ConflictError, WorkerError
from conceptmon_tb.cli import main
from conceptmon_tb.event_files import event_files, read_records
from conceptmon_tb.history import read_history
from conceptmon_tb.reader import Run
from tests import loops
from tests.servers import TensorBoardServer

EPOCHS = 4
LAYERS = ["features", "head"]
NETS = """
import os, time
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, width=6):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, width, 3, 2), nn.BatchNorm2d(width), nn.ReLU(inplace=True))
        self.head = nn.Linear(width, 4)

    def forward(self, x):
        time.sleep(float(os.environ.get("NET_SECONDS", 0)))
        if self.head.bias[0] == 100:
            raise ArithmeticError("no way forward")
        if self.head.bias[0] == 200:
            os._exit(9)
        return self.head(self.features(x).mean(dim=(2, 3)))
"""


def make_monitor(folder: Path, **settings) -> cm.ConceptMonitor:
    probe = cm.ProbeSet(folder / "probe", batch_size=64)
    return cm.ConceptMonitor(LAYERS, probe, anchors=["dog"], progress=False, **settings)


def command(logdir: Path, *arguments: str) -> list[str]:
    fixed = f"--checkpoints ckpt/*.pt --model nets.py:Net --layers {' '.join(LAYERS)} --anchors dog"
    probe = "--probe probe --transform none --batch-size 64"
    return [*fixed.split(), *probe.split(), "--logdir", str(logdir), *arguments]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a network's code, a probe set, checkpoints of a training, and what it logged live."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "nets.py").write_text(NETS)
    (folder / "probe").mkdir()
    for i, picture in enumerate(cm.ProbeSet.world(100, size=32).pictures()):
        picture.save(folder / "probe" / f"{i:03}.png")
    with in_folder(folder):
        from nets import Net  # type: ignore[import-not-found]

        torch.manual_seed(0)
        net = torch.nn.DataParallel(Net())
        optimizer = torch.optim.SGD(net.parameters(), lr=0.5)
        (folder / "ckpt").mkdir()
        with cm.ConceptWriter(folder / "live", monitor=make_monitor(folder), strict=True) as writer:
            for epoch in range(EPOCHS):
                loss = net(torch.rand(16, 3, 32, 32)).square().sum()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                writer.add_concepts(net, epoch)
                content = {"epoch": epoch, "model": net.state_dict(), "optimizer": optimizer.state_dict()}
                torch.save(content, folder / "ckpt" / f"epoch{epoch}.pt")
    return folder


@contextlib.contextmanager
def in_folder(folder: Path) -> Iterator[None]:
    """Work in a folder whose modules can be imported."""
    before, path = Path.cwd(), list(sys.path)
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        os.chdir(before)
        sys.path[:] = path
        sys.modules.pop("nets", None)


def assert_same(live: Run, made: Run, steps: Sequence[int] = range(EPOCHS)) -> None:
    assert made.steps == tuple(steps)
    assert live.space.fingerprint == made.space.fingerprint
    names = [field.name for field in dataclasses.fields(cm.ConceptSnapshot) if field.name != "space"]
    for layer, step in itertools.product(LAYERS, steps):
        expected, snapshot = live.snapshots[layer][step], made.snapshots[layer][step]
        for name in names:
            np.testing.assert_equal(getattr(snapshot, name), getattr(expected, name), name)


def wait_for_steps(logdir: Path, count: int) -> None:
    deadline = time.monotonic() + 200
    while len(read_history(logdir).steps.get("head", ())) < count:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_an_interrupt_leaves_a_whole_run(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NET_SECONDS", "0.3")

    def interrupt() -> None:
        wait_for_steps(tmp_path / "run", 1)
        os.kill(os.getpid(), signal.SIGINT)

    # What a shell starts in the background ignores the signal, and so would these tests.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with in_folder(trained):
            threading.Thread(target=interrupt).start()
            assert main(["backfill", *command(tmp_path / "run")]) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    said = capsys.readouterr().err
    assert "the same command goes on" in said
    assert said.count("weights are taken from: model, names without 'module.'") == 1
    assert 1 <= len(cm.read_run(tmp_path / "run").steps) < EPOCHS


def test_killed_it_goes_on_to_what_live_logging_gave(
    trained: Path,
    tmp_path: Path,
    tensorboard: Callable[..., TensorBoardServer],
    capsys: pytest.CaptureFixture[str],
) -> None:
    logdir = tmp_path / "run"
    program = "import sys; from conceptmon_tb.cli import main; sys.exit(main(['backfill', *sys.argv[1:]]))"
    environment = {**os.environ, "NET_SECONDS": "0.4", "OMP_NUM_THREADS": "1"}
    arguments = [sys.executable, "-c", program, *command(logdir, "--workers", "2")]
    with subprocess.Popen(arguments, cwd=trained, env=environment) as killed:
        wait_for_steps(logdir, 2)
        workers = psutil.Process(killed.pid).children(recursive=True)
        killed.kill()
    assert len(workers) >= 2
    assert psutil.wait_procs(workers, timeout=60)[1] == []  # nobody is left behind
    there = len(read_history(logdir).steps["head"])

    with in_folder(trained):
        assert main(["backfill", *command(logdir)]) == 0
    assert f"wrote {EPOCHS - there} steps" in capsys.readouterr().out
    run = cm.read_run(logdir)
    assert run.warnings == ()
    assert_same(cm.read_run(trained / "live"), run)
    for loader in ("--load_fast=true", "--load_fast=false"):
        layers = tensorboard(tmp_path, loader).runs()["run"]["layers"]
        assert {layer: content["steps"] for layer, content in layers.items()} == {
            layer: list(range(EPOCHS)) for layer in LAYERS
        }


def test_one_process_gives_the_same_as_live_logging(trained: Path, tmp_path: Path) -> None:
    with in_folder(trained):
        done = cm.backfill("ckpt/*.pt", "nets:Net", make_monitor(trained), tmp_path)
        assert done.written == (0, 1, 2, 3)
        assert_same(cm.read_run("live"), cm.read_run(tmp_path))
        again = cm.backfill("ckpt/*.pt", "nets:Net", make_monitor(trained), tmp_path)
        assert (again.written, again.skipped) == ((), (0, 1, 2, 3))


@pytest.fixture
def copied(trained: Path, tmp_path: Path) -> Iterator[Path]:
    """The folder, to be changed, with the steps 0 and 1 in `run`."""
    folder = tmp_path / "copied"
    shutil.copytree(trained, folder)
    with in_folder(folder):
        cm.backfill("ckpt/epoch[01].pt", "nets:Net", make_monitor(folder), "run")
        yield folder


def stored(logdir: Path) -> list[bytes]:
    return [path.read_bytes() for path in event_files(logdir)]


def test_displacement_is_measured_across_a_resume(copied: Path) -> None:
    done = cm.backfill("ckpt/epoch[123].pt", "nets:Net", make_monitor(copied), "run")
    assert done.skipped == (1,)
    assert done.written == (2, 3)
    assert_same(cm.read_run("live"), cm.read_run("run"))


def test_without_the_checkpoint_before_displacement_is_not_known_and_that_is_said(copied: Path) -> None:
    done = cm.backfill("ckpt/epoch[23].pt", "nets:Net", make_monitor(copied), "run")
    assert "so the displacement of step 2 is not known" in done.notes[-1]
    snapshots = cm.read_run("run").snapshots["features"]
    assert np.isnan(snapshots[2].displacement).all()
    assert not np.isnan(snapshots[3].displacement).all()


def test_other_settings_are_refused_and_nothing_is_written(copied: Path) -> None:
    before = stored(copied / "run")
    with pytest.raises(ConflictError, match=r"other settings \(top_concepts: 5 there, 3 now\)"):
        cm.backfill("ckpt/*.pt", "nets:Net", make_monitor(copied, top_concepts=3), "run")
    picture = next((copied / "probe").iterdir())
    picture.unlink()
    with pytest.raises(ConflictError, match=r"probe: '100 images \w+' there, '99 images"):
        cm.backfill("ckpt/*.pt", "nets:Net", make_monitor(copied), "run")
    assert stored(copied / "run") == before


def test_what_does_not_belong_to_the_time_line_is_refused(copied: Path) -> None:
    monitor = make_monitor(copied)
    with pytest.raises(ConflictError, match="logged in training, not by a backfill"):
        cm.backfill("ckpt/*.pt", "nets:Net", monitor, "live")
    shutil.copy("ckpt/epoch2.pt", "ckpt/epoch1.pt")
    with pytest.raises(ConflictError, match=r"step 1 in 'run' was made of another epoch1.pt than"):
        cm.backfill("ckpt/*.pt", "nets:Net", monitor, "run")


def test_a_folder_that_somebody_writes_to_is_left_alone(copied: Path) -> None:
    hold = (
        "from conceptmon_tb.folder_lock import lock_folder; kept = lock_folder('run'); print(kept); input()"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", hold], **pipes) as other:
        assert "FolderLock" in other.stdout.readline()
        with pytest.raises(ConflictError, match="another process is writing to log_dir 'run'"):
            cm.backfill("ckpt/*.pt", "nets:Net", make_monitor(copied), "run")


def test_a_time_line_grows_only_at_its_end(copied: Path) -> None:
    monitor = make_monitor(copied)
    done = cm.backfill("ckpt/*.pt", "nets:Net", monitor, "thin", every=2)
    assert done.written == (0, 2)
    with pytest.raises(ConflictError, match=r"epoch1.pt is of step 1, but 'thin' has step 2 already"):
        cm.backfill("ckpt/*.pt", "nets:Net", monitor, "thin")


def test_checkpoints_are_checked_before_anything_is_done(copied: Path) -> None:
    torch.save({"model": {}}, "ckpt/epoch4.pt")
    with pytest.raises(CheckpointError, match=r"ckpt/epoch4.pt holds no named tensors"):
        cm.backfill("ckpt/*.pt", "nets:Net", make_monitor(copied), "new")
    Path("ckpt/epoch4.pt").write_bytes(Path("ckpt/epoch3.pt").read_bytes()[:900])
    with pytest.raises(
        CheckpointError, match=r"1 of 5 checkpoints cannot be read: ckpt/epoch4.pt is damaged"
    ):
        cm.backfill("ckpt/*.pt", "nets:Net", make_monitor(copied), "new")
    assert not Path("new").exists()
    done = cm.backfill("ckpt/*.pt", "nets:Net", make_monitor(copied), "new", skip_damaged=True, dry_run=True)
    assert done.notes[0].startswith("left out: ckpt/epoch4.pt is damaged")
    assert not Path("new").exists()


def test_settings_and_checkpoints_can_be_read_in_the_run(copied: Path) -> None:
    records = b"".join(record.data or b"" for path in event_files("run") for record in read_records(path))
    assert b"backfill/settings" in records
    assert b'"layers": [\n  "features",' in records
    assert b"`ckpt/epoch1.pt`" in records


def mark(folder: Path, step: int, value: float) -> None:
    path = folder / "ckpt" / f"epoch{step}.pt"
    content = torch.load(path)
    content["model"]["module.head.bias"][0] = value
    torch.save(content, path)


def test_errors_of_further_processes_name_the_checkpoint(copied: Path) -> None:
    mark(copied, 3, 100)
    with pytest.raises(CheckpointError, match=r"ckpt/epoch3.pt \(step 3\): ArithmeticError: no way forward"):
        cm.backfill("ckpt/*.pt", "nets:Net", make_monitor(copied), "run", workers=2)
    assert_same(cm.read_run("live"), cm.read_run("run"), range(3))  # what came before stays
    mark(copied, 3, 200)
    with pytest.raises(
        WorkerError, match=r"ckpt/epoch3.pt \(step 3\): .* ended with exit code 9.*--workers 1"
    ):
        cm.backfill("ckpt/*.pt", "nets:Net", make_monitor(copied), "run", workers=2)


def test_what_cannot_be_pickled_says_so(copied: Path) -> None:
    monitor = cm.ConceptMonitor(LAYERS, cm.ProbeSet("probe", transform=lambda image: torch.ones(3, 32, 32)),
                                progress=False)  # fmt: skip
    with pytest.raises(ValueError, match=r"must be picklable .*use workers=1"):
        cm.backfill("ckpt/*.pt", "nets:Net", monitor, "new", workers=2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--layers", "layer9"], "the model has no layer 'layer9'"),
        (["--model", "nets:Net", "--model-args", '{"width": 8}'], "does not match the model"),
        (["--transform", "imagenet", "--image-size", "2"], "the model cannot look at the probe's pictures"),
        (["--transform", "imagnet"], "transform must be one of imagenet, cifar, none"),
        (["--device", "cuda:77"], "device 'cuda:77' cannot be used"),
        (["--checkpoints", "chkpt/*.pt"], "no checkpoints match 'chkpt/*.pt'"),
        (["--allow-class", "os.system"], "allow_class 'os.system' is no class"),
        (["--probe", "prob"], "source 'prob' is no folder"),
        (["--workers", "0"], "workers must be at least 1"),
        (["--mean", "0.5", "--std", "0"], "std must be above 0"),
    ],
)
def test_wrong_options_are_said_in_one_line(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    with in_folder(trained):
        given = command(tmp_path / "new")
        assert main(["backfill", *given, *arguments]) == 1
    said = capsys.readouterr().err.strip().splitlines()
    assert said[-1].startswith("conceptmon backfill: ")
    assert message in said[-1]
    assert not (tmp_path / "new").exists()


def test_a_dry_run_lists_steps_and_writes_nothing(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with in_folder(trained):
        assert main(["backfill", *command(tmp_path / "new", "--dry-run")]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[1].split() == ["0", "ckpt/epoch0.pt", "name", "(epoch)"]
    assert said[-1] == "nothing was written (--dry-run)"
    assert not (tmp_path / "new").exists()


def test_the_example_makes_a_run_from_its_checkpoints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    loops.run_example("backfill", tmp_path / "run", monkeypatch)
    said = capsys.readouterr().out
    assert "weights are taken from: model" in said
    assert "wrote steps (0, 1, 2)" in said
    assert cm.read_run(tmp_path / "run").steps == (0, 1, 2)
