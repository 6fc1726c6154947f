"""The folder that the package keeps files in beside the logs, and how it writes there.

What is cached tells of private pictures and words. So folders and files are for their owner alone, whatever
the umask, and a file is there as a whole or not at all.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

CACHE_VARIABLE = "CONCEPTMON_CACHE"

_PART = ".part"
_ABANDONED_SECONDS = 3600.0


def default_cache_dir() -> Path:
    """Where embeddings are kept: $CONCEPTMON_CACHE, else ~/.cache/conceptmon_tb."""
    chosen = os.environ.get(CACHE_VARIABLE)
    return Path(chosen) if chosen else Path.home() / ".cache" / "conceptmon_tb"


def make_private_folder(folder: Path) -> None:
    """Make a folder and those above it, where missing, for their owner alone.

    Args:
        folder: One that exists is left as it is.

    Raises:
        OSError: It cannot be made.
    """
    for missing in reversed([path for path in (folder, *folder.parents) if not path.exists()]):
        missing.mkdir(mode=0o700, exist_ok=True)


def write_private_file(folder: Path, data: bytes, name: str = "", suffix: str = "") -> Path:
    """Write a file for its owner alone, whole or not at all.

    Args:
        folder: Made where it is missing.
        data: All of the file.
        name: Its name; without one, a new name that ends in `suffix`.
        suffix: Such as ".safetensors".

    Returns:
        The file.

    Raises:
        OSError: It cannot be written; nothing of it is left.
    """
    make_private_folder(folder)
    _remove_abandoned(folder)
    handle, part = tempfile.mkstemp(dir=folder, suffix=_PART)  # mkstemp's files are for their owner alone
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        return Path(part).replace(folder / name if name else Path(part).with_suffix(suffix))
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def empty_folder() -> Iterator[Path]:
    """Hold an empty folder for a process to stand in, where a relative name leads to no file.

    It is always the same one, in the cache, so that a process that is killed leaves nothing new behind.

    Yields:
        The folder; a temporary one where the cache cannot be written to, or somebody put something there.
    """
    try:
        folder = default_cache_dir() / "empty"
        make_private_folder(folder)
        is_empty = not any(folder.iterdir())
    except (OSError, RuntimeError):  # not writable, or nobody's home
        is_empty = False
    if is_empty:
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="conceptmon-", ignore_cleanup_errors=True) as temporary:
        yield Path(temporary)


def _remove_abandoned(folder: Path) -> None:
    """Remove what processes that were killed in the middle of writing left behind."""
    for part in folder.glob(f"*{_PART}"):
        with contextlib.suppress(OSError):
            if time.time() - part.stat().st_mtime > _ABANDONED_SECONDS:
                part.unlink()
