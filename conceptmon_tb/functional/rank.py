"""Rank-reorder similarity of neurons and concepts (CLIP-Dissect, Oikarinen & Weng, ICLR 2023)."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from conceptmon_tb.functional.blocks import CACHE_BYTES, column_blocks
from conceptmon_tb.functional.health import (
    check_concept_activations,
    check_same_images,
    place_rows,
)
from conceptmon_tb.functional.ranking import image_orders, top_of_valid
from conceptmon_tb.functional.reorder import change_by_chance, change_in_order

MIN_MEAN_COSINE = 1e-3
"""Floor of a concept's mean cosine, whose root the published formula divides by."""

_BLOCK_BYTES = 1 << 20  # of cosines; the orders of a block take as much
_NEURONS_AT_ONCE = 256  # an embedding bag takes twice the memory of its indices


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
    concepts = RankConcepts(
        concept_activations, p=p, top_fraction=top_fraction, scale_p=scale_p, cache_bytes=0
    )
    return concepts.similarity(activations)


class RankConcepts:
    """The concept side of rank-reorder: the order of the images, prepared once for many layers and epochs.

    The orders are kept where they fit `cache_bytes`; otherwise they are sorted anew, a block of concepts at
    a time.

    Args:
        concept_activations: `(images, concepts)` cosines of image and text embeddings. Not copied: it must
            not change while this object is used.
        p: Power of the change.
        top_fraction: Share of the images to look at.
        scale_p: Power of the mean concept activation.
        cache_bytes: Largest table of orders (images x concepts x 4 bytes) to keep.

    Raises:
        ValueError: A parameter is out of range.
    """

    def __init__(
        self,
        concept_activations: Tensor,
        *,
        p: int = 3,
        top_fraction: float = 0.05,
        scale_p: float = 0.5,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        if not 1 <= p < math.inf:
            raise ValueError(f"p must be a finite number, at least 1, got {p}")
        if not math.isfinite(scale_p):
            raise ValueError(f"scale_p must be a finite number, got {scale_p}")
        if not 0 < top_fraction <= 1:
            raise ValueError(f"top_fraction must be in (0, 1], got {top_fraction}")
        self.power = p
        self.scale_power = scale_p
        self.concept_activations = check_concept_activations(concept_activations, keep_dtype=True)
        images, concepts = self.concept_activations.shape
        self.top_k = min(images, max(2, int(images * top_fraction)))
        self._keep = 4 * images * concepts <= cache_bytes
        self._kept: dict[int, Tensor] = {}

    @torch.no_grad()
    def similarity(self, activations: Tensor) -> Tensor:
        """Similarity of every neuron and every concept.

        Args:
            activations: `(images, neurons)` any real dtype.

        Returns:
            `(neurons, concepts)` float32; rows of invalid neurons are 0.
        """
        concepts = self.concept_activations
        activations = check_same_images(activations, concepts.shape[0], keep_dtype=True).detach()
        target, top, valid = top_of_valid(activations, self.top_k, dtype=torch.int32)
        target.sub_(target[:, -1:].clone())
        target.div_(target[:, :1].clone().clamp_min_(torch.finfo(target.dtype).tiny))
        by_chance = change_by_chance(target, self.power)[:, None]
        change = change_in_order(target, top, concepts.shape[0], self.power)
        similarity = target.new_empty((target.shape[0], concepts.shape[1]))
        del target
        for part, block in column_blocks(concepts, at_least=32, block_bytes=_BLOCK_BYTES):
            error = change(self._orders(part, block)).div_(by_chance).masked_fill_(by_chance <= 0, 1.0)
            table = block.contiguous()
            means = [F.embedding_bag(some, table, mode="mean") for some in torch.split(top, _NEURONS_AT_ONCE)]
            mean_cosine = torch.cat(means).clamp_min_(MIN_MEAN_COSINE)
            torch.div(error.neg_(), mean_cosine.pow_(self.scale_power), out=similarity[:, part])
            del block, table, error, means, mean_cosine  # before the next ones are made
        return place_rows(similarity, valid)

    def _orders(self, part: slice, block: Tensor) -> Tensor:
        orders = self._kept.get(part.start)
        if orders is None:
            orders = image_orders(block)
            if self._keep:
                self._kept[part.start] = orders
        return orders
