"""A training with monitoring is bit for bit the training without, however odd the training is."""

import pickle
import random
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import conceptmon_tb as cm


class Net(nn.Module):
    """Everything that a forward may alter: running statistics, random numbers, power iterations."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 6, 3, 2)
        self.norm = nn.BatchNorm2d(6)
        self.noise = nn.Sequential(nn.Dropout(0.3), nn.RReLU())
        self.second = nn.Conv2d(6, 8, 3, 2)
        self.head = nn.utils.parametrizations.spectral_norm(nn.Linear(8, 4))
        self.fails = False

    def forward(self, x: Tensor) -> Tensor:
        x = self.noise(self.norm(self.first(x)))
        if self.fails:
            raise RuntimeError("the forward broke")
        return self.head(self.second(x).mean((2, 3)))


def plain(net: Net) -> nn.Module:
    return net


def with_cumulative_statistics(net: Net) -> nn.Module:
    net.norm.momentum = None
    return net


def with_hooks_of_its_own(net: Net) -> nn.Module:
    net.second.register_forward_hook(lambda module, inputs, output: output * 1.5)
    net.first.register_forward_pre_hook(lambda module, inputs: (inputs[0] + 0.1,))
    return net


def partly_frozen(net: Net) -> nn.Module:
    net.first.requires_grad_(False)
    net.norm.eval()
    return net


def compiled(net: Net) -> nn.Module:
    return torch.compile(net, backend="eager")


def state(net: Net) -> bytes:
    """Everything that a training goes on from."""
    return pickle.dumps(
        [
            [tensor.numpy().tobytes() for tensor in net.state_dict().values()],
            [None if p.grad is None else p.grad.numpy().tobytes() for p in net.parameters()],
            [p.requires_grad for p in net.parameters()],
            [(m.training, len(m._forward_hooks), len(m._forward_pre_hooks)) for m in net.modules()],
            torch.get_rng_state().numpy().tobytes(),
            np.random.get_state()[1].tobytes(),  # noqa: NPY002 (the global stream is what is watched)
            random.getstate(),
            torch.is_grad_enabled(),
            torch.is_autocast_enabled("cpu"),
        ]
    )


@cache
def probe() -> cm.ProbeSet:
    return cm.ProbeSet.world(30, size=32)


def train(prepare: Callable[[Net], nn.Module], folder: Path | None, fails: bool, workers: int) -> bytes:
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002
    random.seed(0)
    net = Net()
    if folder is not None:
        detector = cm.ClipDissect("cos_cubed")
        monitor = cm.ConceptMonitor(["first", "second"], probe(), detector=detector, progress=False)
        writer = cm.ConceptWriter(folder, monitor=monitor)

    def look(step: int) -> None:
        if folder is None:
            return
        net.fails, before = fails, state(net)
        writer.add_concepts(model, step)
        net.fails = False
        assert state(net) == before

    model = prepare(net)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    data = TensorDataset(torch.rand(16, 3, 32, 32), torch.randint(0, 4, (16,)))
    for epoch in range(2):
        for batch, (images, labels) in enumerate(DataLoader(data, 8, shuffle=True, num_workers=workers)):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                loss = nn.functional.cross_entropy(model(images).float(), labels)
                look(10 * epoch + batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        look(10 * epoch + 9)
    if folder is not None:
        writer.close()
    return state(net)


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize(
    "prepare", [plain, with_cumulative_statistics, with_hooks_of_its_own, partly_frozen, compiled]
)
def test_monitoring_leaves_no_trace_in_a_training(
    tmp_path: Path, prepare: Callable[[Net], nn.Module], fails: bool
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert train(prepare, tmp_path, fails, 0) == train(prepare, None, False, 0)


def test_monitoring_leaves_no_trace_beside_loader_workers(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert train(plain, tmp_path, False, 2) == train(plain, None, False, 2)
