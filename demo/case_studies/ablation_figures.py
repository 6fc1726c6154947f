"""The ablations' figures."""

from __future__ import annotations

from demo.case_studies.figures import Drawing

DRAWINGS: dict[str, Drawing] = {}
