"""What runs logged as columns and tables."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import conceptmon_tb as cm
from conceptmon_tb import cli
from conceptmon_tb.export import embeddings, metric_columns, neuron_columns, to_frame, write_table
from conceptmon_tb.reader import Run, read_run
from conceptmon_tb.summary import layer_scalars
from tests.synthetic import write_run

LAYERS = {"layer1": 6, "a/b ✓": 8}


@pytest.fixture(scope="module")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    logdir = tmp_path_factory.mktemp("runs")
    write_run(logdir / "one", epochs=3, layers=LAYERS)
    elsewhere = tmp_path_factory.mktemp("elsewhere")  # a link, as TensorBoard follows it
    write_run(elsewhere / "two", epochs=2, layers={"layer1": 6})
    (logdir / "below").symlink_to(elsewhere)
    return logdir


@pytest.fixture(scope="module")
def run(logdir: Path) -> Run:
    return read_run(logdir / "one")


def test_every_row_is_one_neuron_at_one_step(run: Run) -> None:
    columns = neuron_columns(run)

    assert {len(values) for values in columns.values()} == {3 * (6 + 8)}
    for row in range(0, 42, 5):
        cells = {name: values[row] for name, values in columns.items()}
        snapshot, neuron = run.snapshots[cells["layer"]][cells["step"]], cells["neuron"]
        concepts = snapshot.concept_ids[neuron]
        if not snapshot.valid[neuron]:
            assert (cells["word"], cells["category"], cells["word_2"]) == ("", "", "")
            assert np.isnan(cells["similarity"])
            continue
        assert cells["word"] == run.space.words[concepts[0]]
        assert cells["category"] == run.space.categories[concepts[0]]
        assert cells["word_3"] == run.space.words[concepts[2]]
        assert cells["similarity_3"] == snapshot.similarity[neuron, 2]
        assert (cells["x"], cells["y"]) == tuple(snapshot.position[neuron])
        assert not cells["unknown"]
        assert cells["interpretable"] == snapshot.interpretable[neuron]


def test_metrics_are_those_of_the_scalars(run: Run) -> None:
    frame = to_frame(metric_columns(run)).set_index(["layer", "step"])

    assert len(frame) == 6
    for layer, by_step in run.snapshots.items():
        for step, snapshot in by_step.items():
            row = frame.loc[(layer, step)]
            assert row["neurons"] == snapshot.num_neurons
            for name, value in layer_scalars(snapshot).items():
                assert row[name] == value
    assert np.isnan(frame.loc[("layer1", 0)]["displacement"])


def test_embeddings_are_one_array(run: Run) -> None:
    steps, array = embeddings(run, "layer1", [0, 2])

    assert steps.tolist() == [0, 2]
    np.testing.assert_array_equal(array[1], run.snapshots["layer1"][2].embedding)


def test_only_what_is_asked_for_is_given(run: Run) -> None:
    columns = neuron_columns(run, ["a/b ✓"], [1, 2])

    assert set(columns["layer"]) == {"a/b ✓"}
    assert set(columns["step"]) == {1, 2}
    with pytest.raises(ValueError, match="no layer 'layr1'; it has layer1, a/b"):
        neuron_columns(run, ["layr1"])
    with pytest.raises(ValueError, match="nothing was logged at step 7; there are 0, 1, 2"):
        metric_columns(run, steps=[7])
    with pytest.raises(TypeError, match="layers must be a list"):
        neuron_columns(run, "layer1")


def test_a_file_reads_back_as_it_was_written(run: Run, tmp_path: Path) -> None:
    columns = neuron_columns(run)
    for name in ("table.csv", "table.json", "table.npz"):
        write_table(columns, tmp_path / name)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["table.csv", "table.json", "table.npz"]

    frame = pd.read_csv(tmp_path / "table.csv", keep_default_na=False, na_values={"similarity": [""]})
    rows = json.loads((tmp_path / "table.json").read_text(encoding="utf-8"))
    arrays = np.load(tmp_path / "table.npz", allow_pickle=False)
    assert frame["word"].tolist() == columns["word"].tolist() == [row["word"] for row in rows]
    assert arrays["word"].tolist() == columns["word"].tolist()
    np.testing.assert_array_equal(frame["similarity"].astype(np.float32), columns["similarity"])
    np.testing.assert_array_equal(arrays["x"], columns["x"])
    assert [row["displacement"] for row in rows[:6]] == [None] * 6, "JSON has no NaN"


def test_a_failed_write_leaves_the_file_that_was_there(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "table.json"
    write_table(metric_columns(run), path)
    before = path.read_bytes()

    with pytest.raises(TypeError):
        write_table({"step": np.array([object()])}, path)

    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["table.json"]
    with pytest.raises(ValueError, match="must end in"):
        write_table(metric_columns(run), tmp_path / "table.xlsx")


def test_the_command_writes_all_runs_below_a_directory(
    logdir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "all.csv"
    assert cli.main(["export", str(logdir), "--last", "--out", str(out)]) == cli.OK

    with out.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {(row["run"], row["layer"], row["step"]) for row in rows} == {
        ("one", "layer1", "2"),
        ("one", "a/b ✓", "2"),
        ("below/two", "layer1", "1"),
    }
    assert "20 rows of 2 run(s)" in capsys.readouterr().out
    assert cli.main(["export", str(logdir), "--layer", "a/b ✓", "--out", str(out)]) == cli.FAILED
    assert "is there already" in capsys.readouterr().err
    assert cli.main(["export", str(logdir), "--layer", "a/b ✓", "--out", str(out), "--force"]) == cli.OK
    assert "24 rows" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--layer", "layr1"], "no run has a layer 'layr1'"),
        (["--step", "99"], "no run logged anything at step 99"),
        (["--out", "table.xlsx"], "must end in .csv"),
        (["--out", "missing/table.csv"], "does not exist"),
        (["--what", "embeddings"], "needs one --layer"),
        (["--what", "embeddings", "--layer", "layer1"], "takes one run"),
    ],
)
def test_the_command_names_what_is_wrong(
    logdir: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    out = [] if "--out" in arguments else ["--out", "out.npz"]

    assert cli.main(["export", str(logdir), *arguments, *out]) == cli.FAILED

    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_exporting_needs_neither_torch_nor_pandas(logdir: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from conceptmon_tb.cli import main; code = main(sys.argv[1:]); "
        "print(code, [name for name in ('torch', 'pandas') if name in sys.modules])"
    )
    arguments = ["export", str(logdir / "one"), "--out", str(tmp_path / "one.csv")]
    answer = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    assert answer.stdout.splitlines()[-1] == "0 []"


def test_the_names_are_public() -> None:
    assert cm.export.neuron_columns is neuron_columns
