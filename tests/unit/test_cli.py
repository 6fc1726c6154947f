"""The command line: what it writes, what it says, and that bad input leaves no trace."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import conceptmon_tb as cm
from conceptmon_tb.cli import main, make_parser

TABLE = "unit,category,label,score,color-label,color-iou,object-label,object-iou\n"
MILAN = "layer,unit,description\n"
DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONCEPTMON_CACHE", str(tmp_path / "cache"))
    words = "concept,category\nred,color\ngreen,color\ndog,object\ncar,object\ntree,object\nkitchen,scene\n"
    (tmp_path / "words.csv").write_text(words, encoding="utf-8")
    return tmp_path


def put(name: str, text: str) -> str:
    Path(name).write_text(text, encoding="utf-8")
    return name


def run(*arguments: str) -> int:
    return main(["import", *arguments, "--concepts", "words.csv", "--map", "pca"])


def test_a_table_becomes_a_run_named_after_the_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = "1,object,dog,0.2,red-c,0.1,dog,0.2\n2,color,green-c,0.01,green-c,0.01,car,0.001\n"
    assert run(put("net_layer3.csv", TABLE + rows)) == 0
    read = cm.read_run(folder / "runs" / "net")
    assert read.steps == (0,)
    snapshot = read.snapshots["layer3"][0]
    assert snapshot.words == ("dog", "green")
    np.testing.assert_allclose(snapshot.similarity, [[0.2, 0.1], [0.01, 0.001]], rtol=1e-5)
    assert snapshot.interpretable.tolist() == [True, False]
    assert snapshot.detector == "netdissect (imported)"
    assert read.warnings == ()
    printed = capsys.readouterr().out
    assert "net  0     layer3  2        2         1 (above 0.04)  object 1" in printed
    assert "tensorboard --logdir runs" in printed


def test_files_of_several_formats_share_a_space(folder: Path) -> None:
    clip = put("clip.csv", "layer,unit,description,similarity\nlayer3,0,zebra,0.4\n")
    assert (
        run(put("milan.csv", MILAN + "layer3,0,A dog\n"), clip, "--logdir", "log", "--anchors", "animal") == 0
    )
    first, second = (cm.read_run(folder / "log" / name) for name in ("milan", "clip"))
    assert first.space.fingerprint == second.space.fingerprint
    assert first.space.anchors == ("animal",)
    assert first.space.words[-1] == "zebra"
    assert first.snapshots["layer3"][0].descriptions == ("A dog",)
    assert second.snapshots["layer3"][0].descriptions == ()


def test_steps_can_come_from_the_names_and_neurons_move_between_them(folder: Path) -> None:
    files = [
        put(f"m_epoch{step}.csv", MILAN + f"fc,0,{text}\nfc,1,Trees\n")
        for step, text in ((10, "Cars"), (2, "Dogs"))
    ]
    assert run(*files, "--step-from-name") == 0
    read = cm.read_run(folder / "runs" / "m")
    assert read.steps == (2, 10)
    assert [read.snapshots["fc"][step].descriptions[0] for step in read.steps] == ["Dogs", "Cars"]
    assert np.isnan(read.snapshots["fc"][2].displacement).all()
    moved = read.snapshots["fc"][10].displacement
    assert moved[0] > 0.5
    assert moved[1] == 0


def test_run_step_layer_and_threshold_can_be_given(folder: Path) -> None:
    table = put("t.csv", TABLE + "1,object,dog,0.2,red-c,0.1,dog,0.2\n")
    assert run(table, "--run", "a/b", "--step", "7", "--layer", "features.3", "--threshold", "0.3") == 0
    snapshot = cm.read_run(folder / "runs/a/b").snapshots["features.3"][7]
    assert snapshot.threshold == 0.3
    assert snapshot.num_interpretable == 0


def test_a_dry_run_says_the_same_and_writes_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = put("milan.csv", MILAN + "layer3,0,A dog\nlayer3,2,\n")
    assert run(path, "--dry-run") == 0
    said = capsys.readouterr().out.splitlines()
    assert not (folder / "runs").exists()
    assert said[-1] == "nothing was written (--dry-run)"
    assert said[1].split()[:5] == ["milan", "0", "layer3", "3", "1"]
    assert run(path) == 0
    assert capsys.readouterr().out.splitlines()[:-1] == said[:-1]


def test_a_step_is_never_written_twice(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = put("milan.csv", MILAN + "layer3,0,A dog\n")
    assert run(path) == 0
    before = sorted((folder / "runs").rglob("*"))
    assert run(path) == 1
    assert (
        "run 'milan' in 'runs' has concepts at step 0 already; give another --run" in capsys.readouterr().err
    )
    assert sorted((folder / "runs").rglob("*")) == before
    assert run(path, "--step", "2") == 0
    assert cm.read_run(folder / "runs" / "milan").steps == (0, 2)
    assert run(path, "--step", "1") == 1
    assert "has concepts up to step 2 already" in capsys.readouterr().err
    assert cm.read_run(folder / "runs" / "milan").steps == (0, 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.csv"], "no result file at 'missing.csv'"),
        (["bad.csv"], "bad.csv, line 3: unit must be a whole number, got 'x'"),
        (["good.csv", "bad.csv"], "bad.csv, line 3"),
        (["good.csv", "--format", "netdissect"], "is not that of netdissect"),
        (["good.csv", "again.csv", "--run", "one"], "both hold layer 'l' of run 'one' at step 0"),
        (["good.csv", "--run", "../out"], "run must be a folder below the log directory"),
        (["good.csv", "good.csv"], "both hold layer 'l' of run 'good' at step 0; give each file once"),
        (["good.csv", "--step-from-name"], "tells no step"),
        (["good.csv", "--step", str(1 << 63)], "step must be between -1 and 9223372036854775807"),
        (["x_epoch99999999999999999999.csv", "--step-from-name"], "step must be between -1 and"),
        (["good.csv", "--threshold", "nan"], "threshold must be a finite number, got nan"),
        (["good.csv", "--anchors", "dog", " "], "anchors holds an empty string"),
        (["good.csv", "--encoder", "RN50/no-such-tag"], "no-such-tag"),
        (["good.csv", "--encoder", "no-such-model/openai"], "no-such-model"),
        (["good.csv", "--logdir", "good.csv"], "good.csv"),
    ],
)
def test_bad_input_is_said_in_one_line_and_nothing_is_written(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    put("good.csv", MILAN + "l,0,A dog\n")
    put("again.csv", MILAN + "l,0,A dog\n")
    put("x_epoch99999999999999999999.csv", MILAN + "l,0,A dog\n")
    put("bad.csv", MILAN + "l,0,A dog\nl,x,A dog\n")
    assert run(*arguments) == 1
    said = capsys.readouterr().err.strip().splitlines()
    assert said[-1].startswith("conceptmon import: ")
    assert message in said[-1]
    assert not (folder / "runs").exists()


def test_an_encoder_that_cannot_be_loaded_is_said(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert run(put("good.csv", MILAN + "l,0,A dog\n"), "--encoder", "hf-hub:nobody/nothing") == 1
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith("conceptmon import: encoder 'hf-hub:nobody/nothing' cannot be loaded")


def test_a_concept_set_that_is_no_file_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", put("good.csv", MILAN + "l,0,A dog\n"), "--concepts", "brodn"]) == 1
    assert "brodn" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["import"], ["import", "x.csv", "--step", "-2"], ["fly"]])
def test_wrong_usage_exits_with_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2


def test_help_answers_without_torch() -> None:
    code = (
        "import sys, conceptmon_tb.cli as c\n"
        "try: c.main(['import', '--help'])\n"
        "except SystemExit: print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "examples:" in done.stdout
    assert done.stdout.endswith("False\n")


def test_python_m_is_the_same_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "conceptmon_tb", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["conceptmon", cm.__version__]


def test_a_reader_that_has_read_enough_is_not_complained_to(tmp_path: Path) -> None:
    (tmp_path / "events.out.tfevents.1.x").write_bytes(b"no event")
    command = [sys.executable, "-m", "conceptmon_tb", "doctor", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.close()  # as `| head` does
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_every_flag_is_documented() -> None:
    text = (DOCS / "import.md").read_text(encoding="utf-8")
    (commands,) = (action for action in make_parser()._actions if action.dest == "command")
    flags = [flag for action in commands.choices["import"]._actions for flag in action.option_strings]
    assert "--threshold" in flags
    assert [flag for flag in flags if flag not in ("-h", "--help") and f"`{flag}" not in text] == []
