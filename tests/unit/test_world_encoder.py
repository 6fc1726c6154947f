"""The bundled encoder: it loads offline, fits in the package, and knows the world."""

from __future__ import annotations

import gzip
import json
import socket

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from conceptmon_tb import world
from conceptmon_tb.encoders import WorldEncoder
from conceptmon_tb.functional import soft_wpmi
from conceptmon_tb.world import encoder
from conceptmon_tb.world.lexicon import HYPERNYMS
from conceptmon_tb.world.merges import write_pruned_merges


class NoNetworkError(RuntimeError):
    pass


@pytest.fixture(scope="module")
def clip():
    def refuse(*_args: object, **_kwargs: object) -> None:
        raise NoNetworkError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", refuse)
        patch.setenv("HF_HUB_OFFLINE", "1")
        return encoder.load_world_clip()


@pytest.fixture(scope="module")
def embed_text(clip):
    model, _, tokenizer = clip

    def embed(words: list[str]) -> torch.Tensor:
        with torch.no_grad():
            return F.normalize(model.encode_text(tokenizer(words)), dim=1)

    return embed


@pytest.fixture(scope="module")
def probe() -> world.WorldDataset:
    return world.WorldDataset(1000, seed=31_337)


@pytest.fixture(scope="module")
def cosines(clip, probe, embed_text) -> np.ndarray:
    model, transform, _ = clip
    with torch.no_grad():
        batches = torch.stack([transform(probe[i][0]) for i in range(len(probe))]).split(250)
        images = torch.cat([F.normalize(model.encode_image(batch), dim=1) for batch in batches])
    return (images @ embed_text(list(world.WORDS)).T).numpy()


def test_the_assets_fit_in_five_megabytes() -> None:
    assert sum(path.stat().st_size for path in world.WORLD_CLIP_DIR.iterdir()) <= 5_000_000


def test_the_model_is_open_clips_own_in_eval_mode(clip) -> None:
    import open_clip

    model, _, tokenizer = clip
    assert type(model) is open_clip.CLIP
    assert not model.training
    assert isinstance(tokenizer, open_clip.SimpleTokenizer)


def test_pictures_of_any_size_and_mode_are_accepted(clip) -> None:
    from PIL import Image

    model, transform, _ = clip
    batch = torch.stack([transform(Image.new("RGB", (100, 40))), transform(Image.new("L", (64, 64)))])
    assert model.encode_image(batch).shape == (2, 128)


def test_planted_neurons_get_their_concept(cosines, probe) -> None:
    def cubed(columns: np.ndarray) -> np.ndarray:
        cubes = (columns - columns.mean(axis=0)) ** 3
        return cubes / np.linalg.norm(cubes, axis=0)

    best = (cubed(probe.presence.astype(float)).T @ cubed(cosines.astype(float))).argmax(axis=1)
    assert np.mean(best == np.arange(len(world.WORDS))) >= 0.75


def test_a_picture_is_closer_to_its_concepts_than_to_others(cosines, probe) -> None:
    present = cosines[probe.presence].mean()
    absent = cosines[~probe.presence].mean()
    assert present > absent + 0.2


def test_synonyms_lie_at_their_concept(embed_text) -> None:
    first = embed_text(["automobile", "ship", "grey", "stripes", "ocean"])
    second = embed_text(["car", "boat", "gray", "striped", "sea"])
    assert (first * second).sum(dim=1).min() > 0.8


def test_general_words_lie_near_what_they_cover(embed_text) -> None:
    animals = embed_text(list(HYPERNYMS["animal"])) @ embed_text(["animal", "vehicle", "texture"]).T
    assert torch.all(animals[:, 0] > animals[:, 1:].max(dim=1).values)


def test_no_two_concepts_share_a_place_in_text_space(embed_text) -> None:
    text = embed_text(list(world.WORDS))
    cosine = text @ text.T - 2 * torch.eye(len(world.WORDS))
    assert cosine.max() < 0.9


def test_a_missing_file_is_named(tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match=encoder.CONFIG_FILE):
        encoder.load_world_clip(assets=tmp_path)


def test_the_recipe_names_seed_command_and_scores() -> None:
    recipe = json.loads((world.WORLD_CLIP_DIR / encoder.RECIPE_FILE).read_text(encoding="utf-8"))
    assert recipe["recipe"]["seed"] == 0
    assert "train_encoder" in recipe["command"]
    assert recipe["scores"]["soft-WPMI top-1"]["all"] >= 0.9
    assert recipe["scores"]["cos-cubed top-1"]["all"] >= 0.75


def test_the_pruned_merges_split_known_words_as_the_full_ones_do(tmp_path) -> None:
    from open_clip import SimpleTokenizer

    path = tmp_path / "merges.txt.gz"
    write_pruned_merges(path)
    shipped = world.WORLD_CLIP_DIR / encoder.MERGES_FILE
    assert gzip.decompress(path.read_bytes()) == gzip.decompress(shipped.read_bytes())
    full, pruned = SimpleTokenizer(), SimpleTokenizer(bpe_path=str(path))
    for word in world.KNOWN_WORDS:
        pieces = [[t.decoder[i] for i in t.encode(word)] for t in (full, pruned)]
        assert pieces[0] == pieces[1]


def test_the_shipped_concept_map_has_a_place_for_every_concept() -> None:
    position = encoder.load_concept_map()
    assert position.shape == (len(world.WORDS), 2)
    assert position.dtype == np.float32
    assert np.isfinite(position).all()
    gaps = np.linalg.norm(position[:, None] - position[None, :], axis=2) + np.eye(len(position)) * 1e9
    assert gaps.min() > 0.002 * np.ptp(position)


def test_the_cone_keeps_length_and_order_of_cosines() -> None:
    unit = F.normalize(torch.randn(20, 8, generator=torch.Generator().manual_seed(0)), dim=1)
    narrow = encoder.narrow_cone(unit)
    assert torch.allclose(narrow.norm(dim=1), torch.ones(20))
    assert torch.allclose(narrow @ narrow.T, encoder.CONE + (1 - encoder.CONE) * (unit @ unit.T), atol=1e-6)


def test_published_soft_wpmi_names_planted_neurons(probe) -> None:
    world_encoder = WorldEncoder()
    images = world_encoder.encode_images([image for image, _ in probe])
    similarity = soft_wpmi(
        torch.from_numpy(probe.presence).float(), images @ world_encoder.encode_text(world.WORDS).T, top_k=50
    )
    assert (similarity.argmax(dim=1) == torch.arange(len(world.WORDS))).float().mean() >= 0.9
