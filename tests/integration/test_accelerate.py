"""Accelerate's tracker holds a plain SummaryWriter, and concepts go through it."""

from pathlib import Path

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
