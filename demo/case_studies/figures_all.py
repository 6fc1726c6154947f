"""All figures of the report, by name: those of a study begin with the name of its module."""

from demo.case_studies import ablation_figures, figures
from demo.case_studies.figures import Drawing, draw_to_file

DRAWINGS: dict[str, Drawing] = {**figures.DRAWINGS, **ablation_figures.DRAWINGS}

__all__ = ["DRAWINGS", "draw_to_file"]
