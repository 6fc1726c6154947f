"""The example of a compiled model runs as it is printed, and compiles nothing for the monitor."""

import subprocess
import sys
from pathlib import Path

import conceptmon_tb as cm

EXAMPLE = Path(__file__).parents[2] / "demo" / "examples" / "compiled.py"


def test_the_example_logs_a_compiled_models_layers_and_compiles_once(tmp_path: Path) -> None:
    assert len(EXAMPLE.read_text(encoding="utf-8").splitlines()) <= 40
    done = subprocess.run(
        [sys.executable, "-m", "demo.examples.compiled", "--logdir", str(tmp_path / "run")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("1 graph(s) compiled") == 3
    run = cm.read_run(tmp_path / "run")
    assert list(run.steps) == [0, 1, 2]
    assert [len(run.snapshots[layer][2].valid) for layer in ("layer2", "layer4.conv2")] == [16, 64]
