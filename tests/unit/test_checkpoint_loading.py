"""Reading checkpoints safely, and finding a model's weights in them."""

from __future__ import annotations

import argparse
import json
import pickle
import warnings
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from conceptmon_tb.checkpoints import CheckpointError
from conceptmon_tb.checkpoints.factory import build_model
from conceptmon_tb.checkpoints.files import DamagedError
from conceptmon_tb.checkpoints.keys import Match, match_checkpoint, take_state
from conceptmon_tb.checkpoints.loading import check_classes, own_entries, read_checkpoint


class Net(nn.Module):
    def __init__(self, width: int = 6) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3)
        self.norm = nn.BatchNorm2d(width)
        self.head = nn.Linear(width, 2)


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Linear(4, 4)
        self.decoder = nn.Linear(4, 4)
        self.decoder.weight = self.encoder.weight


class Bomb:
    """Runs code when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return Path.touch, (self.trace,)


def state(width: int = 6) -> dict[str, Tensor]:
    torch.manual_seed(0)
    return dict(Net(width).state_dict())


def prefixed(prefix: str, width: int = 6) -> dict[str, Tensor]:
    return {prefix + name: value for name, value in state(width).items()}


def match(content: Any, model: nn.Module | None = None, **settings: Any) -> Match:
    return match_checkpoint(content, Net() if model is None else model, name="a.pt", **settings)


@pytest.mark.parametrize("legacy", [False, True])
def test_pickled_weights_come_back(tmp_path: Path, legacy: bool) -> None:
    path = tmp_path / "a.pt"
    torch.save({"epoch": 3, "model": state()}, path, _use_new_zipfile_serialization=not legacy)
    content = read_checkpoint(path)
    assert content["epoch"] == 3
    assert all(torch.equal(content["model"][name], value) for name, value in state().items())


def test_safetensors_give_shapes_without_content_and_weights_with(tmp_path: Path) -> None:
    save_file(state(), tmp_path / "a.safetensors")
    shapes = read_checkpoint(tmp_path / "a.safetensors", only_shapes=True)
    assert shapes["conv.weight"].is_meta
    assert shapes["conv.weight"].shape == (6, 3, 3, 3)
    whole = read_checkpoint(tmp_path / "a.safetensors")
    assert all(torch.equal(whole[name], value) for name, value in state().items())


def test_shards_in_a_folder_are_put_together(tmp_path: Path) -> None:
    names = list(state())
    parts = {"model-1.safetensors": names[:3], "model-2.safetensors": names[3:]}
    for file, some in parts.items():
        save_file({name: state()[name] for name in some}, tmp_path / file)
    index = {"weight_map": {name: file for file, some in parts.items() for name in some}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    (tmp_path / "trainer_state.json").write_text('{"global_step": 500}')
    content = read_checkpoint(tmp_path)
    assert match(content).fits
    assert own_entries(tmp_path, content)["global_step"] == 500
    (tmp_path / "model-2.safetensors").unlink()
    with pytest.raises(DamagedError, match=r"names the shard 'model-2.safetensors', which is not beside it"):
        read_checkpoint(tmp_path)


def test_nothing_in_a_checkpoint_is_run(tmp_path: Path) -> None:
    path, trace = tmp_path / "a.pt", tmp_path / "trace"
    torch.save({"model": state(), "extra": Bomb(trace)}, path)
    with pytest.raises(
        CheckpointError, match=r"objects of builtins.getattr, .*can run any command: do not load it"
    ):
        read_checkpoint(path)
    (tmp_path / "b.pt").write_bytes(pickle.dumps({"model": state(), "extra": Bomb(trace)}))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(CheckpointError, match=r"written by pickle, not by torch\.save") as refused:
            read_checkpoint(tmp_path / "b.pt")
    assert not isinstance(refused.value, DamagedError), "skip_damaged must not pass over it"
    torch.save({"model": state(), "extra": Bomb(trace)}, path, _use_new_zipfile_serialization=False)
    with pytest.raises(CheckpointError, match="can run any command: do not load it"):
        read_checkpoint(path)
    assert not trace.exists()


def test_classes_that_are_allowed_are_made(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    torch.save({"model": state(), "args": argparse.Namespace(lr=0.1), "best": np.float64(0.5)}, path)
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path)
    named = str(caught.value).partition("--allow-class ")[2].partition(" (")[0].split()
    assert "argparse.Namespace" in named
    with pytest.raises(CheckpointError, match=r"--allow-class numpy.dtypes.Float64DType "):
        read_checkpoint(path, allow_classes=named)  # what is made by another class is met later
    content = read_checkpoint(path, allow_classes=[*named, "numpy.dtypes.Float64DType"])
    assert content["args"].lr == 0.1
    assert content["best"] == 0.5
    assert argparse.Namespace not in torch.serialization.get_safe_globals()


@pytest.mark.parametrize("name", ["os.system", "builtins.eval", "nowhere.Class", "argparse.Nothing", "int"])
def test_only_classes_that_are_there_can_be_allowed(name: str) -> None:
    with pytest.raises(ValueError, match=f"allow_class '{name}'"):
        check_classes([name])


def test_a_whole_pickled_model_says_how_to_save_it_better(tmp_path: Path) -> None:
    torch.save(Net(), tmp_path / "a.pt")
    with pytest.raises(
        CheckpointError, match=r"a whole pickled model.*torch.save\(model.state_dict\(\), path\)"
    ):
        read_checkpoint(tmp_path / "a.pt")


def test_a_scripted_model_is_a_program(tmp_path: Path) -> None:
    torch.jit.script(nn.Linear(2, 2)).save(tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match="TorchScript archive"):
        read_checkpoint(tmp_path / "a.pt")


@pytest.mark.parametrize("name", ["a.pt", "a.safetensors"])
@pytest.mark.parametrize("keep", [0, 0.02, 0.9])
def test_a_damaged_file_is_named(tmp_path: Path, name: str, keep: float) -> None:
    path = tmp_path / name
    (save_file if name.endswith("safetensors") else torch.save)(state(), path)
    path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
    with pytest.raises(DamagedError, match=f"{name} is damaged"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("content", "key", "prefix"),
    [
        (state(), "", ""),
        ({"epoch": 1, "state_dict": state()}, "state_dict", ""),
        (
            {"model_state_dict": prefixed("module."), "optimizer": {"state": {0: {}}}},
            "model_state_dict",
            "module.",
        ),
        (prefixed("_orig_mod."), "", ""),
        (prefixed("module._orig_mod."), "", "module."),
        ({"state_dict": {**prefixed("model."), "loss.weight": torch.ones(2)}}, "state_dict", "model."),
        ({"state_dict": prefixed("backbone.body.")}, "state_dict", "backbone.body."),
        ({"a": {"b": {"weights": state()}}}, "a.b.weights", ""),
        ({"ema": state(), "model": state()}, "model", ""),
        ({"ema": state()}, "ema", ""),
        ({"ema": {"n_averaged": torch.tensor(3), **prefixed("module.")}}, "ema", "module."),
    ],
)
def test_weights_are_found_where_they_fit(content: Any, key: str, prefix: str) -> None:
    found = match(content)
    assert found.fits
    assert (found.place.key, found.place.prefix) == (key, prefix)
    model = Net()
    model.load_state_dict(take_state(content, found))
    assert all(torch.equal(value, state()[name]) for name, value in model.state_dict().items())


def test_compiled_parts_inside_the_model_do_not_matter() -> None:
    content = {name.replace("conv.", "conv._orig_mod."): value for name, value in state().items()}
    assert match(content).fits


def test_the_place_can_be_told() -> None:
    content = {"model": state(), "ema": state(), "other": {"student": prefixed("s."), "teacher": state(8)}}
    assert match(content, state_key="ema").place.key == "ema"
    assert match(content).others == ("ema", "other.student")
    both = {**prefixed("student."), **prefixed("teacher.")}
    assert match(both, prefix="teacher.").place.prefix == "teacher."
    with pytest.raises(
        CheckpointError, match=r"several parts that fit the model: 'student.', 'teacher.'.*--prefix"
    ):
        match(both)
    with pytest.raises(CheckpointError, match="several entries that fit the model: 'x', 'y'; say which"):
        match({"x": state(), "y": state()})
    with pytest.raises(
        CheckpointError, match="no weights at state_key 'emma'; it has them at 'model', 'ema'"
    ):
        match(content, state_key="emma")


def test_tied_weights_may_be_saved_once_and_batch_counters_not_at_all() -> None:
    tied = dict(Tied().state_dict())
    del tied["decoder.weight"]
    assert match(tied, Tied()).fits
    without = {name: value for name, value in state().items() if "num_batches" not in name}
    assert match(without).fits


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            {**state(), "head.weight": torch.ones(10, 6)},
            r"1 of another shape \(head.weight \(10, 6\) instead of",
        ),
        ({k: v for k, v in state().items() if k != "conv.bias"}, r"1 missing \(conv.bias\)"),
        ({**state(), "fc.bias": torch.ones(2)}, r"1 unexpected \(fc.bias\).*--ignore-keys 'fc.\*'"),
        ({**state(), "t.conv.bias": torch.ones(6)}, "1 unexpected"),
        (
            {"model": state(8), "ema": state(8)},
            r"\(model\) does not match .* 7 of another shape.*--state-key",
        ),
        ({"x": {"y.z": torch.ones(3)}}, "8 missing .* 0 of its weights fit$"),
        ({"lr": 0.1}, "holds no named tensors"),
        ([1, 2], "holds no named tensors"),
    ],
)
def test_what_does_not_fit_is_listed(content: Any, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        match(content)


def test_names_that_may_not_fit_are_left_as_they_are() -> None:
    content = {**state(), "head.weight": torch.ones(10, 6), "extra.bias": torch.ones(2)}
    del content["head.bias"]
    found = match(content, ignore_keys=["head.*", "extra.*"])
    assert set(found.ignored) == {"head.weight", "head.bias", "extra.bias"}
    assert set(take_state(content, found)) == {name for name in state() if not name.startswith("head.")}


def test_versions_of_modules_come_along() -> None:
    content = OrderedDict(state())
    content._metadata = {"": {"version": 1}}  # type: ignore[attr-defined]
    assert take_state(content, match(content))._metadata == {"": {"version": 1}}  # type: ignore[attr-defined]


def test_factories_come_from_modules_files_functions_and_modules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "sizes.py").write_text("WIDTH = 7\n")
    code = (
        "from torch import nn\nfrom sizes import WIDTH\ndef make(width=WIDTH): return nn.Linear(2, width)\n"
    )
    (tmp_path / "own_model.py").write_text(code)
    for source in ("own_model:make", "own_model.py:make", str(tmp_path / "own_model.py:make")):
        assert build_model(source).out_features == 7
    assert build_model("own_model:make", {"width": 3}).out_features == 3
    net = Net()
    copied = build_model(net)
    assert copied is not net
    assert torch.equal(copied.head.weight, net.head.weight)
    before = torch.get_rng_state()
    assert torch.equal(build_model(Net).head.weight, build_model(Net).head.weight)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("source", "arguments", "message"),
    [
        ("nets", None, "model must be 'package.module:name' or 'file.py:name', got 'nets'"),
        ("no_such_module:Net", None, "there is no module 'no_such_module'"),
        ("no_such_file.py:Net", None, "there is no file"),
        ("torch.nn:Linaer", None, "torch.nn has no 'Linaer'; it has"),
        (
            "torch.nn:Linear",
            {"in": 3},
            r"the factory torch.nn:Linear\(in=3\) failed: TypeError: .*--model-args",
        ),
        ("own_broken:make", None, "importing it failed: .*ZeroDivisionError|importing it failed: division"),
        (nn.ReLU(), {"a": 1}, "model is a ReLU already"),
    ],
)
def test_a_factory_that_cannot_be_used_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: Any, arguments: Any, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_broken.py").write_text("1 / 0\n")
    with pytest.raises(ValueError, match=message):
        build_model(source, arguments)


def test_a_factory_must_give_a_module() -> None:
    with pytest.raises(TypeError, match=r"the factory builtins:dict must give a torch.nn.Module, got dict"):
        build_model("builtins:dict")
    with pytest.raises(TypeError, match="model must be a factory or a module, got int"):
        build_model(3)  # type: ignore[arg-type]
