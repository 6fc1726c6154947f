"""Command line of the front end's benchmark; see the package's description."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tqdm import tqdm

from benchmarks.frontend import report
from benchmarks.frontend.measure import VIEWS, Log, Measured, measure_all, measure_openings

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "frontend_performance.md"
TYPICAL = Log(7_000, 100, 4)
LARGE = Log(100_000, 60)
GROWTH = {
    "neurons": [Log(neurons, 30) for neurons in (1_000, 4_000, 16_000, 64_000)],
    "epochs": [Log(16_000, epochs) for epochs in (10, 50, 200, 800)],
    "runs": [Log(500, 20, 2, runs) for runs in (1, 4, 16, 64)],
}
PARTS = ("typical", "large", "growth")


def main() -> None:
    """Measure, print ratios, and say by the exit status whether a target is missed."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.frontend",
        description="How fast the tab opens and moves, in Chromium with the software renderer.",
    )
    parser.add_argument(
        "--parts", nargs="+", choices=PARTS, default=PARTS, help="what to measure; all by default"
    )
    parser.add_argument("--repeats", type=int, default=3, help="openings of the tab for each log")
    parser.add_argument(
        "--sweeps", type=int, default=6, help="sweeps over the time line, tab and bare renderer each"
    )
    parser.add_argument("--frames", type=int, default=120, help="frames of a sweep")
    parser.add_argument(
        "--shrink", type=int, default=1, help="divide all numbers of neurons, to try the command"
    )
    parser.add_argument(
        "--write", action="store_true", help=f"write {DOCUMENT.relative_to(ROOT)}; needs all parts"
    )
    options = parser.parse_args()
    if options.write and set(options.parts) != set(PARTS):
        parser.error("--write needs all parts")
    growth = {name: [_shrink(log, options.shrink) for log in logs] for name, logs in GROWTH.items()}
    steps = (options.repeats + 1 + 1 + options.sweeps + len(VIEWS)) * len(
        {"typical", "large"} & set(options.parts)
    )
    steps += (options.repeats + 1) * sum(map(len, growth.values())) * ("growth" in options.parts)
    when = report.circumstances()
    targets: list[report.Target] = []
    found: dict[str, Measured] = {}
    grown: dict[str, list[Measured]] = {}
    with tqdm(total=steps, desc="Measuring", unit="step") as bar:

        def progress(what: str) -> None:
            bar.set_postfix_str(what)
            bar.update()

        for part, log in (("typical", TYPICAL), ("large", LARGE)):
            if part in options.parts:
                shrunk = _shrink(log, options.shrink)
                found[part] = measure_all(shrunk, options.repeats, options.sweeps, options.frames, progress)
        if "growth" in options.parts:
            for name, logs in growth.items():
                grown[name] = [measure_openings(log, options.repeats, progress) for log in logs]
    if "typical" in found:
        targets += report.typical_targets(found["typical"])
    if "large" in found:
        targets += report.large_targets(found["large"])
    print(report.as_text(targets, found, grown))
    if options.write:
        DOCUMENT.write_text(report.as_document(targets, found, grown, sys.argv[1:], when), encoding="utf-8")
        print(f"wrote {DOCUMENT}")
    sys.exit(any(not target.is_met for target in targets))


def _shrink(log: Log, by: int) -> Log:
    return Log(max(50, log.neurons // by), log.epochs, log.layers, log.runs)


if __name__ == "__main__":
    main()
