"""Ranks meet before they do something together, so that none waits for ever for one that does not come.

Collectives cannot do this: one that a rank does not join hangs until the process group's own limit, and
leaves the group broken. The store of the process group, where ranks find each other, can.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Any

import torch.distributed as dist

WARNING_SECONDS = 15.0
"""After how long a rank says what it is waiting for."""

MET = "met"
_LONGEST_PAUSE = 0.05
_WAY_OUT = (
    "Every rank must call it, at the same steps: take it out of `if rank == 0:`, only rank 0 writes all the "
    "same. To look at the model in one process alone, make the monitor with distributed=False"
)
logger = logging.getLogger(__name__)


def meet(store: Any, number: int, rank: int, size: int, call: str, patience: float) -> str:
    """Wait until all ranks have come, or decide for all that they do not.

    Whoever comes last decides that they met, whoever loses patience first decides that they did not; the
    store lets only one of them decide.

    Args:
        store: Of the process group.
        number: Which meeting it is; counted by every rank for itself.
        rank: Of this process.
        size: How many ranks are to come.
        call: What every rank must have called, for messages.
        patience: Seconds to wait.

    Returns:
        `MET`, or why not; the same on all ranks that came, and that come later.
    """
    store = _section(store, number)
    began, pause, warned = time.monotonic(), 1e-3, False
    store.set(f"at/{rank}", "")
    if store.add("count", 1) == size:
        store.compare_set("decision", "", MET)
    while not store.check(["decision"]):
        waited = time.monotonic() - began
        if waited > patience:
            missing = _missing(store, size)
            told = f"rank {rank} of {size} waited {waited:.0f} s in {call} for {missing}. {_WAY_OUT}"
            store.compare_set("decision", "", told)
        elif waited > WARNING_SECONDS and not warned:
            warned = True
            logger.warning(
                "rank %d of %d waits in %s for %s, %.0f s at most: every rank must call it",
                *(rank, size, call, _missing(store, size), patience),
            )
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)
    decision = str(store.get("decision").decode())
    if decision == MET:
        _clear_up(store, rank, size)
    return decision


def decline(store: Any, number: int, why: str) -> str:
    """Decide for all ranks that they do not meet.

    Args:
        store: Of the process group.
        number: Which meeting it is.
        why: What all ranks are told.

    Returns:
        What they are told: another rank may have decided before.
    """
    store = _section(store, number)
    return str(store.compare_set("decision", "", why).decode())


def list_ranks(ranks: Sequence[int]) -> str:
    """Name some ranks.

    >>> list_ranks([1, 2])
    'ranks 1, 2'
    """
    shown = ", ".join(map(str, ranks[:8])) + (", ..." if len(ranks) > 8 else "")
    return f"rank {shown}" if len(ranks) == 1 else f"ranks {shown}"


def _section(store: Any, number: int) -> Any:
    return dist.distributed_c10d.PrefixStore(f"conceptmon_tb/{number}", store)


def _missing(store: Any, size: int) -> str:
    return list_ranks([rank for rank in range(size) if not store.check([f"at/{rank}"])])


def _clear_up(store: Any, rank: int, size: int) -> None:
    """Leave nothing in the store; the last one out takes what all have read."""
    store.delete_key(f"at/{rank}")
    if store.add("left", 1) == size:
        for name in ("count", "decision", "left"):
            store.delete_key(name)
