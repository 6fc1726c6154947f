"""Two epochs of one model, whether modules, state dicts or checkpoints, and a look at both."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from torch import Tensor, nn

from conceptmon_tb.arguments import check_words
from conceptmon_tb.checkpoints.factory import ModelSource, build_model
from conceptmon_tb.checkpoints.keys import match_checkpoint, take_state
from conceptmon_tb.checkpoints.loading import read_checkpoint
from conceptmon_tb.evolution.layer_maps import LayerMaps
from conceptmon_tb.evolution_records import check_steps
from conceptmon_tb.probe_forward import Forward
from conceptmon_tb.training_state import unwrap_model

ModelState: TypeAlias = nn.Module | Mapping[str, Any] | str | Path
"""A model at one epoch: itself, its `state_dict()`, or a checkpoint file that holds one."""


@contextmanager
def look_at_epochs(
    before: ModelState,
    after: ModelState,
    layers: Sequence[str],
    steps: tuple[int, int],
    model: ModelSource | None = None,
    forward: Forward | None = None,
) -> Iterator[tuple[LayerMaps, LayerMaps]]:
    """Look at the same layers of two epochs; both are left as they were.

    Args:
        before: The earlier epoch.
        after: The later epoch.
        layers: Names from `model.named_modules()`.
        steps: Global steps of the two.
        model: As for `open_models`.
        forward: As for `LayerMaps`.

    Yields:
        The two.

    Raises:
        CheckpointError: As for `open_models`.
        TypeError: An argument of the wrong type.
        ValueError: Steps are not in order; or as for `open_models` and `LayerMaps`.
    """
    names = check_words("layers", layers)
    check_steps(*steps)
    earlier, later = open_models(before, after, model)
    with LayerMaps(earlier, names, forward) as old, LayerMaps(later, names, forward) as new:
        yield old, new


def open_models(
    before: ModelState, after: ModelState, model: ModelSource | None = None
) -> tuple[nn.Module, nn.Module]:
    """Make modules of two epochs.

    Args:
        before: The earlier epoch.
        after: The later epoch.
        model: What state dicts and checkpoints are loaded into: a factory, "package.module:factory", or a
            module, of which a copy is made. None: a copy of the other epoch's module.

    Returns:
        Two modules. Those that were given are the same objects, the others are new.

    Raises:
        TypeError: An epoch is none of these.
        ValueError: There is nothing to load into, or both epochs are the same weights in memory.
        CheckpointError: Weights do not fit, or a file cannot be read.
    """
    for name, state in (("before", before), ("after", after)):
        if not isinstance(state, (nn.Module, Mapping, str, Path)):
            raise TypeError(
                f"{name} must be a module, a state dict or the path of a checkpoint, got "
                f"{type(state).__name__}"
            )
    modules = [state for state in (before, after) if isinstance(state, nn.Module)]
    _check_apart((before, after))
    source: ModelSource | None = model if model is not None else next(map(unwrap_model, modules), None)
    return _open("before", before, source), _open("after", after, source)


def _check_apart(states: Iterable[ModelState]) -> None:
    """Refuse weights that are one in memory: a state dict goes along with the model that it was taken of."""
    weights = [
        _places(state.state_dict() if isinstance(state, nn.Module) else state)
        for state in states
        if isinstance(state, (nn.Module, Mapping))
    ]
    if len(weights) == 2 and all(weights) and (weights[0] <= weights[1] or weights[1] <= weights[0]):
        raise ValueError(
            "before and after are the same weights in memory, so nothing has evolved; keep a copy of the "
            "earlier ones: before = copy.deepcopy(model.state_dict())"
        )


def _places(state: Mapping[str, Any]) -> set[int]:
    """Where the tensors of a state dict, or of those inside a checkpoint, are in memory."""
    found: set[int] = set()
    for value in state.values():
        if isinstance(value, Mapping):
            found |= _places(value)
        elif type(value) in (Tensor, nn.Parameter) and value.is_floating_point():
            found.add(value.data_ptr())
    return found - {0}


def _open(name: str, state: ModelState, source: ModelSource | None) -> nn.Module:
    if isinstance(state, nn.Module):
        return state
    if source is None:
        raise ValueError(
            f"{name} is no module, and neither is the other epoch: say with model= what the weights belong to"
        )
    module = build_model(source)
    content = state if isinstance(state, Mapping) else read_checkpoint(Path(state))
    match = match_checkpoint(content, module, name=name if isinstance(state, Mapping) else str(state))
    module.load_state_dict(take_state(content, match), strict=False)
    return module
