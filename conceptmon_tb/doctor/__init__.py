"""The doctor: what an event directory holds, what is damaged or stale in it, and a clean copy of it.

`survey` reads the bytes, `judge` knows which of the things in them count, `examine` puts both into words and
`repair` writes what counts anew. The original is never changed. Nothing here imports torch.
"""

from __future__ import annotations

from conceptmon_tb.doctor.examine import examine, total_bytes
from conceptmon_tb.doctor.findings import (
    Examination,
    FileExamination,
    Finding,
    LayerExamination,
    RunExamination,
    SpaceExamination,
)
from conceptmon_tb.doctor.repair import Repair, RepairedRun, check_out, repair

__all__ = [
    "Examination",
    "FileExamination",
    "Finding",
    "LayerExamination",
    "Repair",
    "RepairedRun",
    "RunExamination",
    "SpaceExamination",
    "check_out",
    "examine",
    "repair",
    "total_bytes",
]
