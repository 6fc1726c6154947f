"""Event files record by record: what is in them, byte by byte, and what is damaged.

TensorBoard's own reader stops at the first damaged record and does not say where it was; its checksum runs
at 9 MB/s. Here one record is held at a time, damage is a value and no exception, and on request the records
behind a damaged place are found again.

A record is: length (uint64), masked CRC-32C of these eight bytes (uint32), data, masked CRC-32C of the data.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple

import google_crc32c
import numpy as np
import numpy.typing as npt

HEADER_BYTES, FOOTER_BYTES = 12, 4

Code = Literal["truncated", "length checksum", "data checksum", "too long", "zeros"]
"""What can be wrong with a record, for programs."""

_HEADER = struct.Struct("<QI")
_LENGTH = struct.Struct("<Q")
_ALL, _MASK_DELTA = 0xFFFFFFFF, 0xA282EAD8
_WINDOW = 1 << 20  # bytes that are searched at once for the next record
_MAX_DATA = 2**31 - 1  # no protobuf is larger: a file with a hole may have any size, and costs nothing


class Damage(NamedTuple):
    """What is wrong with a record.

    Attributes:
        code: For programs.
        reason: For people.
    """

    code: Code
    reason: str


class Record(NamedTuple):
    """One record of an event file, or one damaged place.

    Attributes:
        number: Counted from 0; damaged places count too.
        offset: Of its first byte in the file.
        nbytes: Bytes up to the next record.
        data: The serialised Event; None where it cannot be told. With a wrong data checksum it is what the
            file holds.
        damage: None for a good record.
    """

    number: int
    offset: int
    nbytes: int
    data: bytes | None
    damage: Damage | None = None


def is_event_file(path: Path) -> bool:
    """Whether TensorBoard takes a file for an event file: by its name alone."""
    return "tfevents" in path.name and not path.name.endswith(".profile-empty") and path.is_file()


def event_files(folder: str | Path) -> list[Path]:
    """Return a run's event files in the order in which TensorBoard reads them.

    Both of TensorBoard's loaders go by the plain order of names, whatever was written first: of two files of
    one process and second, number 10 comes before number 9.

    Args:
        folder: The run's own directory.

    Returns:
        Paths in the folder itself, sorted by name.
    """
    return sorted(
        (path for path in Path(folder).iterdir() if is_event_file(path)), key=lambda path: path.name
    )


def run_folders(top: str | Path, on_error: Callable[[OSError], object] | None = None) -> list[Path]:
    """Return all folders at and below one that hold event files: TensorBoard's runs.

    Links are followed, as TensorBoard does; but a folder that several names lead to is taken once.

    Args:
        top: A log directory; it exists.
        on_error: Called for each folder that cannot be looked into.

    Returns:
        Paths below `top`, sorted.
    """
    found: list[Path] = []
    seen: set[tuple[int, int]] = set()
    folders: list[Path] = [Path(top)]
    links: list[Path] = []
    while folders or links:
        folder = folders.pop() if folders else links.pop()
        try:
            status = folder.stat()
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(folder) as entries:
                inside = [(Path(entry.path), entry.is_dir(), entry.is_symlink()) for entry in entries]
        except OSError as error:
            if on_error is not None:
                on_error(error)
            continue
        if any(is_event_file(path) for path, is_folder, _ in inside if not is_folder):
            found.append(folder)
        below = sorted((path, is_link) for path, is_folder, is_link in inside if is_folder)
        folders += [path for path, is_link in below if not is_link]
        links += [path for path, is_link in below if is_link]
    return sorted(found)


def read_records(
    path: str | Path,
    *,
    verify: bool = True,
    salvage: bool = False,
    progress: Callable[[int], object] | None = None,
) -> Iterator[Record]:
    """Read an event file record by record.

    What stands behind a place where the framing is lost is not read, as in TensorBoard, unless `salvage`
    looks for the next record that is whole. A file that grows meanwhile is read up to the size it had.

    Args:
        path: The event file.
        verify: Check the data's checksum too (that of the length always is).
        salvage: Go on behind damage of the framing.
        progress: Called with the number of bytes done since the last call.

    Yields:
        Good and damaged records in the order of the file.

    Raises:
        OSError: The file cannot be read.
    """
    with Path(path).open("rb") as file:
        end = os.fstat(file.fileno()).st_size
        offset = number = 0
        while offset < end:
            record = _read_record(file, number, offset, end, verify)
            lost = record.damage is not None and (record.data is None or not _is_followed(file, record, end))
            if salvage and lost:
                record = record._replace(nbytes=_find_record(file, offset + 1, end) - offset, data=None)
            yield record
            if progress is not None:
                progress(record.nbytes)
            offset, number = offset + record.nbytes, number + 1


def read_record_at(file: BinaryIO, offset: int) -> bytes:
    """Return the data of a record that is known to be good.

    Args:
        file: An event file, opened for reading.
        offset: Of the record's first byte.
    """
    file.seek(offset)
    length, _ = _HEADER.unpack(file.read(HEADER_BYTES))
    return file.read(length)


def frame_record(data: bytes) -> bytes:
    """Return the bytes of one record.

    Args:
        data: A serialised Event.

    Returns:
        Length, checksum, data, checksum.
    """
    length = _LENGTH.pack(len(data))
    checksums = (struct.pack("<I", masked_crc32c(part)) for part in (length, data))
    return b"".join((length, next(checksums), data, next(checksums)))


def masked_crc32c(data: bytes) -> int:
    """Return the masked CRC-32C of some bytes, as event files hold it.

    Args:
        data: Any bytes.

    Returns:
        Unsigned 32-bit number, the same as TensorBoard's function of this name.
    """
    crc: int = google_crc32c.value(data)
    return (((crc >> 15) | (crc << 17 & _ALL)) + _MASK_DELTA) & _ALL


def _read_record(file: BinaryIO, number: int, offset: int, end: int, verify: bool) -> Record:
    """Read what stands at an offset; `data` is None where nothing tells where the record ends."""
    left = end - offset

    def lost(code: Code, reason: str) -> Record:
        return Record(number, offset, left, None, Damage(code, reason))

    file.seek(offset)
    header = file.read(HEADER_BYTES)
    if len(header) < HEADER_BYTES:
        return lost("truncated", f"cut short: {left} bytes of a record's first {HEADER_BYTES}")
    length, checksum = _HEADER.unpack(header)
    if masked_crc32c(header[:8]) != checksum:
        if not any(header) and _is_zero(file, offset, end):
            return lost("zeros", f"{left} bytes of zeros to the end, as a power failure leaves them")
        return lost("length checksum", "the checksum of the record's length does not fit")
    if HEADER_BYTES + length + FOOTER_BYTES > left:
        wanted = HEADER_BYTES + length + FOOTER_BYTES
        return lost("truncated", f"cut short: {left} bytes of a record of {wanted}")
    if length > _MAX_DATA:
        return lost("too long", f"a record of {length} bytes, which is no event: none has 2 GiB")
    data = file.read(length)
    nbytes = HEADER_BYTES + length + FOOTER_BYTES
    footer = file.read(FOOTER_BYTES)
    if verify and masked_crc32c(data) != int.from_bytes(footer, "little"):
        reason = f"the checksum of the record's {length} bytes does not fit"
        return Record(number, offset, nbytes, data, Damage("data checksum", reason))
    return Record(number, offset, nbytes, data)


def _is_followed(file: BinaryIO, record: Record, end: int) -> bool:
    """Whether another record, or the file's end, follows where a damaged record says it ends.

    It does where bits were flipped; it does not where a full disk cut a record and more was appended.
    """
    following = record.offset + record.nbytes
    file.seek(following)
    header = file.read(HEADER_BYTES)
    if len(header) < HEADER_BYTES:
        return following == end
    return masked_crc32c(header[:8]) == int.from_bytes(header[8:], "little")


def _find_record(file: BinaryIO, start: int, end: int) -> int:
    """Return the offset of the next record that is whole; `end` if there is none."""
    while start + HEADER_BYTES <= end:
        start = max(start, _behind_hole(file, start, end) - HEADER_BYTES)
        file.seek(start)
        window = np.frombuffer(file.read(_WINDOW + HEADER_BYTES), np.uint8)
        places = max(len(window) - HEADER_BYTES + 1, 0)
        zero = window == 0
        # No record has 4 GiB: the upper half of the length is zero; its checksum is not. That leaves few
        # places to look at, also in a hole of zeros.
        four = zero[:-3] & zero[1:-2] & zero[2:-1] & zero[3:]
        offsets = np.flatnonzero(four[4 : 4 + places] & ~four[8 : 8 + places])
        lengths, where = np.unique(_numbers_at(window, offsets), return_inverse=True)  # zeros come in runs
        crcs = np.array([masked_crc32c(_LENGTH.pack(length)) for length in lengths.tolist()], np.uint32)
        for found in offsets[crcs[where] == _numbers_at(window, offsets + 8)].tolist():
            record = _read_record(file, 0, start + found, end, verify=True)
            if record.damage is None:
                return int(start + found)
        start += places
    return end


def _numbers_at(data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]) -> npt.NDArray[np.uint32]:
    """The unsigned 32-bit numbers at some offsets."""
    return np.ascontiguousarray(data[offsets[:, None] + np.arange(4)]).view("<u4")[:, 0]


def _is_zero(file: BinaryIO, offset: int, end: int) -> bool:
    while (offset := _behind_hole(file, offset, end)) < end:
        file.seek(offset)
        part = file.read(_WINDOW)
        if not part or part.strip(b"\0"):
            return not part
        offset += len(part)
    return True


def _behind_hole(file: BinaryIO, offset: int, end: int) -> int:
    """Return where a file's content goes on, where the system tells: a hole of a terabyte takes no disk."""
    if not hasattr(os, "SEEK_DATA"):
        return offset
    handle = file.fileno()
    place = os.lseek(handle, 0, os.SEEK_CUR)  # what is buffered goes by it
    try:
        return min(end, os.lseek(handle, offset, os.SEEK_DATA))
    except OSError as error:  # ENXIO: nothing but a hole up to the end; others: it cannot be told
        return end if error.errno == errno.ENXIO else offset
    finally:
        os.lseek(handle, place, os.SEEK_SET)
