"""Image features kept on disk one by one, found again by what is in the picture.

A training set is encoded once, whatever happens to it later: shuffled, split anew, a part taken, pictures
added. So a picture's digest is the key, and the files are only batches of what was encoded together.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from conceptmon_tb.private_files import write_private_file

DIGEST_BYTES = 16
logger = logging.getLogger(__name__)


def digest_picture(picture: Image.Image) -> bytes:
    """Digest of a picture's size and pixels, 16 bytes.

    Args:
        picture: RGB picture.
    """
    digest = hashlib.blake2b(repr(picture.size).encode(), digest_size=DIGEST_BYTES)
    digest.update(picture.tobytes())
    return digest.digest()


class FeatureStore:
    """A folder of features of one encoder. What cannot be read or written is computed, with a warning.

    Several processes may use it at once: files are written whole or not at all, and never changed.

    Args:
        directory: Folder of all encoders' features; made when the first are written.
        fingerprint: Of the encoder.
        dim: Dimension of its features.
    """

    def __init__(self, directory: str | Path, fingerprint: str, dim: int) -> None:
        self.folder = Path(directory) / f"features-{fingerprint[:32]}-{dim}"
        self._dim = dim
        self._where: dict[bytes, tuple[Path, int]] = {}
        for path in sorted(self.folder.glob("*.safetensors")):
            for row, digest in enumerate(self._digests(path)):
                self._where.setdefault(digest, (path, row))

    def __contains__(self, digest: bytes) -> bool:
        return digest in self._where

    def load(self, digests: Iterable[bytes]) -> Iterator[tuple[bytes, Tensor]]:
        """Read features, file by file.

        Args:
            digests: Of the pictures; those that are not kept are passed over.

        Yields:
            Digest and `(dim,)` float32 of every one that could be read.
        """
        by_file: dict[Path, list[tuple[int, bytes]]] = {}
        for digest in digests:
            if digest in self._where:
                path, row = self._where[digest]
                by_file.setdefault(path, []).append((row, digest))
        for path, rows in by_file.items():
            table = self._table(path)
            if table is not None:
                for row, digest in rows:
                    yield digest, table[row]

    def save(self, digests: Sequence[bytes], features: Tensor) -> None:
        """Keep features, all of them or none.

        Args:
            digests: Of at least one picture.
            features: `(pictures, dim)`, kept as float32.
        """
        joined = torch.frombuffer(bytearray(b"".join(digests)), dtype=torch.uint8)
        table = {"digests": joined.view(-1, DIGEST_BYTES), "features": features.float().contiguous()}
        try:
            write_private_file(self.folder, save(table), suffix=".safetensors")
        except OSError as error:
            logger.warning("could not keep image features in %s: %s", self.folder, error)

    def _digests(self, path: Path) -> list[bytes]:
        try:
            with safe_open(path, framework="pt") as file:
                digests: Tensor = file.get_tensor("digests")
                rows, dim = file.get_slice("features").get_shape()
        except Exception as error:  # noqa: BLE001 (safetensors has many; a damaged file is computed anew)
            logger.warning("could not read image features in %s: %s", path, error)
            return []
        if digests.shape != (rows, DIGEST_BYTES) or dim != self._dim:
            return []
        raw = digests.numpy().tobytes()
        return [raw[start : start + DIGEST_BYTES] for start in range(0, len(raw), DIGEST_BYTES)]

    def _table(self, path: Path) -> Tensor | None:
        try:
            with safe_open(path, framework="pt") as file:
                table: Tensor = file.get_tensor("features")
        except Exception as error:  # noqa: BLE001
            logger.warning("could not read image features in %s: %s", path, error)
            return None
        return table if bool(torch.isfinite(table).all()) else None
