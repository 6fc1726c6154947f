"""The front end's benchmark runs; what it measures is no test."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_the_benchmark_measures_the_tab_beside_a_bare_renderer() -> None:
    options = ["--parts", "typical", "--shrink", "100", "--repeats", "1", "--sweeps", "1", "--frames", "20"]
    command = [sys.executable, "-m", "benchmarks.frontend", *options]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr  # 1: a target was missed
    for figure in ("tab usable", "tab / bare renderer", "TensorBoard's own start", "memory while scrubbing"):
        assert figure in done.stdout, done.stderr
