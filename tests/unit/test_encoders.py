import json
import shutil
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from torchvision import transforms

from conceptmon_tb.encoders import (
    ConceptEncoder,
    EncoderMismatchError,
    OpenClipEncoder,
    WorldEncoder,
    embed_probe,
)
from conceptmon_tb.probe import ProbeSet
from conceptmon_tb.world import WORLD_CLIP_DIR

CONFIG = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16},
    "text_cfg": {"context_length": 12, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}
PREPROCESS = {"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.25, 0.3]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An open_clip folder with a tiny model of random weights."""
    root = tmp_path_factory.mktemp("clip") / "tiny-clip"
    root.mkdir()
    (root / "open_clip_config.json").write_text(
        json.dumps({"model_cfg": CONFIG, "preprocess_cfg": PREPROCESS})
    )
    (root.parent / "tiny-test-clip.json").write_text(json.dumps(CONFIG))
    torch.manual_seed(0)
    model = open_clip.create_model(f"local-dir:{root}")
    torch.save(model.state_dict(), root / "open_clip_pytorch_model.bin")
    return root


@pytest.fixture
def encoder(folder: Path, tmp_path: Path) -> OpenClipEncoder:
    return OpenClipEncoder(f"local-dir:{folder}", device="cpu", cache_dir=tmp_path / "cache")


@pytest.fixture
def probe() -> ProbeSet:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 40, 40, 3), dtype=np.uint8)
    return ProbeSet([Image.fromarray(p) for p in pixels])


def test_embeddings_are_those_of_open_clip_at_unit_length(encoder: OpenClipEncoder, probe: ProbeSet) -> None:
    batch = torch.stack([encoder.image_transform(picture) for picture in probe.pictures()])
    tokens = open_clip.SimpleTokenizer(context_length=12)(["a dog", "red"])
    with torch.no_grad():
        images = encoder.model.encode_image(batch, normalize=True)
        texts = encoder.model.encode_text(tokens, normalize=True)
    assert torch.allclose(encoder.encode_images(list(probe.pictures())), images, atol=1e-6)
    assert torch.allclose(encoder.encode_images(batch), images, atol=1e-6)
    assert torch.allclose(encoder.encode_text(["a dog", "red"]), texts, atol=1e-6)
    assert encoder.dim == 16


def test_both_encoders_fulfil_the_protocol(encoder: OpenClipEncoder) -> None:
    assert isinstance(encoder, ConceptEncoder)
    assert isinstance(WorldEncoder(), ConceptEncoder)
    assert encoder.note == ""


def test_a_folder_a_config_file_and_a_local_dir_are_the_same_encoder(
    folder: Path, encoder: OpenClipEncoder, tmp_path: Path
) -> None:
    plain = OpenClipEncoder(str(folder), device="cpu", cache_dir=tmp_path)
    assert plain.fingerprint == encoder.fingerprint
    weights = str(folder / "open_clip_pytorch_model.bin")
    by_file = OpenClipEncoder(
        str(folder.parent / "tiny-test-clip.json"), weights, "cpu", cache_dir=tmp_path, preprocess=PREPROCESS
    )
    assert torch.allclose(by_file.encode_text(["dog"]), encoder.encode_text(["dog"]), atol=1e-6)


def test_templates_are_averaged_and_change_the_fingerprint(folder: Path, tmp_path: Path) -> None:
    bare, *others = (
        OpenClipEncoder(str(folder), device="cpu", cache_dir=tmp_path, templates=templates)
        for templates in (("{}",), ("a {}",), ("{}", "a {}"))
    )
    mean = bare.encode_text(["dog"]) + others[0].encode_text(["dog"])
    assert torch.allclose(others[1].encode_text(["dog"]), mean / mean.norm(), atol=1e-6)
    assert len({bare.fingerprint, *(other.fingerprint for other in others)}) == 3
    with pytest.raises(ValueError, match="templates"):
        OpenClipEncoder(str(folder), device="cpu", cache_dir=tmp_path, templates=("a photo",))


def test_making_an_encoder_does_not_touch_the_random_stream(folder: Path, tmp_path: Path) -> None:
    before = torch.get_rng_state()
    OpenClipEncoder(str(folder), device="cpu", cache_dir=tmp_path).encode_text(["dog"])
    assert torch.equal(torch.get_rng_state(), before)


def test_unknown_names_tags_and_folders_list_the_nearest(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"'ViT-B16' is no open_clip model.*ViT-B-16"):
        OpenClipEncoder("ViT-B16", "openai")
    with pytest.raises(ValueError, match=r"neither a file nor a tag.*openai"):
        OpenClipEncoder("ViT-B-16", "opneai")
    with pytest.raises(ValueError, match=r"open_clip_config.json"):
        OpenClipEncoder(f"local-dir:{tmp_path}")
    with pytest.raises(ValueError, match=r"leave it out"):
        OpenClipEncoder(str(folder), "openai")


def test_random_weights_are_said_to_mean_nothing(folder: Path, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="random weights"):
        random = OpenClipEncoder(str(folder.parent / "tiny-test-clip.json"), device="cpu", cache_dir=tmp_path)
    assert "mean nothing" in random.note


@pytest.mark.parametrize(
    "transform",
    [
        transforms.Compose([transforms.Resize((24, 24)), transforms.ToTensor()]),
        transforms.Compose([transforms.Resize((32, 32)), transforms.ToTensor()]),
    ],
    ids=["size", "normalisation"],
)
def test_an_image_transform_of_another_model_is_refused(folder: Path, transform: object) -> None:
    with pytest.raises(EncoderMismatchError, match="image_transform"):
        OpenClipEncoder(str(folder), image_transform=transform)


def test_a_tokenizer_of_another_model_is_refused(folder: Path) -> None:
    with pytest.raises(EncoderMismatchError, match="77 tokens, the model takes 12"):
        OpenClipEncoder(str(folder), tokenizer=open_clip.SimpleTokenizer())
    merges = WORLD_CLIP_DIR / "bpe_world.txt.gz"
    with pytest.raises(EncoderMismatchError, match="text tower 49408"):
        OpenClipEncoder(
            str(folder), tokenizer=open_clip.SimpleTokenizer(bpe_path=str(merges), context_length=12)
        )


def test_embeddings_are_found_again_by_content(
    folder: Path, tmp_path: Path, probe: ProbeSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = OpenClipEncoder(str(folder), device="cpu", cache_dir=tmp_path)
    images, words = embed_probe(first, probe), first.encode_text(["dog", "red"])
    second = OpenClipEncoder(str(folder), device="cpu", cache_dir=tmp_path)
    second.fingerprint  # noqa: B018 (tokenises a text, before the towers are taken away)
    monkeypatch.setattr(second, "_embed", None)
    assert torch.equal(embed_probe(second, ProbeSet(list(probe.pictures()))), images)
    assert torch.equal(second.encode_text(["dog", "red"]), words)
    with pytest.raises(TypeError):
        second.encode_text(["red", "dog"])


def test_a_damaged_cache_entry_is_computed_anew(folder: Path, tmp_path: Path, probe: ProbeSet) -> None:
    encoder = OpenClipEncoder(str(folder), device="cpu", cache_dir=tmp_path)
    expected = embed_probe(encoder, probe)
    for entry in tmp_path.glob("*.safetensors"):
        entry.write_bytes(entry.read_bytes()[:50])
    assert torch.equal(embed_probe(encoder, probe), expected)


def test_a_cache_that_cannot_be_written_warns_once_and_goes_on(
    folder: Path, tmp_path: Path, probe: ProbeSet, caplog: pytest.LogCaptureFixture
) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("")
    encoder = OpenClipEncoder(str(folder), device="cpu", cache_dir=blocker / "cache")
    embed_probe(encoder, probe)
    encoder.encode_text(["dog", "red"])
    assert len([r for r in caplog.records if "CONCEPTMON_CACHE" in r.getMessage()]) == 1


def test_the_cache_folder_follows_the_environment(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONCEPTMON_CACHE", str(tmp_path / "chosen"))
    OpenClipEncoder(str(folder), device="cpu").encode_text(["dog", "red"])
    assert len(list((tmp_path / "chosen").iterdir())) == 1


def test_openai_weights_get_the_activation_that_they_were_trained_with(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen = {}

    def refuse(*args: object, **options: object) -> None:
        seen.update(options)
        raise OSError("no network")

    monkeypatch.setattr(open_clip, "create_model_and_transforms", refuse)
    with pytest.raises(OSError, match="no network"):
        OpenClipEncoder("ViT-B-16", "openai", cache_dir=tmp_path)
    assert seen["force_quick_gelu"] is True


def test_a_local_weights_file_gets_the_published_transform_of_its_model(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen = {}
    weights = tmp_path / "weights.safetensors"
    weights.write_bytes(b"")

    def refuse(*args: object, **options: object) -> None:
        seen.update(options)
        raise OSError("stop here")

    monkeypatch.setattr(open_clip, "create_model_and_transforms", refuse)
    with pytest.raises(OSError, match="stop here"):
        OpenClipEncoder("ViT-B-16-SigLIP", str(weights), cache_dir=tmp_path)
    assert tuple(seen["image_mean"]) == (0.5, 0.5, 0.5)
    assert seen["image_resize_mode"] == "squash"


def test_the_bundled_encoder_knows_its_words_and_says_what_it_is() -> None:
    encoder = WorldEncoder()
    encoder.check_words(["dog", "grass", "red"])
    with pytest.raises(ValueError, match=r"does not know 2 of 3 words.*giraffe.*OpenClipEncoder"):
        encoder.check_words(["giraffe", "spanner", "dog"])
    with pytest.warns(UserWarning, match="giraffe"):
        encoder.check_words(["giraffe", "cat", "dog"])
    assert encoder.note.startswith("demo encoder")
    assert encoder.encode_text(["dog", "red"]).shape == (2, encoder.dim)


def test_making_the_bundled_encoder_does_not_touch_the_random_stream() -> None:
    before = torch.get_rng_state()
    WorldEncoder()
    assert torch.equal(torch.get_rng_state(), before)


def test_the_bundled_files_load_through_the_real_encoder_too(tmp_path: Path) -> None:
    copy = tmp_path / "world"
    shutil.copytree(WORLD_CLIP_DIR, copy)
    same = OpenClipEncoder(str(copy), device="cpu", cache_dir=tmp_path / "cache")
    assert same.fingerprint == WorldEncoder().fingerprint
