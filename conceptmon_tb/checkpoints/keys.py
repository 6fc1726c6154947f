"""Where the weights of a model lie inside a checkpoint, and whether they are all there.

Checkpoints differ in where they keep the weights (`state_dict`, `model`, ...) and in what wrappers put
before the names (`module.`, `_orig_mod.`, a Lightning module's attribute). Both are found by what fits the
model; what does not fit is an error that lists the first names, never a model with random weights.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from torch import Tensor, nn

from conceptmon_tb.checkpoints.files import CheckpointError, listed

_USUAL_PLACES = (
    "",
    "state_dict",
    "model",
    "model_state_dict",
    "model_state",
    "net",
    "network",
    "weights",
    "params",
    "module",
)
"""Where weights in training are, the likeliest first; averages (`ema`, ...) are taken only if asked for."""

_WRAPPERS = frozenset({"_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"})
_USUAL_PREFIXES = ("", "module.", "model.", "net.", "network.", "module.model.", "model.module.")
_COUNTER = "num_batches_tracked"  # of BatchNorm: older checkpoints lack it and evaluation does not use it
_DEPTH = 3

State = Mapping[str, Any]


class Place(NamedTuple):
    """Where a checkpoint keeps the weights.

    Attributes:
        key: Entries to go through, joined by dots; "" for the top level.
        prefix: What stands before the model's own names.
    """

    key: str
    prefix: str

    def __str__(self) -> str:
        return (self.key or "top level") + (f", names without {self.prefix!r}" if self.prefix else "")


@dataclass(frozen=True)
class Match:
    """How the names of a state dict fit a model.

    Attributes:
        place: Where the state dict lies.
        names: Of the model's names, those of the checkpoint.
        missing: Names of the model that the checkpoint lacks.
        unexpected: Names of the checkpoint that the model lacks.
        other_shapes: Name, shape in the checkpoint and shape in the model.
        left_out: Names of the checkpoint outside the prefix, which belong to other modules.
        ignored: Names that do not fit and were to be ignored.
        others: Other entries of the checkpoint that fit as well.
    """

    place: Place
    names: Mapping[str, str]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    other_shapes: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...]
    left_out: tuple[str, ...]
    ignored: tuple[str, ...] = ()
    others: tuple[str, ...] = ()

    @property
    def fits(self) -> bool:
        """Whether every weight is there and nothing is left over."""
        return not (self.missing or self.unexpected or self.other_shapes)

    @property
    def num_right(self) -> int:
        """How many weights could be loaded."""
        return len(self.names)


def match_checkpoint(
    content: Any,
    model: nn.Module,
    *,
    name: str,
    state_key: str | None = None,
    prefix: str | None = None,
    ignore_keys: Sequence[str] = (),
) -> Match:
    """Find a model's weights in a checkpoint and check every name and shape.

    Args:
        content: What the checkpoint holds; tensors may be without content.
        model: The model.
        name: Name of the checkpoint, for messages.
        state_key: Entry with the weights, dots between nested ones ("" for the top level); None finds it.
        prefix: What stands before the model's names; None finds it.
        ignore_keys: Patterns (`head.*`) of names that may be missing, unexpected or of another shape; such
            weights stay as the factory made them.

    Returns:
        A match that fits.

    Raises:
        CheckpointError: Nothing fits; the message lists the first names of what is closest. Or several
            entries fit and none of them is the usual one.
    """
    states = dict(_find_states(content))
    if state_key is not None:
        if state_key not in states:
            raise CheckpointError(
                f"{name} has no weights at state_key {state_key!r}; it has them at "
                f"{listed(repr(key) for key in states) or 'no entry'}"
            )
        states = {state_key: states[state_key]}
    if not states:
        raise CheckpointError(f"{name} holds no named tensors, so no weights of a model")
    shapes = model_shapes(model)
    matches = [
        match
        for key, state in states.items()
        for match in _match_state(key, state, shapes, prefix, ignore_keys, name)
    ]
    fitting = [match for match in matches if match.fits]
    if not fitting:
        closest = max(matches, key=lambda match: (match.num_right, -len(match.unexpected)))
        raise CheckpointError(_mismatch(name, closest, [key for key in states if key]))
    usual = [match for match in fitting if match.place.key in _USUAL_PLACES]
    if len(fitting) > 1 and not usual:
        keys = [match.place.key for match in fitting]
        raise CheckpointError(
            f"{name} has several entries that fit the model: {listed(map(repr, keys))}; say which with "
            f"state_key (--state-key {keys[0]})"
        )
    chosen = min(usual, key=lambda match: _USUAL_PLACES.index(match.place.key)) if usual else fitting[0]
    return replace(chosen, others=tuple(match.place.key for match in fitting if match is not chosen))


def take_state(content: Any, match: Match) -> dict[str, Any]:
    """The weights by the model's own names.

    Args:
        content: What the checkpoint holds.
        match: From `match_checkpoint` for this checkpoint.

    Returns:
        What `load_state_dict` takes, without the names that are to be ignored.
    """
    state = dict(_find_states(content))[match.place.key]
    taken = OrderedDict((ours, state[theirs]) for ours, theirs in match.names.items())
    versions = getattr(state, "_metadata", None)
    if versions is not None and not match.place.prefix:
        taken._metadata = versions  # type: ignore[attr-defined]  # noqa: SLF001 (how modules know an old layout)
    return taken


class ModelShapes(NamedTuple):
    """Names and shapes of a model's weights and buffers.

    Attributes:
        shapes: By name as in `state_dict()`; None for what is no tensor.
        twins: Of each name, all names of the same tensor.
    """

    shapes: Mapping[str, tuple[int, ...] | None]
    twins: Mapping[str, frozenset[str]]


def model_shapes(model: nn.Module) -> ModelShapes:
    """Names and shapes of what a checkpoint of a model must hold."""
    state = model.state_dict(keep_vars=True)
    shared: dict[int, set[str]] = {}
    for name, value in state.items():
        shared.setdefault(id(value), set()).add(name)
    twins = {name: frozenset(shared[id(value)]) for name, value in state.items()}
    return ModelShapes({name: _shape(value) for name, value in state.items()}, twins)


def _shape(value: Any) -> tuple[int, ...] | None:
    return tuple(value.shape) if isinstance(value, Tensor) else None


def _find_states(content: Any, key: str = "", depth: int = _DEPTH) -> Iterator[tuple[str, State]]:
    """All mappings that could be state dicts, outermost first."""
    if not isinstance(content, Mapping) or not all(isinstance(name, str) for name in content):
        return
    if any(isinstance(value, Tensor) for value in content.values()):
        yield key, content
    if depth:
        for name, value in content.items():
            yield from _find_states(value, f"{key}.{name}" if key else name, depth - 1)


def _clean(name: str) -> str:
    """Drop what compiling and sharding put into names, wherever they wrap a part of the model."""
    return ".".join(part for part in name.split(".") if part not in _WRAPPERS)


def _match_state(
    key: str,
    state: State,
    model: ModelShapes,
    prefix: str | None,
    ignore_keys: Sequence[str],
    checkpoint: str,
) -> list[Match]:
    """The best match of one state dict; several only if they are equally good and differ in meaning."""
    theirs = {_clean(name): name for name in state}
    ours = {_clean(name): name for name in model.shapes}
    prefixes = _likely_prefixes(theirs, ours) if prefix is None else [_clean(prefix)]
    matches = [_match_prefix(Place(key, each), state, theirs, ours, model, ignore_keys) for each in prefixes]
    if matches[0].num_right == len(ours):
        return matches[:1]  # all there without a prefix: what else is there has a reason that must be said
    fitting = [match for match in matches if match.fits]
    if not fitting:
        return [max(matches, key=lambda match: (match.num_right, -len(match.unexpected)))]
    usual = [match for match in fitting if match.place.prefix in _USUAL_PREFIXES]
    if len(fitting) > 1 and not usual:
        found = [match.place.prefix for match in fitting]
        raise CheckpointError(
            f"{checkpoint} has several parts that fit the model: {listed(map(repr, found))}; say which with "
            f"prefix (--prefix {found[0]})"
        )
    return usual[:1] or fitting[:1]


def _likely_prefixes(theirs: Mapping[str, str], ours: Mapping[str, str]) -> list[str]:
    """What could stand before the model's names, the likeliest first; none is always among them."""
    some = list(ours)[:: max(1, len(ours) // 8)]
    found = Counter(
        name[: -len(own)] for own in some for name in theirs if name != own and name.endswith("." + own)
    )
    known = [prefix for prefix in _USUAL_PREFIXES if prefix in found]
    return ["", *known, *(prefix for prefix, _ in found.most_common() if prefix not in known)]


def _match_prefix(
    place: Place,
    state: State,
    theirs: Mapping[str, str],
    ours: Mapping[str, str],
    model: ModelShapes,
    ignore_keys: Sequence[str],
) -> Match:
    inside = {name[len(place.prefix) :]: name for name in theirs if name.startswith(place.prefix)}
    names = {ours[name]: theirs[inside[name]] for name in ours if name in inside}
    loaded = set(names)
    missing = [name for name in model.shapes if not model.twins[name] & loaded]
    unexpected = [name for name in inside if name not in ours]
    other = {
        own: (own, there or (), here or ())
        for own, name in names.items()
        if (there := _shape(state[name])) != (here := model.shapes[own])
    }
    wrong = [name for name in (*missing, *unexpected, *other) if not name.endswith(_COUNTER)]
    refused = {name for name in wrong if not any(fnmatchcase(name, pattern) for pattern in ignore_keys)}
    return Match(
        place=place,
        names={own: name for own, name in names.items() if own not in other},
        missing=tuple(name for name in missing if name in refused),
        unexpected=tuple(name for name in unexpected if name in refused),
        other_shapes=tuple(shapes for name, shapes in other.items() if name in refused),
        left_out=tuple(theirs[name] for name in theirs if not name.startswith(place.prefix)),
        ignored=tuple(name for name in wrong if name not in refused),
    )


def _mismatch(name: str, match: Match, keys: Sequence[str]) -> str:
    parts = []
    if match.missing:
        parts.append(f"{len(match.missing)} missing ({listed(match.missing, 4)})")
    if match.unexpected:
        parts.append(f"{len(match.unexpected)} unexpected ({listed(match.unexpected, 4)})")
    if match.other_shapes:
        shapes = [f"{own} {there} instead of {here}" for own, there, here in match.other_shapes]
        parts.append(f"{len(match.other_shapes)} of another shape ({listed(shapes, 4)})")
    wrong = [*match.missing, *match.unexpected, *(own for own, _, _ in match.other_shapes)]
    mend = f"does the factory build the network that was saved? {match.num_right} of its weights fit"
    if match.num_right:
        patterns = dict.fromkeys(f"{one.partition('.')[0]}.*" if "." in one else one for one in wrong)
        mend += (
            f". If the others do not matter for the layers you watch: --ignore-keys "
            f"{' '.join(repr(pattern) for pattern in list(patterns)[:4])} (ignore_keys=[...])"
        )
    where = f"; entries: {listed(keys)}, choose with --state-key" if len(keys) > 1 else ""
    return f"{name} ({match.place}) does not match the model: {', '.join(parts)}; {mend}{where}"
