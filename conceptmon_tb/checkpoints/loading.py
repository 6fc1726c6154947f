"""Reading checkpoints without running what is in them.

Pickled checkpoints are read with `weights_only=True` and, where their format allows it, mapped into memory:
looking at names and shapes reads next to nothing. Safetensors hold no code at all.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import pickle
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from conceptmon_tb.checkpoints.files import CheckpointError, DamagedError, listed, weights_file

_ZIP_MAGIC = b"PK\x03\x04"
_PICKLE_MAGIC = b"\x80"
_LEGACY_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # what torch.save wrote before it wrote zip files
_INDEX_SUFFIX = ".index.json"
_TRAINER_STATE = "trainer_state.json"
_DAMAGE = (RuntimeError, EOFError, ValueError, KeyError, IndexError, TypeError, AttributeError)
_DANGEROUS = frozenset(
    {"builtins", "ctypes", "importlib", "nt", "os", "posix", "pty", "runpy", "shutil", "subprocess", "sys"}
)
_MEND = "save it again as torch.save(model.state_dict(), path), or as safetensors"


def read_checkpoint(path: Path, *, allow_classes: Sequence[str] = (), only_shapes: bool = False) -> Any:
    """Read what a checkpoint holds.

    Args:
        path: A file of `torch.save` or safetensors, or a folder with one, in shards or whole.
        allow_classes: Classes beyond weights that may be made from a pickled file, as "module.Class".
        only_shapes: Tensors may be without content (of safetensors nothing but the header is read).

    Returns:
        The content, mostly nested dictionaries of CPU tensors.

    Raises:
        CheckpointError: The file is damaged, of an unknown format, or holds objects that are not allowed.
        OSError: The file cannot be opened.
    """
    file = weights_file(path)
    if file.name.endswith(_INDEX_SUFFIX):
        return _read_shards(file, allow_classes, only_shapes)
    return _read_file(file, allow_classes, only_shapes)


def own_entries(path: Path, content: Any) -> dict[str, Any]:
    """What a checkpoint says of itself: entries beside the weights, and what Trainer wrote next to them.

    Args:
        path: The checkpoint.
        content: From `read_checkpoint`.

    Returns:
        Entries by name, possibly none.
    """
    entries = (
        {name: value for name, value in content.items() if isinstance(name, str)}
        if isinstance(content, Mapping)
        else {}
    )
    state = path / _TRAINER_STATE
    if path.is_dir() and state.is_file():
        with contextlib.suppress(OSError, ValueError, TypeError):
            entries.update(json.loads(state.read_text(encoding="utf-8")))
    return entries


def check_classes(names: Sequence[str]) -> list[Callable[..., Any] | tuple[Callable[..., Any], str]]:
    """Import the classes that a user allows in checkpoints.

    Args:
        names: As "module.Class".

    Returns:
        Classes with the names that checkpoints know them by.

    Raises:
        ValueError: A name cannot be imported or is no class.
    """
    classes: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = []
    for name in names:
        module, _, attribute = name.rpartition(".")
        try:
            found = getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError, ValueError) as error:
            raise ValueError(f"allow_class {name!r} cannot be imported: {error}") from error
        # NumPy's numbers are made by functions; any other function would be a way to run code.
        if not isinstance(found, type) and module.partition(".")[0] != "numpy":
            raise ValueError(f"allow_class {name!r} is no class; only classes may be allowed in checkpoints")
        classes.append((found, name))
    return classes


def _read_file(file: Path, allow_classes: Sequence[str], only_shapes: bool) -> Any:
    if file.suffix.lower() == ".safetensors":
        return _read_safetensors(file, only_shapes)
    with file.open("rb") as opened:
        is_zip = opened.read(len(_ZIP_MAGIC)) == _ZIP_MAGIC
    with _allowed(allow_classes):
        try:
            return torch.load(file, map_location="cpu", weights_only=True, mmap=True if is_zip else None)
        except pickle.UnpicklingError as error:
            raise _refusal(file, str(error)) from error
        except _DAMAGE as error:
            if "TorchScript" in str(error):
                raise CheckpointError(f"{file} is a TorchScript archive, a program; {_MEND}") from error
            raise DamagedError(f"{file} is damaged or no checkpoint: {_first_line(error)}") from error


@contextlib.contextmanager
def _allowed(names: Sequence[str]) -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*(TorchScript archive|pickle protocol)")  # refused, and said so
        if not names:
            yield
            return
        with torch.serialization.safe_globals(check_classes(names)):
            yield


def _read_safetensors(file: Path, only_shapes: bool) -> dict[str, Tensor]:
    try:
        with safe_open(file, framework="pt") as opened:
            if not only_shapes:
                return {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 (no mapping)
            return {
                name: torch.empty(opened.get_slice(name).get_shape(), device="meta")
                for name in opened.keys()  # noqa: SIM118
            }
    except OSError:
        raise
    except Exception as error:  # safetensors has an error type for each language
        raise DamagedError(f"{file} is damaged or no safetensors file: {_first_line(error)}") from error


def _read_shards(index: Path, allow_classes: Sequence[str], only_shapes: bool) -> dict[str, Tensor]:
    try:
        names = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise DamagedError(f"{index} is no index of shards: {_first_line(error)}") from error
    state: dict[str, Tensor] = {}
    for name in sorted(map(str, names)):
        shard = index.parent / name
        if PurePosixPath(name).name != name or not shard.is_file():
            raise DamagedError(f"{index} names the shard {name!r}, which is not beside it")
        state.update(_read_file(shard, allow_classes, only_shapes))
    return state


def _refusal(file: Path, message: str) -> CheckpointError:
    """Say which objects keep a file from being read safely, and the way out."""
    unsafe = _unsafe_names(file) or sorted(set(re.findall(r"(?:GLOBAL |<class ')([\w.]+)", message)))
    if not unsafe:
        with file.open("rb") as opened:
            start = opened.read(len(_LEGACY_MAGIC))
        if start.startswith(_PICKLE_MAGIC) and start != _LEGACY_MAGIC:
            return CheckpointError(
                f"{file} was written by pickle, not by torch.save. Such a file can run any command: do not "
                f"load it; if you made it yourself, {_MEND}"
            )
        # PyTorch's own advice here is to load it unsafely.
        reason = message.partition("WeightsUnpickler error:")[2] or "not what torch.save writes"
        return DamagedError(f"{file} is damaged, or not written by torch.save: {_first_line(reason)}")
    modules = [name for name in unsafe if name.startswith("torch.nn.modules.")]
    what = "a whole pickled model" if modules else "more than weights"
    # An old format names what is built in without its module.
    if any("." not in name or name.partition(".")[0] in _DANGEROUS for name in unsafe):
        return CheckpointError(
            f"{file} holds {what}: objects of {listed(unsafe)}. Such a file can run any command: do not "
            f"load it; if you made it yourself, {_MEND}"
        )
    return CheckpointError(
        f"{file} holds {what}: objects of {listed(unsafe)}. Making them could run code, so it is refused. "
        f"If you need nothing but its weights, {_MEND}. If you trust the file and its classes, name them: "
        f"--allow-class {' '.join(unsafe[:4])}{' ...' if len(unsafe) > 4 else ''} (allow_classes=[...]; as "
        f"torch.serialization.add_safe_globals does)"
    )


def _unsafe_names(file: Path) -> list[str]:
    try:
        return sorted(torch.serialization.get_unsafe_globals_in_checkpoint(file))
    except (AttributeError, ValueError, RuntimeError, pickle.UnpicklingError):
        return []  # an older torch, or an older format


def _first_line(error: object) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
