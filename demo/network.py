"""A residual network small enough to train in a minute on two CPU cores."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut (He et al., 2016)."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels_out)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels_in != channels_out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels_in, channels_out, 1, stride, bias=False), nn.BatchNorm2d(channels_out)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Maps `(batch, channels_in, height, width)` maps to `channels_out` maps, smaller by the stride."""
        out = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(out)) + self.shortcut(x))


class SmallResNet(nn.Module):
    """Four residual stages, `layer1` to `layer4`, of width, 2, 4 and 8 times `width` channels.

    Args:
        num_classes: Number of classes.
        width: Channels of the first stage.
        image_size: Side of the training images in pixels; from 64 on, the stem halves it.
    """

    def __init__(self, num_classes: int, width: int = 16, image_size: int = 64) -> None:
        super().__init__()
        stem_stride = 2 if image_size >= 64 else 1
        self.stem = nn.Sequential(
            nn.Conv2d(3, width, 3, stem_stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()
        )
        channels = [width, width, 2 * width, 4 * width, 8 * width]
        for i, (before, after) in enumerate(pairwise(channels), start=1):
            self.add_module(f"layer{i}", ResidualBlock(before, after, stride=1 if i == 1 else 2))
        self.head = nn.Linear(channels[-1], num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Maps `(batch, 3, height, width)` images to `(batch, classes)` logits."""
        x = self.stem(x)
        for i in range(1, 5):
            x = self.get_submodule(f"layer{i}")(x)
        return self.head(x.mean((2, 3)))
