"""One forward pass of a model over a batch of probe images, whatever the model wants to be called with."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from conceptmon_tb.named_layers import check_ready

Forward = Callable[[nn.Module, Tensor], Any]

# What code says that was given a tensor and expected something else.
_WRONG_INPUT = (TypeError, ValueError, KeyError, IndexError, AttributeError, NotImplementedError)
_WAY_OUT = "say how to call it: ConceptMonitor(..., forward=lambda model, images: model(pixel_values=images))"


class ProbeForward:
    """Calls a model with one batch of probe images after the other.

    Args:
        model: The model.
        forward: `(model, images) -> anything` calls it; None: `model(images)`.

    Attributes:
        device: Where the model wants its images.
        dtype: Of the model's weights, and so of the images.

    Raises:
        TypeError: The model cannot be called with one batch of images.
        ValueError: It is not ready to be run (see `check_ready`).
    """

    def __init__(self, model: nn.Module, forward: Forward | None = None) -> None:
        check_ready(model)
        if forward is None:
            _check_signature(model)
        self.device, self.dtype = _device_and_dtype(model)
        self._model, self._forward = model, forward
        self._worked = False

    def __call__(self, batch: Tensor) -> Any:
        """Run one batch.

        Args:
            batch: `(batch, channels, height, width)` on any device.

        Returns:
            What the model gave.

        Raises:
            TypeError: The first batch fails in a way that tells that the model wants something else.
        """
        images = batch.to(device=self.device, dtype=self.dtype if batch.is_floating_point() else None)
        try:
            with _own_forward(self._model):
                given = self._model(images) if self._forward is None else self._forward(self._model, images)
        except _WRONG_INPUT as error:
            if self._worked or self._forward is not None or _raised_here(error):
                raise
            raise TypeError(
                f"model: {type(self._model).__name__} failed on one batch of images of shape "
                f"{tuple(images.shape)} ({type(error).__name__}: {error}); "
                f"if it wants something else, {_WAY_OUT}"
            ) from error
        self._worked = True
        return given


def _raised_here(error: BaseException) -> bool:
    """Whether an error comes from this package's hooks and names its own way out."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and str(trace.tb_frame.f_globals.get("__name__")).startswith("conceptmon_tb.")


@contextlib.contextmanager
def _own_forward(model: nn.Module) -> Iterator[None]:
    """Run a model that Accelerate (so Transformers' Trainer too) trains under autocast without it.

    It puts a forward under autocast in front of the model's own, on the model itself.
    """
    held = vars(model)
    trained = held.get("forward")
    if trained is None or "_original_forward" not in held:
        yield
        return
    held["forward"] = held["_original_forward"]
    try:
        yield
    finally:
        held["forward"] = trained


def _check_signature(model: nn.Module) -> None:
    try:
        signature = inspect.signature(model.forward)
    except (TypeError, ValueError):  # TorchScript and C++ have none to be asked for
        return
    try:
        signature.bind(torch.empty(0))
    except TypeError as error:
        raise TypeError(
            f"model: {type(model).__name__}.forward{signature} cannot be called with one batch of images "
            f"({error}); {_WAY_OUT}"
        ) from None


def _device_and_dtype(model: nn.Module) -> tuple[torch.device, torch.dtype]:
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor.is_floating_point() and not tensor.is_meta:
            return tensor.device, tensor.dtype
    return torch.device("cpu"), torch.float32
