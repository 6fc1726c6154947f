"""What a JPEG says of itself, read without decoding any of it.

Image pages of a log are handed to browsers as they are. Nothing else than what the writer makes may pass
for one: no other format, and no progressive JPEG, of which a few hundred bytes can keep a decoder busy for
minutes.
"""

from __future__ import annotations

_START, _SCAN = 0xD8, 0xDA
_BASELINE = (0xC0, 0xC1)
_OTHER_FRAMES = (0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF)
_COMPONENTS = (1, 3)
_FRAME_BYTES = 8  # length, precision, height, width, components
_MAX_SEGMENTS = 64


def read_jpeg_size(data: bytes) -> tuple[int, int]:
    """Read the size of a baseline JPEG.

    Args:
        data: The file's bytes; of a long one the first 64 KB will do.

    Returns:
        Width and height in pixels.

    Raises:
        ValueError: It is no JPEG, or not of the kind that the writer makes (baseline, 8 bits, grey or
            colour).

    Source: ITU-T T.81, Annex B.
    """
    if data[:2] != bytes((0xFF, _START)):
        raise ValueError(f"not a JPEG: it starts with {data[:8]!r}")
    place = 2
    for _ in range(_MAX_SEGMENTS):
        while data[place : place + 2] == b"\xff\xff":  # bytes to fill up with are allowed
            place += 1
        head = data[place : place + 4]
        if len(head) < 4 or head[0] != 0xFF:
            break
        marker, length = head[1], int.from_bytes(head[2:], "big")
        if marker in _BASELINE:
            return _read_frame(data[place + 2 : place + 2 + _FRAME_BYTES])
        if marker in _OTHER_FRAMES:
            raise ValueError("not a baseline JPEG")
        if marker == _SCAN or length < 2:
            break
        place += 2 + length
    raise ValueError("not a JPEG: its size is not in its header")


def _read_frame(frame: bytes) -> tuple[int, int]:
    if len(frame) < _FRAME_BYTES:
        raise ValueError("not a JPEG: cut short")
    height, width = int.from_bytes(frame[3:5], "big"), int.from_bytes(frame[5:7], "big")
    if frame[2] != 8 or frame[7] not in _COMPONENTS or not height or not width:
        raise ValueError(f"a JPEG of {width} x {height} with {frame[7]} colours of {frame[2]} bits")
    return width, height
