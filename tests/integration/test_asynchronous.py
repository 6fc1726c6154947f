"""Scoring beside the training: the same log, the same training, and failures that are told."""

import random
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import conceptmon_tb as cm
from conceptmon_tb.training_state import stream_states
from tests.integration.watched_net import (
    Drawing,
    Net,
    Patient,
    contents,
    shake,
    watch,
    world,
    world_with_masks,
)


@pytest.fixture
def net() -> Net:
    torch.manual_seed(0)
    return Net()


@pytest.mark.parametrize("detector", [cm.ClipDissect, cm.NetworkDissection])
def test_what_is_logged_is_the_same_bit_for_bit(
    tmp_path: Path, detector: Callable[[], cm.ConceptDetector]
) -> None:
    probe = world_with_masks() if detector is cm.NetworkDissection else world()
    for name in ("at once", "beside"):
        torch.manual_seed(0)
        net, monitor = Net(), watch(detector(), probe, ["features"])
        with cm.ConceptWriter(
            tmp_path / name, monitor=monitor, strict=True, asynchronous=name == "beside"
        ) as writer:
            for epoch in range(4):
                writer.add_concepts(net, epoch)
                shake(net)
    at_once, beside = contents(tmp_path / "at once"), contents(tmp_path / "beside")
    assert [step for step, _ in at_once] == [0, 1, 2, 3]
    assert beside == at_once


def train(folder: Path | None, asynchronous: bool = False) -> tuple[bytes, object, int]:
    """Weights and streams after a training that draws from all of them, and epochs scored beside it."""
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002 (the global stream is what is watched)
    random.seed(0)
    net, detector = Net(), Patient(0.05)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    data = TensorDataset(torch.rand(64, 3, 32, 32), torch.randint(0, 4, (64,)))
    writer = folder and cm.ConceptWriter(folder, monitor=watch(detector), asynchronous=asynchronous)
    for epoch in range(3):
        for images, labels in DataLoader(data, 4, shuffle=True):
            noise = random.random() + np.random.rand()  # noqa: NPY002
            with torch.autocast("cpu", dtype=torch.bfloat16):
                twice = net(images + noise) + net(images + 0.1 * torch.randn(images.shape))
            loss = nn.functional.cross_entropy(twice.float(), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if writer:
            writer.add_concepts(net, epoch)
    if writer:
        writer.close()
    tensors = [tensor.numpy().tobytes() for tensor in net.state_dict().values()]
    momenta = [state["momentum_buffer"].numpy().tobytes() for state in optimizer.state.values()]
    return b"".join(tensors + momenta), stream_states(), detector.calls_beside


def test_a_training_beside_which_epochs_are_scored_is_the_same_training(tmp_path: Path) -> None:
    bare = train(None)
    monitored = train(tmp_path, asynchronous=True)
    assert monitored[2] == 2
    assert monitored[:2] == bare[:2]
    assert cm.read_run(tmp_path).steps == (0, 1, 2)


def test_forked_workers_of_a_loader_live_beside_it(tmp_path: Path, net: Net) -> None:
    data = TensorDataset(torch.arange(8))
    with cm.ConceptWriter(tmp_path, monitor=watch(Patient(0.2)), strict=True, asynchronous=True) as writer:
        for epoch in range(3):
            writer.add_concepts(net, epoch)
            loaded = [int(x) for (x,) in DataLoader(data, 1, num_workers=2)]
            assert loaded == list(range(8))
    assert cm.read_run(tmp_path).steps == (0, 1, 2)


def test_an_epoch_that_ends_too_early_waits_and_says_so_once(tmp_path: Path, net: Net) -> None:
    monitor = watch(Patient(0.6))
    with (
        warnings.catch_warnings(record=True) as caught,
        cm.ConceptWriter(tmp_path, monitor=monitor, strict=True, asynchronous=True) as writer,
    ):
        warnings.simplefilter("always")
        for epoch in range(5):
            writer.add_concepts(net, epoch)
            shake(net)
    told = [str(warning.message) for warning in caught if "scoring step" in str(warning.message)]
    assert len(told) == 1
    assert "scoring step 1 took" in told[0]
    assert "so step 2 waited 0." in told[0]
    assert [step for step, _ in contents(tmp_path)] == [0, 1, 2, 3, 4]


def test_flush_waits_for_what_is_being_scored(tmp_path: Path, net: Net) -> None:
    writer = cm.ConceptWriter(tmp_path, monitor=watch(Patient(1.0)), strict=True, asynchronous=True)
    for epoch in range(2):
        writer.add_concepts(net, epoch)
    assert [step for step, _ in contents(tmp_path)] in ([], [0])
    writer.flush()
    assert [step for step, _ in contents(tmp_path)] == [0, 1]
    writer.close()


def close(writer: cm.ConceptWriter, net: Net) -> None:
    writer.close()


def flush(writer: cm.ConceptWriter, net: Net) -> None:
    writer.flush()


def add_the_next(writer: cm.ConceptWriter, net: Net) -> None:
    writer.add_concepts(net, 2)


@pytest.mark.parametrize("act", [add_the_next, flush, close])
def test_a_failure_is_raised_at_the_next_call_with_its_step(
    tmp_path: Path, net: Net, act: Callable[[cm.ConceptWriter, Net], None]
) -> None:
    monitor = watch(Patient())
    writer = cm.ConceptWriter(tmp_path, monitor=monitor, strict=True, asynchronous=True)
    writer.add_concepts(net, 0)
    monitor.detector.fails = True
    writer.add_concepts(net, 1)
    with pytest.raises(RuntimeError, match=r"not logged at step 1: ValueError: no concept") as caught:
        act(writer, net)
    assert isinstance(caught.value.__cause__, ValueError)
    monitor.detector.fails = False
    if act is not close:
        writer.add_concepts(net, 2)
        writer.close()
        assert [step for step, _ in contents(tmp_path)] == [0, 2]
    assert contents(tmp_path)[0][0] == 0


def test_a_failure_does_not_hide_the_training_loops_own(tmp_path: Path, net: Net) -> None:
    monitor = watch(Patient())

    def loop() -> None:
        with cm.ConceptWriter(tmp_path, monitor=monitor, strict=True, asynchronous=True) as writer:
            writer.add_concepts(net, 0)
            monitor.detector.fails = True
            writer.add_concepts(net, 1)
            raise KeyError("the loop's own")

    with pytest.warns(RuntimeWarning, match="not logged at step 1"), pytest.raises(KeyError, match="own"):
        loop()
    assert [step for step, _ in contents(tmp_path)] == [0]


def test_not_strict_warns_once_and_goes_on(tmp_path: Path, net: Net) -> None:
    monitor = watch(Patient())
    with (
        warnings.catch_warnings(record=True) as caught,
        cm.ConceptWriter(tmp_path, monitor=monitor, asynchronous=True) as writer,
    ):
        warnings.simplefilter("always")
        for epoch in range(5):
            monitor.detector.fails = epoch in (1, 3)
            writer.add_concepts(net, epoch)
            writer.flush()
    told = [str(warning.message) for warning in caught if "not logged" in str(warning.message)]
    assert len(told) == 1
    assert "step 1: ValueError: no concept today" in told[0]
    assert [step for step, _ in contents(tmp_path)] == [0, 2, 4]


def test_a_detector_that_draws_is_found_out_before_it_runs_beside_the_training(
    tmp_path: Path, net: Net
) -> None:
    with (
        cm.ConceptWriter(tmp_path, monitor=watch(Drawing()), strict=True, asynchronous=True) as writer,
        pytest.raises(RuntimeError, match="drew from the global random streams"),
    ):
        writer.add_concepts(net, 0)


def test_a_detector_that_may_draw_is_refused_before_a_file_is_made(tmp_path: Path) -> None:
    monitor = watch(cm.Descriptions(lambda pictures: "dog"))
    with pytest.raises(ValueError, match="use asynchronous=False"):
        cm.ConceptWriter(tmp_path / "run", monitor=monitor, asynchronous=True)
    assert not (tmp_path / "run").exists()


def test_two_writers_can_share_a_monitor(tmp_path: Path, net: Net) -> None:
    monitor, other = watch(Patient(0.1)), Net()
    with (
        cm.ConceptWriter(tmp_path / "a", monitor=monitor, strict=True, asynchronous=True) as a,
        cm.ConceptWriter(tmp_path / "b", monitor=monitor, strict=True, asynchronous=True) as b,
    ):
        for epoch in range(3):
            a.add_concepts(net, epoch)
            b.add_concepts(other, epoch)
    for folder in (tmp_path / "a", tmp_path / "b"):
        last = cm.read_run(folder).snapshots["features"][2]
        assert np.allclose(last.displacement[last.valid], 0)


SCRIPT = """
import sys
sys.path.insert(0, {tests!r})
from tests.integration.watched_net import Net, Patient, watch
import conceptmon_tb as cm
from multiprocessing import get_context

net = Net()
monitor = watch(Patient(0.5), layers=["features", "head"])
writer = cm.ConceptWriter({folder!r}, monitor=monitor, asynchronous=True)
writer.add_concepts(net, 0)
writer.add_concepts(net, 1)
child = get_context("fork").Process(target=print, args=("a child ends beside it",))
child.start()
child.join(20)
assert child.exitcode == 0, child.exitcode
{end}
"""


@pytest.mark.parametrize(
    ("end", "code"), [("del writer; sys.exit(3)", 3), ("raise KeyError('the loop broke')", 1)]
)
def test_the_end_of_the_process_waits(tmp_path: Path, end: str, code: int) -> None:
    script = SCRIPT.format(tests=str(Path(__file__).parents[2]), folder=str(tmp_path), end=end)
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert ended.returncode == code, ended.stderr
    assert "a child ends" in ended.stdout
    assert [step for step, _ in contents(tmp_path)] == [0, 1]
