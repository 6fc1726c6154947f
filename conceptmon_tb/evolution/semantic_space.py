"""The unified semantic space: what it takes to place the neurons of any model at any epoch.

A space is made once, from a base model (`fitting.fit_semantic_space`). It holds still from then on: it is
saved, shared between runs, and told apart by its content. Placing neurons takes their stimuli over the same
probe set and nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from conceptmon_tb.evolution.image_embedding import UNKNOWN, average_images
from conceptmon_tb.projection import ConceptMap
from conceptmon_tb.snapshot import BoolArray, ConceptSpace, FloatArray, IntArray


class Projected(NamedTuple):
    """Where neurons are in the space.

    Attributes:
        vectors: `(neurons, dim)` float32; 0 where not `known`.
        known: `(neurons,)` bool; False for a neuron none of whose stimuli is known: the space cannot tell
            where it belongs, and nothing is made up.
        num_images: `(neurons,)` int32, stimuli that each place rests on.
    """

    vectors: FloatArray
    known: BoolArray
    num_images: IntArray


@dataclass(frozen=True, eq=False)
class SemanticSpace:
    """A semantic space.

    Lengths are such that the base model's neurons have length 1 in the root mean square.

    Attributes:
        base: Name of the base model, for people.
        base_step: Its epoch or step; None where that has no meaning.
        layers: Its layers and their numbers of neurons.
        vectors: `(neurons, dim)` float32, Step 1's embedding of its neurons, layer after layer; 0 where not
            `placed`.
        placed: `(neurons,)` bool; False for neurons that no co-activation places.
        stimuli: `(neurons, k)` int32 images of the probe set, -1 for none.
        image_vectors: `(images, dim)` float32, Step 2.1.
        coverage: `(images,)` uint8: `UNKNOWN`, `DIRECT` or `INDIRECT`.
        landmarks: `(landmarks, dim)` float32, projected base neurons that the map was laid out by.
        landmark_position: `(landmarks, 2)` float32.
        projection: Name of layout and rule of the map.
        words: `(words,)` names of places: concepts, or "group 1" and so on.
        categories: `(words,)` category names, "" where a word has none.
        word_vectors: `(words, dim)` float32, none of them zero.
        named_by: Name and fingerprint of the encoder that chose the words; "" for groups.
        probe_fingerprint: Of the pictures.
        settings: How it was made, plain values by name.

    Source: ConceptEvo, dissertation section 7.2.2.
    """

    base: str
    base_step: int | None
    layers: Mapping[str, int]
    vectors: FloatArray
    placed: BoolArray
    stimuli: IntArray
    image_vectors: FloatArray
    coverage: npt.NDArray[np.uint8]
    landmarks: FloatArray
    landmark_position: FloatArray
    projection: str
    words: tuple[str, ...]
    categories: tuple[str, ...]
    word_vectors: FloatArray
    named_by: str
    probe_fingerprint: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def num_images(self) -> int:
        """Images of the probe set."""
        return len(self.coverage)

    @property
    def dim(self) -> int:
        """Dimensions."""
        return int(self.image_vectors.shape[1])

    @property
    def k(self) -> int:
        """Stimuli of each neuron."""
        return int(self.stimuli.shape[1])

    @property
    def num_covered(self) -> int:
        """Images that place neurons."""
        return int((self.coverage != UNKNOWN).sum())

    @property
    def title(self) -> str:
        """What to call it."""
        return f"ConceptEvo {self.base}" + ("" if self.base_step is None else f" at {self.base_step}")

    @cached_property
    def fingerprint(self) -> str:
        """Hex digest (16 characters) of everything that gives places and names their meaning."""
        digest = hashlib.sha256()
        text = (self.base, self.base_step, self.words, self.categories, self.named_by, self.probe_fingerprint)
        digest.update(repr((*text, self.k, self.projection)).encode("utf-8", "surrogatepass"))
        for array in (self.image_vectors, self.landmarks, self.landmark_position, self.word_vectors):
            digest.update(np.ascontiguousarray(array, dtype="<f4").tobytes())
        digest.update(np.ascontiguousarray(self.coverage, dtype=np.uint8).tobytes())
        return digest.hexdigest()[:16]

    @cached_property
    def map(self) -> ConceptMap:
        """The 2-D map: neurons are placed between the base model's, by the same rule as everywhere."""
        return ConceptMap.from_positions(self.landmarks, self.landmark_position, self.projection)

    def project(self, stimuli: npt.NDArray[np.integer]) -> Projected:
        """Step 2.2: place neurons of any model at any epoch.

        Args:
            stimuli: `(neurons, k)` images of the same probe set, -1 for none: `Stimuli.images`.

        Returns:
            Their places. A neuron's depends on its own stimuli only, to the last bit.

        Raises:
            ValueError: An id is not one of the probe set's.
        """
        ids = np.asarray(stimuli, dtype=np.int32)
        if ids.ndim != 2 or (ids.size and not -1 <= ids.min() <= ids.max() < self.num_images):
            raise ValueError(
                f"stimuli must be (neurons, k) ids of the {self.num_images} probe images that the space was "
                f"made with, or -1; find them over the same probe set"
            )
        vectors, counts = average_images(ids, self.image_vectors, self.coverage)
        # Known images may cancel out; a place without a direction is no place either.
        known = (counts > 0) & (vectors != 0).any(axis=1)
        return Projected(vectors, known, counts)

    def concept_space(self, anchors: Sequence[str] = ()) -> ConceptSpace:
        """The space as snapshots and logs know it.

        Args:
            anchors: Some of `words`, shown as stars on the map.

        Returns:
            A concept space whose text embeddings are the words' directions in this space.

        Raises:
            ValueError: An anchor is none of `words`.
        """
        unknown = [word for word in anchors if word not in self.words]
        if unknown:
            raise ValueError(
                f"anchors: {unknown[0]!r} is none of the space's {len(self.words)} words, such as "
                f"{self.words[0]!r}; a semantic space knows no others"
            )
        length = np.linalg.norm(self.word_vectors.astype(np.float64), axis=1, keepdims=True)
        unit = (self.word_vectors / length).astype(np.float32)
        position = self.map.project(self.word_vectors)
        chosen = [self.words.index(word) for word in anchors]
        return ConceptSpace(
            words=self.words,
            categories=self.categories,
            text_embedding=unit,
            position=position,
            anchors=tuple(anchors),
            anchor_embedding=unit[chosen],
            anchor_position=position[chosen],
            encoder=self.title,
            encoder_fingerprint=self.fingerprint,
            projection=self.projection,
            note=self.note,
        )

    @property
    def note(self) -> str:
        """What a reader must know."""
        if self.named_by:
            return f"{self.title}: places by shared stimuli, names by the nearest words of {self.named_by}"
        return f"{self.title}: places by shared stimuli, without names; groups are the base model's neurons"

    def save(self, path: str | Path) -> None:
        """Write the space to a safetensors file, whole or not at all; see `space_files.save_space`."""
        from conceptmon_tb.evolution.space_files import save_space

        save_space(self, path)

    @classmethod
    def load(cls, path: str | Path) -> SemanticSpace:
        """Read a space; see `space_files.load_space`."""
        from conceptmon_tb.evolution.space_files import load_space

        return load_space(path)
