"""Transformers' real Trainer with the callback, on tiny models of random weights."""

import importlib
import logging
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter
from transformers.integrations import TensorBoardCallback

import conceptmon_tb as cm
from conceptmon_tb.integrations.transformers import ConceptMonitorCallback
from tests import loops

VIT = "transformers_vit"
NEURONS = "concepts/vit.layers.0/neurons"


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="transformers.*|torch.*|accelerate.*")
        yield


@pytest.fixture(scope="module")
def monitor() -> cm.ConceptMonitor:
    return loops.make_monitor(VIT)


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the Trainer's TensorBoardCallback writes; by default each run has a folder of its own."""
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "log"))
    return tmp_path / "log"


def fit(
    folder: Path,
    *callbacks: Any,
    model: nn.Module | None = None,
    resume_from_checkpoint: str | None = None,
    **options: Any,
) -> Any:
    """Train three epochs of three steps."""
    torch.manual_seed(0)
    model = loops.transformers_model(VIT) if model is None else model
    trainer = loops.transformers_trainer(folder, model, list(callbacks), **options)
    trainer.train(resume_from_checkpoint=resume_from_checkpoint)
    return trainer


def steps(folder: Path, tag: str = NEURONS) -> list[int]:
    """Steps of a tag as TensorBoard's Python loader shows them."""
    log = EventAccumulator(str(folder), size_guidance={"tensors": 0})
    log.Reload()
    return [event.step for event in log.Tensors(tag)] if tag in log.Tags()["tensors"] else []


def event_files(folder: Path) -> list[Path]:
    return list(folder.rglob("*tfevents*"))


def test_concepts_share_file_and_axis_with_the_trainers_scalars(
    tmp_path: Path, log: Path, monitor: cm.ConceptMonitor
) -> None:
    fit(tmp_path, ConceptMonitorCallback(monitor, before_training=True), logging_strategy="epoch")
    assert len(event_files(tmp_path)) == 1
    assert steps(log) == [0, 3, 6, 9]
    assert steps(log, "train/loss") == [3, 6, 9]
    run = cm.read_run(log)
    assert list(run.snapshots) == ["vit.layers.0", "vit.layers.1"]
    assert run.snapshots["vit.layers.1"][9].embedding.shape[0] == 16
    assert (run.snapshots["vit.layers.1"][9].displacement > 0).any()


def test_every_second_step_counts_accumulated_batches_as_one_step(
    tmp_path: Path, log: Path, monitor: cm.ConceptMonitor
) -> None:
    watch = ConceptMonitorCallback(monitor, every_n_steps=2)
    fit(tmp_path, watch, gradient_accumulation_steps=3, num_train_epochs=5)
    assert steps(log) == [2, 4]


def test_the_axis_may_be_epochs_and_the_layers_those_of_a_part(tmp_path: Path, log: Path) -> None:
    monitor = cm.ConceptMonitor(["layers.1"], loops.probe(), progress=False)
    watch = ConceptMonitorCallback(monitor, every_n_epochs=2, axis="epoch", module="vit")
    fit(tmp_path, watch, max_steps=10)
    assert steps(log, "concepts/layers.1/neurons") == [2, 4]  # the fourth epoch ends after one step


@pytest.mark.parametrize(
    ("options", "every_n_steps", "checkpoint", "expected"),
    [
        ({"save_strategy": "epoch"}, None, "checkpoint-3", [3, 6, 9, 12]),
        ({"save_steps": 2}, 2, "checkpoint-4", [2, 4, 6, 8, 10, 12]),
    ],
    ids=["saved after the epoch", "saved in the middle"],
)
def test_a_resumed_run_has_each_step_once(
    tmp_path: Path,
    log: Path,
    monitor: cm.ConceptMonitor,
    options: dict[str, Any],
    every_n_steps: int | None,
    checkpoint: str,
    expected: list[int],
) -> None:
    options = {"save_strategy": "steps", "report_to": "tensorboard", **options}
    fit(tmp_path, ConceptMonitorCallback(monitor, every_n_steps=every_n_steps), **options)
    loops.wait_for_the_next_second()
    fit(
        tmp_path,
        ConceptMonitorCallback(monitor, every_n_steps=every_n_steps),
        resume_from_checkpoint=str(tmp_path / checkpoint),
        num_train_epochs=4,
        **options,
    )
    assert len(event_files(tmp_path)) == 2
    assert steps(log) == expected
    assert steps(log, "train/loss") == list(range(1, 13))
    assert list(cm.read_run(log).steps) == expected


def test_a_writer_that_the_user_gave_to_tensorboards_callback_is_used(
    tmp_path: Path, monitor: cm.ConceptMonitor
) -> None:
    writer = SummaryWriter(str(tmp_path / "mine"))
    callbacks = [ConceptMonitorCallback(monitor), TensorBoardCallback(writer)]
    fit(tmp_path, *callbacks, report_to="none", num_train_epochs=1)
    assert len(event_files(tmp_path)) == 1
    assert steps(tmp_path / "mine") == [3]


def test_without_tensorboards_callback_it_writes_itself_and_says_where(
    tmp_path: Path, log: Path, monitor: cm.ConceptMonitor, caplog: pytest.LogCaptureFixture
) -> None:
    options = {"report_to": "none", "save_strategy": "epoch"}
    with caplog.at_level(logging.WARNING, "conceptmon_tb"):
        fit(tmp_path, ConceptMonitorCallback(monitor), **options)
    (message,) = [r.getMessage() for r in caplog.records if "TensorBoardCallback" in r.getMessage()]
    assert str(log) in message
    loops.wait_for_the_next_second()
    fit(
        tmp_path,
        ConceptMonitorCallback(monitor),
        resume_from_checkpoint=str(tmp_path / "checkpoint-3"),
        **options,
    )
    assert steps(log) == [3, 6, 9]


def test_evaluation_and_prediction_log_nothing(tmp_path: Path, log: Path, monitor: cm.ConceptMonitor) -> None:
    trainer = fit(tmp_path, ConceptMonitorCallback(monitor), num_train_epochs=1)
    trainer.evaluate(trainer.train_dataset)
    trainer.predict(trainer.train_dataset)
    assert steps(log) == [3]


def test_a_layer_that_is_not_there_is_refused_before_training(tmp_path: Path) -> None:
    monitor = cm.ConceptMonitor(["vit.layer.0"], loops.probe(), progress=False)
    with pytest.raises(ValueError, match=r"no layer 'vit.layer.0'.*vit.layers.0"):
        fit(tmp_path, ConceptMonitorCallback(monitor))
    assert event_files(tmp_path) == [] or steps(event_files(tmp_path)[0].parent, "train/loss") == []


class Broken(nn.Module):
    """Fails outside training."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            raise RuntimeError("the forward broke")
        return x


def test_a_failure_warns_once_and_training_goes_on(tmp_path: Path, monitor: cm.ConceptMonitor) -> None:
    model = loops.transformers_model(VIT)
    model.vit.embeddings.dropout = Broken()
    with pytest.warns(RuntimeWarning, match="step 3: RuntimeError: the forward broke") as caught:
        trainer = fit(tmp_path, ConceptMonitorCallback(monitor, strict=False), model=model)
    assert len([w for w in caught if "not logged" in str(w.message)]) == 1
    assert trainer.state.global_step == 9
    with pytest.raises(RuntimeError, match="the forward broke"):
        fit(tmp_path, ConceptMonitorCallback(monitor, strict=True), model=model)


def test_two_trainers_at_a_time_keep_their_writers(
    tmp_path: Path, monitor: cm.ConceptMonitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    class TrainsAnother(transformers.TrainerCallback):
        def on_epoch_end(self, *_: Any, **__: Any) -> None:
            if not (tmp_path / "inner").exists():
                writer = TensorBoardCallback(SummaryWriter(str(tmp_path / "inner")))
                options = {"report_to": "none", "num_train_epochs": 1}
                fit(tmp_path, ConceptMonitorCallback(monitor), writer, **options)

    writer = TensorBoardCallback(SummaryWriter(str(tmp_path / "outer")))
    callbacks = [TrainsAnother(), ConceptMonitorCallback(monitor), writer]
    fit(tmp_path, *callbacks, report_to="none", num_train_epochs=2)
    assert steps(tmp_path / "outer") == [3, 6]
    assert steps(tmp_path / "inner") == [3]


def test_the_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loops.run_example("transformers", tmp_path, monkeypatch)
    assert cm.read_run(tmp_path).steps == (4, 8, 12)


class Missing:
    """A finder that does not find Transformers, as if it were not installed."""

    def find_spec(self, name: str, *_: Any) -> None:
        if name == "transformers":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def test_without_transformers_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = "conceptmon_tb.integrations.transformers"
    for name in [ours, *(name for name in sys.modules if name.partition(".")[0] == "transformers")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Missing(), *sys.meta_path])
    with pytest.raises(ImportError, match=r"pip install 'conceptmon-tb\[transformers\]'"):
        importlib.import_module(ours)
