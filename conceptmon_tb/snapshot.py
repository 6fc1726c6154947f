"""The waist of the system: what one layer's neurons detect at one moment, as plain arrays.

Producers (`ConceptMonitor`, later imported labels and ConceptEvo) end in a `ConceptSnapshot`; the
wire (`summary`, `reader`) and the views start from it. Nothing here knows how the arrays were made
or how they will be sent, and nothing here imports torch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from conceptmon_tb.differential_entropy import map_spread

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int32]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class ConceptSpace:
    """The language space that neurons are placed in; it holds still over epochs, layers and runs.

    Attributes:
        words: The concept set, `(concepts,)` unique words; a concept id is an index into it.
        categories: `(concepts,)` category names, "" where a word has none.
        text_embedding: `(concepts, dim)` float32, unit length: f(w_i) of Eq. 2.1.
        position: `(concepts, 2)` float32: the words on the 2-D concept map.
        anchors: Words shown as stars on the map, `(anchors,)`; they need not be concepts.
        anchor_embedding: `(anchors, dim)` float32, unit length: f(a_i) of Eq. 2.2.
        anchor_position: `(anchors, 2)` float32.
        encoder: Name of the text and image encoder, for people.
        encoder_fingerprint: Content hash of the encoder.
        projection: Name of the map rule, such as "umap+shepard15".
        note: What a reader must know, "" if nothing ("demo encoder: use OpenClipEncoder ...").

    Source: Concept-Monitor, thesis section 2.1.2.
    """

    words: tuple[str, ...]
    categories: tuple[str, ...]
    text_embedding: FloatArray
    position: FloatArray
    anchors: tuple[str, ...]
    anchor_embedding: FloatArray
    anchor_position: FloatArray
    encoder: str
    encoder_fingerprint: str
    projection: str
    note: str = ""

    @cached_property
    def fingerprint(self) -> str:
        """Hex digest (16 characters) of everything that gives positions and ids their meaning."""
        digest = hashlib.sha256()
        text = (self.words, self.categories, self.anchors, self.encoder_fingerprint, self.projection)
        digest.update(repr(text).encode("utf-8", "surrogatepass"))
        for array in (self.text_embedding, self.position, self.anchor_embedding, self.anchor_position):
            digest.update(np.ascontiguousarray(array, dtype="<f4").tobytes())
        return digest.hexdigest()[:16]


@dataclass(frozen=True, eq=False)
class ConceptSnapshot:
    """What the neurons of one layer detect at one moment.

    Attributes:
        layer: Name of the layer in `model.named_modules()`.
        space: The space that ids, embeddings and positions refer to.
        embedding: `(neurons, dim)` float32, u_n of Eq. 2.1. Zero for neurons that are not `valid`.
        concept_ids: `(neurons, k)` int32, the k most similar concepts, best first; -1 where not `valid`.
        similarity: `(neurons, k)` float32 of those concepts; 0 where not `valid`.
        interpretable: `(neurons,)` bool, best similarity above `threshold` (thesis section 2.1.1).
        valid: `(neurons,)` bool; False for a neuron that is dead or constant over the probe set, has NaN or
            infinite activations, or that the detector can say nothing of (`Detection.known`). Such a neuron
            is never interpretable.
        position: `(neurons, 2)` float32 on the concept map; NaN where not `valid`.
        top_images: `(neurons, m)` int32 ids of the most activating probe images, best first, -1 for none.
        displacement: `(neurons,)` float32 Euclidean distance in embedding space to the same neuron's
            embedding in the previous snapshot; NaN at the first one and where either is not `valid`.
        threshold: Similarity above which a neuron counts as interpretable.
        threshold_level: The share of meaningless neurons that a calibrated threshold lets pass (such
            as 0.01), None when the threshold was given by hand.
        category_counts: Interpretable neurons by category of their best concept ("" for none); holds
            every category of the space, zeros included.
        anchor_distance: d_anchor of Eq. 2.2 over the anchor set; NaN when no neuron is valid.
        anchor_distance_gated: The same over interpretable neurons only; NaN when there is none.
        mean_pairwise_distance: Mean Euclidean distance of two valid neurons (thesis section 4.0.3);
            NaN with fewer than two.
        num_dead: Neurons whose activation is zero on every probe image.
        num_constant: Neurons with one and the same non-zero activation on every probe image.
        num_nonfinite: Neurons with a NaN or infinite activation.
        anchor_nearest_distance: `(anchors,)` float32, distance of each of `space.anchors` to the nearest
            valid neuron; NaN when there is none.
        anchor_nearest_neuron: `(anchors,)` int32, that neuron; -1 when there is none.
        detector: Name and settings of the detector, for people.
        temperature: T of Eq. 2.1.
        tracked: Neurons that the user asked to follow.
        top_patches: `(neurons, m, 4)` uint8, the part of each of `top_images` that activates the neuron
            most: left, top, right, bottom in 1/255 of the thumbnail's sides, all zero where unknown. None
            for a layer without a map over the image, or where thumbnails do not show what the model sees.
        explanation_ids: `(neurons, e)` int32, the concepts of each neuron's linear explanation, the largest
            weight first, -1 for none. None where neurons were not explained.
        explanation_weights: `(neurons, e)` float32 of those concepts: by how many standard deviations the
            neuron answers more where the concept's presence is one standard deviation higher; 0 for none.
        explanation_fit: `(neurons,)` float32, Pearson correlation of the explanation and the neuron on
            probe images that it was not fitted to; 0 where no concept explains it, NaN where not `valid`.
        num_concepts: `(neurons,)` float32, how many distinct concepts a neuron serves; 0 where no concept
            explains it, NaN where not `valid`.
        descriptions: `(neurons,)` free texts by a captioner, empty where there are none.
        probe_images: Probe images looked through; None where that is not known.
        probe_total: Images of the whole probe set, of which a time budget (`max_seconds`) may have chosen
            a part; None where that is not known.
        unknown: `(neurons,)` bool, neurons with a signal that are not `valid` all the same, because the space
            cannot place them: none of the images that excite them most is known to it (ConceptEvo). None
            where there are none.
    """

    layer: str
    space: ConceptSpace
    embedding: FloatArray
    concept_ids: IntArray
    similarity: FloatArray
    interpretable: BoolArray
    valid: BoolArray
    position: FloatArray
    top_images: IntArray
    displacement: FloatArray
    threshold: float
    threshold_level: float | None
    category_counts: Mapping[str, int]
    anchor_distance: float
    anchor_distance_gated: float
    mean_pairwise_distance: float
    num_dead: int
    num_constant: int
    num_nonfinite: int
    anchor_nearest_distance: FloatArray
    anchor_nearest_neuron: IntArray
    detector: str
    temperature: float
    tracked: tuple[int, ...] = field(default=())
    top_patches: npt.NDArray[np.uint8] | None = None
    explanation_ids: IntArray | None = None
    explanation_weights: FloatArray | None = None
    explanation_fit: FloatArray | None = None
    num_concepts: FloatArray | None = None
    descriptions: tuple[str, ...] = ()
    probe_images: int | None = None
    probe_total: int | None = None
    unknown: BoolArray | None = None

    @property
    def num_neurons(self) -> int:
        """Number of neurons of the layer."""
        return int(self.valid.shape[0])

    @property
    def best_similarity(self) -> FloatArray:
        """`(neurons,)` float32 similarity of each neuron's best concept; 0 where not `valid`."""
        return self.similarity[:, 0]

    @property
    def num_interpretable(self) -> int:
        """Number of interpretable neurons."""
        return int(self.interpretable.sum())

    @property
    def mean_displacement(self) -> float:
        """Mean displacement of the neurons that have one; NaN when none has."""
        return _mean_finite(self.displacement)

    @cached_property
    def entropy(self) -> float:
        """Differential entropy of the neurons' places, nats per dimension; NaN for fewer than 12 neurons."""
        return map_spread(self.position).entropy

    @property
    def mean_explanation_fit(self) -> float:
        """Mean fit of the valid neurons' linear explanations; NaN without."""
        return _mean_finite(self.explanation_fit)

    @property
    def concepts_per_neuron(self) -> float:
        """Mean number of concepts that the neurons with a linear explanation serve; NaN when none has."""
        served = self.num_concepts
        return _mean_finite(None if served is None else served[served > 0])

    @property
    def num_redundant(self) -> int | None:
        """Neurons whose largest weight is on the concept of another's; None where not explained."""
        if self.explanation_ids is None:
            return None
        main = self.explanation_ids[:, 0]
        counts = np.bincount(main[main >= 0])
        return int(counts[counts > 1].sum())

    @property
    def words(self) -> tuple[str, ...]:
        """The best concept of every neuron, "" where not `valid`."""
        return tuple(self.space.words[i] if i >= 0 else "" for i in self.concept_ids[:, 0])


@dataclass(frozen=True, eq=False)
class ProbeImages:
    """Thumbnails of probe images, packed tightly so that each needs to be sent only once.

    Attributes:
        ids: `(images,)` int32, what `ConceptSnapshot.top_images` refers to.
        thumbnails: `(images, size, size, 3)` uint8.
    """

    ids: IntArray
    thumbnails: npt.NDArray[np.uint8]


def _mean_finite(values: FloatArray | None) -> float:
    known = values[np.isfinite(values)] if values is not None else np.zeros(0, np.float32)
    return float(known.mean()) if known.size else float("nan")
