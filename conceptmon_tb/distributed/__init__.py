"""Ranks of a distributed training look at a model together, and fail together (docs/distributed.md).

`find_ranks` gives the ranks of this process: `Ranks` where it is alone, `ProcessRanks` under
`torch.distributed`. `sharing` divides a look at a model among them.
"""

from conceptmon_tb.distributed.finding import Distributed, check_distributed, find_ranks
from conceptmon_tb.distributed.process_ranks import ProcessRanks
from conceptmon_tb.distributed.ranks import RankError, Ranks

__all__ = ["Distributed", "ProcessRanks", "RankError", "Ranks", "check_distributed", "find_ranks"]
