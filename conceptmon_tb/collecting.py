"""Runs the probe through a model: one forward pass for all layers, and as many more as a detector wants."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor, nn

from conceptmon_tb.activations import Activations, Precision, collect_activations, scan_maps
from conceptmon_tb.detectors import ConceptDetector, MapScan, Reference
from conceptmon_tb.distributed import ProcessRanks, Ranks
from conceptmon_tb.distributed.sharing import collect_together
from conceptmon_tb.pooling import Pooling, Tokens
from conceptmon_tb.probe_forward import Forward


class Collected(NamedTuple):
    """What a model answers to the probe at one moment, before any concept is named.

    Attributes:
        activations: By layer, on the CPU.
        scan: What the detector gathered from whole activation maps; None where it needs none.
        seconds: How long it took.
    """

    activations: dict[str, Activations]
    scan: MapScan | None
    seconds: float = 0.0


@dataclass(frozen=True)
class Passes:
    """Forward passes over a model, and what is kept of them; see `activations.collect_activations`.

    Attributes:
        model: The model itself, not what wraps it.
        layers: Names from `model.named_modules()`.
        pooling: Over the space of conv maps.
        tokens: Of transformers.
        precision: Of the model's forward.
        forward: How to call the model with a batch of images; None: `model(images)`.
    """

    model: nn.Module
    layers: Sequence[str]
    pooling: Pooling
    tokens: Tokens
    precision: Precision
    forward: Forward | None

    def first(self, batches: Iterator[Tensor], count: int, scan: MapScan | None) -> dict[str, Activations]:
        """Run batches with so many images through the model, for the activations and a detector's scan."""
        return collect_activations(
            self.model,
            self.layers,
            batches,
            count,
            pooling=self.pooling,
            tokens=self.tokens,
            precision=self.precision,
            scan=scan,
            forward=self.forward,
        )

    def further(self, batches: Iterator[Tensor], count: int, scan: MapScan) -> None:
        """Run them once more, for the detector's scan."""
        scan_maps(
            self.model,
            self.layers,
            batches,
            count,
            scan,
            precision=self.precision,
            forward=self.forward,
        )


def run_probe(passes: Passes, reference: Reference, detector: ConceptDetector, ranks: Ranks) -> Collected:
    """Run the probe through a model, each rank its share of it.

    Args:
        passes: Which model, and what to keep.
        reference: What the detector compares with, the probe among it.
        detector: It may want to see the activation maps.
        ranks: Those that look together.

    Returns:
        What the model answered; of several ranks all of it is on the leading one, and nothing elsewhere.
    """
    probe = reference.probe
    scan = ranks.agree(lambda: detector.scan(reference), "preparing the detector")
    if isinstance(ranks, ProcessRanks):
        activations = collect_together(
            ranks, passes.model, probe, scan, passes.first, passes.further, progress=reference.progress
        )
        return Collected(activations, scan if ranks.leads else None)
    activations = passes.first(probe.batches(progress=reference.progress), len(probe), scan)
    for _ in range(1, 1 if scan is None else scan.passes):
        assert scan is not None
        passes.further(probe.batches(), len(probe), scan)
    return Collected(activations, scan)
