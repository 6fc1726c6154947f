"""Runs of a real monitor in a real TensorBoard, in both loading modes."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

import conceptmon_tb as cm
from conceptmon_tb.metadata import unpack_payload
from tests.servers import Corner

LOADERS = ("--load_fast=true", "--load_fast=false")
LAYERS = ["block.first", "слой"]


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.block = nn.Module()
        self.block.first = nn.Conv2d(3, 6, 3, 2)
        self.add_module("слой", nn.Conv2d(6, 5, 3, 2))

    def forward(self, x: Tensor) -> Tensor:
        return self.get_submodule("слой")(self.block.first(x))


@cache
def make_monitor() -> cm.ConceptMonitor:
    probe = cm.ProbeSet.world(60, size=32)
    return cm.ConceptMonitor(LAYERS, probe, detector=cm.ClipDissect("cos_cubed"), progress=False)


def make_net(seed: int) -> Net:
    torch.manual_seed(seed)
    return Net()


def scalar_tags(server: Corner) -> set[str]:
    tags = json.loads(server.fetch_any("/data/plugin/scalars/tags")[1])
    return set(tags.get(f"{server.folder.name}/run", {}))


def steps(server: Corner) -> dict[str, list[int]]:
    layers = server.runs().get("run", {"layers": {}})["layers"]
    return {layer: content["steps"] for layer, content in layers.items()}


@pytest.mark.parametrize("loader", LOADERS)
def test_a_plain_writers_run_shows_concepts_and_its_own_scalars(corner, loader: str) -> None:
    server, monitor = corner(loader), make_monitor()
    with SummaryWriter(str(server.folder / "run")) as writer:
        for epoch in range(3):
            writer.add_scalar("loss/train", 1 / (epoch + 1), epoch)
            cm.add_concepts(writer, monitor.observe(make_net(epoch)), global_step=epoch, images=monitor.probe)
    server.wait_for(lambda: steps(server) == {layer: [0, 1, 2] for layer in LAYERS})
    server.wait_for(lambda: "loss/train" in scalar_tags(server))
    assert {"concepts/block.first/d_anchor", "concepts/слой/d_anchor"} <= scalar_tags(server)
    points = server.json("/data/plugin/scalars/scalars", tag="concepts/слой/d_anchor", run="run")
    expected = [monitor.observe(make_net(epoch))["слой"].anchor_distance for epoch in range(3)]
    assert [point[2] for point in points] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("loader", LOADERS)
def test_a_resumed_run_shows_the_second_sessions_concepts(corner, tmp_path: Path, loader: str) -> None:
    server, monitor = corner(loader), make_monitor()
    with cm.ConceptWriter(tmp_path / "run", monitor=monitor, strict=True) as writer:
        for epoch in range(4):
            writer.add_scalar("loss/train", epoch, epoch)
            writer.add_concepts(make_net(epoch), epoch)
    with cm.ConceptWriter(tmp_path / "run", monitor=monitor, strict=True, purge_step=2) as writer:
        writer.add_scalar("loss/train", 20, 2)
        writer.add_concepts(make_net(20), 2)
    server.folder.mkdir()
    (tmp_path / "run").rename(server.folder / "run")  # both sessions at once
    server.wait_for(lambda: steps(server) == {layer: [0, 1, 2] for layer in LAYERS})
    answer = unpack_payload(server.fetch("layer", run="run", layer="слой")[1])
    expected = monitor.observe(make_net(20))["слой"].concept_ids
    np.testing.assert_array_equal(answer.arrays["concept_ids"][2], expected)
    points = server.json("/data/plugin/scalars/scalars", tag="loss/train", run="run")
    assert [point[1:] for point in points] == [[0, 0.0], [1, 1.0], [2, 20.0]]
