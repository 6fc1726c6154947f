"""Embeddings kept on disk, found again by what went into them and never by a name.

Encoding a probe set with a large CLIP takes minutes and gives the same result every time. A cache
entry's key is a hash of the encoder's weights and settings and of the pictures or words, so a stale
entry cannot be met; entries are written whole or not at all.
"""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

import torch
from safetensors.torch import load, save
from torch import Tensor

from conceptmon_tb.private_files import CACHE_VARIABLE, default_cache_dir, write_private_file

__all__ = ["CACHE_VARIABLE", "EmbeddingCache", "default_cache_dir"]

_NAME = "embedding"
logger = logging.getLogger(__name__)


class EmbeddingCache:
    """A folder of embeddings by content key. What cannot be read or written is computed, with a warning.

    Args:
        directory: The folder; made when the first entry is written, for its owner alone.
    """

    def __init__(self, directory: str | Path) -> None:
        self.directory = Path(directory)
        self._warned = False

    def load(self, *parts: str) -> Tensor | None:
        """Find an entry.

        Args:
            *parts: Everything that the embedding depends on.

        Returns:
            `(items, dim)` float32, None when there is no readable entry.
        """
        path = self._path(parts)
        try:
            found = load(path.read_bytes()).get(_NAME)
        except FileNotFoundError:
            return None
        except Exception as error:  # noqa: BLE001 (safetensors has many; a damaged entry is computed anew)
            self._warn(f"could not read {path}: {error}")
            return None
        return found if found is not None and bool(torch.isfinite(found).all()) else None

    def save(self, embedding: Tensor, *parts: str) -> None:
        """Keep an entry, whole or not at all.

        Args:
            embedding: `(items, dim)`, kept as float32.
            *parts: Everything that the embedding depends on.
        """
        path = self._path(parts)
        try:
            data = save({_NAME: embedding.detach().cpu().float().contiguous()})
            write_private_file(self.directory, data, path.name)
        except OSError as error:
            self._warn(f"could not write {path}: {error}")

    def _path(self, parts: tuple[str, ...]) -> Path:
        return self.directory / f"{hashlib.sha256(repr(parts).encode()).hexdigest()[:40]}.safetensors"

    def _warn(self, what: str) -> None:
        if not self._warned:
            logger.warning(
                "%s; embeddings are computed again each time. Set %s or cache_dir to a folder you "
                "may write to",
                what,
                CACHE_VARIABLE,
            )
        self._warned = True
