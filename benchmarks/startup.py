"""How much longer does TensorBoard take to start with the plugin installed than without?

Time runs from the start of the process to the first answer at `/data/plugins_listing`, the request with
which TensorBoard's page starts. On a busy machine trust the processor time instead. Runs with and without
the plugin alternate, so that both see the same machine; without means that our entry point is hidden from
TensorBoard's own discovery.

    python -m benchmarks.startup --pairs 15
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

TARGET = 1.05
PLUGIN = "conceptmon"
KINDS = ("time until the first answer", "processor time")

# Both kinds of run go through this, so that the filter itself costs the same.
_START = """
import sys
hidden = sys.argv.pop(1)
from tensorboard import default
find = default._iter_entry_points
default._iter_entry_points = lambda group: [entry for entry in find(group) if entry.name != hidden]
from tensorboard.main import run_main
run_main()
"""


def measure_start(logdir: str, hidden: str) -> tuple[float, float]:
    """Start TensorBoard with one entry point hidden, and wait for its first answer.

    Returns:
        Seconds that passed, and seconds of processor time that the process took.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}/data/plugins_listing"
    command = [sys.executable, "-c", _START, hidden, "--logdir", logdir, "--port", str(port)]
    begin = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        while True:
            try:
                with urllib.request.urlopen(url, timeout=10) as answer:
                    listed = PLUGIN in answer.read().decode()
                    break
            except (ConnectionError, urllib.error.URLError):
                if process.poll() is not None:
                    raise RuntimeError(f"TensorBoard ended with {process.returncode}") from None
                time.sleep(0.005)
        seconds = time.perf_counter() - begin
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        _, _, usage = os.wait4(process.pid, 0)
        process.returncode = -signal.SIGKILL
    if listed == (hidden == PLUGIN):
        raise RuntimeError(f"the plugin is {'listed' if listed else 'missing'} with {hidden!r} hidden")
    return seconds, usage.ru_utime + usage.ru_stime


def main() -> None:
    """Print times and ratios; fail if both ratios miss the target."""
    parser = argparse.ArgumentParser(description="TensorBoard's start with the plugin against without.")
    parser.add_argument("--pairs", type=int, default=15)
    pairs = parser.parse_args().pairs
    with tempfile.TemporaryDirectory() as logdir:
        for hidden in (PLUGIN, "-"):
            measure_start(logdir, hidden)  # warms the file cache
        without: list[tuple[float, float]] = []
        with_plugin: list[tuple[float, float]] = []
        for number in range(pairs):
            order = [(without, PLUGIN), (with_plugin, "-")]
            for times, hidden in order if number % 2 else reversed(order):
                times.append(measure_start(logdir, hidden))
    ratio = [
        _report(name, [a[i] for a in without], [b[i] for b in with_plugin]) for i, name in enumerate(KINDS)
    ]
    print(f"target: at most {TARGET}")
    sys.exit(min(ratio) > TARGET)


def _report(name: str, without: list[float], with_plugin: list[float]) -> float:
    ratios = sorted(b / a for a, b in zip(without, with_plugin, strict=True))
    ratio = statistics.median(ratios)
    print(
        f"{name}: {statistics.median(without):.3f} s without the plugin, "
        f"{statistics.median(with_plugin):.3f} s with it; ratio of pairs: median {ratio:.3f} "
        f"(half of them from {ratios[len(ratios) // 4]:.3f} to {ratios[-1 - len(ratios) // 4]:.3f})"
    )
    return ratio


if __name__ == "__main__":
    main()
