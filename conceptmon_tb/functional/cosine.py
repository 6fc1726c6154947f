"""Cosine and cosine-cubed similarity of neurons and concepts (CLIP-Dissect, Oikarinen & Weng, ICLR 2023)."""

from __future__ import annotations

import torch
from torch import Tensor

from conceptmon_tb.functional.health import (
    check_concept_activations,
    check_same_images,
    place_rows,
    valid_neurons,
)

COLUMNS_AT_ONCE = 128  # keeps the centred and cubed copies of the columns in cache


def cos_similarity(activations: Tensor, concept_activations: Tensor) -> Tensor:
    """Cosine of a neuron's activations and a concept's activations over the probe images.

    Args:
        activations: `(images, neurons)` any real dtype; computed in float32.
        concept_activations: `(images, concepts)` cosines of image and text embeddings.

    Returns:
        `(neurons, concepts)` float32 in [-1, 1]; rows of dead, constant or non-finite neurons are 0, and
        so are columns of concepts that are 0 on every image. Differentiable in `activations`.

    Raises:
        ValueError: Shapes do not fit, or `concept_activations` is not finite.

    Source: CLIP-Dissect, `cos_similarity`; Concept-Monitor, thesis section 2.1.1.
    """
    return CosineConcepts(concept_activations, cubed=False).similarity(activations)


def cos_similarity_cubed(activations: Tensor, concept_activations: Tensor) -> Tensor:
    """Cosine of centred and cubed activations: the most activating images count most.

    Each column is centred, divided by its largest magnitude, cubed, and normalised. The published code
    cubes first and never divides by a norm below 0.001, so that a neuron's similarities shrink with the
    scale of its activations; dividing first makes them the same at every scale.

    Args:
        activations: `(images, neurons)` any real dtype; computed in float32.
        concept_activations: `(images, concepts)` cosines of image and text embeddings.

    Returns:
        `(neurons, concepts)` float32 in [-1, 1]; rows of dead, constant or non-finite neurons are 0, and
        so are columns of concepts that are constant over the images. Differentiable in `activations`.

    Raises:
        ValueError: Shapes do not fit, or `concept_activations` is not finite.

    Source: CLIP-Dissect, `cos_similarity_cubed`; Concept-Monitor, thesis appendix A.1.2.
    """
    return CosineConcepts(concept_activations, cubed=True).similarity(activations)


class CosineConcepts:
    """The concept side of a cosine similarity, prepared once for many layers and epochs.

    Args:
        concept_activations: `(images, concepts)` cosines of image and text embeddings.
        cubed: Whether to centre and cube both sides.

    Attributes:
        directions: `(images, concepts)` float32, unit columns.
    """

    def __init__(self, concept_activations: Tensor, *, cubed: bool) -> None:
        self.cubed = cubed
        concepts = check_concept_activations(concept_activations)
        health = valid_neurons(concepts)
        usable = health.valid if cubed else ~health.dead
        self.directions = torch.empty_like(concepts, memory_format=torch.contiguous_format)
        for start in range(0, concepts.shape[1], COLUMNS_AT_ONCE):
            block = slice(start, start + COLUMNS_AT_ONCE)
            self.directions[:, block] = self._unit_columns(concepts[:, block], usable[block])

    def similarity(self, activations: Tensor) -> Tensor:
        """Similarity of every neuron and every concept.

        Args:
            activations: `(images, neurons)` any real dtype.

        Returns:
            `(neurons, concepts)` float32; rows of invalid neurons are 0.
        """
        activations = check_same_images(activations, self.directions.shape[0])
        valid = valid_neurons(activations).valid
        kept = activations if bool(valid.all()) else activations[:, valid]
        with torch.autocast(kept.device.type, enabled=False):
            chunks = torch.split(kept, COLUMNS_AT_ONCE, dim=1)
            rows = torch.cat([self._unit_columns(chunk).T @ self.directions for chunk in chunks])
        return place_rows(rows, valid)

    def _unit_columns(self, columns: Tensor, usable: Tensor | None = None) -> Tensor:
        columns = columns / _largest_magnitude(columns)
        if self.cubed:
            columns = columns - columns.mean(dim=0)
            columns = columns - columns.mean(dim=0)  # what rounding left of the mean when it is far from zero
            columns = columns / _largest_magnitude(columns)
            columns = columns * columns * columns
        length: Tensor = torch.linalg.vector_norm(columns, dim=0)
        scale = length.clamp_min(torch.finfo(columns.dtype).tiny).reciprocal()
        return columns * (scale if usable is None else scale.masked_fill(~usable, 0.0))


def _largest_magnitude(columns: Tensor) -> Tensor:
    values = columns.detach()
    largest = torch.maximum(values.amax(dim=0), -values.amin(dim=0))
    return largest.clamp_min(torch.finfo(columns.dtype).tiny)
