"""How fast is an event directory examined, copied and read, beside TensorBoard's own reader of records?

Times are processor times of one process; the log is synthetic (`tests.synthetic_large`).

    python -m benchmarks.doctor --megabytes 200
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader

from conceptmon_tb.doctor import examine, repair
from conceptmon_tb.event_files import event_files, read_records
from conceptmon_tb.history import read_history
from conceptmon_tb.reader import read_run
from tests.synthetic import write_run

_NEURONS, _EPOCHS = 3000, 20


def main() -> None:
    """Print megabytes per second of each, and the time that the command takes to start."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=200)
    wanted = parser.parse_args().megabytes * 1e6
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder)
        write_run(top / "log" / "run0", epochs=_EPOCHS, layers={"layer1": _NEURONS, "layer2": _NEURONS})
        size = _size(top / "log")
        for number in range(1, max(1, round(wanted / size))):
            shutil.copytree(top / "log" / "run0", top / "log" / f"run{number}")
        runs = sorted((top / "log").iterdir())
        files = [path for run in runs for path in event_files(run)]
        size = _size(top / "log")
        print(f"{size / 1e6:.0f} MB in {len(runs)} runs")
        for name, act in {
            "records, checksums verified": lambda: [sum(1 for _ in read_records(file)) for file in files],
            "records, not verified": lambda: [sum(1 for _ in read_records(f, verify=False)) for f in files],
            "what a resumed writer reads": lambda: [read_history(run) for run in runs],
            "read_run": lambda: [read_run(run) for run in runs],
            "doctor, examine": lambda: examine(top / "log"),
            "doctor, repair": lambda: repair(top / "log", top / "copy"),
        }.items():
            print(f"  {name:32} {size / 1e6 / _seconds(act):7.0f} MB/s")
        first = files[0]
        own = _seconds(lambda: sum(1 for _ in RawEventFileLoader(str(first)).Load()))
        print(f"  {'TensorBoard: records, verified':32} {first.stat().st_size / 1e6 / own:7.1f} MB/s")
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "conceptmon_tb", "doctor", "/nowhere"], stderr=subprocess.DEVNULL)
    print(f"  start of the command: {time.perf_counter() - start:.2f} s")


def _seconds(act: Callable[[], object]) -> float:
    start = time.process_time()
    act()
    return time.process_time() - start


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*tfevents*"))


if __name__ == "__main__":
    main()
