"""A data provider over plain lists, for tests of the plugin without a TensorBoard around it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
from tensorboard import errors

from conceptmon_tb.metadata import SPACE_TAG, layer_tag
from conceptmon_tb.payloads import pack_embedding, pack_metrics, pack_neurons, pack_space
from conceptmon_tb.snapshot import ConceptSnapshot

Change = Callable[[str, str, int, bytes], bytes]
"""Changes a payload on its way into the log: `(run, tag, step, payload)` to payload."""


class FakeProvider:
    """A data provider over plain lists that counts what is read of them."""

    def __init__(self) -> None:
        self.tensors: dict[str, dict[str, list[Any]]] = {}
        self.blobs: dict[str, dict[str, list[Any]]] = {}
        self.scalars: dict[str, dict[str, list[Any]]] = {}
        self.points_read = 0
        self.calls = 0
        self.blobs_read: list[str] = []

    def log(
        self,
        run: str,
        epochs: Iterable[tuple[int, Mapping[str, ConceptSnapshot]]],
        *,
        wall_time: float = 0.0,
        large: bool = False,
        change: Change = lambda run, tag, step, payload: payload,
    ) -> None:
        """Log snapshots with their space, as a run does; `large` sends neurons as blobs."""
        for step, snapshots in epochs:
            time = wall_time + step
            for layer, snapshot in snapshots.items():
                if SPACE_TAG not in self.blobs.get(run, {}):
                    self.add_blob(run, SPACE_TAG, step, time, pack_space(snapshot.space, step))
                for kind, pack, is_blob in (
                    ("neurons", pack_neurons, large),
                    ("metrics", pack_metrics, False),
                    ("embedding", pack_embedding, True),
                ):
                    tag = layer_tag(layer, kind)
                    add = self.add_blob if is_blob else self.add_tensor
                    add(run, tag, step, time, change(run, tag, step, pack(snapshot, step)))

    def add_tensor(self, run: str, tag: str, step: int, wall_time: float, payload: bytes) -> None:
        """Log one payload as a tensor."""
        data = np.frombuffer(payload, np.uint8)
        point = SimpleNamespace(step=step, wall_time=wall_time, numpy=data)
        self.tensors.setdefault(run, {}).setdefault(tag, []).append(point)

    def add_blob(self, run: str, tag: str, step: int, wall_time: float, payload: bytes) -> None:
        """Log one payload as a blob sequence of one."""
        key = f"{run}:{tag}:{step}:{wall_time}"
        reference = SimpleNamespace(blob_key=key, payload=payload)
        point = SimpleNamespace(step=step, wall_time=wall_time, values=(reference,))
        self.blobs.setdefault(run, {}).setdefault(tag, []).append(point)

    def list_plugins(self, ctx: Any, *, experiment_id: str) -> list[str]:
        return ["conceptmon"] if self.tensors else []

    def experiment_metadata(self, ctx: Any, *, experiment_id: str) -> Any:
        return SimpleNamespace(data_location="here")

    def list_tensors(
        self, ctx: Any, *, experiment_id: str, plugin_name: str, run_tag_filter: Any = None
    ) -> Any:
        self.calls += 1
        return _listing(self.tensors, run_tag_filter)

    def list_blob_sequences(
        self, ctx: Any, *, experiment_id: str, plugin_name: str, run_tag_filter: Any = None
    ) -> Any:
        return _listing(self.blobs, run_tag_filter)

    def list_scalars(
        self, ctx: Any, *, experiment_id: str, plugin_name: str, run_tag_filter: Any = None
    ) -> Any:
        return _listing(self.scalars, run_tag_filter)

    def read_scalars(self, ctx: Any, **settings: Any) -> Any:
        return self.scalars

    def read_tensors(
        self, ctx: Any, *, experiment_id: str, plugin_name: str, downsample: int, run_tag_filter: Any
    ) -> Any:
        self.calls += 1
        result: dict[str, dict[str, list[Any]]] = {}
        for run in run_tag_filter.runs:
            for tag in run_tag_filter.tags:
                points = self.tensors.get(run, {}).get(tag, [])[-downsample:]
                self.points_read += len(points)
                result.setdefault(run, {})[tag] = points
        return result

    def read_blob_sequences(
        self, ctx: Any, *, experiment_id: str, plugin_name: str, downsample: int, run_tag_filter: Any
    ) -> Any:
        self.calls += 1
        return {
            run: {tag: self.blobs.get(run, {}).get(tag, []) for tag in run_tag_filter.tags}
            for run in run_tag_filter.runs
        }

    def read_blob(self, ctx: Any, *, blob_key: str) -> bytes:
        self.calls += 1
        self.blobs_read.append(blob_key)
        for tags in self.blobs.values():
            for points in tags.values():
                for point in points:
                    if point.values and point.values[0].blob_key == blob_key:
                        return point.values[0].payload
        raise errors.NotFoundError(blob_key)


def _listing(series: Mapping[str, Mapping[str, list[Any]]], run_tag_filter: Any) -> Any:
    return {
        run: {
            tag: SimpleNamespace(
                max_step=max(p.step for p in points), max_wall_time=max(p.wall_time for p in points)
            )
            for tag, points in tags.items()
        }
        for run, tags in series.items()
        if run_tag_filter is None or run in run_tag_filter.runs
    }
