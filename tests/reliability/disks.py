"""A small disk of a process's own that really runs full and really becomes read-only: a tmpfs in a namespace.

It needs no privileges where the system gives users namespaces. Nobody else sees it; it goes with the process.
"""

from __future__ import annotations

import ctypes
import os
import shutil
from pathlib import Path

PAGE = os.sysconf("SC_PAGE_SIZE")
_NEW_NAMESPACE, _NEW_USER = 0x00020000, 0x10000000
_READ_ONLY, _REMOUNT, _RECURSIVE, _PRIVATE = 1, 32, 16384, 1 << 18


class OwnDisk:
    """A tmpfs over a folder, seen by this process alone.

    Args:
        folder: Where it is mounted; what is there is hidden.
        size: Bytes that it holds.

    Raises:
        PermissionError: The system allows no namespace, or no mount in it.
    """

    def __init__(self, folder: Path, size: int) -> None:
        self.folder = folder
        self._size = size
        self._libc = ctypes.CDLL(None, use_errno=True)
        user, group = os.geteuid(), os.getegid()
        self._call("unshare", _NEW_NAMESPACE | (_NEW_USER if user else 0))
        if user:
            Path("/proc/self/setgroups").write_text("deny")
            Path("/proc/self/uid_map").write_text(f"0 {user} 1")
            Path("/proc/self/gid_map").write_text(f"0 {group} 1")
        self._call("mount", b"none", b"/", None, _RECURSIVE | _PRIVATE, None)
        self._mount(0)

    def fill(self) -> None:
        """Leave one page free, so that the next larger write is cut in the middle."""
        with (self.folder / "ballast").open("wb") as file:
            file.write(bytes(shutil.disk_usage(self.folder).free - PAGE))

    def clear(self) -> None:
        """Make room again."""
        (self.folder / "ballast").unlink()

    def make_read_only(self, read_only: bool) -> None:
        """Let nobody write, or everybody again."""
        self._mount(_REMOUNT | (_READ_ONLY if read_only else 0))

    def _mount(self, flags: int) -> None:
        options = f"size={self._size},mode=777".encode()
        self._call("mount", b"tmpfs", os.fsencode(self.folder), b"tmpfs", flags, options)

    def _call(self, name: str, *arguments: object) -> None:
        if getattr(self._libc, name)(*arguments) != 0:
            number = ctypes.get_errno()
            raise PermissionError(number, f"{name}: {os.strerror(number)}")
