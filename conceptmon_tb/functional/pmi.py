"""WPMI and soft-WPMI of neurons and concepts (CLIP-Dissect, Oikarinen & Weng, ICLR 2023).

Both ask how likely a concept makes the images that activate a neuron most, against a prior: how likely
it makes any images. The likelihood depends on a neuron only through its set of top images, so meaningless
neurons are random image sets, and everything about those is computed once per probe and concept set.
"""

from __future__ import annotations

import math
from numbers import Integral
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from conceptmon_tb.functional.blocks import CACHE_BYTES
from conceptmon_tb.functional.health import (
    check_concept_activations,
    check_same_images,
    place_rows,
)
from conceptmon_tb.functional.likelihood import LogLikelihood
from conceptmon_tb.functional.null import draw_neurons, permuted_columns, seeded_generator
from conceptmon_tb.functional.ranking import random_orders, top_images, top_of_valid

Prior = Literal["layer", "background", "zscore"]

NUM_BACKGROUND = 512
"""Random image sets behind the priors "background" and "zscore"."""

_CONCEPTS_AT_ONCE = 128
_FLAT = 1e-5  # spread of a log-likelihood, relative to its size, that float32 rounding explains


def wpmi(
    activations: Tensor,
    concept_activations: Tensor,
    *,
    top_k: int = 28,
    a: float = 2.0,
    lam: float = 0.6,
    prior: Prior = "layer",
    min_prob: float = 1e-7,
    seed: int = 0,
) -> Tensor:
    """Weighted pointwise mutual information of concepts and each neuron's top images.

    `log p(d | B) - lam * log p(d)` with `log p(d | B)` the sum of `log(p(d | x) + min_prob)` over the
    neuron's `top_k` images and `p(d | x)` the softmax of `a` times the concept activations.

    Args:
        activations: `(images, neurons)` any real dtype, all neurons of a layer (see `prior`).
        concept_activations: `(images, concepts)` cosines of image and text embeddings.
        top_k: Images in a neuron's set; with fewer probe images, all of them are.
        a: Scale of the cosines in the softmax over concepts.
        lam: Weight of the prior; unused with "zscore".
        prior: See `soft_wpmi`.
        min_prob: Added to every probability before the logarithm.
        seed: Seed of the random image sets.

    Returns:
        `(neurons, concepts)` float32; rows of dead, constant or non-finite neurons are 0 and mean nothing.

    Raises:
        ValueError: Shapes do not fit, `concept_activations` is not finite, or a parameter is out of range.

    Source: CLIP-Dissect, `wpmi`, and its defaults.
    """
    sets = PmiConcepts(
        concept_activations,
        top_k=top_k,
        a=a,
        lam=lam,
        prior=prior,
        min_prob=min_prob,
        seed=seed,
        cache_bytes=0,
    )
    return sets.similarity(activations)


def soft_wpmi(
    activations: Tensor,
    concept_activations: Tensor,
    *,
    top_k: int = 100,
    a: float = 10.0,
    lam: float = 1.0,
    prior: Prior = "layer",
    p_start: float = 0.998,
    p_end: float = 0.97,
    min_prob: float = 1e-7,
    seed: int = 0,
) -> Tensor:
    """WPMI with soft membership: the lower an image ranks, the less it belongs to the neuron's set.

    `log p(d | B)` is the sum of `log(1 + q_r (p(d | x_r) - 1) + min_prob)` over the neuron's top images
    `x_0, x_1, ...`, with `q_r` falling linearly from `p_start` towards `p_end`.

    The prior says what any set of images would give:
        - "layer", as published: the mean of `p(d | B)` over the layer's own valid neurons. Similarities
          then depend on which neurons are passed and are at most log(neurons); pass whole layers.
        - "background": the mean over random image sets of the same size, drawn once with `seed`. Each
          neuron stands for itself.
        - "zscore": `(log p(d | B) - mean) / standard deviation` of `log p(d | B)` over such sets: by how
          many standard deviations the neuron's images speak for the concept. A concept that is equally
          likely on all images gets 0.

    Args:
        activations: `(images, neurons)` any real dtype, all neurons of a layer.
        concept_activations: `(images, concepts)` cosines of image and text embeddings.
        top_k: Images in a neuron's set; with fewer probe images, all of them are, ranked.
        a: Scale of the cosines in the softmax over concepts.
        lam: Weight of the prior; unused with "zscore".
        prior: What a neuron's likelihood is compared with, see above.
        p_start: Membership of the most activating image, in (0, 1].
        p_end: Membership that the last image's approaches, in (0, `p_start`].
        min_prob: Added to every probability before the logarithm.
        seed: Seed of the random image sets.

    Returns:
        `(neurons, concepts)` float32; rows of dead, constant or non-finite neurons are 0 and mean nothing.

    Raises:
        ValueError: Shapes do not fit, `concept_activations` is not finite, or a parameter is out of range.

    Source: CLIP-Dissect, `soft_wpmi`, and its defaults; Concept-Monitor, thesis appendix A.2.2. The priors
        "background" and "zscore" are ours.
    """
    sets = PmiConcepts(
        concept_activations,
        top_k=top_k,
        a=a,
        lam=lam,
        prior=prior,
        min_prob=min_prob,
        membership=(p_start, p_end),
        seed=seed,
        cache_bytes=0,
    )
    return sets.similarity(activations)


class _Background(NamedTuple):
    """Log-likelihood over random image sets without its constant, each `(1, concepts)` float32.

    Attributes:
        log_mean: Logarithm of the mean likelihood.
        mean: Mean log-likelihood.
        precision: One over the standard deviation of the log-likelihood; 0 where that is only rounding.
    """

    log_mean: Tensor
    mean: Tensor
    precision: Tensor


class PmiConcepts:
    """The concept side of (soft-)WPMI, prepared once for many layers and epochs.

    The probabilities are kept where they fit `cache_bytes`; otherwise they are made anew from the concept
    activations, a block of concepts at a time, which gives the same numbers and costs one exponential each.

    Args:
        concept_activations: `(images, concepts)` cosines of image and text embeddings. Not copied: it must
            not change while this object is used.
        top_k: Images in a neuron's set.
        a: Scale of the cosines in the softmax over concepts.
        lam: Weight of the prior.
        prior: "layer", "background" or "zscore".
        min_prob: Added to every probability before the logarithm.
        membership: `(p_start, p_end)` of soft-WPMI; None for WPMI.
        seed: Seed of the random image sets behind the prior.
        cache_bytes: Largest table of probabilities (images x concepts x 4 bytes) to keep.

    Raises:
        ValueError: A parameter is out of range.
    """

    def __init__(
        self,
        concept_activations: Tensor,
        *,
        top_k: int,
        a: float,
        lam: float,
        prior: Prior,
        min_prob: float = 1e-7,
        membership: tuple[float, float] | None = None,
        seed: int = 0,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        _check_parameters(top_k, a, lam, prior, min_prob, membership)
        concepts = check_concept_activations(concept_activations, keep_dtype=True)
        self.prior = prior
        self.lam = lam
        self.seed = seed
        self.images, self.concepts = concepts.shape
        self.top_k = min(top_k, self.images)
        self._likelihood = LogLikelihood(
            concepts, a, _membership(self.top_k, membership), min_prob, cache_bytes
        )
        self._cached_background: _Background | None = None
        self._cached_null: tuple[tuple[int, int], Tensor] | None = None
        self._last_layer: tuple[Tensor, Tensor] | None = None

    @torch.no_grad()
    def similarity(self, activations: Tensor) -> Tensor:
        """Similarity of every neuron and every concept.

        Args:
            activations: `(images, neurons)` any real dtype, all neurons of a layer.

        Returns:
            `(neurons, concepts)` float32; rows of invalid neurons are 0.
        """
        sets, _, valid = self._image_sets(activations)
        likelihood = self._likelihood(sets)
        if self.prior == "layer" and sets.shape[0]:
            self._last_layer = (sets, _log_mean_exp(likelihood))
        return place_rows(self._against_prior(likelihood, sets), valid)

    @torch.no_grad()
    def null_similarity(self, activations: Tensor, *, num_null: int, seed: int) -> Tensor:
        """Best similarity of meaningless neurons: the layer's, each permuted over the probe images.

        The top images of a permuted neuron without ties are a random set, whatever the neuron, so those
        sets' likelihoods are computed once. Neurons with ties among their top activations are permuted
        one by one, since the images that fill their sets are not random. The prior "layer" stays that of
        the real layer.

        Args:
            activations: `(images, neurons)` any real dtype, all neurons of a layer.
            num_null: Number of meaningless neurons.
            seed: Seed of the permutations.

        Returns:
            `(num_null,)` float32; empty when no neuron is valid.
        """
        sets, has_ties, valid = self._image_sets(activations)
        if sets.shape[0] == 0:
            return torch.zeros(0, device=activations.device)
        generator = seeded_generator(seed)
        drawn = draw_neurons(sets.shape[0], num_null, generator).to(sets.device)
        best = self._null_best(num_null, seed, sets)
        tied = has_ties[drawn]
        if bool(tied.any()):
            neurons = valid.nonzero().squeeze(1)[drawn[tied]]
            permuted = permuted_columns(activations.detach(), neurons, generator)
            likelihood = self._likelihood(top_images(permuted, self.top_k))
            best[tied] = self._against_prior(likelihood, sets).amax(dim=1)
        return best

    @torch.no_grad()
    def log_likelihood(self, image_sets: Tensor) -> Tensor:
        """`log p(d | B)` of image sets B and concepts d.

        Args:
            image_sets: `(sets, top_k)` int64 image indices, most activating first.

        Returns:
            `(sets, concepts)` float32.
        """
        return self._likelihood(image_sets).add_(self._likelihood.constant)

    def _image_sets(self, activations: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Top images of the valid neurons, whether ties reach into them, and which neurons are valid."""
        activations = check_same_images(activations, self.images, keep_dtype=True).detach()
        values, images, valid = top_of_valid(activations, self.top_k + 1)
        has_ties = (values[:, 1:] == values[:, :-1]).any(dim=1)
        return images[:, : self.top_k], has_ties, valid

    def _against_prior(self, likelihood: Tensor, layer_sets: Tensor) -> Tensor:
        """Compare with the prior, in place."""
        if likelihood.shape[0] == 0:
            return likelihood
        if self.prior == "layer":
            return likelihood.sub_(self._weighted(self._layer_log_mean(layer_sets)))
        background = self._background()
        if self.prior == "background":
            return likelihood.sub_(self._weighted(background.log_mean))
        return likelihood.sub_(background.mean).mul_(background.precision)

    def _weighted(self, log_mean: Tensor) -> Tensor:
        """What to subtract from log-likelihoods that lack their constant, as this mean does."""
        return log_mean * self.lam - (1 - self.lam) * self._likelihood.constant

    def _background(self) -> _Background:
        if self._cached_background is None:
            likelihood = self._random_likelihood(NUM_BACKGROUND, seeded_generator(self.seed, "background"))
            mean = likelihood.mean(dim=0, keepdim=True)
            deviation = likelihood.std(dim=0, keepdim=True)
            flat = deviation <= _FLAT * mean.abs()
            self._cached_background = _Background(
                _log_mean_exp(likelihood), mean, deviation.reciprocal().masked_fill(flat, 0.0)
            )
        return self._cached_background

    def _layer_log_mean(self, sets: Tensor) -> Tensor:
        """The prior "layer" of a layer's image sets; the last layer's is kept for its null neurons."""
        if self._last_layer is None or not torch.equal(self._last_layer[0], sets):
            self._last_layer = (sets, _log_mean_exp(self._likelihood(sets)))
        return self._last_layer[1]

    def _null_best(self, num_null: int, seed: int, layer_sets: Tensor) -> Tensor:
        """Best similarity of neurons with random image sets, `(num_null,)`, in new memory."""
        key = (num_null, seed)
        if self._cached_null is None or self._cached_null[0] != key:
            null = self._random_likelihood(num_null, seeded_generator(seed, "null"))
            if self.prior != "layer":  # the other priors do not change with the layer, so nor does the best
                null = self._against_prior(null, layer_sets).amax(dim=1)
            self._cached_null = (key, null)
        null = self._cached_null[1].clone()
        return self._against_prior(null, layer_sets).amax(dim=1) if self.prior == "layer" else null

    def _random_likelihood(self, num_sets: int, generator: torch.Generator) -> Tensor:
        return self._likelihood(random_orders(num_sets, self.images, generator)[:, : self.top_k])


def _log_mean_exp(likelihood: Tensor) -> Tensor:
    means = [
        torch.logsumexp(part, dim=0, keepdim=True)
        for part in torch.split(likelihood, _CONCEPTS_AT_ONCE, dim=1)
    ]
    return torch.cat(means, dim=1) - math.log(likelihood.shape[0])


def _membership(top_k: int, ends: tuple[float, float] | None) -> list[float]:
    """How far each image belongs to the set, by rank; wholly for WPMI."""
    start, end = ends or (1.0, 1.0)
    return [start - rank / top_k * (start - end) for rank in range(top_k)]


def _check_parameters(
    top_k: int, a: float, lam: float, prior: str, min_prob: float, membership: tuple[float, float] | None
) -> None:
    if not isinstance(top_k, Integral) or top_k < 1:
        raise ValueError(f"top_k must be a whole number, at least 1, got {top_k!r}")
    for name, value in (("a (softmax_scale)", a), ("lam", lam)):
        if not math.isfinite(value):
            raise ValueError(f"{name} must be a finite number, got {value}")
    if prior not in get_args(Prior):
        raise ValueError(f"prior must be one of {', '.join(map(repr, get_args(Prior)))}, got {prior!r}")
    if not 0 < min_prob < 1:
        raise ValueError(f"min_prob must be between 0 and 1, got {min_prob}")
    if membership is not None and not 0 < membership[1] <= membership[0] <= 1:
        raise ValueError(f"p_start and p_end must satisfy 0 < p_end <= p_start <= 1, got {membership}")
