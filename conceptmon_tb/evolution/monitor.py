"""A monitor that sees neurons in a semantic space: what `ConceptMonitor` does, without any text encoder.

Everything around the look is `ConceptMonitor`'s: forward passes that leave no trace in the training, ranks,
snapshots, the writer's call, backfills. A space takes the place of encoder and detector; per epoch only Step
2.2 is left to do.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from conceptmon_tb.activations import Precision
from conceptmon_tb.concepts import ConceptSet
from conceptmon_tb.detectors import Detection, MapScan, Reference
from conceptmon_tb.distributed import Distributed
from conceptmon_tb.evolution.image_embedding import UNKNOWN
from conceptmon_tb.evolution.semantic_space import SemanticSpace
from conceptmon_tb.evolution.stimuli import find_stimuli
from conceptmon_tb.functional.null import conformal_threshold, seeded_generator
from conceptmon_tb.monitor import ConceptMonitor
from conceptmon_tb.pooling import Tokens
from conceptmon_tb.probe import ProbeSet
from conceptmon_tb.probe_forward import Forward
from conceptmon_tb.snapshot import FloatArray
from conceptmon_tb.space import PlacedConcepts

NUM_NULL = 1000
"""Meaningless neurons that a calibrated threshold is drawn from."""

MOSTLY = 0.5
"""Share of a layer's neurons that a space should know."""

logger = logging.getLogger(__name__)


class SemanticSpaceMonitor(ConceptMonitor):
    """Watch where the neurons of a model are in a semantic space.

    A snapshot's `embedding` is a neuron's place, and `concept_ids` are the space's words by cosine. Neurons
    none of whose stimuli the space knows are not `valid`: they are marked, not placed. A neuron is
    interpretable when it is nearer to its best word than random images' means are to theirs.

    Args:
        layers: Names from `model.named_modules()`; the model may be any, not only the base model.
        probe: The pictures that the space was made with, with the transform of this model.
        space: The space, or a file that `SemanticSpace.save` wrote.
        threshold: Cosine above which a neuron is interpretable; "auto" calibrates it by random stimuli.
        threshold_level: Share of meaningless neurons that "auto" lets pass.
        anchors: Words of the space, shown as stars on the map.
        track: Neurons to follow, by layer.
        top_concepts: As in `ConceptMonitor`, and so are the following.
        num_images: See there.
        tokens: See there.
        precision: See there.
        forward: See there.
        seed: See there.
        distributed: See there.
        strict: See there.
        progress: See there.

    Attributes:
        semantic_space: The space.

    Raises:
        TypeError: An argument of the wrong type.
        ValueError: An argument out of range, or `probe` holds other pictures than the space was made with.

    Source: ConceptEvo, dissertation section 7.2.2, Step 2.2.
    """

    def __init__(
        self,
        layers: Sequence[str],
        probe: ProbeSet,
        space: SemanticSpace | str | Path,
        *,
        threshold: float | str = "auto",
        threshold_level: float = 0.01,
        anchors: Sequence[str] | None = None,
        track: Mapping[str, Sequence[int]] | None = None,
        top_concepts: int = 5,
        num_images: int = 8,
        tokens: Tokens = "auto",
        precision: Precision = "fp32",
        forward: Forward | None = None,
        seed: int = 0,
        distributed: Distributed = "auto",
        strict: bool = False,
        progress: bool = True,
    ) -> None:
        self.semantic_space = SemanticSpace.load(space) if isinstance(space, (str, Path)) else space
        if not isinstance(self.semantic_space, SemanticSpace):
            raise TypeError(f"space must be a SemanticSpace or a file of one, got {type(space).__name__}")
        if not isinstance(probe, ProbeSet):
            raise TypeError(f"probe must be a ProbeSet, got {type(probe).__name__}")
        names = SpaceWords(self.semantic_space)
        super().__init__(
            layers,
            probe,
            ConceptSet(
                self.semantic_space.words, self.semantic_space.categories, name=self.semantic_space.title
            ),
            names,
            SemanticProjection(self.semantic_space),
            threshold=threshold,
            threshold_level=threshold_level,
            anchors=anchors,
            track=track,
            top_concepts=top_concepts,
            num_images=num_images,
            pooling="max",
            tokens=tokens,
            precision=precision,
            forward=forward,
            explain=False,
            seed=seed,
            distributed=distributed,
            strict=strict,
            progress=progress,
        )
        self._size = len(probe)  # a part of the probe would have other image ids

    @cached_property
    def _placed(self) -> PlacedConcepts:
        space = self.semantic_space.concept_space(self.anchors)
        return PlacedConcepts(space, self.semantic_space.map, torch.from_numpy(space.text_embedding))


class SemanticProjection:
    """Projects neurons into a semantic space: a concept detector without any pictures to encode.

    Args:
        space: The space.
    """

    name = "conceptevo"
    default_temperature = 1.0
    num_null = NUM_NULL
    runs_in_background = True

    def __init__(self, space: SemanticSpace) -> None:
        self.space = space
        self._told: set[str] = set()

    def describe(self) -> str:
        """Name and settings, for people."""
        return f"{self.name} (k={self.space.k}, {self.space.title}, {self.space.fingerprint})"

    def check(self, probe: ProbeSet, concepts: ConceptSet) -> None:
        """Refuse other pictures than the space was made with.

        Args:
            probe: The pictures.
            concepts: The space's words.

        Raises:
            ValueError: They are others.
        """
        if concepts.words != self.space.words:
            raise ValueError("concepts must be the space's own words; use SemanticSpaceMonitor")
        if len(probe) != self.space.num_images or probe.fingerprint != self.space.probe_fingerprint:
            raise ValueError(
                f"probe holds {len(probe)} other pictures, or in another order, than the "
                f"{self.space.num_images} that the space {self.space.title!r} was made with; neurons are "
                f"compared by the pictures that excite them: use the same ones"
            )

    def scan(self, reference: Reference) -> MapScan | None:  # noqa: ARG002
        """Nothing: the largest activations are enough."""
        return None

    def detect(
        self,
        layer: str,
        activations: Tensor,
        reference: Reference,
        scan: MapScan | None = None,  # noqa: ARG002
    ) -> Detection:
        """Place the neurons of a layer and compare them with the space's words.

        Args:
            layer: Name of the layer.
            activations: `(images, neurons)` float32, the largest activation of each map.
            reference: Its text embeddings are the words' directions.
            scan: Not needed.

        Returns:
            Cosines, places, and which neurons have one.
        """
        stimuli = find_stimuli(activations, k=self.space.k)
        projected = self.space.project(stimuli.images)
        self._tell(layer, int(projected.known.sum()), int(stimuli.valid.sum()))
        words = reference.text_embedding

        def null_threshold(level: float, seed: int) -> float:
            return random_threshold(self.space, level, seed)

        return Detection(
            _cosine(projected.vectors, words),
            null_threshold,
            embedding=torch.from_numpy(projected.vectors),
            known=torch.from_numpy(projected.known),
        )

    def _tell(self, layer: str, known: int, valid: int) -> None:
        """Warn once of a layer that the space knows little of."""
        if known >= MOSTLY * valid or layer in self._told:
            return
        self._told.add(layer)
        logger.warning(
            "layer %s: the space %s knows stimuli of only %d of %d neurons, and leaves the others out; make "
            "it with indirect=True, from more layers, or with a larger k",
            layer,
            self.space.title,
            known,
            valid,
        )


class SpaceWords:
    """The words of a semantic space, in the form of an encoder that knows no others and no pictures.

    Args:
        space: The space.
    """

    def __init__(self, space: SemanticSpace) -> None:
        self.name, self.fingerprint = space.title, space.fingerprint
        self.dim, self.note = space.dim, space.note
        described = space.concept_space()
        self._vectors = dict(zip(space.words, described.text_embedding, strict=True))

    def image_transform(self, picture: Image.Image) -> Tensor:
        """No picture is ever encoded."""
        raise NotImplementedError(f"{self.name} places neurons by their stimuli; it encodes no pictures")

    def encode_images(self, images: Sequence[Image.Image] | Tensor) -> Tensor:
        """No picture is ever encoded."""
        raise NotImplementedError(f"{self.name} places neurons by their stimuli; it encodes no pictures")

    def encode_text(self, words: Sequence[str]) -> Tensor:
        """Directions of words of the space.

        Args:
            words: Some of its words.

        Returns:
            `(words, dim)` float32, unit length.

        Raises:
            ValueError: One is unknown.
        """
        self.check_words(words)
        rows: list[FloatArray] = [self._vectors[word] for word in words]
        return torch.from_numpy(np.stack(rows) if rows else np.zeros((0, self.dim), np.float32))

    def check_words(self, words: Sequence[str]) -> None:
        """Refuse words that are not the space's.

        Args:
            words: Concepts or anchors.

        Raises:
            ValueError: One is unknown.
        """
        unknown = [word for word in words if word not in self._vectors]
        if unknown:
            known = ", ".join(repr(word) for word in list(self._vectors)[:3])
            raise ValueError(
                f"the space {self.name!r} has no word {unknown[0]!r}; it has {len(self._vectors)}, such as "
                f"{known}"
            )


@lru_cache(maxsize=8)
def random_threshold(space: SemanticSpace, level: float, seed: int) -> float:
    """Cosine to the best word that at most a share `level` of neurons with random stimuli exceeds.

    Args:
        space: The space.
        level: In (0, 1).
        seed: Of the random stimuli.

    Returns:
        The threshold.
    """
    images = torch.from_numpy(np.flatnonzero(space.coverage != UNKNOWN))
    generator = seeded_generator(seed, "random stimuli")
    drawn = images[torch.randint(len(images), (NUM_NULL, space.k), generator=generator)].numpy()
    vectors = space.project(drawn).vectors
    words = torch.from_numpy(space.concept_space().text_embedding)
    return conformal_threshold(_cosine(vectors, words).amax(dim=1), level)


def _cosine(vectors: FloatArray, words: Tensor) -> Tensor:
    rows = torch.from_numpy(vectors)
    return torch.nn.functional.normalize(rows, dim=1) @ words.T
