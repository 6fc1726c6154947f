"""Accelerate's tracker holds a plain SummaryWriter, and concepts go through it; a loop of one's own."""

from pathlib import Path

import pytest
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator

import conceptmon_tb as cm
from tests import loops


def test_concepts_go_into_the_trackers_file_each_thumbnail_once(tmp_path: Path) -> None:
    loops.train("accelerate", tmp_path, loops.make_monitor("accelerate"))
    (file,) = tmp_path.rglob("*tfevents*")
    log = EventAccumulator(str(file.parent))
    log.Reload()
    assert [event.step for event in log.Tensors("loss")] == [0, 1, 2]
    assert [event.step for event in log.Tensors("concepts/first/neurons")] == [0, 1, 2]
    run = cm.read_run(file.parent)
    assert len(run.images.ids) == len(set(run.images.ids.tolist()))
    assert (run.snapshots["second"][2].displacement > 0).any()


@pytest.mark.parametrize(("name", "run", "steps"), [("accelerate", "resnet", 3), ("plain", "", 4)])
def test_the_examples_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, run: str, steps: int
) -> None:
    loops.run_example(name, tmp_path, monkeypatch)
    assert cm.read_run(tmp_path / run).steps == tuple(range(steps))
