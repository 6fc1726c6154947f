"""Case study I: standard and poor training: `python -m demo.case_studies.training`.

Networks are trained well, and with a fixed high learning rate. The thesis claims that concepts become more
complex over epochs and depth, that diversity comes early, and that a poorly trained network stays less
diverse, which d_anchor tells.

Source: Concept-Monitor, thesis section 2.3, Fig. 2.1 and 2.2, appendix A.1.
"""

from __future__ import annotations

from dataclasses import replace

from demo.case_studies.bench import Bench, run_study


def run(bench: Bench) -> None:
    """Train both kinds with every seed."""
    poor = replace(bench.recipe(), learning_rate=bench.settings.poor_rate, schedule=False)
    for seed in bench.seeds("training"):
        bench.standard(seed)
        bench.trained("poor", seed, poor, "poor_rate")


if __name__ == "__main__":
    run_study("training", "Case study I: standard and poor training under the monitor.", run)
