"""Case study II: the lottery ticket hypothesis: `python -m demo.case_studies.lottery_ticket`.

A network is trained, its smallest weights are zeroed, the others go back to where they began, and so on. Each
stage is looked at three times: rewound (pruned and untrained, Fig. 4.1), trained, and with masks of the same
sparsity by chance, which tells what sparsity alone does. The step is the stage; stage 0 is unpruned.

Source: Concept-Monitor, thesis section 4.0.1, Fig. 4.1 and 4.2, appendix A.2.
"""

from __future__ import annotations

from contextlib import ExitStack
from copy import deepcopy

import torch
from torch import nn

import conceptmon_tb as cm
from demo.case_studies.bench import Bench, run_study
from demo.case_studies.loop import Recipe, evaluate, fit
from demo.case_studies.pruning import prune_at_random, prune_smallest, rewind, sparsity

REWOUND, TRAINED, RANDOM = (f"lottery_ticket/{name}" for name in ("rewound", "trained", "random"))
_NEEDS = ("stages", "stage_epochs", "learning_rate")


def run(bench: Bench) -> None:
    """Prune with every seed."""
    for seed in bench.seeds("lottery_ticket"):
        if all(bench.is_done(variant, seed, *_NEEDS) for variant in (REWOUND, TRAINED, RANDOM)):
            continue
        with ExitStack() as stack:
            writers = [
                stack.enter_context(bench.recording(variant, seed, *_NEEDS))
                for variant in (RANDOM, TRAINED, REWOUND)
            ]
            prune_iteratively(bench, seed, *writers)


def prune_iteratively(
    bench: Bench,
    seed: int,
    random_writer: cm.ConceptWriter,
    trained_writer: cm.ConceptWriter,
    rewound_writer: cm.ConceptWriter,
) -> None:
    """Iterative magnitude pruning with rewinding to initialisation.

    Args:
        bench: Where.
        seed: Of weights, batches and chance masks.
        random_writer: Logs the initial network with masks by chance.
        trained_writer: Logs the trained network of each stage.
        rewound_writer: Logs the rewound, pruned, untrained network of each stage.
    """
    settings = bench.settings
    recipe = Recipe(settings.stage_epochs, settings.batch, settings.learning_rate)
    # torch.nn.utils.prune flattens weights, which a channels-last layout does not allow.
    network = bench.network(seed)
    network.to(memory_format=torch.contiguous_format)
    untouched = deepcopy(network)
    initial = deepcopy(network.state_dict())
    for stage in range(settings.stages + 1):
        rewound_writer.add_scalar("sparsity", sparsity(network), stage)
        rewound_writer.add_concepts(network, stage)
        by_chance = deepcopy(untouched)
        prune_at_random(by_chance, network, seed=1000 * seed + stage)
        random_writer.add_scalar("sparsity", sparsity(by_chance), stage)
        random_writer.add_concepts(by_chance, stage)
        train_stage(bench, network, recipe, trained_writer, f"pruning {seed}, stage {stage}", stage)
        prune_smallest(network)
        rewind(network, initial)


def train_stage(
    bench: Bench, network: nn.Module, recipe: Recipe, writer: cm.ConceptWriter, name: str, stage: int
) -> None:
    """Train a pruned network from its first weights and log how well it does."""
    scalars: dict[str, float] = {}
    for epoch in fit(network, bench.task, recipe, name=name, progress=bench.settings.progress):
        scalars = epoch.scalars
    loss, accuracy = evaluate(network, bench.task)
    scalars |= {"loss/val": loss, "accuracy/val": accuracy, "sparsity": sparsity(network)}
    for tag, value in scalars.items():
        writer.add_scalar(tag, value, stage)
    writer.add_concepts(network, stage)


if __name__ == "__main__":
    run_study("lottery_ticket", "Case study II: iterative magnitude pruning under the monitor.", run)
