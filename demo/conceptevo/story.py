"""ConceptEvo on the picture world: `python -m demo.conceptevo`, or `make demo ARGS="--story conceptevo"`.

Trains a VGG-like, a ResNet-like and a ConvNeXt-like network, sees all epochs of all of them in one semantic
space that the first makes, trains the first once more with a rate that becomes far too high, and tells what
was measured. The runs can be laid over each other in the tab.

Source: ConceptEvo, dissertation chapter 7.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import get_args

import conceptmon_tb as cm
from conceptmon_tb.evolution_records import Evolution
from conceptmon_tb.projection import Method
from conceptmon_tb.reader import Run
from demo.conceptevo.claims import Claim, alignment_claims
from demo.conceptevo.diversity import diversity_claims
from demo.conceptevo.measured import Measures
from demo.conceptevo.networks import BASE, KINDS
from demo.conceptevo.runs import Options, Runs, StoryError

MOST_TOLD = 3
"""Classes of which the most important evolution is told."""

_HELP = {
    "logdir": "where runs, networks and the space go",
    "images": "training pictures",
    "probe_images": "pictures that networks are looked at with",
    "epochs": "of each training, two at least",
    "width": "channels of the first stage",
    "batch": "pictures of a step",
    "too_high": "times its own rate that the base network collapses with",
    "class_images": "pictures of each class that importance is measured on",
    "layout": "of the map; pca is quicker and worse",
    "seed": "of everything random",
    "training_seeds": "trainings of each network, for what entropy does; more than one takes long",
    "seeds": "of the embedding, for which alignment is measured",
    "repeats": "of the revert test",
}
QUICK = {
    "images": 256, "probe_images": 200, "epochs": 3, "width": 8, "batch": 32, "class_images": 8,
    "layout": "pca", "seeds": 2, "repeats": 2,
}  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> Path:
    """Runs the story from the command line.

    Returns:
        The log directory.
    """
    parser = make_parser("python -m demo.conceptevo", "Three kinds of network in one semantic space.")
    options = read_options(parser, arguments)
    started = time.perf_counter()
    try:
        runs, measures = make_story(options)
    except (OSError, StoryError) as error:
        sys.exit(f"demo.conceptevo: {error}")
    tell_story(runs, measures)
    print(f"\nDone in {time.perf_counter() - started:.0f} s.")
    print(f"To see the runs: tensorboard --logdir {options.logdir}")
    print("In the tab, lay the runs " + ", ".join(KINDS) + " over each other (Compare).")
    print(f"To measure more, and write it down: python -m demo.conceptevo.report --logdir {options.logdir}")
    return options.logdir


def make_parser(program: str, purpose: str) -> argparse.ArgumentParser:
    """The options of the story; what is not given is as `Options` says, or small with `--quick`."""
    parser = argparse.ArgumentParser(prog=program, description=purpose)
    for each in fields(Options):
        if each.name in _HELP:
            kind = {"layout": str, "logdir": Path}.get(each.name, type(each.default))
            parser.add_argument(
                f"--{each.name.replace('_', '-')}",
                type=kind,
                choices=get_args(Method) if each.name == "layout" else None,
                help=f"{_HELP[each.name]} (default: {each.default})",
            )
    parser.add_argument("--quick", action="store_true", help="so small that it means nothing: to try it out")
    parser.add_argument("--quiet", action="store_true", help="no progress bars")
    return parser


def read_options(parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> Options:
    """Options from the command line."""
    given = vars(parser.parse_args(arguments))
    known = {each.name for each in fields(Options)}
    chosen = {name: value for name, value in given.items() if name in known and value is not None}
    options = Options(**{**(QUICK if given["quick"] else {}), **chosen, "progress": not given["quiet"]})
    counts = ("images", "probe_images", "width", "batch", "class_images")
    for name in (*counts, "training_seeds", "seeds", "repeats"):
        if getattr(options, name) < 1:
            parser.error(f"--{name.replace('_', '-')} must be at least 1, not {getattr(options, name)}")
    if options.epochs < 2:
        parser.error(f"--epochs must be at least 2, not {options.epochs}: evolution takes two of them")
    return options


def make_story(options: Options) -> tuple[Runs, Measures]:
    """Train, make the space, and log; what is finished is not made again."""
    runs = Runs(options)
    for name in runs.names:
        runs.trained(name)
    for name in runs.names:
        runs.log(name)
    return runs, Measures(runs, options.seeds, options.repeats)


def tell_story(runs: Runs, measures: Measures) -> None:
    """Says on the terminal what was made and measured."""
    logged = read_logs(runs)
    alignment = measures.alignment
    print(f"\nThree kinds of network in one semantic space, that of the {KINDS[BASE].title} one")
    for name, kind in KINDS.items():
        print(f"  {kind.title:<14} {describe(logged[name], alignment['detected'][name])}")
    print("\nWhat the dissertation (chapter 7) claims, and what these runs measured")
    for claim in (*alignment_claims(alignment), *diversity_claims(logged, runs.healthy_epochs)):
        print_claim(claim)
    tell_evolutions(logged[BASE])


def read_logs(runs: Runs) -> dict[str, Run]:
    """The logs of all runs."""
    return {name: cm.read_run(runs.options.logdir / name) for name in runs.names}


def describe(run: Run, detected: Sequence[str]) -> str:
    """A network at its last epoch, in one line."""
    step = run.steps[-1]
    placed = sum(int(by_step[step].valid.sum()) for by_step in run.snapshots.values())
    words = [word for word in detected if word]
    return (
        f"{run.training[step]['accuracy/val']:4.0%} of held-out pictures right; {placed} of {len(detected)} "
        f"neurons have a place; {len(words)} detect one of {len(set(words))} concepts clearly"
    )


def print_claim(claim: Claim) -> None:
    """One claim, its verdict and its figures."""
    print(f"\n  {claim.verdict.value.upper() if claim.verdict.name == 'FAILS' else claim.verdict.value}")
    print(f"    {claim.text}\n    {claim.measured.text}.")


def tell_evolutions(run: Run) -> None:
    """The evolutions that matter most to a few classes."""
    if not run.evolutions:
        return
    table = run.evolutions[0]
    print(f"\nThe base network's evolutions from epoch {table.from_step} to {table.to_step} that matter most")
    best = [table.ranked(name, most=1)[0] for name in table.classes]
    for evolution in sorted(best, key=lambda e: (-e.score, -e.sensitivity))[:MOST_TOLD]:
        print(f"  {tell_evolution(run, evolution)}")


def tell_evolution(run: Run, evolution: Evolution) -> str:
    """One evolution: which neuron, from where to where, and to how many pictures it matters."""
    before, after = (
        run.snapshots[evolution.layer][step].words[evolution.neuron] or "no place"
        for step in (evolution.from_step, evolution.to_step)
    )
    way = f"stays in {after}" if before == after else f"moves from {before} to {after}"
    return (
        f"{evolution.class_name}: neuron {evolution.neuron} of {evolution.layer} {way}; that raises the "
        f"logit of {evolution.score:.0%} of the class's pictures"
    )
