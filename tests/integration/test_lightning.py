"""Lightning's real Trainer with the callback: what goes into its event file, when, and what is refused."""

import importlib
import inspect
import json
import multiprocessing
import os
import pickle
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator
from tensorboard.util.tensor_util import make_ndarray
from torch import Tensor, nn

import conceptmon_tb as cm
from conceptmon_tb.integrations.lightning import ConceptMonitorCallback
from tests import loops
from tests.servers import TensorBoardServer

NEURONS = "concepts/net.first/neurons"


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning.*|torch.*")
        warnings.filterwarnings("ignore", ".*(shuffling enabled|does not have many workers|LeafSpec).*")
        yield


@pytest.fixture(scope="module")
def monitor() -> cm.ConceptMonitor:
    return loops.make_monitor("lightning")


def logger(folder: Path, **options: Any) -> TensorBoardLogger:
    return TensorBoardLogger(folder, name="run", version=0, default_hp_metric=False, **options)


def fit(
    folder: Path, *callbacks: pl.Callback, model: Any = None, ckpt_path: Any = None, **options: Any
) -> Any:
    """Train three epochs of three steps; the log is in `folder/run/version_0`."""
    torch.manual_seed(0)
    options.setdefault("logger", logger(folder))
    trainer = loops.lightning_trainer(folder, callbacks=list(callbacks), **options)
    model = loops.lightning_module() if model is None else model
    trainer.fit(model, loops.loader(), loops.loader(), ckpt_path=ckpt_path)
    return trainer


def steps(folder: Path, tag: str = NEURONS) -> list[int]:
    """Steps of a tag as TensorBoard's Python loader shows them."""
    log = EventAccumulator(str(folder / "run" / "version_0"), size_guidance={"tensors": 0})
    log.Reload()
    return [event.step for event in log.Tensors(tag)] if tag in log.Tags()["tensors"] else []


def event_files(folder: Path) -> list[Path]:
    return list(folder.rglob("*tfevents*"))


class Recorder(pl.Callback):
    """Notes that a training began."""

    began = False

    def on_train_batch_start(self, *_: Any) -> None:
        self.began = True


def test_concepts_share_file_and_axis_with_lightnings_scalars(
    tmp_path: Path, monitor: cm.ConceptMonitor
) -> None:
    fit(tmp_path, ConceptMonitorCallback(monitor))
    assert len(event_files(tmp_path)) == 1
    assert steps(tmp_path) == steps(tmp_path, "loss_epoch") == steps(tmp_path, "val_loss") == [2, 5, 8]
    run = cm.read_run(tmp_path / "run" / "version_0")
    assert list(run.snapshots) == ["net.first", "net.second"]
    assert len(run.images.ids) == len(set(run.images.ids.tolist()))
    assert (run.snapshots["net.first"][8].displacement > 0).any()


def test_every_second_step_counts_accumulated_batches_as_one_step(
    tmp_path: Path, monitor: cm.ConceptMonitor
) -> None:
    watch = ConceptMonitorCallback(monitor, every_n_steps=2, before_training=True)
    fit(tmp_path, watch, accumulate_grad_batches=3, max_epochs=5)
    assert steps(tmp_path, "loss_epoch") == [0, 1, 2, 3, 4]
    assert steps(tmp_path) == [-1, 1, 3]


def test_alerts_hear_the_loss_of_the_step_and_not_the_mean_of_the_epoch_before(
    tmp_path: Path, monitor: cm.ConceptMonitor
) -> None:
    fit(tmp_path, ConceptMonitorCallback(monitor, every_n_steps=1), max_epochs=2)
    folder = tmp_path / "run" / "version_0"
    log = EventAccumulator(str(folder), size_guidance={"tensors": 0}).Reload()
    logged = {event.step: make_ndarray(event.tensor_proto).item() for event in log.Tensors("loss_step")}
    heard = {step: scalars.get("loss") for step, scalars in cm.read_run(folder).training.items()}
    assert heard == pytest.approx(logged)
    assert list(heard) == [0, 1, 2, 3, 4, 5]


def test_the_axis_may_be_epochs_and_the_layers_those_of_a_part(tmp_path: Path) -> None:
    monitor = loops.make_monitor("plain")  # with names relative to the network
    watch = ConceptMonitorCallback(
        monitor, every_n_epochs=2, axis="epoch", before_training=True, module="net"
    )
    fit(tmp_path, watch, max_epochs=4)
    assert steps(tmp_path, "concepts/first/neurons") == [-1, 1, 3]


@pytest.mark.parametrize(
    ("options", "every_n_steps", "at_epochs_end", "expected"),
    [
        ({}, None, True, [2, 5, 8, 11]),
        ({}, None, False, [2, 5, 8, 11]),
        ({"every_n_train_steps": 2}, 2, True, [1, 3, 5, 7, 9, 11]),
    ],
    ids=["saved after the epoch", "saved before the epoch's end", "saved in the middle"],
)
def test_a_resumed_run_has_each_step_once(
    tmp_path: Path,
    monitor: cm.ConceptMonitor,
    options: dict[str, Any],
    every_n_steps: int | None,
    at_epochs_end: bool,
    expected: list[int],
) -> None:
    def train(epochs: int, ckpt_path: Path | None = None) -> None:
        keep = ModelCheckpoint(
            tmp_path / "checkpoints",
            "{step}",
            save_top_k=-1,
            save_on_train_epoch_end=at_epochs_end,
            **options,
        )
        watch = ConceptMonitorCallback(monitor, every_n_steps=every_n_steps)
        fit(tmp_path, keep, watch, ckpt_path=ckpt_path, max_epochs=epochs)

    train(3)
    loops.wait_for_the_next_second()
    train(4, min((tmp_path / "checkpoints").iterdir()))
    assert len(event_files(tmp_path)) == 2
    assert steps(tmp_path) == expected
    assert steps(tmp_path, "loss_step") == list(range(12))
    assert list(cm.read_run(tmp_path / "run" / "version_0").steps) == expected


def test_over_epochs_a_resumed_run_keeps_what_is_there_and_goes_on(
    tmp_path: Path, monitor: cm.ConceptMonitor, caplog: pytest.LogCaptureFixture
) -> None:
    keep = ModelCheckpoint(tmp_path / "checkpoints", "{step}", save_top_k=-1)
    fit(tmp_path, keep, ConceptMonitorCallback(monitor, axis="epoch"))
    loops.wait_for_the_next_second()
    first = tmp_path / "checkpoints" / "step=3.ckpt"
    fit(tmp_path, ConceptMonitorCallback(monitor, axis="epoch"), ckpt_path=first, max_epochs=5)
    assert steps(tmp_path) == [0, 1, 2, 3, 4]
    assert "has concepts up to epoch 2; they stay" in caplog.text


class Killer(pl.Callback):
    """Kills the process in the middle of the third epoch."""

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        if trainer.global_step == 8:
            os.kill(os.getpid(), signal.SIGKILL)


def test_a_training_that_was_killed_goes_on_with_each_step_once_in_both_loading_modes(
    tmp_path: Path, monitor: cm.ConceptMonitor, tensorboard: Callable[..., TensorBoardServer]
) -> None:
    def train(*callbacks: pl.Callback, ckpt_path: Path | None = None) -> None:
        keep = ModelCheckpoint(tmp_path / "checkpoints", "{step}", save_top_k=-1)
        watch = ConceptMonitorCallback(monitor, every_n_steps=2)
        fit(tmp_path, keep, watch, *callbacks, ckpt_path=ckpt_path, max_epochs=4)

    child = multiprocessing.get_context("fork").Process(target=train, args=(Killer(),))
    child.start()
    child.join(60)
    assert child.exitcode == -signal.SIGKILL
    assert steps(tmp_path) == [1, 3, 5, 7]
    loops.wait_for_the_next_second()
    train(ckpt_path=tmp_path / "checkpoints" / "step=6.ckpt")
    servers = [tensorboard(tmp_path, f"--load_fast={mode}") for mode in ("true", "false")]
    for server in servers:
        server.wait_for(lambda server=server: 11 in served(server, "loss_step"))
        assert served(server, "loss_step") == list(range(12))
        assert served(server, "concepts/net.first/d_anchor") == [1, 3, 5, 7, 9, 11]
    assert steps(tmp_path) == [1, 3, 5, 7, 9, 11]


def served(server: TensorBoardServer, tag: str) -> list[int]:
    """Steps of a scalar that TensorBoard shows."""
    status, body, _ = server.fetch("/data/plugin/scalars/scalars", run="run/version_0", tag=tag)
    return [point[1] for point in json.loads(body)] if status == 200 else []


def test_sanity_checks_validation_and_tests_log_nothing(tmp_path: Path, monitor: cm.ConceptMonitor) -> None:
    model = loops.lightning_module()
    trainer = fit(tmp_path, ConceptMonitorCallback(monitor), model=model, max_epochs=1)
    trainer.validate(model, loops.loader(), verbose=False)
    trainer.test(model, loops.loader(), verbose=False)
    assert steps(tmp_path) == [2]


def test_a_fast_dev_run_looks_at_nothing_and_says_nothing(tmp_path: Path, monitor: cm.ConceptMonitor) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("error", ".*[Cc]oncept.*")
        watch = ConceptMonitorCallback(monitor, before_training=True)
        fit(tmp_path, watch, fast_dev_run=True, logger=True)
    assert event_files(tmp_path) == []


def test_among_several_loggers_tensorboards_is_found(tmp_path: Path, monitor: cm.ConceptMonitor) -> None:
    loggers = [CSVLogger(tmp_path), logger(tmp_path)]
    fit(tmp_path, ConceptMonitorCallback(monitor), logger=loggers, max_epochs=1)
    assert steps(tmp_path) == [2]


def test_without_a_tensorboard_logger_nothing_is_trained(tmp_path: Path, monitor: cm.ConceptMonitor) -> None:
    recorder = Recorder()
    with pytest.raises(MisconfigurationException, match=r"its loggers are: CSVLogger.*TensorBoardLogger\("):
        fit(tmp_path, ConceptMonitorCallback(monitor), recorder, logger=CSVLogger(tmp_path))
    assert not recorder.began


class WithoutForward(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.net = loops.Net()

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        return nn.functional.cross_entropy(self.net(batch[0]), batch[1])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.01)


@pytest.mark.parametrize(
    ("layers", "options", "message"),
    [
        (["net.frist"], {}, "no layer 'net.frist'.*net.first"),
        (["first"], {"module": "model"}, "no part 'model'; it has net"),
        (["net.first"], {}, r"WithoutForward has no forward.*module="),
    ],
)
def test_a_model_that_does_not_fit_is_refused_before_training(
    tmp_path: Path, layers: list[str], options: dict[str, Any], message: str
) -> None:
    monitor = cm.ConceptMonitor(layers, loops.probe(), progress=False)
    recorder = Recorder()
    with pytest.raises(ValueError, match=message):
        fit(tmp_path, ConceptMonitorCallback(monitor, **options), recorder, model=WithoutForward())
    assert not recorder.began


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"every_n_epochs": 1, "every_n_steps": 5}, "exclude each other"),
        ({"every_n_steps": 5, "axis": "epoch"}, "use every_n_epochs, or axis='step'"),
        ({"every_n_epochs": 0}, "every_n_epochs must be at least 1"),
        ({"axis": "batch"}, "axis must be one of 'step', 'epoch'"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused(
    monitor: cm.ConceptMonitor, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        ConceptMonitorCallback(monitor, **options)


class Broken(nn.Module):
    """Fails outside training, as a forward that wants more than pictures would."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            raise RuntimeError("the forward broke")
        return x


def test_a_failure_warns_once_and_training_goes_on(tmp_path: Path, monitor: cm.ConceptMonitor) -> None:
    model = loops.lightning_module()
    model.net.noise.append(Broken())
    with pytest.warns(
        RuntimeWarning, match="not logged at step 2: RuntimeError: the forward broke"
    ) as caught:
        trainer = fit(
            tmp_path,
            ConceptMonitorCallback(monitor, strict=False),
            model=model,
            limit_val_batches=0,
        )
    assert len([w for w in caught if "not logged" in str(w.message)]) == 1
    assert trainer.global_step == 9
    with pytest.raises(RuntimeError, match="the forward broke"):
        fit(tmp_path, ConceptMonitorCallback(monitor, strict=True), model=model, limit_val_batches=0)


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_a_second_fit_goes_on_in_the_same_log_and_may_start_again_at_a_checkpoint(
    tmp_path: Path, monitor: cm.ConceptMonitor
) -> None:
    log, keep = logger(tmp_path), ModelCheckpoint(tmp_path / "checkpoints", "{step}", save_top_k=-1)
    trainer = fit(tmp_path, ConceptMonitorCallback(monitor), keep, logger=log, max_epochs=1)
    loops.wait_for_the_next_second()
    trainer.fit_loop.max_epochs = 3
    trainer.fit(loops.lightning_module(), loops.loader())
    assert steps(tmp_path) == [2, 5, 8]
    loops.wait_for_the_next_second()
    first = tmp_path / "checkpoints" / "step=3.ckpt"
    fit(tmp_path, ConceptMonitorCallback(monitor), logger=log, ckpt_path=first, max_epochs=2)
    assert steps(tmp_path) == steps(tmp_path, "loss_epoch") == [2, 5]


def test_a_compiled_module_is_watched_too(tmp_path: Path, monitor: cm.ConceptMonitor) -> None:
    model = torch.compile(loops.lightning_module(), backend="eager")
    fit(tmp_path, ConceptMonitorCallback(monitor), model=model, max_epochs=1)
    assert steps(tmp_path) == [2]


def test_pytorch_lightning_takes_the_callback_too(
    tmp_path: Path, monitor: cm.ConceptMonitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = "pytorch_lightning"
    other = importlib.import_module(package)
    monkeypatch.delitem(sys.modules, "lightning.pytorch")  # as in a program that never imported it
    callback = ConceptMonitorCallback(monitor)
    assert isinstance(callback, other.Callback)
    assert not isinstance(callback, pl.Callback)
    log = other.loggers.TensorBoardLogger(tmp_path, name="run", version=0)
    trainer = loops.lightning_trainer(tmp_path, package, callbacks=callback, logger=log)  # no list
    trainer.fit(loops.lightning_module(package), loops.loader())
    assert steps(tmp_path) == [2, 5, 8]


def test_without_lightning_only_making_a_callback_fails_and_names_the_extra(
    monitor: cm.ConceptMonitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in ("lightning", "pytorch_lightning"):
        monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed
        monkeypatch.delitem(sys.modules, package + ".pytorch", raising=False)
    monkeypatch.delitem(sys.modules, "conceptmon_tb.integrations.lightning")
    module = importlib.import_module("conceptmon_tb.integrations.lightning")
    with pytest.raises(ImportError, match=r"pip install 'conceptmon-tb\[lightning\]'"):
        module.ConceptMonitorCallback(monitor)


def test_the_callback_can_be_pickled_for_processes_that_are_spawned(monitor: cm.ConceptMonitor) -> None:
    copy = pickle.loads(pickle.dumps(ConceptMonitorCallback(monitor, every_n_epochs=3)))
    assert isinstance(copy, ConceptMonitorCallback)
    assert isinstance(copy, pl.Callback)
    assert (copy.every_n_epochs, copy.monitor.layers) == (3, monitor.layers)


class Unequal(nn.Module):
    """Fails on one process only."""

    fails = False

    def forward(self, x: Tensor) -> Tensor:
        if self.fails and not self.training and torch.distributed.get_rank() == 1:
            raise RuntimeError("the forward broke")
        return x


@pytest.mark.parametrize("fails", [False, True])
def test_two_processes_look_together_and_one_writes(
    tmp_path: Path, monitor: cm.ConceptMonitor, fails: bool
) -> None:
    model = loops.lightning_module()
    model.net.noise.append(Unequal())
    model.net.noise[-1].fails = fails
    watch = ConceptMonitorCallback(monitor, strict=False)
    options = {"strategy": "ddp_fork", "devices": 2, "limit_val_batches": 0, "max_epochs": 2}
    fit(tmp_path, watch, model=model, **options)
    assert len(event_files(tmp_path)) == 1
    assert steps(tmp_path, "loss_epoch") == [1, 3]
    assert steps(tmp_path) == ([] if fails else [1, 3])


def test_the_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loops.run_example("lightning", tmp_path, monkeypatch)
    assert cm.read_run(tmp_path / "version_0").steps == (-1, 15, 31, 47)


def test_every_option_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "integrations.md").read_text(encoding="utf-8")
    options = [
        name for name in inspect.signature(ConceptMonitorCallback.__init__).parameters if name != "self"
    ]
    assert [name for name in options if f"`{name}`" not in text and name != "monitor"] == []
