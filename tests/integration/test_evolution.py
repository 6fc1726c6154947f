"""A semantic space in trainings: no trace in them, the same log live and later, one map for all networks."""

from __future__ import annotations

import runpy
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from torch import nn

import conceptmon_tb as cm
from conceptmon_tb.cli import main
from conceptmon_tb.metadata import unpack_payload
from conceptmon_tb.plugin.answers import Answers
from conceptmon_tb.plugin.source import Source
from tests import loops

EXAMPLE = Path(__file__).parents[2] / "demo" / "examples" / "evolution.py"
LAYERS = ["first", "second"]


@cache
def space() -> cm.SemanticSpace:
    torch.manual_seed(7)
    settings = cm.SpaceSettings(k=5, dim=6, layout="pca")
    return cm.fit_semantic_space(loops.Net(), LAYERS, loops.probe(), settings=settings, progress=False)


def make_monitor(path: Path) -> cm.SemanticSpaceMonitor:
    space().save(path)
    return cm.SemanticSpaceMonitor(
        LAYERS, loops.probe(), path, strict=True, progress=False, threshold_level=0.05
    )


def train(folder: Path, monitor: cm.ConceptMonitor | None, *, asynchronous: bool) -> loops.FinalState:
    """Three epochs, with a checkpoint of each."""
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002 (the global stream is what is watched)
    net = loops.Net()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    with cm.ConceptWriter(folder / "run", monitor=monitor, asynchronous=asynchronous, alerts=False) as writer:
        for epoch in range(loops.EPOCHS):
            for images, labels in loops.loader():
                optimizer.zero_grad()
                nn.functional.cross_entropy(net(images), labels).backward()
                optimizer.step()
            torch.save(net.state_dict(), folder / f"epoch{epoch}.pt")
            if monitor is not None:
                writer.add_concepts(net, epoch)
    return loops.final_state(net, optimizer)


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_training_that_is_watched_is_bit_for_bit_the_same(asynchronous: bool, tmp_path: Path) -> None:
    (tmp_path / "alone").mkdir()
    (tmp_path / "watched").mkdir()
    alone = train(tmp_path / "alone", None, asynchronous=asynchronous)
    monitor = make_monitor(tmp_path / "space")
    watched = train(tmp_path / "watched", monitor, asynchronous=asynchronous)
    assert [key for key in alone if alone[key] != watched[key]] == []
    assert cm.read_run(tmp_path / "watched" / "run").steps == (0, 1, 2)


def test_the_log_is_the_same_live_and_from_checkpoints_and_the_plugin_reads_it(tmp_path: Path) -> None:
    monitor = make_monitor(tmp_path / "space")
    train(tmp_path, monitor, asynchronous=False)
    again = make_monitor(tmp_path / "space")
    cm.backfill(tmp_path / "*.pt", loops.Net, again, tmp_path / "later")
    live, later = cm.read_run(tmp_path / "run"), cm.read_run(tmp_path / "later")
    assert live.space.fingerprint == later.space.fingerprint == space().concept_space().fingerprint
    assert live.space.encoder == "ConceptEvo Net"
    for layer in LAYERS:
        for step in (0, 1, 2):
            ours, theirs = live.snapshots[layer][step], later.snapshots[layer][step]
            for name in ("embedding", "position", "concept_ids", "displacement", "valid", "top_patches"):
                np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name), err_msg=name)
    assert live.images is not None

    multiplexer = EventMultiplexer({"run": str(tmp_path / "run")}).Reload()
    source = Source(MultiplexerDataProvider(multiplexer, str(tmp_path)))
    answer = unpack_payload(Answers().layer(source, "run", "second")).arrays
    last = live.snapshots["second"][2]
    np.testing.assert_array_equal(answer["position"][-1], last.position)
    np.testing.assert_array_equal((answer["flags"][-1] & 2) > 0, last.valid)
    assert np.isfinite(last.position[last.valid]).all()


def test_the_command_line_backfills_in_a_space(tmp_path: Path) -> None:
    probe = cm.ProbeSet.world(30)
    torch.manual_seed(7)
    settings = cm.SpaceSettings(k=5, dim=6, layout="pca")
    made = cm.fit_semantic_space(loops.Net(), LAYERS, probe, settings=settings, progress=False)
    made.save(tmp_path / "space")
    torch.save(loops.Net().state_dict(), tmp_path / "epoch3.pt")
    command = f"backfill --checkpoints {tmp_path}/*.pt --model tests.loops:Net --layers first --max-images 30"
    assert main([*command.split(), "--space", f"{tmp_path}/space", "--logdir", f"{tmp_path}/run"]) == 0
    run = cm.read_run(tmp_path / "run")
    assert run.steps == (3,)
    assert run.space.fingerprint == made.concept_space().fingerprint


def test_the_example_puts_two_kinds_of_network_on_one_map(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(EXAMPLE.read_text(encoding="utf-8").splitlines()) <= 40
    monkeypatch.setattr(sys, "argv", ["evolution", "--logdir", str(tmp_path)])
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    resnet, plain = (cm.read_run(tmp_path / name) for name in ("resnet", "plain"))
    assert resnet.steps == plain.steps == (0, 1, 2)
    assert resnet.space.fingerprint == plain.space.fingerprint
    assert list(plain.snapshots) == ["1", "3"]
    assert plain.snapshots["3"][2].valid.mean() > 0.5
    assert plain.space.projection == "umap+shepard15"
