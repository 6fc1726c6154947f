"""Descriptions: neurons labelled by free text, from any captioner or given.

A captioner looks at the pictures that activate a neuron most and says what they have in common. The text's
embedding is the neuron's place in the language space, and the concepts are compared with it there. Captions
are slow and may cost money, so one is asked for only when a neuron's pictures have changed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from tqdm.auto import tqdm

from conceptmon_tb.concepts import ConceptSet
from conceptmon_tb.detectors.base import Detection, MapScan, Reference
from conceptmon_tb.detectors.regions import WHOLE, Box, PeakScan, keep_region
from conceptmon_tb.functional.health import valid_neurons
from conceptmon_tb.functional.null import (
    DEFAULT_LEVEL,
    DEFAULT_NUM_NULL,
    conformal_threshold,
    quantile_rank,
    seeded_generator,
)
from conceptmon_tb.functional.ranking import top_images
from conceptmon_tb.probe import ProbeSet

Captioner = Callable[[list[Image.Image]], str]

DESCRIPTION_TEMPERATURE = 0.01
"""T of Eq. 2.1 for cosines of texts; a described neuron is placed by its text and needs none."""

_FEW = 16  # captions without a progress bar
_OPEN_PICTURES = 256


class _Shown(NamedTuple):
    """What a captioner is shown: the probe's fingerprint, and ids of images with the part that is shown."""

    probe: str
    regions: tuple[tuple[int, Box], ...]


class CaptionError(RuntimeError):
    """The captioner failed or gave no text; the message names the neuron and the layer."""


class Descriptions:
    """Concept detector for free texts: MILAN, a vision-language model, or texts that are known already.

    The captioner is called once for every neuron that is alive, with the `num_images` pictures that activate
    it most. They come in the order of the probe set: neurons with the same pictures share a caption, and a
    neuron whose pictures only changed places among each other keeps its own. An answer is kept as long as the
    detector lives, by the content of the pictures; neurons that did not change cost nothing at the next
    epoch, and after a failure the captions made so far are not asked for again.

    A blank answer is no description: the neuron is similar to nothing and stands in the middle of the space.

    The similarity is the cosine of the description's and a concept's text embedding, so a threshold cannot
    tell whether the captioner was right. It tells whether the description is about a concept of the set at
    all: the calibrated one is what random texts seldom reach (see `text_threshold`).

    Args:
        describe: From a list of RGB pictures to a text.
        num_images: Pictures that the captioner gets to see; MILAN's 15 unless told.
        mask: Show only the part of each picture around the largest activation and black elsewhere, in MILAN's
            manner. Layers without maps, and probes whose transform shows no one rectangle of the picture, are
            shown whole pictures. A caption is then asked for again when a part moves.
        name: What to call the captioner in the log; None: the name of the function.
        num_null: Random texts that calibrate the threshold; at least `1 / level - 1`.

    Raises:
        TypeError: `describe` cannot be called.
        ValueError: `num_images` or `num_null` is not positive.

    Source: MILAN (Hernandez et al., ICLR 2022); Concept-Monitor, thesis section C.2 and Fig. C.3.

    Example:
        >>> def brightness(pictures):
        ...     return "bright" if sum(p.convert("L").getextrema()[1] for p in pictures) > 1000 else "dark"
        >>> Descriptions(brightness).describe()
        'descriptions by brightness (15 images)'
    """

    name = "descriptions"
    default_temperature = DESCRIPTION_TEMPERATURE
    takes_longer_with_images = False  # but with neurons that are described anew

    def __init__(
        self,
        describe: Captioner,
        num_images: int = 15,
        *,
        mask: bool = False,
        name: str | None = None,
        num_null: int = DEFAULT_NUM_NULL,
    ) -> None:
        if not callable(describe):
            raise TypeError(
                f"describe must take a list of pictures and return a text, got {type(describe).__name__}; "
                f"for texts that are known already use Descriptions.from_texts"
            )
        for argument, value in (("num_images", num_images), ("num_null", num_null)):
            if value < 1:
                raise ValueError(f"{argument} must be at least 1, got {value}")
        self.num_images = num_images
        self.mask = mask
        self.num_null = num_null
        self._captioner: Captioner | None = describe
        self._given: dict[str, tuple[str, ...]] = {}
        self._source = f"by {name or getattr(describe, '__name__', type(describe).__name__)}"
        self._captions: dict[_Shown, str] = {}
        self._embedded: dict[str, tuple[str, dict[str, Tensor]]] = {}

    @classmethod
    def from_texts(
        cls, texts: Mapping[str, Sequence[str]] | str | Path, *, num_null: int = DEFAULT_NUM_NULL
    ) -> Descriptions:
        """A detector for one network whose neurons are described already.

        Args:
            texts: For each layer one text per neuron, "" for none; or a CSV file of MILAN
                (`layer,unit,description`).
            num_null: As for `Descriptions`.

        Returns:
            The detector. The texts stay the same at every epoch.

        Raises:
            TypeError: A layer's texts are not a list of strings.
            FileNotFoundError: There is no such file.
            ValueError: The file is not one of MILAN.

        Example:
            >>> Descriptions.from_texts({"layer4": ["dogs", "", "wheels of cars"]}).describe()
            'descriptions as given (2 of 3 neurons)'
        """
        if isinstance(texts, (str, Path)):
            texts = _read_texts(texts)
        if not isinstance(texts, Mapping):
            raise TypeError(f"texts must map layers to lists of strings, got {type(texts).__name__}")
        for layer, given in texts.items():
            is_list = isinstance(given, Collection) and not isinstance(given, (str, AbstractSet, Mapping))
            if not is_list or not all(isinstance(text, str) for text in given):
                raise TypeError(
                    f"texts[{layer!r}] must be a list of strings, one for each neuron, got {given!r:.80}"
                )
        made = cls(_no_captioner, num_null=num_null)
        made._captioner = None
        made._given = {
            layer: tuple(" ".join(text.split()) for text in given) for layer, given in texts.items()
        }
        everything = [text for given in made._given.values() for text in given]
        made._source = f"as given ({sum(map(bool, everything))} of {len(everything)} neurons)"
        return made

    def describe(self) -> str:
        """Name and settings, for people."""
        masked = ", masked" if self.mask else ""
        images = f" ({self.num_images} images{masked})" if self._captioner else ""
        return f"{self.name} {self._source}{images}"

    def check(self, probe: ProbeSet, concepts: ConceptSet) -> None:
        """Any probe and concept set will do."""

    def scan(self, reference: Reference) -> MapScan | None:  # noqa: ARG002 (of the protocol)
        """Begin an observation.

        Args:
            reference: Not used.

        Returns:
            With `mask` what finds the activating parts of the pictures; else None.
        """
        return PeakScan() if self.mask else None

    def detect(
        self,
        layer: str,
        activations: Tensor,
        reference: Reference,
        scan: MapScan | None = None,
    ) -> Detection:
        """Describe the neurons of a layer and compare the descriptions with the concepts.

        Args:
            layer: Name of the layer.
            activations: `(images, neurons)` pooled over the probe set.
            reference: Probe set, concepts and text encoder.
            scan: What `scan` gave, after its pass; None shows whole pictures.

        Returns:
            Cosines `(neurons, concepts)`, 0 where a neuron has no description; the descriptions, and their
            embeddings `(neurons, dim)`, the mean of the concepts' where there is no description.

        Raises:
            CaptionError: The captioner failed; the message names the neuron.
            ValueError: Texts were given, but not for this layer, or not one for each neuron.
        """
        valid = valid_neurons(activations).valid
        if self._captioner is None:
            texts = self._texts_of(layer, len(valid))
        else:
            shown = self._choose(layer, activations, reference.probe, scan)
            texts = self._ask(layer, shown, valid, reference)
        texts = [text if alive else "" for text, alive in zip(texts, valid.tolist(), strict=True)]
        text_embedding = reference.text_embedding.float()
        known = self._embed(layer, texts, reference)
        described = torch.tensor([bool(text) for text in texts])
        middle = text_embedding.mean(dim=0)
        embedding = torch.stack([known.get(text, middle) for text in texts])
        similarity = compare_texts(embedding, text_embedding).masked_fill(~described[:, None], 0.0)

        def null_threshold(level: float = DEFAULT_LEVEL, seed: int = 0) -> float:
            return text_threshold(text_embedding, level, self.num_null, seed) if valid.any() else torch.nan

        return Detection(similarity, null_threshold, embedding, tuple(texts))

    def __repr__(self) -> str:
        return f"<Descriptions: {self.describe()}>"

    def _texts_of(self, layer: str, neurons: int) -> list[str]:
        if layer not in self._given:
            raise ValueError(
                f"texts describes no layer {layer!r}; it has {', '.join(map(repr, self._given))}"
            )
        texts = self._given[layer]
        if len(texts) > neurons:
            raise ValueError(f"texts[{layer!r}] describes {len(texts)} neurons, but the layer has {neurons}")
        return [*texts, *[""] * (neurons - len(texts))]

    def _choose(self, layer: str, activations: Tensor, probe: ProbeSet, scan: MapScan | None) -> list[_Shown]:
        """What the captioner is to be shown of every neuron."""
        images = top_images(activations, self.num_images).sort(dim=1).values
        boxes = [[WHOLE] * images.shape[1]] * len(images)
        if isinstance(scan, PeakScan):
            found = scan.boxes(layer, images.numpy().astype(np.int32), probe.view)
            boxes = [[tuple(box) for box in row] for row in found.tolist()]
        return [
            _Shown(probe.fingerprint, tuple(zip(row, places, strict=True)))
            for row, places in zip(images.tolist(), boxes, strict=True)
        ]

    def _ask(self, layer: str, keys: Sequence[_Shown], valid: Tensor, reference: Reference) -> list[str]:
        """The caption of every valid neuron, "" for the others."""
        assert self._captioner is not None
        alive = [neuron for neuron, is_valid in enumerate(valid.tolist()) if is_valid]
        new = {keys[neuron]: neuron for neuron in reversed(alive) if keys[neuron] not in self._captions}
        open_picture = lru_cache(_OPEN_PICTURES)(reference.probe.picture)
        silent = not reference.progress or len(new) <= _FEW
        in_order = sorted(new.items(), key=lambda item: item[1])
        for key, neuron in tqdm(in_order, f"Describing {layer}", disable=silent):
            pictures = [keep_region(open_picture(image), box) for image, box in key.regions]
            try:
                answer = self._captioner(pictures)
            except Exception as error:
                raise CaptionError(
                    f"the captioner failed on neuron {neuron} of layer {layer!r}: "
                    f"{type(error).__name__}: {error}"
                ) from error
            if not isinstance(answer, str):
                raise CaptionError(
                    f"the captioner must return a text; for neuron {neuron} of layer {layer!r} it returned "
                    f"{type(answer).__name__}: {answer!r:.80}"
                )
            self._captions[key] = " ".join(answer.split())
        texts = [""] * len(keys)
        for neuron in alive:
            texts[neuron] = self._captions[keys[neuron]]
        return texts

    def _embed(self, layer: str, texts: Sequence[str], reference: Reference) -> dict[str, Tensor]:
        """Unit embedding of every text but "", those of the layer's last call remembered."""
        encoder = reference.encoder
        fingerprint, known = self._embedded.get(layer, ("", {}))
        if fingerprint != encoder.fingerprint:
            known = {}
        wanted = [text for text in dict.fromkeys(texts) if text]
        new = [text for text in wanted if text not in known]
        known = known | (dict(zip(new, encoder.encode_text(new), strict=True)) if new else {})
        known = {text: known[text] for text in wanted}
        self._embedded[layer] = encoder.fingerprint, known
        return known


def compare_texts(embedding: Tensor, text_embedding: Tensor) -> Tensor:
    """Cosines of texts and concepts.

    Args:
        embedding: `(texts, dim)` embeddings of any length; a zero row is similar to nothing.
        text_embedding: `(concepts, dim)` float32, unit length.

    Returns:
        `(texts, concepts)` float32 in [-1, 1].
    """
    with torch.autocast(embedding.device.type, enabled=False):
        return (F.normalize(embedding.float(), dim=1) @ text_embedding.float().T).clamp_(-1, 1)


def text_threshold(
    text_embedding: Tensor, level: float = DEFAULT_LEVEL, num_null: int = DEFAULT_NUM_NULL, seed: int = 0
) -> float:
    """Best cosine with a concept that at most a share `level` of random texts exceeds, on average.

    A random text is a point of the language space with the mean and the covariance of the concepts' text
    embeddings: one that says something of everything and nothing in particular. Where embeddings lie in a
    narrow cone, as CLIP's do, the best cosine with a concept is high for every text, and so it is for these.

    Captions of random pictures would be the plainer null, but each costs a caption; this one costs nothing,
    depends on the concept set and the encoder alone, and is the same at every epoch and for every layer.

    Args:
        text_embedding: `(concepts, dim)` unit text embeddings.
        level: Share of random texts that may pass, in (0, 1).
        num_null: Random texts to draw, at least `1 / level - 1`.
        seed: Of the random texts; the global random state is not touched.

    Returns:
        The threshold, at most 1. With one concept it is 1: nothing can be told from it.

    Raises:
        ValueError: `level` is out of range or `num_null` too small for it.

    Example:
        >>> concepts = F.normalize(torch.randn(200, 32, generator=torch.Generator().manual_seed(0)), dim=1)
        >>> 0.5 < text_threshold(concepts) < 0.8
        True
    """
    quantile_rank(num_null, level)  # fails before the work
    concepts = text_embedding.detach().float().cpu()
    middle = concepts.mean(dim=0)
    generator = seeded_generator(seed, "random texts")
    mixing = torch.randn(num_null, len(concepts), generator=generator, dtype=torch.float32)
    texts = middle + mixing @ (concepts - middle) / max(1, len(concepts) - 1) ** 0.5
    return conformal_threshold(compare_texts(texts, concepts).amax(dim=1), level)


def _read_texts(path: str | Path) -> dict[str, list[str]]:
    """Texts by layer from a file of MILAN; a neuron that it leaves out has none."""
    from conceptmon_tb.imported.formats import read_results  # the reading of files is no part of a detector

    texts: dict[str, list[str]] = {}
    for layer, rows in read_results(path, "milan").layers.items():
        texts[layer] = [""] * (1 + max(row.unit for row in rows))
        for row in rows:
            texts[layer][row.unit] = row.description
    return texts


def _no_captioner(pictures: list[Image.Image]) -> str:
    raise NotImplementedError(f"the texts were given; {len(pictures)} pictures cannot be described")
