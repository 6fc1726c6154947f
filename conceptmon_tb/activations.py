"""What the neurons of named layers answer to the probe: hooks, pooling, one number per neuron and image.

A neuron is a channel of a conv map, a dimension of a transformer's tokens or an output of a linear
layer. The hook pools at once: what it keeps is a small copy, which a later in-place operation of the
model cannot alter, and the feature maps are never held together. Where in each map the largest activation
is, is noted on the way.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn

from conceptmon_tb.patches import Peaks, find_peaks
from conceptmon_tb.training_state import preserve_training_state, strip_wrapper_prefix, unwrap_model

Pooling = Literal["mean", "max"]
Tokens = Literal["auto", "cls", "mean"]
Precision = Literal["fp32", "bf16"]
_CLASS_TOKENS = ("class_token", "cls_token", "class_embedding", "cls_embedding")
_SEQUENCE_CHANNELS_FIRST = (nn.Conv1d, nn.ConvTranspose1d, nn.BatchNorm1d, nn.MaxPool1d, nn.AvgPool1d)
_SEQUENCE_FIRST = (nn.MultiheadAttention, nn.TransformerEncoderLayer, nn.TransformerEncoder, nn.RNNBase)
_MAP_CHANNELS_FIRST = (nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm2d, nn.GroupNorm, nn.InstanceNorm2d)
_OUTPUT_KEYS = ("last_hidden_state", "out", "features", "logits")


class Activations(NamedTuple):
    """What one layer answers to the probe.

    Attributes:
        values: `(images, neurons)` float32, pooled.
        peaks: Where in each map the largest activation is; None for a layer without maps over the image.
    """

    values: Tensor
    peaks: Peaks | None


def find_layers(model: nn.Module, layers: Sequence[str]) -> dict[str, nn.Module]:
    """Look up layers by name.

    Args:
        model: The monitored model, wrapped or not.
        layers: Names in `model.named_modules()`; a prefix that a wrapper adds is ignored.

    Returns:
        Module of every name, in the order given.

    Raises:
        ValueError: A layer does not exist; the message lists the nearest names.
    """
    modules = dict(unwrap_model(model).named_modules())
    found = {}
    for layer in layers:
        name = layer if layer in modules else strip_wrapper_prefix(layer)
        if not name or name not in modules:
            names = [n for n in modules if n]
            near = difflib.get_close_matches(layer, names, n=5, cutoff=0.4) or names[:5]
            raise ValueError(
                f"layers: the model has no layer {layer!r}; nearest names: {', '.join(near)} "
                f"(all of them: [name for name, _ in model.named_modules()])"
            )
        found[layer] = modules[name]
    return found


def collect_activations(
    model: nn.Module,
    layers: Sequence[str],
    batches: Iterable[Tensor],
    num_images: int,
    *,
    pooling: Pooling = "mean",
    tokens: Tokens = "auto",
    precision: Precision = "fp32",
) -> dict[str, Activations]:
    """Run the probe through a model once and keep one number, and one place, per neuron and image.

    The model is left exactly as it was (see `preserve_training_state`).

    Args:
        model: The monitored model, on any device.
        layers: Names of layers. Where a module is called several times in one forward, its last call
            counts (a block's shared ReLU: the block's output).
        batches: `(batch, channels, height, width)` inputs, `num_images` in all.
        num_images: Images in all batches.
        pooling: Over the space of conv maps: "mean" or "max". Maps may be channels-first or, where the
            layer holds only LayerNorm and Linear modules of that width (Swin), channels-last.
        tokens: For `(batch, tokens, dim)` outputs: "cls" takes the first token, "mean" the mean over
            all; "auto" is "cls" where the model has a class-token parameter (class_token, cls_token,
            class_embedding, cls_embedding), else "mean".
        precision: "bf16" runs the forward under autocast: faster, nearly the same top images.

    Returns:
        For every layer, on the CPU. Maps over the image are those of conv layers and, with "mean" over
        tokens, the tokens of a model that cuts its input into patches by one convolution.

    Raises:
        ValueError: Unknown layer, a layer that the forward never calls, or an output that is not one row
            per image.
    """
    found = find_layers(model, layers)
    inner = unwrap_model(model)
    device, dtype = _device_and_dtype(inner)
    tap = _Tap(inner, pooling, _token_rule(inner, tokens))
    collected: dict[str, Tensor] = {}
    peaks: dict[str, Peaks | None] = {}
    start = 0
    with (
        preserve_training_state(inner),
        _hooks(found, tap),
        torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16", cache_enabled=False),
    ):
        for batch in batches:
            tap.input_shape = batch.shape
            inner(batch.to(device=device, dtype=dtype if batch.is_floating_point() else None))
            for layer in found:
                _store(collected, layer, tap.pooled.pop(layer, None), start, batch.shape[0], num_images)
                _store_peaks(peaks, layer, tap.peaks.pop(layer, None), start, num_images)
            start += batch.shape[0]
    if start != num_images:
        raise ValueError(f"num_images is {num_images}, but batches held {start} images")
    return {layer: Activations(values.cpu(), _on_cpu(peaks[layer])) for layer, values in collected.items()}


@dataclass
class _Tap:
    """What the hooks need to know, and what they have taken of the batch at hand, by layer."""

    model: nn.Module
    pooling: Pooling
    over_tokens: str
    input_shape: Sequence[int] = ()
    pooled: dict[str, Tensor] = field(default_factory=dict)
    peaks: dict[str, Peaks | None] = field(default_factory=dict)

    def take(self, layer: str, module: nn.Module, output: Any) -> None:
        self.pooled[layer] = pool_output(output, module, layer, self.pooling, self.over_tokens)
        maps = self._maps(_first_tensor(output, layer).detach(), module)
        self.peaks[layer] = None if maps is None or maps[0].shape[-1] == 1 else find_peaks(*maps)

    def _maps(self, output: Tensor, module: nn.Module) -> tuple[Tensor, tuple[int, int]] | None:
        """`(batch, neurons, cells)` and the grid that the cells make up over the image, if they do."""
        if output.ndim == 4 and _is_channels_last(output, module):
            return output.flatten(1, 2).transpose(1, 2), (output.shape[1], output.shape[2])
        if output.ndim == 4:
            return output.flatten(2), (output.shape[2], output.shape[3])
        is_sequence = isinstance(module, _SEQUENCE_CHANNELS_FIRST)
        if output.ndim != 3 or is_sequence or self.over_tokens != "mean":
            return None
        rows, columns = _patch_grid(self.model, self.input_shape)
        tokens = _batch_first_tokens(output, module)
        class_tokens = tokens.shape[1] - rows * columns
        if not rows * columns or class_tokens not in (0, int(_has_class_token(self.model))):
            return None
        return tokens[:, class_tokens:].transpose(1, 2), (rows, columns)


@contextmanager
def _hooks(layers: Mapping[str, nn.Module], tap: _Tap) -> Iterator[None]:
    """Let the tap take every layer's output; the hooks are gone afterwards, whatever happens."""
    handles = []
    try:
        for layer, module in layers.items():

            def keep(module: nn.Module, _args: Any, output: Any, layer: str = layer) -> None:
                tap.take(layer, module, output)

            handles.append(module.register_forward_hook(keep))
        yield
    finally:
        for handle in handles:
            handle.remove()


def pool_output(given: Any, module: nn.Module, layer: str, pooling: str, over_tokens: str) -> Tensor:
    """One number per image and neuron, in new memory.

    Args:
        given: What the layer gave: a tensor, a tuple that starts with one, or a mapping that names one.
        module: The layer.
        layer: Its name, for messages.
        pooling: "mean" or "max" over space.
        over_tokens: "cls" or "mean" over tokens.

    Returns:
        `(batch, neurons)` tensor that shares no memory with `given`.

    Raises:
        ValueError: A mapping without a clear output, or a tensor with fewer than two dimensions.
        TypeError: No tensor in the output.
    """
    output = _first_tensor(given, layer).detach()
    if output.ndim < 2:
        raise ValueError(
            f"layers: {layer!r} gives a tensor of shape {tuple(output.shape)}; one row per image is needed, "
            f"choose a layer with a (batch, neurons, ...) output"
        )
    if output.ndim == 2:
        return output.clone()
    if output.ndim == 3 and not isinstance(module, _SEQUENCE_CHANNELS_FIRST):
        output = _batch_first_tokens(output, module)
        return output[:, 0].clone() if over_tokens == "cls" else output.mean(dim=1)
    space = (
        tuple(range(1, output.ndim - 1))
        if _is_channels_last(output, module)
        else tuple(range(2, output.ndim))
    )
    return output.amax(dim=space) if pooling == "max" else output.mean(dim=space)


def _batch_first_tokens(output: Tensor, module: nn.Module) -> Tensor:
    sequence_first = isinstance(module, _SEQUENCE_FIRST) and not _batch_first(module)
    return output.transpose(0, 1) if sequence_first else output


def _batch_first(module: nn.Module) -> bool:
    """Torch's own sequence modules say which side the batch is on; an encoder's layers say it for it."""
    flags = [m.batch_first for m in module.modules() if isinstance(getattr(m, "batch_first", None), bool)]
    return bool(flags) and bool(flags[0])


def _is_channels_last(output: Tensor, module: nn.Module) -> bool:
    """True for maps `(batch, height, width, channels)`, as Swin blocks give them."""
    width, channels_first = output.shape[-1], output.shape[1]
    last = False
    for part in module.modules():
        if isinstance(part, _MAP_CHANNELS_FIRST):
            width_of_part = getattr(part, "out_channels", getattr(part, "num_features", None))
            if (width_of_part or getattr(part, "num_channels", None)) == channels_first:
                return False
        last = last or (isinstance(part, nn.LayerNorm) and tuple(part.normalized_shape) == (width,))
        last = last or (isinstance(part, nn.Linear) and part.out_features == width)
    return last


def _first_tensor(output: Any, layer: str) -> Tensor:
    if isinstance(output, Mapping):
        named = [output[key] for key in _OUTPUT_KEYS if isinstance(output.get(key), Tensor)]
        tensors = [value for value in output.values() if isinstance(value, Tensor)]
        if named or len(tensors) == 1:
            return named[0] if named else tensors[0]
        raise ValueError(
            f"layers: {layer!r} gives a mapping with {sorted(map(str, output))}, and none is clearly "
            f"its output; choose a layer inside it"
        )
    if isinstance(output, (tuple, list)) and output:
        return _first_tensor(output[0], layer)
    if not isinstance(output, Tensor):
        raise TypeError(f"layers: {layer!r} gives {type(output).__name__}, not a tensor; choose another one")
    return output


def _token_rule(model: nn.Module, tokens: Tokens) -> str:
    if tokens != "auto":
        return tokens
    return "cls" if _has_class_token(model) else "mean"


def _has_class_token(model: nn.Module) -> bool:
    return any(name.rpartition(".")[2] in _CLASS_TOKENS for name, _ in model.named_parameters())


def _patch_grid(model: nn.Module, input_shape: Sequence[int]) -> tuple[int, int]:
    """Rows and columns of the patches that a vision transformer cuts its input into; zeros if it does not."""
    for part in model.modules():
        if isinstance(part, nn.Conv2d) and part.in_channels == input_shape[1]:
            if part.kernel_size == part.stride and max(part.stride) > 1 and set(part.padding) <= {0}:
                return input_shape[-2] // part.stride[0], input_shape[-1] // part.stride[1]
            break
    return 0, 0


def _device_and_dtype(model: nn.Module) -> tuple[torch.device, torch.dtype]:
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor.is_floating_point():
            return tensor.device, tensor.dtype
    return torch.device("cpu"), torch.float32


def _store(
    collected: dict[str, Tensor], layer: str, rows: Tensor | None, start: int, batch: int, num_images: int
) -> None:
    if rows is None:
        raise ValueError(
            f"layers: the model's forward never called {layer!r}; "
            f"choose a layer that it uses in evaluation mode"
        )
    if rows.shape[0] != batch:
        raise ValueError(
            f"layers: {layer!r} gives {rows.shape[0]} rows for a batch of {batch} images; "
            f"choose a layer whose output has one row per image"
        )
    if layer not in collected:
        collected[layer] = rows.new_empty((num_images, rows.shape[1]), dtype=torch.float32)
    if rows.shape[1] != collected[layer].shape[1]:
        raise ValueError(
            f"layers: {layer!r} gave {collected[layer].shape[1]} neurons and then {rows.shape[1]}; "
            f"choose a layer whose width does not depend on the input"
        )
    collected[layer][start : start + batch] = rows


def _store_peaks(
    collected: dict[str, Peaks | None], layer: str, peaks: Peaks | None, start: int, num_images: int
) -> None:
    if layer not in collected:
        empty = peaks and peaks.cell.new_zeros((num_images, peaks.cell.shape[1]))
        collected[layer] = None if peaks is None or empty is None else Peaks(empty, peaks.grid)
    kept = collected[layer]
    if kept is None or peaks is None or kept.grid != peaks.grid:
        collected[layer] = None
        return
    kept.cell[start : start + len(peaks.cell)] = peaks.cell


def _on_cpu(peaks: Peaks | None) -> Peaks | None:
    return None if peaks is None else Peaks(peaks.cell.cpu(), peaks.grid)


def check_choice(argument: str, value: str, choices: Any) -> None:
    """Refuse a value that is none of a Literal's.

    Args:
        argument: Name of the argument, for the message.
        value: What was given.
        choices: A `Literal` type.

    Raises:
        ValueError: It is none of them.
    """
    if value not in get_args(choices):
        raise ValueError(
            f"{argument} must be one of {', '.join(map(repr, get_args(choices)))}, got {value!r}"
        )
