"""The command `conceptmon`: what can be done with concepts outside a training loop.

Each sub-command is a function that adds its arguments and one that runs it; slow imports (torch, open_clip)
wait until a command really runs, so that `--help` answers at once.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from conceptmon_tb import __version__
from conceptmon_tb.cli_backfill import add_backfill
from conceptmon_tb.cli_doctor import add_doctor
from conceptmon_tb.cli_export import add_export
from conceptmon_tb.cli_options import add_concept_options, make_concept_set, make_encoder, say, step_number
from conceptmon_tb.terminal_text import printable

if TYPE_CHECKING:
    from conceptmon_tb.imported.runs import Import

OK, FAILED = 0, 1
_TOP_CATEGORIES = 4

_IMPORT_EXAMPLES = """\
examples:
  conceptmon import netdissect_resnet18_layer4.csv --logdir runs
  conceptmon import clip_dissect.csv milan.csv --logdir runs      two runs on one map
  conceptmon import milan_epoch*.csv --step-from-name --run milan  one run, a step for each file
  conceptmon import descriptions.csv --dry-run                     only say what is in it
  conceptmon import milan.csv --encoder ViT-B-16/openai            with CLIP's text encoder

then: tensorboard --logdir runs

formats (found by the header; docs/import.md):
  milan         layer,unit,description
  clip-dissect  layer,unit,description,similarity
  netdissect    unit,category,label,score,color-label,...,color-iou,... (one layer)
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: What stands after `conceptmon`; None: this process's own.

    Returns:
        Exit code: 0 when all went well, 1 when something was wrong with the input or the disk (the
        message is on stderr and nothing was written). Wrong usage exits with 2, as argparse does.
    """
    parser = make_parser()
    args = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            code = int(args.run_command(args))
            sys.stdout.flush()
            return code
    except BrokenPipeError:  # as in `conceptmon doctor runs | head`: who reads has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes again at its end
        return FAILED
    except (OSError, ValueError, KeyError) as error:
        text = error.args[0] if isinstance(error, KeyError) and error.args else error
        say(f"conceptmon {args.command}: {text}")
        return FAILED


def make_parser() -> argparse.ArgumentParser:
    """The parser of `conceptmon` and all its sub-commands."""
    parser = argparse.ArgumentParser(
        prog="conceptmon", description="Concept Monitor outside a training loop."
    )
    parser.add_argument("--version", action="version", version=f"conceptmon {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_import(commands)
    add_backfill(commands)
    add_doctor(commands)
    add_export(commands)
    return parser


def _add_import(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "import",
        help="show published results of MILAN, CLIP-Dissect or Network Dissection in the tab",
        description="Write result files of other concept detectors as event files, to see them in the tab.",
        epilog=_IMPORT_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("files", nargs="+", type=Path, metavar="FILE", help="CSV result files")
    add("--logdir", type=Path, default=Path("runs"), help="log directory (default: runs)")
    add("--run", default="", help="name of the run (default: named after each file)")
    steps = parser.add_mutually_exclusive_group()
    steps.add_argument("--step", type=step_number, default=0, help="global step (default: 0)")
    steps.add_argument(
        "--step-from-name",
        action="store_true",
        help="take the step from each file's name, such as milan_epoch12.csv",
    )
    add("--layer", default="", help="layer of a NetDissect file (default: end of its name, ..._layer4.csv)")
    add("--format", choices=["auto", "milan", "clip-dissect", "netdissect"], default="auto")
    add_concept_options(
        parser,
        concepts="broden",
        encoder="lexicon",
        encoders="text encoder: the offline one, or an open_clip model such as ViT-B-16/openai",
    )
    add("--map", choices=["umap", "pca"], default="umap", help="layout of the concepts (default: umap)")
    add("--dry-run", action="store_true", help="say what would be written, and write nothing")
    parser.set_defaults(run_command=_run_import)


def _run_import(args: argparse.Namespace) -> int:
    from conceptmon_tb.imported.runs import check_free, plan_epochs, prepare_import, write_import

    epochs = plan_epochs(
        args.files,
        run=args.run,
        step=args.step,
        step_from_name=args.step_from_name,
        layer=args.layer,
        format=args.format,
    )
    check_free(epochs, args.logdir)
    say(f"read {len(args.files)} file(s); comparing with the concepts ...")
    prepared = prepare_import(
        epochs, make_concept_set(args.concepts), make_encoder(args.encoder), threshold=args.threshold
    )
    if not args.dry_run:
        words = len(prepared.labelled.concepts)
        say(f"placing neurons among {words:,} concepts (a new map takes a while, then it is kept) ...")
        write_import(prepared, args.logdir, args.anchors, args.map)
    print(printable("\n".join(summary_lines(prepared))))
    print(
        "nothing was written (--dry-run)"
        if args.dry_run
        else f"to see it: tensorboard --logdir {args.logdir}"
    )
    return OK


def summary_lines(prepared: Import) -> list[str]:
    """A table of what was found: one line for every run, step and layer.

    Args:
        prepared: Findings of all files.

    Returns:
        Lines of text, the header first.
    """
    categories = prepared.labelled.concepts.categories
    table = [("run", "step", "layer", "neurons", "labelled", "interpretable", "categories of these")]
    for epoch, findings in zip(prepared.epochs, prepared.findings, strict=True):
        for layer, found in findings.items():
            chosen = found.concept_ids[found.interpretable, 0].tolist()
            counts = Counter(categories[concept] or "(none)" for concept in chosen)
            table.append(
                (
                    epoch.run,
                    str(epoch.step),
                    layer,
                    str(len(found.valid)),
                    str(int(found.valid.sum())),
                    f"{len(chosen)} (above {found.threshold:.3g})",
                    ", ".join(f"{name} {count}" for name, count in counts.most_common(_TOP_CATEGORIES)),
                )
            )
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    ]


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    say(f"warning: {message}")
