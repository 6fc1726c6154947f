"""One look at a model, shared by all ranks of a distributed training: each runs its part of the probe.

Parts are whole batches, so that every batch is what it is in one process, and so are the answers to it.
All ranks run equally many forward passes: those of a fully sharded model wait for each other.
"""

from __future__ import annotations

import hashlib
import warnings
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from conceptmon_tb.activations import Activations
from conceptmon_tb.detectors.base import MapScan, SharedMapScan, Sums
from conceptmon_tb.distributed.fsdp import has_tensor_parallelism
from conceptmon_tb.distributed.process_ranks import ProcessRanks
from conceptmon_tb.distributed.reduction import reduce_together
from conceptmon_tb.module_state import is_sharded
from conceptmon_tb.patches import Peaks
from conceptmon_tb.probe import ProbeSet
from conceptmon_tb.training_state import preserve_training_state

T = TypeVar("T")

_SAME_WEIGHTS = 1e-5  # of a weight's norm: what different devices may make of the same training
_samples: weakref.WeakKeyDictionary[ProbeSet, str] = weakref.WeakKeyDictionary()

FirstPass = Callable[[Iterator[Tensor], int, MapScan | None], dict[str, Activations]]
"""Runs batches with so many images through the model, for the activations and a detector's scan."""

FurtherPass = Callable[[Iterator[Tensor], int, MapScan], None]
"""Runs them once more, for the detector's scan."""


class Share(NamedTuple):
    """The part of the probe that one rank runs.

    Attributes:
        batches: Numbers of its batches.
        first: Id of its first image.
        images: How many images it has.
        forwards: Forward passes that every rank runs; a rank with fewer batches repeats its last.
    """

    batches: range
    first: int
    images: int
    forwards: int


def plan_share(probe: ProbeSet, rank: int, size: int) -> Share:
    """Divide a probe set by whole batches, as evenly as that allows.

    Args:
        probe: The probe set.
        rank: Of the rank that asks.
        size: How many ranks there are.

    Returns:
        The share of that rank; shares of ranks in order are neighbours.
    """
    count = probe.num_batches
    batches = range(rank * count // size, (rank + 1) * count // size)
    first = min(batches.start * probe.batch_size, len(probe))
    last = min(batches.stop * probe.batch_size, len(probe))
    return Share(batches, first, last - first, -(-count // size))


def collect_together(
    ranks: ProcessRanks,
    model: nn.Module,
    probe: ProbeSet,
    scan: MapScan | None,
    first_pass: FirstPass,
    further_pass: FurtherPass,
    *,
    progress: bool = False,
) -> dict[str, Activations]:
    """Run the probe through a model, each rank its share, and bring the answers together on rank 0.

    Buffers are those of rank 0 meanwhile: the BatchNorm statistics of the ranks differ under DDP. Where the
    ranks' weights differ, or a detector's scan cannot be put together, every rank runs the whole probe, and
    the answers are those of rank 0.

    Args:
        ranks: The ranks, in a meeting.
        model: The model without wrappers, left exactly as it was.
        probe: The pictures.
        scan: What a detector gathers; complete on rank 0 afterwards.
        first_pass: Runs batches through the model.
        further_pass: The same for what the scan wants to see again.
        progress: Show a progress bar while images are decoded.

    Returns:
        The answers to the whole probe on rank 0, nothing elsewhere.

    Raises:
        RankError: A rank failed.
    """
    whole = _must_run_all(ranks, model, probe, scan)
    share = plan_share(probe, 0, 1) if whole else plan_share(probe, ranks.rank, ranks.size)
    merge = scan.merge if isinstance(scan, SharedMapScan) and not whole else None
    with preserve_training_state(model):
        _take_buffers(ranks, model)
        answers = _run_pass(ranks, probe, share, scan, merge, first_pass, progress=progress)
        for _ in range(1, 1 if scan is None else scan.passes):
            _run_pass(ranks, probe, share, scan, merge, further_pass)
    if whole:
        return answers if ranks.leads else {}
    counts = [plan_share(probe, rank, ranks.size).images for rank in range(ranks.size)]
    return _gather(ranks, answers, counts)


def _must_run_all(ranks: ProcessRanks, model: nn.Module, probe: ProbeSet, scan: MapScan | None) -> bool:
    """Whether the probe cannot be shared; everything that ranks must have in common is compared here."""

    def describe() -> dict[str, object]:
        if has_tensor_parallelism(model):
            raise ValueError(
                "the model's weights are spread by tensor parallelism, which needs the same images on "
                "several ranks; watch it with distributed= a process group of one rank of each, or watch a "
                "copy of it with distributed=False"
            )
        return {"the number of probe images": len(probe), "the probe's batch_size": probe.batch_size} | {
            "a picture of the probe": _sample(probe)
        }

    ranks.compare(ranks.agree(describe, "reading the probe"))
    sharded = any(is_sharded(module) for module in model.modules())
    mine = ranks.agree(lambda: (_weigh(model, sharded), _layout(model)), "reading the model's weights")
    told = ranks.exchange(mine)
    other = [rank for rank, theirs in enumerate(told) if not _is_same(told[0], theirs)]
    if other and ranks.leads:
        warnings.warn(
            f"the weights of the model on rank {other[0]} are not those on rank 0, so the probe cannot be "
            f"shared: every rank runs all of it, and the concepts are those of rank 0. Look at the model "
            f"where the ranks are in step, or make the monitor with distributed=False",
            RuntimeWarning,
            stacklevel=2,
        )
    return bool(other) or (scan is not None and not isinstance(scan, SharedMapScan))


def _sample(probe: ProbeSet) -> str:
    """Tell a probe of other pictures by three of them: reading all would cost an epoch's look."""
    if probe not in _samples:
        digest = hashlib.sha256()
        for image in sorted({0, len(probe) // 2, len(probe) - 1}):
            digest.update(probe.picture(image).tobytes())
        _samples[probe] = digest.hexdigest()[:12]
    return _samples[probe]


def _weigh(model: nn.Module, sharded: bool) -> np.ndarray | None:
    """Sum and norm of every parameter, `(parameters, 2)` float64; None where each rank holds its own part."""
    parameters = [] if sharded else [p.detach() for p in model.parameters() if p.is_floating_point()]
    if not parameters:
        return None
    norm: Callable[..., Tensor] = torch.linalg.vector_norm
    sums = [torch.stack((p.sum(dtype=torch.float64), norm(p, dtype=torch.float64))) for p in parameters]
    return torch.stack([pair.cpu() for pair in sums]).numpy()


def _layout(model: nn.Module) -> list[tuple[tuple[int, ...], str]]:
    return [(tuple(buffer.shape), str(buffer.dtype)) for buffer in model.buffers()]


def _is_same(
    left: tuple[np.ndarray | None, list[tuple[tuple[int, ...], str]]],
    right: tuple[np.ndarray | None, list[tuple[tuple[int, ...], str]]],
) -> bool:
    (ours, our_layout), (theirs, their_layout) = left, right
    if our_layout != their_layout or (ours is None) != (theirs is None):
        return False
    if ours is None or theirs is None:
        return True
    if ours.shape != theirs.shape:
        return False
    difference, allowed = np.abs(ours - theirs), _SAME_WEIGHTS * ours[:, 1:]
    return bool(np.all((difference <= allowed) | (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))))


def _take_buffers(ranks: ProcessRanks, model: nn.Module) -> None:
    """Take over rank 0's buffers, as DDP does at every forward; whoever called puts back this rank's own."""
    buffers = list(model.buffers())
    if not buffers:
        return
    flat = ranks.agree(lambda: torch.cat([_bytes(buffer) for buffer in buffers]), "reading buffers")
    received = ranks.broadcast(flat)

    def put() -> None:
        ours, start = {}, 0
        for buffer in buffers:
            end = start + buffer.numel() * buffer.element_size()
            if not torch.equal(received[start:end], flat[start:end]):
                content = received[start:end].view(buffer.dtype).view(buffer.shape)
                ours[id(buffer)] = content.to(buffer.device, copy=True)
            start = end
        for module in model.modules():
            for name, own in module._buffers.items():  # noqa: SLF001
                # In place it would be a change to tensors that a backward to come may need.
                module._buffers[name] = ours.get(id(own), own)  # noqa: SLF001

    ranks.agree(put, "taking over rank 0's buffers")


def _bytes(tensor: Tensor) -> Tensor:
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)


def _run_pass(
    ranks: ProcessRanks,
    probe: ProbeSet,
    share: Share,
    scan: MapScan | None,
    merge: Callable[[Sums], None] | None,
    forward: Callable[[Iterator[Tensor], int, Any], T],
    *,
    progress: bool = False,
) -> T:
    """Run one pass of this rank's share, and end it together with the others."""
    part = None if scan is None else _PartScan(scan, share)
    batches = _read_ahead(ranks, probe, share, progress=progress)

    def run() -> T:
        answers = forward(batches, sum(_run_sizes(probe, share)), part)
        for failure in (batches.failure, part.failure if part is not None else None):
            if failure is not None:  # put off until all forward passes were done
                raise failure
        return answers

    answers = ranks.agree(run, "running the probe through the model")
    if scan is not None:
        if merge is not None:
            reduce_together(ranks, merge, "putting together what the detector gathered")
        ranks.agree(scan.end_pass, "ending the detector's pass")
    return answers


def _read_ahead(ranks: ProcessRanks, probe: ProbeSet, share: Share, *, progress: bool) -> _Steady:
    """Read the first batch, or all of them where they are kept, before any rank's forward waits for ours."""
    numbers = _run_numbers(probe, share)

    def begin() -> _Steady:
        batches = probe.batches(numbers, progress=progress and ranks.leads)
        return _Steady(batches, _run_sizes(probe, share))

    return ranks.agree(begin, "reading the probe")


def _run_numbers(probe: ProbeSet, share: Share) -> range:
    """Batches that a rank reads: its own, or any one where it has none, to repeat it."""
    some = min(share.batches.start, probe.num_batches - 1)
    return share.batches or range(some, some + 1)


def _run_sizes(probe: ProbeSet, share: Share) -> list[int]:
    """Images in each batch that a rank runs, repeated ones included."""
    starts = [number * probe.batch_size for number in _run_numbers(probe, share)]
    sizes = [min(probe.batch_size, len(probe) - start) for start in starts]
    return [*sizes, *[sizes[-1]] * (share.forwards - len(sizes))]


class _Steady(Iterator[Tensor]):
    """As many batches as every rank runs, come what may: other ranks may wait inside their forward for ours.

    A batch that cannot be read is replaced by one that could, and `failure` tells so afterwards.
    """

    def __init__(self, batches: Iterator[Tensor], sizes: Sequence[int]) -> None:
        self._batches = batches
        self._sizes = iter(sizes)
        self._last = next(batches)
        self._is_fresh = True
        self.failure: Exception | None = None

    def __next__(self) -> Tensor:
        size = next(self._sizes)
        if not self._is_fresh and self.failure is None:
            try:
                self._last = next(self._batches, self._last)
            except Exception as error:  # noqa: BLE001  # told when the other ranks can hear it
                self.failure = error
        self._is_fresh = False
        return self._last[:size]  # the last batch of a probe, which is shorter, may be replaced too


class _PartScan:
    """A detector's scan as it sees one rank's share: with the ids of the whole probe, without repetitions.

    Its failures are put off for the same reason as those of reading, and the pass is ended by all together.
    """

    def __init__(self, scan: MapScan, share: Share) -> None:
        self._scan, self._share = scan, share
        self.passes = scan.passes
        self.failure: Exception | None = None

    def update(self, layer: str, maps: Tensor, start: int) -> None:
        if self.failure is not None:
            return
        first = min(start, self._share.images)
        try:
            self._scan.update(layer, maps[: self._share.images - first], self._share.first + first)
        except Exception as error:  # noqa: BLE001
            self.failure = error

    def end_pass(self) -> None:
        """The ranks do this together."""


def _gather(
    ranks: ProcessRanks, answers: dict[str, Activations], counts: list[int]
) -> dict[str, Activations]:
    """Bring the layers' answers together on rank 0, without those to repeated batches."""
    told = {f"the number of neurons of {layer!r}": seen.values.shape[1] for layer, seen in answers.items()}
    ranks.compare(told)
    grids = ranks.exchange({layer: seen.peaks and seen.peaks.grid for layer, seen in answers.items()})
    mine = counts[ranks.rank]
    gathered = {}
    for layer, (values, peaks) in answers.items():
        rows = ranks.gather_rows(values[:mine], counts)
        cells = None
        if peaks is not None and len({grid[layer] for grid in grids}) == 1:
            cells = ranks.gather_rows(peaks.cell[:mine], counts)
        if rows is not None:
            found = None if cells is None or peaks is None else Peaks(cells, peaks.grid)
            gathered[layer] = Activations(rows, found)
    return gathered
