"""What ranks see together, and what that leaves of the training; each function is one scenario."""

from __future__ import annotations

import pickle
import random
import warnings
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from torch.utils.tensorboard import SummaryWriter

import conceptmon_tb as cm
from conceptmon_tb.detectors import Detection
from tests.ranks.setting import (
    BATCH,
    LAYERS,
    MODELS,
    SIZE,
    Pictures,
    detectors,
    drawn,
    make_monitor,
    make_net,
    make_probe,
    rank,
    tell,
    wrap,
)


class Lengths:
    """A detector whose scan cannot be put together: it is not told of ranks."""

    name, default_temperature = "lengths", 1.0

    def describe(self) -> str:
        return self.name

    def check(self, probe: Any, concepts: Any) -> None:
        pass

    def scan(self, reference: Any) -> Any:
        return LengthScan()

    def detect(self, layer: str, activations: Tensor, reference: Any, scan: Any) -> Detection:
        similarity = scan.total[layer][:, None] * torch.arange(1.0, 1.0 + len(reference.concepts))
        return Detection(similarity, lambda level, seed: 0.0)


class LengthScan:
    passes = 1

    def __init__(self) -> None:
        self.total: dict[str, Tensor] = {}

    def update(self, layer: str, maps: Tensor, start: int) -> None:
        self.total[layer] = self.total.get(layer, 0) + maps.square().sum((0, 2, 3))

    def end_pass(self) -> None:
        pass


def labels(folder: Path) -> dict[str, Any]:
    """Every kind of model under every kind of detector, on all ranks and in one process."""
    told: dict[str, Any] = {}
    for name, detector in detectors().items():
        for kind in MODELS:
            net, alone = make_net(), make_net()
            model = wrap(net, kind)
            if kind == "ddp":  # after a step the running statistics are each rank's own
                with torch.no_grad():
                    model(torch.full((4, 3, SIZE, SIZE), float(rank())))
                alone.load_state_dict(net.state_dict())
            monitor = make_monitor(detector=detector)
            ours = tell(monitor.observe(model))
            theirs = tell(make_monitor(detector=detector, distributed=False).observe(alone))
            told[f"{name} {kind}"] = ours, theirs
    return told


def few_batches(folder: Path) -> dict[str, Any]:
    """One batch for two ranks."""
    told: dict[str, Any] = {}
    for name, detector in detectors().items():
        probe = make_probe(100)
        ours = make_monitor(probe=probe, detector=detector).observe(wrap(make_net(), "fsdp2"))
        theirs = make_monitor(probe=probe, detector=detector, distributed=False).observe(make_net())
        told[name] = tell(ours), tell(theirs)
    return told


def reads(folder: Path) -> list[int]:
    """Which pictures each rank turns into inputs of the model."""
    decoded: list[int] = []

    def transform(picture: Image.Image) -> Tensor:
        tensor = torch.from_numpy(np.asarray(picture, np.float32).transpose(2, 0, 1) / 255)
        decoded.extend(i for i, known in enumerate(drawn()) if known.tobytes() == picture.tobytes())
        return tensor

    probe = cm.ProbeSet(Pictures(), transform, batch_size=BATCH)
    monitor = make_monitor(probe=probe)
    monitor.space  # noqa: B018
    decoded.clear()
    monitor.collect(make_net())
    return sorted(set(decoded))


def epochs(folder: Path) -> dict[str, Any]:
    """Displacement over two epochs of DDP, and what is written where."""
    net = make_net()
    model = wrap(net, "ddp")
    monitor, alone = make_monitor(), make_monitor(distributed=False)
    own = folder / f"run{rank()}"
    theirs = []
    with cm.ConceptWriter(own, monitor=monitor) as writer:
        writer.add_scalar("loss", 0.5, 0)
        writer.add_scalars("losses", {"a": 1.0}, 0)
        writer.add_hparams({"rate": 0.1}, {"loss": 0.5})
        writer.add_text("note", "hello")
        writer.add_image("picture", torch.zeros(3, 4, 4))
        for epoch in range(2):
            writer.add_concepts(model, epoch)
            theirs.append(tell(alone.observe(net)))
            with torch.no_grad():
                for parameter in net.parameters():
                    parameter.mul_(1.1).add_(0.05)
        writer.flush()
    told: dict[str, Any] = {"theirs": theirs}
    if rank() == 0:
        told["ours"] = [cm.read_run(own).snapshots[layer][1].displacement for layer in LAYERS]
        told["theirs"] = [theirs[1][f"{layer}.displacement"] for layer in LAYERS]
    return told


def train(kind: str, when: str) -> dict[str, bytes]:
    """Train for three steps and look at the model now and then, or never; everything that it goes on from."""
    np.random.seed(rank())  # noqa: NPY002 (the global stream is what is watched)
    random.seed(rank())
    net = make_net()
    model = wrap(net, kind)
    torch.manual_seed(10 + rank())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    monitor = make_monitor()

    def look(now: str) -> None:
        if when == now:
            monitor.collect(model)

    for _ in range(3):
        look("start")
        loss = F.cross_entropy(model(torch.rand(4, 3, SIZE, SIZE)), torch.randint(0, 4, (4,)))
        look("before backward")
        optimizer.zero_grad()
        loss.backward()
        look("before step")
        optimizer.step()
    state = {name: _bytes(p) for name, p in [*model.named_parameters(), *model.named_buffers()]}
    state |= {f"{name}.grad": _bytes(p.grad) for name, p in model.named_parameters() if p.grad is not None}
    hooks = [(len(m._forward_hooks), len(m._forward_pre_hooks), m.training) for m in model.modules()]
    numbers = np.random.get_state()[1].tobytes()  # noqa: NPY002
    streams = torch.get_rng_state().numpy().tobytes(), numbers, random.getstate()
    return state | {"streams": pickle.dumps(streams), "hooks": pickle.dumps(hooks)}


def _bytes(tensor: Tensor) -> bytes:
    whole = tensor.to_local() if hasattr(tensor, "to_local") else tensor
    return whole.detach().numpy().tobytes()


def harmless(folder: Path) -> dict[str, Any]:
    told = {}
    for kind in MODELS[1:]:
        never = train(kind, "never")
        for when in ("start", "before backward", "before step"):
            looked = train(kind, when)
            told[f"{kind} {when}"] = [name for name in never if looked[name] != never[name]]
    return told


def different(folder: Path) -> dict[str, Any]:
    """Weights that are not the same on all ranks; a scan that cannot be put together."""
    net = make_net(seed=rank())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ours = tell(make_monitor().observe(net))
    told = {
        "ours": ours,
        "theirs": tell(make_monitor(distributed=False).observe(net)),
        "warnings": [str(w.message) for w in caught if w.category is RuntimeWarning],
    }
    scanned = make_monitor(detector=Lengths(), explain=False).observe(make_net())
    alone = make_monitor(detector=Lengths(), explain=False, distributed=False).observe(make_net())
    return told | {"scanned": (tell(scanned), tell(alone))}


def groups(folder: Path) -> dict[str, Any]:
    """Process groups given by hand, and trainings one after the other in one process."""
    net, theirs = make_net(), tell(make_monitor(distributed=False).observe(make_net()))
    both, first = dist.new_group([1, 0]), dist.new_group([0])
    told: dict[str, Any] = {"both": (tell(make_monitor(distributed=both).observe(net)), theirs)}
    if rank() == 0:
        told["first"] = tell(make_monitor(distributed=first).observe(net)), theirs
    before = dist.distributed_c10d._world.group_count
    monitor = make_monitor()
    monitor.observe(net)
    monitor.observe(net)
    told["groups made"] = dist.distributed_c10d._world.group_count - before
    dist.barrier()
    number, size, keys = rank(), dist.get_world_size(), dist.group.WORLD.get_group_store()
    told["keys"] = [keys.check([f"conceptmon_tb/{n}/{name}"]) for n in range(9) for name in ("count", "left")]
    dist.destroy_process_group()
    told["destroyed"] = tell(monitor.observe(net))["second.concept_ids"], theirs["second.concept_ids"]
    # In another store: torch's own does not forget where the ranks were before.
    store = dist.FileStore(str(folder / "store"), size)
    dist.init_process_group("gloo", store=store, rank=number, world_size=size, timeout=timedelta(seconds=60))
    told["anew"] = tell(make_monitor().observe(net)), theirs
    told["same monitor anew"] = tell(monitor.observe(net))["second.concept_ids"], theirs["second.concept_ids"]
    return told


def plain_writer(folder: Path) -> dict[str, Any]:
    """A SummaryWriter of torch on rank 0, as in many loops."""
    snapshots = make_monitor().observe(make_net())
    if rank() == 0:
        with SummaryWriter(str(folder / "plain")) as writer:
            cm.add_concepts(writer, snapshots, 0)
        return {"steps": list(cm.read_run(folder / "plain").steps)}
    return {}
