"""Keeps a ConceptWriter's event files from stopping the training: a disk may fill up or go at any time."""

from __future__ import annotations

import contextlib
import errno
import tempfile
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tensorboard.compat.proto import event_pb2

from conceptmon_tb.event_writing import sent_by, warn_once

if TYPE_CHECKING:
    from conceptmon_tb.writer import ConceptWriter

_ROOM = 1 << 16  # bytes that a folder must have room for before an event file is begun


def check_folder(folder: Path) -> None:
    """Say at once, and by name, that a folder cannot be written to: torch's writer thread says it later.

    Args:
        folder: The run's own directory; it is made.

    Raises:
        OSError: It cannot be made, or has no room.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(_ROOM))
    except OSError as error:
        raise OSError(
            error.errno,
            f"log_dir cannot be written to ({error.strerror}); choose another folder",
            str(folder),
        ) from error


class GuardedEventWriter:
    """Stands between torch's FileWriter and the event file: a failed write must not stop the training.

    Args:
        inner: What writes the event file.
        owner: Whose file it is.
        is_main: Whether it is the run's own file, not one of `add_scalars`: its owner hears every event
            first, and lets go of the folder when it is closed.

    Attributes:
        failed: Whether a write failed; nothing is written after that.
    """

    def __init__(self, inner: Any, owner: ConceptWriter, *, is_main: bool = True) -> None:
        self._inner = inner
        self._owner = weakref.ref(owner)
        self._is_main = is_main
        self._known = self._look()
        self.failed = False

    def add_event(self, event: event_pb2.Event) -> None:
        """Write an event, unless a write failed before."""
        owner = self._owner()
        if owner is not None and self._is_main:
            owner.alerts.hear(event)
        if not self.failed:
            self._guard(self._inner.add_event, event)

    def flush(self) -> None:
        """Write to the disk what is held back."""
        if not self.failed:
            self._guard(self._inner.flush)

    def close(self) -> None:
        """Close the file, and let other processes write to the folder."""
        self._guard(self._inner.close)
        owner = self._owner()
        if owner is not None and self._is_main:
            owner.release()

    def reaches_file(self) -> bool:
        """Whether what is written arrives; a file that somebody removed counts as a failed write."""
        self.flush()  # a failure in the writer's thread is known only then
        if not self.failed:
            self._guard(self._find)
        return not self.failed

    def abandon(self) -> None:
        """End the thread of a file that another one has taken the place of."""
        with contextlib.suppress(Exception):
            self._inner.close()

    def reopen(self) -> None:
        """Open the file again, as torch does after a close."""
        self._inner.reopen()

    def get_logdir(self) -> str:
        """Return the folder of the file."""
        return str(self._inner.get_logdir())

    def _find(self) -> None:
        known, now = self._known, self._look()
        self._known = now or known
        # TensorBoard's writer opens the file for every record, and so makes a removed one anew, often with
        # the number of the old one: but never as large.
        if known is not None and (now is None or now[:2] != known[:2] or now[2] < known[2]):
            name = getattr(self._inner, "_file_name", "")
            raise FileNotFoundError(errno.ENOENT, "it was removed or replaced", name)

    def _look(self) -> tuple[int, int, int] | None:
        """Which file it is, and its size; None where that is not known, or there is no file."""
        try:
            status = Path(getattr(self._inner, "_file_name", "")).stat()
        except (OSError, ValueError):
            return None
        return status.st_dev, status.st_ino, status.st_size

    def _guard(self, act: Any, *arguments: Any) -> None:
        try:
            act(*arguments)
        except Exception as error:
            self.failed = True
            owner = self._owner()
            if owner is None or owner.strict:
                raise
            what = f"the event file in {self.get_logdir()} could not be written"
            warn_once(sent_by(owner), what, error)
