"""The training loop of all studies: SGD, a warm-up and a cosine, or a fixed rate; seeded and repeatable."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from demo.case_studies.pictures import Task

Attack = Callable[[nn.Module, Tensor, Tensor], Tensor]
Penalty = Callable[[Tensor], Tensor]
"""From the numbers of the pictures that the network has just seen to what is added to the loss."""

_WARM_UP = 0.05
_MOMENTUM, _WEIGHT_DECAY = 0.9, 5e-4
_ADAPTIVE_WEIGHT_DECAY = 0.02


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    Attributes:
        epochs: Passes over the pictures.
        batch: Pictures of a step.
        learning_rate: Peak rate of SGD.
        schedule: Whether the rate warms up and follows a cosine; else it stays fixed (section 2.3.2).
        attack: Changes every batch before the network learns from it (section 4.0.2).
        penalty: Gives, for as long as a network is trained, what is added to its loss (Eq. 3.2).
        adaptive: AdamW in place of SGD, for networks without batch norms; rates are much lower then.
    """

    epochs: int
    batch: int
    learning_rate: float
    schedule: bool = True
    attack: Attack | None = None
    penalty: Callable[[nn.Module], AbstractContextManager[Penalty]] | None = None
    adaptive: bool = False


@dataclass(frozen=True)
class Epoch:
    """What one epoch measured on the training pictures.

    Attributes:
        number: From 1 on.
        scalars: By tag: `loss/train`, `accuracy/train`, `learning_rate`, `loss/penalty`.
    """

    number: int
    scalars: dict[str, float]


def fit(network: nn.Module, task: Task, recipe: Recipe, *, name: str, progress: bool) -> Iterator[Epoch]:
    """Train a network, and yield after each epoch.

    Args:
        network: On the task's device; trained in place.
        task: What to learn.
        recipe: How.
        name: For the progress bar.
        progress: Whether to show it.
    """
    optimizer = make_optimizer(network, recipe)
    steps = max(1, len(task.pictures.train_labels) // recipe.batch) * recipe.epochs
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate_factor(recipe, step, steps))
    bar = tqdm(range(1, recipe.epochs + 1), desc=name, unit="epoch", disable=not progress)
    with nullcontext() if recipe.penalty is None else recipe.penalty(network) as penalty:
        for number in bar:
            rate = optimizer.param_groups[0]["lr"]
            scalars = _one_epoch(network, task, recipe, penalty, optimizer, schedule)
            bar.set_postfix({tag: f"{value:.3f}" for tag, value in scalars.items()})
            yield Epoch(number, scalars | {"learning_rate": rate})


def make_optimizer(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """The optimizer of a recipe."""
    if recipe.adaptive:
        return torch.optim.AdamW(
            network.parameters(), lr=recipe.learning_rate, weight_decay=_ADAPTIVE_WEIGHT_DECAY
        )
    return torch.optim.SGD(
        network.parameters(), lr=recipe.learning_rate, momentum=_MOMENTUM, weight_decay=_WEIGHT_DECAY
    )


def rate_factor(recipe: Recipe, step: int, steps: int) -> float:
    """The learning rate at a step as a share of the peak."""
    if not recipe.schedule:
        return 1.0
    warm = min(1.0, (step + 1) / max(1, _WARM_UP * steps))
    return warm * 0.5 * (1 + math.cos(math.pi * min(1.0, step / steps)))


def _one_epoch(
    network: nn.Module,
    task: Task,
    recipe: Recipe,
    penalty: Penalty | None,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
) -> dict[str, float]:
    loss_sum = hits = penalty_sum = torch.zeros((), device=task.device)
    seen = 0
    for images, labels, numbers in task.batches(recipe.batch):
        inputs = images if recipe.attack is None else recipe.attack(network, images, labels)
        network.train()
        logits = network(inputs)
        loss = F.cross_entropy(logits, labels)
        added = loss.new_zeros(()) if penalty is None else penalty(numbers)
        optimizer.zero_grad(set_to_none=True)
        (loss + added).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        loss_sum = loss_sum + loss.detach() * len(labels)
        hits = hits + (logits.argmax(1) == labels).sum()
        penalty_sum = penalty_sum + added.detach() * len(labels)
        seen += len(labels)
    scalars = {"loss/train": float(loss_sum) / seen, "accuracy/train": float(hits) / seen}
    if penalty is not None:
        scalars["loss/penalty"] = float(penalty_sum) / seen
    return scalars


def evaluate(
    network: nn.Module, task: Task, attack: Attack | None = None, limit: int | None = None
) -> tuple[float, float]:
    """Mean loss and accuracy on the held-out pictures, or on `limit` of them, as they are or attacked."""
    losses, hits, seen = 0.0, 0, 0
    with _evaluating(network):
        for images, labels in task.held_out(limit=limit):
            inputs = images if attack is None else attack(network, images, labels)
            with torch.no_grad():
                logits = network(inputs)
            losses += F.cross_entropy(logits, labels, reduction="sum").item()
            hits += int((logits.argmax(1) == labels).sum())
            seen += len(labels)
    return losses / seen, hits / seen


@contextmanager
def _evaluating(network: nn.Module) -> Iterator[None]:
    network.eval()
    try:
        yield
    finally:
        network.train()
