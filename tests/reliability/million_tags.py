"""A log with very many tags, and what it costs to look at one: a command, because a million take minutes.

    python -m tests.reliability.million_tags 1000000

writes an event file with that many tags of ours (of scalars with `--scalars`), starts TensorBoard on it and a
good run, and prints how long the answers took and how much memory was used.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psutil
from tensorboard.compat.proto import event_pb2, summary_pb2, types_pb2

from conceptmon_tb.event_files import frame_record
from conceptmon_tb.metadata import layer_tag, make_metadata
from tests.servers import TensorBoardServer
from tests.synthetic import START_TIME, write_run

PER_EVENT = 2000
SMALL = {"layer1": 6}


class Cost(NamedTuple):
    """What a log cost.

    Attributes:
        start: Seconds until both runs were listed.
        first: Seconds of the first answer to `runs`.
        first_work: Seconds that TensorBoard's own process computed for it; a busy machine takes longer.
        later: Seconds of the slowest of three further ones.
        beside: Seconds of the slowest route about the good run.
        plugin_bytes: Memory of TensorBoard's own process.
        server_bytes: Memory of the data server, which holds the log.
        answer_bytes: Size of the answer `runs`.
    """

    start: float
    first: float
    first_work: float
    later: float
    beside: float
    plugin_bytes: int
    server_bytes: int
    answer_bytes: int


def write_tags(folder: Path, tags: int, scalars: bool = False) -> None:
    """Write an event file in which every tag has one value, which is no payload.

    Args:
        folder: The run's directory.
        tags: How many; two for each layer.
        scalars: Whether they are scalars instead.
    """
    folder.mkdir(parents=True)
    with (folder / "events.out.tfevents.1700000000.many.1.0").open("wb") as file:
        file.write(frame_record(event_pb2.Event(file_version="brain.Event:2").SerializeToString()))
        values = _values(tags, scalars)
        for start in range(0, tags, PER_EVENT):
            summary = summary_pb2.Summary(value=[next(values) for _ in range(min(PER_EVENT, tags - start))])
            event = event_pb2.Event(wall_time=START_TIME, step=0, summary=summary)
            file.write(frame_record(event.SerializeToString()))


def _values(tags: int, scalars: bool) -> Iterator[summary_pb2.Summary.Value]:
    metadata = make_metadata(summary_pb2.DATA_CLASS_TENSOR)
    for number in range(tags):
        if scalars:
            yield summary_pb2.Summary.Value(tag=f"scalar {number}", simple_value=1.0)
            continue
        kind = ("metrics", "neurons")[number % 2]
        value = summary_pb2.Summary.Value(tag=layer_tag(f"layer {number // 2}", kind), metadata=metadata)
        value.tensor.dtype = types_pb2.DT_UINT8
        value.tensor.tensor_shape.dim.add(size=1)
        value.tensor.tensor_content = b"x"
        yield value


def measure(logdir: Path, *flags: str, seconds: float = 600) -> Cost:
    """Start TensorBoard on a log directory with a run "good" and a run "many", and look at both."""
    began = time.perf_counter()
    with TensorBoardServer(logdir, "--reload_interval=600", *flags) as server:
        server.wait_for(lambda: b'"good"' in server.fetch("/data/runs")[1], seconds)
        server.wait_for(lambda: b'"many"' in server.fetch("/data/runs")[1], seconds)
        start = time.perf_counter() - began
        process = psutil.Process(server.pid)
        before = sum(process.cpu_times()[:2])
        first, body = _timed(server, "runs")
        work = sum(process.cpu_times()[:2]) - before
        later = max(_timed(server, "runs")[0] for _ in range(3))
        layer = {"run": "good", "layer": "layer1"}
        beside = max(
            _timed(server, route, **parameters)[0]
            for route, parameters in (
                ("timeline", {"run": "good"}), ("layer", layer), ("space", {"run": "good"}),
                ("scalars", {"run": "many"}), ("neuron", {**layer, "neuron": 1, "step": 1}),
            )
        )  # fmt: skip
        held = sum(child.memory_info().rss for child in process.children(recursive=True))
        return Cost(start, first, work, later, beside, process.memory_info().rss, held, len(body))


def _timed(server: TensorBoardServer, route: str, **parameters: object) -> tuple[float, bytes]:
    began = time.perf_counter()
    status, body, _ = server.fetch(route, **parameters)
    if status != 200:
        raise RuntimeError(f"{route} answered {status}: {body[:200]!r}")
    return time.perf_counter() - began, body


def main() -> None:
    """Measure one log and print what it cost."""
    parser = argparse.ArgumentParser(description="What a log with very many tags costs.")
    parser.add_argument("tags", type=int)
    parser.add_argument("--scalars", action="store_true", help="scalars instead of tags of ours")
    parser.add_argument(
        "--flag", action="append", default=[], help="of TensorBoard, such as --load_fast=false"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write_tags(Path(folder) / "many", arguments.tags, arguments.scalars)
        write_run(Path(folder) / "good", epochs=3, layers=SMALL)
        for name, value in measure(Path(folder), *arguments.flag)._asdict().items():
            print(f"{name:>14}: {value / 2**20:.0f} MiB" if "bytes" in name else f"{name:>14}: {value:.2f} s")


if __name__ == "__main__":
    main()
