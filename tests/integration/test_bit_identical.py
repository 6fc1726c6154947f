"""Three epochs with monitoring end bit for bit as three epochs without, in every loop that is supported.

Weights, buffers, gradients, the optimiser's state, modes, hooks and the random streams of Python, NumPy and
torch are compared. The loops of libraries are in `tests/loops.py`; here are the ways to write one's own.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.checkpoint import checkpoint

import conceptmon_tb as cm
from tests import loops

Training = Callable[[Path, "cm.ConceptMonitor | None"], loops.FinalState]


class OddNet(loops.Net):
    """Whatever else a forward may do: count, remember, normalise weights, compute parts twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.utils.parametrizations.spectral_norm(self.first)
        self.second = nn.utils.weight_norm(self.second)
        self.lookup: dict[str, Tensor] = {}
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        self.lookup["last"] = x.mean().detach()
        x = checkpoint(lambda x: self.noise(self.norm(self.first(x))), x, use_reentrant=False)
        x = self.second(x + 0.01 * self.calls).mean((2, 3))
        return self.head(x * (1 + self.lookup["last"]))


def train_own(
    folder: Path,
    monitor: cm.ConceptMonitor | None,
    net: nn.Module,
    model: nn.Module | None = None,
    *,
    autocast: bool = False,
    after_step: Callable[[], None] = lambda: None,
    watched: nn.Module | None = None,
    asynchronous: bool = False,
) -> loops.FinalState:
    """A loop of one's own, which looks in the middle of a step, between steps and after the epoch."""

    def look() -> None:
        nonlocal looks
        looks += 1
        if monitor is not None:
            writer.add_concepts(model if watched is None else watched, looks)

    model, looks = net if model is None else model, 0
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-3)
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    precision: AbstractContextManager[object] = (
        torch.autocast("cpu", dtype=torch.bfloat16) if autocast else nullcontext()
    )
    with cm.ConceptWriter(folder, monitor=monitor, asynchronous=asynchronous) as writer:
        for _ in range(loops.EPOCHS):
            model.train()
            for batch, (images, labels) in enumerate(loops.loader()):
                with precision:
                    loss = nn.functional.cross_entropy(model(images).float(), labels)
                    if batch == 1:
                        look()
                optimizer.zero_grad()
                scaler.scale(loss).backward()
                scaler.step(optimizer)
                scaler.update()
                after_step()
            look()
    return loops.final_state(net, optimizer)


def plain(folder: Path, monitor: cm.ConceptMonitor | None) -> loops.FinalState:
    return train_own(folder, monitor, loops.Net())


def scored_in_the_background(folder: Path, monitor: cm.ConceptMonitor | None) -> loops.FinalState:
    return train_own(folder, monitor, loops.Net(), asynchronous=True)


def mixed_precision(folder: Path, monitor: cm.ConceptMonitor | None) -> loops.FinalState:
    return train_own(folder, monitor, loops.Net(), autocast=True)


def channels_last(folder: Path, monitor: cm.ConceptMonitor | None) -> loops.FinalState:
    return train_own(folder, monitor, loops.Net().to(memory_format=torch.channels_last))


def compiled(folder: Path, monitor: cm.ConceptMonitor | None) -> loops.FinalState:
    net = loops.Net()
    return train_own(folder, monitor, net, torch.compile(net, backend="eager"))


def compiled_in_place(folder: Path, monitor: cm.ConceptMonitor | None) -> loops.FinalState:
    net = loops.Net()
    net.compile(backend="aot_eager")
    return train_own(folder, monitor, net, autocast=True)


def averaged(folder: Path, monitor: cm.ConceptMonitor | None) -> loops.FinalState:
    net = loops.Net()
    average = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True)
    own = train_own(folder, monitor, net, after_step=lambda: average.update_parameters(net), watched=average)
    return {**own, **{f"average/{k}": v.numpy().tobytes() for k, v in average.state_dict().items()}}


def odd(folder: Path, monitor: cm.ConceptMonitor | None) -> loops.FinalState:
    net = OddNet()
    return {**train_own(folder, monitor, net), "calls": repr(net.calls), "lookup": repr(net.lookup)}


@contextmanager
def process_group(folder: Path) -> Iterator[None]:
    store = torch.distributed.FileStore(str(folder / "store"), 1)
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        yield
    finally:
        torch.distributed.destroy_process_group()


def distributed(folder: Path, monitor: cm.ConceptMonitor | None) -> loops.FinalState:
    with process_group(folder):
        net = loops.Net()
        return train_own(folder, monitor, net, nn.parallel.DistributedDataParallel(net))


def distributed_compiled(folder: Path, monitor: cm.ConceptMonitor | None) -> loops.FinalState:
    with process_group(folder):
        net = loops.Net()
        ddp = nn.parallel.DistributedDataParallel(net)
        return train_own(folder, monitor, net, torch.compile(ddp, backend="eager"), autocast=True)


def in_library(loop: str) -> Training:
    return lambda folder, monitor: loops.train(loop, folder, monitor)


OWN: list[Training] = [
    plain,
    scored_in_the_background,
    mixed_precision,
    channels_last,
    compiled,
    compiled_in_place,
    averaged,
    odd,
    distributed,
    distributed_compiled,
]
TRAININGS = {training.__name__: training for training in OWN}
TRAININGS |= {loop: in_library(loop) for loop in loops.LAYERS if loop != "plain"}


@cache
def unmonitored(name: str, folder: Path) -> loops.FinalState:
    return run(name, folder, None)


def run(name: str, folder: Path, monitor: cm.ConceptMonitor | None) -> loops.FinalState:
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002 (the global stream is what is watched)
    random.seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return TRAININGS[name](folder, monitor)


def differing(left: loops.FinalState, right: loops.FinalState) -> list[str]:
    assert left.keys() == right.keys()
    return [key for key in left if left[key] != right[key]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("without")


def broken_forward(model: nn.Module, images: Tensor) -> None:
    """As a model that fails half-way through the probe, having drawn random numbers."""
    model(images)
    torch.rand(3)
    raise RuntimeError("the forward broke")


CASES = [(name, fails) for name in TRAININGS for fails in (False, True)]
CASES.remove(("accelerate", True))  # its loop calls `observe` itself, which raises what fails


@pytest.mark.parametrize(("name", "fails"), CASES)
def test_three_epochs_end_as_without_monitoring(name: str, fails: bool, folder: Path, tmp_path: Path) -> None:
    loop = name if name in loops.LAYERS else "plain"
    options = {"forward": broken_forward, "strict": False} if fails else {}
    seen: list[int] = []
    monitor = loops.make_monitor(loop, **options)
    collect = monitor.collect
    monitor.collect = lambda model: (seen.append(1), collect(model))[1]
    assert differing(run(name, tmp_path, monitor), unmonitored(name, folder / name)) == []
    assert len(seen) >= loops.EPOCHS


def test_a_careless_look_would_be_found(folder: Path, tmp_path: Path) -> None:
    class Careless(cm.ConceptMonitor):
        def collect(self, model: nn.Module) -> object:
            model(torch.rand(4, 3, loops.SIZE, loops.SIZE))
            return super().collect(model)

    careless = Careless(loops.LAYERS["plain"], loops.probe(), detector=cm.ClipDissect("cos_cubed"))
    found = differing(run("plain", tmp_path, careless), unmonitored("plain", folder / "plain"))
    momentum = "optimizer/state/0/momentum_buffer"
    assert {"torch", "model/norm.running_mean", "model/first.weight", momentum} <= {*found}
    assert not {"python", "numpy", "modes"} & {*found}
