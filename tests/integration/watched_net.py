"""A small network that is watched, and detectors that take their time or promise too much."""

import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from torch import Tensor, nn

import conceptmon_tb as cm
from conceptmon_tb.training_state import is_beside_training


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.BatchNorm2d(8), nn.ReLU())
        self.dropout = nn.Dropout(0.3)
        self.head = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.dropout(self.features(x).mean(dim=(2, 3))))


class Patient(cm.ClipDissect):
    """A detector that takes its time, and fails when it is told to; `seconds` only beside a training."""

    def __init__(self, seconds: float = 0.0) -> None:
        super().__init__("cos_cubed")
        self.seconds, self.fails, self.calls_beside = seconds, False, 0

    def detect(self, *args: object, **options: object) -> object:
        if is_beside_training():
            self.calls_beside += 1
            with ThreadPoolExecutor(1) as pool:  # scoring uses pools too; Python closes them when it ends
                pool.submit(time.sleep, self.seconds).result()
                pool.submit(int).result()
        if self.fails:
            raise ValueError("no concept today")
        return super().detect(*args, **options)


class Drawing(cm.ClipDissect):
    """A detector that promises too much."""

    def detect(self, *args: object, **options: object) -> object:
        torch.rand(1)
        return super().detect(*args, **options)


@cache
def world() -> cm.ProbeSet:
    return cm.ProbeSet.world(120, size=32)


@cache
def world_with_masks() -> cm.MaskedProbe:
    return cm.MaskedProbe.world(40, size=32)


def watch(detector: object = None, probe: cm.ProbeSet | None = None, layers: object = "features") -> object:
    return cm.ConceptMonitor(layers, probe or world(), detector=detector, anchors=["dog"], progress=False)


@pytest.fixture
def net() -> Net:
    torch.manual_seed(0)
    return Net()


def shake(net: Net) -> None:
    with torch.no_grad():
        for weight in net.parameters():
            weight.add_(torch.randn(weight.shape))


def contents(folder: Path) -> list[tuple[int, dict[str, bytes]]]:
    """Step and values of every event, but for what is a matter of time."""
    events = [e for file in sorted(folder.glob("*tfevents*")) for e in EventFileLoader(str(file)).Load()]
    return [
        (
            event.step,
            {v.tag: v.SerializeToString() for v in event.summary.value if v.tag != "concepts/seconds"},
        )
        for event in events
        if event.HasField("summary")
    ]
