"""The ranks of a process group: what one of them cannot do fails on all, and none waits in vain.

Ranks meet before anything is shared. Whatever may fail runs in `agree` or `lead`, after which all ranks know
whether it failed somewhere, and raise alike. All data goes by collectives of `torch.distributed`, over a gloo
group of our own that all ranks make at their first meeting: nothing is put among the collectives of the
training, whatever their backend.
"""

from __future__ import annotations

import contextlib
import time
import traceback
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor

from conceptmon_tb.distributed.parcels import pack, unpack
from conceptmon_tb.distributed.ranks import RankError, Ranks
from conceptmon_tb.distributed.rendezvous import MET, decline, list_ranks, meet

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

T = TypeVar("T")

WAIT_SECONDS = 300.0
"""How long a rank waits for the others to come; less than NCCL's own limit of ten minutes."""

RETRY_SECONDS = 10.0
"""How long it waits after having waited in vain before."""

COLLECTIVE_TIMEOUT = timedelta(hours=2)
"""For a rank that works: rank 0 may encode a large probe at first. One that dies is noticed at once."""


class ProcessRanks(Ranks):
    """The ranks of a process group.

    Args:
        parent: Their group, of any backend. It is asked for its members and its store only.
    """

    def __init__(self, parent: ProcessGroup) -> None:
        self.rank, self.size = dist.get_rank(parent), dist.get_world_size(parent)
        self._members = dist.get_process_group_ranks(parent)
        self._is_world = parent is dist.group.WORLD
        self._store = _store_of(parent)
        # torch keeps the group; a reference of ours would make it outlive `destroy_process_group`.
        self._made: weakref.ref[ProcessGroup] | None = None
        self._meetings = self._depth = 0
        self._waited_in_vain = False
        self._lost = ""
        self._settled: BaseException | None = None

    @contextlib.contextmanager
    def meeting(self, call: str) -> Iterator[None]:
        """Wait until all ranks have come; see `Ranks.meeting`."""
        if not self._depth:
            self._meet(call)
        self._depth += 1
        try:
            yield
        except BaseException as error:
            if error is not self._settled and not self._lost:
                self._lost = f"it left a common call half-way with {type(error).__name__}: {error}"
                self._hang_up()
            raise
        finally:
            self._depth -= 1

    def exchange(self, value: T) -> list[T]:
        """Tell and hear; see `Ranks.exchange`."""
        values: list[Any] = [None] * self.size
        with self._in_touch("exchanging messages"):
            dist.all_gather_object(values, value, group=self._group)
        return values

    def agree(self, act: Callable[[], T], doing: str) -> T:
        """Fail together; see `Ranks.agree`."""
        error: Exception | None = None
        value: Any = None
        try:
            value = act()
        except Exception as caught:  # noqa: BLE001  # raised below, on all ranks
            error = caught
        self.settle(error, doing)
        return cast("T", value)  # without an error it is there

    def lead(self, act: Callable[[], T], doing: str, known: Sequence[object] = ()) -> T:
        """Let rank 0 do it; see `Ranks.lead`."""
        error: Exception | None = None
        value: Any = None
        parcel: list[Any] = [None, b""]
        if self.leads:
            try:
                value = act()
                parcel = [None, pack(value, known)]
            except Exception as caught:  # noqa: BLE001  # raised below, on all ranks
                error = caught
                parcel = [_Failure.of(error), b""]
        with self._in_touch(doing):
            dist.broadcast_object_list(parcel, src=self._members[0], group=self._group)
        self.settle(error, doing, [parcel[0], *[None] * (self.size - 1)])
        return cast("T", value if self.leads else unpack(parcel[1], known))

    def compare(self, settings: Mapping[str, object]) -> None:
        """Refuse different settings; see `Ranks.compare`."""
        for name, others in _differences(self.exchange(dict(settings))):
            error = ValueError(
                f"all ranks must look alike, but {name} differs: "
                + ", ".join(f"{value!r} on rank {rank}" for rank, value in others)
            )
            self._settled = error
            raise error

    def settle(
        self, error: Exception | None, doing: str, failures: Sequence[_Failure | None] | None = None
    ) -> None:
        """Go on together or raise together, on the failure that came first: others may follow from it.

        Args:
            error: What failed here, if anything.
            doing: What was done, for messages.
            failures: Of all ranks, where they are known already.

        Raises:
            RankError: A rank failed.
            Exception: `error`, where all ranks failed alike.
        """
        failures = self.exchange(_Failure.of(error)) if failures is None else failures
        failed = {rank: failure for rank, failure in enumerate(failures) if failure is not None}
        if not failed:
            return
        if error is not None and len(failed) == self.size and len({f.text for f in failed.values()}) == 1:
            self._settled = error
            raise error
        first = min(failed, key=lambda rank: failed[rank].when)
        others = [rank for rank in failed if rank != first]
        also = f" ({list_ranks(others)} failed after it)" if others else ""
        self.refuse(f"rank {first} of {self.size} failed while {doing}: {failed[first].text}{also}", error)

    def refuse(self, message: str, cause: BaseException | None = None) -> NoReturn:
        """Raise what every rank raises here.

        Args:
            message: The same on all ranks, but for what a rank says of itself.
            cause: What failed here, if anything.

        Raises:
            RankError: Always.
        """
        self._settled = RankError(message)
        raise self._settled from cause

    def all_reduce(self, values: Tensor, operation: Any) -> Tensor:
        """Combine a tensor over ranks.

        Args:
            values: Of one shape and dtype on all ranks; left as it is.
            operation: Of `torch.distributed.ReduceOp`.

        Returns:
            The same on all ranks, on the device of `values`.
        """
        combined = values.detach().to("cpu", copy=True).contiguous()
        with self._in_touch("adding up"):
            dist.all_reduce(combined, operation, group=self._group)
        return combined.to(values.device)

    def gather_rows(self, rows: Tensor, counts: Sequence[int]) -> Tensor | None:
        """Bring the rows of all ranks together on rank 0, in the order of ranks.

        Args:
            rows: `(counts[rank], ...)` on the CPU, of one width and dtype on all ranks.
            counts: How many rows each rank has.

        Returns:
            `(sum(counts), ...)` on rank 0, None elsewhere.
        """
        padded = rows.new_zeros((max(counts), *rows.shape[1:]))
        padded[: len(rows)] = rows
        sent = padded.view(torch.uint8)  # gloo knows few dtypes
        received = [torch.empty_like(sent) for _ in counts] if self.leads else None
        with self._in_touch("bringing the activations together"):
            dist.gather(sent, received, dst=self._members[0], group=self._group)
        if received is None:
            return None
        parts = [part.view(rows.dtype)[:count] for part, count in zip(received, counts, strict=True)]
        return torch.cat(parts)

    def broadcast(self, values: Tensor) -> Tensor:
        """Hand a tensor of rank 0 to all.

        Args:
            values: On the CPU, of one shape and dtype on all ranks; left as it is.

        Returns:
            That of rank 0.
        """
        received = values.clone()
        with self._in_touch("handing out buffers"):
            dist.broadcast(received, src=self._members[0], group=self._group)
        return received

    def _meet(self, call: str) -> None:
        self._meetings += 1
        if self._lost:
            told = f"rank {self.rank} of {self.size} cannot take part in {call} any more: {self._lost}"
            with self._in_touch("meeting them"):
                told = decline(self._store, self._meetings, told)
            self.refuse(told)
        patience = RETRY_SECONDS if self._waited_in_vain else WAIT_SECONDS
        with self._in_touch("meeting them"):
            decision = meet(self._store, self._meetings, self.rank, self.size, call, patience)
        self._waited_in_vain = decision != MET
        if decision != MET:
            self.refuse(decision)
        if self._made is None:
            with self._in_touch("making a process group"):
                # Among some ranks only, those that are not in it must not be needed.
                group: Any = dist.new_group(
                    self._members,
                    timeout=COLLECTIVE_TIMEOUT,
                    backend="gloo",
                    use_local_synchronization=not self._is_world,
                )
            self._made = weakref.ref(group)

    @property
    def _group(self) -> ProcessGroup | None:
        return self._made() if self._made is not None else None

    def _hang_up(self) -> None:
        """Close our group: ranks that wait for this one in a collective then fail at once."""
        group, self._made = self._group, None
        if group is not None:
            dist.destroy_process_group(group)

    @contextlib.contextmanager
    def _in_touch(self, doing: str) -> Iterator[None]:
        """A collective fails where another process has ended, hung up, or hangs."""
        try:
            yield
        except RuntimeError as error:
            self._lost = f"it lost touch with another rank while {doing}: {error}"
            traceback.clear_frames(error.__traceback__)  # they hold the group
            self._hang_up()
            self.refuse(f"rank {self.rank} of {self.size} failed: {self._lost}", error)


class _Failure(NamedTuple):
    """What another rank needs to know of an error."""

    text: str
    when: float

    @staticmethod
    def of(error: Exception | None) -> _Failure | None:
        return None if error is None else _Failure(f"{type(error).__name__}: {error}", time.time())


def _store_of(group: ProcessGroup) -> Any:
    if hasattr(group, "get_group_store"):
        return group.get_group_store()
    return dist.distributed_c10d._world.pg_map[group][1]  # noqa: SLF001  # older versions of torch


def _differences(
    settings: Sequence[Mapping[str, object]],
) -> Iterator[tuple[str, list[tuple[int, object]]]]:
    """Names of what is not equal on all ranks, with rank 0's value and the first one that is another."""
    for name, value in settings[0].items():
        for rank, other in enumerate(settings):
            if other.get(name) != value:
                yield name, [(0, value), (rank, other.get(name))]
                break
