"""What monitoring costs is known and under control: fewer epochs, fewer images."""

import time
import warnings
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor

import conceptmon_tb as cm
from conceptmon_tb.monitor import Collected
from conceptmon_tb.stratify import choose_images
from conceptmon_tb.training_state import stream_states
from tests.integration.watched_net import Net, contents, shake, watch, world
from tests.loops import run_example


@pytest.fixture
def net() -> Net:
    torch.manual_seed(0)
    return Net()


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
