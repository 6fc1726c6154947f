"""`conceptmon backfill`: the time line of a training that is over, from its saved checkpoints."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conceptmon_tb.cli_options import add_concept_options, make_concept_set, make_encoder, say
from conceptmon_tb.terminal_text import printable

if TYPE_CHECKING:
    from conceptmon_tb.checkpoints.timeline import Prepared
    from conceptmon_tb.monitor import ConceptMonitor
    from conceptmon_tb.probe import ProbeSet

INTERRUPTED = 130  # 128 + SIGINT, as shells have it
_WORLD = "world"
_NETDISSECT = "netdissect"
_SIMILARITIES = ("top_correlation", "soft_wpmi", "wpmi", "rank_reorder", "cos_cubed", "cos")

_EXAMPLES = """\
examples:
  conceptmon backfill --checkpoints 'ckpt/*.pt' --model package.module:factory --layers layer2 layer4 \\
      --probe data/probe --encoder ViT-B-16/openai --logdir runs/resnet
  conceptmon backfill ... --dry-run                     check everything and list the steps
  conceptmon backfill ... --model model.py:Net --model-args '{"num_classes": 10}'
  conceptmon backfill ... --step-from epoch             epoch=3-step=120.ckpt is step 3 instead of 120
  conceptmon backfill ... --transform cifar             pictures as networks for CIFAR see them
  conceptmon backfill ... --space space.safetensors     in a semantic space (docs/evolution.md)

A call that was interrupted is continued by the same call (docs/backfill.md).
"""


def add_backfill(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the sub-command.

    Args:
        commands: The sub-commands of `conceptmon`.
    """
    parser = commands.add_parser(
        "backfill",
        help="make the time line of a training from its saved checkpoints",
        description="Look at the model of every saved checkpoint and write a run with a step for each.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--checkpoints", nargs="+", required=True, metavar="PATTERN", help="files, folders or 'ckpt/*.pt'")
    add("--model", required=True, metavar="MODULE:FACTORY", help="package.module:factory or file.py:factory")
    add("--model-args", type=_json_object, metavar="JSON", help="keyword arguments of the factory")
    add("--layers", nargs="+", required=True, metavar="NAME", help="names from model.named_modules()")
    add("--logdir", type=Path, required=True, metavar="RUN", help="the run's own folder")
    _add_checkpoint_options(parser)
    _add_probe_options(parser)
    add_concept_options(
        parser,
        concepts="",
        encoder=_WORLD,
        encoders="the bundled demo encoder, or for real pictures an open_clip model such as ViT-B-16/openai",
    )
    add(
        "--detector",
        choices=[*_SIMILARITIES, _NETDISSECT],
        default=_SIMILARITIES[0],
        help="how to name neurons",
    )
    add("--space", type=Path, metavar="FILE", help="see neurons in this semantic space, without an encoder")
    add("--device", default="cpu", help="where the models run, such as cuda (default: cpu)")
    add("--workers", type=int, metavar="N", help="processes for the forward passes (default: where it pays)")
    add("--dry-run", action="store_true", help="check everything, list the steps, and write nothing")
    parser.set_defaults(run_command=_run_backfill)


def _add_checkpoint_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("checkpoints")
    add = group.add_argument
    add(
        "--step-from",
        choices=["auto", "step", "epoch", "number"],
        default="auto",
        help="which number of a name is the step (default: the first of these that all names tell)",
    )
    add("--step-pattern", metavar="REGEX", help="the step is the first group instead, such as 'ep(\\d+)'")
    add("--every", type=int, default=1, metavar="N", help="every Nth checkpoint only")
    add("--state-key", metavar="KEY", help="entry that holds the weights (default: the one that fits)")
    add("--prefix", help="what stands before the model's names of weights (default: what fits)")
    add("--ignore-keys", nargs="+", default=[], metavar="GLOB", help="weights that need not fit, 'head.*'")
    add(
        "--allow-class",
        nargs="+",
        default=[],
        metavar="MODULE.CLASS",
        help="classes that may be made from pickled checkpoints you trust (default: weights only)",
    )
    add("--skip-damaged", action="store_true", help="leave out files that cannot be read")


def _add_probe_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("probe set")
    add = group.add_argument
    add(
        "--probe",
        default=_WORLD,
        metavar="IMAGES",
        help="folder of images, with or without class folders; for netdissect a folder in Broden's layout "
        "(default: the bundled drawn pictures)",
    )
    add(
        "--transform",
        metavar="imagenet|cifar|none|MODULE:FUNCTION",
        help="evaluation transform (default: imagenet for a folder, none for the bundled pictures)",
    )
    add("--image-size", type=int, metavar="N", help="side of the model's input, instead of the transform's")
    add("--mean", nargs="+", type=float, metavar="X", help="of the normalisation, for pixels in [0, 1]")
    add("--std", nargs="+", type=float, metavar="X", help="of the normalisation")
    add("--max-images", type=int, metavar="N", help="take so many, spread evenly over the folder")
    add("--batch-size", type=int, default=128, metavar="N", help="images per forward pass (default: 128)")


def _run_backfill(args: argparse.Namespace) -> int:
    from conceptmon_tb.checkpoints.passes import WorkerError
    from conceptmon_tb.checkpoints.plan import PlanOptions
    from conceptmon_tb.checkpoints.timeline import prepare_backfill, run_backfill

    options = PlanOptions(
        step_from=args.step_from,
        step_pattern=args.step_pattern,
        state_key=args.state_key,
        prefix=args.prefix,
        ignore_keys=args.ignore_keys,
        allow_classes=args.allow_class,
        every=args.every,
        skip_damaged=args.skip_damaged,
    )
    try:
        prepared = prepare_backfill(
            args.checkpoints,
            args.model,
            _make_monitor(args),
            args.logdir,
            model_args=args.model_args,
            device=args.device,
            options=options,
        )
        for note in prepared.notes:
            say(note)
        if args.dry_run:
            print(printable("\n".join([*plan_lines(prepared), "nothing was written (--dry-run)"])))
            return 0
        written = run_backfill(prepared, args.workers)
    except KeyboardInterrupt:
        say(f"\nconceptmon backfill: interrupted; what is in {args.logdir} stays, the same command goes on")
        return INTERRUPTED
    except (TypeError, WorkerError) as error:
        raise ValueError(str(error)) from error
    already = f", {len(prepared.skipped)} were there already" if prepared.skipped else ""
    print(f"wrote {len(written)} steps to {args.logdir}{already}")
    print(f"to see it: tensorboard --logdir {args.logdir}")
    return 0


def plan_lines(prepared: Prepared) -> list[str]:
    """A table of the steps: one line for every checkpoint.

    Args:
        prepared: What is to be done.

    Returns:
        Lines of text, the header first.
    """
    table = [("step", "checkpoint", "step told by", "")]
    for checkpoint in prepared.plan.checkpoints:
        there = "in the run already" if checkpoint.step in prepared.skipped else ""
        table.append((str(checkpoint.step), str(checkpoint.path), checkpoint.told_by, there))
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    ]


def _make_monitor(args: argparse.Namespace) -> ConceptMonitor:
    from conceptmon_tb.detectors import ClipDissect, NetworkDissection
    from conceptmon_tb.monitor import ConceptMonitor

    probe = _make_probe(args)
    if args.space is not None:
        from conceptmon_tb.evolution import SemanticSpaceMonitor

        return SemanticSpaceMonitor(
            args.layers,
            probe,
            args.space,
            threshold="auto" if args.threshold is None else args.threshold,
            anchors=args.anchors,
            strict=True,
        )
    encoder = make_encoder(args.encoder)
    if encoder.note:
        say(f"encoder: {encoder.note}")
    if args.concepts:
        concepts = make_concept_set(args.concepts)
    else:
        concepts = make_concept_set(_WORLD if args.encoder == _WORLD else "broden")
    return ConceptMonitor(
        args.layers,
        probe,
        concepts,
        encoder,
        NetworkDissection() if args.detector == _NETDISSECT else ClipDissect(_similarity(args.detector)),
        threshold="auto" if args.threshold is None else args.threshold,
        anchors=args.anchors,
        strict=True,
    )


def _similarity(name: str) -> str | None:
    return None if name == _SIMILARITIES[0] else name


def _make_probe(args: argparse.Namespace) -> ProbeSet:
    from conceptmon_tb.masked_probe import MaskedProbe
    from conceptmon_tb.probe import ProbeSet

    transform = _make_transform(args)
    options: dict[str, Any] = {"transform": transform, "batch_size": args.batch_size}
    masked = args.detector == _NETDISSECT
    if args.probe == _WORLD:
        say("probe: the bundled drawn pictures; --probe takes a folder of images of your own")
        count = 2000 if args.max_images is None else args.max_images
        return (MaskedProbe if masked else ProbeSet).world(count, **options)
    options["max_images"] = args.max_images
    return MaskedProbe.broden(args.probe, **options) if masked else ProbeSet(args.probe, **options)


def _make_transform(args: argparse.Namespace) -> Any:
    from conceptmon_tb.checkpoints.factory import load_object
    from conceptmon_tb.input_transforms import make_transform

    name = args.transform or ("none" if args.probe == _WORLD else "imagenet")
    if ":" not in name:
        return make_transform(name, image_size=args.image_size, mean=args.mean, std=args.std)
    given = [flag for flag in ("image_size", "mean", "std") if getattr(args, flag) is not None]
    if given:
        raise ValueError(
            f"--{given[0].replace('_', '-')} changes a transform known by name; {name!r} is one of yours"
        )
    return load_object("transform", name)


def _json_object(text: str) -> dict[str, Any]:
    try:
        parsed = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"is no JSON: {error}; write '{{\"num_classes\": 10}}'") from error
    if not isinstance(parsed, dict):
        raise argparse.ArgumentTypeError("must be an object, such as '{\"num_classes\": 10}'")
    return parsed
