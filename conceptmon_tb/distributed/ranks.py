"""What ranks do together, and what it is for a process that is alone."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

T = TypeVar("T")


class RankError(RuntimeError):
    """A rank failed, or did not come. It is raised on every rank that takes part, and names that rank."""


class Ranks:
    """One process alone: everything is done here and now. `ProcessRanks` is the same among many.

    Attributes:
        rank: Number of this process.
        size: How many processes take part.
    """

    rank = 0
    size = 1

    @property
    def leads(self) -> bool:
        """Whether this is rank 0, which scores and writes."""
        return self.rank == 0

    @contextlib.contextmanager
    def meeting(self, call: str) -> Iterator[None]:  # noqa: ARG002  # nobody to wait for
        """Wait until all ranks have come, and do what follows together.

        A meeting inside a meeting is part of it.

        Args:
            call: What every rank must have called, for messages.

        Raises:
            RankError: A rank did not come in time.
        """
        yield

    def exchange(self, value: T) -> list[T]:
        """Tell all ranks something small and hear what they tell.

        Args:
            value: Anything that can be pickled.

        Returns:
            The values of all ranks, in their order.
        """
        return [value]

    def agree(self, act: Callable[[], T], doing: str) -> T:  # noqa: ARG002
        """Do something on every rank; where one fails, all fail.

        Args:
            act: What to do, without collectives.
            doing: What that is, for messages.

        Returns:
            This rank's own result.

        Raises:
            RankError: A rank failed; the message names it, and what it raised.
            Exception: What `act` raised, where all ranks raised the same.
        """
        return act()

    def lead(self, act: Callable[[], T], doing: str, known: Sequence[object] = ()) -> T:  # noqa: ARG002
        """Do something on rank 0 and tell all ranks the result; where it fails, all fail.

        Args:
            act: What to do, without collectives; its result can be pickled.
            doing: What that is, for messages.
            known: Parts of the result that all ranks have already, in the same order: they are not sent.

        Returns:
            The result of rank 0.

        Raises:
            RankError: Rank 0 failed.
        """
        return act()

    def compare(self, settings: Mapping[str, object]) -> None:
        """Refuse ranks that do not want the same.

        Args:
            settings: What must be equal on all ranks, by name.

        Raises:
            ValueError: Something is not; raised on every rank.
        """
