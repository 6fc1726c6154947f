"""The demo, run as the user runs it, in small; variants of it here, where torch is imported already."""

import runpy
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import conceptmon_tb as cm

ROOT = Path(__file__).parents[2]
CIFAR = ROOT.parent / "shared" / "data" / "cifar10"
SMALL = ["--epochs", "1", "--images", "256", "--width", "4", "--probe-images", "300", "--no-server"]


def run_demo(*options: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "demo", *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=250, check=False)


@pytest.fixture
def run_here(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """`python -m demo OPTIONS` in this process."""

    def run(*options: str) -> None:
        monkeypatch.setattr(sys, "argv", ["demo", *options, *SMALL])
        runpy.run_module("demo", run_name="__main__")

    precision = torch.get_float32_matmul_precision()
    yield run
    torch.set_float32_matmul_precision(precision)


def test_the_demo_trains_two_runs_and_tells_the_story(tmp_path: Path) -> None:
    done = run_demo("--logdir", str(tmp_path), *SMALL)
    assert done.returncode == 0, done.stderr
    assert "A poorly trained network has a higher d_anchor" in done.stdout
    for name in ("world-healthy", "world-poor"):
        run = cm.read_run(tmp_path / name)
        assert run.steps == (0, 1)
        assert list(run.snapshots) == ["layer2", "layer3", "layer4"]


def test_the_demo_takes_a_folder_of_images_and_probes_with_held_out_ones(
    tmp_path: Path, run_here: Callable[..., None]
) -> None:
    pixels = np.random.default_rng(0)
    for name in ("left", "right"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for i in range(160):
            noise = pixels.integers(0, 255, (40, 36, 3), dtype=np.uint8)
            Image.fromarray(noise).save(tmp_path / "data" / name / f"{i}.png")
    run_here("--data", str(tmp_path / "data"), "--probe", "data", "--logdir", str(tmp_path / "runs"))
    assert cm.read_run(tmp_path / "runs" / "data-healthy").steps == (0, 1)


@pytest.mark.skipif(not CIFAR.is_dir(), reason="the photographs of ../shared/data/cifar10 are not here")
def test_the_demo_trains_on_photographs(tmp_path: Path, run_here: Callable[..., None]) -> None:
    run_here("--data", str(CIFAR), "--logdir", str(tmp_path))
    assert cm.read_run(tmp_path / "cifar10-healthy").steps == (0, 1)


def test_a_missing_data_folder_is_named(run_here: Callable[..., None]) -> None:
    with pytest.raises(SystemExit, match="/no/such/folder: no such folder"):
        run_here("--data", "/no/such/folder")


def test_a_folder_without_classes_is_refused(tmp_path: Path, run_here: Callable[..., None]) -> None:
    with pytest.raises(SystemExit, match="a folder for each class"):
        run_here("--data", str(tmp_path))


def test_a_folder_smaller_than_a_batch_is_trained_on(tmp_path: Path, run_here: Callable[..., None]) -> None:
    for name in ("dark", "light"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for i in range(10):
            shade = 20 + 10 * i + 100 * (name == "light")
            Image.new("RGB", (32, 32), (shade, shade, 90)).save(tmp_path / "data" / name / f"{i}.png")
    run_here("--data", str(tmp_path / "data"), "--logdir", str(tmp_path / "runs"))
    assert cm.read_run(tmp_path / "runs" / "data-healthy").steps == (0, 1)


def test_a_file_that_is_no_image_is_named(tmp_path: Path) -> None:
    for name in ("dark", "light"):
        (tmp_path / name).mkdir()
        for file in ("held_out.png", "to_train_on.png"):
            (tmp_path / name / file).write_bytes(b"no image")
    done = run_demo("--data", str(tmp_path), *SMALL)
    assert done.returncode != 0
    assert "dark/to_train_on.png" in done.stderr
    assert "Traceback" not in done.stderr
