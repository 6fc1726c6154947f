"""Sets of concept words: what neurons may be said to detect.

The order of the words gives concept ids their meaning, so a set is frozen: duplicates and blanks are
dropped once, here, in order and audibly, and never again further on. (Dropping blank lines while encoding
and keeping them while indexing shifts every label by one.)
"""

from __future__ import annotations

import csv
import hashlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Any

logger = logging.getLogger(__name__)

_SHOWN = 5


class ConceptSet:
    """Unique concept words in a fixed order, with optional categories and synonyms.

    Words are stripped of surrounding white space. Blank ones, and repetitions of an earlier word, are
    dropped; a warning says how many, and `dropped` which. Two sets with the same words, categories and
    synonyms are equal, whatever their names.

    Args:
        words: Words in order, or a mapping from category to its words.
        categories: One category for every entry of `words`, "" for none; None for no categories. Not
            together with a mapping.
        synonyms: Other names of some of the words.
        name: What to call the set, for people.

    Attributes:
        words: `(concepts,)` unique words; a concept's id is its place.
        categories: `(concepts,)` categories, "" for none.
        synonyms: Other names by word.
        name: What to call the set.
        dropped: What was dropped as a blank or a repetition, in order.

    Raises:
        TypeError: An entry is not a string; the message says which.
        ValueError: No word is left, `categories` has the wrong length, or `synonyms` names a word that is
            not in the set.

    Example:
        >>> concepts = ConceptSet({"texture": ["striped", "dotted"], "object": ["dog"]})
        >>> concepts.words, concepts.categories
        (('striped', 'dotted', 'dog'), ('texture', 'texture', 'object'))
        >>> concepts.index("dog")
        2
    """

    words: tuple[str, ...]
    categories: tuple[str, ...]
    synonyms: Mapping[str, tuple[str, ...]]
    name: str
    dropped: tuple[str, ...]

    def __init__(
        self,
        words: Sequence[str] | Mapping[str, Sequence[str]],
        categories: Sequence[str] | None = None,
        synonyms: Mapping[str, Sequence[str]] | None = None,
        name: str = "custom",
    ) -> None:
        entries = _pair_with_categories(words, categories)
        kept: dict[str, str] = {}
        dropped = []
        for word, category in entries:
            if not word or word in kept:
                dropped.append(word)
            else:
                kept[word] = category
        if not kept:
            raise ValueError(f"words holds no concept ({len(entries)} entries, all blank); give at least one")
        self._freeze(
            words=tuple(kept),
            categories=tuple(kept.values()),
            synonyms=MappingProxyType({word: tuple(names) for word, names in (synonyms or {}).items()}),
            name=name,
            dropped=tuple(dropped),
        )
        unknown = [word for word in self.synonyms if word not in self]
        if unknown:
            raise ValueError(
                f"synonyms names {unknown[0]!r}, which is not among the words; add it or remove it"
            )
        _warn_of_dropped(name, self.dropped)

    @classmethod
    def broden(cls) -> ConceptSet:
        """The labels of the Broden data set as CLIP-Dissect publishes them: 1,153 unique words.

        The published list has 1,197 lines, 44 of which repeat an earlier one. Spelling is the published
        one ("red-c" is the color red). About half of the words have a
        category (color, material, object, part, scene, texture); the others have none.

        Returns:
            The set named "broden".

        Source: Network Dissection (Bau et al., CVPR 2017), labels as listed by CLIP-Dissect (Oikarinen &
            Weng, ICLR 2023); used as S and A in Concept-Monitor, thesis section 2.1.3.
        """
        table = resources.files("conceptmon_tb").joinpath("data/broden.csv").read_text(encoding="utf-8")
        words, categories = _parse_csv(table, "broden.csv")
        return cls(words, categories, name="broden")

    @classmethod
    def world(cls) -> ConceptSet:
        """The words of the bundled picture world, which the bundled encoder knows.

        Returns:
            The set named "world".
        """
        from conceptmon_tb import world  # only its users pay for the picture world

        return cls(world.CATEGORIES, name="world")

    @classmethod
    def from_file(cls, path: str | Path) -> ConceptSet:
        """Read a concept set from a text or CSV file.

        Args:
            path: A `.txt` file with one word per line, or a `.csv` file with the header `concept` or
                `concept,category`. Encoded as UTF-8.

        Returns:
            The set, named after the file.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: The file is neither, has another header, or holds no word.
        """
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"path: no concept file at {str(path)!r}; give a .txt or .csv file")
        kind = path.suffix.lower()
        if kind not in {".txt", ".csv"}:
            raise ValueError(f"path must end in .txt or .csv, got {str(path)!r}")
        text = path.read_text(encoding="utf-8-sig")
        if kind == ".txt":
            return cls(text.splitlines(), name=path.stem)
        words, categories = _parse_csv(text, str(path))
        return cls(words, categories, name=path.stem)

    @cached_property
    def category_names(self) -> tuple[str, ...]:
        """Categories in order of first appearance, without ""."""
        return tuple(dict.fromkeys(category for category in self.categories if category))

    @cached_property
    def fingerprint(self) -> str:
        """Hex digest (16 characters) of words, categories and synonyms."""
        content = (self.words, self.categories, sorted(self.synonyms.items()))
        return hashlib.sha256(repr(content).encode("utf-8", "surrogatepass")).hexdigest()[:16]

    def index(self, word: str) -> int:
        """The id of a word.

        Args:
            word: One of `words`.

        Returns:
            Its place in `words`.

        Raises:
            KeyError: The word is not in the set.
        """
        try:
            return self._ids[word]
        except KeyError:
            raise KeyError(
                f"word {word!r} is not in concept set {self.name!r} of {len(self)} words"
            ) from None

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: object) -> bool:
        return word in self._ids

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ConceptSet):
            return NotImplemented
        return self.fingerprint == other.fingerprint

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def __repr__(self) -> str:
        return f"ConceptSet(name={self.name!r}, {len(self)} words, {len(self.category_names)} categories)"

    def __setattr__(self, attribute: str, value: object) -> None:
        raise AttributeError(f"a ConceptSet is frozen; make a new one instead of setting {attribute!r}")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.words, self.categories, dict(self.synonyms), self.name)

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {word: place for place, word in enumerate(self.words)}

    def _freeze(self, **values: object) -> None:
        self.__dict__.update(values)


def _pair_with_categories(
    words: Sequence[str] | Mapping[str, Sequence[str]], categories: Sequence[str] | None
) -> list[tuple[str, str]]:
    """Every entry with its category, both checked and stripped."""
    if isinstance(words, str):
        raise TypeError(f"words must be a list of strings, got the single string {words!r}; put it in a list")
    if isinstance(words, Mapping):
        if categories is not None:
            raise ValueError("categories is given twice: by the keys of words and by categories; drop one")
        return [
            pair
            for category, members in words.items()
            for pair in _pair_with_categories(members, [category] * len(members))
        ]
    if isinstance(words, (set, frozenset)) or not isinstance(words, Iterable):
        raise TypeError(
            f"words must be a list of strings, or a mapping from category to such lists, got "
            f"{type(words).__name__}; a concept's id is its place, so give the words in an order"
        )
    words = list(words)
    if categories is None:
        categories = [""] * len(words)
    if isinstance(categories, str) or len(categories) != len(words):
        raise ValueError(
            f"categories must have one entry for each of the {len(words)} words, got {categories!r:.80}"
        )
    return [
        (_check_string("words", place, word), _check_string("categories", place, category))
        for place, (word, category) in enumerate(zip(words, categories, strict=True))
    ]


def _check_string(argument: str, place: int, value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{argument}[{place}] must be a string, got {value!r} ({type(value).__name__})")
    return value.strip()


def _parse_csv(text: str, source: str) -> tuple[list[str], list[str]]:
    rows = csv.DictReader(text.splitlines())
    header = [column.strip() for column in rows.fieldnames or ()]
    if "concept" not in header:
        raise ValueError(f'{source} must start with the header "concept,category", got {header}')
    rows.fieldnames = header
    entries = [(row["concept"] or "", row.get("category") or "") for row in rows]
    return [word for word, _ in entries], [category for _, category in entries]


def _warn_of_dropped(name: str, dropped: tuple[str, ...]) -> None:
    if dropped:
        first = ", ".join(repr(word) for word in dropped[:_SHOWN])
        more = ", ..." if len(dropped) > _SHOWN else ""
        logger.warning(
            "Concept set %r: dropped %d duplicate or blank entries (%s%s).", name, len(dropped), first, more
        )
