"""What the front end's benchmark makes of its measurements."""

import dataclasses

from benchmarks.frontend.browser import Opening, Scrub
from benchmarks.frontend.measure import Log, Measured
from benchmarks.frontend.report import as_document, as_text, large_targets, typical_targets


def sweep(milliseconds: float, drawn: int = 4, longest: float | None = None) -> Scrub:
    return Scrub([milliseconds] * 3 + [longest or milliseconds], drawn, [1.0] * 4, 200 << 20, (0.04, 0.08))


def measured(**changes: object) -> Measured:
    openings = [Opening(1.0, seconds) for seconds in (1.5, 9.0, 1.7)]
    one = Measured(
        Log(7000, 100, 4), Opening(1.2, 2.5), 312.0, openings, [1.0, 1.1, 5.0], 2.5, 100 << 20, 150 << 20
    )
    one.views = {"concepts, flow": [sweep(40), sweep(40)]}
    one.early, one.tab, one.bare = sweep(20), [sweep(20), sweep(40)], [sweep(16), sweep(40)]
    return dataclasses.replace(one, **changes)


def test_targets_are_medians_of_openings_and_of_sweeps_in_turn() -> None:
    usable, ratio = typical_targets(measured())
    assert (usable.value, usable.is_met) == (1.7, True)
    assert (round(ratio.value, 2), ratio.is_met) == (0.9, True)
    assert not typical_targets(measured(tab=[sweep(40), sweep(50)]))[1].is_met


def test_a_frame_that_the_map_did_not_draw_does_not_count() -> None:
    assert sweep(20, drawn=2).rate == 25


def test_six_intervals_of_the_screen_are_not_over_100_ms_and_seven_are() -> None:
    assert large_targets(measured(tab=[sweep(16, longest=100.1)]))[1].is_met
    assert not large_targets(measured(tab=[sweep(16, longest=116.7)]))[1].is_met


def test_text_and_document_hold_all_figures() -> None:
    one = measured(loaded=None)
    grown = {"neurons": [measured(log=Log(500, 20, 2, 16), tab=[], bare=[])]}
    found = {"typical": one}
    for made in (
        as_text(typical_targets(one), found, grown),
        as_document(typical_targets(one), found, grown, ["--write"], "a day"),
    ):
        for figure in (
            "1.70 s",
            "2.50 s",
            "never all at once",
            "312 MB",
            "150 MiB",
            "10.0 ms",
            "20.0 ms",
            "concepts, flow",
            "500 neurons x 20 epochs x 2 layers, 16 runs",
        ):
            assert figure in made
    assert "`python -m benchmarks.frontend --write`" in made
