"""CLIP-Dissect: neurons described by comparing them with a CLIP's view of the probe images."""

from __future__ import annotations

import hashlib
import inspect
from collections import OrderedDict
from typing import Any, Protocol, get_args

import torch
from torch import Tensor

from conceptmon_tb.detectors.base import PooledDetector
from conceptmon_tb.functional.cosine import CosineConcepts
from conceptmon_tb.functional.embedding import default_temperature
from conceptmon_tb.functional.null import (
    DEFAULT_LEVEL,
    DEFAULT_NUM_NULL,
    calibrate_threshold,
    conformal_threshold,
    quantile_rank,
)
from conceptmon_tb.functional.pmi import PmiConcepts, Prior
from conceptmon_tb.functional.rank import RankConcepts
from conceptmon_tb.functional.similarity import SIMILARITIES, canonical_name
from conceptmon_tb.functional.top_correlation import TopCorrelationConcepts

_KEPT_CONCEPT_SIDES = 2
_PMI = ("wpmi", "soft_wpmi")


class _ConceptSide(Protocol):
    def similarity(self, activations: Tensor) -> Tensor: ...


_Prepared = tuple[Tensor, int | None, _ConceptSide]
"""A concept side with the tensor that it reads and the number of changes of that when it was prepared."""


class ClipDissect(PooledDetector):
    """Concept detector of CLIP-Dissect with a similarity of choice.

    Everything that depends only on the concept activations (normalised columns, probability tables,
    random image sets and their likelihoods) is prepared at the first call and kept for the next layers
    and epochs. The cache is keyed by content, never by name.

    Args:
        similarity: "soft_wpmi", "wpmi", "cos_similarity_cubed", "cos_similarity", "rank_reorder", or short
            "cos_cubed", "cos", each with its paper's defaults, or "top_correlation", ours. None, the
            default, is the top correlation, which names neurons best where their meaning is known
            (docs/label_quality.md) and has no parameters; with a parameter it is soft-WPMI, by default
            with the prior "zscore".
        num_null: Meaningless neurons that calibrate the threshold; at least `1 / level - 1`.
        prior: Prior of (soft-)WPMI: "layer" as published, "background" or "zscore". The published prior
            compares a neuron with the other neurons of its layer. It suits a layer of diverse neurons; on
            a redundant one it hides what neurons share, and few pass a calibrated threshold.
        softmax_scale: Readable name of the papers' parameter `a` of (soft-)WPMI.
        **parameters: Other parameters of the similarity function, such as `top_k`; by default the
            papers' values.

    Raises:
        ValueError: There is no such similarity, or it has no such parameter; the message lists the right
            names.

    Source: CLIP-Dissect (Oikarinen & Weng, ICLR 2023); Concept-Monitor, thesis section 2.1.1.

    Example:
        >>> ClipDissect().describe()
        'clip-dissect top_correlation'
        >>> ClipDissect("soft_wpmi", top_k=50).describe()
        'clip-dissect soft_wpmi (prior=layer, top_k=50)'
    """

    name = "clip-dissect"
    runs_in_background = True

    def __init__(
        self,
        similarity: str | None = None,
        *,
        num_null: int = DEFAULT_NUM_NULL,
        prior: Prior | None = None,
        softmax_scale: float | None = None,
        **parameters: Any,
    ) -> None:
        if softmax_scale is not None:
            parameters["a"] = softmax_scale
        has_settings = prior is not None or bool(parameters)
        self.similarity_name = canonical_name(
            similarity or ("soft_wpmi" if has_settings else "top_correlation")
        )
        if num_null < 1:
            raise ValueError(f"num_null must be at least 1, got {num_null}")
        self.num_null = num_null
        if prior is not None or self.similarity_name in _PMI:
            parameters = {"prior": prior or ("zscore" if similarity is None else "layer"), **parameters}
        self._settings = parameters
        self._defaults = _default_parameters(self.similarity_name)
        self._check_parameters()
        self._concept_sides: OrderedDict[tuple[object, ...], _Prepared] = OrderedDict()
        self._last: tuple[Tensor, int, _ConceptSide] | None = None
        self._concept_side(torch.zeros(2, 1))  # bad values fail here, not at the first epoch
        self._concept_sides.clear()
        self._last = None

    @property
    def prior(self) -> str | None:
        """Prior of (soft-)WPMI, None for other similarities."""
        return self._settings.get("prior")

    @property
    def default_temperature(self) -> float:  # type: ignore[override]  # here it follows from the settings
        """T of Eq. 2.1 that suits the similarity (see `functional.default_temperature`)."""
        return default_temperature(self.similarity_name, self.prior or "layer")

    def similarity(self, activations: Tensor, concept_activations: Tensor) -> Tensor:
        """How well each concept describes each neuron.

        Args:
            activations: `(images, neurons)` any real dtype, all neurons of the layer: with the prior
                "layer" the result depends on which neurons are passed together.
            concept_activations: `(images, concepts)` cosines of image and text embeddings.

        Returns:
            `(neurons, concepts)` float32, finite; rows of neurons that are dead, constant or not finite are
            0 and mean nothing.

        Raises:
            ValueError: Shapes do not fit, or `concept_activations` is not finite.
        """
        return self._concept_side(concept_activations).similarity(activations)

    def null_threshold(
        self,
        activations: Tensor,
        concept_activations: Tensor,
        level: float = DEFAULT_LEVEL,
        seed: int = 0,
    ) -> float:
        """Similarity that at most a share `level` of meaningless neurons exceeds, on average.

        Args:
            activations: `(images, neurons)`, all neurons of the layer.
            concept_activations: `(images, concepts)` as for `similarity`.
            level: Share of meaningless neurons that may pass, in (0, 1).
            seed: Seed of the permutations; the global random state is not touched.

        Returns:
            The threshold; NaN when no neuron is valid, so that nothing exceeds it.

        Raises:
            ValueError: `num_null` is too small for `level`, or shapes do not fit.
        """
        quantile_rank(self.num_null, level)  # fails before the work
        side = self._concept_side(concept_activations)
        if isinstance(side, (PmiConcepts, TopCorrelationConcepts)):
            null = side.null_similarity(activations, num_null=self.num_null, seed=seed)
            return conformal_threshold(null, level)
        return calibrate_threshold(
            side.similarity, activations, level=level, num_null=self.num_null, seed=seed
        )

    def describe(self) -> str:
        """Name, similarity and the settings that differ from the papers', for people."""
        changed = [
            f"{name}={value}"
            for name, value in self._settings.items()
            if name == "prior" or self._defaults.get(name) != value
        ]
        return f"{self.name} {self.similarity_name}" + (f" ({', '.join(changed)})" if changed else "")

    def __repr__(self) -> str:
        return f"<ClipDissect: {self.describe()}>"

    def __getstate__(self) -> dict[str, object]:
        return self.__dict__ | {"_concept_sides": OrderedDict(), "_last": None}

    def _concept_side(self, concept_activations: Tensor) -> _ConceptSide:
        """The prepared concept side: the last tensor unchanged costs nothing, an equal one a hash."""
        version = _version(concept_activations)
        if self._last is not None and version is not None:
            tensor, known_version, side = self._last
            if tensor is concept_activations and known_version == version:
                return side
        key = _content_key(concept_activations)
        prepared = self._concept_sides.pop(key, None)
        if prepared is None or _version(prepared[0]) != prepared[1]:
            # Sides read their tensor later; one whose changes torch does not count must be nobody else's.
            kept = concept_activations.clone() if version is None else concept_activations
            prepared = kept, _version(kept), self._prepare(kept)
        side = prepared[2]
        self._concept_sides[key] = prepared
        if len(self._concept_sides) > _KEPT_CONCEPT_SIDES:
            self._concept_sides.popitem(last=False)
        self._last = None if version is None else (concept_activations, version, side)
        return side

    def _prepare(self, concept_activations: Tensor) -> _ConceptSide:
        settings = self._defaults | self._settings
        if self.similarity_name in _PMI:
            if self.similarity_name == "soft_wpmi":
                settings["membership"] = (settings.pop("p_start"), settings.pop("p_end"))
            return PmiConcepts(concept_activations, **settings)
        if self.similarity_name == "rank_reorder":
            return RankConcepts(concept_activations, **settings)
        if self.similarity_name == "top_correlation":
            return TopCorrelationConcepts(concept_activations)
        return CosineConcepts(concept_activations, cubed=self.similarity_name == "cos_similarity_cubed")

    def _check_parameters(self) -> None:
        wrong = [name for name in self._settings if name not in self._defaults]
        if wrong:
            right = ", ".join(map(repr, self._defaults)) or "none"
            raise ValueError(
                f"{self.similarity_name} has no parameter {wrong[0]!r}; its parameters are: {right}"
                + (" (softmax_scale is another name of 'a')" if "a" in self._defaults else "")
            )
        prior = self._settings.get("prior", "layer")
        if prior not in get_args(Prior):
            raise ValueError(f"prior must be one of {', '.join(map(repr, get_args(Prior)))}, got {prior!r}")


def _default_parameters(similarity: str) -> dict[str, Any]:
    signature = inspect.signature(SIMILARITIES[similarity])
    return {
        name: parameter.default
        for name, parameter in signature.parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }


def _version(tensor: Tensor) -> int | None:
    """Number of in-place changes so far, None where torch does not count them."""
    return None if tensor.is_inference() else tensor._version  # noqa: SLF001  # torch has no public name


def _content_key(tensor: Tensor) -> tuple[object, ...]:
    values = tensor.detach().cpu().contiguous().view(torch.uint8).numpy()
    digest = hashlib.blake2b(values.data, digest_size=16).digest()
    return tuple(tensor.shape), tensor.dtype, tensor.device, digest
