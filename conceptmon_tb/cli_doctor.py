"""`conceptmon doctor`: what event directories hold, what is wrong with them, and a clean copy."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from conceptmon_tb.cli_options import say

CLEAN, PROBLEMS, FAILED = 0, 1, 2
_DELAY = 1.0  # seconds before a progress bar is worth its place

_EXAMPLES = """\
examples:
  conceptmon doctor runs                          every run below runs
  conceptmon doctor runs/resnet18 --json          for programs
  conceptmon doctor runs --repair runs_clean      a clean copy; the original stays as it is

exit code: 0 clean, 1 problems found, 2 wrong usage, or a copy that could not be written.
docs/resume.md explains findings.
"""


def add_doctor(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the sub-command.

    Args:
        commands: The sub-commands of `conceptmon`.
    """
    parser = commands.add_parser(
        "doctor",
        help="say what an event directory holds and what is damaged or stale in it; make a clean copy",
        description="Examine a run, or all runs below a log directory. The original is never changed.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("logdir", type=Path, metavar="LOGDIR", help="a run, or a directory above runs")
    add("--repair", type=Path, metavar="OUT", help="write a clean copy there; absent or empty, not in LOGDIR")
    add("--json", action="store_true", help="print everything as JSON")
    parser.set_defaults(run_command=_run_doctor)


def _run_doctor(args: argparse.Namespace) -> int:
    from conceptmon_tb.doctor import check_out, examine, repair, total_bytes
    from conceptmon_tb.doctor.report import repair_lines, report_lines, to_json

    try:
        total = total_bytes(args.logdir)
        if args.repair is not None:
            check_out(args.logdir, args.repair)
    except (OSError, ValueError) as error:
        say(f"conceptmon doctor: {error}")
        return FAILED
    with _progress("examining", total) as progress:
        found = examine(args.logdir, progress)
    if not args.json:
        print("\n".join(report_lines(found)), flush=True)
    made, failure = None, ""
    if args.repair is not None:
        try:
            with _progress("copying", 2 * total) as progress:
                made = repair(args.logdir, args.repair, progress)
        except OSError as error:
            failure = f"conceptmon doctor: the copy could not be written, and is removed again: {error}"
    if args.json:
        print(to_json(found, made))
    elif made is not None:
        print("\n".join(repair_lines(made)))
    if failure:
        say(failure)
        return FAILED
    return CLEAN if found.is_clean else PROBLEMS


@contextmanager
def _progress(what: str, total: int) -> Iterator[Callable[[int], object]]:
    """A progress bar on stderr, for work that takes longer than a moment."""
    from tqdm import tqdm

    with tqdm(
        total=total, desc=what, unit="B", unit_scale=True, delay=_DELAY, leave=False, disable=None
    ) as bar:
        yield bar.update
