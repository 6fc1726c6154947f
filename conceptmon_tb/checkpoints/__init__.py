"""Timelines after the fact: saved checkpoints in, a run with a step for each out.

`files` finds checkpoints, `steps` tells their global steps, `loading` reads them safely, `keys` matches
their weights with a model that `factory` builds; `plan` checks all of them before the first forward pass.
`passes` runs the probe through one after the other, in several processes where it pays; `timeline` scores and
writes in order, and goes on where an earlier call stopped, which `earlier` tells.
"""

from conceptmon_tb.checkpoints.earlier import ConflictError
from conceptmon_tb.checkpoints.files import CheckpointError, find_checkpoints
from conceptmon_tb.checkpoints.passes import WorkerError
from conceptmon_tb.checkpoints.timeline import Backfill, backfill

__all__ = ["Backfill", "CheckpointError", "ConflictError", "WorkerError", "backfill", "find_checkpoints"]
