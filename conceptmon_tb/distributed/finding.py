"""Which ranks look at a model together, from the argument `distributed` of a monitor."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import torch.distributed as dist

from conceptmon_tb.distributed.process_ranks import ProcessRanks
from conceptmon_tb.distributed.ranks import Ranks

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

Distributed: TypeAlias = 'Literal["auto", False] | ProcessGroup'

_ALONE = Ranks()
_known: weakref.WeakKeyDictionary[Any, ProcessRanks] = weakref.WeakKeyDictionary()


def find_ranks(distributed: Distributed = "auto") -> Ranks:
    """The ranks that share an observation with this process.

    Args:
        distributed: "auto": all of `torch.distributed`, where it is initialised; False: this process alone;
            or a process group that this process belongs to.

    Returns:
        The ranks, the same object as long as the process group lives.

    Raises:
        ValueError: The process group was destroyed.
    """
    if distributed is False or not dist.is_available():
        return _ALONE
    if distributed == "auto":
        if not dist.is_initialized():
            return _ALONE
        parent = dist.group.WORLD
    else:
        parent = distributed
    if parent is None or dist.get_world_size(parent) == 1:
        return _ALONE
    if parent not in _known:
        _known[parent] = ProcessRanks(parent)
    return _known[parent]


def check_distributed(distributed: Any) -> Distributed:
    """Refuse what says nothing about ranks.

    Args:
        distributed: The argument of a monitor.

    Raises:
        TypeError: It is neither "auto" nor False nor a process group.
    """
    if distributed is False:
        return False
    if isinstance(distributed, str) and distributed == "auto":
        return "auto"
    if dist.is_available() and isinstance(distributed, dist.ProcessGroup):
        return distributed
    raise TypeError(
        f"distributed must be 'auto', False or a ProcessGroup of torch.distributed that this process belongs "
        f"to, got {type(distributed).__name__}: {distributed!r}"
    )
