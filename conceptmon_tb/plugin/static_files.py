"""The tab's own files. A request only ever picks from a list: no path is made of its text."""

from __future__ import annotations

import importlib.resources
import zlib
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

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


class StaticFiles:
    """Finds files of the package `conceptmon_tb.plugin_static` by relative name.

    Args:
        root: Where the files are; by default the installed package.
    """

    def __init__(self, root: Traversable | None = None) -> None:
        self._root = root
        self._files: dict[str, Traversable] = {}

    def read(self, name: str) -> tuple[bytes, str, str] | None:
        """Return a file's content, MIME type and tag for conditional requests.

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
        return content, MIME_TYPES[PurePosixPath(name).suffix], f"{zlib.crc32(content):08x}-{len(content):x}"

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
