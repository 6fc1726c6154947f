"""A plain `pip install .` must bring the tab, the bundled encoder and the entry point."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    source = tmp_path_factory.mktemp("source")
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True).stdout
    for name in tracked.decode().split("\0"):
        if name and not name.startswith(("tests/", "benchmarks/")) and (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    out = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "-q",
        "-w",
        out,
        source,
    ]
    subprocess.run(command, check=True)
    return zipfile.ZipFile(next(out.glob("*.whl")))


def test_the_wheel_holds_every_file_of_the_tab(wheel: zipfile.ZipFile) -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "plugin_static"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split()
    assert "plugin_static/index.js" in tracked
    assert {f"conceptmon_tb/{name}" for name in tracked} <= set(wheel.namelist())


def test_the_wheel_holds_the_bundled_encoder_and_concepts(wheel: zipfile.ZipFile) -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "conceptmon_tb"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split()
    assert any(name.endswith(".safetensors") for name in tracked)
    assert set(tracked) <= set(wheel.namelist())


def test_the_wheel_registers_the_plugin_with_tensorboard(wheel: zipfile.ZipFile) -> None:
    name = next(name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    text = wheel.read(name).decode()
    assert "[tensorboard_plugins]" in text
    assert "conceptmon = conceptmon_tb.plugin.loader:ConceptMonitorLoader" in text
