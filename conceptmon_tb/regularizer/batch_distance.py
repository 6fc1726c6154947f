"""The anchor distance of a mini-batch as a differentiable function of a layer's activations (Eq. 3.1).

Nothing here assigns a label: a neuron's place is the softmax-weighted mean of all concepts (Eq. 2.1), so the
whole way from activations to places is smooth. The one choice is each anchor's nearest neuron; the gradient
goes to that neuron alone, as it does through any minimum.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from conceptmon_tb.functional.health import health_of_range

TEMPERATURE = 0.1
"""T of Eq. 2.1; at the thesis' 0.01 the gradient of one batch is mostly noise (docs/regularizer.md)."""


def batch_anchor_distance(
    activations: Tensor,
    concept_activations: Tensor,
    text_embedding: Tensor,
    anchors: Tensor | None = None,
    *,
    temperature: float = TEMPERATURE,
) -> Tensor:
    """d_anchor over one batch of images, with cos-cubed similarity.

    Written for training steps: no synchronisation with the device, no index that depends on values, float32
    under autocast, float64 where the activations are. Values are those of `functional.cos_cubed`,
    `embed_neurons` and `anchor_distance` in a row, over the valid neurons.

    Args:
        activations: `(images, neurons)` floating point, pooled; at least two images.
        concept_activations: `(images, concepts)` cosines of image and text embeddings; taken as constant.
        text_embedding: `(concepts, dim)` unit text embeddings f(w_i).
        anchors: `(anchors, dim)` unit text embeddings f(a_i); None: A = S, as in the thesis.
        temperature: T of Eq. 2.1.

    Returns:
        Scalar; differentiable in `activations`. Neurons that are constant or not finite over the batch are
        left out. Where all are, it is the distance of the anchors from the concepts' mean, without gradient.

    Raises:
        ValueError: Shapes do not fit, or `temperature` is not positive and finite.

    Source: Concept-Monitor, thesis chapter 3, Eq. 3.1.

    Example:
        >>> one_for_each = torch.eye(4)
        >>> round(batch_anchor_distance(one_for_each, one_for_each, torch.eye(4)).item(), 3)
        0.0
    """
    anchors = text_embedding if anchors is None else anchors
    _check_shapes(activations, concept_activations, text_embedding, anchors)
    if not (temperature > 0 and math.isfinite(temperature)):
        raise ValueError(f"temperature must be positive and finite, got {temperature}")
    with torch.autocast(activations.device.type, enabled=False):
        values = activations.to(torch.promote_types(activations.dtype, torch.float32))
        text, anchors = text_embedding.to(values), anchors.to(values)
        with torch.no_grad():
            concepts, _ = _directions(concept_activations.to(values))
        neurons, valid = _directions(values)
        similarity = neurons.T @ concepts
        embedding = torch.softmax(similarity / temperature, dim=1) @ text
        nearest = _nearest(embedding.detach(), anchors, valid)
        # From differences, not from the product: exact where a neuron sits on an anchor.
        distance: Tensor = torch.linalg.vector_norm(embedding.index_select(0, nearest) - anchors, dim=1)
        return distance.mean()


def _directions(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Columns centred, cubed and of unit length, 0 where invalid; and which columns are valid.

    The result does not depend on a column's scale, so its largest magnitude may be taken as constant.
    """
    fixed = matrix.detach()
    valid = health_of_range(fixed.amin(dim=0).float(), fixed.amax(dim=0).float()).valid
    matrix = matrix.masked_fill(~valid, 0.0)
    matrix = matrix - matrix.mean(dim=0)
    largest = matrix.detach().abs().amax(dim=0)
    matrix = matrix / largest.masked_fill(~valid, 1.0)
    cubed = matrix * matrix * matrix
    length = torch.linalg.vector_norm(cubed, dim=0)
    return cubed / length.masked_fill(~valid, 1.0), valid


def _nearest(embedding: Tensor, anchors: Tensor, valid: Tensor) -> Tensor:
    """The nearest valid neuron to every anchor, `(anchors,)`; of all neurons where none is valid."""
    squared = torch.addmm(embedding.square().sum(dim=1), anchors, embedding.T, alpha=-2)
    return squared.masked_fill(~valid & valid.any(), math.inf).argmin(dim=1)


def _check_shapes(activations: Tensor, concept_activations: Tensor, text: Tensor, anchors: Tensor) -> None:
    if activations.ndim != 2 or concept_activations.ndim != 2 or len(activations) != len(concept_activations):
        raise ValueError(
            f"activations must be (images, neurons) and concept_activations (images, concepts) of the same "
            f"images, got {tuple(activations.shape)} and {tuple(concept_activations.shape)}"
        )
    if len(activations) < 2:
        raise ValueError(
            f"activations holds {len(activations)} image(s); neurons are compared over 2 or more"
        )
    if text.ndim != 2 or len(text) != concept_activations.shape[1]:
        raise ValueError(
            f"text_embedding must be (concepts, dim) with {concept_activations.shape[1]} concepts, as "
            f"concept_activations has, got {tuple(text.shape)}"
        )
    if anchors.ndim != 2 or anchors.shape[1] != text.shape[1] or not len(anchors):
        raise ValueError(
            f"anchors must be (anchors, {text.shape[1]}) with at least one, got {tuple(anchors.shape)}"
        )
