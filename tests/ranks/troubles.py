"""Ranks that fail, do not come or end; each function is one scenario."""

from __future__ import annotations

import os
import resource
import warnings
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.fsdp import FullyShardedDataParallel

import conceptmon_tb as cm
from conceptmon_tb.detectors import Detection
from conceptmon_tb.distributed import process_ranks, rendezvous
from tests.ranks.looks import Lengths, LengthScan
from tests.ranks.setting import (
    BATCH,
    IMAGES,
    SIZE,
    Net,
    Pictures,
    drawn,
    error_of,
    make_monitor,
    make_net,
    make_probe,
    rank,
    wrap,
)


class BadSums(Lengths):
    """Its scan can be put together, but not on rank 1."""

    def scan(self, reference: Any) -> Any:
        return _BadScan()


class _BadScan(LengthScan):
    def merge(self, sums: Any) -> None:
        for layer, total in self.total.items():
            self.total[layer] = sums.sum(total)
            if rank() == 1:
                raise ZeroDivisionError("no sum")


class BadScores(cm.ClipDissect):
    """Fails where it scores."""

    def detect(self, *arguments: Any, **options: Any) -> Detection:
        raise LookupError("no score")


def failures(folder: Path) -> dict[str, Any]:
    """What each rank is told when one of them fails, and that all can look again afterwards."""
    told: dict[str, Any] = {}

    def attempt(name: str, act: Callable[[], object]) -> None:
        told[name] = error_of(act)
        told[f"after {name}"] = error_of(lambda: monitor.observe(net))

    monitor, net = make_monitor(), make_net()
    is_one = rank() == 1
    attempt("model", lambda: monitor.observe("no model" if is_one else net))
    attempt("layer", lambda: monitor.observe(nn.Conv2d(3, 6, 3) if is_one else net))
    attempt("everyone", lambda: monitor.observe(nn.Conv2d(3, 6, 3)))
    other = make_net()
    other.fails = is_one
    attempt("forward", lambda: monitor.observe(other))
    attempt("other layers", lambda: make_monitor(tokens="cls" if is_one else "auto").observe(net))
    attempt("other pictures", lambda: make_monitor(probe=_part(rank() * 9)).observe(net))
    attempt("sums", lambda: make_monitor(detector=BadSums()).observe(net))
    attempt("scoring", lambda: make_monitor(detector=BadScores()).observe(net))
    return told


def _part(first: int) -> cm.ProbeSet:
    return cm.ProbeSet(drawn()[first : first + 20], batch_size=BATCH)


def failures_sharded(folder: Path) -> dict[str, Any]:
    """The same where ranks wait for each other inside the forward."""
    told: dict[str, Any] = {}
    net = wrap(make_net(), "fsdp2")
    pictures = Pictures()
    for name, memory in (("reading", 1 << 30), ("reading on the way", 0)):
        pictures.broken = None
        probe = cm.ProbeSet(pictures, batch_size=BATCH, cache_bytes=memory)
        monitor = make_monitor(probe=probe)
        pictures.broken = IMAGES - 8 if rank() == 1 else None
        told[name] = error_of(lambda monitor=monitor: monitor.observe(net))
    told["after reading"] = error_of(lambda: make_monitor().observe(net))
    probe = make_probe()
    dissection = make_monitor(probe=probe, detector=cm.NetworkDissection(num_null=100))
    dissection.observe(net)
    read, probe._kept = probe._read_masks, {}

    def read_masks(number: int) -> Any:
        if rank() == 1:
            raise OSError(f"no masks for {number}")
        return read(number)

    probe._read_masks = read_masks
    told["masks"] = error_of(lambda: dissection.observe(net))
    probe._read_masks = read
    told["after masks"] = error_of(lambda: dissection.observe(net))
    return told


def forward_sharded(folder: Path) -> dict[str, Any]:
    """A forward of a sharded model that fails on one rank only: the others wait for it until their limit."""
    group = dist.new_group(backend="gloo", timeout=timedelta(seconds=4))
    net = make_net()
    net.second = FullyShardedDataParallel(net.second, group, device_id=torch.device("cpu"))
    model = FullyShardedDataParallel(net, group, device_id=torch.device("cpu"))
    net.fails = rank() == 1
    return {"sharded forward": error_of(lambda: make_monitor().observe(model))}


def writing(folder: Path) -> dict[str, Any]:
    """Arguments and files that are wrong on one rank, with and without `strict`."""
    told: dict[str, Any] = {}
    net, bad = make_net(), make_net()
    bad.fails = rank() == 1
    for strict in (True, False):
        run = folder / f"writing{strict}{rank()}"
        with cm.ConceptWriter(run, monitor=make_monitor(strict=False), strict=strict) as writer:
            told[f"step type {strict}"] = error_of(lambda: writer.add_concepts(net, "1" if rank() else 1))
            told[f"other step {strict}"] = error_of(lambda: writer.add_concepts(net, rank()))
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                told[f"forward {strict}"] = error_of(lambda: writer.add_concepts(bad, 1))
                told[f"good {strict}"] = error_of(lambda: writer.add_concepts(net, 2))
                told[f"repeated {strict}"] = error_of(lambda: writer.add_concepts(net, 2))
            told[f"warnings {strict}"] = [str(w.message) for w in caught if w.category is RuntimeWarning]
            told[f"later {strict}"] = error_of(lambda: writer.add_concepts(net, 3))
            if strict:
                told["writing"] = error_of(lambda: write_too_much(writer, net))
            if rank() == 0:
                writer.close()
            told[f"closed {strict}"] = error_of(lambda: writer.add_concepts(net, 9))
    if rank() == 0:
        steps = [list(cm.read_run(folder / f"writing{s}0").steps) for s in (True, False)]
        told["steps"] = steps
    return told


def write_too_much(writer: cm.ConceptWriter, net: Net) -> None:
    """Write when rank 0's files may not grow any more."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    if rank() == 0:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        writer.add_concepts(net, 4)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def one_rank(folder: Path) -> dict[str, Any]:
    """Only rank 0 calls, in the midst of a DDP training that goes on."""
    told: dict[str, Any] = {}
    process_ranks.WAIT_SECONDS, process_ranks.RETRY_SECONDS, rendezvous.WARNING_SECONDS = 1.5, 0.5, 0.2
    model = wrap(make_net(), "ddp")
    with (
        cm.ConceptWriter(folder / "lonely", monitor=make_monitor(), strict=False) as writer,
        warnings.catch_warnings(record=True) as caught,
    ):
        warnings.simplefilter("always")
        for step in range(2):
            if rank() == 0:
                told[f"lonely {step}"] = error_of(lambda step=step: writer.add_concepts(model, step))
            model(torch.rand(4, 3, SIZE, SIZE)).sum().backward()
        if rank() == 1:  # comes too late to every meeting that was given up, and learns so at once
            told["late"] = [error_of(lambda s=s: writer.add_concepts(model, s)) for s in range(2)]
        dist.barrier()
        process_ranks.WAIT_SECONDS, process_ranks.RETRY_SECONDS, rendezvous.WARNING_SECONDS = 60.0, 60.0, 60.0
        told["together"] = error_of(lambda: writer.add_concepts(model, 2))
    told["warnings"] = [str(w.message) for w in caught if w.category is RuntimeWarning]
    if rank() == 0:
        told["steps"] = list(cm.read_run(folder / "lonely").steps)
        told["alone"] = error_of(lambda: make_monitor(distributed=False).observe(model))
    return told


def interrupt(folder: Path) -> dict[str, Any]:
    """Ctrl-C reaches rank 1 only, in the midst of its forward."""
    net = make_net()
    if rank() == 1:
        net.second.register_forward_hook(_interrupt)
    monitor = make_monitor(distributed=dist.new_group(backend="gloo"))
    told = {name: error_of(lambda: monitor.observe(net)) for name in ("interrupt", "again")}
    return told | {"other group": error_of(lambda: make_monitor().observe(make_net()))}


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def death(folder: Path) -> dict[str, Any]:
    """Rank 1 ends in the midst of its forward."""
    net = make_net()
    if rank() == 1:
        net.second.register_forward_hook(lambda *_: os._exit(0))
    monitor = make_monitor()
    return {"death": error_of(lambda: monitor.observe(net)), "again": error_of(lambda: monitor.observe(net))}
