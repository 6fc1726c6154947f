"""What every concept detector offers: activations in, similarity out."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import Tensor


@runtime_checkable
class ConceptDetector(Protocol):
    """A concept detector phi of the thesis, for one layer at a time.

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

    def similarity(self, activations: Tensor, concept_activations: Tensor) -> Tensor:
        """How well each concept describes each neuron.

        Args:
            activations: `(images, neurons)` any real dtype, all neurons of a layer: some detectors
                compare a neuron with the rest of its layer.
            concept_activations: `(images, concepts)` cosines of image and text embeddings.

        Returns:
            `(neurons, concepts)` float32, finite, higher is more similar. Rows of neurons that are dead,
            constant or not finite are 0 and mean nothing: mask them with `functional.valid_neurons`.
        """

    def null_threshold(
        self, activations: Tensor, concept_activations: Tensor, level: float = 0.01, seed: int = 0
    ) -> float:
        """Similarity that at most a share `level` of meaningless neurons exceeds, on average.

        Args:
            activations: `(images, neurons)` as for `similarity`.
            concept_activations: `(images, concepts)` as for `similarity`.
            level: Share of meaningless neurons that may pass.
            seed: Seed of the permutations that make neurons meaningless.

        Returns:
            The threshold; NaN when no neuron is valid, so that nothing exceeds it.
        """

    def describe(self) -> str:
        """Name and settings, for people."""
