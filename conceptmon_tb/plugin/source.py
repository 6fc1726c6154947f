"""One request's view of TensorBoard's data provider, as plain Python values.

Both providers (the data server of `--load_fast=true` and the Python multiplexer) are read in the same
way: list first, which is cheap, then read by run and tag only what changed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from tensorboard import context as tb_context
from tensorboard import errors as tb_errors
from tensorboard import plugin_util
from tensorboard.data import provider as tb_provider

from conceptmon_tb.metadata import PLUGIN_NAME, PayloadError, shown
from conceptmon_tb.plugin.tensor_guard import distrust

SCALAR_PLUGIN = "scalars"

_ALL = 1 << 30
# One answer of the data server is limited to 256 MiB. A series larger than that is read thinned out.
_THINNED = (1000, 250, 50, 5, 1)


class TooLargeError(PayloadError):
    """A series holds more than TensorBoard answers."""

    def __init__(self) -> None:
        super().__init__("larger than TensorBoard's data server answers")


class Signature(NamedTuple):
    """What a listing tells of a time series; it changes whenever the series grows or is purged."""

    max_step: int
    max_wall_time: float


class TensorPoint(NamedTuple):
    """One step of a tensor series."""

    step: int
    wall_time: float
    data: npt.NDArray[Any]


class BlobPoint(NamedTuple):
    """One step of a blob sequence; `key` opens its first blob, None if it has none."""

    step: int
    wall_time: float
    key: str | None


Listing = Mapping[str, Mapping[str, Signature]]


class Source:
    """The data provider with a request's context and experiment filled in.

    Args:
        provider: TensorBoard's data provider.
        context: The request's context (access control); None outside a request.
        experiment: Experiment id; empty for a plain `--logdir`.
    """

    def __init__(self, provider: Any, context: Any = None, experiment: str = "") -> None:
        self._provider = provider
        self._context = tb_context.RequestContext() if context is None else context
        self.experiment = experiment

    @classmethod
    def of_request(cls, provider: Any, environ: Mapping[str, Any]) -> Source:
        """Make the source of a WSGI request."""
        return cls(provider, plugin_util.context(environ), plugin_util.experiment_id(environ))

    def has_data(self) -> bool:
        """Whether any run has data of this plugin."""
        plugins = self._provider.list_plugins(self._context, experiment_id=self.experiment)
        if plugins is not None:
            return PLUGIN_NAME in plugins
        return any(self.list_tensors().values())

    def check_access(self) -> None:
        """Raise what the data provider raises for whoever may not see the experiment.

        What is known from an earlier request is answered without reading; this call is cheap.
        """
        self._provider.experiment_metadata(self._context, experiment_id=self.experiment)

    def list_all(self) -> tuple[Listing, Listing]:
        """Signatures of all our tensor series and of all our blob sequences, asked for at once."""
        with ThreadPoolExecutor(1) as pool:
            blobs = pool.submit(self.list_blobs)
            return self.list_tensors(), blobs.result()

    def list_tensors(self, run: str | None = None) -> Listing:
        """Signatures of our tensor series by run and tag, of one run or of all."""
        return self._list(self._provider.list_tensors, PLUGIN_NAME, run)

    def list_blobs(self, run: str | None = None) -> Listing:
        """Signatures of our blob sequences by run and tag, of one run or of all."""
        return self._list(self._provider.list_blob_sequences, PLUGIN_NAME, run)

    def list_scalars(self, run: str) -> list[str]:
        """Tags of all scalars of a run, whoever wrote them, sorted."""
        return sorted(self._list(self._provider.list_scalars, SCALAR_PLUGIN, run).get(run, {}))

    def read_tensors(self, run: str, tag: str) -> list[TensorPoint]:
        """All points of one tensor series by step.

        Raises:
            TooLargeError: Even its last point is larger than TensorBoard answers.
        """
        for limit in (_ALL, *_THINNED):
            with suppress(TooLargeError):
                return self._read_tensors({run}, {tag}, limit).get(run, {}).get(tag, [])
        raise TooLargeError

    def read_last_tensor(self, run: str, tag: str) -> TensorPoint | None:
        """The point of the latest step of one tensor series."""
        points = self._read_tensors({run}, {tag}, 1).get(run, {}).get(tag, [])
        return points[-1] if points else None

    def read_many_tensors(
        self, runs: Collection[str], tags: Collection[str]
    ) -> Mapping[str, Mapping[str, list[TensorPoint]]]:
        """All points of small series of several runs in one go.

        Raises:
            TooLargeError: Together they are larger than TensorBoard answers.
        """
        return self._read_tensors(runs, tags, _ALL)

    def read_scalars(
        self, runs: Collection[str], tags: Collection[str]
    ) -> Mapping[str, Mapping[str, list[tuple[int, float, float]]]]:
        """Points `(step, wall time, value)` of scalars by run and tag."""
        with distrust(single=True):
            found = self._provider.read_scalars(
                self._context,
                experiment_id=self.experiment,
                plugin_name=SCALAR_PLUGIN,
                downsample=_ALL,
                run_tag_filter=tb_provider.RunTagFilter(runs=runs, tags=tags),
            )
        return {
            run: {
                tag: [(p.step, _seconds(p.wall_time), p.value) for p in points]
                for tag, points in by_tag.items()
            }
            for run, by_tag in found.items()
        }

    def blob_points(self, run: str, tag: str) -> list[BlobPoint]:
        """All points of a blob sequence by step, without their bytes."""
        return self.many_blob_points({run}, {tag}).get(run, {}).get(tag, [])

    def many_blob_points(
        self, runs: Collection[str], tags: Collection[str]
    ) -> Mapping[str, Mapping[str, list[BlobPoint]]]:
        """All points of the blob sequences of several runs, without their bytes."""
        with distrust():
            found = self._provider.read_blob_sequences(
                self._context,
                experiment_id=self.experiment,
                plugin_name=PLUGIN_NAME,
                downsample=_ALL,
                run_tag_filter=tb_provider.RunTagFilter(runs=runs, tags=tags),
            )
        return {
            run: {
                tag: [
                    BlobPoint(p.step, _seconds(p.wall_time), p.values[0].blob_key if p.values else None)
                    for p in points
                ]
                for tag, points in by_tag.items()
            }
            for run, by_tag in found.items()
        }

    def read_blob(self, key: str) -> bytes | None:
        """The bytes of one blob; None where it has gone since it was listed (a resumed run drops some).

        Raises:
            PayloadError: TensorBoard cannot read it, or it is no blob.
        """
        try:
            with distrust():
                data = self._provider.read_blob(self._context, blob_key=key)
        except tb_errors.NotFoundError:
            return None
        except tb_errors.InvalidArgumentError as error:
            # Its own keys: it cannot read those of a name with a quotation mark, a backslash or a line break.
            raise PayloadError(
                f"TensorBoard's data server cannot read it ({shown(str(error))}); started with "
                f"--load_fast=false TensorBoard can"
            ) from error
        except (LookupError, TypeError, ValueError) as error:
            raise PayloadError(f"TensorBoard cannot read it: {shown(error)}") from error
        if not isinstance(data, (bytes, bytearray)):
            raise PayloadError(f"not a concept payload: {shown(data)}")
        return bytes(data)

    def _list(self, list_series: Callable[..., Any], plugin: str, run: str | None) -> Listing:
        found = list_series(
            self._context,
            experiment_id=self.experiment,
            plugin_name=plugin,
            run_tag_filter=None if run is None else tb_provider.RunTagFilter(runs={run}),
        )
        return {
            name: {
                tag: Signature(series.max_step, _seconds(series.max_wall_time))
                for tag, series in by_tag.items()
            }
            for name, by_tag in (found or {}).items()
        }

    def _read_tensors(
        self, runs: Collection[str], tags: Collection[str], limit: int
    ) -> Mapping[str, Mapping[str, list[TensorPoint]]]:
        try:
            with distrust():
                found = self._provider.read_tensors(
                    self._context,
                    experiment_id=self.experiment,
                    plugin_name=PLUGIN_NAME,
                    downsample=limit,
                    run_tag_filter=tb_provider.RunTagFilter(runs=runs, tags=tags),
                )
        except Exception as error:  # grpc's errors are of no public type
            if "RESOURCE_EXHAUSTED" not in str(error):
                raise
            raise TooLargeError from error
        return {
            run: {
                tag: [TensorPoint(p.step, _seconds(p.wall_time), np.asarray(p.numpy)) for p in ps]
                for tag, ps in d.items()
            }
            for run, d in found.items()
        }


def _seconds(wall_time: float) -> float:
    """A wall time that can be compared and spelt in JSON: a log may hold NaN and infinity."""
    return wall_time if math.isfinite(wall_time) else 0.0
