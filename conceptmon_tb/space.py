"""From a concept set and an encoder to the space that neurons are placed in, its map included.

Everyone who makes snapshots begins here (the monitor, imported results), so that the same words and the same
encoder give the same space, and runs of different origin can be laid over each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from conceptmon_tb.concepts import ConceptSet
from conceptmon_tb.embedding_cache import EmbeddingCache
from conceptmon_tb.encoders import ConceptEncoder, WorldEncoder
from conceptmon_tb.projection import ConceptMap, Method
from conceptmon_tb.snapshot import ConceptSpace, FloatArray
from conceptmon_tb.training_state import preserve_rng_streams

_FEWEST_TO_KEEP = 15  # smaller maps are fitted in no time


class PlacedConcepts(NamedTuple):
    """A concept space and what places neurons in it.

    Attributes:
        space: The words, their embeddings and positions: what is logged.
        concept_map: The rule that places neurons on the map.
        text_embedding: `(concepts, dim)` float32, unit length: `space.text_embedding` as a tensor.
    """

    space: ConceptSpace
    concept_map: ConceptMap
    text_embedding: Tensor


def make_space(
    concepts: ConceptSet,
    encoder: ConceptEncoder,
    anchors: Sequence[str] = (),
    *,
    concept_map: ConceptMap | None = None,
    method: Method = "umap",
    num_laid_out: int | None = None,
    seed: int = 0,
    cache: EmbeddingCache | None = None,
) -> PlacedConcepts:
    """Embed the concepts and lay them out.

    Args:
        concepts: The concept set S.
        encoder: Text encoder f.
        anchors: Words shown as stars on the map.
        concept_map: A map of the concepts; None: fitted once and kept with the encoder's embeddings (the
            world's is shipped).
        method: How a map is fitted, "umap" or "pca" (see `ConceptMap.fit`).
        num_laid_out: UMAP lays out so many first words and the others are placed between them as neurons are,
            so that words added to a set leave its map as it was. None: all.
        seed: Of the map.
        cache: Where a fitted map is kept; None: where the encoder keeps its embeddings, if it does.

    Returns:
        The space and its map. The global random state and torch's threads are as before.

    Source: Concept-Monitor, thesis section 2.1.2.
    """
    with preserve_rng_streams(seed), torch.no_grad(), torch.autocast("cpu", enabled=False):
        embedding = encoder.encode_text(concepts.words)
        text = embedding.numpy()
        if concept_map is None:
            cache = cache or getattr(encoder, "cache", None)
            concept_map = _fit_map(concepts, encoder, text, method, num_laid_out or len(text), seed, cache)
        anchor = np.zeros((0, text.shape[1]), dtype=np.float32)
        if anchors:
            anchor = encoder.encode_text(anchors).numpy()
        space = ConceptSpace(
            words=concepts.words,
            categories=concepts.categories,
            text_embedding=text,
            position=concept_map.position,
            anchors=tuple(anchors),
            anchor_embedding=anchor,
            anchor_position=concept_map.project(anchor),
            encoder=encoder.name,
            encoder_fingerprint=encoder.fingerprint,
            projection=concept_map.name,
            note=encoder.note,
        )
    return PlacedConcepts(space, concept_map, embedding)


def _fit_map(
    concepts: ConceptSet,
    encoder: ConceptEncoder,
    text: FloatArray,
    method: Method,
    num_laid_out: int,
    seed: int,
    cache: EmbeddingCache | None,
) -> ConceptMap:
    if method != "umap":
        return ConceptMap.fit(text, seed=seed, method=method)
    laid_out = _lay_out(concepts.words[:num_laid_out], encoder, text[:num_laid_out], seed, cache)
    if num_laid_out == len(text):
        return laid_out
    position = np.concatenate([laid_out.position, laid_out.project(text[num_laid_out:])])
    return ConceptMap.from_positions(text, position, laid_out.name)


def _lay_out(
    words: Sequence[str], encoder: ConceptEncoder, text: FloatArray, seed: int, cache: EmbeddingCache | None
) -> ConceptMap:
    """The world's map is shipped; another is fitted once and kept."""
    if isinstance(encoder, WorldEncoder):
        from conceptmon_tb.world import WORDS
        from conceptmon_tb.world.encoder import load_concept_map

        if tuple(words) == WORDS:
            return ConceptMap.from_positions(text, load_concept_map())
    key = ("map", encoder.fingerprint, repr(tuple(words)), str(seed))
    kept = cache.load(*key) if cache and len(text) > _FEWEST_TO_KEEP else None
    if kept is not None and kept.shape == (len(text), 2):
        return ConceptMap.from_positions(text, kept.numpy())
    fitted = ConceptMap.fit(text, seed=seed)
    if cache and fitted.name != "pca":
        cache.save(torch.from_numpy(fitted.position), *key)
    return fitted
