"""Which files are checkpoints, and which step each belongs to."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from conceptmon_tb.checkpoints import CheckpointError, find_checkpoints
from conceptmon_tb.checkpoints.files import digest_file
from conceptmon_tb.checkpoints.steps import find_steps
from conceptmon_tb.cli import make_parser


def put(folder: Path, *names: str) -> list[Path]:
    paths = [folder / name for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"weights")
    return paths


def names(paths: list[Path]) -> list[str]:
    return [path.name for path in paths]


def steps(*names: str, **settings) -> tuple[int, ...]:
    own = settings.pop("own", [{}] * len(names))
    return find_steps([Path(name) for name in names], own, **settings).steps


def test_files_come_in_natural_order_each_once(tmp_path: Path) -> None:
    put(tmp_path, "epoch10.pt", "epoch9.pt", "notes.txt", "sub/epoch1.pt")
    (tmp_path / "last.pt").symlink_to(tmp_path / "epoch10.pt")
    found = find_checkpoints([tmp_path / "*", tmp_path / "epoch9.pt"])
    assert names(found) == ["epoch9.pt", "epoch10.pt"]
    assert names(find_checkpoints(str(tmp_path / "**/*.pt"))) == ["epoch9.pt", "epoch10.pt", "epoch1.pt"]


def test_a_folder_is_one_checkpoint_or_holds_some(tmp_path: Path) -> None:
    put(tmp_path, "checkpoint-500/model.safetensors", "checkpoint-1500/pytorch_model.bin", "runs/x.txt")
    assert names(find_checkpoints(tmp_path)) == ["checkpoint-500", "checkpoint-1500"]
    assert names(find_checkpoints(tmp_path / "checkpoint-500")) == ["checkpoint-500"]
    assert names(find_checkpoints(tmp_path / "check*")) == ["checkpoint-500", "checkpoint-1500"]


def test_nothing_found_says_where_and_what_was_looked_for(tmp_path: Path) -> None:
    put(tmp_path, "a.pt", "sub/notes.txt")
    with pytest.raises(FileNotFoundError, match=r"no checkpoints match '.*b\*.pt' .*\.safetensors"):
        find_checkpoints(tmp_path / "b*.pt")
    with pytest.raises(CheckpointError, match=r"sub is a folder without weights; it should hold model.safe"):
        find_checkpoints(tmp_path / "sub")
    with pytest.raises(ValueError, match="checkpoints is empty"):
        find_checkpoints([])


def test_shards_of_a_distributed_checkpoint_name_their_mend(tmp_path: Path) -> None:
    put(tmp_path, "step1/.metadata", "step1/__0_0.distcp")
    with pytest.raises(CheckpointError, match="dcp_to_torch"):
        digest_file(tmp_path / "step1")


def test_a_digest_tells_contents_apart_wherever_they_differ(tmp_path: Path) -> None:
    first, second, same = put(tmp_path, "a.pt", "b.pt", "c.pt")
    content = torch.arange(1 << 20, dtype=torch.int32).numpy()
    first.write_bytes(content.tobytes())
    same.write_bytes(content.tobytes())
    second.write_bytes((content + 1).tobytes())
    assert digest_file(first) == digest_file(same) != digest_file(second)


@pytest.mark.parametrize(
    ("files", "wanted"),
    [
        (["epoch=3-step=120.ckpt", "epoch=4-step=160.ckpt"], (120, 160)),  # Lightning logs losses by step
        (["epoch=3.ckpt", "epoch=3-v1.ckpt", "epoch=5.ckpt"], None),
        (["epoch9.pt", "epoch10.pt"], (9, 10)),
        (["checkpoint-500", "checkpoint-1000"], (500, 1000)),
        (["resnet18_e_7.pth", "resnet18_e_12.pth"], (7, 12)),
        (["net_v2_007.pth.tar", "net_v2_012.pth.tar"], (7, 12)),
        (["model12.pt", "model13.pt"], (12, 13)),
        (["ep3_loss0.25.pt", "ep4_loss0.21.pt"], (3, 4)),
        (["iter_1000.pt", "iter_2000.pt"], (1000, 2000)),
        (["epoch3/model.safetensors", "epoch4/model.safetensors"], (3, 4)),
        (["run-step=0/epoch3.pt", "run-step=0/epoch4.pt"], (3, 4)),
        (["12.pt", "3.pt"], (12, 3)),
    ],
)
def test_names_tell_steps(files: list[str], wanted: tuple[int, ...] | None) -> None:
    if wanted is None:
        with pytest.raises(CheckpointError, match="same step"):
            steps(*files)
    else:
        assert steps(*files) == wanted


def test_another_number_of_the_name_can_be_asked_for() -> None:
    files = ["epoch=3-step=120.ckpt", "epoch=4-step=160.ckpt"]
    assert steps(*files, source="epoch") == (3, 4)
    assert steps(*files, source="number") == (120, 160)
    assert steps(*files, pattern=r"ch=(\d+)") == (3, 4)


def test_a_checkpoints_own_entries_tell_where_its_name_does_not() -> None:
    own = [{}, {"epoch": 5, "global_step": torch.tensor(200)}]
    found = find_steps([Path("epoch=3-step=120.ckpt"), Path("last.ckpt")], own)
    assert found.steps == (120, 200)
    assert found.told_by == ("name (step)", "its entry 'global_step'")
    assert steps("best.pt", "good.pt", own=[{"epoch": 7}, {"epoch": 2.0}]) == (7, 2)


@pytest.mark.parametrize(
    ("files", "settings", "message"),
    [
        (["a/x_3.pt", "b/x_3.pt"], {}, r"same step \(by number\): 3: a/x_3.pt, b/x_3.pt"),
        (["best.pt", "epoch2.pt"], {}, r"not known \(.*no epoch in best.pt.*--step-pattern"),
        (["epoch2.pt"], {"source": "step"}, "no step in epoch2.pt"),
        (["a1.pt", "b.pt"], {"pattern": r"(\d+)"}, "in 1 of 2 checkpoints: b.pt; found: a1.pt -> 1"),
        (["a1.pt"], {"pattern": r"a(.)\.pt|x"}, None),
        (["ab.pt"], {"pattern": r"a(.)\.pt"}, "no whole number in 1 of 1"),
        (["a99999999999999999999.pt"], {}, "step must be between -1 and"),
    ],
)
def test_steps_that_are_not_clear_are_refused(files: list[str], settings: dict, message: str | None) -> None:
    if message is None:
        assert steps(*files, **settings) == (1,)
        return
    with pytest.raises(CheckpointError, match=message):
        steps(*files, **settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pattern": "("}, "no regular expression"),
        ({"pattern": "epoch"}, "has no group; put the number in parentheses"),
        ({"source": "wall"}, "step_from must be one of auto, step, epoch, number, got 'wall'"),
    ],
)
def test_a_wrong_way_to_tell_steps_is_refused(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        steps("epoch1.pt", **settings)


def test_every_flag_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "backfill.md").read_text(encoding="utf-8")
    (commands,) = (action for action in make_parser()._actions if action.dest == "command")
    flags = [flag for action in commands.choices["backfill"]._actions for flag in action.option_strings]
    assert "--step-pattern" in flags
    assert [flag for flag in flags if flag not in ("-h", "--help") and f"`{flag}" not in text] == []
