"""Does importance mean something? Revert evolutions, and see what accuracy it costs (ConceptEvo, 7.3.4).

The neurons of a layer are divided by importance into quarters. For each quarter the later network runs with
the activation maps that these neurons had at the earlier epoch. If importance means what it says, accuracy
falls most where the most important quarter is reverted; a quarter drawn at random lies in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from conceptmon_tb.arguments import check_count
from conceptmon_tb.checkpoints.factory import ModelSource
from conceptmon_tb.evolution.class_images import Classes, ClassImages, Images
from conceptmon_tb.evolution.importance import NUM_IMAGES, measure_evolutions
from conceptmon_tb.evolution.layer_maps import LayerMaps
from conceptmon_tb.evolution.models import ModelState, look_at_epochs
from conceptmon_tb.evolution_records import Evolutions
from conceptmon_tb.probe_forward import Forward
from conceptmon_tb.snapshot import BoolArray, FloatArray, IntArray

REPEATS = 5
BINS = 4
RANDOM = "random"

_MOST = 1 << 30


class BinChange(NamedTuple):
    """One row of the test's table.

    Attributes:
        name: Which evolutions were reverted, by importance: "0-25%" are the most important ones, "random" as
            many drawn at random.
        change: Accuracy with them reverted minus accuracy without; mean over classes, layers and repeats.
        over_repeats: Standard deviation of the repeats' means.
        over_classes: Standard deviation of the classes' means.
    """

    name: str
    change: float
    over_repeats: float
    over_classes: float


@dataclass(frozen=True, eq=False)
class RevertTest:
    """What reverting evolutions costs.

    Attributes:
        from_step: Epoch that is reverted to.
        to_step: Epoch whose accuracy is measured.
        classes: Names of the classes.
        num_images: Images of each class in a sample, `(classes,)` int32.
        layers: Names of the layers, each reverted by itself.
        bins: Names of what is reverted: the bins of importance, the most important one first, and "random".
        accuracy: `(repeats, classes)` float32, of the later epoch as it is.
        change: `(repeats, classes, layers, bins)` float32, what reverting adds to it: mostly negative.

    Source: ConceptEvo, dissertation section 7.3.4, Fig. 7.7.
    """

    from_step: int
    to_step: int
    classes: tuple[str, ...]
    num_images: IntArray
    layers: tuple[str, ...]
    bins: tuple[str, ...]
    accuracy: FloatArray
    change: FloatArray

    def table(self, layer: str | None = None) -> list[BinChange]:
        """One row for each bin.

        Args:
            layer: One of `layers`; None: the mean over all, as in the paper.

        Raises:
            KeyError: There is no such layer.
        """
        if layer is not None and layer not in self.layers:
            raise KeyError(f"no layer {layer!r}; there are {', '.join(self.layers)}")
        at = slice(None) if layer is None else [self.layers.index(layer)]
        change = self.change[:, :, at].mean(axis=2, dtype=np.float64)  # (repeats, classes, bins)
        of_repeats, of_classes = change.mean(axis=1), change.mean(axis=0)
        return [
            BinChange(
                name,
                *(float(value[i]) for value in (of_repeats.mean(0), of_repeats.std(0), of_classes.std(0))),
            )
            for i, name in enumerate(self.bins)
        ]

    def __str__(self) -> str:
        lines = [
            f"reverted from step {self.to_step} to {self.from_step}: {len(self.classes)} classes, "
            f"{len(self.layers)} layers, {len(self.accuracy)} repeats; accuracy {self.accuracy.mean():.3f}",
            f"{'importance':>12} {'change':>8} {'+- repeats':>11} {'+- classes':>11}",
        ]
        lines += [
            f"{row.name:>12} {row.change:>+8.3f} {row.over_repeats:>11.3f} {row.over_classes:>11.3f}"
            for row in self.table()
        ]
        return "\n".join(lines)


def revert_test(
    before: ModelState,
    after: ModelState,
    images: Images,
    labels: Sequence[int] | npt.NDArray[np.integer[Any]] | Tensor,
    layers: Sequence[str],
    *,
    from_step: int,
    to_step: int,
    classes: Classes | None = None,
    num_images: int = NUM_IMAGES,
    repeats: int = REPEATS,
    bins: int = BINS,
    top: int = 1,
    batch_size: int = 64,
    model: ModelSource | None = None,
    forward: Forward | None = None,
    seed: int = 0,
) -> RevertTest:
    """Measure the change in accuracy when evolutions are reverted, by their importance.

    For every repeat: draw images of each class; rank each layer's neurons by importance on them (Eq. 7.9);
    revert one bin in one layer, and measure accuracy on the same images. Neither model is altered.

    Args:
        before: The model at the earlier epoch: a module, a state dict or a checkpoint.
        after: The same at the later epoch.
        images: As for `important_evolutions`.
        labels: `(images,)` the logit of each image's class.
        layers: Names from `model.named_modules()`, each with as many neurons as bins at least.
        from_step: Global step of `before`.
        to_step: Global step of `after`.
        classes: As for `important_evolutions`.
        num_images: Images of each class in a sample, at most. With several repeats a sample is half of a
            class at most: samples that are all the same would say nothing of the deviation.
        repeats: Independent samples.
        bins: Into how many parts of equal size neurons are divided.
        top: An image counts as recognised when its class is among so many of the largest logits.
        batch_size: Images at once.
        model: What state dicts and checkpoints are loaded into, where neither epoch is a module.
        forward: How to get logits from the model; None: `model(images)`.
        seed: Of the samples and of the random baseline.

    Returns:
        The changes. `print` shows the table; `draw_revert_test` draws it.

    Raises:
        CheckpointError: Weights do not fit, or a file cannot be read.
        TypeError: An argument of the wrong type.
        ValueError: As for `important_evolutions`; or a layer has fewer neurons than bins.

    Source: ConceptEvo, dissertation section 7.3.4, Fig. 7.7.
    """
    chosen = ClassImages.of(images, labels, classes)
    most = check_count("num_images", num_images, _MOST)
    size = check_count("batch_size", batch_size, _MOST)
    runs, parts = check_count("repeats", repeats, _MOST), check_count("bins", bins, 100)
    places = check_count("top", top, _MOST)
    steps = from_step, to_step
    accuracies, changes = [], []
    with look_at_epochs(before, after, layers, steps, model, forward) as (old, new):
        for repeat in range(runs):
            rng = np.random.default_rng([seed, repeat])
            numbers = chosen.sample(most, rng, share=0.5 if runs > 1 else 1.0)
            table = measure_evolutions(old, new, chosen, numbers, steps, size)
            hits = _count_hits(old, new, chosen, numbers, divide(table, parts, rng), size, places)
            accuracy = hits / table.num_images[:, None, None]
            accuracies.append(accuracy[:, 0, 0])
            changes.append(accuracy[:, 1:] - accuracy[:, :1])
    edges = [round(100 * i / parts) for i in range(parts + 1)]
    named = (*(f"{start}-{end}%" for start, end in pairwise(edges)), RANDOM)
    return RevertTest(
        *steps,
        table.classes,
        table.num_images,
        table.layers,
        named,
        np.array(accuracies, np.float32),
        np.array(changes, np.float32).transpose(0, 1, 3, 2),
    )


def divide(table: Evolutions, bins: int, rng: np.random.Generator) -> dict[str, BoolArray]:
    """Divide the neurons of every layer by their importance to every class.

    Args:
        table: Importance.
        bins: Number of parts; where neurons cannot be shared out evenly the first ones get one more.
        rng: Of the random part, which is as large as the first one.

    Returns:
        By layer, `(classes, bins + 1, neurons)` bool; the last is the random one. Neurons without rank are in
        the last bin before it.

    Raises:
        ValueError: A layer has fewer neurons than bins.
    """
    divided = {}
    for layer, neurons in zip(table.layers, table.neurons, strict=True):
        if neurons < bins:
            raise ValueError(f"layers: {layer!r} has {neurons} neurons, too few for {bins} bins")
        members = np.zeros((len(table.classes), bins + 1, neurons), np.bool_)
        start = table.columns(layer).start
        for row, name in enumerate(table.classes):
            ranked = table.order(name, layer) - start
            order = np.concatenate([ranked, np.setdiff1d(np.arange(neurons), ranked)])
            for part, own in enumerate(np.array_split(order, bins)):
                members[row, part, own] = True
            members[row, bins, rng.choice(neurons, int(members[row, 0].sum()), replace=False)] = True
        divided[layer] = members
    return divided


def _count_hits(
    old: LayerMaps,
    new: LayerMaps,
    images: ClassImages,
    chosen: npt.NDArray[np.int64],
    divided: dict[str, BoolArray],
    batch_size: int,
    top: int,
) -> npt.NDArray[np.float64]:
    """Images whose class is among the largest logits.

    Returns:
        `(classes, 1 + bins, layers)`: as it is, the same for all layers, and with each bin reverted.
    """
    bins = next(iter(divided.values())).shape[1]
    hits = np.zeros((len(images.classes), 1 + bins, len(divided)))
    for batch, labels, rows in images.batches(chosen, batch_size):
        earlier = old.take(batch)[1]
        np.add.at(hits[:, 0], rows, _is_right(new.take(batch)[0], labels, top)[:, None])
        for at, (layer, members) in enumerate(divided.items()):
            for part in range(bins):
                neurons = torch.from_numpy(members[rows, part])
                logits = new.run_with(batch, layer, earlier[layer], neurons)
                np.add.at(hits[:, 1 + part, at], rows, _is_right(logits, labels, top))
    return hits


def _is_right(logits: Tensor, labels: Tensor, top: int) -> BoolArray:
    if top >= logits.shape[1]:
        raise ValueError(f"top must be less than the model's {logits.shape[1]} logits, got {top}")
    logits = logits.cpu()
    largest = logits.topk(top, dim=1).indices
    known = ~logits.gather(1, labels[:, None])[:, 0].isnan()  # NaN ranks as the largest
    right: BoolArray = ((largest == labels[:, None]).any(dim=1) & known).numpy()
    return right
