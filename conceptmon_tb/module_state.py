"""What a model's modules hold besides weights, and what a forward may leave there.

Buffers are known: BatchNorm's statistics, the vectors of a power iteration. But a forward may also count its
calls, keep its last attention, append to a list or, as `torch.nn.utils.weight_norm` does, set a weight anew;
all of that are plain attributes. They are put back one level deep: which object an attribute is, what a
tensor, list, dictionary or set holds.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

# The registers of torch's own: buffers are put back here, hooks, weights and modes by those who alter them.
_REGISTERS = frozenset(vars(nn.Module()))
_CONTAINERS = (dict, OrderedDict, defaultdict, set, deque, list)


def remember_modules(modules: Iterable[nn.Module]) -> Callable[[], None]:
    """Note buffers and plain attributes of modules.

    Args:
        modules: Of a model. TorchScript's keep no attributes in Python, and fully sharded ones exchange
            theirs in an order that is their own: of these only the buffers are noted.

    Returns:
        A function that puts everything back as it was, in place: content and identity.
    """
    modules = list(modules)
    restore = [_remember_buffers(module) for module in modules]
    if not any(is_sharded(module) for module in modules):
        restore += [_remember_attributes(m) for m in modules if not isinstance(m, torch.jit.ScriptModule)]

    def restore_all() -> None:
        for one in restore:
            one()

    return restore_all


def is_sharded(module: nn.Module) -> bool:
    """Whether a module's weights are spread over processes by FSDP, of either version."""
    return any(kind.__name__ in ("FullyShardedDataParallel", "FSDPModule") for kind in type(module).__mro__)


def _remember_buffers(module: nn.Module) -> Callable[[], None]:
    # Not named_buffers, which hides those that are None and those that are shared.
    buffers = {name: (buffer, _content(buffer)) for name, buffer in module._buffers.items()}  # noqa: SLF001

    def restore() -> None:
        now = dict(module._buffers.items())  # noqa: SLF001 (TorchScript's register is no dictionary)
        for name, (buffer, content) in buffers.items():
            if now.get(name) is not buffer:
                module._buffers[name] = buffer  # noqa: SLF001
            _restore_tensor(buffer, content)

    return restore


def _remember_attributes(module: nn.Module) -> Callable[[], None]:
    held = vars(module)
    before = {name: value for name, value in held.items() if name not in _REGISTERS}
    tensors = [(value, _content(value)) for value in before.values() if isinstance(value, Tensor)]
    containers = [(value, value.copy()) for value in before.values() if type(value) in _CONTAINERS]

    def restore() -> None:
        for name in [name for name in held if name not in before and name not in _REGISTERS]:
            del held[name]
        for name, value in before.items():
            if name not in held or held[name] is not value:
                held[name] = value
        for tensor, content in tensors:
            _restore_tensor(tensor, content)
        for container, content in containers:
            _restore_container(container, content)

    return restore


def _content(tensor: Tensor | None) -> Tensor | None:
    """A copy of what a tensor holds; None where there is nothing to hold."""
    return None if tensor is None or tensor.is_meta else tensor.detach().clone()


def _restore_tensor(tensor: Tensor | None, content: Tensor | None) -> None:
    if tensor is None or content is None or _same_bits(tensor, content):
        return
    # Only in inference mode may a tensor made there be written to.
    with torch.inference_mode(tensor.is_inference()), torch.no_grad():
        tensor.copy_(content)


def _restore_container(container: Any, content: Any) -> None:
    """Compare by identity: what is inside may be tensors, whose equality is no yes or no."""
    if _identities(container) == _identities(content):
        return
    container.clear()
    container.update(content) if isinstance(container, (dict, set)) else container.extend(content)


def _identities(container: Any) -> list[int]:
    return [*map(id, container), *(map(id, container.values()) if isinstance(container, dict) else ())]


def _same_bits(left: Tensor, right: Tensor) -> bool:
    if left.shape != right.shape or left.dtype != right.dtype:
        return False
    if left.is_quantized:
        return torch.equal(left, right)
    if left.layout is not torch.strided:
        return _same_bits(left.to_dense(), right.to_dense())
    return torch.equal(left.detach().reshape(-1).view(torch.uint8), right.reshape(-1).view(torch.uint8))
