"""From the activations of one layer to its snapshot: detector, embedding, metrics and map in a row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from conceptmon_tb import functional
from conceptmon_tb.activations import Activations
from conceptmon_tb.detectors import ConceptDetector, Detection, MapScan, Reference
from conceptmon_tb.explanation import Explainer, Explanation
from conceptmon_tb.patches import draw_patches
from conceptmon_tb.placing import Placement, place_neurons
from conceptmon_tb.projection import ConceptMap
from conceptmon_tb.snapshot import ConceptSnapshot, ConceptSpace, IntArray


@dataclass(frozen=True, eq=False)
class Observer:
    """Everything that holds still while a training is watched.

    Attributes:
        space: The concept space.
        concept_map: Its map, which places neurons.
        reference: Probe, concepts and encoder, which detectors compare neurons with.
        anchor_set: `(anchors, dim)` float32: A of Eq. 2.2.
        detector: The concept detector.
        temperature: T of Eq. 2.1.
        threshold: A similarity, None to calibrate it.
        threshold_level: Share of meaningless neurons that a calibrated threshold lets pass.
        top_concepts: Concepts kept for each neuron.
        num_images: Top images kept for each neuron.
        explainer: Explains neurons as weighted sums of concepts; None to leave that out.
    """

    space: ConceptSpace
    concept_map: ConceptMap
    reference: Reference
    anchor_set: Tensor
    detector: ConceptDetector
    temperature: float
    threshold: float | None
    threshold_level: float
    top_concepts: int
    num_images: int
    explainer: Explainer | None


def observe_layer(
    layer: str,
    seen: Activations,
    observer: Observer,
    tracked: Sequence[int] = (),
    before: Placement | None = None,
    scan: MapScan | None = None,
) -> tuple[ConceptSnapshot, Placement]:
    """Describe one layer at one moment.

    Args:
        layer: Name of the layer.
        seen: What the layer answers to the probe.
        observer: What holds still.
        tracked: Neurons to follow.
        before: Where the neurons were at the last observation, None at the first.
        scan: What the detector gathered from the activation maps.

    Returns:
        The snapshot, and the placement to hand over next time.

    Raises:
        ValueError: A tracked neuron does not exist.
    """
    activations, peaks = seen
    num_neurons = activations.shape[1]
    beyond = [neuron for neuron in tracked if neuron >= num_neurons]
    if beyond:
        raise ValueError(
            f"track[{layer!r}] names neuron {beyond[0]}, but the layer has {num_neurons}: "
            f"0..{num_neurons - 1}"
        )
    activations = activations.T.contiguous().T  # a neuron's values side by side: all that follows sorts them
    health = functional.valid_neurons(activations)
    reference = observer.reference
    detection = observer.detector.detect(layer, activations, reference, scan)
    valid = health.valid if detection.known is None else health.valid & detection.known
    unknown = health.valid & ~valid
    similarity, embedding = detection.similarity, detection.embedding
    if embedding is None:
        embedding = functional.embed_neurons(similarity, reference.text_embedding, observer.temperature)
    embedding = embedding.masked_fill(~valid[:, None], 0.0)
    best, concepts = similarity.topk(min(observer.top_concepts, similarity.shape[1]), dim=1)
    best = best.masked_fill(~valid[:, None], 0.0)
    threshold = observer.threshold
    if threshold is None:
        threshold = detection.null_threshold(observer.threshold_level, reference.seed)
    interpretable = valid & (best[:, 0] > threshold)
    now = Placement(embedding, valid)
    places = place_neurons(
        now,
        before,
        concepts[:, 0],
        interpretable,
        observer.anchor_set,
        observer.space,
        observer.concept_map,
    )
    images = _ids(functional.top_images(activations, observer.num_images), health.valid)
    view = reference.probe.view if peaks else None
    explanation = _explain(observer.explainer, activations, detection)
    snapshot = ConceptSnapshot(
        layer=layer,
        space=observer.space,
        embedding=embedding.numpy(),
        concept_ids=_ids(concepts, valid),
        similarity=best.numpy(),
        interpretable=interpretable.numpy(),
        valid=valid.numpy(),
        top_images=images,
        threshold=float(threshold),
        threshold_level=observer.threshold_level if observer.threshold is None else None,
        num_dead=int(health.dead.sum()),
        num_constant=int(health.constant.sum()),
        num_nonfinite=int(health.nonfinite.sum()),
        detector=observer.detector.describe(),
        temperature=observer.temperature,
        tracked=tuple(tracked),
        top_patches=draw_patches(peaks, images, view) if peaks and view else None,
        descriptions=detection.descriptions,
        probe_images=len(activations),
        probe_total=reference.probe.total,
        unknown=unknown.numpy() if unknown.any() else None,
        **places._asdict(),
        **(explanation._asdict() if explanation else {}),
    )
    return snapshot, now


def _explain(explainer: Explainer | None, activations: Tensor, detection: Detection) -> Explanation | None:
    if explainer is None or detection.concept_activations is None:
        return None
    concepts = detection.concept_activations
    return explainer.explain(activations.to(concepts.device), concepts, detection.presence)


def _ids(ids: Tensor, valid: Tensor) -> IntArray:
    return ids.masked_fill(~valid[:, None], -1).numpy().astype(np.int32)
