"""A small network and what its layers answer, by a hook and a mean of the tests' own."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from conceptmon_tb.activations import collect_activations

IMAGES = 10


class Block(nn.Module):
    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, 3, padding=1)
        self.norm = nn.BatchNorm2d(channels_out)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.norm(self.conv(x)))


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = Block(3, 5), Block(5, 6)
        self.dropout, self.head = nn.Dropout(0.5), nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.dropout(self.b(self.a(x)).mean((2, 3))))


def make_net() -> Net:
    """Random weights, and statistics that are not those of a fresh network; in training mode."""
    torch.manual_seed(0)
    net = Net()
    net.b.norm.running_mean.uniform_(-1, 1)
    return net


def make_images() -> Tensor:
    """`(10, 3, 8, 8)` around 0."""
    return torch.rand(IMAGES, 3, 8, 8, generator=torch.Generator().manual_seed(1)) - 0.5


def eager_answer(model: nn.Module, layer: str, images: Tensor) -> npt.NDArray[np.float64]:
    """`(images, neurons)` of a plain model, by a hook and a mean of this test's own."""
    model, seen = copy.deepcopy(model).eval(), []
    model.get_submodule(layer).register_forward_hook(lambda _m, _i, output: seen.append(output.clone()))
    with torch.no_grad():
        model(images)
    answer = seen[-1].double().numpy()
    return answer.reshape(*answer.shape[:2], -1).mean(axis=2)


def answer(model: nn.Module, layer: str, images: Tensor, **options: Any) -> npt.NDArray[np.float32]:
    """The same by `collect_activations`, of the model as it is."""
    return collect_activations(model, [layer], images.split(4), IMAGES, **options)[layer].values.numpy()


def run(model: nn.Module, images: Tensor) -> nn.Module:
    """Let a model be compiled for what a training does with it, and leave its statistics as they were."""
    statistics = copy.deepcopy(model.state_dict())
    model.train()(images).sum().backward()
    with torch.no_grad():
        model.eval()(images)
    model.load_state_dict(statistics)
    return model.train()
