"""Sums over ranks for what a detector gathers; no failure of one rank keeps the others waiting in them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import torch
import torch.distributed as dist
from torch import Tensor

from conceptmon_tb.detectors.base import Sums
from conceptmon_tb.distributed.process_ranks import ProcessRanks
from conceptmon_tb.distributed.ranks import RankError

_HAS_FAILED, _GOES_ON, _IS_DONE = range(3)


def reduce_together(ranks: ProcessRanks, act: Callable[[Sums], None], doing: str) -> None:
    """Do something that adds up over ranks; where one fails, all fail.

    Args:
        ranks: The ranks, in a meeting.
        act: What to do; it asks for the same sums on all ranks.
        doing: What that is, for messages.

    Raises:
        RankError: A rank failed, or asked for something else than the others.
    """
    sums, error = _RankSums(ranks), None
    try:
        act(sums)
        sums.shake_hands(_IS_DONE)
    except (_StoppedError, RankError) as caught:
        if isinstance(caught, RankError):
            raise
    except Exception as caught:  # noqa: BLE001  # raised below, on all ranks
        error = caught
        with contextlib.suppress(_StoppedError):
            sums.shake_hands(_HAS_FAILED)
    ranks.settle(error, doing)
    if sums.is_out_of_step:
        ranks.refuse(f"ranks asked for different sums while {doing}")


class _StoppedError(Exception):
    """Another rank failed or asks for something else."""


class _RankSums:
    """Before each sum all ranks shake hands, so that none waits for one that failed or asks for no more."""

    def __init__(self, ranks: ProcessRanks) -> None:
        self._ranks = ranks
        self.is_out_of_step = False

    def sum(self, values: Tensor) -> Tensor:
        """See `Sums`."""
        self.shake_hands(_GOES_ON)
        return self._ranks.all_reduce(values, dist.ReduceOp.SUM)

    def largest(self, values: Tensor) -> Tensor:
        """See `Sums`."""
        self.shake_hands(_GOES_ON)
        return self._ranks.all_reduce(values, dist.ReduceOp.MAX)

    def shake_hands(self, state: int) -> None:
        """Go on where all ranks are about to do the same."""
        low, high = self._ranks.all_reduce(torch.tensor([-state, state]), dist.ReduceOp.MAX).tolist()
        if not -low == high == state:
            self.is_out_of_step = -low != _HAS_FAILED
            raise _StoppedError
