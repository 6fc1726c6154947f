"""From "package.module:factory" to the model whose weights checkpoints hold."""

from __future__ import annotations

import copy
import importlib
import importlib.util
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from torch import nn

from conceptmon_tb.training_state import preserve_rng_streams

ModelSource: TypeAlias = str | Callable[..., Any] | nn.Module


def load_object(argument: str, spec: str) -> Any:
    """Import what "package.module:name" or "file.py:name" names.

    Args:
        argument: Name of the argument, for messages.
        spec: The working directory is searched first; dots go into attributes.

    Returns:
        The object.

    Raises:
        ValueError: The text has no such form, or the module or the name is not there.
    """
    module_name, _, attribute = spec.rpartition(":")
    if not module_name or not attribute:
        raise ValueError(f"{argument} must be 'package.module:name' or 'file.py:name', got {spec!r}")
    module = (
        _import_file(argument, spec, module_name)
        if module_name.endswith(".py")
        else _import(argument, spec, module_name)
    )
    found: Any = module
    for part in attribute.split("."):
        if not hasattr(found, part):
            names = [name for name, value in vars(module).items() if callable(value) and name[0] != "_"]
            has = ", ".join(names[:8]) or "nothing to call"
            raise ValueError(f"{argument} {spec!r}: {module_name} has no {attribute!r}; it has {has}")
        found = getattr(found, part)
    return found


def build_model(source: ModelSource, arguments: Mapping[str, Any] | None = None, seed: int = 0) -> nn.Module:
    """Build the model that checkpoints belong to.

    Args:
        source: "package.module:factory" or "file.py:factory", a function or class, or a module, of which a
            copy is made.
        arguments: Keyword arguments of the factory.
        seed: Of weights that no checkpoint sets; the global random streams stay as they are.

    Returns:
        A model.

    Raises:
        TypeError: The factory gives something other than a module.
        ValueError: There is no such factory, or it failed; its own error is the cause.
    """
    factory = load_object("model", source) if isinstance(source, str) else source
    if isinstance(factory, nn.Module):
        if arguments:
            raise ValueError(f"model_args are for a factory, but model is a {type(factory).__name__} already")
        return copy.deepcopy(factory)
    if not callable(factory):
        raise TypeError(f"model must be a factory or a module, got {type(factory).__name__}: {source!r}")
    called = name_of(source)
    try:
        with preserve_rng_streams(seed):
            model = factory(**(arguments or {}))
    except Exception as error:
        text = ", ".join(f"{name}={value!r}" for name, value in (arguments or {}).items())
        raise ValueError(
            f"the factory {called}({text}) failed: {type(error).__name__}: {error}; its arguments are "
            f"model_args (--model-args '{{\"num_classes\": 10}}')"
        ) from error
    if not isinstance(model, nn.Module):
        raise TypeError(f"the factory {called} must give a torch.nn.Module, got {type(model).__name__}")
    return model


def name_of(source: ModelSource) -> str:
    """What a model is built from, for people."""
    if isinstance(source, str):
        return source
    kind = type(source) if isinstance(source, nn.Module) else source
    return f"{getattr(kind, '__module__', '?')}:{getattr(kind, '__qualname__', repr(kind))}"


def _import(argument: str, spec: str, name: str) -> Any:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not (name == error.name or name.startswith(error.name + ".")):
            raise ValueError(f"{argument} {spec!r}: importing it failed: {error}") from error
        hint = (
            f"; for a file say '{name.replace('.', '/')}.py:...'"
            if Path(name.replace(".", "/") + ".py").exists()
            else ""
        )
        raise ValueError(
            f"{argument} {spec!r}: there is no module {name!r} in the environment or in {here}{hint}"
        ) from error
    except Exception as error:
        raise ValueError(
            f"{argument} {spec!r}: importing it failed: {type(error).__name__}: {error}"
        ) from error


def _import_file(argument: str, spec: str, name: str) -> Any:
    path = Path(name).expanduser().resolve()
    if not path.is_file():
        raise ValueError(f"{argument} {spec!r}: there is no file {str(path)!r}")
    loaded = sys.modules.get(path.stem)
    if loaded is not None and getattr(loaded, "__file__", None) == str(path):
        return loaded
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))  # so that it can import its neighbours
    specification = importlib.util.spec_from_file_location(path.stem, path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    replaced = sys.modules.get(path.stem)
    sys.modules[path.stem] = module
    try:
        specification.loader.exec_module(module)
    except Exception as error:
        raise ValueError(
            f"{argument} {spec!r}: importing it failed: {type(error).__name__}: {error}"
        ) from error
    finally:
        if replaced is not None:
            sys.modules[path.stem] = replaced
    return module
