"""The activation that a neuron exceeds only in a small share of all positions of all its maps.

Network Dissection needs one high quantile per neuron over millions of activations. Only the upper tail
matters and the number of positions is known beforehand, so it is enough to keep the largest
`quantile * positions` activations of each neuron: the result is exact and does not depend on how the
activations arrive. The published code keeps random samples of all of them instead.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from conceptmon_tb.functional.health import NeuronHealth, valid_neurons
from conceptmon_tb.functional.ranking import largest

if TYPE_CHECKING:
    from conceptmon_tb.detectors.base import Sums

DEFAULT_QUANTILE = 0.005
DEFAULT_BUFFER_BYTES = 256 << 20

_ROOM = 2048  # activations of a neuron that are taken in at once, at least
_FEWEST = 16  # activations above the quantile of a neuron that any buffer must hold
_SATURATED = 1e-3  # share of a neuron's range that still counts as its largest activation
_MULTIPLIERS = (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)  # SplitMix64


class UpperQuantile:
    """T_k with P(a_k > T_k) = quantile, for all neurons of a layer, in one pass over its activations.

    The buffer holds the largest activations seen so far, in `buffer_bytes` for all neurons. Where
    `quantile` of all positions fit, the result is exact: `floor(quantile * positions)` activations lie above
    it when all differ. Where they do not fit, one position out of every `stride` neighbouring ones is
    looked at (drawn by a hash of its place, so that batches and repetitions do not matter). With k
    activations buffered for each neuron, the share of all activations above the result then has a relative
    standard error of at most `1 / sqrt(k)`, and is off by more than a share t with a probability of at most
    `2 exp(-k t^2 / (2 + 2 t / 3))` (Bernstein): for k = 65,536, by 2 % in 5 of a million neurons.

    Args:
        num_neurons: Neurons of the layer.
        num_positions: Positions of all maps of the whole probe set: images x rows x columns.
        quantile: Share of positions above T_k, in (0, 1).
        buffer_bytes: Memory for the buffer; some 8 KiB per neuron are always taken.

    Raises:
        ValueError: An argument is out of range.

    Source: Network Dissection (Bau et al., CVPR 2017), section 2.2.

    Example:
        >>> top = UpperQuantile(num_neurons=1, num_positions=10, quantile=0.2)
        >>> top.update(torch.arange(10.0)[None], first=0)
        >>> top.thresholds().tolist()
        [7.0]
    """

    def __init__(
        self,
        num_neurons: int,
        num_positions: int,
        quantile: float = DEFAULT_QUANTILE,
        buffer_bytes: int = DEFAULT_BUFFER_BYTES,
    ) -> None:
        if not 0 < quantile < 1:
            raise ValueError(f"quantile must be between 0 and 1, got {quantile}")
        if num_neurons < 1 or num_positions < 1:
            raise ValueError(
                f"num_neurons and num_positions must be at least 1, got {num_neurons} and {num_positions}"
            )
        self.num_positions = num_positions
        self.quantile = quantile
        self.stride = _stride(num_neurons, num_positions, quantile, buffer_bytes)
        self._kept = _num_above(math.ceil(num_positions / self.stride), quantile) + 1
        self._room = max(self._kept, _ROOM)
        self._buffer = torch.full((num_neurons, self._kept + self._room), -math.inf, dtype=torch.float32)
        self._filled = torch.zeros(num_neurons, dtype=torch.int64)
        self._least = self._buffer[:, 0].clone()  # of the largest `_kept` so far
        self._extremes = torch.tensor([math.inf, -math.inf], dtype=torch.float32).repeat(num_neurons, 1)
        self._positions_seen = 0
        self._sampled = 0
        self._merged: Tensor | None = None

    @property
    def is_exact(self) -> bool:
        """Whether every position is looked at."""
        return self.stride == 1

    @property
    def buffer_bytes(self) -> int:
        """Memory that the buffer takes."""
        return self._buffer.numel() * self._buffer.element_size()

    def update(self, activations: Tensor, first: int) -> None:
        """Take in some positions.

        Args:
            activations: `(neurons, positions)` any real dtype.
            first: Number of the first of these positions among all, positions of an image side by side.

        Raises:
            ValueError: Another number of neurons, or positions beyond `num_positions`.
        """
        if activations.ndim != 2 or activations.shape[0] != len(self._filled):
            raise ValueError(
                f"activations must be ({len(self._filled)} neurons, positions), "
                f"got shape {tuple(activations.shape)}"
            )
        if first < 0 or first + activations.shape[1] > self.num_positions:
            raise ValueError(
                f"first={first} with {activations.shape[1]} positions lies outside the "
                f"{self.num_positions} positions announced"
            )
        if activations.shape[1] == 0:
            return
        values = activations.detach().float()
        self._to(values.device)
        low, high = values.amin(dim=1), values.amax(dim=1)  # both propagate NaN
        self._extremes = torch.stack(
            (torch.minimum(self._extremes[:, 0], low), torch.maximum(self._extremes[:, 1], high)), dim=1
        )
        self._positions_seen += values.shape[1]
        if self.stride > 1:
            chosen = sampled_positions(first, values.shape[1], self.stride)
            values = values[:, chosen.to(values.device)]
        self._sampled += values.shape[1]
        for chunk in torch.split(values, self._room, dim=1):
            self._add(chunk)

    def health(self) -> NeuronHealth:
        """Which neurons are valid, dead, constant or not finite over all positions (see `valid_neurons`)."""
        return valid_neurons(self._extremes.T.cpu())

    def thresholds(self) -> Tensor:
        """The quantiles.

        A neuron that takes its largest activation at more than `quantile` of all positions (a saturated
        one) has no activation above the quantile; its threshold lies a thousandth of its range below that
        largest activation, so that the saturated positions count.

        Returns:
            `(neurons,)` float32 T_k; NaN for neurons that are dead, constant or not finite: nothing
            exceeds it.

        Raises:
            ValueError: Not all positions have been seen.
        """
        if self._positions_seen != self.num_positions:
            raise ValueError(
                f"{self._positions_seen} of the {self.num_positions} positions announced have been seen; "
                "update with all of them, each once"
            )
        quantile, (low, high) = self._quantile(), self._extremes.T
        threshold = torch.where(quantile < high, quantile, high - _SATURATED * (high - low))
        return threshold.masked_fill(~self.health().valid.to(threshold.device), math.nan)

    def _quantile(self) -> Tensor:
        if self._merged is not None:
            return self._merged
        return largest(self._buffer, self._rank)[:, -1]

    @property
    def _rank(self) -> int:
        """The how-many-eth largest activation is the quantile."""
        return _num_above(self._sampled, self.quantile) + 1

    def _add(self, values: Tensor) -> None:
        """Append what exceeds the least of the largest; tidy up first where there is no room."""
        above = values > self._least[:, None]  # NaN is left out
        counts = above.sum(dim=1)
        if int((self._filled + counts).max()) > self._buffer.shape[1]:
            self._tidy()
            above = values > self._least[:, None]
            counts = above.sum(dim=1)
        row, column = above.nonzero(as_tuple=True)
        starts = counts.cumsum(0) - counts
        place = self._filled[row] + torch.arange(len(row), device=row.device) - starts[row]
        self._buffer[row, place] = values[row, column]
        self._filled += counts

    def _tidy(self) -> None:
        top = largest(self._buffer, self._kept)
        self._buffer.fill_(-math.inf)
        self._buffer[:, : self._kept] = top
        self._filled.clamp_(max=self._kept)
        self._least = top[:, -1].clone()

    def _to(self, device: torch.device) -> None:
        if self._buffer.device != device:
            self._buffer, self._filled, self._least, self._extremes = (
                part.to(device) for part in (self._buffer, self._filled, self._least, self._extremes)
            )


def merge_quantiles(quantiles: Sequence[UpperQuantile], sums: Sums) -> None:
    """Make quantiles those of what all ranks of a distributed training have seen, exactly.

    No rank gets the activations of another: the quantile is searched for by halving, and in each of 32
    rounds the ranks add up how many of their largest activations lie above the middle.

    Args:
        quantiles: Of this rank, for several layers at once; the same settings on every rank.
        sums: Over the ranks.
    """
    if not quantiles:
        return
    counts = torch.tensor([[q._positions_seen, q._sampled] for q in quantiles])  # noqa: SLF001
    for quantile, (seen, sampled) in zip(quantiles, sums.sum(counts).tolist(), strict=True):
        quantile._positions_seen, quantile._sampled = seen, sampled  # noqa: SLF001
    extremes = torch.cat([q._extremes.cpu() for q in quantiles]) * torch.tensor([-1.0, 1.0])  # noqa: SLF001
    is_nan = sums.largest(extremes.isnan().to(torch.uint8)).bool()
    extremes = sums.largest(extremes.nan_to_num(-math.inf, math.inf, -math.inf)).masked_fill(is_nan, math.nan)
    merged = _merged_quantiles(quantiles, sums)
    start = 0
    for quantile, value in zip(quantiles, merged, strict=True):
        device, end = quantile._buffer.device, start + len(value)  # noqa: SLF001
        quantile._merged = value.to(device)  # noqa: SLF001
        quantile._extremes = (extremes[start:end] * torch.tensor([-1.0, 1.0])).to(device)  # noqa: SLF001
        start = end


def _merged_quantiles(quantiles: Sequence[UpperQuantile], sums: Sums) -> list[Tensor]:
    """`(neurons,)` float32 for each, the largest value that enough activations of all ranks reach."""
    # Ascending, so that counting what lies above a value is a binary search.
    tops = [largest(q._buffer, q._rank).flip(1).contiguous() for q in quantiles]  # noqa: SLF001
    lengths = [len(top) for top in tops]
    wanted = torch.cat([torch.full((len(q._filled),), q._rank) for q in quantiles])  # noqa: SLF001
    low = _order(torch.full(wanted.shape, -math.inf))  # is reached by enough, and what is above `high` is not
    high = _order(torch.full(wanted.shape, math.inf)) + 1
    while bool((high - low > 1).any()):
        middle = (low + high) // 2
        parts = zip(tops, torch.split(_value(middle), lengths), strict=True)
        above = [top.shape[1] - torch.searchsorted(top, v.to(top.device)[:, None])[:, 0] for top, v in parts]
        enough = sums.sum(torch.cat([count.cpu() for count in above])) >= wanted
        low, high = torch.where(enough, middle, low), torch.where(enough, high, middle)
    return list(torch.split(_value(low), lengths))


def _order(values: Tensor) -> Tensor:
    """Whole numbers, int64, in the order of float32 values, one for each value."""
    bits = values.view(torch.int32).long()
    return torch.where(bits >= 0, bits, -(bits & 0x7FFFFFFF) - 1)


def _value(order: Tensor) -> Tensor:
    """The float32 value that has a number; the inverse of `_order`."""
    bits = torch.where(order >= 0, order, (-order - 1) - 0x80000000)
    return bits.to(torch.int32).view(torch.float32)


def sampled_positions(first: int, count: int, stride: int) -> Tensor:
    """Which of a run of positions are looked at: one, drawn by a hash, out of every `stride` neighbours.

    Args:
        first: Number of the first position.
        count: How many positions there are.
        stride: Length of the blocks.

    Returns:
        `(sampled,)` int64 places within the run, ascending.
    """
    blocks = np.arange(first // stride, (first + count - 1) // stride + 1, dtype=np.uint64)
    mixed = blocks * np.uint64(_MULTIPLIERS[0])  # wraps around
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(_MULTIPLIERS[1])
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(_MULTIPLIERS[2])
    mixed ^= mixed >> np.uint64(31)
    places = (blocks * np.uint64(stride) + mixed % np.uint64(stride)).astype(np.int64) - first
    return torch.from_numpy(places[(places >= 0) & (places < count)])


def _num_above(positions: int, quantile: float) -> int:
    """How many of so many activations may lie above the quantile."""
    return math.floor(quantile * positions + 1e-9)  # 0.005 * 1,000 is meant to be 5


def _stride(num_neurons: int, num_positions: int, quantile: float, buffer_bytes: int) -> int:
    above = _num_above(num_positions, quantile)
    wanted = math.ceil(2 * (above + 1) * num_neurons * 4 / max(buffer_bytes, 1))
    return max(1, min(wanted, above // _FEWEST))
