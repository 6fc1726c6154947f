"""Linear explanations of layer after layer and epoch after epoch, as the arrays of a snapshot."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from conceptmon_tb.functional.linear import LinearConcepts, LinearExplanation, Presence
from conceptmon_tb.functional.roles import effective_concepts
from conceptmon_tb.snapshot import FloatArray, IntArray

MAX_CONCEPTS = 5

_KEPT_CONCEPT_SIDES = 2


class Explanation(NamedTuple):
    """What a snapshot says of linear explanations, under the snapshot's names."""

    explanation_ids: IntArray
    explanation_weights: FloatArray
    explanation_fit: FloatArray
    num_concepts: FloatArray


class Explainer:
    """Explains neurons; what depends on the concepts only is prepared at the first call and kept.

    Args:
        text_embedding: `(concepts, dim)` unit length: words of like meaning count as one concept served.
    """

    def __init__(self, text_embedding: Tensor) -> None:
        self._text_embedding = text_embedding
        self._sides: list[tuple[Tensor, int, LinearConcepts]] = []

    def explain(
        self, activations: Tensor, concept_activations: Tensor, presence: Presence = "sigmoid"
    ) -> Explanation:
        """Explain every neuron of a layer.

        Args:
            activations: `(images, neurons)` float32.
            concept_activations: `(images, concepts)` of the same images.
            presence: How they tell that a concept is present; see `LinearConcepts`.

        Returns:
            Concepts, weights, fit, and the number of concepts served: 0 for a valid neuron that no concept
            explains; fit and number are NaN for a neuron that is not valid.
        """
        found = self._prepared(concept_activations, presence).explain(activations, MAX_CONCEPTS)
        found = LinearExplanation(*(values.cpu() for values in found))
        served = effective_concepts(found.concept_ids, found.weights, self._text_embedding)
        return Explanation(
            found.concept_ids.numpy().astype(np.int32),
            found.weights.numpy(),
            found.fit.numpy(),
            served.masked_fill(found.fit.isnan(), torch.nan).numpy(),
        )

    def _prepared(self, concept_activations: Tensor, presence: Presence) -> LinearConcepts:
        """The concept side: keyed by content, so that an equal tensor of a later epoch finds it."""
        for kept, version, side in self._sides:
            unchanged = _version(kept) == version
            if (
                unchanged
                and side.presence == presence
                and (kept is concept_activations or torch.equal(kept, concept_activations))
            ):
                return side
        side = LinearConcepts(concept_activations, presence=presence)
        kept = concept_activations.clone() if concept_activations.is_inference() else concept_activations
        self._sides = [(kept, _version(kept), side), *self._sides[: _KEPT_CONCEPT_SIDES - 1]]
        return side


def _version(tensor: Tensor) -> int:
    return 0 if tensor.is_inference() else tensor._version  # noqa: SLF001  # torch has no public name
