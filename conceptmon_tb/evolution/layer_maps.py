"""Whole activation maps of some layers, taken from a forward pass or put into one.

Unlike `activations`, which pools at once, this keeps the maps of a batch, with their gradient's way to the
logits where that is wanted. What the model goes on with is a copy: a later in-place operation alters neither
what was taken nor how the gradient reaches it.
"""

from __future__ import annotations

import copy
import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn

from conceptmon_tb.named_layers import find_layers, not_called
from conceptmon_tb.pooling import find_axes, first_tensor, real_tensor
from conceptmon_tb.probe_forward import Forward, ProbeForward
from conceptmon_tb.training_state import preserve_training_state, unwrap_model


class LayerMaps:
    """Runs a model and takes, or replaces, what some layers give; the model is left exactly as it was.

    Use it as a context manager: inside, the model is in evaluation mode and all that
    `preserve_training_state` puts back is put back afterwards, also after an exception. Gradients of weights
    are never computed, and no hook of a backward pass is called.

    Args:
        model: The model, on any device, wrapped or not.
        layers: Names from `model.named_modules()`. Where a module is called several times in one forward,
            its last call counts.
        forward: How to call the model, `(model, images) -> anything`; None: `model(images)`.

    Raises:
        ValueError: A layer does not exist, or the model is not ready to be run.
        TypeError: The model cannot be called with one batch of images.
    """

    def __init__(self, model: nn.Module, layers: Sequence[str], forward: Forward | None = None) -> None:
        self._model = unwrap_model(model)
        self._layers = find_layers(model, layers)
        self._run = ProbeForward(self._model, forward)
        self._expected: Counter[str] = Counter()
        self._calls: Counter[str] = Counter()
        self._taken: dict[str, tuple[Tensor, tuple[int, int]]] = {}
        self._put: Mapping[str, tuple[Tensor, Tensor]] = {}
        self._stack = ExitStack()

    def __enter__(self) -> LayerMaps:  # noqa: PYI034  # Self is not in Python 3.10
        with ExitStack() as stack:
            stack.enter_context(preserve_training_state(self._model))
            stack.enter_context(_without_backward_hooks(self._model))
            stack.enter_context(_one_way_of_computing())
            for layer, module in self._layers.items():

                def see(module: nn.Module, _args: Any, output: Any, layer: str = layer) -> Any:
                    return self._see(layer, module, output)

                stack.callback(module.register_forward_hook(see).remove)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._taken, self._put = {}, {}
        self._stack.__exit__(kind, error, trace)

    def take(self, batch: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Run a batch.

        Args:
            batch: `(batch, channels, height, width)` on any device.

        Returns:
            Logits `(batch, classes)` and, by layer, `(batch, neurons, places)` maps.

        Raises:
            ValueError: A layer is not called or does not give one row per image, or the model gives no
                `(batch, classes)` logits.
        """
        logits = self._look(batch)
        taken = {layer: _by_neuron(maps, axes) for layer, (maps, axes) in self._taken.items()}
        self._taken = {}
        return logits, taken

    def take_with_gradients(
        self, batch: Tensor, classes: Tensor
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Run a batch, and one backward pass from the logit of each image's class.

        Args:
            batch: `(batch, channels, height, width)` on any device.
            classes: `(batch,)` int64 class of each image.

        Returns:
            By layer, `(batch, neurons, places)` maps and the logit's gradient in them: zero for a layer
            that it does not depend on.

        Raises:
            ValueError: As for `take`; or a layer's output has no gradient, or there is no such logit.
        """
        with torch.enable_grad():
            if batch.is_floating_point():
                batch = batch.detach().clone().requires_grad_()
                for parameter in self._model.parameters():  # `preserve_training_state` puts the flags back
                    parameter.requires_grad_(False)
            logits = self._look(batch)
            taken, self._taken = self._taken, {}
            for layer, (maps, _) in taken.items():
                if not maps.requires_grad:
                    raise ValueError(
                        f"layers: {layer!r} gives what no gradient goes through (its forward is under "
                        f"no_grad, or gives whole numbers); choose another layer"
                    )
            if not 0 <= int(classes.min()) <= int(classes.max()) < logits.shape[1]:
                raise ValueError(
                    f"labels must be numbers of the model's {logits.shape[1]} logits, got "
                    f"{int(classes.min())} to {int(classes.max())}"
                )
            chosen = logits.gather(1, classes.to(logits.device)[:, None]).sum()
            found = torch.autograd.grad(chosen, [maps for maps, _ in taken.values()], allow_unused=True)
        given, gradients = {}, {}
        for (layer, (maps, axes)), gradient in zip(taken.items(), found, strict=True):
            given[layer] = _by_neuron(maps.detach(), axes)
            gradients[layer] = _by_neuron(torch.zeros_like(maps) if gradient is None else gradient, axes)
        return given, gradients

    def run_with(self, batch: Tensor, layer: str, maps: Tensor, neurons: Tensor) -> Tensor:
        """Run a batch with the maps of some neurons of one layer replaced.

        Args:
            batch: `(batch, channels, height, width)` on any device, of a size that `take` was called with.
            layer: One of the layers.
            maps: `(batch, neurons, places)` as `take` gives them, of this model or of another one.
            neurons: `(batch, neurons)` bool, which of them are replaced.

        Returns:
            Logits `(batch, classes)`.
        """
        self._calls.clear()
        self._put = {layer: (maps, neurons)}
        logits = self._logits(batch)
        self._taken, self._put = {}, {}
        return logits

    def _look(self, batch: Tensor) -> Tensor:
        self._calls.clear()
        self._taken, self._put = {}, {}
        logits = self._logits(batch)
        for layer in self._layers:
            if layer not in self._taken:
                raise not_called(self._model, layer)
            maps, (images, _) = self._taken[layer]
            if maps.shape[images] != len(batch):
                raise _no_rows(layer, maps, len(batch))
        self._expected = Counter(self._calls)
        # The order of the calls is the model's; that of the results is the caller's.
        self._taken = {layer: self._taken[layer] for layer in self._layers}
        return logits

    def _logits(self, batch: Tensor) -> Tensor:
        logits = first_tensor(self._run(batch.clone()), "the model")  # models may scale their input in place
        if logits.ndim != 2 or len(logits) != len(batch) or not logits.is_floating_point():
            raise ValueError(
                f"model: it gives a tensor {logits.dtype} of shape {tuple(logits.shape)} for {len(batch)} "
                f"images; logits (images, classes) are needed: say how to get them with forward="
            )
        return logits

    def _see(self, layer: str, module: nn.Module, output: Any) -> Any:
        self._calls[layer] += 1
        tensor = first_tensor(output, layer)
        if self._put:
            is_last = self._calls[layer] == self._expected[layer]
            return self._replace(layer, module, output, tensor) if layer in self._put and is_last else None
        real_tensor(tensor, layer)  # says what is wrong with other kinds
        if tensor.ndim < 2:
            raise _no_rows(layer, tensor, None)
        self._taken[layer] = tensor, find_axes(tensor, module)
        return _with_tensor(output, tensor.clone())

    def _replace(self, layer: str, module: nn.Module, output: Any, tensor: Tensor) -> Any:
        maps, neurons = self._put[layer]
        changed = tensor.clone()
        view = changed.movedim(find_axes(tensor, module), (0, 1))
        wanted = neurons.to(view.device).reshape(*neurons.shape, *(1,) * (view.ndim - 2))
        view.copy_(torch.where(wanted, maps.to(view).reshape(view.shape), view))
        return _with_tensor(output, changed)


def _by_neuron(maps: Tensor, axes: tuple[int, int]) -> Tensor:
    """A layer's output as `(images, neurons, places)`."""
    ordered = maps.movedim(axes, (0, 1))
    return ordered.reshape(*ordered.shape[:2], -1)


def _no_rows(layer: str, maps: Tensor, batch: int | None) -> ValueError:
    asked = "" if batch is None else f" for a batch of {batch} images"
    return ValueError(
        f"layers: {layer!r} gives a tensor of shape {tuple(maps.shape)}{asked}; choose a layer whose output "
        f"has one row per image"
    )


def _with_tensor(given: Any, tensor: Tensor) -> Any:
    """What a layer gave, with another tensor in the place that `first_tensor` finds."""
    if isinstance(given, Tensor):
        return tensor
    old = first_tensor(given, "")
    if isinstance(given, (tuple, list)):
        parts = [_with_tensor(given[0], tensor), *given[1:]]
        return type(given)(*parts) if hasattr(given, "_fields") else type(given)(parts)
    if isinstance(given, Mapping):
        changed: Any = copy.copy(given)
        (name, *_) = [key for key, value in given.items() if value is old]
        changed[name] = tensor
        return changed
    (name, *_) = [field.name for field in dataclasses.fields(given) if getattr(given, field.name) is old]
    return dataclasses.replace(given, **{name: tensor})


@contextmanager
def _one_way_of_computing() -> Iterator[None]:
    """Keep torch from computing the same in two ways, such as attention where no gradients are wanted.

    They differ in the last bits, and importance counts signs: neurons that did not change would have some.
    """
    torch.backends.cudnn.benchmark = False  # `preserve_training_state` puts it back
    attention = getattr(torch.backends, "mha", None)  # since torch 2.3
    if attention is None:
        yield
        return
    was = attention.get_fastpath_enabled()
    try:
        attention.set_fastpath_enabled(False)
        yield
    finally:
        attention.set_fastpath_enabled(was)


@contextmanager
def _without_backward_hooks(model: nn.Module) -> Iterator[None]:
    """Keep the training's own backward hooks out of a backward pass that is none of its."""
    registers = [
        (register, register.copy())
        for module in model.modules()
        for register in (module._backward_hooks, module._backward_pre_hooks)  # noqa: SLF001 (no public way)
    ]
    try:
        for register, _ in registers:
            register.clear()
        yield
    finally:
        for register, content in registers:
            register.clear()
            register.update(content)
