"""Event files back to snapshots."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from conceptmon_tb.metadata import NewerSchemaError
from conceptmon_tb.reader import read_run
from conceptmon_tb.summary import concept_summary
from tests.synthetic import SyntheticRun, make_snapshots, make_space, widen, write_run

LAYERS = {"layer1": 6, "a/b ✓": 8, "space": 4}


def test_a_run_comes_back(tmp_path: Path) -> None:
    write_run(tmp_path, epochs=3, layers=LAYERS)
    run = read_run(tmp_path)
    assert run.steps == (0, 1, 2)
    assert set(run.snapshots) == set(LAYERS)
    assert run.warnings == ()
    for step, written in enumerate(make_snapshots(3, LAYERS)):
        for layer, snapshot in written.items():
            read = run.snapshots[layer][step]
            np.testing.assert_array_equal(read.concept_ids, snapshot.concept_ids)
            np.testing.assert_array_equal(read.position, snapshot.position)
            assert read.words == snapshot.words
            assert read.space is run.space
    assert run.space.fingerprint == make_space().fingerprint


def test_a_layer_too_big_for_tensors_comes_back_like_the_others(tmp_path: Path) -> None:
    with SyntheticRun(tmp_path, 2, LAYERS) as run:
        written = []
        for step, snapshots in enumerate(make_snapshots(2, LAYERS, space=run.space)):
            run.step = step
            written.append(widen(snapshots["layer1"], 5000))
            run.add_summary(concept_summary({"big": written[-1], "small": snapshots["layer1"]}, step))
    read = read_run(tmp_path)
    assert read.warnings == ()
    assert {layer: sorted(by_step) for layer, by_step in read.snapshots.items()} == {
        "big": [0, 1], "small": [0, 1],
    }  # fmt: skip
    for step in (0, 1):
        np.testing.assert_array_equal(read.snapshots["big"][step].position, written[step].position)
        np.testing.assert_array_equal(read.snapshots["big"][step].top_images, written[step].top_images)


def test_images_come_back_once_each(tmp_path: Path) -> None:
    write_run(tmp_path, epochs=5, layers=LAYERS)
    images = read_run(tmp_path).images
    assert images is not None
    assert len(set(images.ids.tolist())) == len(images.ids) == len(images.thumbnails)
    assert images.thumbnails.shape[1:] == (64, 64, 3)


def test_a_resumed_session_replaces_what_came_after_its_start(tmp_path: Path) -> None:
    write_run(tmp_path, epochs=4, layers=LAYERS)
    write_run(tmp_path, epochs=1, layers=LAYERS, seed=5, first_step=2)
    run = read_run(tmp_path)
    assert run.steps == (0, 1, 2)
    fresh = next(make_snapshots(1, LAYERS, seed=5))
    np.testing.assert_array_equal(run.snapshots["layer1"][2].concept_ids, fresh["layer1"].concept_ids)


def test_of_a_step_that_was_logged_twice_the_later_one_counts(tmp_path: Path) -> None:
    again = next(make_snapshots(1, LAYERS, seed=8))
    with SyntheticRun(tmp_path, 1, LAYERS) as run:
        run.write_epoch()
        run.step = 0
        run.add_summary(concept_summary(again, 0))
    read = read_run(tmp_path).snapshots["layer1"][0]
    np.testing.assert_array_equal(read.position, again["layer1"].position)


def test_altered_records_are_skipped_with_a_warning(tmp_path: Path) -> None:
    _write_with_damage(tmp_path, lambda data: data[:-1] + bytes([data[-1] ^ 1]))
    run = read_run(tmp_path)
    assert sorted(run.snapshots["layer1"]) == [0]
    assert sorted(run.snapshots["space"]) == [0, 1]
    assert len(run.warnings) == 1
    assert "concepts/layer1/neurons, step 1: checksum" in run.warnings[0]


def test_a_newer_schema_is_one_clear_error_if_nothing_else_is_there(tmp_path: Path) -> None:
    summary = concept_summary(next(make_snapshots(1, {"layer1": 4})), 0)
    content = summary.value[0].tensor.tensor_content
    summary.value[0].tensor.tensor_content = content[:4] + b"\x02\x00" + content[6:]
    with SyntheticRun(tmp_path, 1, {}) as run:
        run.add_summary(summary)
    with pytest.raises(NewerSchemaError, match="pip install --upgrade"):
        read_run(tmp_path)


def test_a_cut_file_keeps_what_came_before(tmp_path: Path) -> None:
    write_run(tmp_path, epochs=3, layers=LAYERS)
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-2000])
    assert read_run(tmp_path).steps[:2] == (0, 1)


def test_a_missing_space_is_a_clear_error(tmp_path: Path) -> None:
    write_run(tmp_path, epochs=1, layers=LAYERS, with_space=False)
    with pytest.raises(FileNotFoundError, match="its concept space is not in the log"):
        read_run(tmp_path)


def test_wrong_directories_are_clear_errors(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="does not exist"):
        read_run(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="no concept data"):
        read_run(tmp_path)
    write_run(tmp_path / "inner", epochs=1, layers=LAYERS)
    with pytest.raises(FileNotFoundError, match="holds the runs inner"):
        read_run(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match="is a file"):
        read_run(tmp_path / "file")


def _write_with_damage(logdir: Path, damage) -> None:
    with SyntheticRun(logdir, 2, LAYERS) as run:
        run.write_epoch()
        summary = concept_summary(next(make_snapshots(1, LAYERS, space=run.space)), 1)
        value = summary.value[0].tensor
        value.tensor_content = damage(value.tensor_content)
        run.add_summary(summary)
