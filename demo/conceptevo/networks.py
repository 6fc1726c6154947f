"""Three kinds of network, small enough to train side by side: VGG-, ResNet- and ConvNeXt-like.

They share nothing but the pictures that they learn from: the VGG has neither norms nor shortcuts, the ResNet
both, the ConvNeXt depthwise convolutions, layer norms and neurons that may be negative.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor, nn

from demo.network import SmallResNet


class SmallVGG(nn.Module):
    """Plain 3x3 convolutions, ReLU and pooling, `stage1` to `stage4` (Simonyan and Zisserman, 2015).

    Args:
        num_classes: Number of classes.
        width: Channels of the first stage; the others have 2, 4 and 8 times as many.
    """

    def __init__(self, num_classes: int, width: int = 12) -> None:
        super().__init__()
        channels = [3, width, 2 * width, 4 * width, 8 * width]
        for number, (before, after) in enumerate(pairwise(channels), start=1):
            parts: list[nn.Module] = [nn.Conv2d(before, after, 3, 1, 1), nn.ReLU()]
            if number > 2:
                parts += [nn.Conv2d(after, after, 3, 1, 1), nn.ReLU()]
            self.add_module(f"stage{number}", nn.Sequential(*parts))
        self.pool = nn.MaxPool2d(2)
        self.head = nn.Linear(channels[-1], num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and module.bias is not None:  # no norm mends a poor start
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Maps `(batch, 3, height, width)` images to `(batch, classes)` logits."""
        for number in range(1, 4):
            x = self.pool(self.get_submodule(f"stage{number}")(x))
        logits: Tensor = self.head(self.get_submodule("stage4")(x).mean((2, 3)))
        return logits


class ConvNeXtBlock(nn.Module):
    """A depthwise convolution and an inverted bottleneck around a shortcut (Liu et al., 2022).

    Its 7x7 pixels are 5x5 here, where the deepest maps have 2x2.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 5, 1, 2, groups=channels)
        self.norm = ChannelNorm(channels)
        self.wide = nn.Conv2d(channels, 4 * channels, 1)
        self.act = nn.GELU()
        self.narrow = nn.Conv2d(4 * channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Maps `(batch, channels, height, width)` maps to maps of the same shape."""
        changed: Tensor = self.narrow(self.act(self.wide(self.norm(self.depthwise(x)))))
        return x + changed


class ChannelNorm(nn.LayerNorm):
    """A layer norm over the channels of each place."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (the name of the method that it overrides)
        """Maps `(batch, channels, height, width)` maps to maps of the same shape."""
        return super().forward(input.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class SmallConvNeXt(nn.Module):
    """A stem and four stages, `stage1` to `stage4`, between which maps are halved.

    Stem and halvings are convolutions that overlap: with patches of 4x4 and 2x2 pixels, which do not, it
    learns much less from a few thousand small pictures (Xiao et al., 2021, "Early convolutions").

    Args:
        num_classes: Number of classes.
        width: Channels of the first stage; the others have 2, 4 and 8 times as many.
    """

    def __init__(self, num_classes: int, width: int = 24) -> None:
        super().__init__()
        channels, half = [width, width, 2 * width, 4 * width, 8 * width], max(1, width // 2)
        self.stem = nn.Sequential(
            nn.Conv2d(3, half, 3, 2, 1), nn.GELU(), nn.Conv2d(half, width, 3, 2, 1), ChannelNorm(width)
        )
        for number, (before, after) in enumerate(pairwise(channels), start=1):
            smaller = [ChannelNorm(before), nn.Conv2d(before, after, 3, 2, 1)] if number > 1 else []
            self.add_module(f"stage{number}", nn.Sequential(*smaller, ConvNeXtBlock(after)))
        self.norm = nn.LayerNorm(channels[-1])
        self.head = nn.Linear(channels[-1], num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Maps `(batch, 3, height, width)` images to `(batch, classes)` logits."""
        x = self.stem(x)
        for number in range(1, 5):
            x = self.get_submodule(f"stage{number}")(x)
        logits: Tensor = self.head(self.norm(x.mean((2, 3))))
        return logits


@dataclass(frozen=True)
class Kind:
    """A kind of network.

    Attributes:
        title: For people.
        make: From the number of classes, a width and the side of the pictures to a network.
        layers: Layers that are looked at, shallow ones first.
        learning_rate: Peak rate that it learns well with.
        adaptive: By AdamW, as it has no batch norms; else by SGD.
        share: Of the story's width that its first stage has, so that all kinds cost about the same.
        batch: Of the story's batch that a step takes: smaller ones for what learns slowly.
    """

    title: str
    make: Callable[[int, int, int], nn.Module]
    layers: tuple[str, ...]
    learning_rate: float
    adaptive: bool
    share: float
    batch: float = 1.0

    def build(self, num_classes: int, width: int, size: int) -> nn.Module:
        """A network with random weights."""
        return self.make(num_classes, max(2, round(self.share * width)), size)


_STAGES = ("stage1", "stage2", "stage3", "stage4")


def _make_vgg(num_classes: int, width: int, size: int) -> nn.Module:  # noqa: ARG001 (any size will do)
    return SmallVGG(num_classes, width)


def _make_convnext(num_classes: int, width: int, size: int) -> nn.Module:  # noqa: ARG001
    return SmallConvNeXt(num_classes, width)


KINDS: Mapping[str, Kind] = {
    "vgg": Kind("VGG-like", _make_vgg, _STAGES, 0.002, True, 0.75),
    "resnet": Kind("ResNet-like", SmallResNet, ("layer1", "layer2", "layer3", "layer4"), 0.1, False, 1.0),
    "convnext": Kind("ConvNeXt-like", _make_convnext, _STAGES, 0.002, True, 1.5, 0.25),
}
BASE = "vgg"
"""As in the papers, whose base model is a VGG16."""
