"""A merge file for open_clip's tokenizer that holds only what the lexicon needs (8 kB instead of 1.4 MB)."""

from __future__ import annotations

import gzip
from pathlib import Path

from open_clip.tokenizer import SimpleTokenizer, get_pairs

from conceptmon_tb.world.lexicon import FILLER_WORDS, KNOWN_WORDS


def write_pruned_merges(path: Path) -> None:
    """Write the merges that the lexicon's words go through, in their original order.

    Args:
        path: The `.txt.gz` file to write, for `SimpleTokenizer(bpe_path=...)`. The same bytes every time.
    """
    full = SimpleTokenizer()
    used: set[tuple[str, str]] = set()
    for phrase in (*KNOWN_WORDS, *FILLER_WORDS):
        for word in phrase.lower().replace("-", " - ").split():
            used |= _merges_of(word, full.bpe_ranks)
    ordered = sorted(used, key=full.bpe_ranks.__getitem__)
    text = "\n".join(["#version: 0.2", *(" ".join(pair) for pair in ordered)])
    path.write_bytes(gzip.compress(text.encode("utf-8"), mtime=0))


def _merges_of(word: str, ranks: dict[tuple[str, str], int]) -> set[tuple[str, str]]:
    """The pairs that byte-pair encoding joins, in turn, while it encodes one word."""
    symbols = [*word[:-1], word[-1] + "</w>"]
    used: set[tuple[str, str]] = set()
    while len(symbols) > 1:
        first, second = min(get_pairs(tuple(symbols)), key=lambda pair: ranks.get(pair, len(ranks)))
        if (first, second) not in ranks:
            break
        used.add((first, second))
        joined: list[str] = []
        for symbol in symbols:
            if joined and joined[-1] == first and symbol == second:
                joined[-1] = first + second
            else:
                joined.append(symbol)
        symbols = joined
    return used
