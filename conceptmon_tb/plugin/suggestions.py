"""What a reader may have meant: names of a log that look like one that is not there."""

from __future__ import annotations

import time
from collections.abc import Iterable
from difflib import SequenceMatcher
from heapq import nlargest

MAX_SECONDS = 0.2
"""For so long names are looked at: those of a stranger's log can be a million, each slow to compare."""

_MAX_LENGTH = 80


def suggest(wanted: str, names: Iterable[str], most: int = 3, least: float = 0.6) -> list[str]:
    """Names that look like another one, the most alike first.

    Args:
        wanted: Any text; its first 80 letters count.
        names: Any texts; those that there is no time for are left out.
        most: At most so many.
        least: Similarity that is needed, 0 to 1.
    """
    deadline = time.monotonic() + MAX_SECONDS
    start = wanted[:_MAX_LENGTH]
    matcher = SequenceMatcher(b=start)
    found = []
    for name in names:
        # The measure is twice what two texts share, of all their letters: these share too little.
        if 2 * min(len(start), len(name)) < least * (len(start) + len(name)):
            continue
        matcher.set_seq1(name)
        if matcher.quick_ratio() >= least and (ratio := matcher.ratio()) >= least:
            found.append((ratio, name))
        if time.monotonic() > deadline:
            break
    return [name for _, name in nlargest(most, found)]
