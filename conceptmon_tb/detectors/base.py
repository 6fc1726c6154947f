"""What every concept detector offers: the answers of a layer in, similarity of neurons and concepts out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import torch
from torch import Tensor

from conceptmon_tb.functional.linear import Presence
from conceptmon_tb.functional.null import DEFAULT_LEVEL, calibrate_threshold

if TYPE_CHECKING:
    from conceptmon_tb.concepts import ConceptSet
    from conceptmon_tb.encoders import ConceptEncoder
    from conceptmon_tb.probe import ProbeSet

_CPU = torch.device("cpu")


@dataclass(frozen=True, eq=False)
class Reference:
    """What holds still while a training is watched, and what detectors compare neurons with.

    Attributes:
        probe: The pictures.
        concepts: The concept set S.
        encoder: Of words and pictures.
        text_embedding: `(concepts, dim)` float32, unit length.
        seed: Of everything random.
        progress: Whether to show progress bars for what is done only once.
        calibrate: Whether thresholds will be asked for; a detector may spare itself the work if not.
        device: Where detectors may compute.
    """

    probe: ProbeSet
    concepts: ConceptSet
    encoder: ConceptEncoder
    text_embedding: Tensor
    seed: int = 0
    progress: bool = False
    calibrate: bool = True
    device: torch.device = _CPU

    @cached_property
    def concept_activations(self) -> Tensor:
        """`(images, concepts)` float32 cosines of pictures and words, on `device`.

        The probe is encoded when this is first asked for.
        """
        from conceptmon_tb.encoders import embed_probe  # a detector that never asks needs no open_clip

        images = embed_probe(self.encoder, self.probe, progress=self.progress)
        return (images @ self.text_embedding.T).to(self.device)


@dataclass(frozen=True, eq=False)
class Detection:
    """What a detector says of one layer.

    Attributes:
        similarity: `(neurons, concepts)` float32, finite, higher is more similar. Rows of neurons that are
            dead, constant or not finite are 0 and mean nothing: mask them with `functional.valid_neurons`.
        null_threshold: From a level and a seed to the similarity that at most a share `level` of
            meaningless neurons exceeds, on average; NaN when no neuron is valid, so that nothing exceeds it.
        embedding: `(neurons, dim)` float32 where the detector places neurons itself; None for Eq. 2.1.
        descriptions: `(neurons,)` free texts; empty when the detector gives none.
        concept_activations: `(images, concepts)` float32, how much of each concept is in each picture, as
            far as the detector knows; None when it does not.
        presence: Whether those are cosines, which tell presence by a "sigmoid", or presences ("linear"); see
            `functional.LinearConcepts`.
        known: `(neurons,)` bool, False for neurons that the detector can say nothing of, though they answer;
            None where it can of all.
    """

    similarity: Tensor
    null_threshold: Callable[[float, int], float]
    embedding: Tensor | None = None
    descriptions: tuple[str, ...] = ()
    concept_activations: Tensor | None = None
    presence: Presence = "sigmoid"
    known: Tensor | None = None


class MapScan(Protocol):
    """What a detector gathers from whole activation maps during one observation.

    The maps are never held together: they come batch by batch while the probe runs, as often as `passes`
    says, in the same order.
    """

    @property
    def passes(self) -> int:
        """How often the probe must run through the model, at least 1."""

    def update(self, layer: str, maps: Tensor, start: int) -> None:
        """Take the maps of one batch.

        Args:
            layer: Name of the layer.
            maps: `(batch, neurons, rows, columns)` on the model's device, any float dtype; a view of the
                layer's output that must not be written to or kept.
            start: Id of the batch's first image.
        """

    def end_pass(self) -> None:
        """All images were seen once more."""


class Sums(Protocol):
    """Sums and extremes over the ranks of a distributed training, the same on all of them."""

    def sum(self, values: Tensor) -> Tensor:
        """Add up a tensor over ranks, element by element."""

    def largest(self, values: Tensor) -> Tensor:
        """Take the largest over ranks, element by element; NaN has no place in it."""


@runtime_checkable
class SharedMapScan(MapScan, Protocol):
    """A scan that can be shared by the ranks of a distributed training, each with a part of the probe.

    Where a detector's scan is none, every rank runs the whole probe.
    """

    def merge(self, sums: Sums) -> None:
        """Gather what all ranks have gathered in this pass; called on all of them, before `end_pass`.

        Every rank has seen the same layers in the same order, one without images with empty batches.

        Args:
            sums: Asked for the same in the same order on every rank.
        """


@runtime_checkable
class ConceptDetector(Protocol):
    """A concept detector phi of the thesis, for one layer at a time.

    A detector that looks at pooled activations only is written as a `PooledDetector`. One that draws no
    random numbers but from generators of its own, and changes nothing that is global, may say so with a
    class attribute `runs_in_background = True`: it can then score beside the training (see `ConceptWriter`).

    Attributes:
        name: Short name of the method, such as "clip-dissect".
        default_temperature: T of Eq. 2.1 that suits the scale of its similarity.

    Source: Concept-Monitor, thesis section 2.1.1.
    """

    @property
    def name(self) -> str:
        """Short name of the method."""

    @property
    def default_temperature(self) -> float:
        """T of Eq. 2.1 that suits the scale of the similarity."""

    def describe(self) -> str:
        """Name and settings, for people."""

    def check(self, probe: ProbeSet, concepts: ConceptSet) -> None:
        """Refuse what the detector cannot work with; a monitor asks before any training.

        Args:
            probe: The pictures.
            concepts: The concept set.

        Raises:
            ValueError: The message says what is missing.
        """

    def scan(self, reference: Reference) -> MapScan | None:
        """Begin an observation.

        Args:
            reference: What holds still.

        Returns:
            What gathers from the activation maps; None where pooled activations are enough.
        """

    def detect(
        self, layer: str, activations: Tensor, reference: Reference, scan: MapScan | None
    ) -> Detection:
        """How well each concept describes each neuron of a layer.

        Args:
            layer: Name of the layer.
            activations: `(images, neurons)` float32, pooled, all neurons of the layer, also where only
                some are looked at afterwards: some detectors compare a neuron with the rest of its layer.
            reference: What holds still.
            scan: What `scan` gave, after its last pass.

        Returns:
            Similarities and what belongs to them.

        Raises:
            ValueError: The layer or the reference lacks what the detector needs.
        """


class PooledDetector(ABC):
    """Base of detectors that compare pooled activations with concept activations.

    Give it a `name`, a `default_temperature` and `similarity`; thresholds by permutation come with it.

    Example:
        >>> class Correlation(PooledDetector):
        ...     name, default_temperature = "correlation", 0.01
        ...
        ...     def similarity(self, activations, concept_activations):
        ...         return cos_similarity(activations - activations.mean(dim=0), concept_activations)
        >>> from conceptmon_tb.functional import cos_similarity
        >>> isinstance(Correlation(), ConceptDetector)
        True
    """

    name: str
    default_temperature: float

    @abstractmethod
    def similarity(self, activations: Tensor, concept_activations: Tensor) -> Tensor:
        """How well each concept describes each neuron.

        Args:
            activations: `(images, neurons)` any real dtype, all neurons of a layer.
            concept_activations: `(images, concepts)` cosines of image and text embeddings.

        Returns:
            `(neurons, concepts)` float32, finite, higher is more similar; rows of neurons that are dead,
            constant or not finite are 0 and mean nothing.
        """

    def null_threshold(
        self, activations: Tensor, concept_activations: Tensor, level: float = DEFAULT_LEVEL, seed: int = 0
    ) -> float:
        """Similarity that at most a share `level` of meaningless neurons exceeds, on average.

        Args:
            activations: `(images, neurons)` as for `similarity`.
            concept_activations: `(images, concepts)` as for `similarity`.
            level: Share of meaningless neurons that may pass, in (0, 1).
            seed: Seed of the permutations that make neurons meaningless.

        Returns:
            The threshold; NaN when no neuron is valid, so that nothing exceeds it.
        """
        return calibrate_threshold(
            lambda permuted: self.similarity(permuted, concept_activations),
            activations,
            level=level,
            seed=seed,
        )

    def describe(self) -> str:
        """Name and settings, for people."""
        return self.name

    def check(self, probe: ProbeSet, concepts: ConceptSet) -> None:  # noqa: B027  # any will do
        """Any probe and concept set will do."""

    def scan(self, reference: Reference) -> MapScan | None:  # noqa: ARG002
        """Nothing: pooled activations are enough."""
        return None

    def detect(
        self,
        layer: str,  # noqa: ARG002  # the same for every layer
        activations: Tensor,
        reference: Reference,
        scan: MapScan | None = None,  # noqa: ARG002
    ) -> Detection:
        """Similarity and threshold against the cosines of pictures and words.

        Args:
            layer: Name of the layer.
            activations: `(images, neurons)` float32, all neurons of the layer.
            reference: What holds still; `similarity` gets both matrices on its device.
            scan: Not needed.

        Returns:
            Similarities, on the CPU, and their calibration.
        """
        concepts = reference.concept_activations
        activations = activations.to(concepts.device)

        def null_threshold(level: float, seed: int) -> float:
            return self.null_threshold(activations, concepts, level, seed)

        similarity = self.similarity(activations, concepts).cpu()
        return Detection(similarity, null_threshold, concept_activations=concepts)
