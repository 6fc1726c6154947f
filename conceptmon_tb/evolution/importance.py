"""Which neurons' evolution between two epochs matters to a class (ConceptEvo, section 7.2.3).

A neuron's evolution is the change of its activation map (Eq. 7.7). How sensitive a class is to it is the
derivative of the class's logit, at the earlier epoch, in that direction (Eq. 7.8); since all other neurons
stay, it is a sum over the neuron's own map. One backward pass per batch gives it for all neurons of all
layers. Importance is the share of the class's images for which it is positive (Eq. 7.9).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from conceptmon_tb.arguments import check_count
from conceptmon_tb.checkpoints.factory import ModelSource
from conceptmon_tb.evolution.class_images import Classes, ClassImages, Images
from conceptmon_tb.evolution.layer_maps import LayerMaps
from conceptmon_tb.evolution.models import ModelState, look_at_epochs
from conceptmon_tb.evolution_records import Evolutions
from conceptmon_tb.probe_forward import Forward

NUM_IMAGES = 128
"""Images of a class that are looked at, as in the paper (section 7.3.4)."""

_MOST = 1 << 30


def important_evolutions(
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
    batch_size: int = 64,
    model: ModelSource | None = None,
    forward: Forward | None = None,
    seed: int = 0,
) -> Evolutions:
    """Measure how important the evolution of every neuron is to every class.

    Both models are left exactly as they were: weights, gradients, modes, buffers, hooks and the random
    streams, also after an exception. So `after` may be the model in training.

    Args:
        before: The model at the earlier epoch: a module, a state dict or a checkpoint.
        after: The same at the later epoch.
        images: Model inputs `(images, channels, height, width)`; a probe set; or a dataset of such inputs,
            alone or followed by a label.
        labels: `(images,)` the logit of each image's class.
        layers: Names from `model.named_modules()`.
        from_step: Global step of `before`.
        to_step: Global step of `after`.
        classes: Names of classes by logit, which also chooses them; or the names of all logits; None: all
            that have images, named by their numbers.
        num_images: Images of each class that are looked at, at most; drawn by `seed` where it has more.
        batch_size: Images at once; the maps of all layers are held for so many.
        model: What state dicts and checkpoints are loaded into, where neither epoch is a module.
        forward: How to get logits from the model, `(model, images) -> logits`; None: `model(images)`.
        seed: Of the images that are drawn.

    Returns:
        The table; `ConceptWriter.add_evolutions` logs it.

    Raises:
        CheckpointError: Weights do not fit, or a file cannot be read.
        TypeError: An argument of the wrong type.
        ValueError: An unknown layer, one whose maps differ between the epochs, labels that do not fit, or
            steps that are not in order.

    Example:
        >>> net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
        >>> earlier = {name: 0.5 * weight for name, weight in net.state_dict().items()}
        >>> images, labels = torch.rand(8, 3), [0, 1] * 4
        >>> found = important_evolutions(earlier, net, images, labels, ["1"], from_step=0, to_step=5)
        >>> len(found.ranked("1"))
        4

    Source: ConceptEvo, dissertation section 7.2.3, Eq. 7.7-7.9.
    """
    chosen = ClassImages.of(images, labels, classes)
    most = check_count("num_images", num_images, _MOST)
    size = check_count("batch_size", batch_size, _MOST)
    numbers, steps = chosen.sample(most, np.random.default_rng(seed)), (from_step, to_step)
    with look_at_epochs(before, after, layers, steps, model, forward) as (old, new):
        return measure_evolutions(old, new, chosen, numbers, steps, size)


def measure_evolutions(
    old: LayerMaps,
    new: LayerMaps,
    images: ClassImages,
    chosen: npt.NDArray[np.int64],
    steps: tuple[int, int],
    batch_size: int,
) -> Evolutions:
    """Measure importance on chosen images; both models are being looked at already.

    Args:
        old: The earlier epoch.
        new: The later epoch.
        images: Labelled images.
        chosen: Numbers of those that are looked at.
        steps: Global steps of the two.
        batch_size: Images at once.

    Returns:
        The table.
    """
    positive: npt.NDArray[np.int32] | None = None
    total: npt.NDArray[np.float64] | None = None
    widths: dict[str, int] = {}
    counts = np.zeros(len(images.classes), np.int32)
    for batch, labels, rows in images.batches(chosen, batch_size):
        found = sensitivity(old, new, batch, labels)
        if positive is None or total is None:
            widths = {layer: one.shape[1] for layer, one in found.items()}
            positive = np.zeros((len(counts), sum(widths.values())), np.int32)
            total = np.zeros(positive.shape, np.float64)
        measured = np.concatenate(list(found.values()), axis=1)
        for row in np.unique(rows):  # images come class by class: there are few in a batch
            own = measured[rows == row]
            positive[row] += (own > 0).sum(axis=0, dtype=np.int32)
            total[row] += own.sum(axis=0, dtype=np.float64)
            counts[row] += len(own)
    assert positive is not None
    assert total is not None
    means = (total / counts[:, None]).astype(np.float32)
    means[~np.isfinite(means)] = np.nan
    positive[np.isnan(means)] = 0
    names = tuple(images.classes.values())
    return Evolutions(*steps, names, counts, tuple(widths), tuple(widths.values()), positive, means)


def sensitivity(
    old: LayerMaps, new: LayerMaps, batch: Tensor, classes: Tensor
) -> dict[str, npt.NDArray[Any]]:
    """How sensitive the logit of each image's class is to every neuron's evolution (Eq. 7.8).

    Args:
        old: The model at the earlier epoch.
        new: The model at the later epoch.
        batch: `(batch, channels, height, width)`.
        classes: `(batch,)` int64, the logit of each image's class.

    Returns:
        By layer, `(batch, neurons)` float32, of a model in float64 float64: the derivative of the logit
        along the neuron's change.

    Raises:
        ValueError: A layer's maps differ in shape between the two.

    Source: ConceptEvo, dissertation section 7.2.3, Eq. 7.7, 7.8.
    """
    later = new.take(batch)[1]
    earlier, gradients = old.take_with_gradients(batch, classes)
    found = {}
    for layer, maps in earlier.items():
        if maps.shape != later[layer].shape:
            raise ValueError(
                f"layers: {layer!r} gives maps of shape {tuple(maps.shape)} before and "
                f"{tuple(later[layer].shape)} after; the two epochs must be of one model"
            )
        exact = torch.promote_types(maps.dtype, torch.float32)
        change = later[layer].to(maps.device, exact) - maps.to(exact)
        found[layer] = (gradients[layer].to(exact) * change).sum(dim=2).cpu().numpy()
    return found
