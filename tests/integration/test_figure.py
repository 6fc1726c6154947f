"""The figure and the tables that notebooks start from, out of event files alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conceptmon_tb.reader import read_run
from demo.figure import draw_figure
from tests.synthetic import write_run

LAYERS = {"layer1": 6, "layer2": 12}


@pytest.fixture(scope="module")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    logdir = tmp_path_factory.mktemp("figure") / "run"
    write_run(logdir, epochs=5, layers=LAYERS)
    return logdir


def run_module(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", *arguments], capture_output=True, text=True, check=False)


def test_the_command_draws_three_steps_or_says_what_is_wrong(logdir: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "figure.png"
    done = run_module("demo.figure", str(logdir), "--out", str(out), "--dpi", "60")
    assert done.returncode == 0, done.stderr
    with Image.open(out) as image:
        assert image.size == (780, 660)
        colors = np.unique(np.asarray(image.convert("RGB")).reshape(-1, 3), axis=0)
    assert {(34, 104, 226), (217, 115, 13), (214, 64, 159)} <= set(map(tuple, colors.tolist())), "followed"

    wrong = run_module("demo.figure", str(logdir), "--layer", "layer9")
    assert wrong.returncode == 1
    assert (
        wrong.stderr.strip() == "demo.figure: --layer: the run has no layer 'layer9'; it has layer1, layer2"
    )


def test_every_text_of_the_figure_is_what_was_logged(logdir: Path) -> None:
    run = read_run(logdir)
    figure = draw_figure(run, "layer2", [0, 4], [3, 7])
    texts = [axes.get_title(loc="left") for axes in figure.axes]

    for step in (0, 4):
        snapshot = run.snapshots["layer2"][step]
        assert f"step {step}   layer2   d_anchor {snapshot.anchor_distance:.3f}" in texts
        for neuron in (3, 7):
            if snapshot.valid[neuron]:
                label = f"neuron {neuron}:  {snapshot.words[neuron]} ({snapshot.best_similarity[neuron]:.2f})"
                assert any(text.startswith(label) for text in texts)
    shares = [
        float(text.get_text().rstrip("%"))
        for axes in figure.axes
        for text in axes.texts
        if "%" in text.get_text()
    ]
    expected = [
        100 * run.snapshots[layer][step].num_interpretable / width
        for step in (0, 4)
        for layer, width in LAYERS.items()
    ]
    np.testing.assert_allclose(shares, expected, atol=0.5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": [9]}, "not logged at step 9"),
        ({"neurons": [12]}, "between 0 and 11"),
        ({"neurons": [0] * 4}, "three"),
    ],
)
def test_a_wrong_choice_is_named(logdir: Path, options: dict[str, list[int]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        draw_figure(read_run(logdir), "layer2", **options)


def test_the_example_prints_what_the_run_holds(logdir: Path) -> None:
    done = run_module("demo.examples.export", str(logdir))
    assert done.returncode == 0, done.stderr
    assert "Interpretable neurons by category" in done.stdout
    assert f"{read_run(logdir).snapshots['layer2'][4].anchor_distance:.6f}" in done.stdout
