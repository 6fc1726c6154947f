"""A device that is not the CPU, for machines without one: it computes on the CPU and takes nothing from it.

Real values, real operators; tensors only say that they are elsewhere, refuse to be mixed with tensors of the
CPU (but for scalars, as CUDA does) and have no NumPy view. So code that forgets to move something fails here
as it would on a GPU.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

DEVICE = torch.device("lazy")  # a kind of device that torch knows and nobody has


class _Elsewhere(Tensor):
    """Says that it is elsewhere; its values are in `held`."""

    held: Tensor

    @staticmethod
    def __new__(cls, real: Tensor) -> _Elsewhere:  # noqa: PYI034
        made = Tensor._make_wrapper_subclass(
            cls,
            real.shape,
            strides=real.stride(),
            storage_offset=real.storage_offset(),
            dtype=real.dtype,
            device=DEVICE,
        )
        made.held = real
        return made

    def new_tensor(self, data: Any, **options: Any) -> Tensor:  # which torch makes without asking anybody
        return torch.tensor(data, **{"dtype": self.dtype, **options}).to(DEVICE)

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


class _Mode(TorchDispatchMode):
    """Makes new tensors elsewhere when they are asked for there."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


def _run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    leaves = [x for x in tree_flatten((args, kwargs))[0] if isinstance(x, Tensor)]
    is_elsewhere = any(isinstance(x, _Elsewhere) for x in leaves)
    asked = kwargs.get("device")
    moves = func in (torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default)
    strangers = [x for x in leaves if x.ndim and not isinstance(x, _Elsewhere)]
    # An index may come from the CPU, as on CUDA.
    if is_elsewhere and strangers and not moves and "index" not in func.__name__:
        raise RuntimeError(f"{func}: expected all tensors to be on the same device, found {DEVICE} and cpu")
    if asked is not None:
        kwargs = {**kwargs, "device": torch.device("cpu")}
    real_args, real_kwargs = tree_map(lambda x: x.held if isinstance(x, _Elsewhere) else x, (args, kwargs))
    result = func(*real_args, **real_kwargs)
    goes = torch.device(asked).type == DEVICE.type if asked is not None else is_elsewhere
    if func is torch.ops.aten.copy_.default:
        goes = isinstance(args[0], _Elsewhere)
    written = {id(x.held): x for x in leaves if isinstance(x, _Elsewhere)}

    def find(value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        known = written.get(id(value))
        return known if known is not None else _Elsewhere(value)

    return tree_map(find, result) if goes else result


class _Autocast(torch.autocast):
    """Torch knows no autocast there; that of the CPU must be off all the same."""

    def __init__(self, device_type: str, **options: Any) -> None:
        super().__init__("cpu" if device_type == DEVICE.type else device_type, **options)


@contextmanager
def elsewhere() -> Iterator[torch.device]:
    """Have another device for a while."""
    with _Mode(), mock.patch.object(torch, "autocast", _Autocast):
        yield DEVICE
