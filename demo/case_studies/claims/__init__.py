"""What the thesis claims, as data: each claim with its place, its figure, and how runs are asked about it.

`base` holds the frame and the rule for verdicts, `measures` what is computed from snapshots; one module for
each study lists its claims. Nothing here trains or looks at a network: event files are all it needs.
"""

from demo.case_studies.claims import (
    ablations,
    adversarial,
    fine_tuning,
    lottery_ticket,
    regularizer,
    training,
)
from demo.case_studies.claims.base import Claim, Evidence, Measured, Verdict, judge

CLAIMS: tuple[Claim, ...] = (
    *training.CLAIMS,
    *lottery_ticket.CLAIMS,
    *adversarial.CLAIMS,
    *fine_tuning.CLAIMS,
    *regularizer.CLAIMS,
    *ablations.CLAIMS,
)

__all__ = ["CLAIMS", "Claim", "Evidence", "Measured", "Verdict", "judge"]
