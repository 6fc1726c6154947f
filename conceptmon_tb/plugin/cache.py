"""Caches that hold a limited number of bytes or items, and may be shared by threads."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from conceptmon_tb.metadata import Payload

# Of a payload and its place here, beside what it holds.
_OVERHEAD = 2048

_Item = TypeVar("_Item")


class PayloadCache:
    """Least recently used payloads go first.

    Keys name content (run, tag, step *and* wall time): a step that was logged again is another key.

    Args:
        max_bytes: Bytes of payloads to hold at most.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._payloads: OrderedDict[Hashable, Payload] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def num_bytes(self) -> int:
        """Bytes held now."""
        return self._bytes

    def get(self, key: Hashable) -> Payload | None:
        """Return a payload and mark it as used, None where it is not held."""
        with self._lock:
            payload = self._payloads.get(key)
            if payload is not None:
                self._payloads.move_to_end(key)
            return payload

    def put(self, key: Hashable, payload: Payload) -> None:
        """Hold a payload; whatever exceeds the limit is dropped, oldest use first."""
        size = _weight(payload)
        with self._lock:
            if key in self._payloads or size > self._max_bytes:
                return
            self._payloads[key] = payload
            self._bytes += size
            while self._bytes > self._max_bytes:
                _, dropped = self._payloads.popitem(last=False)
                self._bytes -= _weight(dropped)

    def drop(self, is_gone: Callable[[Hashable], bool]) -> None:
        """Drop the payloads whose key is gone."""
        with self._lock:
            for key in [key for key in self._payloads if is_gone(key)]:
                self._bytes -= _weight(self._payloads.pop(key))


def _weight(payload: Payload) -> int:
    return payload.nbytes + payload.overhead + _OVERHEAD


class RecentItems(Generic[_Item]):
    """A limited number of small items; least recently used ones go first. Threads may share it.

    Args:
        max_items: Items to hold at most.
    """

    def __init__(self, max_items: int) -> None:
        self._max_items = max_items
        self._items: OrderedDict[Hashable, _Item] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._items)

    def get(self, key: Hashable) -> _Item | None:
        """Return an item and mark it as used, None where it is not held."""
        with self._lock:
            item = self._items.get(key)
            if item is not None:
                self._items.move_to_end(key)
            return item

    def put(self, key: Hashable, item: _Item) -> None:
        """Hold an item in place of what the key held before."""
        with self._lock:
            self._items[key] = item
            self._items.move_to_end(key)
            while len(self._items) > self._max_items:
                self._items.popitem(last=False)

    def drop(self, is_gone: Callable[[Hashable], bool]) -> None:
        """Drop the items whose key is gone."""
        with self._lock:
            for key in [key for key in self._items if is_gone(key)]:
                del self._items[key]
