"""The writer against real event files: what is written, when it is refused, and that training goes on."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

import conceptmon_tb as cm
from conceptmon_tb.detectors import ClipDissect


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 6, 3, 2), nn.BatchNorm2d(6), nn.ReLU(inplace=True), nn.Dropout(0.2)
        )
        self.head = nn.Linear(6, 4)
        self.error: BaseException | None = None

    def forward(self, x: Tensor) -> Tensor:
        if self.error is not None:
            raise self.error
        return self.head(self.features(x).mean(dim=(2, 3)))


@cache
def world() -> cm.ProbeSet:
    return cm.ProbeSet.world(120, size=32)


@pytest.fixture
def net() -> Net:
    torch.manual_seed(0)
    return Net()


@pytest.fixture
def monitor() -> cm.ConceptMonitor:
    return cm.ConceptMonitor(
        ["features", "head"], world(), detector=ClipDissect("cos_cubed"), anchors=["dog"], progress=False
    )


def events(folder: Path) -> list[object]:
    """Events with a summary, in the order of writing."""
    found = [e for file in sorted(folder.glob("*tfevents*")) for e in EventFileLoader(str(file)).Load()]
    return [e for e in found if e.HasField("summary")]


@contextmanager
def without_privileges() -> Iterator[None]:
    """Be nobody for a while: root may write everywhere."""
    user = os.geteuid()
    os.seteuid(user or 65534)
    try:
        yield
    finally:
        os.seteuid(user)


def shake(net: Net) -> None:
    with torch.no_grad():
        net.features[0].weight.add_(torch.randn(net.features[0].weight.shape))


def test_every_epoch_is_one_event_and_comes_back_from_the_reader(
    tmp_path: Path, net: Net, monitor: cm.ConceptMonitor
) -> None:
    with cm.ConceptWriter(tmp_path, monitor=monitor, strict=True) as writer:
        for epoch in (-1, 0, 1):
            writer.add_concepts(net, epoch)
            shake(net)
    written = events(tmp_path)
    assert [event.step for event in written] == [-1, 0, 1]
    tags = [{value.tag for value in event.summary.value} for event in written]
    assert {"concepts/features/neurons", "concepts/head/metrics", "concepts/head/embedding"} <= tags[1]
    assert ["concepts/space/definition" in t for t in tags] == [True, False, False]
    run = cm.read_run(tmp_path)
    assert run.steps == (-1, 0, 1)
    assert run.space.fingerprint == monitor.space.fingerprint
    patches = run.snapshots["features"][1].top_patches
    assert patches is not None
    assert patches.shape == (6, 8, 4)
    left, top, right, bottom = patches[run.snapshots["features"][1].valid].reshape(-1, 4).T
    assert (left < right).all()
    assert (top < bottom).all()
    last = run.snapshots["head"][1]
    assert last.top_patches is None
    assert np.isfinite(last.displacement[last.valid]).all()


def test_each_thumbnail_is_sent_once_and_all_that_are_referred_to_are_there(
    tmp_path: Path, net: Net, monitor: cm.ConceptMonitor
) -> None:
    with cm.ConceptWriter(tmp_path, monitor=monitor, strict=True) as writer:
        for epoch in range(4):
            writer.add_concepts(net, epoch)
            shake(net)
    run = cm.read_run(tmp_path)
    ids = run.images.ids.tolist()
    assert len(ids) == len(set(ids))
    referred = {
        i
        for by_step in run.snapshots.values()
        for s in by_step.values()
        for i in s.top_images.ravel()
        if i >= 0
    }
    assert referred <= set(ids)


def test_the_scalars_are_there_for_tensorboards_own_tabs(
    tmp_path: Path, net: Net, monitor: cm.ConceptMonitor
) -> None:
    with cm.ConceptWriter(tmp_path, monitor=monitor, strict=True) as writer:
        writer.add_scalar("loss/train", 0.5, 0)
        writer.add_concepts(net, 0, walltime=1234.0)
    accumulator = EventAccumulator(str(tmp_path)).Reload()
    d_anchor = accumulator.Scalars("concepts/features/d_anchor")
    assert [(s.step, s.wall_time) for s in d_anchor] == [(0, 1234.0)]
    assert "loss/train" in accumulator.Tags()["scalars"]


def test_a_plain_summary_writer_does_it_too(tmp_path: Path, net: Net, monitor: cm.ConceptMonitor) -> None:
    with SummaryWriter(str(tmp_path)) as writer:
        for epoch in range(2):
            cm.add_concepts(writer, monitor.observe(net), epoch, images=monitor.probe, strict=True)
    run = cm.read_run(tmp_path)
    assert run.steps == (0, 1)
    assert run.images is not None
    assert len(events(tmp_path)) == 2


def test_the_space_is_written_again_when_it_changes(
    tmp_path: Path, net: Net, monitor: cm.ConceptMonitor
) -> None:
    other = cm.ConceptMonitor(
        "head", world(), detector=ClipDissect("cos_cubed"), anchors=["sky"], progress=False
    )
    with SummaryWriter(str(tmp_path)) as writer:
        cm.add_concepts(writer, monitor.observe(net), 0)
        cm.add_concepts(writer, other.observe(net), 1)
        cm.add_concepts(writer, other.observe(net), 2)
    has_space = [
        any(value.tag == "concepts/space/definition" for value in event.summary.value)
        for event in events(tmp_path)
    ]
    assert has_space == [True, True, False]


def test_of_two_calls_at_one_step_the_first_stays(
    tmp_path: Path, net: Net, monitor: cm.ConceptMonitor
) -> None:
    with cm.ConceptWriter(tmp_path / "lax", monitor=monitor) as writer:
        writer.add_concepts(net, 3)
        first = monitor.observe(net)["features"]
        shake(net)
        with pytest.warns(RuntimeWarning, match="global_step=3 before; the first stays"):
            writer.add_concepts(net, 3)
    run = cm.read_run(tmp_path / "lax")
    assert np.array_equal(run.snapshots["features"][3].concept_ids, first.concept_ids)
    assert len(events(tmp_path / "lax")) == 1
    with cm.ConceptWriter(tmp_path / "strict", monitor=monitor, strict=True) as writer:
        writer.add_concepts(net, 3)
        with pytest.raises(ValueError, match="step of its own"):
            writer.add_concepts(net, 3)


def test_a_closed_writer_is_a_clear_error(tmp_path: Path, net: Net, monitor: cm.ConceptMonitor) -> None:
    writer = cm.ConceptWriter(tmp_path, monitor=monitor)
    writer.add_concepts(net, 0)
    writer.close()
    with pytest.raises(RuntimeError, match="is closed"):
        writer.add_concepts(net, 1)
    plain = SummaryWriter(str(tmp_path / "plain"))
    plain.close()
    with pytest.raises(RuntimeError, match="is closed"):
        cm.add_concepts(plain, monitor.observe(net), 1)
    assert cm.read_run(tmp_path).steps == (0,)


@pytest.mark.parametrize(
    ("step", "error"),
    [("1", TypeError), (1.5, TypeError), (True, TypeError), (None, TypeError), (-2, ValueError)],
)
def test_a_step_that_is_no_step_is_refused(
    tmp_path: Path, net: Net, monitor: cm.ConceptMonitor, step: object, error: type[Exception]
) -> None:
    with cm.ConceptWriter(tmp_path, monitor=monitor) as writer, pytest.raises(error, match="global_step"):
        writer.add_concepts(net, step)


def test_whole_numbers_of_numpy_and_torch_are_steps(
    tmp_path: Path, net: Net, monitor: cm.ConceptMonitor
) -> None:
    with cm.ConceptWriter(tmp_path, monitor=monitor, strict=True) as writer:
        writer.add_concepts(net, np.int64(1))
        writer.add_concepts(net, torch.tensor(2))
    assert cm.read_run(tmp_path).steps == (1, 2)


def test_what_is_no_writer_or_no_monitor_is_refused(
    tmp_path: Path, net: Net, monitor: cm.ConceptMonitor
) -> None:
    with pytest.raises(TypeError, match=r"logger\.experiment"):
        cm.add_concepts(object(), {}, 0)
    with pytest.raises(TypeError, match="monitor must be a ConceptMonitor"):
        cm.ConceptWriter(tmp_path, monitor="monitor")
    with cm.ConceptWriter(tmp_path) as writer, pytest.raises(ValueError, match="monitor="):
        writer.add_concepts(net, 0)


def test_a_failure_warns_once_and_training_and_logging_go_on(
    tmp_path: Path, net: Net, monitor: cm.ConceptMonitor
) -> None:
    with cm.ConceptWriter(tmp_path, monitor=monitor) as writer:
        writer.add_concepts(net, 0)
        net.error = ZeroDivisionError("broken forward")
        with pytest.warns(RuntimeWarning, match="ZeroDivisionError: broken forward"):
            writer.add_concepts(net, 1)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            writer.add_concepts(net, 2)
        net.error = None
        writer.add_scalar("loss/train", 1.0, 3)
        writer.add_concepts(net, 3)
    assert cm.read_run(tmp_path).steps == (0, 3)


@pytest.mark.parametrize("where", ["writer", "monitor"])
def test_strict_raises_the_failure_itself(tmp_path: Path, net: Net, where: str) -> None:
    monitor = cm.ConceptMonitor("head", world(), progress=False, strict=where == "monitor")
    net.error = ZeroDivisionError("broken forward")
    strict = True if where == "writer" else None
    outcome = pytest.raises(ZeroDivisionError, match="broken forward")
    with cm.ConceptWriter(tmp_path, monitor=monitor, strict=strict) as writer, outcome:
        writer.add_concepts(net, 0)


def test_a_keyboard_interrupt_is_never_swallowed(
    tmp_path: Path, net: Net, monitor: cm.ConceptMonitor
) -> None:
    net.error = KeyboardInterrupt()
    with cm.ConceptWriter(tmp_path, monitor=monitor) as writer, pytest.raises(KeyboardInterrupt):
        writer.add_concepts(net, 0)
    assert net.training


@pytest.mark.parametrize("fails", [False, True])
def test_training_with_the_writer_is_bit_for_bit_training_without(
    tmp_path: Path, monitor: cm.ConceptMonitor, fails: bool
) -> None:
    def train(watched: bool) -> tuple[list[float], bytes, bytes]:
        torch.manual_seed(0)
        net, losses = Net(), []
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
        with cm.ConceptWriter(tmp_path / str(watched), monitor=monitor) as writer:
            for epoch in range(3):
                images, labels = torch.rand(8, 3, 32, 32), torch.randint(0, 4, (8,))
                loss = nn.functional.cross_entropy(net(images), labels)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                losses.append(loss.item())
                if watched:
                    net.error = ValueError("broken forward") if fails else None
                    writer.add_concepts(net, epoch)
                    net.error = None
        weights = b"".join(value.numpy().tobytes() for value in net.state_dict().values())
        return losses, weights, torch.get_rng_state().numpy().tobytes()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        assert train(True) == train(False)


def test_resuming_keeps_what_was_logged_and_purges_what_is_logged_again(
    tmp_path: Path, net: Net, monitor: cm.ConceptMonitor
) -> None:
    with cm.ConceptWriter(tmp_path, monitor=monitor, strict=True) as writer:
        for epoch in range(4):
            writer.add_concepts(net, epoch)
    with cm.ConceptWriter(tmp_path, monitor=monitor, strict=True, purge_step=2) as writer:
        shake(net)
        writer.add_concepts(net, 2)
    again = monitor.observe(net)["features"]
    accumulator = EventAccumulator(str(tmp_path)).Reload()
    assert [s.step for s in accumulator.Scalars("concepts/features/d_anchor")] == [0, 1, 2]
    run = cm.read_run(tmp_path)
    assert run.steps == (0, 1, 2)
    assert np.array_equal(run.snapshots["features"][2].concept_ids, again.concept_ids)


def test_continuing_without_purge_adds_to_what_is_there(
    tmp_path: Path, net: Net, monitor: cm.ConceptMonitor
) -> None:
    for epoch in range(2):
        with cm.ConceptWriter(tmp_path, monitor=monitor, strict=True) as writer:
            writer.add_concepts(net, epoch)
    accumulator = EventAccumulator(str(tmp_path)).Reload()
    assert [s.step for s in accumulator.Scalars("concepts/features/d_anchor")] == [0, 1]
    assert cm.read_run(tmp_path).steps == (0, 1)


def test_a_folder_that_cannot_be_made_is_named_at_once(tmp_path: Path, monitor: cm.ConceptMonitor) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("in the way")
    with pytest.raises(OSError, match=r"log_dir cannot be written to.*file/run"):
        cm.ConceptWriter(blocker / "run", monitor=monitor)


def test_a_folder_without_rights_is_named_at_once(tmp_path: Path, monitor: cm.ConceptMonitor) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    with without_privileges(), pytest.raises(PermissionError, match=r"log_dir cannot be written to.*locked"):
        cm.ConceptWriter(locked / "run", monitor=monitor)


@pytest.mark.parametrize("snapshots", [None, [1], {"features": 3}])
def test_what_is_no_mapping_of_snapshots_is_refused(tmp_path: Path, snapshots: object) -> None:
    with SummaryWriter(str(tmp_path)) as writer, pytest.raises(TypeError, match="snapshots must"):
        cm.add_concepts(writer, snapshots, 0)


def test_a_plain_writer_keeps_the_first_of_two_calls_at_one_step(
    tmp_path: Path, net: Net, monitor: cm.ConceptMonitor
) -> None:
    with SummaryWriter(str(tmp_path)) as writer:
        first = monitor.observe(net)
        cm.add_concepts(writer, first, 1)
        shake(net)
        with pytest.warns(RuntimeWarning, match="global_step=1 before; the first stays"):
            cm.add_concepts(writer, monitor.observe(net), 1)
        cm.add_concepts(writer, monitor.observe(net), 2)
    run = cm.read_run(tmp_path)
    assert run.steps == (1, 2)
    assert np.array_equal(run.snapshots["features"][1].concept_ids, first["features"].concept_ids)


def test_no_log_dir_means_torchs_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, net: Net, monitor: cm.ConceptMonitor
) -> None:
    monkeypatch.chdir(tmp_path)
    with cm.ConceptWriter(monitor=monitor, strict=True) as writer:
        writer.add_concepts(net, 0)
    (run,) = (tmp_path / "runs").iterdir()
    assert cm.read_run(run).steps == (0,)
