"""The regularizer beside a monitor and a writer, on two ranks, and in its example."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.multiprocessing as mp
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor, distributed
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

import conceptmon_tb as cm
from demo.network import SmallResNet
from tests import loops

EXAMPLE = Path(__file__).parents[2] / "demo" / "examples" / "regularizer.py"
IMAGES = 32


def make_model() -> SmallResNet:
    torch.manual_seed(0)
    return SmallResNet(4, width=4, image_size=16)


def make_batch() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    encoder = cm.WorldEncoder()
    features = F.normalize(torch.randn(IMAGES, encoder.dim, generator=generator), dim=1)
    return torch.rand(IMAGES, 3, 16, 16, generator=generator), torch.arange(IMAGES) % 4, features


def train(
    model: torch.nn.Module,
    diversity: cm.ConceptDiversityLoss,
    batch: tuple[Tensor, Tensor, Tensor],
    writer: cm.ConceptWriter | None = None,
) -> list[Tensor]:
    """Three steps, each interrupted by a look between the forward and the loss, with a writer."""
    images, labels, features = batch
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for step in range(3):
        logits = model(images)
        if writer is not None:
            writer.add_concepts(model, step)
        loss = F.cross_entropy(logits, labels) + diversity(features)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if writer is not None:
            diversity.log(writer, step)
    return [parameter.detach().clone() for parameter in model.parameters()]


def test_regularizer_and_monitor_on_one_layer_do_not_disturb_each_other(tmp_path: Path) -> None:
    encoder, probe = cm.WorldEncoder(), cm.ProbeSet.world(40, size=16)
    alone = make_model()
    with cm.ConceptDiversityLoss(alone, "layer4", encoder=encoder) as diversity:
        expected = train(alone, diversity, make_batch())
    snapshot = cm.ConceptMonitor(["layer4"], probe, encoder=encoder).observe(alone)["layer4"]

    watched = make_model()
    monitor = cm.ConceptMonitor(["layer4"], probe, encoder=encoder, strict=True)
    with (
        cm.ConceptDiversityLoss(watched, "layer4", encoder=encoder) as diversity,
        cm.ConceptWriter(tmp_path, monitor=monitor) as writer,
    ):
        weights = train(watched, diversity, make_batch(), writer)
        seen = monitor.observe(watched)["layer4"]
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(weights, expected, strict=True))
    np.testing.assert_array_equal(seen.embedding, snapshot.embedding)
    assert list(cm.read_run(tmp_path).steps) == [0, 1, 2]


def test_the_example_logs_both_curves_into_one_chart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert len(EXAMPLE.read_text(encoding="utf-8").splitlines()) <= 40
    loops.run_example("regularizer", tmp_path, monkeypatch)
    run = EventAccumulator(str(tmp_path))
    run.Reload()
    batches = [run.Scalars("concepts/layer4/d_anchor_batch")[step].value for step in range(4)]
    assert [len(run.Scalars(f"concepts/layer4/{kind}")) for kind in ("d_anchor", "d_anchor_batch")] == [4, 4]
    printed = [float(line.rpartition(" ")[2].rstrip("}")) for line in capsys.readouterr().out.splitlines()]
    np.testing.assert_allclose(printed, batches, rtol=1e-5)
    (layout,) = run.Tensors("custom_scalars__config__")
    content = layout.tensor_proto.string_val[0]
    assert b"concepts/layer4/d_anchor_batch" in content
    assert content.count(b"concepts/layer4/d_anchor") == 2


def one_rank(rank: int, ranks: int, folder: str) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", f"file://{folder}/meeting", rank=rank, world_size=ranks)
    model = make_model()
    model.eval()  # statistics are of the local batch in any case: leave BatchNorm out of the comparison
    model.training = True
    wrapped = DistributedDataParallel(model)
    images, labels, features = (part.chunk(ranks)[rank] for part in make_batch())
    with cm.ConceptDiversityLoss(wrapped, "layer4") as diversity:
        loss = F.cross_entropy(wrapped(images), labels) + diversity(features)
        loss.backward()
    torch.save([parameter.grad for parameter in model.parameters()], f"{folder}/{rank}.pt")
    distributed.destroy_process_group()


def test_ranks_take_their_own_batch_and_average_gradients(tmp_path: Path) -> None:
    mp.start_processes(one_rank, (2, str(tmp_path)), nprocs=2, start_method="fork")  # torch is imported
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in range(2))
    model = make_model()
    model.eval()
    model.training = True
    loss = torch.zeros(())
    with cm.ConceptDiversityLoss(model, "layer4") as diversity:
        for images, labels, features in zip(*(part.chunk(2) for part in make_batch()), strict=True):
            loss = loss + (F.cross_entropy(model(images), labels) + diversity(features)) / 2
    loss.backward()
    for ours, theirs, parameter in zip(first, second, model.parameters(), strict=True):
        assert torch.equal(ours, theirs)
        torch.testing.assert_close(ours, parameter.grad, rtol=1e-4, atol=1e-6)
