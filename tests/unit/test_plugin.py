"""The plugin without a TensorBoard around it: loading, caching, reading only what changed."""

from __future__ import annotations

import argparse
import subprocess
import sys
import threading
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tensorboard import errors
from werkzeug.test import Client

from conceptmon_tb.atlas import pack_images
from conceptmon_tb.metadata import IMAGES_TAG, Payload, layer_tag, unpack_payload
from conceptmon_tb.payloads import pack_metrics, pack_neurons
from conceptmon_tb.plugin import index
from conceptmon_tb.plugin.answers import Answers
from conceptmon_tb.plugin.app import ConceptMonitorPlugin
from conceptmon_tb.plugin.cache import PayloadCache
from conceptmon_tb.plugin.loader import PLUGIN_NAME as LOADER_PLUGIN_NAME
from conceptmon_tb.plugin.loader import ConceptMonitorLoader
from conceptmon_tb.plugin.records import RecordStore
from conceptmon_tb.plugin.source import Source
from conceptmon_tb.plugin.static_files import StaticFiles
from tests.providers import FakeProvider
from tests.synthetic import make_images, make_snapshots, make_space

LAYERS = {"layer1": 5, "layer2": 6}


@pytest.fixture
def provider() -> FakeProvider:
    provider = FakeProvider()
    log(provider, range(5))
    return provider


def log(provider: FakeProvider, epochs: range, seed: int = 0, wall_time: float = 0.0) -> None:
    provider.log(
        "run", zip(epochs, make_snapshots(len(epochs), LAYERS, seed), strict=True), wall_time=wall_time
    )


def test_a_poll_without_news_reads_nothing(provider: FakeProvider) -> None:
    answers, source = Answers(), Source(provider)
    first = answers.runs(source)
    provider.calls = provider.points_read = 0
    assert answers.runs(source) == first
    assert (provider.calls, provider.points_read) == (1, 0)


def test_a_new_epoch_costs_one_point_per_layer_of_neurons(provider: FakeProvider) -> None:
    answers, source = Answers(), Source(provider)
    answers.runs(source)
    log(provider, range(5, 6))
    provider.points_read = 0
    answer = answers.runs(source)
    assert answer["runs"]["run"]["layers"]["layer1"]["steps"] == [0, 1, 2, 3, 4, 5]
    assert provider.points_read == 2 * 6 + 2 * 1  # the small metrics anew, one neurons payload per layer


def test_a_step_that_was_logged_again_is_read_again(provider: FakeProvider) -> None:
    answers, source = Answers(), Source(provider)
    revision = answers.runs(source)["revision"]
    for points in provider.tensors["run"].values():
        del points[3:]
    log(provider, range(3, 5), seed=4, wall_time=1000.0)
    answer = answers.runs(source)
    assert answer["revision"] != revision
    assert answer["runs"]["run"]["layers"]["layer2"]["wall_times"] == [0, 1, 2, 1003, 1004]
    assert answer["runs"]["run"]["layers"]["layer2"]["steps"] == [0, 1, 2, 3, 4]


def test_dropped_steps_are_counted_by_the_scalars(provider: FakeProvider) -> None:
    provider.scalars = {"run": {layer_tag("layer1", "interpretable"): _points(40)}}
    described = Answers().runs(Source(provider))["runs"]["run"]
    assert described["sampled"] == {"layer1": {"kept": 5, "logged": 40}}


def test_another_number_of_neurons_is_skipped_with_a_reason(provider: FakeProvider) -> None:
    snapshot = next(make_snapshots(1, {"layer1": 9}))["layer1"]
    for kind, pack in (("neurons", pack_neurons), ("metrics", pack_metrics)):
        data = np.frombuffer(pack(snapshot, 5), np.uint8)
        provider.tensors["run"][layer_tag("layer1", kind)].append(
            SimpleNamespace(step=5, wall_time=5.0, numpy=data)
        )
    described = Answers().runs(Source(provider))["runs"]["run"]
    assert described["layers"]["layer1"] == {"neurons": 9, "steps": [5], "wall_times": [5.0]}
    assert "5 steps from 0 to 4: the layer had 5 neurons" in described["skipped"][0]["reason"]


def test_a_cache_that_is_too_small_changes_nothing_but_speed(provider: FakeProvider) -> None:
    small, large = Answers(RecordStore(max_bytes=1)), Answers()
    source = Source(provider)
    assert small.runs(source) == large.runs(source)
    assert small.layer(source, "run", "layer2", None) == large.layer(source, "run", "layer2", None)


def test_one_listing_serves_the_requests_of_a_second(provider: FakeProvider, monkeypatch) -> None:
    answers, source = Answers(), Source(provider)
    answers.runs(source)
    answers.layer(source, "run", "layer1")  # this reads the concept space too, once
    provider.calls = 0
    for _ in range(5):
        answers.layer(source, "run", "layer1")
        answers.timeline(source, "run")
    assert provider.calls == 0
    log(provider, range(5, 6))
    monkeypatch.setattr(index, "LISTING_SECONDS", 0.0)
    later = Answers(index=answers._index, store=answers._store)
    assert len(later.timeline(source, "run")["layers"]["layer1"]) == 6


def test_whoever_may_not_see_an_experiment_gets_nothing_that_is_known_of_it(provider, monkeypatch) -> None:
    answers, source = Answers(), Source(provider)
    answers.layer(source, "run", "layer1")

    def refuse(*_: Any, **__: Any) -> None:
        raise errors.PermissionDeniedError("not yours")

    monkeypatch.setattr(provider, "experiment_metadata", refuse)
    for ask in (
        lambda: answers.layer(source, "run", "layer1"),
        lambda: answers.timeline(source, "run"),
        lambda: answers.space(source, "run", None),
        lambda: answers.neuron(source, "run", "layer1", 0, 1, 1),
        lambda: answers.distances(source, "run", "layer1", ["cat"], None),
    ):
        with pytest.raises(errors.PermissionDeniedError):
            ask()


def test_little_is_kept_of_many_experiments(provider: FakeProvider) -> None:
    answers = Answers()
    for number in range(40):
        answers.layer(Source(provider, experiment=f"experiment {number}"), "run", "layer1")
    assert len(answers._index._experiments) <= 8
    assert len({experiment for experiment, _, _ in answers._store._series}) <= 8


def test_nothing_is_kept_of_a_run_that_was_removed(provider: FakeProvider) -> None:
    answers, source = Answers(), Source(provider)
    answers.layer(source, "run", "layer1")
    answers.runs(source)
    alone = answers._store.cache.num_bytes
    provider.log("other", enumerate(make_snapshots(4, {"layer1": 30})))
    answers.runs(source)
    answers.layer(source, "other", "layer1")
    answers.space(source, "other", None)
    answers.distances(source, "other", "layer1", ["striped"], None)
    answers.distances(source, "other", "layer1", [], 0)
    assert answers._store.cache.num_bytes > alone
    assert sum(len(items) for items in answers._store._derived) >= 5
    for series in (provider.tensors, provider.blobs):
        series.pop("other")
    answers.runs(source)
    assert answers._store.cache.num_bytes == alone
    assert {run for _, run, _ in answers._store._series} == {"run"}
    assert {run for items in answers._store._derived for _, run, *_ in items._items} <= {"run"}


def test_a_page_of_images_that_the_browser_has_is_not_sent_again(provider: FakeProvider) -> None:
    page = pack_images(make_images(make_space()), 0)
    provider.add_blob("run", IMAGES_TAG, 0, 0.0, page)
    client = Client(
        ConceptMonitorPlugin(SimpleNamespace(data_provider=provider)).get_plugin_apps()["/images"]
    )
    first = client.get("/?run=run&step=0")
    assert (first.status_code, first.data) == (200, unpack_payload(page).arrays["jpeg"].tobytes())
    again = client.get("/?run=run&step=0", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


def test_many_threads_get_the_same_answer(provider: FakeProvider) -> None:
    answers, source = Answers(RecordStore(max_bytes=20_000)), Source(provider)
    expected = Answers().layer(source, "run", "layer1", 1)
    results: list[bytes] = []

    def ask() -> None:
        for _ in range(20):
            answers.runs(source)
            results.append(answers.layer(source, "run", "layer1", 1))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [expected] * 80


def test_the_cache_forgets_the_least_recently_used_and_keeps_its_limit() -> None:
    cache = PayloadCache(max_bytes=10_000)
    for number in range(4):
        cache.put(number, Payload("x", number, {}, {}, 1, 1000))
        cache.get(0)
    assert cache.num_bytes <= 10_000
    assert [number for number in range(4) if cache.get(number) is not None] == [0, 2, 3]


def test_the_plugin_is_inactive_until_data_exists_and_never_raises() -> None:
    provider = FakeProvider()
    plugin = ConceptMonitorPlugin(SimpleNamespace(data_provider=provider))
    assert plugin.is_active() is False
    log(provider, range(1))
    assert plugin.is_active() is True
    assert ConceptMonitorPlugin(SimpleNamespace(data_provider=None)).is_active() is False


def test_all_steps_are_kept_unless_the_user_chose_a_number() -> None:
    for given, expected in (({}, 0), ({"images": 3}, 0), ({"conceptmon": 7}, 7), (None, 0), ("", 0)):
        flags = argparse.Namespace(samples_per_plugin=given)
        ConceptMonitorLoader().fix_flags(flags)
        assert flags.samples_per_plugin["conceptmon"] == expected


@pytest.mark.parametrize(
    "flags", [argparse.Namespace(), None, object(), argparse.Namespace(samples_per_plugin=3)]
)
def test_strange_flags_never_keep_tensorboard_from_starting(flags: Any) -> None:
    ConceptMonitorLoader().fix_flags(flags)


def test_without_a_data_provider_the_plugin_is_left_out() -> None:
    assert ConceptMonitorLoader().load(SimpleNamespace(data_provider=None)) is None
    loaded = ConceptMonitorLoader().load(SimpleNamespace(data_provider=FakeProvider()))
    assert loaded.plugin_name == LOADER_PLUGIN_NAME


@pytest.mark.parametrize(
    "module",
    [
        "conceptmon_tb.plugin.loader",
        "conceptmon_tb.plugin.app",
        "conceptmon_tb.plugin.answers",
        "conceptmon_tb.plugin.encoder_worker",
        "conceptmon_tb.reader",
    ],
)
def test_importing_the_plugin_imports_nothing_heavy(module: str) -> None:
    heavy = ("torch", "torchvision", "open_clip", "umap", "numba", "scipy", "sklearn", "tensorflow")
    code = f"import sys, {module}; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_importing_the_loader_imports_neither_numpy_nor_pillow() -> None:
    code = (
        "import sys; from tensorboard.plugins import base_plugin; before = set(sys.modules); "
        "import conceptmon_tb.plugin.loader; added = set(sys.modules) - before; "
        "print([m for m in ('numpy', 'PIL') if m in added])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "name", ["", "..", "../plugin/app.py", "__init__.py", "/etc/passwd", "nothing.js", "C:\\x.js"]
)
def test_only_listed_files_are_served(name: str) -> None:
    assert StaticFiles().read(name) is None


def test_new_files_are_found_and_removed_ones_are_not_served(tmp_path) -> None:
    files = StaticFiles(tmp_path)
    assert files.read("a/b.css") is None
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b.css").write_text("p {}")
    content, mime_type, tag = files.read("a/b.css")
    assert (content, mime_type) == (b"p {}", "text/css")
    (tmp_path / "a" / "b.css").write_text("p {color: red}")
    assert files.read("a/b.css")[2] != tag
    (tmp_path / "a" / "b.css").unlink()
    assert files.read("a/b.css") is None


def test_a_version_changes_with_any_name_or_content_and_comes_back_with_them(tmp_path) -> None:
    (tmp_path / "a.css").write_text("p {}")
    files = StaticFiles(tmp_path)
    first = files.version()
    assert len(first) == 16
    assert StaticFiles(tmp_path).version() == first
    (tmp_path / "a.css").write_text("p { }")
    changed = files.version()
    (tmp_path / "a.css").rename(tmp_path / "b.css")
    assert len({first, changed, files.version()}) == 3
    (tmp_path / "b.css").unlink()
    (tmp_path / "a.css").write_text("p {}")
    assert files.version() == first


def test_only_a_file_that_is_as_it_was_when_the_version_was_told_belongs_to_it(tmp_path) -> None:
    (tmp_path / "a.css").write_text("p {}")
    files = StaticFiles(tmp_path)
    tag = files.read("a.css").tag
    assert not files.belongs("a.css", tag, "")
    old = files.version()
    assert files.belongs("a.css", tag, old)
    assert not files.belongs("b.css", tag, old)
    (tmp_path / "a.css").write_text("p {color: red}")
    assert not files.belongs("a.css", files.read("a.css").tag, old)
    new = files.version()
    assert files.belongs("a.css", files.read("a.css").tag, new)
    assert not files.belongs("a.css", tag, old)


def test_there_is_no_version_while_files_are_being_replaced(tmp_path) -> None:
    (tmp_path / "a.css").symlink_to(tmp_path / "elsewhere.css")
    assert StaticFiles(tmp_path).version() == ""


def _points(count: int) -> list[Any]:
    return [SimpleNamespace(step=step, wall_time=float(step), value=1.0) for step in range(count)]
