"""Where in the loop a warning belongs: at the line that called this package, not inside it."""

from __future__ import annotations

import sys
from pathlib import Path

_PACKAGE = Path(__file__).parent


def level_outside() -> int:
    """The stack level, seen from the caller, of the loop's own line: the first one outside this package.

    Returns:
        For `warnings.warn(..., stacklevel=)`.
    """
    frame, level = sys._getframe(1), 1  # noqa: SLF001 (warnings knows no other way before Python 3.12)
    while frame.f_back is not None and _PACKAGE in Path(frame.f_code.co_filename).parents:
        frame, level = frame.f_back, level + 1
    return level
