"""Nothing is written but the log and the cache, and what is cached is private and whole."""

from __future__ import annotations

import ast
import json
import os
import random
import re
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import torch

import conceptmon_tb
from conceptmon_tb.embedding_cache import EmbeddingCache
from conceptmon_tb.plugin.encoder_worker import LEXICON
from conceptmon_tb.plugin.live_words import BURST
from conceptmon_tb.private_files import empty_folder, write_private_file
from conceptmon_tb.regularizer.feature_store import DIGEST_BYTES, FeatureStore
from tests.reliability.notes import Note
from tests.reliability.watched import Watched
from tests.servers import TensorBoardServer
from tests.synthetic import SyntheticRun, make_space

TRAINING = """
import sys, warnings
import torch
from torch import nn
import conceptmon_tb as cm

warnings.simplefilter("ignore")
model = nn.Sequential(nn.Conv2d(3, 6, 3, 2), nn.ReLU())
monitor = cm.ConceptMonitor(["0"], cm.ProbeSet.world(24, size=32), progress=False)
with cm.ConceptWriter(sys.argv[1], monitor=monitor, strict=True, asynchronous=True) as writer:
    for epoch in range(2):
        writer.add_scalar("loss/train", 1 / (1 + epoch), epoch)
        writer.add_concepts(model, epoch)
assert cm.read_run(sys.argv[1]).steps == (0, 1)
cm.OpenClipEncoder("local-dir:" + sys.argv[2], device="cpu").encode_text(["red", "car"])
"""
PACKAGE = Path(conceptmon_tb.__file__).parent
ASSETS = PACKAGE / "world" / "assets"
# What torch, TensorBoard and its data server keep among the temporary files, with or without us.
OTHERS = ("torchinductor", ".tensorboard-info", "tb_data_server", "tensorboard_data_server")


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched.make(tmp_path)


def test_training_writes_to_the_log_and_the_cache_alone(watched: Watched, reliability: Note) -> None:
    log, cache = watched.root / "log", watched.home / ".cache" / "conceptmon_tb"
    command = [sys.executable, "-c", TRAINING, str(log), str(ASSETS)]
    done = subprocess.run(command, env=watched.environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-3000:]
    writes = watched.writes()
    assert any(write.path.is_relative_to(log) for write in writes)
    assert any(write.path.is_relative_to(cache) for write in writes)
    allowed = {cache.parent, Path(os.devnull)}
    outside = {
        write
        for write in writes
        if not (write.path.is_relative_to(log) or write.path.is_relative_to(cache) or write.path in allowed)
    }
    # Python tries out the folder for temporary files by a file that it removes at once.
    left = {write for write in outside if write.path.parent != watched.temporary or write.path.exists()}
    assert {write for write in left if not (_is_compiled(write.path) or _is_others(write.path))} == set()
    names = {name for name in watched.files() if not _is_others(Path(name))}
    assert all(name.startswith("home/.cache/conceptmon_tb") for name in names - {"home/.cache"})
    assert all(_mode(path) & 0o077 == 0 for path in (cache, *cache.rglob("*")))
    reliability(area="supply", tried="a training whose every write is watched", count=1)


MAKES_FILES = {
    "copy2", "copyfile", "copytree", "makedirs", "memmap", "mkdir", "mkdtemp", "mkstemp",
    "NamedTemporaryFile", "save_file", "savez", "savez_compressed", "symlink_to", "TemporaryDirectory",
    "TemporaryFile", "to_csv", "touch", "write_bytes", "write_text",
}  # fmt: skip
WRITERS = {
    "private_files.py": "the cache, and an empty folder where that cannot be written to",
    "event_guard.py": "the log, and a file without a name there that tells whether there is room",
    "session.py": "a run's folder beside one that another process writes to",
    "regularizer/features.py": "a temporary file without a name",
    "concept_files.py": "a file that the caller names",
    "evolution/space_files.py": "a file that the caller names",
    "export.py": "a file that the caller names",
    "doctor/repair.py": "a copy where the user says",
    "plugin/encoder_worker.py": "the pipe to the process that started it",
    "lexicon/make_table.py": "nobody runs it but who makes the package",
    "world/make_map.py": "nobody runs it but who makes the package",
    "world/merges.py": "nobody runs it but who makes the package",
    "world/train_encoder.py": "nobody runs it but who makes the package",
}
"""All modules that make files, and where. Events are written by torch's writer; a new module must say so."""


def makes_files(source: str) -> bool:
    """Whether Python code writes to a file by itself."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func).rpartition(".")[2]
        given = [*node.args, *(keyword.value for keyword in node.keywords)]
        texts = [arg.value for arg in given if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
        is_writing = any(re.fullmatch("[rbt+]*[wax+][rbt+]*", text) for text in texts)
        if name in MAKES_FILES or (name in ("open", "fdopen") and is_writing):
            return True
    return False


def test_no_module_but_these_makes_files(reliability: Note) -> None:
    files = sorted(PACKAGE.rglob("*.py"))
    found = {
        path.relative_to(PACKAGE).as_posix()
        for path in files
        if makes_files(path.read_text(encoding="utf-8"))
    }
    assert found == set(WRITERS)
    assert makes_files("path.open('wb')")
    assert makes_files("open(path, mode='a')")
    assert not makes_files("path.open('rb'); open(path)")
    reliability(area="supply", tried="modules searched for what makes files", count=len(files))


def test_a_killed_tensorboard_leaves_nothing_and_the_word_route_is_bounded(
    watched: Watched, reliability: Note
) -> None:
    space = replace(make_space(), encoder=LEXICON, encoder_fingerprint="of another machine")
    with SyntheticRun(watched.root / "log" / "run", 1, {"layer1": 4}, space=space) as run:
        run.write_epoch()
    with TensorBoardServer(watched.root / "log", environment=watched.environment) as server:
        server.wait_for(lambda: server.runs().get("run", {}).get("layers"))
        assert server.fetch("anchor", run="run", word="first")[0] == 202
        worker = server.wait_for(lambda: _worker(server.pid))
        here = Path(f"/proc/{worker.pid}/cwd").resolve()
        limit = server.wait_for(lambda: _data_limit(worker.pid))
        assert here == watched.home / ".cache" / "conceptmon_tb" / "empty"
        assert list(here.iterdir()) == []
        assert limit <= psutil.virtual_memory().total // 2
        with ThreadPoolExecutor(10) as pool:
            words = [f"word {number}" for number in range(3 * BURST)]
            asked = list(pool.map(lambda word: server.fetch("anchor", run="run", word=word), words))
        server.kill()
    # 404 once the encoder turned out to be of another fingerprint.
    assert {202, 429} <= {status for status, _, _ in asked} <= {202, 404, 429}
    assert all(int(headers["Retry-After"]) >= 1 for status, _, headers in asked if status == 429)
    _, alive = psutil.wait_procs([worker], timeout=30)
    assert alive == []
    left = {name for name in watched.files() if not _is_others(Path(name))}
    assert left == {"home/.cache", "home/.cache/conceptmon_tb", "home/.cache/conceptmon_tb/empty"}
    ours = {write.path for write in watched.writes() if write.is_ours}
    assert ours == {
        watched.home / name for name in (".cache", ".cache/conceptmon_tb", ".cache/conceptmon_tb/empty")
    }
    reliability(area="supply", tried="TensorBoard killed while it places a word", count=1)
    reliability(area="requests", tried="new words above the limit of the word route", count=len(asked))


def _is_compiled(path: Path) -> bool:
    """Whether numba keeps compiled code there, as Python does its bytecode."""
    return "__pycache__" in path.parts and path.is_relative_to(PACKAGE)


def _is_others(path: Path) -> bool:
    return any(part.startswith(OTHERS) for part in path.parts)


def _worker(parent: int) -> psutil.Process | None:
    for child in psutil.Process(parent).children(recursive=True):
        if "encoder_worker" in " ".join(child.cmdline()):
            return child
    return None


def _data_limit(pid: int) -> int | None:
    lines = Path(f"/proc/{pid}/limits").read_text().splitlines()
    soft = next(line.split()[3] for line in lines if line.startswith("Max data size"))
    return None if soft == "unlimited" else int(soft)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_is_cached_is_for_its_owner_alone_whatever_the_umask(tmp_path: Path, reliability: Note) -> None:
    before = os.umask(0)
    try:
        EmbeddingCache(tmp_path / "a" / "b").save(torch.ones(2, 3), "key")
        FeatureStore(tmp_path / "c" / "d", "fingerprint", 3).save([bytes(DIGEST_BYTES)], torch.ones(1, 3))
    finally:
        os.umask(before)
    made = list(tmp_path.rglob("*"))
    assert {path.suffix for path in made if path.is_file()} == {".safetensors"}
    assert {_mode(path) for path in made if path.is_dir()} == {0o700}
    assert {_mode(path) for path in made if path.is_file()} == {0o600}
    reliability(area="supply", tried="cache folders and files under umask 0", count=len(made))


WRITING = """
import sys
from pathlib import Path
from conceptmon_tb.private_files import write_private_file
print("ready", flush=True)
letter = 0
while True:
    write_private_file(Path(sys.argv[1]), bytes([letter % 251]) * (8 << 20), "entry.safetensors")
    letter += 1
"""
KILLS = 8


def test_a_process_killed_while_it_caches_leaves_whole_files(tmp_path: Path, reliability: Note) -> None:
    dice = random.Random(7)
    for _ in range(KILLS):
        command = [sys.executable, "-c", WRITING, str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(dice.uniform(0.02, 0.1))
            process.kill()
        entry = tmp_path / "entry.safetensors"
        data = entry.read_bytes() if entry.exists() else b""
        assert len(data) in (0, 8 << 20)
        assert len(set(data)) <= 1
    parts = list(tmp_path.glob("*.part"))
    for part in parts:
        os.utime(part, (0, 0))
    write_private_file(tmp_path, b"whole", "entry.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["entry.safetensors"]
    reliability(area="supply", tried="processes killed while they write a cache entry", count=KILLS)


def test_the_empty_folder_is_empty_or_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONCEPTMON_CACHE", str(tmp_path / "cache"))
    with empty_folder() as folder:
        assert folder == tmp_path / "cache" / "empty"
    (folder / "open_clip_config.json").write_text(json.dumps({}))
    with empty_folder() as folder:
        assert folder != tmp_path / "cache" / "empty"
        assert list(folder.iterdir()) == []
    assert not folder.exists()
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CONCEPTMON_CACHE", str(tmp_path / "file" / "cache"))
    with empty_folder() as folder:
        assert list(folder.iterdir()) == []
