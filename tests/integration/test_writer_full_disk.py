"""A disk that runs full in the middle of training, and has room again: in a process of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

import conceptmon_tb as cm

pytest.importorskip("resource")

TRAINING = """
import resource, sys, threading, time, warnings
import torch
from torch import nn
import conceptmon_tb as cm

def limit_file_size(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

def event_bytes():
    import pathlib
    return max(p.stat().st_size for p in pathlib.Path(sys.argv[1]).glob("*tfevents*"))

threading.excepthook = lambda args: None
net = nn.Sequential(nn.Conv2d(3, 6, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
probe = cm.ProbeSet.world(60, size=32)
monitor = cm.ConceptMonitor(["0"], probe, detector=cm.ClipDissect("cos_cubed"), progress=False)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    with cm.ConceptWriter(sys.argv[1], monitor=monitor) as writer:
        for epoch in range(8):
            if epoch == 3:
                writer.flush()
                limit_file_size(event_bytes() + 700)  # the next record is cut in the middle
            if epoch == 4:
                limit_file_size(50)
            if epoch == 6 and sys.argv[2] == "recovers":
                limit_file_size(resource.RLIM_INFINITY)
            writer.add_scalar("loss", 1.0 / (epoch + 1), epoch)
            writer.add_concepts(net, epoch)
            time.sleep(0.05)
            writer.flush()
limit_file_size(resource.RLIM_INFINITY)
said = [str(w.message) for w in caught if "event file" in str(w.message)]
print(len(said), said[0] if said else "")
print("trained to the end")
"""


@pytest.mark.parametrize(("course", "steps"), [("stays full", (0, 1, 2)), ("recovers", (0, 1, 2, 6, 7))])
def test_training_goes_on_and_what_was_logged_stays_readable(
    tmp_path: Path, course: str, steps: tuple[int, ...]
) -> None:
    script = tmp_path / "train.py"
    script.write_text(TRAINING)
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "run"), course],
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    said, end = done.stdout.strip().splitlines()
    assert end == "trained to the end"
    assert said.startswith("1 the event file in")
    assert "Training goes on" in said
    assert cm.read_run(tmp_path / "run").steps == steps
