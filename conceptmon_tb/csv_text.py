"""Text of a log in a table that a spreadsheet will open: it stays text."""

from __future__ import annotations

import re

# What a spreadsheet takes for the beginning of a formula; the tab's own tables have the same rule.
_FORMULA = re.compile("[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")  # the last four: their wide forms
_HALF_LETTERS = re.compile("[\ud800-\udfff]")


def csv_text(text: str) -> str:
    """Return a text as a field of a table that neither runs nor fails to be written.

    Args:
        text: Any text.

    Returns:
        The same, with an apostrophe before what would be a formula, and with U+FFFD for halves of letters,
        which UTF-8 does not know.

    Example:
        >>> csv_text("=1+1")
        "'=1+1"
    """
    whole = _HALF_LETTERS.sub("\ufffd", text)
    return f"'{whole}" if _FORMULA.match(whole) else whole
