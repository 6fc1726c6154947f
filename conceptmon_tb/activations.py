"""What the neurons of named layers answer to the probe: hooks, pooling, one number per neuron and image.

A neuron is a channel of a conv map, a dimension of a transformer's tokens or an output of a linear
layer. The hook pools at once: what it keeps is a small copy, which a later in-place operation of the
model cannot alter, and the feature maps are never held together. Where in each map the largest activation
is, is noted on the way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn

from conceptmon_tb.detectors import MapScan
from conceptmon_tb.named_layers import find_layers, not_called
from conceptmon_tb.patches import Peaks, find_peaks
from conceptmon_tb.pooling import Pooling, Tokens, find_maps, pool_output, real_tensor, token_rule
from conceptmon_tb.probe_forward import Forward, ProbeForward
from conceptmon_tb.training_state import has_foreign_hooks, preserve_training_state, unwrap_model

Precision = Literal["fp32", "bf16"]


class Activations(NamedTuple):
    """What one layer answers to the probe.

    Attributes:
        values: `(images, neurons)` float32, pooled.
        peaks: Where in each map the largest activation is; None for a layer without maps over the image.
    """

    values: Tensor
    peaks: Peaks | None


def collect_activations(
    model: nn.Module,
    layers: Sequence[str],
    batches: Iterable[Tensor],
    num_images: int,
    *,
    pooling: Pooling = "mean",
    tokens: Tokens = "auto",
    precision: Precision = "fp32",
    scan: MapScan | None = None,
    forward: Forward | None = None,
) -> dict[str, Activations]:
    """Run the probe through a model once and keep one number, and one place, per neuron and image.

    The model is left exactly as it was (see `preserve_training_state`). From the second batch on, a forward
    ends where the first one called the last of the layers for the last time, unless somebody else hooks
    into the model.

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
        scan: What a detector gathers from the maps on the way: its first pass.
        forward: How to call the model with a batch of images, `(model, images) -> anything`; None:
            `model(images)`.

    Returns:
        For every layer, on the CPU. Maps over the image are those of conv layers and, with "mean" over
        tokens, the tokens of a model that cuts its input into patches by one convolution.

    Raises:
        TypeError: The model takes something else than one batch of images.
        ValueError: Unknown layer, a layer that the forward never calls, an output that is not one row
            per image, or a model that is not ready to be run.
    """
    found = find_layers(model, layers)
    inner = unwrap_model(model)
    tap = _Tap(inner, pooling, token_rule(inner, tokens), scan)
    collected: dict[str, Tensor] = {}
    peaks: dict[str, Peaks | None] = {}

    def keep(start: int, size: int) -> None:
        for layer in found:
            if layer not in tap.pooled:
                raise not_called(inner, layer)
            _store(collected, layer, tap.pooled.pop(layer), start, size, num_images)
            _store_peaks(peaks, layer, tap.peaks.pop(layer, None), start, num_images)

    _run_probe(inner, found, tap, batches, num_images, precision, forward, keep)
    return {layer: Activations(values.cpu(), _on_cpu(peaks[layer])) for layer, values in collected.items()}


def scan_maps(
    model: nn.Module,
    layers: Sequence[str],
    batches: Iterable[Tensor],
    num_images: int,
    scan: MapScan,
    *,
    precision: Precision = "fp32",
    forward: Forward | None = None,
) -> None:
    """Run the probe through a model once more, for one further pass of a detector over the maps.

    Args:
        model: The monitored model, left exactly as it was.
        layers: Names of layers.
        batches: As for `collect_activations`, the same again.
        num_images: Images in all batches.
        scan: What gathers from the maps.
        precision: As for `collect_activations`.
        forward: As for `collect_activations`.
    """
    inner = unwrap_model(model)
    tap = _Tap(inner, "mean", "mean", scan, only_maps=True)
    _run_probe(inner, find_layers(model, layers), tap, batches, num_images, precision, forward)


def _run_probe(
    model: nn.Module,
    layers: Mapping[str, nn.Module],
    tap: _Tap,
    batches: Iterable[Tensor],
    num_images: int,
    precision: Precision,
    forward: Forward | None,
    keep: Callable[[int, int], None] = lambda start, size: None,  # noqa: ARG005
) -> None:
    """Run batch after batch; `keep` is told first image and size of each while the tap holds its answers."""
    run = ProbeForward(model, forward)
    start = 0
    stop = _EarlyStop(has_foreign_hooks(model))
    with (
        preserve_training_state(model),
        _hooks(layers, tap, stop),
        torch.autocast(
            run.device.type, dtype=torch.bfloat16, enabled=precision == "bf16", cache_enabled=False
        ),
    ):
        for batch in batches:
            tap.start, tap.input_shape = start, batch.shape
            stop.run(run, batch)
            keep(start, batch.shape[0])
            tap.hand_over_maps()
            start += batch.shape[0]
    if start != num_images:
        raise ValueError(f"num_images is {num_images}, but batches held {start} images")
    if tap.scan is not None:
        tap.scan.end_pass()


@dataclass
class _Tap:
    """What the hooks need to know, and what they have taken of the batch at hand, by layer."""

    model: nn.Module
    pooling: Pooling
    over_tokens: str
    scan: MapScan | None = None
    only_maps: bool = False
    start: int = 0
    input_shape: Sequence[int] = ()
    pooled: dict[str, Tensor] = field(default_factory=dict)
    peaks: dict[str, Peaks | None] = field(default_factory=dict)
    maps: dict[str, Tensor] = field(default_factory=dict)

    def take(self, layer: str, module: nn.Module, output: Any) -> None:
        output = real_tensor(output, layer)
        maps = find_maps(output, module, self.model, self.input_shape)
        if maps is not None and self.scan is not None:
            # A shared module may be called again, and a later in-place operation may alter the maps.
            self.maps[layer] = maps.clone()
        if self.only_maps:
            return
        self.pooled[layer] = pool_output(output, module, layer, self.pooling, self.over_tokens)
        explained = maps is not None and (output.ndim == 4 or self.over_tokens == "mean")
        if maps is None or not explained or maps.shape[2:].numel() == 1:
            self.peaks[layer] = None
        else:
            self.peaks[layer] = find_peaks(maps.flatten(2), (maps.shape[2], maps.shape[3]))

    def hand_over_maps(self) -> None:
        """Hand the batch's maps over; they are never kept longer."""
        for layer, maps in self.maps.items():
            assert self.scan is not None
            self.scan.update(layer, maps, self.start)
        self.maps.clear()


class _Seen(BaseException):  # no error, and no handler of errors in the model may catch it
    """All layers have answered; what the model would do next is not needed."""


class _EarlyStop:
    """Ends a forward after the last layer's last call, once a whole forward has told which call that is.

    A model that others hook into is left alone: what their hooks begin before a forward they may have to
    end after it.
    """

    def __init__(self, foreign_hooks: bool) -> None:
        self._allowed = not foreign_hooks
        self._expected: Counter[str] = Counter()
        self._calls: Counter[str] = Counter()

    def count(self, layer: str) -> None:
        self._calls[layer] += 1
        if self._allowed and self._calls == self._expected:
            raise _Seen

    def run(self, forward: Callable[[Tensor], None], batch: Tensor) -> None:
        self._calls.clear()
        try:
            forward(batch)
        except _Seen:
            return
        self._expected = Counter(self._calls)


@contextmanager
def _hooks(layers: Mapping[str, nn.Module], tap: _Tap, stop: _EarlyStop) -> Iterator[None]:
    """Let the tap take every layer's output; the hooks are gone afterwards, whatever happens."""
    handles = []
    try:
        for layer, module in layers.items():

            def keep(module: nn.Module, _args: Any, output: Any, layer: str = layer) -> None:
                tap.take(layer, module, output)
                stop.count(layer)

            handles.append(module.register_forward_hook(keep))
        yield
    finally:
        for handle in handles:
            handle.remove()


def _store(
    collected: dict[str, Tensor], layer: str, rows: Tensor, start: int, batch: int, num_images: int
) -> None:
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
