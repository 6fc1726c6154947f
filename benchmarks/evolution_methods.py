"""Which image method places the neurons of other networks best: a part of `benchmarks.evolution`.

A ResNet trained on the picture world makes the space; a plain convolutional network, the ResNet trained from
another seed, and both half-way, are projected into it. What a neuron detects is taken from the world's ground
truth: the concept whose presence its largest activation tells best (area under the curve). Two figures: how
often the nearest base neuron detects the same concept, and the area under the curve of "same concept" by
cosine over all pairs of a projected and a base neuron.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional as F
from torchvision.transforms.functional import to_tensor

import conceptmon_tb as cm
from conceptmon_tb.activations import collect_activations
from conceptmon_tb.evolution import SpaceSettings, average_images, embed_base, find_stimuli
from conceptmon_tb.evolution.image_embedding import METHODS
from conceptmon_tb.evolution.stimuli import Stimuli, find_top_neurons
from conceptmon_tb.world import CLASSES, WorldDataset
from demo.conceptevo.alignment import (
    area_under_curve,
    cosines,
    detected_concepts,
    presence_areas,
    usual_concepts,
)
from demo.network import SmallResNet

SIZE, BATCH, PROBE_SEED = 32, 64, 1_000_003
REPEATS = (10, 30, 100)


class Network(NamedTuple):
    """A network's answers to the probe.

    Attributes:
        name: For the table.
        activations: `(images, neurons)` float32, the largest of each map, all layers side by side.
        concept: `(neurons,)` the concept that each detects best, -1 where none clearly.
    """

    name: str
    activations: torch.Tensor
    concept: npt.NDArray[np.int64]


class Row(NamedTuple):
    """How well one way of making the space places other networks' neurons.

    Attributes:
        method: Of images, with what was changed.
        nearest: By network, share of neurons whose nearest base neuron detects the same.
        area: By network, area under the curve of "same concept" by cosine.
    """

    method: str
    nearest: list[float]
    area: list[float]


def measure_methods(images: int, epochs: int, seed: int = 0) -> tuple[list[str], list[Row]]:
    """Train the networks and compare the methods.

    Args:
        images: Of the training set; as many for the probe.
        epochs: Of each network.
        seed: Of everything.

    Returns:
        Names of the projected networks, and a row for each method.
    """
    world = WorldDataset(images, PROBE_SEED, size=SIZE)
    probe = cm.ProbeSet(world)
    base, *others = make_networks(images, epochs, probe, world.presence, seed)
    stimuli = find_stimuli(base.activations)
    rows = [
        measure(name, settings, base, stimuli, others)
        for name, settings in (
            *((method, SpaceSettings(image_method=method, seed=seed)) for method in METHODS),
            *((f"mean, E = {n}", SpaceSettings(repeats=n, seed=seed)) for n in REPEATS),
            ("mean, without indirect images", SpaceSettings(indirect=False, seed=seed)),
        )
    ]
    return [network.name for network in others], rows


def measure(
    name: str, settings: SpaceSettings, base: Network, stimuli: Stimuli, others: list[Network]
) -> Row:
    """Make the space once and project all networks."""

    def top_neurons(placed: npt.NDArray[np.bool_]) -> npt.NDArray[np.int32]:
        return find_top_neurons(base.activations, stimuli, placed, settings.k)

    made = embed_base(stimuli.images, len(base.activations), settings, top_neurons)
    own = average_images(stimuli.images, made.image_vectors, made.coverage)[0]
    nearest, area = [], []
    for other in others:
        found = find_stimuli(other.activations).images
        vectors, counts = average_images(found, made.image_vectors, made.coverage)
        theirs, ours = (counts > 0) & (other.concept >= 0), base.concept >= 0
        alike = cosines(vectors[theirs], own[ours])
        same = other.concept[theirs][:, None] == base.concept[ours][None, :]
        nearest.append(float(same[np.arange(len(same)), alike.argmax(axis=1)].mean()))
        area.append(area_under_curve(alike.ravel(), same.ravel()))
    return Row(name, nearest, area)


def make_networks(
    images: int, epochs: int, probe: cm.ProbeSet, presence: npt.NDArray[np.bool_], seed: int
) -> list[Network]:
    """The base network, and the others: half-way, of another seed, of another kind."""
    pictures = WorldDataset(images, seed=11, size=SIZE, task="objects")
    inputs = torch.stack([to_tensor(picture) for picture, _ in pictures])
    labels = torch.from_numpy(pictures.labels)
    found = []
    kinds = {"ResNet": make_resnet, "ResNet of another seed": make_resnet, "plain network": make_plain}
    for number, (name, make) in enumerate(kinds.items()):
        torch.manual_seed(seed + number)
        model, layers = make()
        optimizer = torch.optim.Adam(model.parameters(), lr=0.002)
        for epoch in range(epochs):
            if epoch == epochs // 4:
                found.append(look(f"{name}, epoch {epoch}", model, layers, probe, presence))
            for batch in torch.randperm(images).split(BATCH):
                optimizer.zero_grad()
                F.cross_entropy(model(inputs[batch]), labels[batch]).backward()
                optimizer.step()
        found.append(look(f"{name}, epoch {epochs}", model, layers, probe, presence))
    return [found[1], found[0], *found[2:]]


def make_resnet() -> tuple[nn.Module, list[str]]:
    return SmallResNet(len(CLASSES), width=16, image_size=SIZE), ["layer2", "layer3", "layer4"]


def make_plain() -> tuple[nn.Module, list[str]]:
    """Like a small VGG."""
    widths, parts = (3, 32, 64, 128), []
    for before, after in itertools.pairwise(widths):
        parts += [nn.Conv2d(before, after, 3, 1, 1), nn.BatchNorm2d(after), nn.ReLU(), nn.MaxPool2d(2)]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[-1], len(CLASSES))]
    return nn.Sequential(*parts, *head), ["6", "10"]


def look(
    name: str, model: nn.Module, layers: list[str], probe: cm.ProbeSet, presence: npt.NDArray[np.bool_]
) -> Network:
    """A network's answers, and what its neurons detect."""
    seen = collect_activations(model, layers, probe.batches(), len(probe), pooling="max")
    activations = torch.cat([values for values, _ in seen.values()], dim=1)
    areas = presence_areas(activations.numpy(), presence[:, usual_concepts(presence)])
    return Network(name, activations, detected_concepts(areas, find_stimuli(activations).valid))


def as_methods_table(names: list[str], rows: list[Row]) -> str:
    head = "| images | " + " | ".join(f"{name}: nearest, AUC" for name in names) + " |"
    lines = [head, "| --- |" + " --- |" * len(names)]
    for row in rows:
        cells = [f"{near:.2f}, {area:.3f}" for near, area in zip(row.nearest, row.area, strict=True)]
        lines.append(f"| {row.method} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
