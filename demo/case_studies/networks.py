"""The networks of the studies; all have stages `layer1` to `layer4`."""

from __future__ import annotations

from torch import nn

from demo.network import SmallResNet

LAYERS = ("layer2", "layer3", "layer4")


def make_network(num_classes: int, image_size: int, width: int) -> nn.Module:
    """A network with random weights.

    Args:
        num_classes: Outputs.
        image_size: Side of the pictures in pixels.
        width: Channels of the first stage of the demo's small residual network; 0 for a ResNet-18, with the
            usual small stem (3 x 3, no pooling) for pictures of up to 64 pixels.
    """
    if width:
        return SmallResNet(num_classes, width, image_size)
    from torchvision.models import resnet18  # slow to import, and only needed at full scale

    network: nn.Module = resnet18(num_classes=num_classes)
    if image_size <= 64:
        network.conv1 = nn.Conv2d(3, 64, 3, 1 if image_size <= 32 else 2, 1, bias=False)
        network.maxpool = nn.Identity()
    return network


def head_of(network: nn.Module) -> nn.Linear:
    """The last linear layer: `head` of the small network, `fc` of a ResNet-18."""
    head = getattr(network, "head", None) or network.fc
    assert isinstance(head, nn.Linear)
    return head


def replace_head(network: nn.Module, num_classes: int) -> None:
    """Give a network a fresh linear layer for another task (thesis section A.4)."""
    fresh = nn.Linear(head_of(network).in_features, num_classes)
    setattr(network, "head" if hasattr(network, "head") else "fc", fresh)
