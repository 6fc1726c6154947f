"""From a trained base model to a semantic space: stimuli, neurons, images, map and names in a row."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from conceptmon_tb.activations import Precision
from conceptmon_tb.arguments import check_words
from conceptmon_tb.concepts import ConceptSet
from conceptmon_tb.encoders import ConceptEncoder
from conceptmon_tb.evolution.co_activation import CoActivation
from conceptmon_tb.evolution.image_embedding import (
    DIRECT,
    UNKNOWN,
    ImageMethod,
    average_images,
    embed_further_images,
    embed_images,
)
from conceptmon_tb.evolution.learning import DIM, NUM_NEGATIVES, RATE, REPEATS, learn_embedding
from conceptmon_tb.evolution.naming import name_by_words, name_groups
from conceptmon_tb.evolution.semantic_space import SemanticSpace
from conceptmon_tb.evolution.stimuli import (
    NUM_STIMULI,
    collect_stimuli,
    find_top_neurons,
    join_layers,
    stretches,
)
from conceptmon_tb.pooling import Tokens
from conceptmon_tb.probe import ProbeSet
from conceptmon_tb.probe_forward import Forward
from conceptmon_tb.projection import NEAREST, ConceptMap, Method
from conceptmon_tb.snapshot import BoolArray, FloatArray, IntArray
from conceptmon_tb.training_state import preserve_rng_streams

MOST_LANDMARKS = 2000
"""Base neurons that the map is laid out by; of more, so many are drawn."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SpaceSettings:
    """How a space is made.

    Attributes:
        k: Stimuli of each neuron.
        dim: Dimensions.
        num_negatives: R, neurons drawn at random for each co-activated pair.
        repeats: E, passes of shuffled sliding windows.
        rate: Learning rate.
        image_method: How images are placed; see `image_embedding.METHODS`.
        indirect: Also place images that are no stimulus of the base model, by the neurons that they excite
            most. It takes one more forward pass over the probe.
        layout: How the map is laid out: "umap" keeps neighbourhoods, "pca" is a linear view.
        seed: Of everything random.
    """

    k: int = NUM_STIMULI
    dim: int = DIM
    num_negatives: int = NUM_NEGATIVES
    repeats: int = REPEATS
    rate: float = RATE
    image_method: ImageMethod = "mean"
    indirect: bool = True
    layout: Method = "umap"
    seed: int = 0


class Base(NamedTuple):
    """A base model's neurons and images; the fields are those of `SemanticSpace`."""

    vectors: FloatArray
    placed: BoolArray
    image_vectors: FloatArray
    coverage: npt.NDArray[np.uint8]


class Layout(NamedTuple):
    """What places neurons on the map; the fields are those of `SemanticSpace`."""

    landmarks: FloatArray
    landmark_position: FloatArray
    projection: str


def fit_semantic_space(
    model: nn.Module,
    layers: Sequence[str],
    probe: ProbeSet,
    *,
    base: str | None = None,
    step: int | None = None,
    encoder: ConceptEncoder | None = None,
    concepts: ConceptSet | None = None,
    num_groups: int | None = None,
    settings: SpaceSettings = SpaceSettings(),
    tokens: Tokens = "auto",
    precision: Precision = "fp32",
    forward: Forward | None = None,
    progress: bool = True,
) -> SemanticSpace:
    """Make a semantic space from a base model: Steps 1 and 2.1.

    Take a well trained model, whose concepts are many. It is left exactly as it was, and so are the global
    random streams.

    Args:
        model: The base model.
        layers: Names from `model.named_modules()`: the more, the more concepts and images are covered.
        probe: The pictures; every model that is placed in the space must be looked at through the same.
        base: What to call the model; None: its class.
        step: Its epoch or step, for people.
        encoder: Names places by the nearest words; None: groups of neurons get numbers.
        concepts: Words for that; None: Broden's.
        num_groups: Groups without an encoder; None chooses.
        settings: How the space is made.
        tokens: Of transformers; see `activations.collect_activations`.
        precision: Of the model's forward; see there.
        forward: How to call the model with a batch of images; None: `model(images)`.
        progress: Show progress bars.

    Returns:
        The space.

    Raises:
        TypeError: The model takes something else than one batch of images.
        ValueError: An argument is out of range, or no two neurons share a stimulus.

    Source: ConceptEvo, dissertation section 7.2.2.
    """
    layers = check_words("layers", [layers] if isinstance(layers, str) else layers)
    if concepts is not None and encoder is None:
        raise ValueError("concepts are words for an encoder; give encoder=... too, or leave concepts out")
    found = collect_stimuli(
        model,
        layers,
        probe,
        settings.k,
        tokens=tokens,
        precision=precision,
        forward=forward,
        progress=progress,
    )
    stimuli = join_layers(found.values())

    def top_neurons(placed: BoolArray) -> IntArray:
        parts = []
        for seen in stretches(model, layers, probe, tokens=tokens, precision=precision, forward=forward):
            beside = torch.cat([values for values, _ in seen.values()], dim=1)
            parts.append(find_top_neurons(beside, stimuli, placed, settings.k))
        return np.concatenate(parts)

    embedded = embed_base(stimuli.images, len(probe), settings, top_neurons, progress=progress)
    projected, _ = average_images(stimuli.images, embedded.image_vectors, embedded.coverage)
    projected = projected[(projected != 0).any(axis=1)]
    layout = lay_out(projected, settings.layout, settings.seed)
    if encoder is None:
        names = name_groups(projected, num_groups, settings.seed)
    else:
        names = name_by_words(
            ConceptSet.broden() if concepts is None else concepts,
            encoder,
            probe,
            embedded.image_vectors,
            embedded.coverage,
            settings.k,
            progress=progress,
        )
    space = SemanticSpace(
        base=type(model).__name__ if base is None else base,
        base_step=step,
        layers={layer: len(part.valid) for layer, part in found.items()},
        stimuli=stimuli.images,
        probe_fingerprint=probe.fingerprint,
        settings=dataclasses.asdict(settings),
        **embedded._asdict(),
        **layout._asdict(),
        **names._asdict(),
    )
    logger.info(
        "%s: %d of %d neurons placed, %d of %d images known",
        space.title,
        int(space.placed.sum()),
        len(space.placed),
        space.num_covered,
        len(probe),
    )
    return space


def embed_base(
    stimuli: IntArray,
    num_images: int,
    settings: SpaceSettings = SpaceSettings(),
    top_neurons: Callable[[BoolArray], IntArray] | None = None,
    *,
    progress: bool = False,
) -> Base:
    """Embed a base model's neurons and the images, of plain arrays: Steps 1.2 to 2.1.

    Args:
        stimuli: `(neurons, k)` int32 images, -1 for none, of all layers.
        num_images: Images of the probe set.
        settings: How; `k` is not used.
        top_neurons: From `(neurons,)` bool, the neurons to choose from, to `(images, k)` int32: those that
            each image excites most. None: images that are no stimulus stay unknown.
        progress: Show progress bars.

    Returns:
        Neurons and images; the projected neurons' lengths are 1 in the root mean square.

    Raises:
        ValueError: No two neurons share a stimulus, or an argument is out of range.
    """
    together = CoActivation(stimuli)
    if not together.has_partner.any():
        raise ValueError(
            f"stimuli: no two of {len(stimuli)} neurons share one of their {stimuli.shape[1]} images among "
            f"{num_images}; name more layers, or take a larger k or a smaller probe set"
        )
    learning: dict[str, Any] = {
        "num_negatives": settings.num_negatives,
        "repeats": settings.repeats,
        "rate": settings.rate,
        "seed": settings.seed,
    }
    vectors, placed = learn_embedding(together, dim=settings.dim, progress=progress, **learning)
    images, covered = embed_images(vectors, placed, stimuli, num_images, settings.image_method)
    coverage = np.where(covered, DIRECT, UNKNOWN).astype(np.uint8)
    if settings.indirect and top_neurons is not None and not covered.all():
        images, coverage = embed_further_images(
            images, covered, top_neurons(placed), progress=progress, **learning
        )
    projected, _ = average_images(stimuli, images, coverage)
    squares = np.square(projected.astype(np.float64)).sum(axis=1)
    scale = np.float32(1 / np.sqrt(squares[squares > 0].mean()))
    return Base(vectors * scale, placed, images * scale, coverage)


def lay_out(vectors: FloatArray, method: Method = "umap", seed: int = 0) -> Layout:
    """Choose landmarks among base neurons and lay them out in two dimensions.

    Args:
        vectors: `(neurons, dim)` float32, none of them zero.
        method: As for `ConceptMap.fit`.
        seed: Of the choice and the layout.

    Returns:
        The landmarks. Neurons that are in one place count once, and their order does not matter.
    """
    landmarks = np.unique(vectors, axis=0)
    if len(landmarks) > MOST_LANDMARKS:
        random = np.random.Generator(np.random.PCG64(seed))
        landmarks = landmarks[np.sort(random.choice(len(landmarks), MOST_LANDMARKS, replace=False))]
    with preserve_rng_streams(seed):
        fitted = ConceptMap.fit(landmarks, seed=seed, method=method)
    name = fitted.name if fitted.name != "pca" else f"pca+shepard{NEAREST}"
    return Layout(landmarks, fitted.position, name)
