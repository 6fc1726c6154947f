"""Names of places in a semantic space: words, where an encoder knows some, else plain numbers of groups.

A word is placed as a neuron is: at the mean of the images that it fits best. So the nearest words of a neuron
are those that name the same pictures.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from conceptmon_tb.concepts import ConceptSet
from conceptmon_tb.encoders import ConceptEncoder, embed_probe
from conceptmon_tb.evolution.groups import group_neurons
from conceptmon_tb.evolution.image_embedding import average_images
from conceptmon_tb.functional.ranking import top_images
from conceptmon_tb.probe import ProbeSet
from conceptmon_tb.snapshot import FloatArray

MOST_GROUPS = 40


class Names(NamedTuple):
    """Words and their places; the fields are those of `SemanticSpace`."""

    words: tuple[str, ...]
    categories: tuple[str, ...]
    word_vectors: FloatArray
    named_by: str


def name_by_words(
    concepts: ConceptSet,
    encoder: ConceptEncoder,
    probe: ProbeSet,
    image_vectors: FloatArray,
    coverage: npt.NDArray[np.uint8],
    k: int,
    *,
    progress: bool = False,
) -> Names:
    """Place words by the images that they fit best.

    Args:
        concepts: The words.
        encoder: It tells how well each fits each image.
        probe: The pictures.
        image_vectors: `(images, dim)` float32.
        coverage: `(images,)` uint8.
        k: Images for each word.
        progress: Show a progress bar.

    Returns:
        The words that a known image fits; others are left out.
    """
    images = embed_probe(encoder, probe, progress=progress)
    with torch.no_grad():
        fit = images @ encoder.encode_text(concepts.words).T
    vectors, _ = average_images(top_images(fit, k).numpy().astype(np.int32), image_vectors, coverage)
    kept = np.flatnonzero((vectors != 0).any(axis=1)).tolist()
    return Names(
        tuple(concepts.words[i] for i in kept),
        tuple(concepts.categories[i] for i in kept),
        vectors[kept],
        f"{encoder.name} ({encoder.fingerprint})",
    )


def name_groups(vectors: FloatArray, num_groups: int | None = None, seed: int = 0) -> Names:
    """Give groups of alike neurons plain names, the largest first.

    Args:
        vectors: `(neurons, dim)` float32, none of them zero.
        num_groups: How many; None: as many as a group has neurons on average, at most `MOST_GROUPS`.
        seed: Of the groups.

    Returns:
        "group 1" and so on, at the groups' middles.
    """
    if num_groups is None:
        num_groups = max(1, min(MOST_GROUPS, round(math.sqrt(len(vectors)))))
    centre = group_neurons(vectors, num_groups, seed).centre
    words = tuple(f"group {number}" for number in range(1, len(centre) + 1))
    return Names(words, ("",) * len(words), centre, "")
