"""Case study IV: fine-tuning on another domain: `python -m demo.case_studies.fine_tuning`.

A network that learned objects in scenes gets a fresh head and learns textures and materials, as the thesis
fine-tunes a network of photographs on retinas. Step 0 is the pretrained network.

Source: Concept-Monitor, thesis section 4.0.3, Fig. 4.5, appendix A.4.
"""

from __future__ import annotations

import torch

from demo.case_studies.bench import Bench, run_study
from demo.case_studies.loop import Recipe
from demo.case_studies.networks import replace_head
from demo.case_studies.pictures import make_texture_task

FINE_TUNED = "fine_tuning"
RATE_SHARE = 0.5
"""Of the first training's learning rate."""


def run(bench: Bench) -> None:
    """Fine-tune the standard network of every seed."""
    settings = bench.settings
    task = make_texture_task(settings, bench.task.pictures)
    recipe = Recipe(settings.tune_epochs, settings.batch, RATE_SHARE * settings.learning_rate)
    needs = ("epochs", "learning_rate", "tune_epochs", "texture_data")
    for seed in bench.seeds("fine_tuning"):
        network = bench.standard(seed)
        if bench.is_done(FINE_TUNED, seed, *needs):
            continue
        torch.manual_seed(seed)
        replace_head(network, len(task.pictures.classes))
        network.to(settings.device)
        with bench.recording(FINE_TUNED, seed, *needs) as writer:
            bench.follow(network, task, recipe, writer, f"fine-tuning {seed}")


if __name__ == "__main__":
    run_study("fine_tuning", "Case study IV: fine-tuning on textures under the monitor.", run)
