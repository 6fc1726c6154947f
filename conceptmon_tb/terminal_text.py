"""Text of a log or a file on its way to a terminal: it moves no cursor and changes no colour there."""

from __future__ import annotations


def printable(text: str) -> str:
    r"""Return a text with all that a terminal obeys, or cannot be encoded, shown by its number.

    Args:
        text: One or more lines.

    Example:
        >>> printable("red \x1b[31m")
        'red \\x1b[31m'
    """
    return "".join(char if char.isprintable() or char == "\n" else ascii(char)[1:-1] for char in text)
