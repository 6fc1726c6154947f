"""Alerts of real writers in real event files: raised once, found again, told to loop and TensorBoard."""

from __future__ import annotations

import dataclasses
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

import conceptmon_tb as cm
from conceptmon_tb.alert_rules import AlertRules
from conceptmon_tb.alerts import Alert, ConceptAlert, check_run
from conceptmon_tb.writer import alerts_of
from tests import loops
from tests.servers import TensorBoardServer
from tests.synthetic import make_snapshots

LAYERS = {"layer3": 24, "layer4": 48}
DEAD = (0, 0, 1, 9, 9, 9, 9, 9)
RISING = tuple(0.4 + 0.021 * epoch for epoch in range(8))


def epochs(dead: tuple[int, ...] = DEAD, distance: tuple[float, ...] | None = None) -> Iterator[Any]:
    """Epochs of two layers; in layer4 neurons die, and the anchor distance is as given."""
    for epoch, snapshots in enumerate(make_snapshots(len(dead), LAYERS)):
        changed: dict[str, Any] = {"num_dead": dead[epoch]}
        if distance is not None:
            changed["anchor_distance"] = distance[epoch]
        layer4 = dataclasses.replace(snapshots["layer4"], **changed)
        yield epoch, {"layer3": snapshots["layer3"], "layer4": layer4}


def train(writer: SummaryWriter, **options: Any) -> None:
    for epoch, snapshots in epochs(**options):
        writer.add_scalar("train_loss", 2.0 - 0.2 * epoch, epoch)
        scalars = {"train_loss": torch.tensor(2.0 - 0.2 * epoch), "name": "not a number"}
        cm.add_concepts(
            writer, snapshots, epoch, scalars=None if isinstance(writer, cm.ConceptWriter) else scalars
        )


def told(caught: list[warnings.WarningMessage]) -> list[Alert]:
    return [w.message.alert for w in caught if isinstance(w.message, ConceptAlert)]


def names(alerts: Any) -> list[tuple[str, str, int]]:
    return [(alert.rule, alert.layer, alert.step) for alert in alerts]


def test_an_alert_is_warned_of_once_logged_and_made_again_from_the_event_file(tmp_path: Path) -> None:
    with warnings.catch_warnings(record=True) as caught, cm.ConceptWriter(tmp_path) as writer:
        warnings.simplefilter("always")
        for epoch, snapshots in epochs(distance=RISING):
            for batch in range(3):
                writer.add_scalar("loss/train", 2.0 - 0.2 * epoch + 0.01 * batch, 3 * epoch + batch)
            cm.add_concepts(writer, snapshots, epoch)
    run = cm.read_run(tmp_path)
    assert names(told(caught)) == [
        ("anchor_distance_rising", "layer4", 4),
        ("dead_growing", "layer4", 4),
        ("diversity_falling", "layer4", 5),
    ]
    assert {w.filename for w in caught if isinstance(w.message, ConceptAlert)} == {__file__}
    assert list(run.alerts) == told(caught) == writer.alerts.raised
    assert check_run(run) == check_run(tmp_path) == told(caught)
    assert run.training[2]["loss/train"] == pytest.approx(1.61)
    text = EventAccumulator(str(tmp_path)).Reload().Tensors("concepts/alerts")
    assert [event.step for event in text] == [4, 5]
    assert "9 at step 4" in text[0].tensor_proto.string_val[0].decode()


def test_the_loop_is_called_after_the_epoch_was_written_and_may_end(tmp_path: Path) -> None:
    seen = []

    def stop(alert: Alert) -> None:
        seen.append((alert.rule, cm.read_run(tmp_path).steps[-1]))
        raise StopIteration

    with (
        pytest.raises(StopIteration),
        pytest.warns(ConceptAlert, match="layer4"),
        cm.ConceptWriter(tmp_path, on_alert=stop) as writer,
    ):
        train(writer)
    assert seen == [("dead_growing", 4)]
    assert cm.read_run(tmp_path).steps == (0, 1, 2, 3, 4)


@pytest.mark.parametrize(("cut", "purge"), [(3, 2), (4, None), (6, 6), (7, 3)])
def test_a_resumed_run_goes_on_where_the_series_was(tmp_path: Path, cut: int, purge: int | None) -> None:
    logged = list(epochs())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with cm.ConceptWriter(tmp_path) as writer:
            for epoch, snapshots in logged[:cut]:
                cm.add_concepts(writer, snapshots, epoch)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with cm.ConceptWriter(tmp_path, purge_step=purge) as writer:
            for epoch, snapshots in logged[cut if purge is None else purge :]:
                cm.add_concepts(writer, snapshots, epoch)
    start = cut if purge is None else purge
    assert names(told(caught)) == ([("dead_growing", "layer4", 4)] if start <= 4 else [])
    assert (
        names(cm.read_run(tmp_path).alerts) == names(check_run(tmp_path)) == [("dead_growing", "layer4", 4)]
    )
    assert names(writer.alerts.active) == [("dead_growing", "layer4", 4)]


def test_without_alerts_nothing_is_logged_of_them(tmp_path: Path) -> None:
    with warnings.catch_warnings(), cm.ConceptWriter(tmp_path, alerts=False) as writer:
        warnings.simplefilter("error")
        for epoch, snapshots in epochs():
            cm.add_concepts(writer, snapshots, epoch)
    assert cm.read_run(tmp_path).alerts == ()
    assert not any(b"concepts/training/alerts" in file.read_bytes() for file in tmp_path.iterdir())
    assert names(check_run(tmp_path)) == [("dead_growing", "layer4", 4)]


def test_a_plain_writer_is_given_the_loops_scalars_and_can_be_configured(tmp_path: Path) -> None:
    writer = SummaryWriter(tmp_path)
    alerts_of(writer).configure(AlertRules(rules=("anchor_distance_rising",)))
    with pytest.warns(ConceptAlert, match="anchor distance rose"):
        train(writer, distance=RISING)
    writer.close()
    assert names(alerts_of(writer).raised) == [("anchor_distance_rising", "layer4", 4)]
    assert names(cm.read_run(tmp_path).alerts) == [("anchor_distance_rising", "layer4", 4)]
    with pytest.raises(RuntimeError, match="before the first epoch"):
        alerts_of(writer).configure(False)


@pytest.mark.parametrize(
    ("options", "message"), [({"alerts": "all"}, "alerts must be"), ({"on_alert": 3}, "on_alert must be")]
)
def test_alerts_of_a_wrong_type_are_refused_before_a_file_is_made(
    tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(TypeError, match=message):
        cm.ConceptWriter(tmp_path / "run", **options)
    assert not (tmp_path / "run").exists()


class Dying(nn.Module):
    """Its neurons die when the bias is turned down."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Sequential(nn.Conv2d(3, 16, 3, 2), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x).mean((2, 3))


def watch_neurons_die(writer: cm.ConceptWriter) -> None:
    net = Dying()
    with writer:
        for epoch in range(5):
            writer.add_scalar("train/loss", 1.0 / (1 + epoch), epoch)
            writer.add_concepts(net, epoch)
            if epoch == 2:
                nn.init.constant_(net.conv[0].bias, -100.0)


@pytest.mark.parametrize("asynchronous", [False, True])
def test_dying_neurons_of_a_real_network_are_told_in_the_loops_own_thread(
    tmp_path: Path, asynchronous: bool
) -> None:
    torch.manual_seed(0)
    probe = cm.ProbeSet.world(80, size=32)
    monitor = cm.ConceptMonitor(["conv"], probe, anchors=["dog"], progress=False)
    threads = []

    def note(_: Alert) -> None:
        threads.append(threading.current_thread())

    options = {"asynchronous": asynchronous, "strict": True, "on_alert": note}
    with pytest.warns(ConceptAlert, match="neurons without signal"):
        watch_neurons_die(cm.ConceptWriter(tmp_path, monitor=monitor, **options))
    run = cm.read_run(tmp_path)
    assert ("dead_growing", "conv", 4) in names(run.alerts)
    assert list(run.alerts) == check_run(run)
    assert threads == [threading.main_thread()] * len(run.alerts)
    assert [run.training[step]["train/loss"] for step in run.steps] == pytest.approx(
        [1, 1 / 2, 1 / 3, 1 / 4, 1 / 5]
    )


@pytest.mark.parametrize("loader", ["--load_fast=true", "--load_fast=false"])
def test_tensorboard_serves_the_alerts_and_who_logged_none(tmp_path: Path, loader: str) -> None:
    dead = (*DEAD, 0, 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConceptAlert)
        for run, alerts in (("told", True), ("silent", False)):
            with cm.ConceptWriter(tmp_path / run, alerts=alerts) as writer:
                for epoch, snapshots in epochs(dead):
                    cm.add_concepts(writer, snapshots, epoch)
    with TensorBoardServer(tmp_path, loader) as server:
        server.wait_for(lambda: len(server.runs()) == 2)
        server.wait_for(lambda: server.json("alerts", run="told")["checked"] == list(range(10)))
        answer = server.json("alerts", run="told")
        (alert,) = answer["alerts"]
        assert (alert["rule"], alert["layer"], alert["step"], alert["ended"]) == (
            "dead_growing",
            "layer4",
            4,
            9,
        )
        assert alert["evidence"]["series"] == {"silent": [[0, 0.0], [3, 9.0], [4, 9.0]]}
        assert answer["skipped"] == []
        assert server.json("alerts", run="silent") == {"checked": [], "alerts": [], "skipped": []}
        assert server.fetch("alerts", run="nobody")[0] == 404


def test_the_example_ends_a_training_that_goes_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    loops.run_example("alerts", tmp_path / "run", monkeypatch)
    said = capsys.readouterr().out
    assert "critical at step" in said
    assert "ended after epoch" in said
    run = cm.read_run(tmp_path / "run")
    assert len(run.steps) < 9
    assert [str(alert) for alert in run.alerts] == said.splitlines()[:-1]
