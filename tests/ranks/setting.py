"""What all ranks train and look with: a small network that can fail, pictures, monitors."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
import torch.distributed as dist
from PIL import Image
from torch import Tensor, nn
from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard
from torch.nn.parallel import DistributedDataParallel

import conceptmon_tb as cm
from conceptmon_tb.masks import WorldMasks
from conceptmon_tb.world import WorldDataset

LAYERS = ["first", "second"]
IMAGES, BATCH, SIZE = 36, 8, 24  # five batches, the last one shorter: two ranks run two and three
ARRAYS = (
    *("embedding", "concept_ids", "similarity", "interpretable", "valid", "position", "top_images"),
    *("displacement", "top_patches", "explanation_ids", "explanation_weights", "num_concepts"),
)
MODELS = ("plain", "ddp", "fsdp1", "fsdp2")


class Net(nn.Module):
    """Small, with statistics that drift apart between ranks, and able to fail."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 6, 3, 2)
        self.norm = nn.BatchNorm2d(6)
        self.second = nn.Conv2d(6, 10, 3, 2)
        self.head = nn.Linear(10, 4)
        self.fails = False

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.first(x)).relu()
        if self.fails:
            raise ArithmeticError("the forward broke")
        return self.head(self.second(x).relu().mean((2, 3)))


class Pictures:
    """Pictures of the world, of which one may not be readable."""

    def __init__(self) -> None:
        self.broken: int | None = None

    def __len__(self) -> int:
        return IMAGES

    def __getitem__(self, index: int) -> Image.Image:
        if index == self.broken:
            raise OSError(f"picture {index} cannot be read")
        return drawn()[index]


@cache
def drawn() -> list[Image.Image]:
    return [*cm.ProbeSet.world(IMAGES, size=SIZE).pictures()]


@cache
def make_probe(batch_size: int = BATCH) -> cm.MaskedProbe:
    masks = WorldMasks(WorldDataset(IMAGES, 1_000_003, size=SIZE))
    return cm.MaskedProbe(drawn(), masks, cm.ConceptSet.world(), batch_size=batch_size)


def rank() -> int:
    return dist.get_rank()


def make_net(seed: int = 0) -> Net:
    torch.manual_seed(seed)
    return Net()


def wrap(net: Net, kind: str) -> nn.Module:
    cpu = torch.device("cpu")
    if kind == "ddp":
        return DistributedDataParallel(net)
    if kind == "fsdp1":
        net.second = FullyShardedDataParallel(net.second, device_id=cpu, use_orig_params=True)
        return FullyShardedDataParallel(net, device_id=cpu, use_orig_params=True)
    if kind == "fsdp2":
        fully_shard(net.second)
        fully_shard(net)
    return net


def make_monitor(**options: Any) -> cm.ConceptMonitor:
    settings = {
        "probe": make_probe(),
        "detector": cm.ClipDissect(num_null=100),
        "progress": False,
        "strict": True,
    }
    return cm.ConceptMonitor(LAYERS, **(settings | options))


def detectors() -> dict[str, Any]:
    return {"clip-dissect": cm.ClipDissect(num_null=100), "dissection": cm.NetworkDissection(num_null=100)}


def tell(snapshots: dict[str, cm.ConceptSnapshot]) -> dict[str, Any]:
    """Everything of snapshots that is compared."""
    told: dict[str, Any] = {}
    for layer, snapshot in snapshots.items():
        told |= {f"{layer}.{name}": getattr(snapshot, name) for name in ARRAYS}
        told |= {f"{layer}.d_anchor": snapshot.anchor_distance, f"{layer}.threshold": snapshot.threshold}
        told[f"{layer}.space"] = snapshot.space.fingerprint
    return told


def error_of(act: Callable[[], object]) -> tuple[str, str, float]:
    """Type and text of what something raises, and how many seconds it took."""
    began = time.monotonic()
    try:
        act()
    except BaseException as error:  # noqa: BLE001  # Ctrl-C too
        return type(error).__name__, str(error), time.monotonic() - began
    return "", "", time.monotonic() - began
