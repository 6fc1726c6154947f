"""A hook that takes a layer's pooled activations out of a training step, with the gradient's way back."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from conceptmon_tb.pooling import first_tensor, pool_tensor


class Tap:
    """What one layer gave in the last forward of a training.

    It takes nothing in evaluation mode or without gradients, so that validation, the probe of a monitor and
    averaged weights pass unseen. It is written so that `torch.compile` can trace it as a part of the model.

    Args:
        layer: Name of the layer, for messages.
        module: The layer.
        root: The whole model, whose mode counts: single layers may be frozen in evaluation mode.
        pooling: "mean" or "max" over space.
        over_tokens: "cls" or "mean" over tokens.

    Attributes:
        pooled: `(batch, neurons)`, None before a forward and after it was taken.
    """

    def __init__(
        self, layer: str, module: nn.Module, root: nn.Module, pooling: str, over_tokens: str
    ) -> None:
        self.layer, self.module, self.root = layer, module, root
        self.pooling, self.over_tokens = pooling, over_tokens
        self.pooled: Tensor | None = None

    def __call__(self, module: nn.Module, _args: Any, output: Any) -> None:
        """Take the layer's output, as a forward hook."""
        if module is not self.module or not self.root.training or not torch.is_grad_enabled():
            return
        given = first_tensor(output, self.layer)
        self.pooled = pool_tensor(given, module, self.layer, self.pooling, self.over_tokens)

    def take(self) -> Tensor | None:
        """Hand over what the last forward left, once."""
        pooled, self.pooled = self.pooled, None
        return pooled

    def __deepcopy__(self, memo: dict[int, Any]) -> IdleHook:
        return IdleHook()

    def __reduce__(self) -> tuple[type[IdleHook], tuple[()]]:
        return IdleHook, ()


class IdleHook:
    """What stands in a copied or pickled model for a tap of the original: it does nothing."""

    def __call__(self, module: nn.Module, args: Any, output: Any) -> None:
        """Take nothing."""

    def take(self) -> None:
        """Hand over nothing."""
