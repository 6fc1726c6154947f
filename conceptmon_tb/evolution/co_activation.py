"""Who is excited by the same: pairs of co-activated neurons, by shuffled sliding windows (Step 1.2).

Members are neurons and groups are images, each with the neurons that it excites. For images that the base
model's stimuli do not cover, the roles are exchanged: members are images and groups are neurons.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import numpy.typing as npt

from conceptmon_tb.snapshot import BoolArray, IntArray

_FEWEST_RANDOM_BITS = 16


class CoActivation:
    """Which members share groups.

    Args:
        groups: `(members, k)` integer ids of the groups that each member belongs to, none twice, -1 for none.
            A neuron's are the images of its stimuli.

    Raises:
        ValueError: `groups` is not a matrix of ids, or too large for 63-bit keys.

    Attributes:
        num_members: Number of members, in groups or not.

    Example:
        >>> together = CoActivation(np.array([[7, 3], [7, -1], [5, -1]]))
        >>> sorted(together.sample_pairs(np.random.default_rng(0))[0].tolist())
        [0, 1]
        >>> together.has_partner.tolist()
        [True, True, False]
    """

    def __init__(self, groups: npt.NDArray[np.integer]) -> None:
        groups = np.asarray(groups)
        if groups.ndim != 2 or groups.dtype.kind not in "iu":
            raise ValueError(
                f"groups must be a matrix of integer ids, one row per member, got {groups.dtype} of shape "
                f"{groups.shape}"
            )
        self.num_members = len(groups)
        member, place = np.nonzero(groups >= 0)
        order = np.argsort(groups[member, place], kind="stable")
        self._member: IntArray = member[order].astype(np.int32)
        self._group = groups[member, place][order].astype(np.int64)
        index_bits = max(1, len(order).bit_length())
        group_bits = max(1, int(self._group.max(initial=0)).bit_length())
        random_bits = 63 - index_bits - group_bits
        if random_bits < _FEWEST_RANDOM_BITS:
            raise ValueError(f"groups has {len(order)} entries with ids up to {self._group.max()}: too many")
        self._random_bits, self._index_bits = min(random_bits, 32), index_bits

    @property
    def num_windows(self) -> int:
        """Pairs that one pass gives."""
        return int((self._group[1:] == self._group[:-1]).sum())

    @cached_property
    def has_partner(self) -> BoolArray:
        """`(members,)` bool, whether a member shares a group with another one."""
        shared = self._group[1:] == self._group[:-1]
        found = np.zeros(self.num_members, dtype=bool)
        found[self._member[1:][shared]] = True
        found[self._member[:-1][shared]] = True
        return found

    def sample_pairs(self, random: np.random.Generator) -> IntArray:
        """Pair members once: each group in random order, cut by a sliding window of two.

        Args:
            random: Source of randomness.

        Returns:
            `(pairs, 2)` int32 members, group by group in the order of their ids; the more groups two
            members share, the more often they are paired.

        Source: ConceptEvo, dissertation section 7.2.2, Step 1.2, and Algorithm 4.
        """
        # Group, random number and place in one integer: a sort shuffles within groups.
        count = len(self._group)
        draw = random.integers(0, 1 << self._random_bits, count, dtype=np.int64)
        keys = (self._group << (self._random_bits + self._index_bits)) | (draw << self._index_bits)
        keys |= np.arange(count)
        keys.sort()
        shuffled = self._member[keys & ((1 << self._index_bits) - 1)]
        inside = self._group[1:] == self._group[:-1]
        pairs: IntArray = np.stack([shuffled[:-1][inside], shuffled[1:][inside]], axis=1)
        return pairs

    def reached_from(self, known: BoolArray) -> BoolArray:
        """Members that are connected to known ones, over any number of shared groups.

        Args:
            known: `(members,)` bool.

        Returns:
            `(members,)` bool, the known ones among them.
        """
        reached: BoolArray = known.copy()
        _, group = np.unique(self._group, return_inverse=True)
        lit = np.zeros(group.max(initial=-1) + 1, dtype=bool)
        while True:
            lit[group[reached[self._member]]] = True
            now: BoolArray = reached.copy()
            now[self._member[lit[group]]] = True
            if (now == reached).all():
                return reached
            reached = now
