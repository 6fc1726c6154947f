"""The fast CRC-32C against TensorBoard's own, byte by byte."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from tensorboard.compat.tensorflow_stub import pywrap_tensorflow

from conceptmon_tb.crc32c import crc32c, header_crcs, masked_crc32c

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("size", [0, 1, 1024, 1025, 1087, 1088, 5000, 32767, 32768, 32769, 100_003])
def test_it_is_tensorboards(size: int) -> None:
    data = RNG.bytes(size)
    assert masked_crc32c(data) == pywrap_tensorflow.masked_crc32c(data)


def test_it_gives_the_published_check_value() -> None:
    assert crc32c(b"123456789") == 0xE3069283


def test_large_data_is_worked_on_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    data = RNG.bytes(50_001)
    whole = crc32c(data)
    monkeypatch.setattr("conceptmon_tb.crc32c._PIECE", 7000)
    assert crc32c(data) == whole == pywrap_tensorflow.crc32c(data)


def test_checksums_of_many_places_are_those_of_each() -> None:
    data = np.frombuffer(RNG.bytes(100), np.uint8)
    offsets = np.arange(0, 92)
    expected = [pywrap_tensorflow.masked_crc32c(data[i : i + 8].tobytes()) for i in offsets]
    assert header_crcs(data, offsets).tolist() == expected


def test_the_doctor_starts_without_torch() -> None:
    code = "import sys, conceptmon_tb.doctor, conceptmon_tb.cli_doctor; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
