"""Claims of the ablations (thesis appendices B and C)."""

from __future__ import annotations

from demo.case_studies.claims.base import Claim

CLAIMS: tuple[Claim, ...] = ()
