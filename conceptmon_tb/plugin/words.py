"""Words on the map: anchors and concepts of a space, and words that a reader typed."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Literal

from conceptmon_tb.metadata import Payload
from conceptmon_tb.plugin.errors import BadRequestError, NotFoundError
from conceptmon_tb.plugin.lookup import text_embeddings
from conceptmon_tb.snapshot import FloatArray

MAX_WORD_LENGTH = 80

Kind = Literal["anchor", "concept", "typed"]


@dataclass(frozen=True, eq=False)
class Word:
    """A word whose embedding is known.

    Attributes:
        name: As the space spells it, or as it was typed.
        kind: Where it is from.
        index: Its number among anchors or concepts; None for a typed one.
        category: A concept's category, else "".
        embedding: `(dim,)` float32, unit length: f(a_i) of Eq. 2.2.
        position: Place on the map.
    """

    name: str
    kind: Kind
    index: int | None
    category: str
    embedding: FloatArray
    position: FloatArray


class Words:
    """Finds words."""

    def find(self, space: Payload, name: str) -> Word:
        """Return a word of a space, or one that was typed before.

        Args:
            space: A payload of kind "space".
            name: Case and spaces around it do not matter.

        Raises:
            BadRequestError: It is too long.
            NotFoundError: It is not known; with suggestions.
        """
        word = self.look_up(space, name)
        if word is not None:
            return word
        if len(name) > MAX_WORD_LENGTH:
            raise BadRequestError(f"a word of {len(name)} characters; it may have {MAX_WORD_LENGTH}")
        raise NotFoundError(
            f"{name!r} is not a word of the concept space", suggestions=suggest_words(space, name)
        )

    def look_up(self, space: Payload, name: str) -> Word | None:
        """Return a word of a space, or one that was typed before; None where it is neither."""
        wanted = name.strip().casefold()
        concepts, anchors = text_embeddings(space)
        attrs, arrays = space.attrs, space.arrays
        for index, anchor in enumerate(attrs["anchors"]):
            if str(anchor).casefold() == wanted:
                position = arrays["anchor_position"][index]
                return Word(str(anchor), "anchor", index, "", anchors[index], position)
        for index, concept in enumerate(attrs["words"]):
            if str(concept).casefold() == wanted:
                category, position = str(attrs["categories"][index]), arrays["position"][index]
                return Word(str(concept), "concept", index, category, concepts[index], position)
        return None


def suggest_words(space: Payload, wanted: str) -> list[str]:
    """Words of a space that look like another one, at most five."""
    known = sorted({str(name) for name in (*space.attrs["words"], *space.attrs["anchors"])})
    return difflib.get_close_matches(wanted.strip().casefold(), known, n=5, cutoff=0.5)
