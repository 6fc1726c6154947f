"""A real Lightning training that alerts end, after the concepts that show why were logged."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from torch import Tensor, nn
from torch.nn import functional as F

import conceptmon_tb as cm
from conceptmon_tb.integrations.lightning import ConceptMonitorCallback
from conceptmon_tb.integrations.lightning_stopping import ConceptEarlyStopping
from tests import loops

DIES_AT = 1


class Dying(pl.LightningModule):
    """Most of its neurons die in the middle of one epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Sequential(nn.Conv2d(3, 16, 3, 2), nn.ReLU())
        self.head = nn.Linear(16, loops.CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.conv(x).mean((2, 3)))

    def training_step(self, batch: Any, _: int) -> Tensor:
        if self.current_epoch == DIES_AT:
            nn.init.constant_(self.conv[0].bias[:12], -100.0)
        loss = F.cross_entropy(self(batch[0]), batch[1])
        self.log("train_loss", loss, on_epoch=True)
        return loss

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=1e-3)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def fit(folder: Path, *callbacks: Any, **options: Any) -> Any:
    torch.manual_seed(0)
    options = {"max_epochs": 6, "logger": TensorBoardLogger(folder), **options}
    trainer = loops.lightning_trainer(folder, callbacks=list(callbacks), **options)
    trainer.fit(Dying(), loops.loader())
    return trainer


@pytest.fixture(scope="module")
def monitor() -> cm.ConceptMonitor:
    return cm.ConceptMonitor(["conv"], loops.probe(), progress=False, strict=True)


@pytest.mark.parametrize(("patience", "epochs"), [(1, 3), (2, 4)])
def test_a_training_ends_once_an_alert_has_held_for_long_enough(
    tmp_path: Path, monitor: cm.ConceptMonitor, patience: int, epochs: int
) -> None:
    stopping = ConceptEarlyStopping("dead_growing", patience=patience)
    trainer = fit(tmp_path, ConceptMonitorCallback(monitor, axis="epoch"), stopping)
    assert trainer.current_epoch == epochs
    assert (stopping.alert.rule, stopping.alert.layer, stopping.alert.step) == (
        "dead_growing",
        "conv",
        DIES_AT + 1,
    )
    run = cm.read_run(trainer.logger.log_dir)
    assert run.steps == tuple(range(epochs))
    assert stopping.alert in run.alerts
    assert run.alerts == tuple(cm.check_run(run))
    assert "train_loss_epoch" in run.training[0]


@pytest.mark.parametrize(
    "options",
    [{"stop": False}, {"rules": "concepts_frozen"}, {"layers": "head"}],
    ids=["only told", "another rule", "another layer"],
)
def test_a_training_goes_on_where_nothing_counts_or_it_is_only_told(
    tmp_path: Path, monitor: cm.ConceptMonitor, caplog: pytest.LogCaptureFixture, options: dict[str, Any]
) -> None:
    trainer = fit(tmp_path, ConceptMonitorCallback(monitor), ConceptEarlyStopping(**options), max_epochs=4)
    assert trainer.current_epoch == 4
    assert ("training would end after epoch 2" in caplog.text) == ("stop" in options)


def test_an_order_that_would_judge_too_late_is_refused(tmp_path: Path, monitor: cm.ConceptMonitor) -> None:
    with pytest.raises(ValueError, match="behind ConceptMonitorCallback"):
        fit(tmp_path, ConceptEarlyStopping(), ConceptMonitorCallback(monitor))


def test_alone_it_says_what_is_missing_and_without_a_logger_nothing_is_trained(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fit(tmp_path, ConceptEarlyStopping(), fast_dev_run=True)
    assert "Concept" not in caplog.text
    assert fit(tmp_path, ConceptEarlyStopping(), max_epochs=1).current_epoch == 1
    assert "has no ConceptMonitorCallback beside it" in caplog.text
    with pytest.raises(MisconfigurationException, match="ConceptEarlyStopping works with"):
        fit(tmp_path, ConceptEarlyStopping(), logger=False)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"rules": "diversity"}, ValueError, "rules must be of diversity_falling"),
        ({"patience": 0}, ValueError, "patience must be at least 1"),
        ({"patience": 1.5}, TypeError, "patience must be a whole number"),
        ({"severity": "fatal"}, ValueError, "severity"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        ConceptEarlyStopping(**options)


def test_how_long_alerts_hold_goes_with_a_checkpoint() -> None:
    saved, loaded = ConceptEarlyStopping(), ConceptEarlyStopping()
    saved.load_state_dict({"held": [["conv", "dead_growing", 2]]})
    loaded.load_state_dict(saved.state_dict())
    assert loaded.state_dict() == {"held": [["conv", "dead_growing", 2]]}
