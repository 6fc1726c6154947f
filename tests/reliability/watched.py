"""A process whose writes are watched: every file that it makes, changes or removes is told to a list."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import NamedTuple

# Runs in the watched process before anything else. Audit hooks cannot be taken away again.
HOOK = """
import json, os, sys
_log = os.open(os.environ["WATCHED_WRITES"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
_writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_changing = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate",
             "os.chmod", "os.chown", "os.utime", "os.mkfifo", "os.mknod", "os.setxattr", "sqlite3.connect"}

def _watch(event, args):
    if event == "open":
        paths = args[:1] if isinstance(args[2], int) and args[2] & _writing else ()
    elif event in _changing:
        paths = args[:2] if event in ("os.rename", "os.link", "os.symlink") else args[:1]
    else:
        return
    for path in paths:
        if isinstance(path, (str, bytes)) or hasattr(path, "__fspath__"):
            line = json.dumps([event, os.path.abspath(os.fsdecode(path)), _is_ours()]) + "\\n"
            os.write(_log, line.encode())

def _is_ours():
    frame = sys._getframe(2)
    while frame is not None and os.sep + "conceptmon_tb" + os.sep not in frame.f_code.co_filename:
        frame = frame.f_back
    return frame is not None

sys.addaudithook(_watch)
"""


class Write(NamedTuple):
    """One write.

    Attributes:
        event: As Python's audit hooks call it.
        path: What was written to.
        is_ours: Whether our code asked for it.
    """

    event: str
    path: Path
    is_ours: bool


class Watched(NamedTuple):
    """Folders of a watched process, and what it did.

    Attributes:
        root: Holds all of the others.
    """

    root: Path

    @classmethod
    def make(cls, root: Path) -> Watched:
        """Make the folders."""
        watched = cls(root)
        for folder in (watched.home, watched.temporary, watched.hook):
            folder.mkdir()
        (watched.hook / "sitecustomize.py").write_text(HOOK)
        return watched

    @property
    def home(self) -> Path:
        """What is its home."""
        return self.root / "home"

    @property
    def temporary(self) -> Path:
        """What is its folder for temporary files."""
        return self.root / "temporary"

    @property
    def hook(self) -> Path:
        """Holds the hook."""
        return self.root / "hook"

    @property
    def environment(self) -> dict[str, str]:
        """The environment of the process."""
        places = {"HOME": self.home, "TMPDIR": self.temporary, "PYTHONPATH": self.hook}
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "CONCEPTMON_"))
        }
        return {
            **kept,
            **{name: str(path) for name, path in places.items()},
            "WATCHED_WRITES": str(self.root / "writes"),
            "PYTHONDONTWRITEBYTECODE": "1",  # else Python's own cache is written to wherever packages are
        }

    def writes(self) -> set[Write]:
        """Everything that was written."""
        lines = (self.root / "writes").read_text().splitlines()
        return {Write(event, Path(path), is_ours) for event, path, is_ours in map(json.loads, lines)}

    def files(self) -> set[str]:
        """Names of all that is in home and among the temporary files, relative to the root."""
        return {
            path.relative_to(self.root).as_posix()
            for folder in (self.home, self.temporary)
            for path in folder.rglob("*")
        }
