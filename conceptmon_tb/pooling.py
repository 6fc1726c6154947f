"""What a layer's output means: neurons, and where over the image they answer.

A neuron is a channel of a conv map, a dimension of a transformer's tokens or an output of a linear
layer. Which axis that is, the layer's module tells.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

Pooling = Literal["mean", "max"]
Tokens = Literal["auto", "cls", "mean"]

_CLASS_TOKENS = ("class_token", "cls_token", "class_embedding", "cls_embedding")
_SEQUENCE_CHANNELS_FIRST = (nn.Conv1d, nn.ConvTranspose1d, nn.BatchNorm1d, nn.MaxPool1d, nn.AvgPool1d)
_SEQUENCE_FIRST = (nn.MultiheadAttention, nn.TransformerEncoderLayer, nn.TransformerEncoder, nn.RNNBase)
_MAP_CHANNELS_FIRST = (nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm2d, nn.GroupNorm, nn.InstanceNorm2d)
_OUTPUT_KEYS = ("last_hidden_state", "out", "features", "logits")


def pool_output(given: Any, module: nn.Module, layer: str, pooling: str, over_tokens: str) -> Tensor:
    """One number per image and neuron, in new memory.

    Args:
        given: What the layer gave: a tensor, a tuple that starts with one, or a mapping or dataclass that
            names one.
        module: The layer.
        layer: Its name, for messages.
        pooling: "mean" or "max" over space.
        over_tokens: "cls" or "mean" over tokens.

    Returns:
        `(batch, neurons)` tensor that shares no memory with `given`; means are float32 where the layer
        gives half precision.

    Raises:
        ValueError: A mapping without a clear output, a tensor with fewer than two dimensions or without
            values to be compared.
        TypeError: No tensor in the output.
    """
    return pool_tensor(real_tensor(given, layer), module, layer, pooling, over_tokens)


def pool_tensor(output: Tensor, module: nn.Module, layer: str, pooling: str, over_tokens: str) -> Tensor:
    """The same of a layer's tensor, differentiable.

    Args:
        output: Real floating-point tensor that the layer gave.
        module: The layer.
        layer: Its name, for messages.
        pooling: As for `pool_output`.
        over_tokens: As for `pool_output`.

    Returns:
        As `pool_output`, with the gradient's way to `output`.

    Raises:
        ValueError: A tensor with fewer than two dimensions.
    """
    if output.ndim < 2:
        raise ValueError(
            f"layers: {layer!r} gives a tensor of shape {tuple(output.shape)}; one row per image is needed, "
            f"choose a layer with a (batch, neurons, ...) output"
        )
    if output.ndim == 2:
        return output.clone()
    if output.ndim == 3 and not isinstance(module, _SEQUENCE_CHANNELS_FIRST):
        output = _batch_first_tokens(output, module)
        return output[:, 0].clone() if over_tokens == "cls" else _mean(output, (1,))
    space = (
        tuple(range(1, output.ndim - 1))
        if _is_channels_last(output, module)
        else tuple(range(2, output.ndim))
    )
    return output.amax(dim=space) if pooling == "max" else _mean(output, space)


def _mean(output: Tensor, dims: tuple[int, ...]) -> Tensor:
    """In float32 at least: a mean of half precision would be rounded to half precision."""
    return output.mean(dim=dims, dtype=torch.promote_types(output.dtype, torch.float32))


def find_maps(
    output: Tensor, module: nn.Module, model: nn.Module, input_shape: Sequence[int]
) -> Tensor | None:
    """The activation maps over the image, if a layer's output is made of such.

    Args:
        output: What the layer gave.
        module: The layer.
        model: The whole model, which says how it cuts its input into patches.
        input_shape: Shape of the model's input.

    Returns:
        `(batch, neurons, rows, columns)` view of the output; None for a layer without maps.
    """
    if output.ndim == 4:
        return output.permute(0, 3, 1, 2) if _is_channels_last(output, module) else output
    if output.ndim != 3 or isinstance(module, _SEQUENCE_CHANNELS_FIRST):
        return None
    rows, columns = _patch_grid(model, input_shape)
    tokens = _batch_first_tokens(output, module)
    class_tokens = tokens.shape[1] - rows * columns
    if not rows * columns or class_tokens not in (0, int(_has_class_token(model))):
        return None
    return tokens[:, class_tokens:].transpose(1, 2).reshape(len(tokens), -1, rows, columns)


def find_axes(output: Tensor, module: nn.Module) -> tuple[int, int]:
    """Which dimensions of a layer's output are the images and the neurons; all others are places.

    Args:
        output: What the layer gave.
        module: The layer.

    Returns:
        Numbers of the two dimensions.
    """
    if output.ndim == 3 and not isinstance(module, _SEQUENCE_CHANNELS_FIRST):
        return int(isinstance(module, _SEQUENCE_FIRST) and not _batch_first(module)), 2
    return 0, output.ndim - 1 if output.ndim > 2 and _is_channels_last(output, module) else 1


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


def real_tensor(given: Any, layer: str) -> Tensor:
    """The tensor in what a layer gave, with values that can be compared and averaged.

    Args:
        given: A tensor, a tuple that starts with one, or a mapping or dataclass that names one.
        layer: Name of the layer, for messages.

    Returns:
        Dense floating-point tensor without gradient; of quantised and whole numbers a float32 copy.

    Raises:
        ValueError: A mapping without a clear output, complex numbers, rows of different lengths, or a layer
            that is called inside a transform of `torch.func`.
        TypeError: No tensor in it.
    """
    output = first_tensor(given, layer).detach()
    if torch._C._functorch.is_functorch_wrapped_tensor(output):  # noqa: SLF001 (no public way)
        raise ValueError(
            f"layers: {layer!r} runs inside a transform of torch.func (vmap, grad, ...), where there is no "
            f"batch to look at; choose a layer outside of it"
        )
    if output.is_nested or output.is_complex():
        kind = "complex numbers" if output.is_complex() else "rows of different lengths (a nested tensor)"
        raise ValueError(
            f"layers: {layer!r} gives {kind}; choose a layer that gives real numbers in one shape"
        )
    if output.is_quantized:
        output = output.dequantize()
    if output.layout != torch.strided:
        output = output.to_dense()
    return output if output.is_floating_point() and output.element_size() > 1 else output.float()


def first_tensor(output: Any, layer: str) -> Tensor:
    """The tensor in what a layer gave.

    Args:
        output: A tensor, a tuple that starts with one, or a mapping or dataclass that names one.
        layer: Name of the layer, for messages.

    Raises:
        ValueError: A mapping without a clear output.
        TypeError: No tensor in it.
    """
    if dataclasses.is_dataclass(output) and not isinstance(output, (Mapping, type)):
        output = {field.name: getattr(output, field.name) for field in dataclasses.fields(output)}
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
        return first_tensor(output[0], layer)
    if not isinstance(output, Tensor):
        raise TypeError(f"layers: {layer!r} gives {type(output).__name__}, not a tensor; choose another one")
    return output


def token_rule(model: nn.Module, tokens: Tokens) -> str:
    """What "auto" means for a model: "cls" or "mean" (see `activations.collect_activations`)."""
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
