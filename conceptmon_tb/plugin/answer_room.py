"""Memory for large answers that are being made or sent: a limited number of bytes for all requests."""

from __future__ import annotations

import threading
from collections.abc import Callable

from conceptmon_tb.plugin.errors import TooManyRequestsError

ROOM_BYTES = 512 * 1024 * 1024
SMALL_BYTES = 4 * 1024 * 1024
"""What is no larger needs no room: nobody waits for a frame because somebody else reads slowly."""

WAIT_SECONDS = 10.0
RETRY_SECONDS = 5


class AnswerRoom:
    """Lets large answers into memory as long as there is room, and the others wait.

    Args:
        max_bytes: Bytes of large answers at a time; one that is larger still is let in alone.
        wait_seconds: How long a request waits for room.
    """

    def __init__(self, max_bytes: int = ROOM_BYTES, wait_seconds: float = WAIT_SECONDS) -> None:
        self._max_bytes, self._wait_seconds = max_bytes, wait_seconds
        self._changed = threading.Condition()
        self._bytes = 0

    @property
    def num_bytes(self) -> int:
        """Bytes taken now."""
        return self._bytes

    def take(self, num_bytes: int) -> Callable[[], None]:
        """Take room for one answer.

        Args:
            num_bytes: Its size.

        Returns:
            Call it once the answer was sent or given up; again does nothing.

        Raises:
            TooManyRequestsError: There was no room for too long.
        """
        if num_bytes <= SMALL_BYTES:
            return _nothing
        size = min(num_bytes, self._max_bytes)
        with self._changed:
            if not self._changed.wait_for(lambda: self._bytes + size <= self._max_bytes, self._wait_seconds):
                raise TooManyRequestsError(
                    f"an answer of {num_bytes >> 20} MiB has to wait for other large ones; ask for fewer "
                    f"steps at once, or again later",
                    retry_after=RETRY_SECONDS,
                )
            self._bytes += size
        return _once(lambda: self._give_back(size))

    def _give_back(self, size: int) -> None:
        with self._changed:
            self._bytes -= size
            self._changed.notify_all()


def _nothing() -> None:
    """There is nothing to give back."""


def _once(action: Callable[[], None]) -> Callable[[], None]:
    """Make an action that only its first call does."""
    lock = threading.Lock()
    left = [action]

    def act() -> None:
        with lock:
            todo = left.pop() if left else None
        if todo is not None:
            todo()

    return act
