"""Iterative magnitude pruning with rewinding, on `torch.nn.utils.prune`.

Source: Frankle & Carbin, ICLR 2019; Concept-Monitor, thesis section 4.0.1 and appendix A.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice

import torch
from torch import Tensor, nn
from torch.nn.utils import prune

SHARE = 0.4
"""Of the weights that are left, pruned in each stage (appendix A.2)."""


def prunable(network: nn.Module) -> list[nn.Conv2d]:
    """All convolutions but the first, whose few weights see the pixels."""
    convolutions = (module for module in network.modules() if isinstance(module, nn.Conv2d))
    return list(islice(convolutions, 1, None))


def prune_smallest(network: nn.Module, share: float = SHARE) -> None:
    """Zero the smallest of the weights that are left, by magnitude over all layers together.

    Args:
        network: Pruned in place; earlier masks are kept and grow.
        share: Of the weights that are left.
    """
    weights = [(module, "weight") for module in prunable(network)]
    prune.global_unstructured(weights, pruning_method=prune.L1Unstructured, amount=share)


def masks_of(network: nn.Module) -> list[Tensor]:
    """The mask of every prunable layer, in the shape of its weights; ones where nothing is pruned."""
    return [getattr(module, "weight_mask", torch.ones_like(module.weight)) for module in prunable(network)]


def sparsity(network: nn.Module) -> float:
    """Share of the prunable weights that is zeroed: 1 - 0.6 ** n after n stages of 40%."""
    masks = masks_of(network)
    return 1.0 - sum(float(mask.sum()) for mask in masks) / sum(mask.numel() for mask in masks)


def rewind(network: nn.Module, initial: Mapping[str, Tensor]) -> None:
    """Give a network its first weights back, bit for bit, and keep its masks.

    Args:
        network: Changed in place, running statistics of its normalisation layers too.
        initial: `state_dict()` of the same network before training and pruning.
    """
    state = network.state_dict()
    rewound = {
        name: value if name.endswith("_mask") else initial[name.removesuffix("_orig")]
        for name, value in state.items()
    }
    network.load_state_dict(rewound)
    for module in prunable(network):
        mask = getattr(module, "weight_mask", None)
        if isinstance(mask, Tensor):  # else what the layer computes with follows only at its next call
            module.weight = getattr(module, "weight_orig").detach() * mask  # noqa: B009


def prune_at_random(network: nn.Module, like: nn.Module, seed: int) -> None:
    """Mask as many weights of each layer as another network has masked, but any of them.

    What these masks do to a network is due to sparsity alone, not to what was learned.

    Args:
        network: Masked in place; it must have no masks yet.
        like: A pruned network of the same layers.
        seed: Of the choice.
    """
    generator = torch.Generator().manual_seed(seed)
    for module, mask in zip(prunable(network), masks_of(like), strict=True):
        shuffled = mask.flatten()[torch.randperm(mask.numel(), generator=generator).to(mask.device)]
        prune.custom_from_mask(module, "weight", shuffled.view_as(mask))  # type: ignore[no-untyped-call]
