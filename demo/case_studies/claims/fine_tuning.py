"""Claims of study IV: fine-tuning on another domain (thesis section 4.0.3)."""

from __future__ import annotations

from demo.case_studies.claims.base import Claim, Evidence, Measured, by_seed, is_higher, is_lower, spread
from demo.case_studies.claims.measures import DEEP, at, at_seeds, count, share

FINE_TUNED = "fine_tuning"
_HIGHER, _LOWER = ("object", "scene"), ("texture", "material")


def _fewer_objects(evidence: Evidence) -> Measured | None:
    trials = evidence.of(FINE_TUNED)
    before, after = (at_seeds(trials, place, lambda s: count(s, _HIGHER)) for place in (0, -1))
    about = f"object and scene neurons of {DEEP}"
    return is_lower(("fine-tuned", after), ("pretrained", before), form=".1f", about=about)


def _more_textures(evidence: Evidence) -> Measured | None:
    trials = evidence.of(FINE_TUNED)
    before, after = (at_seeds(trials, place, lambda s: count(s, _LOWER)) for place in (0, -1))
    about = f"texture and material neurons of {DEEP}"
    return is_higher(("fine-tuned", after), ("pretrained", before), form=".1f", about=about)


def _texture_leads(evidence: Evidence) -> Measured | None:
    trials = evidence.of(FINE_TUNED)
    if not trials:
        return None
    textures = by_seed(trials, lambda t: share(at(t, -1), ["texture"]))
    text = f"{spread(textures, '.0%')} of {DEEP}'s interpretable neurons at the end (agrees above half)"
    return Measured(text, tuple(value - 0.5 for value in textures.values()))


def _which_lead(evidence: Evidence) -> str:
    trials = evidence.of(FINE_TUNED)
    both = by_seed(trials, lambda t: share(at(t, -1), _LOWER))
    colors = by_seed(trials, lambda t: share(at(t, -1), ["color"]))
    return (
        "The second domain here has twelve textures and eight materials, a retina has neither: textures and "
        f"materials together are {spread(both, '.0%')} at the end, colours {spread(colors, '.0%')}."
    )


def _closer(evidence: Evidence) -> Measured | None:
    trials = evidence.of(FINE_TUNED)
    before, after = (at_seeds(trials, place, lambda s: s.mean_pairwise_distance) for place in (0, -1))
    about = f"mean distance of two neurons of {DEEP}"
    return is_lower(("fine-tuned", after), ("pretrained", before), form=".3f", about=about)


def _less_diverse(evidence: Evidence) -> Measured | None:
    trials = evidence.of(FINE_TUNED)
    before, after = (at_seeds(trials, place, lambda s: s.anchor_distance) for place in (0, -1))
    return is_higher(("fine-tuned", after), ("pretrained", before), form=".3f", about=f"d_anchor of {DEEP}")


def _what_is_learned(evidence: Evidence) -> str:
    trials = evidence.of(FINE_TUNED)
    accuracy = by_seed(trials, lambda t: t.log.last("accuracy/val"))
    return (
        "The second domain is not narrow: its twenty finishes are concepts of the set themselves, each in "
        f"its own place of the concept space, and the network learns ({spread(accuracy, '.0%')} accuracy)."
    )


CLAIMS = (
    Claim(
        "fine_tuning",
        "Object and scene neurons become fewer.",
        "section 4.0.3; Fig. 4.5, right",
        "decrease (bars)",
        _fewer_objects,
    ),
    Claim(
        "fine_tuning",
        "Texture and material neurons stay or become more.",
        "section 4.0.3; Fig. 4.5, right",
        "remain or increase (bars)",
        _more_textures,
    ),
    Claim(
        "fine_tuning",
        "Textures make up the majority of the interpretable neurons at the end.",
        "Fig. 4.5",
        "the majority in epoch 29",
        _texture_leads,
        _which_lead,
    ),
    Claim(
        "fine_tuning",
        "Neurons become less separated.",
        "section 4.0.3",
        "mean pairwise distance 0.735, then 0.726",
        _closer,
        _what_is_learned,
    ),
    Claim(
        "fine_tuning",
        "d_anchor increases.",
        "Fig. 4.5, left",
        "increases (map and metric)",
        _less_diverse,
        _what_is_learned,
    ),
)
