"""The time line of a training that is over: one call from saved checkpoints to a run."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import nn
from tqdm.auto import tqdm

from conceptmon_tb.activations import collect_activations
from conceptmon_tb.checkpoints.earlier import (
    ConflictError,
    Settings,
    describe_settings,
    read_earlier,
    select_new,
    write_checkpoint,
    write_settings,
)
from conceptmon_tb.checkpoints.factory import ModelSource, build_model
from conceptmon_tb.checkpoints.passes import Recipe, Runner, collect_in_order
from conceptmon_tb.checkpoints.plan import Checkpoint, Plan, PlanOptions, make_plan
from conceptmon_tb.checkpoints.steps import StepSource
from conceptmon_tb.monitor import ConceptMonitor
from conceptmon_tb.named_layers import find_layers
from conceptmon_tb.training_state import unwrap_model
from conceptmon_tb.writer import ConceptWriter, add_concepts

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Backfill:
    """What a backfill did, or with `dry_run` would do.

    Attributes:
        checkpoints: All that belong to the time line, by step.
        written: Steps that were written now.
        skipped: Steps that the run had already.
        notes: What a user should know, one sentence each.
    """

    checkpoints: tuple[Checkpoint, ...]
    written: tuple[int, ...]
    skipped: tuple[int, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Prepared:
    """A backfill whose input was found to be right.

    Attributes:
        plan: All checkpoints.
        new: Those whose steps are still to be made, by step.
        before: The one that the next step's displacement is measured from, if the run has any.
        skipped: Steps that the run has already.
        notes: What a user should know, one sentence each.
        settings: What all steps have in common.
        settings_are_new: Whether they are still to be written.
        recipe: How models are built.
        runner: This process's model.
        logdir: The run's folder.
    """

    plan: Plan
    new: tuple[Checkpoint, ...]
    before: tuple[Checkpoint, ...]
    skipped: tuple[int, ...]
    notes: tuple[str, ...]
    settings: Settings
    settings_are_new: bool
    recipe: Recipe
    runner: Runner
    logdir: Path


def backfill(
    checkpoints: str | Path | Sequence[str | Path],
    model: ModelSource,
    monitor: ConceptMonitor,
    logdir: str | Path,
    *,
    model_args: Mapping[str, Any] | None = None,
    step_from: StepSource = "auto",
    step_pattern: str | None = None,
    state_key: str | None = None,
    prefix: str | None = None,
    ignore_keys: Sequence[str] = (),
    allow_classes: Sequence[str] = (),
    every: int = 1,
    skip_damaged: bool = False,
    device: str = "cpu",
    workers: int | None = 1,
    dry_run: bool = False,
) -> Backfill:
    """Make the whole time line of a training from its saved checkpoints.

    The snapshots are those that `ConceptWriter.add_concepts` would have logged. All checkpoints are checked
    against the model first; only names and shapes are read for that. A call that was interrupted is
    continued by the same call: steps that the run has are skipped. Nothing in a checkpoint is executed.

    Args:
        checkpoints: Files, folders or patterns such as "ckpt/*.pt"; see `find_checkpoints`.
        model: "package.module:factory" or "file.py:factory", a function, a class, or a module (a copy of
            which is used).
        monitor: What looks at the models.
        logdir: The run's own folder.
        model_args: Keyword arguments of the factory.
        step_from: The number in a checkpoint's name (or of its own entry) that is the global step: after
            "step", after "epoch", or the last "number"; "auto" takes the first of these that all tell.
        step_pattern: A regular expression whose first group is the step instead; searched in the path.
        state_key: Entry of the checkpoints that holds the weights; None finds it.
        prefix: What stands before the model's names of weights; None finds it.
        ignore_keys: Patterns of names of weights that need not fit, such as "head.*".
        allow_classes: Classes that may be made from pickled checkpoints, as "module.Class"; think before you
            trust a file. By default weights only.
        every: Take every so manieth checkpoint only.
        skip_damaged: Leave out checkpoints that cannot be read, instead of refusing them all.
        device: Where the models run; "cuda" with several workers uses all GPUs.
        workers: Processes for the forward passes; None takes more than this one where it pays. More than one
            needs a model, probe set and transform that can be pickled, and in a script the call under
            `if __name__ == "__main__":`.
        dry_run: Check everything and write nothing.

    Returns:
        What was done.

    Raises:
        CheckpointError: A checkpoint cannot be used; the message names it and the mend.
        ConflictError: The run holds something that cannot be continued.
        FileNotFoundError: There are no checkpoints.
        OSError: The run's folder cannot be written to.
        ValueError: Another argument is wrong.
        WorkerError: A further process died; what was written stays.

    Source: Concept-Monitor, thesis section 2.1; issue "In every training loop".

    Example:
        >>> backfill(
        ...     "ckpt/*.pt", "models:resnet", monitor, "runs/resnet"
        ... )  # doctest: +SKIP
    """
    prepared = prepare_backfill(
        checkpoints,
        model,
        monitor,
        logdir,
        model_args=model_args,
        device=device,
        options=PlanOptions(
            step_from,
            step_pattern,
            state_key,
            prefix,
            tuple(ignore_keys),
            tuple(allow_classes),
            every,
            skip_damaged,
            monitor.progress,
        ),
    )
    for note in prepared.notes:
        logger.info("%s", note)
    written = () if dry_run else run_backfill(prepared, workers)
    return Backfill(prepared.plan.checkpoints, written, prepared.skipped, prepared.notes)


def prepare_backfill(
    checkpoints: str | Path | Sequence[str | Path],
    model: ModelSource,
    monitor: ConceptMonitor,
    logdir: str | Path,
    *,
    model_args: Mapping[str, Any] | None = None,
    device: str = "cpu",
    options: PlanOptions = PlanOptions(),  # noqa: B008 (a tuple)
) -> Prepared:
    """Check everything and write nothing: the first half of `backfill`.

    Args:
        checkpoints: As for `backfill`, and so are `model`, `monitor`, `logdir`, `model_args` and `device`.
        model: See there.
        monitor: See there.
        logdir: See there.
        model_args: See there.
        device: See there.
        options: How checkpoints are found and read.

    Returns:
        What `run_backfill` takes.

    Raises:
        Exception: As `backfill` says.
    """
    if getattr(monitor, "_budget", None) is not None:
        raise ValueError(
            "monitor has max_seconds, which a training may spend on an epoch; for a backfill give the probe "
            "set max_images instead"
        )
    built = unwrap_model(build_model(model, model_args, monitor.seed))
    find_layers(built, monitor.layers)
    plan = make_plan(checkpoints, built, options)
    recipe = Recipe(model, model_args, device, monitor, tuple(options.allow_classes))
    runner = Runner(recipe, built)
    _try_forward(monitor, runner.model)
    earlier = read_earlier(logdir)
    settings = describe_settings(monitor, built, plan, options.ignore_keys)
    new = select_new(plan, earlier, settings, logdir)
    before, notes = _one_before(plan, new, earlier.steps)
    return Prepared(
        plan=plan,
        new=tuple(new),
        before=before,
        skipped=tuple(sorted(earlier.steps & {checkpoint.step for checkpoint in plan.checkpoints})),
        notes=(*plan.notes, *notes),
        settings=settings,
        settings_are_new=not earlier.steps,
        recipe=recipe,
        runner=runner,
        logdir=Path(logdir),
    )


def run_backfill(prepared: Prepared, workers: int | None = 1) -> tuple[int, ...]:
    """Run the probe through the checkpoints and write the steps: the second half of `backfill`.

    Args:
        prepared: From `prepare_backfill`.
        workers: As for `backfill`.

    Returns:
        The steps that were written. Whatever interrupts this, those that are in the run stay.

    Raises:
        CheckpointError: A checkpoint cannot be read any more, or its forward pass fails.
        OSError: The run's folder cannot be written to.
        ValueError: `workers` is below 1.
        WorkerError: A further process died.
    """
    if workers is not None and workers < 1:
        raise ValueError(f"workers must be at least 1, or None to choose, got {workers}")
    if not prepared.new:
        return ()
    monitor, new, before = prepared.recipe.monitor, prepared.new, prepared.before
    walltimes = _walltimes(prepared.plan)
    try:
        opened = ConceptWriter(prepared.logdir, strict=True)
    except RuntimeError as error:  # another process is writing there
        raise ConflictError(str(error)) from error
    with (
        opened as writer,
        tqdm(
            total=len(prepared.skipped) + len(new),
            initial=len(prepared.skipped),
            desc="Backfilling",
            unit="checkpoint",
            disable=not monitor.progress,
        ) as bar,
        contextlib.closing(
            collect_in_order(prepared.recipe, prepared.runner, [*before, *new], workers)
        ) as passes,
    ):
        if prepared.settings_are_new:
            write_settings(writer, prepared.settings, new[0].step, walltimes.get(new[0].step))
        for checkpoint, collected in passes:
            snapshots = monitor.score(collected, prepared.runner.model)
            if checkpoint in before:
                continue  # it is there; displacement is measured from it
            walltime = walltimes.get(checkpoint.step)
            add_concepts(writer, snapshots, checkpoint.step, monitor.probe, walltime, strict=True)
            write_checkpoint(writer, checkpoint, walltime)
            interpretable = sum(snapshot.num_interpretable for snapshot in snapshots.values())
            bar.set_postfix_str(f"step {checkpoint.step}: {interpretable} interpretable neurons")
            bar.update()
    return tuple(checkpoint.step for checkpoint in new)


def _try_forward(monitor: ConceptMonitor, model: nn.Module) -> None:
    """Fail now rather than after the pictures and words were encoded."""
    inputs = torch.stack([monitor.probe.model_input(0)] * 2)
    try:
        collect_activations(model, monitor.layers, [inputs], len(inputs), forward=monitor.forward)
    except (TypeError, ValueError):
        raise
    except Exception as error:
        raise ValueError(
            f"the model cannot look at the probe's pictures, {tuple(inputs.shape[1:])} after the transform: "
            f"{type(error).__name__}: {error}; give the evaluation transform of its training (--transform, "
            f"--image-size)"
        ) from error


def _one_before(
    plan: Plan, new: Sequence[Checkpoint], there: set[int]
) -> tuple[tuple[Checkpoint, ...], list[str]]:
    """The last checkpoint that the run has: what comes next is measured from it."""
    if not new or not there:
        return (), []
    last = max(there)
    before = tuple(checkpoint for checkpoint in plan.checkpoints if checkpoint.step == last)
    if before:
        return before, []
    return (), [
        f"the checkpoint of step {last}, which the run has, is not among those given, so the displacement "
        f"of step {new[0].step} is not known"
    ]


def _walltimes(plan: Plan) -> dict[int, float]:
    """When each step was saved, if that can be believed; else none, which means now."""
    rises = all(a.modified < b.modified for a, b in pairwise(plan.checkpoints))
    return {checkpoint.step: checkpoint.modified for checkpoint in plan.checkpoints} if rises else {}
