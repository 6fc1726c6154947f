"""Rank-reorder similarity of neurons and concepts (CLIP-Dissect, Oikarinen & Weng, ICLR 2023)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from conceptmon_tb.functional.health import (
    check_concept_activations,
    check_same_images,
    place_rows,
    valid_neurons,
)
from conceptmon_tb.functional.ranking import image_ranks, sort_rows, top_images

MIN_MEAN_COSINE = 1e-3
"""Floor of a concept's mean cosine, whose root the published formula divides by."""

_ELEMENTS_AT_ONCE = 1 << 20
_CONCEPTS_AT_ONCE = 2048


def rank_reorder(
    activations: Tensor,
    concept_activations: Tensor,
    *,
    p: int = 3,
    top_fraction: float = 0.05,
    scale_p: float = 0.5,
) -> Tensor:
    """How little a neuron's top activations change when its top images are put in a concept's order.

    Over the neuron's top images: the activations are dealt out again in the order of the concept's
    activations, the mean of `|change| ** p` is divided by what a random order would change, and by the
    concept's mean activation to the power `scale_p`; the similarity is minus that.

    Two departures from the published code, which leave the order of a neuron's concepts as it is. The
    random order's change is its expectation over all orders, not the mean of five unseeded draws, so the
    result is deterministic. A mean cosine below 0.001 counts as 0.001, where the published code takes the
    root of a negative number; the cosines of a real CLIP are above it. A neuron whose top activations are
    all equal changes as much as in a random order.

    Args:
        activations: `(images, neurons)` any real dtype; computed in float32.
        concept_activations: `(images, concepts)` cosines of image and text embeddings.
        p: Power of the change, at least 1.
        top_fraction: Share of the images to look at, in (0, 1]; at least two images are.
        scale_p: Power of the mean concept activation.

    Returns:
        `(neurons, concepts)` float32, at most 0, higher is more similar; rows of dead, constant or
        non-finite neurons are 0 and mean nothing.

    Raises:
        ValueError: Shapes do not fit, `concept_activations` is not finite, or a parameter is out of range.

    Source: CLIP-Dissect, `rank_reorder`, and its defaults.
    """
    concepts = RankConcepts(concept_activations, p=p, top_fraction=top_fraction, scale_p=scale_p)
    return concepts.similarity(activations)


class RankConcepts:
    """The concept side of rank-reorder: the rank of every image, prepared once for many layers and epochs.

    Args:
        concept_activations: `(images, concepts)` cosines of image and text embeddings.
        p: Power of the change.
        top_fraction: Share of the images to look at.
        scale_p: Power of the mean concept activation.

    Raises:
        ValueError: A parameter is out of range.
    """

    def __init__(
        self, concept_activations: Tensor, *, p: int = 3, top_fraction: float = 0.05, scale_p: float = 0.5
    ) -> None:
        if p < 1:
            raise ValueError(f"p must be at least 1, got {p}")
        if not 0 < top_fraction <= 1:
            raise ValueError(f"top_fraction must be in (0, 1], got {top_fraction}")
        self.power = p
        self.scale_power = scale_p
        self.concept_activations = check_concept_activations(concept_activations)
        images = self.concept_activations.shape[0]
        self.top_k = min(images, max(2, int(images * top_fraction)))
        self._position_bits = max(1, (self.top_k - 1).bit_length())
        fits = images.bit_length() + self._position_bits < 32
        self._ranks = image_ranks(self.concept_activations).to(torch.int32 if fits else torch.int64)

    @torch.no_grad()
    def similarity(self, activations: Tensor) -> Tensor:
        """Similarity of every neuron and every concept.

        Args:
            activations: `(images, neurons)` any real dtype.

        Returns:
            `(neurons, concepts)` float32; rows of invalid neurons are 0.
        """
        activations = check_same_images(activations, self.concept_activations.shape[0])
        valid = valid_neurons(activations).valid
        kept = activations[:, valid]
        top = top_images(kept, self.top_k)
        target = kept.T.gather(1, top)
        width = min(_CONCEPTS_AT_ONCE, self._ranks.shape[0])
        neurons_at_once = max(1, _ELEMENTS_AT_ONCE // (width * self.top_k))
        chunks = zip(torch.split(top, neurons_at_once), torch.split(target, neurons_at_once), strict=True)
        return place_rows(torch.cat([self._compare(*chunk) for chunk in chunks]), valid)

    def _compare(self, top: Tensor, target: Tensor) -> Tensor:
        """Similarity of a few neurons, given their top images and activations there, both (neurons, k)."""
        target = target - target[:, -1:]
        target = target / target[:, :1].clamp_min(torch.finfo(target.dtype).tiny)
        by_chance = (target[:, :, None] - target[:, None, :]).abs().pow(self.power).mean(dim=(1, 2))
        blocks = torch.split(self._ranks, _CONCEPTS_AT_ONCE)
        change = torch.cat([self._change(block, top, target) for block in blocks])
        error = torch.where(by_chance > 0, change / by_chance, 1.0).T
        mean_cosine = F.embedding_bag(top, self.concept_activations, mode="mean").clamp_min(MIN_MEAN_COSINE)
        return -error / mean_cosine.pow(self.scale_power)

    def _change(self, ranks: Tensor, top: Tensor, target: Tensor) -> Tensor:
        """Mean change of each neuron's activations in each concept's order, (concepts, neurons)."""
        neurons, k = top.shape
        keys = ranks.index_select(1, top.reshape(-1)).reshape(ranks.shape[0], neurons, k)
        keys = keys.bitwise_left_shift(self._position_bits)
        keys = sort_rows(keys.bitwise_or(torch.arange(k, dtype=keys.dtype, device=keys.device)))
        position = keys.bitwise_and((1 << self._position_bits) - 1)
        position = position + torch.arange(neurons, dtype=keys.dtype, device=keys.device)[:, None] * k
        reordered = target.reshape(-1).index_select(0, position.reshape(-1)).reshape(position.shape)
        return (reordered - target.flip(1)).abs_().pow_(self.power).mean(dim=2)
