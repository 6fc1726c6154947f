"""The training loop: an ordinary one, with one line for Concept Monitor."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

import conceptmon_tb as cm
from demo.network import SmallResNet
from demo.pictures import Pictures

BATCH_SIZE = 128


@dataclass(frozen=True)
class Recipe:
    """How a run is trained.

    Attributes:
        name: Name of the run.
        learning_rate: Peak learning rate of SGD.
        schedule: Whether the rate warms up and follows a cosine; else it stays fixed (thesis section 2.3.2).
        momentum: Momentum of SGD.
    """

    name: str
    learning_rate: float
    schedule: bool
    momentum: float = 0.9


HEALTHY = Recipe("healthy", learning_rate=0.1, schedule=True)
POOR = Recipe("poor", learning_rate=1.0, schedule=False)


def train(
    recipe: Recipe,
    pictures: Pictures,
    monitor: cm.ConceptMonitor,
    run_dir: Path,
    *,
    epochs: int,
    width: int,
    seed: int,
) -> float:
    """Trains one network and writes its run; step 0 is the network before training.

    Returns:
        The accuracy on the held-out images.
    """
    torch.manual_seed(seed)
    model = SmallResNet(len(pictures.classes), width, pictures.size).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(
        model.parameters(), lr=recipe.learning_rate, momentum=recipe.momentum, weight_decay=5e-4
    )
    steps_per_epoch = len(pictures.train_labels) // _batch_size(pictures)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, _rate(recipe, epochs * steps_per_epoch))
    accuracy = 0.0
    with cm.ConceptWriter(run_dir, monitor=monitor) as writer:
        writer.add_concepts(model, global_step=0)
        progress = tqdm(range(1, epochs + 1), desc=f"{recipe.name:>8}", unit="epoch")
        for epoch in progress:
            train_loss, train_accuracy = _train_one_epoch(model, optimizer, scheduler, pictures)
            test_loss, accuracy = evaluate(model, pictures)
            writer.add_scalar("loss/train", train_loss, epoch)
            writer.add_scalar("loss/val", test_loss, epoch)
            writer.add_scalar("accuracy/train", train_accuracy, epoch)
            writer.add_scalar("accuracy/val", accuracy, epoch)
            writer.add_scalar("learning_rate", optimizer.param_groups[0]["lr"], epoch)
            writer.add_concepts(model, global_step=epoch)
            progress.set_postfix(loss=f"{train_loss:.2f}", accuracy=f"{accuracy:.2f}")
    return accuracy


def _batch_size(pictures: Pictures) -> int:
    """A small folder is one batch."""
    return min(BATCH_SIZE, len(pictures.train_labels))


def _rate(recipe: Recipe, steps: int) -> Callable[[int], float]:
    warmup = max(1, steps // 20)

    def factor(step: int) -> float:
        if not recipe.schedule:
            return 1.0
        return min(1.0, (step + 1) / warmup) * 0.5 * (1 + math.cos(math.pi * step / steps))

    return factor


def _train_one_epoch(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    scheduler: torch.optim.lr_scheduler.LRScheduler,
    pictures: Pictures,
) -> tuple[float, float]:
    """One pass over the training images; returns the mean loss and the accuracy."""
    model.train()
    losses, hits, seen = 0.0, 0, 0
    size = _batch_size(pictures)
    order = torch.randperm(len(pictures.train_labels))
    for chosen in order[: len(order) // size * size].view(-1, size):
        images = _augment(_batch(pictures, pictures.train_images, chosen))
        labels = torch.from_numpy(pictures.train_labels[chosen.numpy()])
        logits = model(images)
        loss = F.cross_entropy(logits, labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        scheduler.step()
        losses += loss.item() * len(chosen)
        hits += int((logits.argmax(1) == labels).sum())
        seen += len(chosen)
    return losses / seen, hits / seen


@torch.no_grad()
def evaluate(model: nn.Module, pictures: Pictures) -> tuple[float, float]:
    """Mean loss and accuracy on the held-out images."""
    model.eval()
    labels = torch.from_numpy(pictures.test_labels)
    batches = torch.arange(len(labels)).split(4 * BATCH_SIZE)
    logits = torch.cat([model(_batch(pictures, pictures.test_images, chosen)) for chosen in batches])
    return F.cross_entropy(logits, labels).item(), (logits.argmax(1) == labels).float().mean().item()


def _batch(pictures: Pictures, images: np.ndarray, chosen: Tensor) -> Tensor:
    mean, std = pictures.statistics
    pixels = torch.from_numpy(images[chosen.numpy()]).permute(0, 3, 1, 2).float()
    return ((pixels - mean) / std).contiguous(memory_format=torch.channels_last)


def _augment(images: Tensor) -> Tensor:
    """Mirrors half of the batch and shifts all of it by up to an eighth of its side."""
    mirrored = torch.rand(len(images)) < 0.5
    images[mirrored] = images[mirrored].flip(3)
    reach = images.shape[-1] // 8
    shift = torch.randint(-reach, reach + 1, (2,)).tolist()
    padded = F.pad(images, (reach,) * 4, mode="reflect")
    top, left = reach + shift[0], reach + shift[1]
    size = images.shape[-1]
    return padded[..., top : top + size, left : left + size].contiguous(memory_format=torch.channels_last)
