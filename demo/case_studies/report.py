"""The claims of the thesis against what the runs measured: `python -m demo.case_studies.report`.

    python -m demo.case_studies.report --logdir runs/case_studies           # to the terminal
    python -m demo.case_studies.report --logdir runs/case_studies --write   # docs/case_studies.md, figures

Only event files are read: no network, no pictures and no GPU are needed. Every number comes from them, but
for those that are quoted from the thesis.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator
from pathlib import Path

from demo.case_studies.claims import CLAIMS, Claim, Evidence, Measured, Verdict, judge
from demo.case_studies.claims.base import by_seed, spread
from demo.case_studies.records import SECONDS_TAG, SETTINGS_TAG, read_trials
from demo.case_studies.settings import LOGDIR

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "case_studies.md"
BEGIN, END = "<!-- generated: begin -->", "<!-- generated: end -->"
IMAGES = Path("images") / "case_studies"

STUDIES = {
    "training": "I: standard and poor training",
    "lottery_ticket": "II: the lottery ticket hypothesis",
    "adversarial": "III: adversarial training",
    "fine_tuning": "IV: fine-tuning on another domain",
    "regularizer": "V: the concept diversity regularizer",
    "ablations": "Ablations",
}
_RUNS = {
    "training": ("standard", "poor"),
    "lottery_ticket": ("lottery_ticket/trained", "lottery_ticket/rewound", "lottery_ticket/random"),
    "adversarial": ("standard", "adversarial/robust", "adversarial/standard"),
    "fine_tuning": ("standard", "fine_tuning"),
    "regularizer": ("standard", "regularizer", "regularizer_gentle", "regularizer_smooth"),
}
_MARK = {
    Verdict.HOLDS: "**holds**",
    Verdict.WEAKLY: "holds weakly",
    Verdict.FAILS: "**does not hold at this scale**",
    Verdict.UNKNOWN: "not measured",
}


def main() -> None:
    """Reports from the command line."""
    args = parse_arguments()
    evidence = Evidence(read_trials(args.logdir)) if args.logdir.is_dir() else Evidence([])
    if not evidence.trials:
        raise SystemExit(
            f"report: no finished run in {str(args.logdir)!r}; make some: python -m demo.case_studies"
        )
    if not args.write:
        print(as_text(evidence))
        return
    figures = draw_figures(evidence, args.page.parent / IMAGES)
    write_page(args.page, "\n".join(page_lines(evidence, figures)))
    print(f"wrote {args.page} and {len(figures)} figures")


def parse_arguments() -> argparse.Namespace:
    """The report's options."""
    parser = argparse.ArgumentParser(
        prog="python -m demo.case_studies.report",
        description="Compare the thesis' claims with the case studies' event files.",
    )
    parser.add_argument("--logdir", type=Path, default=LOGDIR, help="of the studies (default: %(default)s)")
    parser.add_argument("--write", action="store_true", help="write the page and its figures")
    parser.add_argument("--page", type=Path, default=PAGE, help="the page to write (default: %(default)s)")
    return parser.parse_args()


def results(evidence: Evidence, study: str) -> Iterator[tuple[Claim, Measured | None, Verdict]]:
    """The claims of a study, what was measured, and the verdicts."""
    for claim in CLAIMS:
        if claim.study == study:
            measured = claim.measure(evidence)
            yield claim, measured, judge(measured)


def as_text(evidence: Evidence) -> str:
    """All claims for a terminal."""
    lines = []
    for study, title in STUDIES.items():
        lines.append(f"\n{title}")
        for claim, measured, verdict in results(evidence, study):
            lines.append(f"  {verdict.value:<28} {claim.text}")
            if measured is not None:
                lines.append(f"  {'':<28} {measured.text}")
    return "\n".join(lines)


def draw_figures(evidence: Evidence, folder: Path) -> dict[str, Path]:
    """Draw the figures of all studies that were run.

    Returns:
        Path by name of the figure.
    """
    try:
        from demo.case_studies.figures_all import DRAWINGS, draw_to_file
    except ImportError as error:
        raise SystemExit(f"report: {error}; figures need: pip install 'conceptmon-tb[export]'") from None
    paths = {name: folder / f"{name}.png" for name in DRAWINGS}
    return {name: path for name, path in paths.items() if draw_to_file(DRAWINGS[name], evidence, path)}


def page_lines(evidence: Evidence, figures: dict[str, Path]) -> Iterator[str]:
    """The generated part of the page."""
    yield from summary_lines(evidence)
    for study, title in STUDIES.items():
        found = list(results(evidence, study))
        if all(verdict is Verdict.UNKNOWN for *_, verdict in found):
            continue
        yield from ("", f"## {title}", "")
        yield from run_lines(evidence, study)
        for name in figures:
            if name == study or name.startswith(f"{study}_"):
                yield from (f"![{title}]({(IMAGES / f'{name}.png').as_posix()})", "")
        yield from claim_lines(found)
        causes = [
            (claim, claim.examine(evidence))
            for claim, _, verdict in found
            if claim.examine is not None and verdict in (Verdict.FAILS, Verdict.WEAKLY)
        ]
        told: dict[str, list[str]] = {}
        for claim, cause in causes:
            if cause:
                told.setdefault(cause, []).append(claim.text.rstrip("."))
        if told:
            yield from ("", "Where it does not hold, or weakly:", "")
        for cause, texts in told.items():
            yield f"- *{'; '.join(texts)}.* {cause}"


def summary_lines(evidence: Evidence) -> Iterator[str]:
    """How many claims of each study hold."""
    yield "| study | holds | weakly | does not | not measured |"
    yield "|---|---|---|---|---|"
    totals = dict.fromkeys(Verdict, 0)
    for study, title in STUDIES.items():
        verdicts = [verdict for *_, verdict in results(evidence, study)]
        counts = {verdict: verdicts.count(verdict) for verdict in Verdict}
        totals = {verdict: totals[verdict] + counts[verdict] for verdict in Verdict}
        yield f"| {title} | " + " | ".join(str(counts[verdict] or "") for verdict in Verdict) + " |"
    yield "| **all** | " + " | ".join(f"**{totals[verdict]}**" for verdict in Verdict) + " |"


def run_lines(evidence: Evidence, study: str) -> Iterator[str]:
    """Which runs there are, with which settings, and how well the networks do."""
    variants = _RUNS.get(study) or tuple(v for v in evidence.variants if v.startswith(f"{study}/"))
    found = [variant for variant in variants if evidence.of(variant)]
    if not found:
        return
    settings: dict[str, object] = {}
    for variant in found:
        for trial in evidence.of(variant).values():
            settings |= json.loads(trial.log.texts.get(SETTINGS_TAG, "{}"))
    known = {name: value for name, value in sorted(settings.items()) if value not in (None, "")}
    shown = ", ".join(f"{name} {value}" for name, value in known.items())
    yield from (f"`python -m demo.case_studies.{study}`; settings: {shown}.", "")
    yield "| run | seeds | accuracy at the end | processor time |"
    yield "|---|---|---|---|"
    for variant in found:
        trials = evidence.of(variant)
        accuracy = by_seed(trials, lambda t: 100 * t.log.last("accuracy/val"))
        seconds = by_seed(trials, lambda t: t.log.last(SECONDS_TAG))
        told = f"{spread(accuracy, '.1f')}%" if any(map(math.isfinite, accuracy.values())) else ""
        yield f"| `{variant}` | {', '.join(map(str, trials))} | {told} | {spread(seconds, '.0f')} s |"
    yield ""


def claim_lines(found: list[tuple[Claim, Measured | None, Verdict]]) -> Iterator[str]:
    """The table of a study's claims."""
    yield "| claim | thesis | measured here | verdict |"
    yield "|---|---|---|---|"
    for claim, measured, verdict in found:
        thesis = f"{claim.thesis}; *{claim.source}*" if claim.thesis else f"*{claim.source}*"
        text = "" if measured is None else measured.text
        once = " (one repetition)" if measured is not None and len(measured.margins) == 1 else ""
        yield f"| {claim.text} | {thesis} | {text} | {_MARK[verdict]}{once} |"


def write_page(page: Path, generated: str) -> None:
    """Put the generated part into the page, between its marks; whole or not at all.

    Args:
        page: The page; made from nothing but the marks where it does not exist.
        generated: What goes between them.
    """
    text = page.read_text(encoding="utf-8") if page.exists() else f"# Case studies\n\n{BEGIN}\n{END}\n"
    if BEGIN not in text or END not in text:
        raise SystemExit(f"report: {page} lacks the marks {BEGIN} and {END}")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    part = page.with_name(f"{page.name}.part")
    part.parent.mkdir(parents=True, exist_ok=True)
    part.write_text(f"{before}{BEGIN}\n\n{generated}\n\n{END}{after}", encoding="utf-8")
    part.replace(page)


if __name__ == "__main__":
    main()
