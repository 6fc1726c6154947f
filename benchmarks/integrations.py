"""What monitoring costs in each training loop, relative to the bare forward passes over the same images.

A loop of one's own, Lightning's Trainer, Transformers' Trainer and Accelerate train ResNet-18 (random
weights) for a few tiny epochs, with a monitor and without. The data set knows when an epoch begins, so the
time between two epochs is the same in every loop; what it is longer with a monitor is what monitoring costs
there: forward passes over the probe, scoring, writing, and whatever the library does around a callback. Each
look is divided by the time of the bare forward passes that run right after it over the same tensors, in
evaluation mode and without gradients. What the first look costs beyond the others, once for a run (the
concept space and thumbnails are written), is told apart; what is done once for a monitor (decoding and
encoding the probe, the map) is done before.

Run: python -m benchmarks.integrations [--write]
"""

from __future__ import annotations

import argparse
import logging
import os
import platform
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torchvision
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

import conceptmon_tb as cm

DOCUMENT = Path(__file__).parents[1] / "docs" / "integrations_overhead.md"
LAYERS = ["net.layer2", "net.layer3", "net.layer4"]
BATCHES, BATCH, CLASSES, SIZE = 2, 8, 10, 64
TARGET = 1.05

Run = Callable[[nn.Module, "Images", int, Path, "cm.ConceptMonitor | None"], None]


class Classifier(nn.Module):
    """ResNet-18 with its loss, as Transformers' Trainer calls its models; images alone give logits."""

    def __init__(self) -> None:
        super().__init__()
        self.net = torchvision.models.resnet18(weights=None, num_classes=CLASSES)

    def forward(self, pixel_values: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        """Logits, and the loss where labels are given."""
        logits = self.net(pixel_values)
        if labels is None:
            return {"logits": logits}
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}


class Images(Dataset[Any]):
    """Random pictures, which note when an epoch begins; they must be read in the training's own process.

    Args:
        meanwhile: Called at the beginning of each epoch but the first; what it takes is no epoch's time.
    """

    def __init__(self, meanwhile: Callable[[], object] = lambda: None) -> None:
        self.pictures = torch.rand(BATCHES * BATCH, 3, SIZE, SIZE)
        self.labels = torch.randint(CLASSES, (BATCHES * BATCH,))
        self.meanwhile, self.asked, self.in_dicts = meanwhile, 0, False
        self.epochs: list[Times] = []
        self._began: Times | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, i: int) -> Any:
        if self.asked % len(self) == 0:
            if self._began is not None:
                self.epochs.append(clock() - self._began)
                self.meanwhile()
            self._began = clock()
        self.asked += 1
        pixels, label = self.pictures[i], self.labels[i]
        return {"pixel_values": pixels, "labels": label} if self.in_dicts else (pixels, label)

    def batches(self) -> DataLoader[Any]:
        """One epoch."""
        return DataLoader(self, BATCH, shuffle=True)


class Times(NamedTuple):
    """Seconds by the wall's clock, and of processor time: the latter holds on a busy machine too."""

    wall: float
    cpu: float

    def __sub__(self, other: Times) -> Times:
        return Times(self.wall - other.wall, self.cpu - other.cpu)


def clock() -> Times:
    return Times(time.perf_counter(), time.process_time())


def optimizer_of(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)


def run_plain(
    model: nn.Module, data: Images, epochs: int, folder: Path, monitor: cm.ConceptMonitor | None
) -> None:
    optimizer = optimizer_of(model)
    with cm.ConceptWriter(folder, monitor=monitor) as writer:
        for epoch in range(epochs):
            for images, labels in data.batches():
                loss = model(images, labels)["loss"]
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            writer.add_scalar("loss", loss.item(), epoch)
            if monitor is not None:
                writer.add_concepts(model, epoch)


def run_accelerate(
    model: nn.Module, data: Images, epochs: int, folder: Path, monitor: cm.ConceptMonitor | None
) -> None:
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=True, log_with="tensorboard", project_dir=folder)
    accelerator.init_trackers("run")
    prepared, optimizer, batches = accelerator.prepare(model, optimizer_of(model), data.batches())
    for epoch in range(epochs):
        for images, labels in batches:
            loss = prepared(images, labels)["loss"]
            optimizer.zero_grad()
            accelerator.backward(loss)
            optimizer.step()
        accelerator.log({"loss": loss.item()}, step=epoch)
        if monitor is not None:
            snapshots = monitor.observe(prepared)
            writer = accelerator.get_tracker("tensorboard", unwrap=True)
            cm.add_concepts(writer, snapshots, epoch, monitor.probe, strict=True)
    accelerator.end_training()


def run_lightning(
    model: nn.Module, data: Images, epochs: int, folder: Path, monitor: cm.ConceptMonitor | None
) -> None:
    import lightning.pytorch as pl

    from conceptmon_tb.integrations.lightning import ConceptMonitorCallback

    class Module(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.inner = model

        def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:  # noqa: ARG002
            loss: Tensor = self.inner(*batch)["loss"]
            self.log("loss", loss)
            return loss

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return optimizer_of(self)

    trainer = pl.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        devices=1,
        default_root_dir=folder,
        callbacks=[] if monitor is None else [ConceptMonitorCallback(monitor, module="inner")],
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        log_every_n_steps=1,
    )
    trainer.fit(Module(), data.batches())


def run_transformers(
    model: nn.Module, data: Images, epochs: int, folder: Path, monitor: cm.ConceptMonitor | None
) -> None:
    import transformers

    from conceptmon_tb.integrations.transformers import ConceptMonitorCallback

    os.environ["TENSORBOARD_LOGGING_DIR"], data.in_dicts = str(folder), True
    trainer = transformers.Trainer(
        model,
        transformers.TrainingArguments(
            output_dir=str(folder),
            num_train_epochs=epochs,
            per_device_train_batch_size=BATCH,
            use_cpu=True,
            report_to=["tensorboard"],
            logging_steps=1,
            save_strategy="no",
            disable_tqdm=True,
        ),
        train_dataset=data,
        callbacks=[] if monitor is None else [ConceptMonitorCallback(monitor)],
    )
    trainer.remove_callback(transformers.PrinterCallback)
    trainer.train()


LOOPS: dict[str, Run] = {
    "plain": run_plain,
    "lightning": run_lightning,
    "transformers": run_transformers,
    "accelerate": run_accelerate,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=1000, help="of the probe")
    parser.add_argument("--looks", type=int, default=5, help="after the first")
    parser.add_argument("--loops", nargs="+", choices=list(LOOPS), default=list(LOOPS))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--write", action="store_true", help=f"write docs/{DOCUMENT.name}")
    options = parser.parse_args()
    if options.write and options.loops != list(LOOPS):
        parser.error("--write needs all loops; leave --loops out")
    quiet()
    torch.set_num_threads(options.threads)
    monitor = cm.ConceptMonitor(LAYERS, cm.ProbeSet.world(options.images), strict=True, progress=False)
    monitor.observe(Classifier())  # what is done only once
    rows = []
    for name in options.loops:
        rows.append(compare(name, LOOPS[name], monitor, options))
        print(rows[-1], flush=True)
    document = as_document(rows, options)
    print(document)
    if options.write:
        DOCUMENT.write_text(document, encoding="utf-8")


def compare(name: str, run: Run, monitor: cm.ConceptMonitor, options: argparse.Namespace) -> dict[str, Any]:
    """Train with a monitor and without; the first epoch loads the library, and is not counted."""
    bare: list[Times] = []
    without = Images()
    train(run, without, options.looks + 2, None)
    watched = Images(lambda: bare.append(time_forward(monitor.probe)))
    train(run, watched, options.looks + 2, monitor)
    epoch = Times(*(statistics.median(clocks) for clocks in zip(*without.epochs[1:], strict=True)))
    first, *looks = (seconds - epoch for seconds in watched.epochs)
    ratios = [
        (look.wall / passes.wall, look.cpu / passes.cpu) for look, passes in zip(looks, bare[1:], strict=True)
    ]
    wall, cpu = (statistics.median(clocks) for clocks in zip(*ratios, strict=True))
    cost = statistics.median(look.wall for look in looks)
    return {
        "loop": name,
        "bare": statistics.median(passes.wall for passes in bare[1:]),
        "epoch": epoch.wall,
        "cost": cost,
        "once": first.wall - cost,
        "wall": wall,
        "cpu": cpu,
    }


def train(run: Run, data: Images, epochs: int, monitor: cm.ConceptMonitor | None) -> None:
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        run(Classifier(), data, epochs, Path(folder), monitor)


@torch.no_grad()
def time_forward(probe: cm.ProbeSet) -> Times:
    model, began = Classifier().eval(), clock()
    for batch in probe.batches():
        model(batch)
    return clock() - began


def quiet() -> None:
    """The libraries announce devices, loggers and themselves at every start."""
    warnings.simplefilter("ignore")
    for name in ("conceptmon_tb", "lightning", "lightning.pytorch", "transformers", "accelerate"):
        logging.getLogger(name).setLevel(logging.ERROR)


def as_document(rows: list[dict[str, Any]], options: argparse.Namespace) -> str:
    lines = [
        "# What monitoring costs in each training loop",
        "",
        f"Written by `python -m benchmarks.integrations --write`, not by hand: medians of {options.looks} "
        f"looks, {options.threads} thread(s), {platform.machine()}, torch {torch.__version__}.",
        "",
        f"ResNet-18, three layers, {options.images:,} probe images at {SIZE} px, the bundled encoder.",
        f"An epoch is tiny ({BATCHES} batches of {BATCH}) and ends with one look at the model.",
        "*Monitoring* is what a look adds to the time from epoch to epoch. *Ratio* is that over the bare",
        "forward passes of the same images after each look, by the wall's clock and by processor time;",
        f"1 would be forward passes and nothing else, and the target is at most {TARGET} by processor time.",
        "*Once* is what the first look of a run costs beyond the others.",
        "",
        "| loop | epoch, s | bare forwards, s | monitoring, s | ratio, wall | ratio, CPU | met | once, s |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {row['loop']} | {row['epoch']:.2f} | {row['bare']:.2f} | {row['cost']:.2f} | {row['wall']:.3f} "
        f"| {row['cpu']:.3f} | {'yes' if row['cpu'] <= TARGET else 'NO'} | {row['once']:.2f} |"
        for row in rows
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
