"""Cosine and cosine-cubed similarity of neurons and concepts (CLIP-Dissect, Oikarinen & Weng, ICLR 2023)."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

import torch
from torch import Tensor

from conceptmon_tb.functional.acceleration import in_threads, kernels_for
from conceptmon_tb.functional.blocks import BLOCK_BYTES, CACHE_BYTES, chosen_columns, column_blocks
from conceptmon_tb.functional.health import (
    check_concept_activations,
    check_same_images,
    place_rows,
    valid_neurons,
)

_DIRECTIONS_BYTES = 1 << 26  # of the concepts in work at one time, where they are not kept
_BLOCK_BYTES = 1 << 21  # of columns cast to float32
_FEWEST_BYTES = 10 << 20  # fewer would save little and cost time
_FEWEST_CONCEPTS = 128
_FEWEST_NEURONS = 64
_MOST_NEURONS = 512  # of one matrix product: more are not faster
_ROWS_IN_TASK = 32


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
    return CosineConcepts(concept_activations, cubed=False, cache_bytes=0).similarity(activations)


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
    return CosineConcepts(concept_activations, cubed=True, cache_bytes=0).similarity(activations)


class CosineConcepts:
    """The concept side of a cosine similarity, prepared once for many layers and epochs.

    The concepts' directions are kept where they fit `cache_bytes`; otherwise they are made anew, a block of
    concepts at a time.

    Args:
        concept_activations: `(images, concepts)` cosines of image and text embeddings. Not copied: it must
            not change while this object is used.
        cubed: Whether to centre and cube both sides.
        cache_bytes: Largest table of directions (images x concepts x 4 bytes) to keep.
    """

    def __init__(self, concept_activations: Tensor, *, cubed: bool, cache_bytes: int = CACHE_BYTES) -> None:
        self.cubed = cubed
        self._concepts = check_concept_activations(concept_activations, keep_dtype=True)
        health = valid_neurons(self._concepts)
        self._unusable = ~health.valid if cubed else health.dead
        self._keep = 4 * self._concepts.numel() <= cache_bytes
        self._kept: Tensor | None = None

    def similarity(self, activations: Tensor) -> Tensor:
        """Similarity of every neuron and every concept.

        Args:
            activations: `(images, neurons)` any real dtype.

        Returns:
            `(neurons, concepts)` float32; rows of invalid neurons are 0.
        """
        images, concepts = self._concepts.shape
        activations = check_same_images(activations, images, keep_dtype=True)
        valid = valid_neurons(activations).valid
        neurons = chosen_columns(valid)
        memory = activations.nbytes + self._concepts.nbytes + 4 * len(valid) * concepts  # where it may work
        with torch.autocast(activations.device.type, enabled=False):
            if activations.requires_grad and torch.is_grad_enabled():
                chosen = activations if neurons is None else activations[:, neurons]
                unit = _unit_rows_with_torch(chosen.float().T, self.cubed)
                kept = [part if self._keep else part.clone() for _, part in self._directions(memory)]
                similarity = torch.cat([unit @ part.T for part in kept], dim=1)
                return place_rows(similarity, valid)
            count = len(valid) if neurons is None else len(neurons)
            at_once = _vectors(images, max(_FEWEST_BYTES // 2, memory // 10), _FEWEST_NEURONS, _MOST_NEURONS)
            similarity = activations.new_empty((count, concepts), dtype=torch.float32)
            rows = activations.new_empty((min(at_once, count), images), dtype=torch.float32)
            for part, directions in self._directions(memory):
                for start in range(0, count, at_once):
                    some = slice(start, min(start + at_once, count))
                    unit = self._unit_rows(activations, neurons, some, rows)
                    torch.mm(unit, directions.T, out=similarity[some, part])
        return place_rows(similarity, valid)

    def _directions(self, memory: int) -> Iterator[tuple[slice, Tensor]]:
        """Unit vectors of some concepts at a time, `(concepts, images)` float32."""
        images, concepts = self._concepts.shape
        if self._kept is not None:
            yield slice(0, concepts), self._kept
            return
        most = _vectors(images, _DIRECTIONS_BYTES, _FEWEST_CONCEPTS, concepts)
        casts = 0 if self._concepts.dtype == torch.float32 else 2 * BLOCK_BYTES
        at_once = (
            concepts
            if self._keep
            else _vectors(images, max(_FEWEST_BYTES, memory // 4 - casts), _FEWEST_CONCEPTS, most)
        )
        at_once = -(-concepts // -(-concepts // at_once))  # as many blocks, of equal size
        memory_of_block = self._concepts.new_empty((at_once, images), dtype=torch.float32)
        for start in range(0, concepts, at_once):
            part = slice(start, min(start + at_once, concepts))
            directions = self._unit_rows(self._concepts, None, part, memory_of_block)
            yield part, directions.masked_fill_(self._unusable[part, None], 0.0)
        if self._keep:
            self._kept = memory_of_block

    def _unit_rows(self, matrix: Tensor, columns: Tensor | None, part: slice, memory: Tensor) -> Tensor:
        """Unit vectors of a part of the columns, `(part, images)` float32, in the memory given."""
        if columns is None:
            matrix = matrix[:, part]
        else:
            columns = columns[part]
        rows = memory[: part.stop - part.start]
        kernels = kernels_for(matrix)
        blocks = column_blocks(matrix.detach(), columns, views=kernels is not None, block_bytes=_BLOCK_BYTES)
        for inner, block in blocks:
            if kernels is None:
                rows[inner] = _unit_rows_with_torch(block.T, self.cubed)
            else:
                _compiled_unit_rows(kernels, block, self.cubed, rows[inner])
            del block  # before the next one is made
        return rows


def _vectors(images: int, memory: int, fewest: int, most: int) -> int:
    """How many vectors over the images to work on in so many bytes."""
    return min(most, max(fewest, memory // (4 * images)))


def _compiled_unit_rows(kernels: ModuleType, block: Tensor, cubed: bool, rows: Tensor) -> None:
    source, out = block.numpy(), rows.numpy()

    def scale(part: slice) -> None:
        kernels.transpose(source[:, part], out[part])
        kernels.unit_rows(out[part], cubed)

    in_threads(scale, len(out), _ROWS_IN_TASK)


def _unit_rows_with_torch(rows: Tensor, cubed: bool) -> Tensor:
    """What `kernels.unit_rows` does, in float32 and differentiable."""
    rows = rows / _largest_magnitude(rows)
    if cubed:
        rows = rows - rows.mean(dim=1, keepdim=True)
        rows = rows - rows.mean(dim=1, keepdim=True)  # what rounding left of a mean far from zero
        rows = rows / _largest_magnitude(rows)
        rows = rows * rows * rows
    length: Tensor = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    return rows / length.clamp_min(torch.finfo(rows.dtype).tiny)


def _largest_magnitude(rows: Tensor) -> Tensor:
    return rows.detach().abs().amax(dim=1, keepdim=True).clamp_min(torch.finfo(rows.dtype).tiny)
