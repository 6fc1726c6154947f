"""Words on the map: anchors and concepts of a space, and words that a reader typed."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Literal
from weakref import WeakKeyDictionary

import numpy as np

from conceptmon_tb.metadata import Payload
from conceptmon_tb.plugin.encoder_worker import WORLD
from conceptmon_tb.plugin.errors import BadRequestError, NotFoundError
from conceptmon_tb.plugin.live_words import LiveWords, Refusal
from conceptmon_tb.plugin.lookup import text_embeddings
from conceptmon_tb.plugin.suggestions import suggest
from conceptmon_tb.projection import ConceptMap
from conceptmon_tb.snapshot import FloatArray

MAX_WORD_LENGTH = 80

_SAME_PLACE = 0.01

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
    """Finds words.

    Args:
        live: Embeds words that are in no space.
    """

    def __init__(self, live: LiveWords | None = None) -> None:
        self._live = LiveWords() if live is None else live
        self._maps: WeakKeyDictionary[Payload, ConceptMap] = WeakKeyDictionary()

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
        _check_length(name)
        raise NotFoundError(
            f"{name!r} is not a word of the concept space, and was not placed by the route 'anchor' before",
            suggestions=suggest_words(space, name),
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
        embedding = self._live.known(_encoder_of(space)[1], name)
        return None if embedding is None else self._placed(space, name, embedding)

    def place(self, space: Payload, name: str) -> Word | None:
        """Return any word, embedded by the space's encoder where the space does not have it.

        Args:
            space: A payload of kind "space".
            name: Case and spaces around it do not matter.

        Returns:
            None while the encoder is loading: ask again.

        Raises:
            BadRequestError: It is too long.
            NotFoundError: It cannot be placed; with suggestions, and why.
            TooManyRequestsError: Too many new words at once.
        """
        word = self.look_up(space, name)
        if word is not None or not name.strip():
            return word or self.find(space, name)
        _check_length(name)
        encoder, fingerprint = _encoder_of(space)
        found = _unknown_to_the_world(name) if encoder == WORLD else None
        if found is None:
            embedding = self._live.embed(encoder, fingerprint, " ".join(name.split()))
            if not isinstance(embedding, Refusal):
                return None if embedding is None else self._placed(space, name, embedding)
            found = embedding
        raise NotFoundError(
            f"{name!r} is not a word of the concept space, and it cannot be placed: {found.reason}",
            suggestions=suggest_words(space, name, _known_to_the_world() if encoder == WORLD else ()),
            reason=found.reason,
            code=found.code,
        )

    def _placed(self, space: Payload, name: str, embedding: FloatArray) -> Word:
        """Place a typed word by the rule that places neurons."""
        position = self._map(space, embedding).project(embedding[None])[0]
        return Word(" ".join(name.split()), "typed", None, "", embedding, position)

    def _map(self, space: Payload, embedding: FloatArray) -> ConceptMap:
        concept_map = self._maps.get(space)
        if concept_map is None:
            concept_map = self._maps[space] = restore_map(space)
        if embedding.shape != text_embeddings(space)[0].shape[1:]:
            raise NotFoundError("the encoder's embeddings have other dimensions than the concept space")
        return concept_map


def restore_map(space: Payload) -> ConceptMap:
    """Make the map of a space again, from what is logged of it.

    Raises:
        NotFoundError: The space cannot be a map.
    """
    concepts, position = text_embeddings(space)[0], space.arrays["position"]
    try:
        if space.attrs["projection"] == "pca":
            # Its axes are not logged, but they follow from the words.
            fitted = ConceptMap.fit(concepts, method="pca")
            if np.allclose(fitted.position, position, atol=_SAME_PLACE):
                return fitted
        return ConceptMap.from_positions(concepts, position, space.attrs["projection"])
    except ValueError as error:
        raise NotFoundError(f"the concept space cannot place words: {error}") from error


def suggest_words(space: Payload, wanted: str, more: Iterable[str] = ()) -> list[str]:
    """Words of a space, and some more, that look like another one; at most five."""
    known = sorted({str(name) for name in (*space.attrs["words"], *space.attrs["anchors"], *more)})
    return suggest(wanted.strip().casefold(), known, most=5, least=0.5)


def _unknown_to_the_world(name: str) -> Refusal | None:
    # The bundled encoder is confident about anything: what it never saw must not reach it.
    from conceptmon_tb.world.lexicon import is_known

    if is_known(name):
        return None
    return Refusal(
        "vocabulary",
        f"the bundled demo encoder knows some {len(_known_to_the_world())} words of its own small world, and "
        f"this is none of them; a run that is monitored with cm.OpenClipEncoder takes any word",
    )


def _known_to_the_world() -> Collection[str]:
    from conceptmon_tb.world.lexicon import KNOWN_WORDS

    return KNOWN_WORDS


def _encoder_of(space: Payload) -> tuple[str, str]:
    return str(space.attrs["encoder"]), str(space.attrs.get("encoder_fingerprint", ""))


def _check_length(name: str) -> None:
    if len(name) > MAX_WORD_LENGTH:
        raise BadRequestError(f"a word of {len(name)} characters; it may have {MAX_WORD_LENGTH}")
