"""Event files cut at every byte and with flipped bits: what was whole before stays readable, by everybody."""

from __future__ import annotations

import os
import random
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

from conceptmon_tb.doctor import examine, repair
from conceptmon_tb.event_files import FOOTER_BYTES, HEADER_BYTES, Record, event_files, read_records
from conceptmon_tb.history import read_history
from conceptmon_tb.metadata import unpack_payload
from conceptmon_tb.reader import Run, read_run
from conceptmon_tb.writer import ConceptWriter, add_concepts
from tests.crash import log_epochs, read, shown, stamped
from tests.reliability.notes import Note
from tests.servers import TensorBoardServer

SMALL = {"layer1": 2}
EPOCHS = 4
HIT = 2  # the epoch whose record is damaged; another one follows
CUTS = (1, 12, 600, -1)
FIELDS = {"length": (0, 8), "length's checksum": (8, 12), "payload": (12, -4), "payload's checksum": (-4, 0)}
PIECES, PIECE_SECONDS = 40, 0.05


class Log:
    """A log of a few epochs, and places in it.

    Args:
        folder: Its run.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (self.file,) = event_files(folder)
        self.data = self.file.read_bytes()
        self.run = read_run(folder)
        self.epochs = [record for record in read_records(self.file) if b"/neurons" in (record.data or b"")]

    def write(self, folder: Path, data: bytes) -> Path:
        """Write other bytes into a run of the same file name."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / self.file.name).write_bytes(data)
        return folder

    def flipped(self, record: Record, field: str, bit: int) -> bytes:
        """The log with one bit of a record flipped."""
        first, last = _bytes_of(record, field)
        data = bytearray(self.data)
        data[record.offset + first + bit // 8 % (last - first)] ^= 1 << bit % 8
        return bytes(data)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Log:
    folder = tmp_path_factory.mktemp("whole") / "run"
    with ConceptWriter(folder, alerts=False) as writer:
        for step in range(EPOCHS):
            add_concepts(writer, stamped(step, 0, SMALL), step)
    return Log(folder)


@pytest.fixture(scope="module")
def served(log: Log, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few of the damaged logs for TensorBoard's loaders, resumed ones too."""
    top = tmp_path_factory.mktemp("served")
    last = log.epochs[-1]
    for cut in CUTS:
        folder = log.write(top / "cut" / str(cut), log.data[: last.offset + cut % last.nbytes])
        shutil.copytree(folder, top / "resumed" / str(cut))
        log_epochs(top / "resumed" / str(cut), 1, range(2, EPOCHS + 1), layers=SMALL)
    for field in FIELDS:
        log.write(top / "flipped" / field, log.flipped(log.epochs[HIT], field, 13))
    return top


@pytest.fixture(scope="module", params=["--load_fast=true", "--load_fast=false"])
def server(served: Path, request: pytest.FixtureRequest) -> Iterator[TensorBoardServer]:
    with TensorBoardServer(served, request.param, "--reload_interval=1") as running:
        running.wait_for(lambda: all(shown(running, f"resumed/{cut}") for cut in CUTS))
        yield running


def same_as_written(run: Run, written: Run) -> list[int]:
    """Steps of a run that was read, after a look that each is as it was written."""
    for step in run.steps:
        left, right = (one.snapshots["layer1"][step] for one in (run, written))
        for name in ("position", "concept_ids", "similarity", "top_images", "valid", "interpretable"):
            np.testing.assert_array_equal(getattr(left, name), getattr(right, name))
    return list(run.steps)


def test_a_log_cut_at_every_byte_of_its_last_epoch_has_all_earlier_ones(
    log: Log, tmp_path: Path, reliability: Note
) -> None:
    last = log.epochs[-1]
    earlier = list(range(EPOCHS - 1))
    whole = sum(1 for _ in EventFileLoader(str(log.file)).Load())
    file = log.write(tmp_path / "run", log.data) / log.file.name
    for cut in reversed(range(last.nbytes)):
        os.truncate(file, last.offset + cut)
        assert read_history(file.parent).steps == {"layer1": set(earlier)}
        damage = [record.damage.code for record in read_records(file) if record.damage]
        assert damage == (["truncated"] if cut else [])
        if cut % 64 == 0:
            assert same_as_written(read_run(file.parent), log.run) == earlier
            assert sum(1 for _ in EventFileLoader(str(file)).Load()) == whole - 1
    reliability(area="faults", tried="file cut at a byte of its last record", count=last.nbytes)


def test_every_flipped_bit_is_noticed_and_costs_one_epoch_at_most(
    log: Log, tmp_path: Path, reliability: Note
) -> None:
    record = log.epochs[HIT]
    others = [step for step in range(EPOCHS) if step != HIT]
    dice = random.Random(7)
    for field in FIELDS:
        first, last = _bytes_of(record, field)
        bits = 8 * (last - first)
        chosen = range(bits) if bits <= 64 else sorted(dice.sample(range(bits), 256))
        for bit in chosen:
            folder = log.write(tmp_path / "run", log.flipped(record, field, bit))
            run = read_run(folder)
            assert run.warnings
            steps = same_as_written(run, log.run)
            # Behind a wrong length nobody knows where the next record is; the doctor finds it, see below.
            assert set(steps) >= (set(range(HIT)) if field.startswith("length") else set(others))
            damage = [r.damage for r in read_records(folder / log.file.name, salvage=True) if r.damage]
            assert len(damage) == 1
        reliability(
            area="faults", tried=f"bit flipped in a record's {field}", count=len(chosen), lost="the epoch"
        )


def test_a_damaged_record_that_names_another_step_leaves_that_one_alone(log: Log, tmp_path: Path) -> None:
    record = log.epochs[HIT]
    data = bytearray(log.data)
    data[log.data.index(bytes((0x10, HIT)), record.offset + HEADER_BYTES) + 1] = 0  # now of step 0
    run = read_run(log.write(tmp_path / "run", bytes(data)))
    assert same_as_written(run, log.run) == [step for step in range(EPOCHS) if step != HIT]


@pytest.mark.parametrize("field", FIELDS)
def test_the_doctor_saves_all_other_epochs(log: Log, tmp_path: Path, field: str, reliability: Note) -> None:
    log.write(tmp_path / "logs" / "run", log.flipped(log.epochs[HIT], field, 21))
    repair(tmp_path / "logs", tmp_path / "copy")
    assert examine(tmp_path / "copy").is_clean
    steps = same_as_written(read_run(tmp_path / "copy" / "run"), log.run)
    assert set(steps) >= {step for step in range(EPOCHS) if step != HIT}
    reliability(area="faults", tried="doctor --repair on a log with a flipped bit", count=1, lost="the epoch")


def test_both_loaders_show_what_is_before_the_cut_and_what_was_logged_after_it(
    server: TensorBoardServer, reliability: Note
) -> None:
    for cut in CUTS:
        server.wait_for(lambda: shown(server, f"cut/{cut}"))  # noqa: B023
        assert shown(server, f"cut/{cut}") == [(step, 0) for step in range(EPOCHS - 1)]
        resumed = [*((step, 0) for step in range(EPOCHS - 1)), (EPOCHS - 1, 1), (EPOCHS, 1)]
        server.wait_for(lambda: len(shown(server, f"resumed/{cut}")) == EPOCHS + 1)  # noqa: B023
        assert shown(server, f"resumed/{cut}") == resumed
        assert read(server.logdir / "resumed" / str(cut)) == resumed
    reliability(area="faults", tried="cut file in TensorBoard, as it is and resumed", count=2 * len(CUTS))


@pytest.mark.parametrize("field", FIELDS)
def test_no_loader_shows_an_epoch_other_than_it_was_written(
    log: Log, server: TensorBoardServer, field: str, reliability: Note
) -> None:
    run = f"flipped/{field}"
    server.wait_for(lambda: shown(server, run))
    status, body, _ = server.fetch("layer", run=run, layer="layer1")
    arrays = unpack_payload(body).arrays
    steps = arrays["steps"].tolist()
    assert status == 200
    assert set(steps) >= set(range(HIT))
    for row, step in enumerate(steps):
        np.testing.assert_array_equal(arrays["position"][row], log.run.snapshots["layer1"][step].position)
    reliability(
        area="faults",
        tried="flipped bit in TensorBoard",
        count=1,
        lost="the epoch; in some loaders later ones",
    )


def test_a_file_that_arrives_in_small_pieces_is_shown_epoch_by_epoch(
    log: Log, server: TensorBoardServer, reliability: Note
) -> None:
    """As over a slow network: readers see half a record, again and again."""
    folder = server.logdir / f"slow {time.monotonic_ns()}"
    seen: list[list[int]] = []
    bad: list[int] = []
    writing = threading.Thread(target=_write_slowly, args=(folder, log))
    writing.start()
    while writing.is_alive():
        status, body, _ = server.fetch("layer", run=folder.name, layer="layer1")
        if status == 200:
            seen.append(unpack_payload(body).arrays["steps"].tolist())
        elif status >= 500:
            bad.append(status)
        time.sleep(0.1)
    server.wait_for(lambda: len(shown(server, folder.name)) == EPOCHS)
    assert bad == []
    assert all(steps == list(range(len(steps))) for steps in seen)
    assert shown(server, folder.name) == [(step, 0) for step in range(EPOCHS)]
    assert server.runs()[folder.name]["skipped"] == []
    reliability(area="faults", tried="pieces of a file that arrive over a slow network", count=PIECES)


def test_a_run_that_is_removed_and_comes_again_while_tensorboard_serves(
    log: Log, server: TensorBoardServer, reliability: Note
) -> None:
    name = f"comes and goes {time.monotonic_ns()}"
    folder = server.logdir / name
    routes = [("layer", {"layer": "layer1"}), ("timeline", {}), ("images", {}), ("space", {})]
    for _ in range(2):
        log.write(folder, log.data)
        folder.chmod(0o555)  # nothing but reading is needed
        server.wait_for(lambda: len(shown(server, name)) == EPOCHS)
        folder.chmod(0o755)
        shutil.rmtree(folder)
        deadline = time.monotonic() + 20
        while name in server.runs() and time.monotonic() < deadline:
            for route, parameters in routes:
                assert server.fetch(route, run=name, **parameters)[0] in (200, 404)
            time.sleep(0.2)
        assert name not in server.runs()
        assert shown(server, f"resumed/{CUTS[0]}")
    reliability(area="faults", tried="folder removed while TensorBoard serves it, and written again", count=2)


def _bytes_of(record: Record, field: str) -> tuple[int, int]:
    """First byte of a field in a record, and the one behind its last."""
    assert record.nbytes > HEADER_BYTES + FOOTER_BYTES
    first, last = FIELDS[field]
    return first % record.nbytes, last if last > 0 else record.nbytes + last


def _write_slowly(folder: Path, log: Log) -> None:
    folder.mkdir()
    with (folder / log.file.name).open("wb", buffering=0) as file:
        for piece in np.array_split(np.frombuffer(log.data, np.uint8), PIECES):
            file.write(piece.tobytes())
            time.sleep(PIECE_SECONDS)
