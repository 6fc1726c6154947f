"""The tab's own files. A request only ever picks from a list: no path is made of its text.

The tab consists of over a hundred small files, and asking for each whether it has changed takes half a second
of every opening. So their addresses hold a version that is made of the content of all of them: what such an
address gave once stays right for ever, and an upgraded package, or a changed checkout, has other addresses.
"""

from __future__ import annotations

import hashlib
import importlib.resources
import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from importlib.abc import Traversable

PACKAGE = "conceptmon_tb.plugin_static"

MIME_TYPES = {
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".css": "text/css",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".woff2": "font/woff2",
    ".wasm": "application/wasm",
}
VERSIONED = re.compile(r"([0-9a-f]{16})/(.+)", re.DOTALL)
FOR_EVER = "private, max-age=31536000, immutable"
"""For a file that belongs to the version in its address. TensorBoard's own is to ask again each time."""


class StaticFile(NamedTuple):
    """A file as it is at this moment."""

    content: bytes
    mime_type: str
    tag: str
    """Made of the content alone."""


class StaticFiles:
    """Finds files of the package `conceptmon_tb.plugin_static` by relative name.

    Args:
        root: Where the files are; by default the installed package.
    """

    def __init__(self, root: Traversable | None = None) -> None:
        self._root = root
        self._files: dict[str, Traversable] = {}
        self._told: tuple[str, dict[str, str]] = ("", {})

    def version(self) -> str:
        """Read all files and tell their version; it takes some 5 ms, at every opening of the tab.

        Returns:
            16 hexadecimal digits that change with any name or content; "" while files cannot be read.
        """
        try:
            files = dict(self._list())
            tags = {name: _tag(files[name].read_bytes()) for name in sorted(files)}
        except OSError:  # they are just being replaced
            return ""
        version = _tag("".join(f"{tag} {name}\n" for name, tag in tags.items()).encode())
        # At once: a version beside the tags of another would have a browser keep the wrong files for ever.
        self._files, self._told = files, (version, tags)
        return version

    def read(self, name: str) -> StaticFile | None:
        """Read a file.

        Args:
            name: Name relative to the package, such as "model/space.js".

        Returns:
            None where the list has no such file.
        """
        if name not in self._files:
            self._files = dict(self._list())
        file = self._files.get(name)
        if file is None:
            return None
        try:
            content = file.read_bytes()
        except FileNotFoundError:
            return None
        return StaticFile(content, MIME_TYPES[PurePosixPath(name).suffix], _tag(content))

    def belongs(self, name: str, tag: str, version: str | None) -> bool:
        """Whether a file with this tag is part of the version that was last told: it may be kept for ever."""
        told, tags = self._told
        return bool(version) and version == told and tags.get(name) == tag

    def _list(self) -> Iterator[tuple[str, Traversable]]:
        root = importlib.resources.files(PACKAGE) if self._root is None else self._root
        pending = [("", root)]
        while pending:
            prefix, folder = pending.pop()
            for entry in folder.iterdir():
                if entry.name.startswith((".", "__")):
                    continue
                if entry.is_dir():
                    pending.append((f"{prefix}{entry.name}/", entry))
                elif PurePosixPath(entry.name).suffix in MIME_TYPES:
                    yield prefix + entry.name, entry


def _tag(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
