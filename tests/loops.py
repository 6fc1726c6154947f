"""One small training in every loop that Concept Monitor supports, with or without a monitor.

    assert train("lightning", folder, make_monitor("lightning")) == train("lightning", other_folder)

says that monitoring leaves no trace. A loop's libraries are imported when it runs, as they take seconds.
"""

from __future__ import annotations

import importlib
import random
import runpy
import sys
import time
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import conceptmon_tb as cm

EPOCHS = 3
IMAGES, BATCH, CLASSES, SIZE = 24, 8, 4, 32
LAYERS = {
    "plain": ("first", "second"),
    "lightning": ("net.first", "net.second"),
    "transformers_vit": ("vit.layers.0", "vit.layers.1"),
    "transformers_resnet": ("resnet.encoder.stages.0", "resnet.encoder.stages.1"),
    "accelerate": ("first", "second"),
}

FinalState = dict[str, bytes | str]
"""Everything that a training goes on from, by name; equal where it is bit for bit the same."""


class Net(nn.Module):
    """Running statistics and random numbers: what a careless look at a model would alter."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 6, 3, 2)
        self.norm = nn.BatchNorm2d(6)
        self.noise = nn.Sequential(nn.ReLU(inplace=True), nn.Dropout(0.3))
        self.second = nn.Conv2d(6, 8, 3, 2)
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.noise(self.norm(self.first(x)))
        return self.head(self.second(x).mean((2, 3)))


@cache
def probe() -> cm.ProbeSet:
    return cm.ProbeSet.world(30, size=SIZE)


def make_monitor(loop: str, **options: Any) -> cm.ConceptMonitor:
    """A small monitor of two layers of the loop's network; it raises whatever fails."""
    options = {"detector": cm.ClipDissect("cos_cubed"), "progress": False, "strict": True, **options}
    return cm.ConceptMonitor(LAYERS[loop], probe(), **options)


def train(loop: str, folder: Path, monitor: cm.ConceptMonitor | None = None) -> FinalState:
    """Train a fresh network for three epochs, always on the same random streams.

    Args:
        loop: One of `LAYERS`.
        folder: Where logs and checkpoints go, with and without a monitor.
        monitor: Looks at the network after every epoch.

    Returns:
        What the training ended with.
    """
    for library in _LIBRARIES[loop]:  # importing some draws random numbers
        importlib.import_module(library)
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002 (the global stream is what is watched)
    random.seed(0)
    return _LOOPS[loop](folder, monitor)


def data() -> TensorDataset:
    generator = torch.Generator().manual_seed(1)
    return TensorDataset(
        torch.rand(IMAGES, 3, SIZE, SIZE, generator=generator),
        torch.randint(0, CLASSES, (IMAGES,), generator=generator),
    )


def loader() -> DataLoader[Any]:
    return DataLoader(data(), BATCH, shuffle=True)


def final_state(model: nn.Module, optimizer: Any) -> FinalState:
    """Weights, buffers, gradients, modes and hooks, the optimiser's state and the random streams."""
    modes = [(m.training, len(m._forward_hooks), len(m._forward_pre_hooks)) for m in model.modules()]
    gradients = {name: p.grad for name, p in model.named_parameters()}
    state: FinalState = {
        **_flatten("model", dict(model.state_dict())),
        **_flatten("gradients", gradients),
        **_flatten("optimizer", optimizer.state_dict()),
        "modes": repr(modes),
        "torch": torch.get_rng_state().numpy().tobytes(),
        "numpy": np.random.get_state()[1].tobytes(),  # noqa: NPY002
        "python": repr(random.getstate()),
    }
    return state


def _flatten(name: str, value: Any) -> FinalState:
    if isinstance(value, Tensor):
        return {name: value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()}
    if isinstance(value, Mapping):
        parts: Any = value.items()
    elif isinstance(value, (list, tuple)):
        parts = enumerate(value)
    else:
        return {name: repr(value)}
    return {key: leaf for part, inner in parts for key, leaf in _flatten(f"{name}/{part}", inner).items()}


def train_plain(folder: Path, monitor: cm.ConceptMonitor | None) -> FinalState:
    net = Net()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    with cm.ConceptWriter(folder, monitor=monitor) as writer:
        for epoch in range(EPOCHS):
            for images, labels in loader():
                loss = nn.functional.cross_entropy(net(images), labels)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            writer.add_scalar("loss", loss.item(), epoch)
            if monitor is not None:
                writer.add_concepts(net, epoch)
    return final_state(net, optimizer)


def lightning_module(package: str = "lightning.pytorch") -> Any:
    """The network as a LightningModule, which logs its loss for every epoch."""
    pl: Any = importlib.import_module(package)

    class Classifier(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = Net()

        def forward(self, x: Tensor) -> Tensor:
            return self.net(x)

        def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
            loss = nn.functional.cross_entropy(self(batch[0]), batch[1])
            self.log("loss", loss, on_epoch=True)
            return loss

        def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
            self.log("val_loss", nn.functional.cross_entropy(self(batch[0]), batch[1]))

        def test_step(self, batch: list[Tensor], batch_idx: int) -> None:
            self.log("test_loss", nn.functional.cross_entropy(self(batch[0]), batch[1]))

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.Adam(self.parameters(), lr=0.01)

    return Classifier()


def lightning_trainer(folder: Path, package: str = "lightning.pytorch", **options: Any) -> Any:
    """A quiet Trainer on the CPU."""
    pl: Any = importlib.import_module(package)
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "log_every_n_steps": 1}
    where = {"accelerator": "cpu", "devices": 1, "default_root_dir": folder}
    return pl.Trainer(**{"max_epochs": EPOCHS, **quiet, **where, **options})


def train_lightning(folder: Path, monitor: cm.ConceptMonitor | None) -> FinalState:
    from conceptmon_tb.integrations.lightning import ConceptMonitorCallback

    model = lightning_module()
    callbacks = [] if monitor is None else [ConceptMonitorCallback(monitor)]
    trainer = lightning_trainer(folder, callbacks=callbacks)
    trainer.fit(model, loader(), loader())
    return final_state(model, trainer.optimizers[0])


def transformers_model(loop: str) -> nn.Module:
    """A tiny ViT with dropout, or a tiny ResNet with batch norm, of random weights."""
    import transformers

    if loop == "transformers_vit":
        config = transformers.ViTConfig(
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=32,
            image_size=SIZE,
            patch_size=8,
            num_labels=CLASSES,
            hidden_dropout_prob=0.1,
        )
        return transformers.ViTForImageClassification(config)
    config = transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", num_labels=CLASSES
    )
    return transformers.ResNetForImageClassification(config)


def transformers_trainer(
    folder: Path, model: nn.Module, callbacks: list[Any] | None = None, **options: Any
) -> Any:
    """A quiet Trainer on the CPU, with its own TensorBoard callback."""
    import transformers

    arguments = transformers.TrainingArguments(
        **{
            "output_dir": str(folder),
            "num_train_epochs": EPOCHS,
            "per_device_train_batch_size": BATCH,
            "learning_rate": 0.01,
            "use_cpu": True,
            "report_to": ["tensorboard"],
            "logging_steps": 1,
            "save_strategy": "no",
            "disable_tqdm": True,
            **options,
        }
    )
    rows = [{"pixel_values": image, "labels": label} for image, label in data()]
    return transformers.Trainer(model, arguments, train_dataset=rows, callbacks=callbacks)


def _train_transformers(loop: str) -> Callable[[Path, cm.ConceptMonitor | None], FinalState]:
    def train_transformers(folder: Path, monitor: cm.ConceptMonitor | None) -> FinalState:
        from conceptmon_tb.integrations.transformers import ConceptMonitorCallback

        model = transformers_model(loop)
        callbacks = [] if monitor is None else [ConceptMonitorCallback(monitor)]
        trainer = transformers_trainer(folder, model, callbacks)
        trainer.train()
        return final_state(model, trainer.optimizer)

    return train_transformers


def train_accelerate(folder: Path, monitor: cm.ConceptMonitor | None) -> FinalState:
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=True, log_with="tensorboard", project_dir=folder)
    accelerator.init_trackers("run")
    net = Net()
    model, optimizer, batches = accelerator.prepare(
        net, torch.optim.Adam(net.parameters(), lr=0.01), loader()
    )
    for epoch in range(EPOCHS):
        for images, labels in batches:
            loss = nn.functional.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            accelerator.backward(loss)
            optimizer.step()
        accelerator.log({"loss": loss.item()}, step=epoch)
        if monitor is not None:
            snapshots = monitor.observe(accelerator.unwrap_model(model))
            if accelerator.is_main_process:
                writer = accelerator.get_tracker("tensorboard", unwrap=True)
                cm.add_concepts(writer, snapshots, epoch, monitor.probe, strict=True)
    accelerator.end_training()
    return final_state(net, optimizer)


def wait_for_the_next_second() -> None:
    """TensorBoard orders files by the second in their names; a process that starts again takes longer."""
    time.sleep(1.01 - time.time() % 1)


def run_example(name: str, logdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run `python -m demo.examples.<name> --logdir ...` here, where its libraries are imported already."""
    monkeypatch.setattr(sys, "argv", [name, "--logdir", str(logdir)])
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(logdir))  # put back, whatever the example sets
    runpy.run_module(f"demo.examples.{name}", run_name="__main__")


_LIBRARIES = {
    "plain": (),
    "lightning": ("lightning.pytorch", "conceptmon_tb.integrations.lightning"),
    "transformers_vit": ("transformers.trainer", "conceptmon_tb.integrations.transformers"),
    "transformers_resnet": ("transformers.trainer", "conceptmon_tb.integrations.transformers"),
    "accelerate": ("accelerate",),
}
_LOOPS: dict[str, Callable[[Path, cm.ConceptMonitor | None], FinalState]] = {
    "plain": train_plain,
    "lightning": train_lightning,
    "transformers_vit": _train_transformers("transformers_vit"),
    "transformers_resnet": _train_transformers("transformers_resnet"),
    "accelerate": train_accelerate,
}
