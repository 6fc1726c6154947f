"""Case study III: adversarial training: `python -m demo.case_studies.adversarial`.

The same network learns from attacked pictures (PGD, l_inf, 8/255) and, as in study I, from plain ones. Both
are attacked with ten steps at the end of each epoch.

Source: Concept-Monitor, thesis section 4.0.2, Fig. 4.3, 4.4 and A.1, appendix A.3.
"""

from __future__ import annotations

import json
from dataclasses import replace

import torch
from torch import nn

import conceptmon_tb as cm
from conceptmon_tb import world
from demo.case_studies.attack import Pgd
from demo.case_studies.bench import Bench, run_study
from demo.case_studies.loop import evaluate

ROBUST, PLAIN = "adversarial/robust", "adversarial/standard"
CLASSES_TAG = "case_study/classes"
ROBUST_ACCURACY = "accuracy/attacked"
_TEST_STEPS = 10
_NEEDS = ("attack_steps", "attacked")


def run(bench: Bench) -> None:
    """Train robust networks with every seed, and attack the standard ones."""
    settings = bench.settings
    train_attack, test_attack = (
        Pgd(bench.task, settings.attack_steps),
        Pgd(bench.task, _TEST_STEPS),
    )

    def attack_now(network: nn.Module, writer: cm.ConceptWriter, epoch: int) -> None:
        if epoch == 0:
            writer.add_text(CLASSES_TAG, json.dumps(words_of_classes(bench)), 0)
        if epoch == settings.epochs:
            streams = torch.get_rng_state()
            _, accuracy = evaluate(network, bench.task, test_attack, settings.attacked)
            torch.set_rng_state(streams)
            writer.add_scalar(ROBUST_ACCURACY, accuracy, epoch)

    for seed in bench.seeds("adversarial"):
        network = bench.standard(seed)
        if not bench.is_done(PLAIN, seed, "epochs", "learning_rate", *_NEEDS):
            with bench.recording(PLAIN, seed, "epochs", "learning_rate", *_NEEDS) as writer:
                attack_now(network, writer, 0)
                attack_now(network, writer, settings.epochs)
                writer.add_scalar("accuracy/val", evaluate(network, bench.task)[1], settings.epochs)
                writer.add_concepts(network, settings.epochs)
        recipe = replace(bench.recipe(), attack=train_attack)
        bench.trained(ROBUST, seed, recipe, *_NEEDS, each_epoch=attack_now)


def words_of_classes(bench: Bench) -> list[str]:
    """The concepts that are target classes, by whatever name: an automobile is a car.

    A class that is no concept of the set cannot be found in any neuron, and is left out.
    """
    concepts = bench.monitor.concepts
    ids = {concepts.find(world.canonical(name) or name) for name in bench.task.pictures.classes}
    return [concepts.words[i] for i in sorted(i for i in ids if i is not None)]


if __name__ == "__main__":
    run_study("adversarial", "Case study III: adversarial training under the monitor.", run)
