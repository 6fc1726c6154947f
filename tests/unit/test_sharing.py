"""The parts of a shared look that need no second process: shares, meetings in a store, quantiles, parcels."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from PIL import Image
from torch import Tensor

import conceptmon_tb as cm
from conceptmon_tb.distributed.parcels import pack, unpack
from conceptmon_tb.distributed.rendezvous import MET, meet
from conceptmon_tb.distributed.sharing import plan_share
from conceptmon_tb.functional.quantile import UpperQuantile, merge_quantiles

PICTURES = [Image.fromarray(np.full((4, 4, 3), i, np.uint8)) for i in range(23)]


class Threads:
    """Ranks that are threads: each adds up what all have laid down."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._laid: dict[int, Tensor] = {}
        self._barrier = threading.Barrier(size, timeout=60)

    def run(self, act: Callable[[int, Any], object]) -> list[Any]:
        results: list[Any] = [None] * self.size

        def work(rank: int) -> None:
            results[rank] = act(rank, _Sums(self, rank))

        threads = [threading.Thread(target=work, args=(rank,)) for rank in range(self.size)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return results

    def combine(self, rank: int, values: Tensor, how: Callable[[Tensor], Tensor]) -> Tensor:
        self._laid[rank] = values.clone()
        self._barrier.wait()
        combined = how(torch.stack([self._laid[r] for r in range(self.size)]))
        self._barrier.wait()
        return combined


class _Sums:
    def __init__(self, threads: Threads, rank: int) -> None:
        self._threads, self._rank = threads, rank

    def sum(self, values: Tensor) -> Tensor:
        return self._threads.combine(self._rank, values, lambda all_of_them: all_of_them.sum(0))

    def largest(self, values: Tensor) -> Tensor:
        return self._threads.combine(self._rank, values, lambda all_of_them: all_of_them.amax(0))


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("batch_size", [1, 4, 7, 23, 100])
def test_shares_are_whole_batches_and_together_the_probe(size: int, batch_size: int) -> None:
    probe = cm.ProbeSet(PICTURES, batch_size=batch_size)
    shares = [plan_share(probe, rank, size) for rank in range(size)]
    assert [number for share in shares for number in share.batches] == [*range(probe.num_batches)]
    assert sum(share.images for share in shares) == len(probe)
    assert all(share.first == min(share.batches.start * batch_size, len(probe)) for share in shares)
    longest = max(len(share.batches) for share in shares)
    assert [share.forwards for share in shares] == [longest] * size
    assert longest - min(len(share.batches) for share in shares) <= 1


@pytest.mark.parametrize("cache_bytes", [0, 1 << 20])
def test_a_probe_gives_neighbouring_batches_as_it_gives_all(cache_bytes: int) -> None:
    probe = cm.ProbeSet(PICTURES, batch_size=4, cache_bytes=cache_bytes)
    whole = [batch.clone() for batch in cm.ProbeSet(PICTURES, batch_size=4).batches()]
    for numbers in (range(2, 4), range(3, 4), range(2), range(5, 6), range(2, 2), range(6)):
        given = [batch.clone() for batch in probe.batches(numbers)]
        assert [torch.equal(ours, whole[n]) for ours, n in zip(given, numbers, strict=True)] == [True] * len(
            numbers
        )


@pytest.mark.parametrize("buffer_bytes", [1 << 28, 1000])
def test_quantiles_of_ranks_are_those_of_one_process(buffer_bytes: int) -> None:
    activations = torch.randn(7, 3000, generator=torch.Generator().manual_seed(0))
    activations[1], activations[2], activations[3, 5] = 0.0, 2.0, torch.nan
    activations[4], activations[5] = activations[4].relu(), -activations[5].abs()
    activations[6, :100] = 9.0  # saturated
    alone = UpperQuantile(7, 3000, 0.01, buffer_bytes)
    alone.update(activations, 0)
    cuts = [0, 500, 500, 3000]  # one rank has nothing

    def work(rank: int, sums: Any) -> Tensor:
        quantile = UpperQuantile(7, 3000, 0.01, buffer_bytes)
        for start in range(cuts[rank], cuts[rank + 1], 250):
            quantile.update(activations[:, start : start + 250], start)
        merge_quantiles([quantile], sums)
        return quantile.thresholds()

    for thresholds in Threads(3).run(work):
        np.testing.assert_array_equal(thresholds.numpy(), alone.thresholds().numpy())


def test_ranks_that_all_come_meet_and_leave_nothing_behind() -> None:
    store = dist.HashStore()
    for number in (1, 2):
        met = Threads(3).run(lambda rank, _, n=number: meet(store, n, rank, 3, "look", 60.0))  # type: ignore[misc]
        assert met == [MET] * 3
    assert store.num_keys() == 0


def test_ranks_that_wait_in_vain_are_told_the_same_as_those_that_come_late() -> None:
    store = dist.HashStore()
    told = Threads(2).run(lambda rank, _: meet(store, 1, rank, 4, "look", 0.2))
    assert told[0] == told[1]
    assert "in look for ranks 2, 3" in told[0]
    assert meet(store, 1, 2, 4, "look", 60.0) == told[0]


def test_a_parcel_leaves_out_what_both_sides_have() -> None:
    ours, theirs = np.zeros(100_000), np.ones(3)
    parcel = pack({"space": ours, "rest": [1, ours]}, known=(ours,))
    assert len(parcel) < 1000
    opened = unpack(parcel, known=(theirs,))
    assert opened["space"] is theirs
    assert opened["rest"] == [1, theirs]
