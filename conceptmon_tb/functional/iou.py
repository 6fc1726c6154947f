"""Intersection over union of activation maps and concept masks, the similarity of Network Dissection."""

from __future__ import annotations

from torch import Tensor


def iou(activation_masks: Tensor, concept_masks: Tensor) -> Tensor:
    """Share of pixels where both are on among those where either is, over all images.

    Args:
        activation_masks: `(images, neurons, height, width)` bool, thresholded activation maps.
        concept_masks: `(images, concepts, height, width)` bool.

    Returns:
        `(neurons, concepts)` float32 in [0, 1]; 0 where neither is on anywhere.

    Raises:
        ValueError: Shapes do not fit.

    Source: Network Dissection (Bau et al., CVPR 2017); Concept-Monitor, thesis section 2.1.1.

    Example:
        >>> import torch
        >>> mask = torch.tensor([[[[True, True, False]]]])
        >>> iou(mask, torch.tensor([[[[False, True, True]]]])).item() == 1 / torch.tensor(3.0)
        tensor(True)
    """
    fits = activation_masks.ndim == concept_masks.ndim == 4
    if not fits or (activation_masks.shape[0], activation_masks.shape[2:]) != (
        concept_masks.shape[0],
        concept_masks.shape[2:],
    ):
        raise ValueError(
            "activation_masks and concept_masks must be (images, neurons or concepts, height, width) over "
            f"the same pixels, got {tuple(activation_masks.shape)} and {tuple(concept_masks.shape)}"
        )
    neurons = activation_masks.transpose(0, 1).flatten(1).double()  # exact counts beyond 2**24 pixels
    concepts = concept_masks.transpose(0, 1).flatten(1).double()
    both = neurons @ concepts.T
    either = neurons.sum(dim=1, keepdim=True) + concepts.sum(dim=1) - both
    return (both / either.clamp_min(1)).float()
