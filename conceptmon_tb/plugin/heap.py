"""The C library's heap, where payloads lie: kept in one piece, so that what is freed can be given back.

TensorBoard answers each request in a thread of its own, and glibc gives the threads heaps of their own, each
of which keeps what was freed in it. In 25 minutes of live writing and viewing, TensorBoard's process then
rises to 150 MiB and goes on; with one heap it stays near 100 (docs/soak.md).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys

_M_ARENA_MAX = -8  # of glibc's malloc.h
_NOT_GLIBC = (AttributeError, OSError, TypeError)


def share_heap() -> bool:
    """Let the threads that come share one heap.

    Python's own lock lets one of them run at a time anyway. A process that has loaded torch is left alone: it
    may be a training that serves its own TensorBoard, and its threads need their heaps. So is one whose
    environment says how many there shall be.

    Returns:
        Whether it was done.
    """
    if "torch" in sys.modules or "MALLOC_ARENA_MAX" in os.environ:
        return False
    with contextlib.suppress(*_NOT_GLIBC):
        return bool(ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1))
    return False


def give_back_memory() -> None:
    """Ask the C library to return freed pages to the system."""
    with contextlib.suppress(*_NOT_GLIBC):
        ctypes.CDLL(None).malloc_trim(0)
