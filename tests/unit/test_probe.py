# ruff: noqa: NPY002 (the legacy stream is what must be kept)
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torchvision import transforms

from conceptmon_tb.probe import ProbeSet


def draw(count: int, size: int = 12, seed: int = 0) -> list[Image.Image]:
    pixels = np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), dtype=np.uint8)
    return [Image.fromarray(p) for p in pixels]


def stack(probe: ProbeSet) -> Tensor:
    return torch.cat([batch.clone() for batch in probe.batches()])


def test_pictures_tuples_mappings_arrays_and_tensors_are_the_same_probe() -> None:
    pictures = draw(5)
    arrays = [np.asarray(p) for p in pictures]
    tensors = [torch.from_numpy(a.transpose(2, 0, 1).copy()) for a in arrays]
    sources = [
        pictures,
        [(p, 3) for p in pictures],
        [{"image": p, "label": 3} for p in pictures],
        arrays,
        np.stack(arrays),
        tensors,
        torch.stack(tensors),
        [t.float() / 255 for t in tensors],
    ]
    probes = [ProbeSet(source, batch_size=2) for source in sources]
    assert len({probe.fingerprint for probe in probes}) == 1
    for probe in probes:
        assert torch.allclose(stack(probe), torch.stack(tensors).float() / 255)


def test_fingerprint_is_of_content_and_order_not_of_names(tmp_path: Path) -> None:
    pictures = draw(3)
    for folder, names in (("one", "abc"), ("two", "xyz")):
        (tmp_path / folder / "sub").mkdir(parents=True)
        for picture, name in zip(pictures, names, strict=True):
            picture.save(tmp_path / folder / "sub" / f"{name}.png")
    (tmp_path / "one" / "notes.txt").write_text("not an image")
    one, two = ProbeSet(tmp_path / "one"), ProbeSet(str(tmp_path / "two"))
    assert one.fingerprint == two.fingerprint == ProbeSet(pictures).fingerprint
    assert one.fingerprint != ProbeSet(pictures[::-1]).fingerprint


def test_a_limit_spreads_over_the_source() -> None:
    pictures = draw(10)
    probe = ProbeSet(pictures, max_images=5)
    assert [pictures.index(probe.picture(i)) for i in range(len(probe))] == [0, 2, 4, 6, 8]


def test_the_model_sees_the_transform_and_the_encoder_the_picture() -> None:
    pictures = draw(3)
    normalise = transforms.Compose([transforms.ToTensor(), transforms.Normalize(0.5, 0.25)])
    probe = ProbeSet(pictures, normalise)
    assert torch.equal(stack(probe)[1], normalise(pictures[1]))
    assert probe.picture(1) == pictures[1]


def test_grey_images_keep_one_channel_for_the_model_and_three_for_the_encoder() -> None:
    probe = ProbeSet([picture.convert("L") for picture in draw(2)])
    assert stack(probe).shape == (2, 1, 12, 12)
    assert probe.picture(0).mode == "RGB"


def test_thumbnails_are_central_squares() -> None:
    wide = Image.new("RGB", (90, 30), (255, 0, 0))
    wide.paste((0, 0, 255), (30, 0, 60, 30))
    probe = ProbeSet([wide, wide], thumbnail_size=16)
    assert probe.thumbnails.shape == (2, 16, 16, 3)
    assert (probe.thumbnails[0] == [0, 0, 255]).all()
    chosen = probe.images([1])
    assert chosen.ids.tolist() == [1]
    assert chosen.thumbnails.shape == (1, 16, 16, 3)


@pytest.mark.parametrize("source", [[], (), np.zeros((0, 4, 4, 3), np.uint8)])
def test_an_empty_probe_set_is_refused(source: object) -> None:
    with pytest.raises(ValueError, match="probe set is empty"):
        ProbeSet(source)


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"empty.*holds no image files"):
        ProbeSet(tmp_path)
    with pytest.raises(ValueError, match="is no folder"):
        ProbeSet(tmp_path / "nowhere")


def test_different_sizes_without_transform_name_the_sizes_and_the_mend(tmp_path: Path) -> None:
    pictures = [*draw(3), *draw(1, size=20)]
    for i, picture in enumerate(pictures):
        picture.save(tmp_path / f"{i}.png")
    for source in (pictures, tmp_path):
        with pytest.raises(ValueError, match=r"different sizes.*\(12, 12\).*\(20, 20\).*transform="):
            ProbeSet(source)
    resized = ProbeSet(pictures, transforms.Compose([transforms.Resize((8, 8)), transforms.ToTensor()]))
    assert stack(resized).shape == (4, 3, 8, 8)


def test_different_sizes_after_the_transform_are_refused() -> None:
    probe = ProbeSet([*draw(3), *draw(1, size=20)], transforms.ToTensor())
    with pytest.raises(ValueError, match="different sizes after transform"):
        stack(probe)


def test_normalised_tensors_ask_for_raw_images_and_a_transform() -> None:
    with pytest.raises(ValueError, match=r"looks normalised.*transform=eval_transform"):
        ProbeSet([torch.randn(3, 4, 4) * 2])


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (iter([1]), "map-style dataset"),
        (5, "map-style dataset"),
        (["a.png"], "PIL image, an array or a tensor"),
        ([{"pixels": 1}], 'without "image"'),
    ],
)
def test_what_is_no_image_is_refused(source: object, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        ProbeSet(source)


def test_a_transform_that_gives_no_tensor_is_refused() -> None:
    with pytest.raises(TypeError, match="ToTensor"):
        ProbeSet(draw(2), transforms.Resize(4))


def test_a_random_transform_warns_and_is_the_same_at_every_epoch() -> None:
    def shaken(picture: Image.Image) -> Tensor:
        return transforms.ToTensor()(picture) + torch.rand(()) + random.random() + np.random.rand()

    with pytest.warns(UserWarning, match="transform is random"):
        probe = ProbeSet(draw(4), shaken, cache_bytes=0, batch_size=3)
    assert torch.equal(stack(probe), stack(probe))


def test_reading_does_not_touch_the_global_random_streams() -> None:
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    expected = (random.random(), np.random.rand(), float(torch.rand(())))
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    probe = ProbeSet(
        draw(4), transforms.Compose([transforms.RandomHorizontalFlip(0.0), transforms.ToTensor()])
    )
    stack(probe), probe.fingerprint
    assert (random.random(), np.random.rand(), float(torch.rand(()))) == expected


def test_inputs_are_decoded_once_when_they_fit_in_the_cache() -> None:
    calls = []

    def counting(picture: Image.Image) -> Tensor:
        calls.append(picture)
        return transforms.ToTensor()(picture)

    kept, fresh = (ProbeSet(draw(4), counting, cache_bytes=size) for size in (1 << 20, 0))
    stack(kept)
    calls.clear()
    stack(kept)
    assert not calls
    stack(fresh)
    assert len(calls) >= 4


def test_a_model_that_writes_to_its_input_does_not_spoil_the_next_epoch() -> None:
    probe = ProbeSet(draw(5), batch_size=2)
    before = stack(probe)
    for _ in range(2):
        for batch in probe.batches():
            batch.sub_(7)
        assert torch.equal(stack(probe), before)


def test_the_worlds_pictures_are_a_probe_set_of_their_own() -> None:
    probe = ProbeSet.world(6, size=32)
    assert len(probe) == 6
    assert stack(probe).shape == (6, 3, 32, 32)
    assert probe.fingerprint == ProbeSet.world(6, size=32).fingerprint
