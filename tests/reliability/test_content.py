"""Names, words and texts of a stranger: whatever they hold, they come out as text, and as the same text."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from conceptmon_tb.cli import main
from conceptmon_tb.doctor import examine
from conceptmon_tb.metadata import unpack_payload
from conceptmon_tb.reader import read_run
from tests.reliability.attacks import NEURONS as ATTACKS
from tests.reliability.hostile import (
    NAMES,
    SPACE,
    TEXTS,
    WHOLE,
    hostile_words,
    write_attacked,
    write_attacked_layers,
    write_hostile_content,
)
from tests.reliability.notes import Note
from tests.servers import TensorBoardServer

WORDS, NAMED = "words", "layers"
LAYERS = {"plain": len(TEXTS), "second": 5}
FILE_NAME = r'attachment; filename="[\w.-]{1,255}"'  # as long as file systems take
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
# Names whose blobs the data server cannot read: it parses keys that it made itself without their escapes.
UNREADABLE = re.compile(r'["\\\x00-\x1f\x7f]')
LOST_BLOBS = (
    "in the fast loader words and neighbours, where the name has a quotation mark, a backslash or a control "
    "letter; the tab says so, and that the other loader has them"
)
HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def run_names() -> list[str]:
    """Names of runs as TensorBoard gives them: a slash in one is a folder."""
    return [Path(text).as_posix() for text in NAMES.values()]


@pytest.fixture(scope="module")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("content")
    write_hostile_content(top / WORDS, LAYERS)
    write_hostile_content(top / NAMED, dict.fromkeys(WHOLE.values(), 3), epochs=2)
    for text in NAMES.values():
        write_attacked(top / text, "none", lambda value: None, layers={"a": 3})
    return top


@pytest.fixture(scope="module", params=["true", "false"], ids=["fast", "python"])
def server(request: pytest.FixtureRequest, logdir: Path) -> Iterator[TensorBoardServer]:
    with TensorBoardServer(logdir, f"--load_fast={request.param}") as tensorboard:
        tensorboard.wait_for(lambda: len(tensorboard.runs()) == len(NAMES) + 2)
        yield tensorboard
        assert "Traceback" not in tensorboard.log


def _get(server: TensorBoardServer, route: str, **parameters: object) -> Any:
    """A JSON answer, and that it can be taken for nothing else."""
    status, body, headers = server.fetch(route, **parameters)
    assert (status, headers["Content-Type"]) == (200, "application/json"), body
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert body.isascii()
    return json.loads(body)


def test_runs_of_any_name_are_listed_and_answered(server: TensorBoardServer, reliability: Note) -> None:
    names = run_names()
    assert set(server.runs()) == {*names, WORDS, NAMED}
    for name in names:
        assert list(_get(server, "timeline", run=name)["layers"]) == ["a"]
        assert server.fetch("layer", run=name, layer="a")[0] == 200
        status, body, headers = server.fetch("export", run=name, layer="a", step=0)
        assert status == 200
        assert re.fullmatch(FILE_NAME, headers["Content-Disposition"])
        assert not body.decode().splitlines()[1].startswith(FORMULA)
        status, body, _ = server.fetch("space", run=name)
        assert status == 200 or (UNREADABLE.search(name) and b"--load_fast=false" in body), name
    tried = "names of runs, before both loaders"
    reliability(area="content", tried=tried, count=len(names), lost=LOST_BLOBS)


def test_a_folder_whose_name_is_no_text_has_one_that_can_be_asked_for(
    tmp_path: Path, tensorboard: Callable[..., TensorBoardServer], reliability: Note
) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/r\xff\xfe"))
    write_attacked(folder, "none", lambda value: None, layers={"a": 3})
    server = tensorboard(tmp_path, "--load_fast=true")
    server.wait_for(lambda: server.runs())
    assert server.fetch("layer", run="r\ufffd\ufffd", layer="a")[0] == 200
    assert sorted(read_run(folder).snapshots["a"]) == [0, 1, 2]
    write_attacked(tmp_path / "good", "none", lambda value: None, layers={"a": 3})
    stopped = tensorboard(tmp_path, "--load_fast=false")
    stopped.wait_for(lambda: "UnicodeEncodeError" in stopped.log)
    assert stopped.runs() == {}
    codes = {run.name: [finding.code for finding in run.findings] for run in examine(tmp_path).runs}
    assert codes == {"good": [], folder.name: ["name"]}
    tried = "a folder whose name is no UTF-8, at which the Python loader stops: the doctor tells it"
    reliability(area="tensorboard", tried=tried, count=1, lost="in that loader all runs beside it")


def test_layers_of_any_name_are_listed_and_answered(server: TensorBoardServer, reliability: Note) -> None:
    assert set(server.runs()[NAMED]["layers"]) == set(WHOLE.values())
    assert set(_get(server, "timeline", run=NAMED)["layers"]) == set(WHOLE.values())
    for name in WHOLE.values():
        assert server.fetch("layer", run=NAMED, layer=name)[0] == 200
        card = _get(server, "neuron", run=NAMED, layer=name, neuron=1, step=1)
        assert (card["run"], card["layer"]) == (NAMED, name)
        told = card["nearest_error"]
        assert told is None or (UNREADABLE.search(name) and "--load_fast=false" in told), name
        status, _, headers = server.fetch("export", run=NAMED, layer=name, step=0)
        assert (status, headers["Content-Type"]) == (200, "text/csv; charset=utf-8")
        assert re.fullmatch(FILE_NAME, headers["Content-Disposition"])
    tried = "names of layers, before both loaders"
    reliability(area="content", tried=tried, count=len(WHOLE), lost=LOST_BLOBS)


def test_words_and_texts_come_back_as_they_were_written(server: TensorBoardServer, reliability: Note) -> None:
    space = hostile_words(SPACE)
    status, body, headers = server.fetch("space", run=WORDS)
    assert (status, headers["Content-Type"]) == (200, "application/octet-stream")
    attrs = unpack_payload(body).attrs
    for name in ("words", "categories", "anchors"):
        assert attrs[name] == list(getattr(space, name))
    assert (attrs["encoder"], attrs["note"]) == (space.encoder, space.note)
    cards = [_get(server, "neuron", run=WORDS, layer="plain", neuron=i, step=2) for i in range(len(TEXTS))]
    assert [card["description"] for card in cards] == list(TEXTS.values())
    assert {card["word"] for card in cards} <= {"", *space.words}
    assert server.runs()[WORDS]["note"] == space.note
    assert _get(server, "timeline", run=WORDS)["layers"]["plain"][0]["detector"] == TEXTS["markup"]
    reliability(area="content", tried="words, categories, anchors, notes, descriptions", count=len(TEXTS))


def test_alerts_and_scalars_come_back_as_they_were_written(
    server: TensorBoardServer, reliability: Note
) -> None:
    messages = {alert["message"] for alert in _get(server, "alerts", run=WORDS)["alerts"]}
    assert messages == {f"{text} of {name}" for name, text in WHOLE.items()}
    tags = _get(server, "scalars", run=WORDS)["tags"]
    # TensorBoard itself passes over a tag without letters.
    assert set(tags) >= {text for text in WHOLE.values() if text.strip()}
    for text in WHOLE.values():
        if text.strip():
            assert len(_get(server, "scalars", run=WORDS, tag=text)["points"]) == 3
    reliability(area="content", tried="messages of alerts and tags of scalars", count=2 * len(WHOLE))


def test_classes_and_layers_of_evolutions_come_back_as_they_were_written(
    server: TensorBoardServer, reliability: Note
) -> None:
    pair = {"run": WORDS, "from": 0, "to": 2}
    told = _get(server, "evolutions", **pair)
    assert [entry["name"] for entry in told["classes"]] == list(TEXTS.values())
    for text in WHOLE.values():
        ranked = _get(server, "evolutions", **pair, **{"class": text}, k=1)
        assert (ranked["class"], ranked["total"]) == (text, sum(LAYERS.values()))
        assert ranked["evolutions"][0]["before"]["description"] in TEXTS.values()
    pair = {"run": NAMED, "from": 0, "to": 1}
    assert [entry["name"] for entry in _get(server, "evolutions", **pair)["layers"]] == list(WHOLE.values())
    for text in WHOLE.values():
        (row,) = _get(server, "evolutions", **pair, **{"class": TEXTS["markup"]}, layer=text, k=1)[
            "evolutions"
        ]
        assert row["layer"] == text
    tried = "classes and layers of a table of evolutions"
    reliability(area="content", tried=tried, count=len(TEXTS) + len(WHOLE))


def test_a_table_runs_nothing_in_a_spreadsheet(server: TensorBoardServer, reliability: Note) -> None:
    for layer in LAYERS:
        _, body, _ = server.fetch("export", run=WORDS, layer=layer, step=1)
        rows = list(csv.reader(io.StringIO(body.decode(), newline="")))
        assert len({len(row) for row in rows}) == 1
        texts = [cell for row in rows[1:] for cell in row if not _is_number(cell)]
        assert len(texts) > len(rows)
        assert [text for text in texts if text.startswith(FORMULA)] == []
    reliability(area="content", tried="words that are formulas, in a table of the plugin", count=len(TEXTS))


def _is_number(cell: str) -> bool:
    return re.fullmatch(r"-?[\d.]+(e-?\d+)?", cell) is not None


def test_the_command_line_exports_text(logdir: Path, tmp_path: Path, reliability: Note) -> None:
    for ending in ("csv", "json", "npz"):
        out = tmp_path / f"table.{ending}"
        assert main(["export", str(logdir / WORDS), "--out", str(out)]) == 0
        assert out.stat().st_size > 0
    with (tmp_path / "table.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert len({len(row) for row in rows}) == 1
    texts = [cell for row in rows[1:] for cell in row if not _is_number(cell)]
    assert [text for text in texts if text.startswith(FORMULA)] == []
    described = {row["description"] for row in json.loads((tmp_path / "table.json").read_text("utf-8"))}
    assert described >= set(TEXTS.values())
    reliability(area="content", tried="texts in tables of the command line", count=3 * len(TEXTS))


def test_the_doctor_prints_nothing_that_a_terminal_obeys(logdir: Path, reliability: Note) -> None:
    command = [sys.executable, "-m", "conceptmon_tb", "doctor", str(logdir)]
    said = subprocess.run(command, capture_output=True, check=False).stdout.decode()
    assert said.count("\n") > len(NAMES)
    assert HIDDEN.findall(said.replace("\n", "")) == []
    reliability(area="content", tried="names before the doctor and a terminal", count=len(NAMES) + len(WHOLE))


def test_the_export_says_nothing_that_a_terminal_obeys(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], reliability: Note
) -> None:
    folder = tmp_path / NAMES["control letters"]
    damage = ("neurons", ATTACKS["a bad checksum"])
    write_attacked_layers(folder, dict.fromkeys(WHOLE.values(), damage))
    assert main(["export", str(folder), "--out", str(tmp_path / "table.csv")]) == 0
    said = capsys.readouterr()
    assert said.err.count("checksum mismatch") == len(WHOLE)
    assert main(["export", str(folder), "--layer", "\x1b", "--out", str(tmp_path / "other.csv")]) == 1
    said_of_none = capsys.readouterr().err
    assert "there are " in said_of_none
    assert HIDDEN.findall((said.out + said.err + said_of_none).replace("\n", "")) == []
    reliability(area="content", tried="names before the export and a terminal", count=len(WHOLE) + 2)


def test_read_run_gives_the_same_texts(logdir: Path) -> None:
    run = read_run(logdir / WORDS)
    assert run.warnings == ()
    assert run.space.words == hostile_words(SPACE).words
    assert run.snapshots["plain"][0].descriptions == tuple(TEXTS.values())
    assert set(read_run(logdir / NAMED).snapshots) == set(WHOLE.values())
