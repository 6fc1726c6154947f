"""Large synthetic runs are real runs, written fast."""

import sys
import time
from pathlib import Path

import numpy as np
import pytest

from conceptmon_tb.metadata import MAX_TENSOR_NEURONS
from conceptmon_tb.reader import read_run
from tests.synthetic import main
from tests.synthetic_large import write_large_run


def test_a_large_run_reads_back_and_moves_smoothly(tmp_path: Path) -> None:
    neurons = MAX_TENSOR_NEURONS + 10
    write_large_run(tmp_path, neurons, 20, 2)
    run = read_run(tmp_path)
    assert run.warnings == ()
    assert run.steps == tuple(range(20))
    for by_step in run.snapshots.values():
        frames = np.stack([by_step[step].position for step in run.steps])
        assert frames.shape == (20, neurons, 2)
        moves = np.linalg.norm(np.diff(frames, axis=0), axis=2)[:, by_step[0].valid]
        assert np.quantile(moves, 0.999) < 2.5
        assert by_step[19].num_interpretable > by_step[0].num_interpretable
        assert by_step[19].top_patches is not None
        assert by_step[19].top_patches[by_step[19].valid].any()


def test_the_command_writes_what_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["synthetic", str(tmp_path), "--large", "50x3x2"])
    main()
    run = read_run(tmp_path / "large")
    assert {name: len(by_step) for name, by_step in run.snapshots.items()} == {"layer1": 3, "layer2": 3}
    assert run.snapshots["layer1"][0].num_neurons == 50


def test_a_large_run_is_written_fast(tmp_path: Path) -> None:
    write_large_run(tmp_path / "warm", 10, 1)
    begin = time.process_time()
    write_large_run(tmp_path / "run", 7000, 10, 4)
    assert time.process_time() - begin < 6  # a hundred epochs within a minute
