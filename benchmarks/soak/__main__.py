"""Command line of the soak; see the package's description."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.frontend.report import circumstances
from benchmarks.soak.actors import KEPT_RUNS, LAYERS, RUN_EPOCHS
from benchmarks.soak.soaking import soak
from benchmarks.soak.trends import BLOCKS, HEAD, TOLERATED, Trend

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "soak.md"
NOTHING_WRONG = "No request was refused, and nothing failed in the tab."


def as_document(
    trends: list[Trend], minutes: float, epochs: int, wrong: list[str], command: list[str], when: str
) -> str:
    """Return the document."""
    growing = [trend.name for trend in trends if trend.grows]
    verdict = "nothing grew" if not growing else f"these grew: {', '.join(growing)}"
    rows = [HEAD, ["---"] * len(HEAD), *(trend.cells() for trend in trends)]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    layers = ", ".join(f"{name}: {neurons} neurons" for name, neurons in LAYERS.items())
    told = f"What went wrong: {len(wrong)}. First: {wrong[0]}" if wrong else NOTHING_WRONG
    return f"""\
# A long soak: written and watched, does anything grow?

Written by `python -m benchmarks.soak {" ".join(command)}`, not by hand: {when}.

In short: {minutes:.0f} minutes of live writing and viewing, {epochs:,} epochs: {verdict}.

An epoch every second by a real `ConceptWriter` ({layers}), a request every second, and every few
seconds a reader in Chromium chooses the newest run, changes layers and panels, plays and hovers. A run has
{RUN_EPOCHS} epochs; {KEPT_RUNS} runs are kept and the oldest is removed, so that there is always the same
amount to hold. The first third is warm-up. The slope is that of a line through the means of {BLOCKS} blocks
of time, with its 95% interval. Something *grows* when the slope is surely above zero and what it adds in the
time that was judged is more than {TOLERATED["MiB"]:.0%} of the level (memory) or {TOLERATED[""]:.0%} of it
and one (numbers). Memory is the resident set; the page's is what its process has for itself, after a
collection of garbage and a notice of memory pressure, at which Chromium empties its caches. The data server
is TensorBoard's own.
TensorBoard's threads share one heap (`conceptmon_tb/plugin/heap.py`), unless MALLOC_ARENA_MAX is set.

{table}

{told}
"""


def main() -> None:
    """Soak, print the trends, and say by the exit status whether something grew."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.soak", description="Live writing and viewing: does anything grow?"
    )
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--write", action="store_true", help=f"write {DOCUMENT.relative_to(ROOT)}")
    options = parser.parse_args()
    when = circumstances()
    samples, epochs, wrong = soak(60 * options.minutes, with_reader=True)
    trends = samples.trends()
    print("\n".join(" | ".join(trend.cells()) for trend in trends))
    print("\n".join(wrong[:20]) or "nothing went wrong")
    if options.write:
        said = as_document(trends, options.minutes, epochs, wrong, sys.argv[1:], when)
        DOCUMENT.write_text(said, encoding="utf-8")
        print(f"wrote {DOCUMENT}")
    sys.exit(any(trend.grows for trend in trends))


if __name__ == "__main__":
    main()
