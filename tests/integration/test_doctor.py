"""`conceptmon doctor`: what it finds, what its clean copy keeps, and that the original stays as it is."""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections import Counter
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from torch.utils.tensorboard import SummaryWriter

from conceptmon_tb.cli import main
from conceptmon_tb.doctor import examine, repair
from conceptmon_tb.event_files import Code, event_files, frame_record, read_records
from conceptmon_tb.evolution_records import pack_evolutions
from conceptmon_tb.metadata import ALERTS_TAG, evolutions_tag
from conceptmon_tb.reader import read_run
from conceptmon_tb.summary import concept_summary, space_summary
from conceptmon_tb.writer import ConceptWriter, add_concepts
from tests.crash import log_epochs, read, stamped
from tests.synthetic import SyntheticRun, make_snapshots, make_space, write_run
from tests.unit.test_evolution_records import make_table

SMALL = {"layer1": 8}
LAYERS = {"layer1": 6, "a/b": 8}


def fingerprint(folder: Path) -> dict[str, tuple[str, int, int]]:
    """Content and times of everything below a folder."""
    return {
        str(path.relative_to(folder)): (
            hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "",
            path.stat().st_mtime_ns,
            path.stat().st_size if path.is_file() else 0,
        )
        for path in [folder, *folder.rglob("*")]
    }


def damaged_run(folder: Path) -> Path:
    """Five epochs: of the second, bits of a layer are flipped; of the third, the length of its record."""
    write_run(folder, epochs=5, layers=LAYERS)
    (file,) = event_files(folder)
    data = bytearray(file.read_bytes())
    epochs = [record for record in read_records(file) if record.nbytes > 3000][1:]
    data[data.index(b'{"kind":"neurons"', epochs[1].offset) + 3] ^= 4
    data[epochs[2].offset + 2] ^= 1
    file.write_bytes(data)
    return file


def test_a_clean_run_is_described(tmp_path: Path) -> None:
    write_run(tmp_path / "run", epochs=3, layers=LAYERS)
    (run,) = examine(tmp_path).runs
    assert (run.name, run.sessions, run.steps, run.problems) == ("run", 1, (0, 1, 2), ())
    assert [(layer.name, layer.neurons, layer.steps) for layer in run.layers] == [
        ("a/b", 8, (0, 1, 2)),
        ("layer1", 6, (0, 1, 2)),
    ]
    assert [(space.fingerprint, space.words, space.is_used) for space in run.spaces] == [
        (make_space().fingerprint, 72, True)
    ]
    assert run.schemas == (1,)
    assert run.images == len(read_run(tmp_path / "run").images.ids)
    (file,) = run.files
    assert (file.first_step, file.last_step, file.starts) == (0, 2, (0,))
    assert file.writer.endswith(f".{os.getpid()}")
    assert file.nbytes == run.nbytes == event_files(tmp_path / "run")[0].stat().st_size
    assert run.plugins.keys() == {"scalars"}


def test_damage_is_told_by_place_and_reason_and_what_is_behind_it_is_saved(tmp_path: Path) -> None:
    file = damaged_run(tmp_path / "logs" / "run")
    records = {record.damage.code: record for record in read_records(file) if record.damage}
    problems = {problem.code: problem for problem in examine(tmp_path / "logs").problems}
    assert problems.keys() == {"data checksum", "length checksum", "unreachable", "incomplete"}
    for code, record in records.items():
        assert (problems[code].offset, problems[code].record) == (record.offset, record.number)
        assert problems[code].file == file.name
    repair(tmp_path / "logs", tmp_path / "copy")
    assert examine(tmp_path / "copy").is_clean
    run = read_run(tmp_path / "copy" / "run")
    # Of the second epoch the other layer's payloads have a right checksum of their own.
    assert {layer: sorted(steps) for layer, steps in run.snapshots.items()} == {
        "layer1": [0, 3, 4],
        "a/b": [0, 1, 3, 4],
    }
    written = list(make_snapshots(5, LAYERS))
    for layer, steps in run.snapshots.items():
        for step, snapshot in steps.items():
            np.testing.assert_array_equal(snapshot.position, written[step][layer].position)
            assert snapshot.words == written[step][layer].words


@pytest.mark.parametrize("seed", range(6))
def test_whatever_is_flipped_or_cut_out_all_untouched_epochs_are_in_the_copy(
    tmp_path: Path, seed: int
) -> None:
    log_epochs(tmp_path / "logs" / "run", 0, range(8), layers=SMALL)
    (file,) = event_files(tmp_path / "logs" / "run")
    epochs = [record for record in read_records(file) if record.nbytes > 2000]
    data, dice = bytearray(file.read_bytes()), random.Random(seed)
    # The first epoch, with the concept space, stays: nothing is left of a run that lost its only space.
    places = sorted(dice.randrange(epochs[1].offset, len(data)) for _ in range(2))
    gap = dice.randrange(1, 400)
    data[places[1]] ^= 1 << dice.randrange(8)
    del data[places[0] : places[0] + gap]
    file.write_bytes(data)
    repair(tmp_path / "logs", tmp_path / "copy")
    assert not examine(tmp_path / "logs").is_clean
    assert examine(tmp_path / "copy").is_clean
    hit = (range(places[0], places[0] + gap), range(places[1], places[1] + 1))
    untouched = {
        step
        for step, record in enumerate(epochs)
        if not any(h.start < record.offset + record.nbytes and record.offset < h.stop for h in hit)
    }
    kept = {step for step, _ in read(tmp_path / "copy" / "run")}
    assert kept >= untouched >= {0}


def test_the_original_is_not_changed_in_any_way(tmp_path: Path) -> None:
    damaged_run(tmp_path / "logs" / "run")
    os.utime(tmp_path / "logs", (1, 1))
    before = fingerprint(tmp_path / "logs")
    assert main(["doctor", str(tmp_path / "logs"), "--repair", str(tmp_path / "out")]) == 1
    assert fingerprint(tmp_path / "logs") == before


@pytest.mark.parametrize("out", ["logs", "logs/inside", ".", "full", "file"])
def test_a_copy_goes_only_where_nothing_is(
    tmp_path: Path, out: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path / "logs" / "run", epochs=1, layers=SMALL)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes").write_text("mine")
    (tmp_path / "file").write_text("mine")
    before = fingerprint(tmp_path)
    assert main(["doctor", str(tmp_path / "logs"), "--repair", str(tmp_path / out)]) == 2
    assert "conceptmon doctor: OUT" in capsys.readouterr().err
    assert fingerprint(tmp_path) == before


def test_exit_codes_tell_clean_from_ill_from_wrong_usage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path / "clean", epochs=1, layers=SMALL)
    damaged_run(tmp_path / "ill")
    (tmp_path / "empty").mkdir()
    assert main(["doctor", str(tmp_path / "clean")]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "1 run: clean"
    assert main(["doctor", str(tmp_path)]) == 1
    said = capsys.readouterr().out
    assert said.splitlines()[-1] == "4 problems in 1 of 2 runs"
    assert "damaged  length checksum: events.out.tfevents." in said
    for wrong in ("empty", "nowhere"):
        assert main(["doctor", str(tmp_path / wrong)]) == 2
        assert "LOGDIR" in (said := capsys.readouterr().err) or "no event files" in said
    with pytest.raises(SystemExit, match="2"):
        main(["doctor"])


def test_json_has_everything(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = damaged_run(tmp_path / "logs" / "run")
    assert main(["doctor", str(tmp_path / "logs"), "--json", "--repair", str(tmp_path / "out")]) == 1
    answer = json.loads(capsys.readouterr().out)
    (run,) = answer["runs"]
    assert (answer["clean"], answer["problems"], run["name"], run["steps"]) == (False, 4, "run", [0, 1, 3, 4])
    assert run["files"][0]["name"] == file.name
    assert {finding["code"] for finding in run["findings"]} >= {"data checksum", "length checksum"}
    assert answer["repair"]["runs"][0]["salvaged"] > 0


def test_what_other_plugins_logged_is_kept_to_the_bit_and_in_order(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with ConceptWriter(tmp_path / "logs" / "run") as writer:
            writer.add_graph(torch.nn.Linear(2, 3), torch.zeros(1, 2))
            for step in range(3):
                writer.add_scalar("loss", 1 / 3 / (step + 1), step)
                writer.add_scalar("new/loss", step, step, new_style=True)
                writer.add_histogram("weights", np.arange(20.0), step)
                writer.add_text("words", f"step {step}", step)
                writer.add_image("picture", np.zeros((3, 4, 4), np.uint8), step)
                add_concepts(writer, stamped(step, 0, SMALL), step)
            writer.add_scalar("without a step", 1.0)
            writer.add_scalar("without a step", 2.0)
    repair(tmp_path / "logs", tmp_path / "copy")

    def values(folder: Path) -> list[bytes]:
        (file,) = event_files(folder)
        return [
            event.step.to_bytes(8, "little") + value.SerializeToString(deterministic=True)
            for event in EventFileLoader(str(file)).Load()
            for value in event.summary.value
        ]

    original, copy = values(tmp_path / "logs" / "run"), values(tmp_path / "copy" / "run")
    assert Counter(copy) == Counter(original)
    graphs = [
        event.graph_def
        for folder in ("logs", "copy")
        for event in EventFileLoader(str(event_files(tmp_path / folder / "run")[0])).Load()
        if event.HasField("graph_def")
    ]
    assert len(graphs) == 2
    assert graphs[0] == graphs[1]


def test_a_copy_begins_with_one_start_event_then_spaces_then_images(tmp_path: Path) -> None:
    log_epochs(tmp_path / "logs" / "run", 0, range(4), layers=SMALL)
    other = make_space(seed=3)
    log_epochs(tmp_path / "logs" / "run", 1, range(2, 5), layers=SMALL, purge_step=2, space=other)
    repair(tmp_path / "logs", tmp_path / "copy")
    (file,) = event_files(tmp_path / "copy" / "run")
    events = list(EventFileLoader(str(file)).Load())
    assert [event.step for event in events if event.HasField("session_log")] == [0]
    tags = [[value.tag for value in event.summary.value] for event in events if event.HasField("summary")]
    assert tags[:2] == [["concepts/space/definition"], ["concepts/space/definition"]]
    images = [index for index, own in enumerate(tags) if own == ["concepts/space/images"]]
    assert images == list(range(2, 2 + len(images)))
    run = read_run(tmp_path / "copy" / "run")
    fingerprints = [run.snapshots["layer1"][step].space.fingerprint for step in range(5)]
    assert fingerprints == [make_space().fingerprint] * 2 + [other.fingerprint] * 3
    referred = {i for s in run.snapshots["layer1"].values() for i in s.top_images.ravel().tolist() if i >= 0}
    assert referred <= set(run.images.ids.tolist())
    (examined,) = examine(tmp_path / "logs").runs
    assert [space.is_used for space in examined.spaces] == [True, True]
    assert [finding.code for finding in examined.findings] == ["purged"]


def test_a_copy_can_be_resumed_like_any_run(tmp_path: Path) -> None:
    damaged_run(tmp_path / "logs" / "run")
    repair(tmp_path / "logs", tmp_path / "copy")
    log_epochs(tmp_path / "copy" / "run", 1, range(4, 6), layers=LAYERS, purge_step=4)
    assert read_run(tmp_path / "copy" / "run").steps == (0, 1, 3, 4, 5)
    assert examine(tmp_path / "copy").is_clean


def test_payloads_that_cannot_be_used_are_told_apart(tmp_path: Path) -> None:
    with SyntheticRun(tmp_path, 3, SMALL) as run:
        run.write_epoch()
        for change in (_newer, _foreign, _altered):
            summary = concept_summary(next(make_snapshots(1, SMALL, space=run.space)), run.step)
            change(summary.value[0].tensor)
            run.add_summary(summary)
            run.step += 1
    found = {problem.code: problem for problem in examine(tmp_path).problems}
    assert found.keys() == {"newer schema", "foreign", "checksum", "incomplete"}
    assert "pip install --upgrade" in found["newer schema"].message
    assert found["checksum"].steps == (3,)
    assert found["checksum"].tag == "layer1/neurons"


def test_a_space_that_a_resume_purged_is_found_again(tmp_path: Path) -> None:
    log_epochs(tmp_path / "logs" / "run", 0, range(3), layers=SMALL)
    with SyntheticRun(tmp_path / "logs" / "run", 1, SMALL, with_space=False) as run:
        run.write_epoch()
    problems = {problem.code: problem for problem in examine(tmp_path / "logs").problems}
    assert "--repair finds it" in problems["space missing"].message
    repair(tmp_path / "logs", tmp_path / "copy")
    assert read_run(tmp_path / "copy" / "run").steps == (0,)


def test_files_that_are_no_event_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "events.out.tfevents.1.x").write_bytes(b"not an event file" * 9)
    (tmp_path / "events.out.tfevents.2.x").write_bytes(frame_record(b"\xff\xff\xff"))
    (tmp_path / "events.out.tfevents.3.x").write_bytes(b"")
    codes = [(finding.file[-3:], finding.code) for finding in examine(tmp_path).problems]
    assert codes == [("1.x", "no event file"), ("2.x", "no event file")]


def test_a_file_that_may_not_be_read_is_named_and_the_others_are_examined() -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_run(folder, epochs=2, layers=SMALL)
        secret = Path(folder) / "events.out.tfevents.9.x"
        secret.write_bytes(b"secret")
        secret.chmod(0)
        Path(folder).chmod(0o755)
        user = os.geteuid()
        os.seteuid(user or 65534)  # root may read everything
        try:
            (run,) = examine(folder).runs
        finally:
            os.seteuid(user)
    assert [(problem.code, problem.file) for problem in run.problems] == [("unreadable", secret.name)]
    assert run.steps == (0, 1)


def test_a_damaged_alert_is_told_and_left_out(tmp_path: Path) -> None:
    with SyntheticRun(tmp_path / "logs", 1, SMALL) as run:
        run.write_epoch()
        summary = space_summary(run.space, 1)
        summary.value[0].tag = ALERTS_TAG
        run.add_summary(summary)
    (problem,) = examine(tmp_path / "logs").problems
    assert (problem.code, problem.tag, problem.steps) == ("checksum", "alerts", (1,))
    repair(tmp_path / "logs", tmp_path / "copy")
    assert examine(tmp_path / "copy").is_clean


def test_a_damaged_table_of_evolutions_is_told_and_left_out(tmp_path: Path) -> None:
    with ConceptWriter(tmp_path / "logs") as writer:
        add_concepts(writer, stamped(0, 0, SMALL), 0)
        for first in (-1, 0):
            writer.add_evolutions(make_table((first, 1)))
    (file,) = event_files(tmp_path / "logs")
    assert examine(tmp_path / "logs").is_clean
    data = file.read_bytes()
    at = data.index(pack_evolutions(make_table((-1, 1)))) + 100
    file.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    assert not examine(tmp_path / "logs").is_clean
    repair(tmp_path / "logs", tmp_path / "copy")
    assert examine(tmp_path / "copy").is_clean
    assert [table.from_step for table in read_run(tmp_path / "copy").evolutions] == [0]


def test_a_good_record_with_a_wrong_table_is_left_out_too(tmp_path: Path) -> None:
    with SyntheticRun(tmp_path / "logs", 1, SMALL) as run:
        run.write_epoch()
        summary = space_summary(run.space, 1)
        summary.value[0].tag = evolutions_tag(0, 1)
        run.add_summary(summary)
    (problem,) = examine(tmp_path / "logs").problems
    assert (problem.code, problem.tag, problem.steps) == ("checksum", "evolutions", (1,))
    repair(tmp_path / "logs", tmp_path / "copy")
    assert examine(tmp_path / "copy").is_clean


def test_zeros_of_a_power_failure_are_told_as_such(tmp_path: Path) -> None:
    log_epochs(tmp_path, 0, range(2), layers=SMALL)
    (file,) = event_files(tmp_path)
    with file.open("ab") as open_file:
        open_file.write(bytes(5000))
    (problem,) = examine(tmp_path).problems
    assert (problem.code, problem.nbytes) == ("zeros", 5000)
    assert read(tmp_path) == [(0, 0), (1, 0)]


def test_a_run_that_is_being_written_is_not_ill(tmp_path: Path) -> None:
    with SummaryWriter(str(tmp_path / "other")) as other:
        other.add_scalar("loss", 1.0, 0)
    with ConceptWriter(tmp_path / "run") as writer:
        add_concepts(writer, stamped(0, 0, SMALL), 0)
        (file,) = event_files(tmp_path / "run")
        with file.open("ab") as open_file:
            open_file.write(frame_record(b"x" * 100)[:50])
        found = {run.name: run for run in examine(tmp_path).runs}
    assert found["run"].is_live
    assert [finding.code for finding in found["run"].findings] == ["truncated", "live"]
    assert found["run"].problems == ()
    assert [finding.code for finding in found["other"].findings] == ["no concepts"]


def test_memory_does_not_grow_with_the_files(tmp_path: Path) -> None:
    write_run(tmp_path / "small", epochs=2, layers={"layer1": 400})
    shutil.copytree(tmp_path / "small", tmp_path / "logs" / "run")
    (file,) = event_files(tmp_path / "logs" / "run")
    data = file.read_bytes()
    with file.open("ab") as open_file:
        for _ in range(40_000_000 // len(data)):
            open_file.write(data)
    code = (
        "import resource, sys; from conceptmon_tb.doctor import examine, repair\n"
        "examine(sys.argv[1]); repair(sys.argv[1], sys.argv[2])\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    peaks = [
        int(subprocess.check_output([sys.executable, "-c", code, str(tmp_path / a), str(tmp_path / b)]))
        for a, b in (("small", "out1"), ("logs", "out2"))
    ]
    assert file.stat().st_size > 35_000_000
    assert peaks[1] - peaks[0] < 15_000  # kB


def _newer(tensor: object) -> None:
    content = tensor.tensor_content
    tensor.tensor_content = content[:4] + b"\x02\x00" + content[6:]


def _foreign(tensor: object) -> None:
    tensor.tensor_content = b"a tensor of somebody else, not a container"


def _altered(tensor: object) -> None:
    tensor.tensor_content = tensor.tensor_content[:-1] + b"?"


def test_the_example_makes_a_clean_copy(tmp_path: Path) -> None:
    damaged_run(tmp_path / "log" / "run")
    command = [sys.executable, "-m", "demo.examples.doctor", "--logdir", str(tmp_path / "log")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "run: 4 epochs of 2 layers in 1 event files" in done.stdout
    assert "damage: the checksum of the record's length does not fit" in done.stdout
    assert done.stdout.splitlines()[-1] == "clean: True"
    assert read_run(tmp_path / "log_clean" / "run").steps == (0, 1, 3, 4)


def test_every_finding_is_documented() -> None:
    pattern = r'Finding\(\s*"(?:damage|stale|note)",\s*"([a-z ]+)"'
    codes = {*re.findall(pattern, inspect.getsource(sys.modules["conceptmon_tb.doctor.examine"]))}
    codes |= {*get_args(Code), "no event", "no event file", "checksum", "foreign", "newer schema"}
    docs = (Path(__file__).parents[2] / "docs" / "resume.md").read_text(encoding="utf-8")
    assert len(codes) > 18
    assert [code for code in codes if f"`{code}`" not in docs] == []
