"""Layers by name, however the model is wrapped, and what keeps a model from being watched.

`torch.compile`, DataParallel, checkpointing and averaging put a module of theirs around the user's own,
around the whole model or around parts of it, and a segment into the names of what is inside. Names are
those of the plain model here; the names with a wrapper's segments are understood as well.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from conceptmon_tb.training_state import unwrap_model

# The attribute in which a wrapper of this class keeps what it wraps.
_WRAPPERS = {
    "OptimizedModule": "_orig_mod",
    "DataParallel": "module",
    "DistributedDataParallel": "module",
    "AveragedModel": "module",
    "FullyShardedDataParallel": "_fsdp_wrapped_module",
    "CheckpointWrapper": "_checkpoint_wrapped_module",
    "OffloadWrapper": "_checkpoint_wrapped_module",
}


class _Place(NamedTuple):
    """One module of a model.

    Attributes:
        name: In the plain model.
        given: In the model as it is, with the segments of wrappers.
        module: The user's own module, inside all wrappers.
        script: Name of the TorchScript module that it is or is inside of; None for one of Python's.
    """

    name: str
    given: str
    module: nn.Module
    script: str | None


def find_layers(model: nn.Module, layers: Sequence[str]) -> dict[str, nn.Module]:
    """Look up layers by name.

    Args:
        model: The monitored model, wrapped or not.
        layers: Names in `model.named_modules()`; segments that a wrapper adds may be left out or given.

    Returns:
        Module of every name, in the order given; the module inside, where a layer itself is wrapped.

    Raises:
        ValueError: A layer does not exist; the message lists the nearest names. Or it is compiled by
            `torch.jit`, so that no hook sees it.
    """
    places: dict[str, _Place] = {}
    for place in _walk(unwrap_model(model)):
        for name in (place.name, place.given):
            places.setdefault(name, place)
    found = {}
    for layer in layers:
        at = next((places[name] for name in _spellings(layer) if name and name in places), None)
        if at is None:
            names = list(dict.fromkeys(place.name for place in places.values() if place.name))
            near = difflib.get_close_matches(layer, names, n=5, cutoff=0.4) or names[:5]
            raise ValueError(
                f"layers: the model has no layer {layer!r}; nearest names: {', '.join(near)} "
                f"(all of them: [name for name, _ in model.named_modules()])"
            )
        if at.script is not None:
            where = f"the part {at.script!r}" if at.script else "the model"
            raise ValueError(
                f"layers: {layer!r} cannot be seen: {where} is compiled by torch.jit, which takes no hooks. "
                f"Watch the model that was scripted or traced (its weights fit: "
                f"model.load_state_dict(scripted.state_dict())), or a layer of plain Python around it"
            )
        found[layer] = at.module
    return found


def check_ready(model: nn.Module) -> None:
    """Refuse a model that cannot be run yet, before anything is done.

    Args:
        model: The monitored model.

    Raises:
        ValueError: It has lazy parameters that the first batch has still to make, or weights without data.
        RuntimeError: Parts are compiled, and this torch cannot run them without.
    """
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if is_lazy(tensor):
            raise ValueError(
                f"model: {name!r} is not made yet (a lazy module makes it at its first batch, with random "
                f"numbers of your training); run one batch through the model first"
            )
        if tensor.is_meta and not is_offloaded(model):
            raise ValueError(
                f"model: {name!r} is on the meta device and has no values; fill the model first, with "
                f"model.to_empty(device=...) and model.load_state_dict(...)"
            )
    if not hasattr(torch.compiler, "set_stance"):
        for name, module in model.named_modules():
            if getattr(module, "_compiled_call_impl", None) or type(module).__name__ == "OptimizedModule":
                raise RuntimeError(
                    f"model: {name or type(module).__name__!r} is compiled, and hooks see nothing inside a "
                    f"compiled part; torch 2.6 and later can run it without: upgrade torch, or compile the "
                    f"whole model (torch.compile(model))"
                )


def not_called(model: nn.Module, layer: str) -> ValueError:
    """The error for a layer that was there and gave nothing.

    Args:
        model: The monitored model.
        layer: Name of the layer.
    """
    message = (
        f"layers: the model's forward never called {layer!r} as a module; choose a layer that it uses in "
        f"evaluation mode. Hooks do not see a module whose weights are used directly (out_proj of "
        f"nn.MultiheadAttention), nor one run as .forward(...): choose the module around it"
    )
    if any(isinstance(module, torch.fx.GraphModule) for module in model.modules()):
        message += (
            ". Of a model traced by torch.fx or torch.export only some modules are left: watch the model "
            "that was traced, or torch.export.unflatten(program)"
        )
    return ValueError(message)


def is_offloaded(model: nn.Module) -> bool:
    """Whether Accelerate's hooks move the model's weights to where they are needed and back."""
    return any(hasattr(module, "_hf_hook") for module in model.modules())


def _walk(module: nn.Module, name: str = "", given: str = "", script: str | None = None) -> Iterator[_Place]:
    """All modules, also under each further name that they have."""
    while (inside := _wrapped_name(module)) is not None:
        given = f"{given}.{inside}" if given else inside
        module = module.get_submodule(inside)
    if script is None and isinstance(module, torch.jit.ScriptModule):
        script = name
    yield _Place(name, given, module, script)
    for child_name, child in module._modules.items():  # noqa: SLF001 (named_children hides second names)
        if child is not None:
            below = f"{name}.{child_name}" if name else child_name
            yield from _walk(child, below, f"{given}.{child_name}" if given else child_name, script)


def _wrapped_name(module: nn.Module) -> str | None:
    for kind in type(module).__mro__:
        attribute = _WRAPPERS.get(kind.__name__)
        if attribute is not None and kind.__module__.startswith("torch."):
            return attribute if isinstance(getattr(module, attribute, None), nn.Module) else None
    return None


def _spellings(layer: str) -> Iterator[str]:
    """A name as given, without segments of wrappers in front, and below a wrapper that is not known here."""
    yield layer
    parts = [part for part in layer.split(".") if part not in _WRAPPERS.values() or part == "module"]
    yield ".".join(parts)
    while len(parts) > 1 and parts[0] == "module":
        parts = parts[1:]
        yield ".".join(parts)
    yield f"module.{layer}"
