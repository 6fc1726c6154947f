"""Claims of study III: adversarial training (thesis section 4.0.2)."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np

from demo.case_studies.claims.base import Claim, Evidence, Measured, by_seed, is_higher, is_lower
from demo.case_studies.claims.measures import (
    DEEP,
    HIGH_LEVEL,
    at,
    count,
    count_words,
    num_distinct,
    series,
    shares,
)
from demo.case_studies.records import Trial

ROBUST, STANDARD, ATTACKED = "adversarial/robust", "standard", "adversarial/standard"
_QUARTER = 0.25  # of the training: epoch 10 of 40


def _both(evidence: Evidence, figure: Callable[[Trial], float]) -> tuple[dict[int, float], dict[int, float]]:
    pairs = evidence.pairs(ROBUST, STANDARD)
    robust = {seed: float(figure(pair[0])) for seed, pair in pairs.items()}
    return robust, {seed: float(figure(pair[1])) for seed, pair in pairs.items()}


def target_classes(evidence: Evidence) -> tuple[str, ...]:
    """The concepts that are classes of the task, as the runs logged them."""
    texts = [trial.log.texts.get("case_study/classes") for trial in evidence.of(ROBUST).values()]
    return tuple(json.loads(next((text for text in texts if text), "[]")))


def _more_colors(evidence: Evidence) -> Measured | None:
    robust, standard = _both(evidence, lambda t: count(at(t, -1), ["color"]))
    return is_higher(
        ("robust", robust), ("standard", standard), form=".1f", about=f"colour neurons of {DEEP}"
    )


def _fewer_high_level(evidence: Evidence) -> Measured | None:
    robust, standard = _both(evidence, lambda t: count(at(t, -1), HIGH_LEVEL))
    about = f"object, scene and part neurons of {DEEP}"
    return is_lower(("robust", robust), ("standard", standard), form=".1f", about=about)


def _alike_at_first(evidence: Evidence) -> Measured | None:
    pairs = evidence.pairs(ROBUST, STANDARD)

    def distance(pair: tuple[Trial, Trial], place: float) -> float:
        number = -1 if place == 1 else max(1, round(place * (len(series(pair[0])) - 1)))
        return float(np.abs(shares(at(pair[0], number)) - shares(at(pair[1], number))).sum() / 2)

    early, late = ({seed: distance(pair, place) for seed, pair in pairs.items()} for place in (0.125, 1))
    about = f"difference of the two {DEEP}s' category shares (total variation)"
    return is_higher(("at the end", late), ("after an eighth of the epochs", early), about=about)


def _target_classes(evidence: Evidence) -> Measured | None:
    words = target_classes(evidence)
    robust, standard = _both(evidence, lambda t: count_words(at(t, -1), words))
    about = f"neurons of {DEEP} for one of the {len(words)} target classes"
    return is_higher(("standard", standard), ("robust", robust), form=".1f", about=about)


def _target_classes_early(evidence: Evidence) -> Measured | None:
    words, trials = target_classes(evidence), evidence.of(STANDARD)
    if not words or not trials:
        return None
    early = by_seed(trials, lambda t: count_words(at(t, _QUARTER), words))
    half = by_seed(trials, lambda t: count_words(at(t, -1), words) / 2)
    about = f"target class neurons of the standard {DEEP}"
    return is_higher(
        ("after a quarter of the epochs", early), ("half of those at the end", half), form=".1f", about=about
    )


def _by_then(evidence: Evidence) -> str:
    words, trials = target_classes(evidence), evidence.of(STANDARD)
    if not words or not trials:
        return ""
    growth = "; ".join(
        f"{count_words(at(trial, _QUARTER), words)} of {count_words(at(trial, -1), words)}"
        for trial in trials.values()
    )
    epochs = len(next(iter(trials.values())).run.steps) - 1
    return (
        f"Neurons after a quarter of the epochs, of those at the end, by seed: {growth}. The seeds do not "
        f"agree, and a quarter is {round(_QUARTER * epochs)} epochs here, ten in the thesis."
    )


def _more_diverse(evidence: Evidence) -> Measured | None:
    robust, standard = _both(evidence, lambda t: num_distinct(at(t, -1)))
    about = f"different concepts of {DEEP}'s interpretable neurons"
    return is_higher(("robust", robust), ("standard", standard), form=".1f", about=about)


def _clean_accuracy(evidence: Evidence) -> Measured | None:
    robust, standard = _both(evidence, lambda t: t.log.last("accuracy/val"))
    return is_lower(("robust", robust), ("standard", standard), form=".1%", about="accuracy")


def _robust_accuracy(evidence: Evidence) -> Measured | None:
    robust, standard = (
        by_seed(evidence.of(name), lambda t: t.log.last("accuracy/attacked")) for name in (ROBUST, ATTACKED)
    )
    about = "accuracy on attacked pictures (PGD, ten steps)"
    return is_higher(("robust", robust), ("standard", standard), form=".1%", about=about)


def _how_hard(evidence: Evidence) -> str:
    robust, standard = _both(evidence, lambda t: t.log.last("accuracy/val"))
    attacked = [
        by_seed(evidence.of(n), lambda t: t.log.last("accuracy/attacked")) for n in (ROBUST, ATTACKED)
    ]
    mean = [float(np.mean(list(values.values()))) for values in (robust, standard, *attacked) if values]
    if len(mean) < 4:
        return ""
    return (
        f"The robust network knows {mean[0]:.0%} of the clean and {mean[2]:.0%} of the attacked pictures, "
        f"the standard one {mean[1]:.0%} and {mean[3]:.0%}: a network of this size learns the task "
        "slowly under attack, and what it has not learned yet shows in its concepts too."
    )


CLAIMS = (
    Claim(
        "adversarial",
        "The robust network relies more on colours.",
        "section 4.0.2, observation 1; Fig. 4.3",
        "30 colour neurons against 2",
        _more_colors,
        _how_hard,
    ),
    Claim(
        "adversarial",
        "The robust network has fewer object, scene and part neurons.",
        "section 4.0.2, observation 1; Fig. 4.3",
        "fewer (bars)",
        _fewer_high_level,
        _how_hard,
    ),
    Claim(
        "adversarial",
        "Early in training the two are more alike; then they diverge.",
        "section 4.0.2, observation 1; Fig. 4.3",
        "they diverge after epoch 5 of 40",
        _alike_at_first,
        _how_hard,
    ),
    Claim(
        "adversarial",
        "Standard training develops many neurons for target classes, robust training does not.",
        "section 4.0.2, observation 2; Fig. 4.4",
        "dog 15 against 1, car 11 against 3, cat 10 against 3",
        _target_classes,
        _how_hard,
    ),
    Claim(
        "adversarial",
        "The standard network has many of its target class neurons early on.",
        "section 4.0.2, observation 2",
        "many by epoch 10 of 40",
        _target_classes_early,
        _by_then,
    ),
    Claim(
        "adversarial",
        "The robust network's concepts are more diverse and less specific to the task.",
        "section 4.0.2, discussion; Fig. 4.3",
        "larger diversity of types (bars)",
        _more_diverse,
        _how_hard,
    ),
    Claim(
        "adversarial",
        "Robustness costs accuracy on clean pictures.",
        "appendix A.3; Fig. A.1",
        "83.42% against 94.29%",
        _clean_accuracy,
    ),
    Claim(
        "adversarial",
        "Adversarial training makes the network robust.",
        "appendix A.3; Fig. A.1",
        "50.00% against close to 0%",
        _robust_accuracy,
    ),
)
