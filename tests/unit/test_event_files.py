"""Event files record by record: checksums are TensorBoard's, and lost records are found again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tensorboard.compat.tensorflow_stub import pywrap_tensorflow

from conceptmon_tb.event_files import frame_record, masked_crc32c, read_records

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("data", [b"", b"\0", bytes(8), b"123456789", RNG.bytes(1023), RNG.bytes(100_003)])
def test_checksums_are_tensorboards(data: bytes) -> None:
    assert masked_crc32c(data) == pywrap_tensorflow.masked_crc32c(data)


@pytest.mark.parametrize(
    "lost",
    [
        RNG.bytes(5000),
        bytes(3_000_000),
        np.arange(5000, dtype="<i8").tobytes(),
        frame_record(b"cut short")[:-5] + bytes(20),
        RNG.bytes((1 << 20) - 8),
    ],
    ids=["noise", "zeros", "numbers", "a record cut short", "a record across two windows"],
)
def test_records_behind_a_lost_place_are_found_again(tmp_path: Path, lost: bytes) -> None:
    path = tmp_path / "events.out.tfevents.1"
    path.write_bytes(frame_record(b"first") + lost + frame_record(b"second") + frame_record(b""))
    records = list(read_records(path, salvage=True))
    assert [record.data for record in records if record.damage is None] == [b"first", b"second", b""]
    assert sum(record.nbytes for record in records) == path.stat().st_size


def test_the_doctor_starts_without_torch() -> None:
    code = "import sys, conceptmon_tb.doctor, conceptmon_tb.cli_doctor; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
