"""Importance in trainings: it leaves no trace in them, and reverting what it names costs most."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import conceptmon_tb as cm
from conceptmon_tb import world
from conceptmon_tb.evolution import important_evolutions, revert_test
from conceptmon_tb.history import read_history
from demo.conceptevo import revert as demo
from tests import loops


@pytest.mark.parametrize("fails", [False, True])
def test_a_training_in_which_importance_is_measured_is_bit_for_bit_the_same(
    fails: bool, tmp_path: Path
) -> None:
    def train(*, watched: bool) -> loops.FinalState:
        torch.manual_seed(0)
        np.random.seed(0)  # noqa: NPY002 (the global stream is what is watched)
        net = loops.Net()
        optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
        images, labels = loops.data().tensors
        before = copy.deepcopy(net.state_dict())
        with cm.ConceptWriter(tmp_path / "run", strict=True) as writer:
            for epoch in range(loops.EPOCHS):
                for batch, target in loops.loader():
                    optimizer.zero_grad()
                    nn.functional.cross_entropy(net(batch), target).backward()
                    optimizer.step()
                if watched:
                    layers = ["first", "norm", "noise", "second"]
                    steps = {"from_step": -1, "to_step": epoch}
                    writer.add_evolutions(important_evolutions(before, net, images, labels, layers, **steps))
                    if fails:
                        with pytest.raises(ValueError, match="numbers of the model's 4 logits"):
                            important_evolutions(before, net, images, labels + 1, layers, **steps)
                        with pytest.raises(ValueError, match="too few"):
                            revert_test(before, net, images, labels, layers, bins=7, **steps)
        return loops.final_state(net, optimizer)

    alone, watched = train(watched=False), train(watched=True)
    assert [name for name in alone if alone[name] != watched[name]] == []


def test_reverting_important_evolutions_costs_most_in_the_picture_world() -> None:
    pictures = world.WorldDataset(300, seed=11, size=32, task="objects")
    images = torch.stack([torch.from_numpy(np.array(pictures[i][0])) for i in range(300)])
    images, labels = (
        images.permute(0, 3, 1, 2) / 127.5 - 1,
        torch.tensor([pictures[i][1] for i in range(300)]),
    )
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 24, 3, 2, 1), nn.ReLU(),
        nn.Conv2d(24, 32, 3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(512, 10),
    )  # fmt: skip
    optimizer = torch.optim.Adam(net.parameters(), 3e-3)
    for epoch in range(12):
        for batch in torch.randperm(300).split(32):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(images[batch]), labels[batch]).backward()
            optimizer.step()
        if epoch == 0:
            early = copy.deepcopy(net.state_dict())
    test = revert_test(
        early, net, images, labels, ["1", "3", "5"], from_step=0, to_step=11, classes=world.CLASSES,
        num_images=24, repeats=3,
    )  # fmt: skip
    most, second, third, least, drawn = test.table()
    assert test.accuracy.mean() > 0.6
    assert most.change < second.change - 0.05 < least.change - 0.05, str(test)
    assert most.change < drawn.change - 0.05 < third.change, str(test)
    assert least.change - most.change > 5 * (most.over_repeats + least.over_repeats), str(test)


def test_the_command_logs_tables_and_draws_the_figure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = (
        "--images 60 --epochs 2 --steps 0 1 2 --width 4 --num-images 4 --repeats 1 --probe-images 0 --dpi 40"
    )
    demo.main(
        [*sizes.split(), "--logdir", str(tmp_path / "run"), "--out", str(tmp_path / "new" / "revert.png")]
    )
    assert read_history(tmp_path / "run").evolutions == {(0, 1), (1, 2)}
    assert "reverted from step 2 to 1" in capsys.readouterr().out
    assert (tmp_path / "new" / "revert.png").stat().st_size > 2000
