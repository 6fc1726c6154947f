"""Which files and folders are checkpoints: glob patterns in, paths in natural order out."""

from __future__ import annotations

import glob
import hashlib
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

SUFFIXES = (".pt", ".pth", ".ckpt", ".bin", ".safetensors", ".tar")
WEIGHTS_NAMES = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
"""Weights in a folder, as Transformers and Accelerate name them; the first that is there counts."""

_NUM_BLOCKS, _BLOCK_BYTES = 16, 1 << 16
_LISTED = 8


class CheckpointError(ValueError):
    """Something is wrong with a checkpoint; the message names it and the mend."""


class DamagedError(CheckpointError):
    """A checkpoint cannot be read at all."""


def find_checkpoints(patterns: str | Path | Sequence[str | Path]) -> list[Path]:
    """Find checkpoints.

    Args:
        patterns: Files, folders and glob patterns (`**` goes into subfolders). A folder is one checkpoint
            where it holds weights as Transformers and Accelerate save them, else all checkpoints in it.

    Returns:
        Files and folders, each once, in natural order (`epoch2` before `epoch10`).

    Raises:
        FileNotFoundError: A pattern matches nothing that could be a checkpoint.
        ValueError: There are no patterns.
    """
    wanted = [patterns] if isinstance(patterns, (str, Path)) else list(patterns)
    if not wanted:
        raise ValueError("checkpoints is empty; give files, folders or patterns such as 'ckpt/*.pt'")
    found: dict[Path, Path] = {}
    for pattern in wanted:
        for path in sorted(_matches(pattern), key=natural_key):
            # A link such as last.ckpt may lead to a checkpoint that has its own name too: keep that one.
            if path.resolve() not in found or not path.is_symlink():
                found[path.resolve()] = path
    return sorted(found.values(), key=natural_key)


def natural_key(path: str | Path) -> list[tuple[int, int, str]]:
    """Sort key under which numbers in names count as numbers.

    >>> sorted(["epoch10.pt", "epoch9.pt"], key=natural_key)
    ['epoch9.pt', 'epoch10.pt']
    """
    parts = re.split(r"(\d+)", os.fspath(path))
    return [(0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts if part]


def weights_file(path: Path) -> Path:
    """The file that holds a checkpoint's weights, or their index.

    Args:
        path: A checkpoint, a file or a folder.

    Returns:
        The file itself, or the one in the folder.

    Raises:
        CheckpointError: A folder without weights that could be read.
    """
    if not path.is_dir():
        return path
    for name in WEIGHTS_NAMES:
        if (path / name).is_file():
            return path / name
    if (path / ".metadata").is_file() and any(path.glob("*.distcp")):
        raise CheckpointError(
            f"{path} is a distributed checkpoint in shards; make one file of it first: python -m "
            f"torch.distributed.checkpoint.format_utils dcp_to_torch {path} {path}.pt"
        )
    raise CheckpointError(f"{path} is a folder without weights; it should hold {' or '.join(WEIGHTS_NAMES)}")


def digest_file(path: Path) -> str:
    """Tell one checkpoint from another without reading all of it.

    Args:
        path: A checkpoint, a file or a folder.

    Returns:
        Hex digest (16 characters) of the size and of blocks spread over the file, a mebibyte in all:
        the weights of another training differ in each of them.
    """
    file = weights_file(path)
    size = file.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    last = max(0, size - _BLOCK_BYTES)
    with file.open("rb") as opened:
        for block in range(_NUM_BLOCKS):
            opened.seek(last * block // (_NUM_BLOCKS - 1))
            digest.update(opened.read(_BLOCK_BYTES))
    return digest.hexdigest()[:16]


def listed(names: Iterable[object], most: int = _LISTED) -> str:
    """The first few of many, for a message."""
    all_names = [str(name) for name in names]
    more = len(all_names) - most
    return ", ".join(all_names[:most]) + (f" and {more} more" if more > 0 else "")


def _matches(pattern: str | Path) -> list[Path]:
    path = Path(pattern).expanduser()
    if path.is_dir():
        if any((path / name).is_file() for name in WEIGHTS_NAMES):
            return [path]
        inside = [child for child in path.iterdir() if _is_checkpoint(child)]
        if not inside:
            weights_file(path)
        return inside
    if path.is_file():
        return [path]
    matches = [Path(match) for match in glob.glob(str(path), recursive=True)]  # noqa: PTH207 (absolute ones)
    chosen = [match for match in matches if _is_checkpoint(match)]
    if not chosen:  # names without a known ending, if the pattern says so
        chosen = [match for match in matches if match.is_file()]
    if not chosen:
        below = f"; it matches {listed(matches)}, none of them a checkpoint" if matches else ""
        raise FileNotFoundError(
            f"no checkpoints match {str(pattern)!r} (from {Path.cwd()}){below}; endings are "
            f"{', '.join(SUFFIXES)}, or folders with {WEIGHTS_NAMES[0]}"
        )
    return chosen


def _is_checkpoint(path: Path) -> bool:
    if path.is_dir():
        return any((path / name).is_file() for name in WEIGHTS_NAMES) or (path / ".metadata").is_file()
    return path.suffix.lower() in SUFFIXES
