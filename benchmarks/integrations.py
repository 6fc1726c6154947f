"""What monitoring costs in each training loop, relative to the bare forward passes over the same images.

A loop of one's own, Lightning's Trainer, Transformers' Trainer and Accelerate train ResNet-18 (random
weights), with a monitor and without, for one tiny epoch and for a few more. What the further epochs add with
a monitor, less what they add without, is what monitoring costs in that loop: forward passes over the probe,
scoring, writing, and whatever the library does around a callback. It is divided by the time of the bare
forward passes over the same tensors, in evaluation mode and without gradients. All arms take turns in one
process with the same number of threads. What the first epoch costs beyond that, once for a run (the concept
space and thumbnails are written), is told apart; what is done once for a monitor (decoding and encoding the
probe, the map) is done before.

Run: python -m benchmarks.integrations [--write]
"""

from __future__ import annotations

import argparse
import logging
import os
import platform
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import conceptmon_tb as cm

DOCUMENT = Path(__file__).parents[1] / "docs" / "integrations_overhead.md"
LAYERS = ["net.layer2", "net.layer3", "net.layer4"]
BATCHES, BATCH, CLASSES, SIZE = 2, 8, 10, 64
TARGET = 1.05

Run = Callable[[nn.Module, int, Path, "cm.ConceptMonitor | None"], None]
Times = tuple[float, float]


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


def loader() -> DataLoader[Any]:
    images, labels = torch.rand(BATCHES * BATCH, 3, SIZE, SIZE), torch.randint(CLASSES, (BATCHES * BATCH,))
    return DataLoader(TensorDataset(images, labels), BATCH, shuffle=True)


def optimizer_of(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)


def run_plain(model: nn.Module, epochs: int, folder: Path, monitor: cm.ConceptMonitor | None) -> None:
    optimizer = optimizer_of(model)
    with cm.ConceptWriter(folder, monitor=monitor) as writer:
        for epoch in range(epochs):
            for images, labels in loader():
                loss = model(images, labels)["loss"]
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            writer.add_scalar("loss", loss.item(), epoch)
            if monitor is not None:
                writer.add_concepts(model, epoch)


def run_accelerate(model: nn.Module, epochs: int, folder: Path, monitor: cm.ConceptMonitor | None) -> None:
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=True, log_with="tensorboard", project_dir=folder)
    accelerator.init_trackers("run")
    prepared, optimizer, batches = accelerator.prepare(model, optimizer_of(model), loader())
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


def run_lightning(model: nn.Module, epochs: int, folder: Path, monitor: cm.ConceptMonitor | None) -> None:
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
    trainer.fit(Module(), loader())


def run_transformers(model: nn.Module, epochs: int, folder: Path, monitor: cm.ConceptMonitor | None) -> None:
    import transformers

    from conceptmon_tb.integrations.transformers import ConceptMonitorCallback

    os.environ["TENSORBOARD_LOGGING_DIR"] = str(folder)
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
        train_dataset=[{"pixel_values": image, "labels": label} for image, label in loader().dataset],
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
    parser.add_argument("--images", type=int, default=2000, help="of the probe")
    parser.add_argument("--epochs", type=int, default=2, help="after the first")
    parser.add_argument("--rounds", type=int, default=3)
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
    """Time the three arms in turns, in another order every round, once the library is loaded and warm."""
    train(run, 1, monitor)
    more = options.epochs
    rounds: list[dict[str, Times]] = []
    for round_number in range(options.rounds):
        arms: dict[str, Callable[[], None]] = {
            "one without": lambda: train(run, 1, None),
            "one with": lambda: train(run, 1, monitor),
            "bare": lambda: forward(monitor.probe, more),
            "all with": lambda: train(run, 1 + more, monitor),
            "all without": lambda: train(run, 1 + more, None),
        }
        order = list(arms) if round_number % 2 else list(arms)[::-1]
        rounds.append({arm: measure(arms[arm]) for arm in order})
    # Other work on the machine only ever adds time: the fastest of all rounds is nearest to the truth.
    wall, cpu = ({arm: min(times[arm][clock] for times in rounds) for arm in rounds[0]} for clock in (0, 1))
    return {
        "loop": name,
        "bare": wall["bare"] / more,
        "epoch": (wall["all without"] - wall["one without"]) / more,
        "cost": added(wall) / more,
        "once": wall["one with"] - wall["one without"] - added(wall) / more,
        "wall": added(wall) / wall["bare"],
        "cpu": added(cpu) / cpu["bare"],
    }


def added(seconds: dict[str, float]) -> float:
    """What monitoring adds to all epochs but the first."""
    with_monitor = seconds["all with"] - seconds["one with"]
    return with_monitor - (seconds["all without"] - seconds["one without"])


def train(run: Run, epochs: int, monitor: cm.ConceptMonitor | None) -> None:
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        run(Classifier(), epochs, Path(folder), monitor)


@torch.no_grad()
def forward(probe: cm.ProbeSet, epochs: int) -> None:
    model = Classifier().eval()
    for _ in range(epochs):
        for batch in probe.batches():
            model(batch)


def measure(act: Callable[[], None]) -> Times:
    """Seconds by the wall's clock, and of processor time: the latter holds on a busy machine too."""
    wall, cpu = time.perf_counter(), time.process_time()
    act()
    return time.perf_counter() - wall, time.process_time() - cpu


def quiet() -> None:
    """The libraries announce devices, loggers and themselves at every start."""
    warnings.simplefilter("ignore")
    for name in ("conceptmon_tb", "lightning", "lightning.pytorch", "transformers", "accelerate"):
        logging.getLogger(name).setLevel(logging.ERROR)


def as_document(rows: list[dict[str, Any]], options: argparse.Namespace) -> str:
    lines = [
        "# What monitoring costs in each training loop",
        "",
        f"Written by `python -m benchmarks.integrations --write`, not by hand: the fastest of "
        f"{options.rounds} rounds, {options.threads} thread(s), {platform.machine()}, "
        f"torch {torch.__version__}.",
        "",
        f"ResNet-18, three layers, {options.images:,} probe images at {SIZE} px, the bundled encoder.",
        f"An epoch is tiny ({BATCHES} batches of {BATCH}) and ends with one look at the model. *Monitoring*",
        f"is what {options.epochs} further epochs add with a monitor, less what they add without, for each.",
        "*Ratio* is that over the bare forward passes of the same images, by the wall's clock and by",
        f"processor time; 1 would be forward passes and nothing else, and the target is at most {TARGET} by",
        "processor time. *Once* is what the first epoch of a run costs beyond that. All arms take turns in",
        "one process.",
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
