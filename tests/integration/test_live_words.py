"""Typed words in a real TensorBoard, placed by the real bundled encoder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import conceptmon_tb as cm
from conceptmon_tb.projection import ConceptMap
from tests.servers import TensorBoardServer

KNOWN = "red car"


@pytest.mark.parametrize("loader", ["--load_fast=true", "--load_fast=false"])
def test_a_typed_word_lands_where_the_encoder_puts_it(tmp_path: Path, tensorboard, loader: str) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 6, 3, 2))
    probe = cm.ProbeSet.world(60, size=32)
    monitor = cm.ConceptMonitor(["0"], probe, detector=cm.ClipDissect("cos_cubed"), progress=False)
    with cm.ConceptWriter(tmp_path / "run", monitor=monitor, strict=True) as writer:
        for epoch in range(2):
            writer.add_concepts(model, epoch)
    server = tensorboard(tmp_path, loader)
    server.wait_for(lambda: _steps(server) == [0, 1])

    status, body, _ = server.fetch("anchor", run="run", word=KNOWN)
    assert (status, json.loads(body)) == (202, {"status": "loading"})
    assert server.fetch("runs")[0] == 200  # nobody waits for the encoder
    answer = server.wait_for(lambda: _placed(server), 60)

    space = monitor.space
    embedding = cm.WorldEncoder().encode_text([KNOWN]).numpy()
    expected = ConceptMap.from_positions(space.text_embedding, space.position).project(embedding)[0]
    assert answer["kind"] == "typed"
    np.testing.assert_allclose(answer["position"], expected, atol=0.02)

    told = server.json("distances", run="run", layer="0", word=KNOWN)["words"][0]
    nearest = np.linalg.norm(monitor.observe(model)["0"].embedding - embedding, axis=1)
    assert told["distance"] == pytest.approx([nearest.min()] * 2, abs=5e-3)

    status, body, _ = server.fetch("anchor", run="run", word="parliament")
    assert (status, json.loads(body)["code"]) == (404, "vocabulary")


def _steps(server: TensorBoardServer) -> list[int]:
    return server.runs().get("run", {"layers": {}})["layers"].get("0", {"steps": []})["steps"]


def _placed(server: TensorBoardServer):
    status, body, _ = server.fetch("anchor", run="run", word=KNOWN)
    assert status in (200, 202), body
    return json.loads(body) if status == 200 else None
