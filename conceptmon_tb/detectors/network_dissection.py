"""Network Dissection: neurons described by the concept masks that their activation maps overlap."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from conceptmon_tb.concept_names import NameIndex
from conceptmon_tb.concepts import ConceptSet
from conceptmon_tb.detectors.base import Detection, MapScan, Reference, Sums
from conceptmon_tb.functional.health import valid_neurons
from conceptmon_tb.functional.iou import IouCounts, IouTally, active_pixels
from conceptmon_tb.functional.null import (
    DEFAULT_NUM_NULL,
    conformal_threshold,
    quantile_rank,
    seeded_generator,
)
from conceptmon_tb.functional.quantile import (
    DEFAULT_BUFFER_BYTES,
    DEFAULT_QUANTILE,
    UpperQuantile,
    merge_quantiles,
)
from conceptmon_tb.masked_probe import MaskedProbe
from conceptmon_tb.probe import ProbeSet

PUBLISHED_THRESHOLD = 0.04
"""IoU above which the paper calls a neuron a detector of a concept."""

MAX_PARTNERS = 32
"""Other images that each image is paired with at most, to calibrate layers of few neurons."""

_TEMPERATURE = 0.02  # separates a trained network best from one whose maps and masks are shuffled


class NetworkDissection:
    """Concept detector of Network Dissection: intersection over union of activation maps and masks.

    The probe runs twice through the model: first for T_k, the activation that neuron k exceeds at a share
    `quantile` of all positions, then to count the pixels where its enlarged map exceeds T_k, where each
    concept is, and where both are. Maps are never held together. The monitor needs a probe with masks:
    `MaskedProbe.world()`, `MaskedProbe.broden(...)`, or one of your own. Concepts of the monitor without
    masks have an IoU of 0.

    Args:
        quantile: Share of positions at which a neuron counts as on.
        num_null: Meaningless neurons that calibrate a threshold of "auto": maps of each image are counted
            against masks of another image. 0 saves this work; "auto" is then the published 0.04.
        buffer_bytes: Memory for the quantiles of one layer; see `functional.UpperQuantile`.

    Raises:
        ValueError: An argument is out of range.

    Source: Network Dissection (Bau et al., CVPR 2017); Concept-Monitor, thesis section 2.1.1 and Fig. C.2.

    Example:
        >>> NetworkDissection().describe()
        'network-dissection (quantile=0.005)'
    """

    name = "network-dissection"
    runs_in_background = True

    def __init__(
        self,
        quantile: float = DEFAULT_QUANTILE,
        *,
        num_null: int = DEFAULT_NUM_NULL,
        buffer_bytes: int = DEFAULT_BUFFER_BYTES,
    ) -> None:
        if not 0 < quantile < 1:
            raise ValueError(f"quantile must be between 0 and 1, got {quantile}")
        if num_null < 0:
            raise ValueError(f"num_null must be at least 0, got {num_null}")
        if buffer_bytes < 1:
            raise ValueError(f"buffer_bytes must be at least 1, got {buffer_bytes}")
        self.quantile = quantile
        self.num_null = num_null
        self.buffer_bytes = buffer_bytes

    @property
    def default_temperature(self) -> float:
        """T of Eq. 2.1 for similarities that are an IoU: 0.02.

        Good neurons have an IoU of 0.04 to 0.3. On the last layer of a network trained on the picture world
        d_anchor is 0.33, and 0.40 with maps and masks of different images paired; 0.31 and 0.37 at
        T = 0.01, 0.38 and 0.41 at T = 0.05.
        """
        return _TEMPERATURE

    def describe(self) -> str:
        """Name and quantile, for people."""
        return f"{self.name} (quantile={self.quantile:g})"

    def __repr__(self) -> str:
        return f"<NetworkDissection: {self.describe()}>"

    def check(self, probe: ProbeSet, concepts: ConceptSet) -> None:
        """Refuse a probe without masks.

        Args:
            probe: The pictures, which must have masks.
            concepts: The concept set, of which one word at least must have masks.

        Raises:
            ValueError: The probe has no masks, or none of the concepts has one.
        """
        _match_masks(probe, concepts)

    def scan(self, reference: Reference) -> DissectionScan:
        """Begin an observation.

        Args:
            reference: What holds still; its probe must have masks.

        Returns:
            What takes the activation maps, twice.

        Raises:
            ValueError: The probe has no masks, or none of the concepts has one.
        """
        probe, columns = _match_masks(reference.probe, reference.concepts)
        num_null = self.num_null if reference.calibrate else 0
        return DissectionScan(probe, columns, self.quantile, num_null, self.buffer_bytes, reference.seed)

    def detect(
        self, layer: str, activations: Tensor, reference: Reference, scan: MapScan | None
    ) -> Detection:
        """IoU of every neuron and concept.

        Args:
            layer: Name of the layer.
            activations: `(images, neurons)` float32, pooled; they only tell which neurons are valid.
            reference: What holds still.
            scan: What `scan` gave, after both passes.

        Returns:
            IoU, its calibration, and the share of each picture that shows each concept.

        Raises:
            ValueError: The layer gave no maps.
        """
        if not isinstance(scan, DissectionScan):
            raise TypeError(f"scan must come from NetworkDissection.scan, got {type(scan).__name__}")
        counts = scan.counts(layer)
        valid = valid_neurons(activations).valid & scan.valid(layer)
        iou = counts.iou.masked_fill(~valid[:, None], 0.0)
        shares = scan.probe.concept_shares(progress=reference.progress)
        return Detection(
            similarity=_spread(iou, scan.columns),
            null_threshold=lambda level, seed: scan.null_threshold(layer, valid, level),  # noqa: ARG005
            concept_activations=_spread(shares, scan.columns),
            presence="linear",
        )


@dataclass(eq=False)
class _Layer:
    """What is known of a layer: in the first pass its quantiles, then thresholds and counts.

    The first pairing is of every image with its own masks, the others with those of other images.
    """

    shape: tuple[int, int, int]
    quantile: UpperQuantile | None
    thresholds: Tensor = field(default_factory=lambda: torch.empty(0))
    tally: IouTally | None = None
    num_counted: int = 0


class DissectionScan:
    """One observation of Network Dissection: quantiles in the first pass, pixel counts in the second.

    Memory per layer is the quantiles' buffer, then integer counts of neurons and concepts; images pass
    through one at a time.

    Args:
        probe: Pictures with masks.
        columns: `(concepts,)` int64, where each of the monitor's concepts is among the probe's, -1 nowhere.
        quantile: Share of positions at which a neuron counts as on.
        num_null: Meaningless neurons that calibrate a threshold, 0 for none.
        buffer_bytes: Memory for the quantiles of one layer.
        seed: Of the pairing of images that makes neurons meaningless.

    Attributes:
        passes: How often the probe must run: twice.
        probe: Pictures with masks.
        columns: As given.
    """

    passes = 2

    def __init__(
        self,
        probe: MaskedProbe,
        columns: Tensor,
        quantile: float,
        num_null: int,
        buffer_bytes: int,
        seed: int,
    ) -> None:
        self.probe = probe
        self.columns = columns
        self._quantile_settings = quantile, buffer_bytes
        self._num_null = num_null
        self._layers: dict[str, _Layer] = {}
        self._order = torch.randperm(len(probe), generator=seeded_generator(seed, "dissection"))
        self._place = self._order.argsort()

    def update(self, layer: str, maps: Tensor, start: int) -> None:
        """Take the maps of one batch; see `MapScan`.

        Args:
            layer: Name of the layer.
            maps: `(batch, neurons, rows, columns)` any float dtype.
            start: Id of the batch's first image.

        Raises:
            ValueError: Maps of another size than before.
        """
        if layer not in self._layers:
            self._layers[layer] = self._begin(maps)
        state = self._layers[layer]
        if tuple(maps.shape[1:]) != state.shape:
            raise ValueError(
                f"layers: {layer!r} gave maps {state.shape} and then {tuple(maps.shape[1:])}; "
                "give a transform that makes all inputs one size"
            )
        if state.quantile is not None:
            cells = maps.shape[2] * maps.shape[3]
            state.quantile.update(maps.transpose(0, 1).flatten(1), start * cells)
        else:
            assert state.tally is not None
            self._count(state, state.tally, maps, start)

    def end_pass(self) -> None:
        """All images were seen: settle the thresholds after the first pass."""
        for state in self._layers.values():
            if state.quantile is not None:
                self._settle(state, state.quantile)

    def merge(self, sums: Sums) -> None:
        """Gather what all ranks have gathered in this pass; see `SharedMapScan`.

        Args:
            sums: Over the ranks.
        """
        merge_quantiles([s.quantile for s in self._layers.values() if s.quantile is not None], sums)
        for state in self._layers.values():
            if state.tally is not None:
                state.num_counted = int(sums.sum(torch.tensor(state.num_counted)))
                state.tally.merge(sums)

    def counts(self, layer: str) -> IouCounts:
        """Pixels counted for a layer, over the probe's own concepts (`probe.concepts`).

        Args:
            layer: Name of the layer.

        Raises:
            ValueError: The layer gave no maps.
        """
        return self._finished(layer).counts(self.probe.concept_pixels())

    def thresholds(self, layer: str) -> Tensor:
        """`(neurons,)` float32 T_k of a layer; NaN for neurons that are dead, constant or not finite.

        Args:
            layer: Name of the layer.
        """
        return self._layers[layer].thresholds

    def null_threshold(self, layer: str, valid: Tensor, level: float) -> float:
        """IoU that at most a share `level` of meaningless neurons exceeds with any concept, on average.

        A meaningless neuron is a real one whose maps are compared with the masks of other images; so it
        keeps how often, how far and where in the image it is on. All neurons share the pairing of images.

        Args:
            layer: Name of the layer.
            valid: `(neurons,)` bool.
            level: Share of meaningless neurons that may pass.

        Returns:
            The threshold; the published 0.04 without meaningless neurons; NaN when no neuron is valid. With
            so few valid neurons that they cannot tell the level, the largest IoU of meaningless ones.

        Raises:
            ValueError: `num_null` is too small for `level`.
        """
        if not bool(valid.any()):
            return math.nan
        if not self._num_null:
            return PUBLISHED_THRESHOLD
        quantile_rank(self._num_null, level)
        concepts = torch.unique(self.columns[self.columns >= 0])
        truth, tally = self.probe.concept_pixels(), self._finished(layer)  # a permutation keeps the truth
        others = [tally.counts(truth, pairing).iou for pairing in range(1, tally.num_pairings)]
        null = torch.cat([iou[valid][:, concepts].amax(dim=1) for iou in others])
        enough = null.numel() >= math.ceil(1 / level) - 1
        return conformal_threshold(null, level) if enough else float(null.max())

    def valid(self, layer: str) -> Tensor:
        """`(neurons,)` bool, whether a neuron's maps are finite and vary.

        Args:
            layer: Name of the layer.
        """
        return ~self.thresholds(layer).isnan()

    def _finished(self, layer: str) -> IouTally:
        if layer not in self._layers:
            raise ValueError(
                f"layers: {layer!r} gives no activation maps over the image, which NetworkDissection needs; "
                "choose a convolutional layer or a block of a vision transformer, or another detector"
            )
        state = self._layers[layer]
        if state.tally is None or state.num_counted != len(self.probe):
            raise ValueError(
                f"scan has counted {state.num_counted} of {len(self.probe)} images for {layer!r}; "
                f"run the probe through the model {self.passes} times, with end_pass() after each"
            )
        return state.tally

    def _begin(self, maps: Tensor) -> _Layer:
        _, neurons, rows, columns = maps.shape
        quantile = UpperQuantile(neurons, len(self.probe) * rows * columns, *self._quantile_settings)
        return _Layer((neurons, rows, columns), quantile)

    def _settle(self, state: _Layer, quantile: UpperQuantile) -> None:
        state.thresholds, state.quantile = quantile.thresholds().cpu(), None
        num_valid = max(1, int((~state.thresholds.isnan()).sum()))
        partners = min(math.ceil(self._num_null / num_valid), MAX_PARTNERS)
        categories = self.probe.category_ids, self.probe.num_categories
        state.tally = IouTally(state.shape[0], *categories, num_pairings=1 + partners)

    def _count(self, state: _Layer, tally: IouTally, maps: Tensor, start: int) -> None:
        state.num_counted += len(maps)
        on = (maps.detach().float().amax(dim=(2, 3)) > state.thresholds.to(maps.device)).any(dim=1)
        for row in on.nonzero().flatten().tolist():
            images = self._images(start + row, tally.num_pairings)
            masks = {pairing: self.probe.masks(image) for pairing, image in enumerate(images)}
            for size in {image.masks.shape[1:] for image in masks.values()}:
                paired = {p: image for p, image in masks.items() if image.masks.shape[1:] == size}
                for neurons, pixels in active_pixels(maps[row], state.thresholds, *size):
                    tally.add(neurons, pixels, paired)

    def _images(self, image: int, count: int) -> list[int]:
        """The image itself and its partners, with each of which every image is paired once."""
        place = int(self._place[image])
        return [int(self._order[(place + step) % len(self._order)]) for step in range(count)]


def _match_masks(probe: ProbeSet, concepts: ConceptSet) -> tuple[MaskedProbe, Tensor]:
    """The probe with its masks, and where each concept is among those; clear errors otherwise."""
    if not isinstance(probe, MaskedProbe):
        raise ValueError(  # noqa: TRY004  # as the protocol says: something is missing
            "NetworkDissection needs masks, and probe is a plain ProbeSet; give probe="
            "MaskedProbe.world(), MaskedProbe.broden(directory) or MaskedProbe(pictures, masks, concepts)"
        )
    columns = match_concepts(concepts, probe.concepts)
    if not bool((columns >= 0).any()):
        raise ValueError(
            f"none of the {len(concepts)} concepts ({', '.join(concepts.words[:3])}, ...) has masks in the "
            f"probe; give concepts=probe.concepts"
        )
    return probe, columns


def match_concepts(concepts: ConceptSet, masked: ConceptSet) -> Tensor:
    """Find words among those that have masks, also by synonyms and in another spelling (`NameIndex`).

    Args:
        concepts: The words to find.
        masked: The words with masks.

    Returns:
        `(concepts,)` int64 ids in `masked`, -1 for words that are not there.

    Example:
        >>> masked = ConceptSet(["red-c", "dining_room-s", "cab"], synonyms={"cab": ["taxi"]})
        >>> match_concepts(ConceptSet(["taxi", "red", "dining room", "dog"]), masked).tolist()
        [2, 0, 1, -1]
    """
    index = NameIndex(masked.words, masked.synonyms)
    found = [
        [index.find(name) for name in (word, *concepts.synonyms.get(word, ()))] for word in concepts.words
    ]
    return torch.tensor([next((place for place in places if place is not None), -1) for places in found])


def _spread(values: Tensor, columns: Tensor) -> Tensor:
    """Columns of the probe's concepts brought to the monitor's; zeros where there is none."""
    spread = values[:, columns.clamp_min(0)]
    return spread.masked_fill(columns < 0, 0.0)
