"""The lexicon encoder: English words and phrases, by their places in WordNet."""

from __future__ import annotations

import subprocess
import sys
import time
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conceptmon_tb import ConceptSet
from conceptmon_tb.encoders import ConceptEncoder
from conceptmon_tb.lexicon import LexiconEncoder
from conceptmon_tb.lexicon.phrases import PhraseReader
from conceptmon_tb.lexicon.table import load_table
from conceptmon_tb.plugin.encoder_worker import LEXICON, load_encoder
from conceptmon_tb.plugin.live_words import LiveWords, Refusal

ENCODER = LexiconEncoder()
READER = PhraseReader(load_table())
BRODEN = ConceptSet.broden()
BRODEN_VECTORS = ENCODER.encode_text(BRODEN.words)


def cosine(first: str, second: str) -> float:
    a, b = ENCODER.encode_text([first, second])
    return float(a @ b)


# The encoder.


def test_it_is_a_concept_encoder_of_words_only() -> None:
    assert isinstance(ENCODER, ConceptEncoder)
    assert ENCODER.dim == 512
    assert "spelling" in ENCODER.note
    assert len(ENCODER.fingerprint) == 16
    with pytest.raises(TypeError, match="OpenClipEncoder"):
        ENCODER.encode_images(torch.zeros(1, 3, 8, 8))
    with pytest.raises(TypeError, match="OpenClipEncoder"):
        ENCODER.image_transform(None)


@pytest.mark.parametrize(
    ("word", "near", "far"),
    [
        ("dog", "cat", "car"),
        ("bedroom", "hotel room", "forest"),
        ("car", "truck", "tree"),
        ("red", "orange", "dog"),
        ("red", "color", "street"),
        ("striped", "stripe", "bottle"),
        ("spotted", "dotted", "bedroom"),
        ("grassy", "grass", "clock"),
        ("wooden", "wood", "fish"),
        ("sofa", "armchair", "tree"),
        ("airplane", "helicopter", "number"),
        ("waterfall", "river", "carpet"),
        ("metallic", "metal", "frog"),
        ("wood", "timber", "water"),
        ("staircase", "stairs", "tiger"),
        ("Red telephone booths", "telephone booth", "red wine"),
        ("garage-indoor", "garage", "gymnasium-indoor"),
        ("swimming", "swim", "table"),
        ("mice", "mouse", "house"),
        ("pottedplant", "plant", "lamp"),
    ],
)
def test_words_of_like_meaning_are_near(word: str, near: str, far: str) -> None:
    assert cosine(word, near) > cosine(word, far) + 0.1


PLURALS = """
    Bridges:bridge people:person lines:line stripes:stripe windows:window legs:leg glasses:glass words:word
"""


@pytest.mark.parametrize("pair", PLURALS.split())
def test_plurals_are_near_their_singulars_though_they_mean_something_of_their_own(pair: str) -> None:
    assert cosine(*pair.split(":")) > 0.75


PARTICIPLES = """
    dots:dotted lines:lined stripes:striped spots:spotted pattern:patterned grooves:grooved wrinkles:wrinkled
    honeycomb:honeycombed paint:painted color:colored weave:woven braid:braided
"""


@pytest.mark.parametrize("pair", PARTICIPLES.split())
def test_participles_are_near_what_they_come_from(pair: str) -> None:
    assert cosine(*pair.split(":")) > 0.52


@pytest.mark.parametrize(
    "pair", ["seed:see", "species:specie", "physics:physic", "boss:bos", "wicked:wick", "staged:stag"]
)
def test_words_that_only_look_inflected_stay_apart(pair: str) -> None:
    assert cosine(*pair.split(":")) < 0.3


def test_words_of_looks_are_near_each_other_and_far_from_things() -> None:
    looks = (
        "dotted striped zigzagged lined woven chequered banded flecked wrinkled pattern texture lines dots"
    )
    vectors = ENCODER.encode_text(looks.split())
    others = ~torch.eye(len(vectors), dtype=torch.bool)
    assert float((vectors @ vectors.T)[others].mean()) > 0.3
    things = ENCODER.encode_text(["dog", "kitchen", "car", "tree", "person", "street", "building"])
    assert float((vectors @ things.T).mean()) < 0.05


@pytest.mark.parametrize(
    ("description", "category"),
    [
        ("Lines and dots", "texture"),
        ("Grid-like patterns", "texture"),
        ("Checkered patterns", "texture"),
        ("Vertical lines", "texture"),
        ("Diagonal lines", "texture"),
        ("Dots on the corners", "texture"),
        ("White dots outlining objects", "texture"),
        ("Black and white stripes", "texture"),
        ("Red objects", "color"),
        ("Green colored objects", "color"),
        ("Trees", "object"),
        ("Bridges", "scene"),
        ("People 's faces", "part"),
        ("Bedrooms", "scene"),
        ("The top boundary of horizontal objects", "part"),
    ],
)
def test_descriptions_are_nearest_to_concepts_of_their_category(description: str, category: str) -> None:
    nearest = (ENCODER.encode_text([description]) @ BRODEN_VECTORS.T).argmax()
    assert BRODEN.categories[nearest] == category, BRODEN.words[nearest]


def test_words_of_broden_lie_by_category_and_unrelated_ones_at_right_angles() -> None:
    # Broden's categories were given without a look at WordNet.
    concepts = ConceptSet.broden().subset(size=600)
    vectors = ENCODER.encode_text(concepts.words)
    cosines = vectors @ vectors.T
    others = cosines[~torch.eye(len(concepts), dtype=torch.bool)]
    assert abs(float(others.mean())) < 0.05
    nearest = cosines.fill_diagonal_(-1).argmax(dim=1).numpy()
    category = np.array(concepts.categories)
    agreement = (category[nearest] == category).mean()
    assert agreement > max(np.mean(category == name) for name in set(category)) + 0.12


words_of_any_kind = st.lists(
    st.one_of(st.sampled_from(["dog", "red car", "the", "", "-", "Ärger", "x"]), st.text(max_size=12)),
    min_size=1,
    max_size=6,
)


@given(words_of_any_kind)
@settings(max_examples=40, deadline=None)
def test_any_text_has_a_unit_vector_that_depends_on_nothing_but_itself(words: list[str]) -> None:
    vectors = ENCODER.encode_text(words)
    assert (vectors.dtype, vectors.shape) == (torch.float32, (len(words), 512))
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(len(words)))
    torch.testing.assert_close(vectors, torch.cat([ENCODER.encode_text([word]) for word in words]))


def test_no_words_give_no_rows() -> None:
    assert ENCODER.encode_text([]).shape == (0, 512)


def test_the_vectors_are_those_of_every_machine() -> None:
    # Whoever changes the table or the rules must raise VERSION and state these numbers anew.
    stated = [
        [0.04927606, -0.05556454, -0.04941294, 0.03372865],
        [-0.01560976, 0.04682929, 0.01560976, -0.01560976],
    ]
    found = ENCODER.encode_text(["striped dog", "zxqv"])[:, :4].numpy()
    np.testing.assert_allclose(found, stated, atol=2e-6)


def test_global_state_is_left_alone() -> None:
    before = torch.get_rng_state(), torch.get_num_threads(), torch.get_default_dtype()
    ENCODER.encode_text(["a quiet lake", "zxqv"])
    assert torch.equal(before[0], torch.get_rng_state())
    assert (torch.get_num_threads(), torch.get_default_dtype()) == before[1:]


def test_unknown_words_are_placed_by_spelling_and_apart() -> None:
    assert cosine("zxqvian", "zxqvians") > 0.5
    assert abs(cosine("zxqvian", "dog")) < 0.2


def test_unknown_words_are_warned_of_or_refused() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ENCODER.check_words(["dog", "the", "Wheels of vehicles", "red-c", "a derek dog"])
    with pytest.warns(UserWarning, match=r"1 of 3 words.*'zxqv'"):
        ENCODER.check_words(["dog", "cat", "zxqv"])
    with pytest.raises(ValueError, match=r"does not know 2 of 3.*OpenClipEncoder"):
        ENCODER.check_words(["dog", "qqj", "zxqv"])


def test_the_lists_that_it_is_for_are_known() -> None:
    for concepts in (ConceptSet.broden(), ConceptSet.imagenet()):
        unknown = [word for word in concepts.words if not READER.is_known(word)]
        assert len(unknown) < 0.01 * len(concepts), unknown


# In the tab.


def test_the_tab_loads_it_by_its_name() -> None:
    assert ENCODER.name == LEXICON
    assert load_encoder(LEXICON).fingerprint == ENCODER.fingerprint


def test_typed_words_are_embedded_and_unknown_ones_refused() -> None:
    live = LiveWords()

    def embed(word: str):
        deadline = time.monotonic() + 60
        while (
            found := live.embed(LEXICON, ENCODER.fingerprint, word)
        ) is None and time.monotonic() < deadline:
            time.sleep(0.05)
        return found

    np.testing.assert_allclose(embed("red kite"), ENCODER.encode_text(["red kite"])[0].numpy(), atol=1e-6)
    refused = embed("zxqv")
    assert isinstance(refused, Refusal)
    assert refused.code == "vocabulary"
    assert "'zxqv'" in refused.reason
    live._worker.end()


def test_it_needs_no_image_model() -> None:
    code = (
        "import sys, conceptmon_tb.lexicon as lexicon; lexicon.LexiconEncoder();"
        "print({'open_clip', 'torchvision', 'umap', 'scipy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
