"""Projected gradient descent: the strongest small change of a picture that a few steps find.

Source: Madry et al., ICLR 2018; Concept-Monitor, thesis section 4.0.2 and appendix A.3.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from demo.case_studies.pictures import Task

RADIUS = 8.0
"""Largest change of a pixel of 0 to 255, in l_inf (appendix A.3)."""


@dataclass(frozen=True)
class Pgd:
    """An attack on a task's pictures; call it with a network, its input and the labels.

    Attributes:
        task: Whose pictures; tells what a pixel value is to the network.
        steps: Gradient steps from a random start.
        radius: Largest change of a pixel, of 0 to 255.
    """

    task: Task
    steps: int
    radius: float = RADIUS

    def __call__(self, network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        """Pictures in the l_inf ball around `images` and within black and white that raise the loss.

        Args:
            network: In eval mode meanwhile, so that its running statistics stay; left in the mode it was in.
            images: `(batch, 3, size, size)` float32, the network's input.
            labels: `(batch,)` int64.

        Returns:
            The changed input, detached.
        """
        black, white = self.task.bounds
        reach = self.radius / self.task.deviation
        low, high = torch.maximum(images - reach, black), torch.minimum(images + reach, white)
        step = min(1.0, 2.5 / self.steps) * reach  # 2 of 255 for ten steps, as is usual
        was_training = network.training
        network.eval()
        start = torch.rand(images.shape).to(images.device) * 2 - 1
        attacked = torch.clamp(images + start * reach, low, high)
        for _ in range(self.steps):
            attacked.requires_grad_(True)
            loss = F.cross_entropy(network(attacked), labels, reduction="sum")
            (gradient,) = torch.autograd.grad(loss, attacked)
            attacked = torch.clamp(attacked.detach() + step * gradient.sign(), low, high)
        network.train(was_training)
        return attacked.detach()
