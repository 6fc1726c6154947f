"""`conceptmon export`: what runs logged, as a table for spreadsheets, notebooks and papers."""

from __future__ import annotations

import argparse
import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from conceptmon_tb.cli_options import say
from conceptmon_tb.terminal_text import printable

if TYPE_CHECKING:
    from conceptmon_tb.export import Columns
    from conceptmon_tb.reader import Run

_EXAMPLES = """\
examples:
  conceptmon export runs/resnet18                       every neuron at every step: runs/resnet18.csv
  conceptmon export runs --layer layer4 --last          the last step of each run below runs
  conceptmon export runs --what metrics --out metrics.json
  conceptmon export runs/resnet18 --what embeddings --layer layer4 --out layer4.npz

in Python:
  frame = cm.export.to_frame(cm.export.neuron_columns(cm.read_run("runs/resnet18")))
"""


def add_export(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the sub-command.

    Args:
        commands: The sub-commands of `conceptmon`.
    """
    parser = commands.add_parser(
        "export",
        help="write what runs logged as a CSV, JSON or NumPy table",
        description="Write what runs logged as a table: a row for every step, layer and neuron.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("logdir", type=Path, metavar="LOGDIR", help="a run, or a directory above runs")
    add(
        "--what",
        choices=["neurons", "metrics", "embeddings"],
        default="neurons",
        help="embeddings: one array (steps, neurons, dim) of one run and one layer, .npz only",
    )
    add("--out", type=Path, metavar="FILE", help=".csv, .json or .npz (default: LOGDIR.csv)")
    add("--layer", nargs="+", metavar="NAME", help="layers wanted (default: all)")
    steps = parser.add_mutually_exclusive_group()
    steps.add_argument("--step", nargs="+", type=int, metavar="N", help="steps wanted (default: all)")
    steps.add_argument("--last", action="store_true", help="only the last step of each run")
    add("--force", action="store_true", help="replace a file that is there")
    parser.set_defaults(run_command=_run_export)


def _run_export(args: argparse.Namespace) -> int:
    from conceptmon_tb.export import stack_columns, write_table

    out = args.out or Path(f"{args.logdir.resolve()}.{'npz' if args.what == 'embeddings' else 'csv'}")
    _check_out(out, args)
    runs = _read_runs(args.logdir)
    if args.what == "embeddings":
        return _export_embeddings(runs, args, out)
    _check_wanted(runs, args)
    columns = stack_columns([_table(name, run, args) for name, run in runs.items()])
    write_table(columns, out)
    print(printable(str(out)) + f": {len(columns['step']):,} rows of {len(runs)} run(s)")
    return 0


def _check_out(out: Path, args: argparse.Namespace) -> None:
    if out.suffix.lower() not in (".csv", ".json", ".npz"):
        raise ValueError(f"--out must end in .csv, .json or .npz, got {out.name!r}")
    if out.exists() and not args.force:
        raise ValueError(f"{out} is there already; choose another --out, or --force to replace it")
    if not out.parent.is_dir():
        raise ValueError(f"--out: the directory {out.parent} does not exist; make it first")
    if args.what == "embeddings" and (out.suffix.lower() != ".npz" or len(args.layer or ()) != 1):
        raise ValueError("--what embeddings needs one --layer and an --out that ends in .npz")


def _check_wanted(runs: dict[str, Run], args: argparse.Namespace) -> None:
    for layer in args.layer or ():
        if not any(layer in run.snapshots for run in runs.values()):
            known = sorted({name for run in runs.values() for name in run.snapshots})
            raise ValueError(f"--layer: no run has a layer {layer!r}; there are {', '.join(known)}")
    for step in args.step or ():
        if not any(step in run.steps for run in runs.values()):
            raise ValueError(f"--step: no run logged anything at step {step}")


def _export_embeddings(runs: dict[str, Run], args: argparse.Namespace, out: Path) -> int:
    from conceptmon_tb.export import embeddings, write_table

    if len(runs) > 1:
        raise ValueError(f"--what embeddings takes one run, but there are {', '.join(runs)}: name one")
    (run,) = runs.values()
    steps, array = embeddings(run, args.layer[0], run.steps[-1:] if args.last else args.step)
    write_table({"step": steps, "embedding": array}, out)
    print(printable(str(out)) + f": {' x '.join(map(str, array.shape))} (steps x neurons x dim)")
    return 0


def _read_runs(logdir: Path) -> dict[str, Run]:
    """All runs at and below a directory, by name; those without concepts are left out."""
    from tqdm import tqdm

    from conceptmon_tb.event_files import run_folders
    from conceptmon_tb.reader import read_run

    folders = run_folders(logdir) if logdir.is_dir() else []
    if folders in ([], [logdir]):
        return {logdir.resolve().name: read_run(logdir)}
    runs = {}
    for folder in tqdm(folders, "reading runs", leave=False, disable=None):
        with contextlib.suppress(FileNotFoundError):  # a run that logged no concepts
            runs[str(folder.relative_to(logdir))] = read_run(folder)
    if not runs:
        raise ValueError(f"no run at or below {str(logdir)!r} holds concept data")
    return runs


def _table(name: str, run: Run, args: argparse.Namespace) -> Columns:
    """Columns of one run; of several runs, some may lack a layer or a step that others have."""
    import numpy as np

    from conceptmon_tb.export import metric_columns, neuron_columns

    make = neuron_columns if args.what == "neurons" else metric_columns
    layers = args.layer and [layer for layer in args.layer if layer in run.snapshots]
    steps = run.steps[-1:] if args.last else args.step and [step for step in args.step if step in run.steps]
    columns = make(run, layers, steps)
    for warning in run.warnings:
        say(f"warning: {name}: {warning}")
    return {"run": np.full(len(columns["step"]), name, object), **columns} if columns else {}
