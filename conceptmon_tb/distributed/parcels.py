"""Python objects as bytes between ranks, without what the receiver has already."""

from __future__ import annotations

import io
import pickle
from collections.abc import Sequence
from typing import Any


def pack(value: object, known: Sequence[object] = ()) -> bytes:
    """Pickle an object.

    Args:
        value: What to send.
        known: Parts of it, by identity, that the receiver has too: only their numbers are sent.

    Returns:
        The parcel, for `unpack`.
    """
    file = io.BytesIO()
    _Pickler(file, known).dump(value)
    return file.getvalue()


def unpack(parcel: bytes, known: Sequence[object] = ()) -> Any:
    """Make the object again.

    Args:
        parcel: From `pack`, by a process of the same training.
        known: The receiver's own parts, in the same order.
    """
    return _Unpickler(io.BytesIO(parcel), known).load()


class _Pickler(pickle.Pickler):
    def __init__(self, file: io.BytesIO, known: Sequence[object]) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self._known = known

    def persistent_id(self, obj: Any) -> int | None:
        return next((place for place, part in enumerate(self._known) if part is obj), None)


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, known: Sequence[object]) -> None:
        super().__init__(file)
        self._known = known

    def persistent_load(self, pid: int) -> object:
        return self._known[pid]
