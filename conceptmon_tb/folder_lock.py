"""Who writes to a run's folder: a lock that the operating system gives back, however a process ends.

Two writers in one folder hide each other's epochs: TensorBoard's Python loader never returns to an earlier
file, and its fast loader drops what it has from a step on when that step comes again. The lock is on the
folder itself, so that nothing is left behind in it; after a `kill -9` it is free at once. Where the file
system knows no locks of folders (NFS, Windows), nobody is noticed at the start; `session` looks for growing
files too.
"""

from __future__ import annotations

import errno
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

if sys.platform != "win32":
    import fcntl

_TRIES, _PAUSE = 5, 0.02  # `is_locked` of another process holds the lock for an instant
_Key = tuple[int, int]


@dataclass
class _Held:
    descriptor: int
    holders: int


_held: dict[_Key, _Held] = {}
_mutex = Lock()


class FolderLock:
    """A hold on a folder; all writers of one process share it.

    Args:
        key: Of the folder; None where it cannot be locked.
    """

    def __init__(self, key: _Key | None) -> None:
        self._key = key

    def release(self) -> None:
        """Let go; a second call does nothing."""
        with _mutex:
            held = _held.get(self._key) if self._key is not None else None
            self._key = None
            if held is None:
                return
            held.holders -= 1
            if not held.holders:
                os.close(held.descriptor)
                for key in [key for key, value in _held.items() if value is held]:
                    del _held[key]


def lock_folder(folder: str | Path) -> FolderLock | None:
    """Take hold of a folder for writing.

    Args:
        folder: A directory that exists.

    Returns:
        The hold; None when another process has it.
    """
    for attempt in range(_TRIES):
        if attempt:
            time.sleep(_PAUSE)
        with _mutex:
            key = _key_of(folder)
            if key is None:
                return FolderLock(None)
            if key in _held:
                _held[key].holders += 1
                return FolderLock(key)
            descriptor = _try_lock(folder)
            if descriptor is not None and descriptor >= 0:
                _held[key] = _Held(descriptor, 1)
                return FolderLock(key)
            if descriptor is None:
                return FolderLock(None)
    return None


def is_locked(folder: str | Path) -> bool:
    """Whether a process, this one included, is writing to a folder.

    Args:
        folder: A directory that exists.
    """
    with _mutex:
        if _key_of(folder) in _held:
            return True
        descriptor = _try_lock(folder, shared=True)
        if descriptor is not None and descriptor >= 0:
            os.close(descriptor)
        return descriptor == -1


def _key_of(folder: str | Path) -> _Key | None:
    try:
        found = Path(folder).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _try_lock(folder: str | Path, *, shared: bool = False) -> int | None:
    """Return a descriptor that holds the lock, -1 where another has it, None where there are no locks."""
    if sys.platform == "win32":
        return None
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        return -1 if error.errno in (errno.EWOULDBLOCK, errno.EACCES) else None
    return descriptor


def _forget_in_child() -> None:
    """A forked child (a data loader's worker) must not keep the lock when its parent has gone."""
    global _mutex
    _mutex = Lock()  # whoever held it at the fork is not in this process
    for held in _held.values():
        os.close(held.descriptor)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_child)
