"""Keeps TensorBoard from believing what a tensor says of its own size, while this plugin reads.

TensorBoard's data providers make arrays of tensors before a plugin sees them, and take the announced shape
for true: one value and a shape of 2^40 fill the memory, a blob sequence of 2^31 becomes as many references,
and one tensor that is not as it says fails the whole answer with all that is good in it. There is no hook
for that. So the two functions are wrapped, once; the wrappers do something only in a thread that reads for
this plugin. Where another TensorBoard has no such functions nothing is wrapped.
"""

from __future__ import annotations

import math
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from tensorboard.util import tensor_util

from conceptmon_tb.metadata import shown

_PROVIDER = "tensorboard.backend.event_processing.data_provider"  # there where the Python loader is in use
_MAX_DIMENSIONS = 8

_state = threading.local()
_lock = threading.Lock()


@dataclass(frozen=True)
class BadTensor:
    """Stands in an array for a tensor that is not as it says.

    Attributes:
        reason: Why, for people.
    """

    reason: str


@contextmanager
def distrust(single: bool = False) -> Iterator[None]:
    """Look at the size of a tensor before TensorBoard makes an array of it.

    What cannot be trusted becomes an array with one `BadTensor`, so that what stands beside it is read.

    Args:
        single: Whether only arrays of one number are wanted; all others become NaN.
    """
    _install()
    before = getattr(_state, "mode", None)
    _state.mode = "single" if single else "any"
    try:
        yield
    finally:
        _state.mode = before


def _install() -> None:
    with _lock:
        _wrap(tensor_util, "make_ndarray", _checked)
        provider = sys.modules.get(_PROVIDER)
        if provider is not None:
            _wrap(provider, "_tensor_size", _counted)


def _wrap(module: Any, name: str, make: Callable[[Callable[[Any], Any]], Callable[[Any], Any]]) -> None:
    original = getattr(module, name, None)
    if original is not None and not hasattr(original, "distrusts"):
        wrapper: Any = make(original)
        wrapper.distrusts = True
        setattr(module, name, wrapper)


def _checked(original: Callable[[Any], npt.NDArray[Any]]) -> Callable[[Any], npt.NDArray[Any]]:
    def make_ndarray(tensor: Any) -> npt.NDArray[Any]:
        mode = getattr(_state, "mode", None)
        if mode is None:
            return original(tensor)
        array = _make(original, tensor)
        if mode == "single" and (array.size != 1 or array.dtype.kind not in "biuf"):
            return np.array(np.nan)
        return array

    return make_ndarray


def _make(original: Callable[[Any], npt.NDArray[Any]], tensor: Any) -> npt.NDArray[Any]:
    sizes = [dim.size for dim in tensor.tensor_shape.dim]
    num_bytes = tensor.ByteSize()
    if len(sizes) > _MAX_DIMENSIONS or min(sizes, default=0) < 0 or math.prod(sizes) > max(1, num_bytes):
        told = " x ".join(map(str, sizes[:_MAX_DIMENSIONS]))
        return _stand_in(f"a tensor that announces {told} values in {num_bytes} bytes")
    try:
        return original(tensor)
    except Exception as error:  # noqa: BLE001  # TensorBoard's own, of whatever a stranger's log holds
        return _stand_in(f"a tensor that TensorBoard cannot read: {shown(error)}")


def _stand_in(reason: str) -> npt.NDArray[Any]:
    array = np.empty(1, object)
    array[0] = BadTensor(reason)
    return array


def _counted(original: Callable[[Any], int]) -> Callable[[Any], int]:
    def tensor_size(tensor: Any) -> int:
        size = original(tensor)
        return size if getattr(_state, "mode", None) is None else max(0, min(size, len(tensor.string_val)))

    return tensor_size
