"""What monitoring costs is under control: fewer epochs, fewer images, scoring beside the training."""

import random
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import conceptmon_tb as cm
from conceptmon_tb.monitor import Collected
from conceptmon_tb.stratify import choose_images
from conceptmon_tb.training_state import is_beside_training, stream_states
from tests.loops import run_example


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.BatchNorm2d(8), nn.ReLU())
        self.dropout = nn.Dropout(0.3)
        self.head = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.dropout(self.features(x).mean(dim=(2, 3))))


class Patient(cm.ClipDissect):
    """A detector that takes its time, and fails when it is told to; `seconds` only beside a training."""

    def __init__(self, seconds: float = 0.0) -> None:
        super().__init__("cos_cubed")
        self.seconds, self.fails, self.calls_beside = seconds, False, 0

    def detect(self, *args: object, **options: object) -> object:
        if is_beside_training():
            self.calls_beside += 1
            with ThreadPoolExecutor(1) as pool:  # scoring uses pools too; Python closes them when it ends
                pool.submit(time.sleep, self.seconds).result()
                pool.submit(int).result()
        if self.fails:
            raise ValueError("no concept today")
        return super().detect(*args, **options)


class Drawing(cm.ClipDissect):
    """A detector that promises too much."""

    def detect(self, *args: object, **options: object) -> object:
        torch.rand(1)
        return super().detect(*args, **options)


@cache
def world() -> cm.ProbeSet:
    return cm.ProbeSet.world(120, size=32)


@cache
def world_with_masks() -> cm.MaskedProbe:
    return cm.MaskedProbe.world(40, size=32)


def watch(detector: object = None, probe: cm.ProbeSet | None = None, layers: object = "features") -> object:
    return cm.ConceptMonitor(layers, probe or world(), detector=detector, anchors=["dog"], progress=False)


@pytest.fixture
def net() -> Net:
    torch.manual_seed(0)
    return Net()


def shake(net: Net) -> None:
    with torch.no_grad():
        for weight in net.parameters():
            weight.add_(torch.randn(weight.shape))


def contents(folder: Path) -> list[tuple[int, dict[str, bytes]]]:
    """Step and values of every event, but for what is a matter of time."""
    events = [e for file in sorted(folder.glob("*tfevents*")) for e in EventFileLoader(str(file)).Load()]
    return [
        (
            event.step,
            {v.tag: v.SerializeToString() for v in event.summary.value if v.tag != "concepts/seconds"},
        )
        for event in events
        if event.HasField("summary")
    ]


def test_steps_between_are_left_out_and_the_last_can_be_asked_for(tmp_path: Path, net: Net) -> None:
    with cm.ConceptWriter(tmp_path, monitor=watch(), strict=True, every_n_epochs=3) as writer:
        for epoch in range(-1, 9):
            writer.add_concepts(net, epoch, force=epoch == 8)
            shake(net)
    run = cm.read_run(tmp_path)
    assert run.steps == (-1, 0, 3, 6, 8)
    last = run.snapshots["features"][8]
    assert np.isfinite(last.displacement[last.valid]).all()


def test_a_step_that_is_left_out_costs_nothing(tmp_path: Path) -> None:
    with cm.ConceptWriter(tmp_path, monitor=watch(), strict=True, every_n_epochs=2) as writer:
        writer.add_concepts("no model", 1)
        with pytest.raises(TypeError, match="model must be"):
            writer.add_concepts("no model", 2)


@pytest.mark.parametrize("wrong", [0, -1, 1.5, "2", True])
def test_every_n_epochs_must_be_a_number_of_epochs(tmp_path: Path, wrong: object) -> None:
    with pytest.raises((TypeError, ValueError), match="every_n_epochs must be"):
        cm.ConceptWriter(tmp_path / "run", every_n_epochs=wrong)
    assert not (tmp_path / "run").exists()


def test_what_looking_costs_is_known_and_logged(tmp_path: Path, net: Net) -> None:
    monitor = watch()
    assert monitor.last_cost is None
    with cm.ConceptWriter(tmp_path, monitor=monitor, strict=True) as writer:
        writer.add_concepts(net, 0)
    cost = monitor.last_cost
    assert cost.images == 120
    assert cost.seconds == cost.forward_seconds + cost.scoring_seconds
    assert min(cost.forward_seconds, cost.scoring_seconds) > 0
    logged = EventAccumulator(str(tmp_path)).Reload().Scalars("concepts/seconds")
    assert [round(point.value, 4) for point in logged] == [round(cost.seconds, 4)]


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
from tests.integration.test_cost import Net, Patient, watch
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


class Slow(Net):
    """A forward that takes its time for every image."""

    seconds = 1e-3

    def forward(self, x: Tensor) -> Tensor:
        time.sleep(self.seconds * len(x))
        return super().forward(x)


@cache
def large_world() -> cm.ProbeSet:
    return cm.ProbeSet.world(900, size=32, batch_size=50)


def limited(max_seconds: float, probe: cm.ProbeSet | None = None) -> cm.ConceptMonitor:
    return cm.ConceptMonitor(
        "features", probe or large_world(), max_seconds=max_seconds, progress=False, strict=True
    )


def test_a_time_limit_chooses_images_once_and_says_so_everywhere(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net, monitor = Slow(), limited(0.5)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with cm.ConceptWriter(tmp_path, monitor=monitor) as writer:
            for epoch in range(3):
                writer.add_concepts(net, epoch)
                net.seconds = 0.0  # a faster model changes nothing any more
    size = len(monitor.probe)
    assert 200 <= size < 500
    told = [str(warning.message) for warning in caught if "max_seconds" in str(warning.message)]
    assert len(told) == 1
    assert f"the same {size} of 900" in told[0]
    run = cm.read_run(tmp_path)
    seen = list(run.snapshots["features"].values())
    assert [(s.probe_images, s.probe_total) for s in seen] == [(size, 900)] * 3
    values = [value for _, content in contents(tmp_path) for value in content.items()]
    texts = [value for tag, value in values if tag == "concepts/probe"]
    assert len(texts) == 1
    assert f"the same {size} of 900 probe images".encode() in texts[0]


def test_what_is_seen_is_what_the_part_alone_shows(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net, monitor = Slow(), limited(0.5)
    with pytest.warns(UserWarning, match="max_seconds"):
        limited_to = monitor.observe(net)["features"]
    part = large_world().part(choose_images(900, len(monitor.probe)))
    alone = watch(cm.ClipDissect(), part).observe(net)["features"]
    assert limited_to.similarity.tobytes() == alone.similarity.tobytes()
    assert limited_to.top_images.tolist() == alone.top_images.tolist()
    assert limited_to.threshold == alone.threshold


def test_a_limit_that_is_wide_enough_or_a_small_probe_changes_nothing(net: Net) -> None:
    for monitor in (limited(300.0), limited(0.0001, world())):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            snapshot = monitor.observe(net)["features"]
        assert snapshot.probe_images == snapshot.probe_total == len(monitor.probe)


def test_a_time_limit_leaves_no_trace_in_the_model_and_the_streams(net: Net) -> None:
    before = stream_states(), {name: tensor.clone() for name, tensor in net.state_dict().items()}
    with pytest.warns(UserWarning, match="max_seconds"):
        limited(0.0001).observe(net)
    assert stream_states() == before[0]
    assert all(torch.equal(tensor, before[1][name]) for name, tensor in net.state_dict().items())
    assert net.training
    assert not net.features._forward_hooks


def test_network_dissection_keeps_to_a_time_limit_too(tmp_path: Path, net: Net) -> None:
    monitor = cm.ConceptMonitor(
        "features",
        cm.MaskedProbe.world(230, size=32),
        detector=cm.NetworkDissection(),
        max_seconds=0.001,
        progress=False,
    )
    with pytest.warns(UserWarning, match=r"the same 200 of 230, which still take"):
        snapshot = monitor.observe(net)["features"]
    assert (snapshot.probe_images, snapshot.probe_total) == (200, 230)


def test_a_captioner_is_not_called_to_be_timed(net: Net) -> None:
    asked: list[int] = []

    def describe(pictures: list[object]) -> str:
        asked.append(len(pictures))
        return "dog"

    monitor = cm.ConceptMonitor(
        "features", large_world(), detector=cm.Descriptions(describe), max_seconds=300, progress=False
    )
    monitor.observe(net)
    assert len(asked) <= 8


@pytest.mark.parametrize("max_seconds", [None, 300.0])
def test_a_resumed_run_goes_on_with_the_images_it_began_with(
    tmp_path: Path, max_seconds: float | None
) -> None:
    torch.manual_seed(0)
    net, first = Slow(), limited(0.5)
    with (
        pytest.warns(UserWarning, match="max_seconds"),
        cm.ConceptWriter(tmp_path, monitor=first, strict=True) as writer,
    ):
        writer.add_concepts(net, 0)
    net.seconds = 0.0
    again = cm.ConceptMonitor("features", large_world(), max_seconds=max_seconds, progress=False)
    with cm.ConceptWriter(tmp_path, monitor=again, strict=True, purge_step=1) as writer:
        writer.add_concepts(net, 1)
    assert again.probe.fingerprint == first.probe.fingerprint
    anew = cm.ConceptMonitor("features", large_world(), progress=False)
    with cm.ConceptWriter(tmp_path, monitor=anew, strict=True, purge_step=0):
        assert len(anew.probe) == 900


def test_looks_that_stay_too_slow_are_told_once() -> None:
    net, monitor = Slow(), limited(0.2)
    net.seconds = 1e-5
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a busy machine may choose a part
        monitor.observe(net)
    net.seconds = 0.25 / len(monitor.probe)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(6):
            monitor.observe(net)
    told = [str(warning.message) for warning in caught]
    assert len(told) == 1
    assert "the last 3 looks at the model took" in told[0]


@pytest.mark.parametrize("wrong", [0, -1.0, "1", True, float("nan")])
def test_a_time_limit_must_be_a_time(wrong: object) -> None:
    with pytest.raises((TypeError, ValueError), match="max_seconds must be"):
        limited(wrong)


def test_the_example_looks_within_its_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_example("cost", tmp_path, monkeypatch)
    run = cm.read_run(tmp_path)
    assert run.steps == (0, 2, 4, 5)
    assert {s.probe_total for s in run.snapshots["layer4"].values()} == {1500}
    assert len({s.probe_images for s in run.snapshots["layer4"].values()}) == 1


def test_collected_keeps_its_time(net: Net) -> None:
    collected = watch().collect(net)
    assert isinstance(collected, Collected)
    assert collected.seconds > 0
