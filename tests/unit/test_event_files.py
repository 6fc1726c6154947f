"""Event files record by record: checksums are TensorBoard's, and lost records are found again."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from tensorboard.compat.tensorflow_stub import pywrap_tensorflow

from conceptmon_tb.event_files import frame_record, masked_crc32c, read_records
from tests.reliability.notes import Note

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


HOLE = 1 << 40  # bytes; they take no disk


@pytest.mark.parametrize("announced", [0, HOLE - 2 * 16], ids=["a hole", "a record of a terabyte"])
def test_a_file_with_a_hole_of_a_terabyte_costs_no_time_and_no_memory(
    tmp_path: Path, announced: int, reliability: Note
) -> None:
    path = tmp_path / "events.out.tfevents.1"
    length = announced.to_bytes(8, "little")
    header = length + masked_crc32c(length).to_bytes(4, "little") if announced else b""
    with path.open("wb") as file:
        file.write(frame_record(b"first") + header)
        file.seek(HOLE)
        file.write(frame_record(b"second"))
        file.truncate(2 * HOLE)
    began = time.process_time()
    for salvage, good in ((False, [b"first"]), (True, [b"first", b"second"])):
        records = list(read_records(path, salvage=salvage))
        assert [record.data for record in records if record.damage is None] == good
        assert sum(record.nbytes for record in records) == 2 * HOLE
        if announced:
            damage = records[1].damage
            assert damage is not None
            assert damage.code == "too long"
    assert time.process_time() - began < 2
    tried = "files with holes of a terabyte, and a record that says it has as much"
    reliability(area="payloads", tried=tried, count=2)


def test_the_doctor_starts_without_torch() -> None:
    code = "import sys, conceptmon_tb.doctor, conceptmon_tb.cli_doctor; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
