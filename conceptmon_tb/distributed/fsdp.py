"""Fully sharded models, of either version of FSDP: looked at without leaving weights behind.

FSDP gathers a unit's weights before its forward and frees them after, but for the root: it expects the
backward soon. After a look that comes between `backward()` and `optimizer.step()` the root would go on with
the gathered weights, from before the step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from torch import nn

from conceptmon_tb.module_state import is_sharded


def remember_sharding(modules: Iterable[nn.Module]) -> Callable[[], None]:
    """Note which units of a model have freed their gathered weights.

    Args:
        modules: Of a model; those that are no units of FSDP are passed over.

    Returns:
        A function that frees the weights of these units again; it needs no other rank.
    """
    units = [module for module in modules if is_sharded(module) and not _is_gathered(module)]

    def free_again() -> None:
        for unit in units:
            if _is_gathered(unit):
                _free(unit)

    return free_again


def has_tensor_parallelism(model: nn.Module) -> bool:
    """Whether ranks compute parts of one forward together, so that they need the same images.

    Args:
        model: Any module.

    Returns:
        True where a parameter is spread over ranks by anything but FSDP alone.
    """
    units = any(is_sharded(module) for module in model.modules())
    for parameter in model.parameters():
        placements = getattr(parameter, "placements", ())
        spread = sum(not placement.is_replicate() for placement in placements)
        if spread > 1 or (placements and not units):
            return True
    return False


def _is_gathered(unit: Any) -> bool:
    handle = getattr(unit, "_handle", None)
    if handle is not None:  # version 1
        has_run = hasattr(handle.flat_param, "_full_param_padded")
        return bool(has_run and handle.uses_sharded_strategy and not handle.needs_unshard())
    if hasattr(unit, "_get_fsdp_state"):
        return any(group.is_unsharded for group in _groups(unit))
    return False


def _free(unit: Any) -> None:
    if hasattr(unit, "_handle"):
        from torch.distributed.fsdp._runtime_utils import _reshard  # version 1 has no public way

        _reshard(unit, unit._handle, True)  # noqa: SLF001
    else:
        unit.reshard()


def _groups(unit: Any) -> list[Any]:
    state = unit._get_fsdp_state()  # noqa: SLF001 (no public way to ask)
    groups = getattr(state, "_fsdp_param_groups", None)
    one = getattr(state, "_fsdp_param_group", None)
    return list(groups) if groups is not None else [one] if one is not None else []
