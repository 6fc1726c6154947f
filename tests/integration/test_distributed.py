"""Ranks of a distributed training look together: the same labels, one file, and no rank left waiting.

Real processes, torchrun for the example; `tests.ranks` says what they run.
"""

from __future__ import annotations

import os
import pickle
import runpy
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import conceptmon_tb as cm

ROOT = Path(__file__).parents[2]
TIMEOUT = 240  # for a busy machine; alone all scenarios take a fraction
TOLERANCE = 1e-5
SCENARIOS = (
    *("labels", "few_batches", "reads", "epochs", "different", "plain_writer", "harmless"),
    *("failures", "failures_sharded", "writing", "one_rank", "forward_sharded", "interrupt"),
    *("groups", "death"),  # the last ones: they end the process group
)
EXACT = ("concept_ids", "top_images", "interpretable", "valid", "top_patches", "explanation_ids", "space")

Told = list[dict[str, Any]]
"""What the scenarios returned, by rank."""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Told]:
    """All scenarios on two ranks, started without torchrun: it would end one rank when the other has died."""
    folder = tmp_path_factory.mktemp("ran")
    command = [sys.executable, "-m", "tests.ranks", str(folder), *SCENARIOS]
    own = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "OMP_NUM_THREADS": "1"}
    ranks = []
    for rank in range(2):
        environment = os.environ | own | {"RANK": str(rank), "WORLD_SIZE": "2"}
        with (folder / f"{rank}.txt").open("w") as output:
            ranks.append(
                subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT)
            )
    try:
        ended = [rank.wait(TIMEOUT) for rank in ranks]
    finally:
        for rank in ranks:
            rank.kill()
    assert ended == [0, 0], "".join((folder / f"{rank}.txt").read_text()[-4000:] for rank in range(2))
    return folder, [pickle.loads((folder / f"{rank}.pickle").read_bytes()) for rank in range(2)]


def free_port() -> int:
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return int(asked.getsockname()[1])


def assert_same(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Ids bit for bit, values within 1e-5."""
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        if value is None or name.endswith(EXACT):
            np.testing.assert_array_equal(ours[name], value, err_msg=name)
        else:
            np.testing.assert_allclose(ours[name], value, rtol=0, atol=TOLERANCE, err_msg=name)


@pytest.mark.parametrize("detector", ["clip-dissect", "dissection"])
@pytest.mark.parametrize("kind", ["plain", "ddp", "fsdp1", "fsdp2"])
def test_labels_are_those_of_one_process_on_every_rank(
    ran: tuple[Path, Told], detector: str, kind: str
) -> None:
    told = [rank["labels"][f"{detector} {kind}"] for rank in ran[1]]
    theirs = told[0][1]  # of rank 0, whose BatchNorm statistics are those of a checkpoint
    assert_same(told[0][0], theirs)
    assert_same(told[1][0], theirs)


def test_statistics_of_the_ranks_differ_where_they_are_told_to_be_rank_0s(ran: tuple[Path, Told]) -> None:
    first, second = (rank["labels"]["clip-dissect ddp"][1]["second.embedding"] for rank in ran[1])
    assert not np.allclose(first, second, atol=1e-3)


@pytest.mark.parametrize("detector", ["clip-dissect", "dissection"])
def test_more_ranks_than_batches(ran: tuple[Path, Told], detector: str) -> None:
    for rank in ran[1]:
        assert_same(*rank["few_batches"][detector])


def test_each_rank_decodes_its_own_batches_only(ran: tuple[Path, Told]) -> None:
    first, second = (set(rank["reads"]) - {0} for rank in ran[1])  # the first tells the size of all
    assert first == set(range(1, 16))
    assert second == set(range(16, 36))


def test_displacement_is_measured_over_epochs(ran: tuple[Path, Told]) -> None:
    told = ran[1][0]["epochs"]
    for ours, theirs in zip(told["ours"], told["theirs"], strict=True):
        assert np.nanmax(theirs) > 0
        np.testing.assert_allclose(ours, theirs, atol=1e-4)  # through an event file


def test_one_rank_writes_one_file_and_the_others_nothing(ran: tuple[Path, Told]) -> None:
    folder = ran[0] / "epochs"
    assert len([*(folder / "run0").glob("*tfevents*")]) == 1
    assert [path.name for path in folder.iterdir()] == ["run0"]
    assert [path.name for path in (ran[0] / "plain_writer").iterdir()] == ["plain"]


def test_weights_that_differ_are_not_mixed(ran: tuple[Path, Told]) -> None:
    first, second = (rank["different"] for rank in ran[1])
    assert_same(first["ours"], first["theirs"])
    assert_same(second["ours"], first["theirs"])
    assert "rank 1 are not those on rank 0" in " ".join(first["warnings"])
    assert second["warnings"] == []


def test_a_scan_that_cannot_be_put_together_sees_the_whole_probe(ran: tuple[Path, Told]) -> None:
    for rank in ran[1]:
        assert_same(*rank["different"]["scanned"])


def test_a_plain_summary_writer_logs_what_all_ranks_saw(ran: tuple[Path, Told]) -> None:
    assert ran[1][0]["plain_writer"]["steps"] == [0]


def test_a_training_is_bit_for_bit_the_training_without(ran: tuple[Path, Told]) -> None:
    for rank in ran[1]:
        assert len(rank["harmless"]) == 9
        assert {name: changed for name, changed in rank["harmless"].items() if changed} == {}


FAILURES = [
    ("failures", "model", 1, "TypeError: model must be a torch.nn.Module"),
    ("failures", "layer", 1, "ValueError: layers: the model has no layer 'first'"),
    ("failures", "forward", 1, "ArithmeticError: the forward broke"),
    ("failures", "sums", 1, "ZeroDivisionError: no sum"),
    ("failures", "scoring", 0, "LookupError: no score"),
    ("failures_sharded", "reading", 1, "OSError: picture"),
    ("failures_sharded", "reading on the way", 1, "OSError: picture"),
    ("failures_sharded", "masks", 1, "OSError: no masks for"),
    ("forward_sharded", "sharded forward", 1, "ArithmeticError: the forward broke"),
    ("writing", "step type True", 1, "TypeError: global_step must be a whole number"),
    ("writing", "step type False", 1, "TypeError: global_step must be a whole number"),
    ("writing", "forward True", 1, "ArithmeticError: the forward broke"),
    ("writing", "repeated True", 0, "ValueError: concepts of first, second"),
    ("writing", "writing", 0, "OSError: [Errno 27] File too large"),
    ("writing", "closed True", 0, "RuntimeError: the writer of"),
    ("writing", "closed False", 0, "RuntimeError: the writer of"),
]


@pytest.mark.parametrize(("scenario", "name", "failing", "text"), FAILURES)
def test_every_rank_is_told_who_failed_and_why(
    ran: tuple[Path, Told], scenario: str, name: str, failing: int, text: str
) -> None:
    for rank in ran[1]:
        kind, message, seconds = rank[scenario][name]
        assert kind == "RankError"
        assert f"rank {failing} of 2 failed" in message
        assert text in message
        assert seconds < TIMEOUT / 4


def test_ranks_go_on_together_after_a_failure(ran: tuple[Path, Told]) -> None:
    for rank in ran[1]:
        after = {k: v for s in ("failures", "failures_sharded") for k, v in rank[s].items() if "after" in k}
        assert len(after) == 10
        assert {name: text for name, (_, text, _) in after.items() if text} == {}


def test_what_all_ranks_do_wrong_is_the_error_of_one_process(ran: tuple[Path, Told]) -> None:
    for rank in ran[1]:
        assert rank["failures"]["everyone"][0] == "ValueError"
        assert "no layer 'first'" in rank["failures"]["everyone"][1]


@pytest.mark.parametrize(
    ("scenario", "name", "what"),
    [
        ("failures", "other layers", "tokens differs: 'auto' on rank 0, 'cls' on rank 1"),
        ("failures", "other pictures", "a picture of the probe differs"),
        ("writing", "other step True", "global_step differs: 0 on rank 0, 1 on rank 1"),
        ("writing", "other step False", "global_step differs: 0 on rank 0, 1 on rank 1"),
    ],
)
def test_ranks_that_do_not_want_the_same_are_told(
    ran: tuple[Path, Told], scenario: str, name: str, what: str
) -> None:
    for rank in ran[1]:
        kind, message, _ = rank[scenario][name]
        assert kind == "ValueError"
        assert what in message


def test_without_strict_training_goes_on_on_all_ranks_and_all_warn(ran: tuple[Path, Told]) -> None:
    for rank in ran[1]:
        told = rank["writing"]
        assert [told[f"{name} False"][1] for name in ("forward", "good", "repeated", "later")] == [""] * 4
        assert "rank 1 of 2 failed" in told["warnings False"][0]
    assert ran[1][0]["writing"]["steps"] == [[2, 3], [2, 3]]


def test_a_call_on_one_rank_alone_ends_with_the_way_out(ran: tuple[Path, Told]) -> None:
    first, second = (rank["one_rank"] for rank in ran[1])
    assert first["lonely 0"][1] == ""  # not strict: a warning
    assert first["lonely 0"][2] >= 1.5
    assert first["lonely 1"][2] < first["lonely 0"][2]
    message = first["warnings"][0]
    assert "rank 0 of 2 waited" in message
    assert "in ConceptWriter.add_concepts for rank 1" in message
    assert "take it out of `if rank == 0:`" in message
    assert "distributed=False" in message
    assert [text for _, text, _ in second["late"]] == ["", ""]
    assert "rank 0 of 2 waited" in second["warnings"][0]
    assert (first["together"][1], second["together"][1]) == ("", "")
    assert first["steps"] == [2]
    assert first["alone"][1] == ""


def test_process_groups_are_the_users(ran: tuple[Path, Told]) -> None:
    first, second = (rank["groups"] for rank in ran[1])
    for told in (first, second):
        assert_same(*told["both"])
        assert_same(*told["anew"])
        for name in ("destroyed", "same monitor anew"):
            np.testing.assert_array_equal(*told[name])
        assert told["groups made"] <= 1  # for all looks and monitors together
        assert not any(told["keys"])
    assert_same(*first["first"])


def test_a_rank_that_dies_in_its_forward_does_not_keep_the_other_waiting(ran: tuple[Path, Told]) -> None:
    for name in ("death", "again"):
        kind, message, seconds = ran[1][0]["death"][name]
        assert kind == "RankError"
        assert "lost touch with another rank" in message
        assert seconds < TIMEOUT / 4


def test_an_interrupted_rank_does_not_keep_the_other_waiting(ran: tuple[Path, Told]) -> None:
    first, second = (rank["interrupt"] for rank in ran[1])
    assert second["interrupt"][0] == "KeyboardInterrupt"
    assert "lost touch with another rank" in first["interrupt"][1]
    for rank in (first, second):
        assert "cannot take part in ConceptMonitor.observe any more" in rank["again"][1]
        assert rank["other group"][1] == ""
        assert max(seconds for _, _, seconds in rank.values()) < TIMEOUT / 4


def test_the_example_runs_by_torchrun(tmp_path: Path) -> None:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command = [*torchrun, "-m", "demo.examples.distributed", "--logdir", str(tmp_path)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run(command, cwd=ROOT, env=environment, timeout=TIMEOUT, check=True)
    assert len([*tmp_path.rglob("*tfevents*")]) == 1
    assert cm.read_run(tmp_path).steps == (0, 1)


def test_the_example_runs_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["distributed", "--logdir", str(tmp_path)])
    runpy.run_module("demo.examples.distributed", run_name="__main__")
    assert cm.read_run(tmp_path).steps == (0, 1)


def test_what_says_nothing_about_ranks_is_refused() -> None:
    with pytest.raises(TypeError, match="distributed must be 'auto', False or a ProcessGroup"):
        cm.ConceptMonitor(["first"], cm.ProbeSet.world(4), distributed=True)
