"""The page of what ConceptEvo does here: `python -m demo.conceptevo.report [--write]`.

    python -m demo.conceptevo.report --logdir runs/conceptevo           # to the terminal
    python -m demo.conceptevo.report --logdir runs/conceptevo --write   # docs/conceptevo.md and its figures

Makes the story where it is not made yet, and the revert test. Every number is read from event files and from
`measured.json` beside them, but for those that are quoted from the dissertation.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from conceptmon_tb.evolution import RevertTest
from conceptmon_tb.reader import Run
from demo.case_studies.claims import Verdict
from demo.case_studies.report import write_page
from demo.conceptevo.alignment import CHANCE
from demo.conceptevo.claims import (
    Claim,
    Figures,
    alignment_claims,
    revert_claims,
    tell,
)
from demo.conceptevo.diversity import diversity_claims, start_lines
from demo.conceptevo.measured import METHODS, SETTINGS
from demo.conceptevo.networks import KINDS
from demo.conceptevo.runs import Options, Runs, StoryError
from demo.conceptevo.story import (
    make_parser,
    make_story,
    print_claim,
    read_logs,
    read_options,
    tell_story,
)

PAGE = Path(__file__).parents[2] / "docs" / "conceptevo.md"
IMAGES = Path("images") / "conceptevo"
_MARK = {
    Verdict.HOLDS: "**holds**",
    Verdict.WEAKLY: "holds weakly",
    Verdict.FAILS: "**does not hold at this scale**",
    Verdict.UNKNOWN: "not measured",
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Reports from the command line."""
    parser = make_parser("python -m demo.conceptevo.report", "Alignment, diversity and the revert test.")
    parser.add_argument("--write", action="store_true", help="write the page and its figures")
    parser.add_argument("--page", type=Path, default=PAGE, help="the page to write (default: %(default)s)")
    given, options = parser.parse_args(arguments), read_options(parser, arguments)
    try:
        runs, measures = make_story(options)
    except (OSError, StoryError) as error:
        sys.exit(f"demo.conceptevo.report: {error}")
    alignment, test = measures.alignment, as_test(measures.revert)
    if not given.write:
        tell_story(runs, measures)
        for claim in revert_claims(test):
            print_claim(claim)
        return
    logged, shared = read_logs(runs), runs.healthy_epochs
    draw_figures(logged, alignment, test, shared, given.page.parent / IMAGES)
    lines = page_lines(logged, alignment, measures.revert, runs)
    write_page(given.page, "\n".join(lines))
    print(f"wrote {given.page} and its figures")


def as_test(told: Mapping[str, Any]) -> RevertTest:
    """The revert test as it was when it was measured."""
    return RevertTest(
        told["from_step"],
        told["to_step"],
        tuple(told["classes"]),
        np.array(told["num_images"], np.int32),
        tuple(told["layers"]),
        tuple(told["bins"]),
        np.array(told["accuracy"], np.float32),
        np.array(told["change"], np.float32),
    )


def draw_figures(
    runs: Mapping[str, Run], alignment: Mapping[str, Any], test: RevertTest, shared: int, folder: Path
) -> None:
    """Draw all figures, or say what they need."""
    try:
        from demo.conceptevo.figures import draw_all
    except ImportError as error:
        raise SystemExit(f"report: {error}; figures need: pip install 'conceptmon-tb[export]'") from None
    draw_all(runs, alignment, test, shared, folder)


def page_lines(
    runs: Mapping[str, Run],
    alignment: Mapping[str, Any],
    revert: Mapping[str, Any],
    told: Runs,
) -> Iterator[str]:
    """The generated part of the page."""
    options = told.options
    yield from (f"Settings: `{options.as_text()}`, each network trained {tell_times(options)}.", "")
    yield "| network | neurons | with a place | detect a concept clearly | different concepts | accuracy |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for name, kind in KINDS.items():
        words = [word for word in alignment["detected"][name] if word]
        step = runs[name].steps[-1]
        placed = sum(int(by_step[step].valid.sum()) for by_step in runs[name].snapshots.values())
        yield (
            f"| {kind.title} | {len(alignment['detected'][name])} | {placed} | {len(words)} | "
            f"{len(set(words))} | {runs[name].training[step]['accuracy/val']:.0%} |"
        )
    yield from ("", "## One map", "", picture("one_map", "Neurons of three networks on one map"))
    yield from ("", "## Alignment", "", *alignment_lines(alignment), "")
    yield from (picture("alignment", "AUC, intruders and drift"), "")
    yield from claim_lines(alignment_claims(alignment))
    yield from (
        "",
        "## Diversity",
        "",
        picture("entropy", "Entropy of all neurons, and accuracy, by epoch"),
        "",
    )
    yield from claim_lines(diversity_claims(runs, told.healthy_epochs))
    yield from ("", *start_lines(runs, told.space))
    test = as_test(revert)
    yield from ("", "## The revert test", "")
    yield (
        f"The base network's epoch {test.to_step} (training accuracy {revert['to_accuracy']:.0%}) back to "
        f"epoch {test.from_step} ({revert['from_accuracy']:.0%}): {len(test.classes)} classes, "
        f"{len(test.layers)} layers, {len(test.accuracy)} samples of {int(test.num_images.max())} pictures "
        f"of each class."
    )
    yield from (
        "",
        "| importance | change, points | over samples | over classes |",
        "| --- | --- | --- | --- |",
    )
    for row in test.table():
        figures = f"{100 * row.change:+.1f} | {100 * row.over_repeats:.1f} | {100 * row.over_classes:.1f}"
        yield f"| {row.name} | {figures} |"
    yield from ("", picture("revert", "Change of accuracy by quarter of importance"), "")
    yield from claim_lines(revert_claims(test))


def tell_times(options: Options) -> str:
    """How often each network was trained."""
    times = options.training_seeds
    return "once" if times == 1 else f"{times} times (`--training-seeds {times}`)"


def alignment_lines(alignment: Mapping[str, Any]) -> Iterator[str]:
    """AUC, nearest neighbours and intruders of all methods."""
    figures = Figures(alignment)
    steps = ", ".join(map(str, alignment["steps"]))
    yield f"Epochs {steps} of each network. Means ± deviation over seeds of the embedding."
    for figure, title, form, chance in (
        ("area", "AUC of 'same concept' by cosine; chance is 0.50", ".2f", None),
        ("balanced", "the same, each concept counting alike", ".2f", None),
        ("nearest", "neurons whose nearest neighbour detects the same", ".0%", "chance"),
        (
            "grouped",
            f"intruders that the ground truth finds in groups by K-means; chance is {CHANCE:.0%}",
            ".0%",
            None,
        ),
        (
            "picked",
            f"intruders that distance finds among neurons of one concept; chance is {CHANCE:.0%}",
            ".0%",
            None,
        ),
    ):
        yield from ("", f"| {title} | " + " | ".join(SETTINGS.values()) + " |")
        yield "| --- |" + " --- |" * len(SETTINGS)
        for method, name in METHODS.items():
            cells = [tell(figures.of(method, setting, figure), form) for setting in SETTINGS]
            yield f"| {name} | " + " | ".join(cells) + " |"
        if chance:
            cells = [tell(figures.of(next(iter(METHODS)), setting, chance), form) for setting in SETTINGS]
            yield "| by chance | " + " | ".join(cells) + " |"
    yield from ("", "| | drift of the base network's neurons that keep their concept |", "| --- | --- |")
    for method, name in METHODS.items():
        yield f"| {name} | {tell(figures.drift(method))} |"


def claim_lines(claims: Iterator[Claim]) -> Iterator[str]:
    """A table of claims."""
    yield "| claim | dissertation | measured here | verdict |"
    yield "| --- | --- | --- | --- |"
    for claim in claims:
        once = " (one repetition)" if len(claim.measured.margins) == 1 else ""
        yield f"| {claim.text} | {claim.paper} | {claim.measured.text} | {_MARK[claim.verdict]}{once} |"


def picture(name: str, title: str) -> str:
    """A figure on the page."""
    return f"![{title}]({(IMAGES / f'{name}.png').as_posix()})"


if __name__ == "__main__":
    main()
