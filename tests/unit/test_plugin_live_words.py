"""Words that are typed: embedded by a process in the background, placed as neurons are."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from werkzeug.test import Client

from conceptmon_tb.plugin import live_words
from conceptmon_tb.plugin.answers import Answers
from conceptmon_tb.plugin.app import ConceptMonitorPlugin
from conceptmon_tb.plugin.errors import BadRequestError, NotFoundError, TooManyRequestsError
from conceptmon_tb.plugin.live_words import LiveWords, Refusal
from conceptmon_tb.plugin.source import Source
from conceptmon_tb.projection import ConceptMap
from conceptmon_tb.snapshot import ConceptSpace
from tests.providers import FakeProvider
from tests.synthetic import DIM, make_snapshots, make_space

ENCODER = "open_clip ViT-B-16 openai"
FINGERPRINT = "f00d"
# Stands in for the real process: as fast to start as Python is, and knows a number for every word.
WORKER = """
import json, sys, time
hello = json.loads(sys.stdin.readline())
print(json.dumps({hello}), flush=True)
for line in sys.stdin:
    word = json.loads(line)["word"]
    time.sleep({delay})
    print(json.dumps({answer}), flush=True)
"""


class FakeWorkers:
    """Starts stand-ins for the worker process, and remembers them."""

    def __init__(self, hello: str = "", answer: str = "", delay: float = 0.0, code: str = "") -> None:
        hello = hello or f"dict(fingerprint={FINGERPRINT!r})"
        answer = answer or f"dict(embedding=[float(len(word))] * {DIM})"
        self._code = code or WORKER.format(hello=hello, answer=answer, delay=delay)
        self.started: list[subprocess.Popen[bytes]] = []

    def __call__(self, folder: str, complaints: Any) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", self._code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            cwd=folder,
        )
        self.started.append(process)
        return process


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def _all_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_words, "_MODULES", ())


@pytest.fixture
def make() -> Iterator[Callable[..., tuple[LiveWords, FakeWorkers]]]:
    started: list[FakeWorkers] = []

    def make(clock: Any = time.monotonic, **settings: Any) -> tuple[LiveWords, FakeWorkers]:
        workers = FakeWorkers(**settings)
        started.append(workers)
        return LiveWords(workers, clock), workers

    yield make
    for workers in started:
        for process in workers.started:
            process.kill()


def wait(ask: Callable[[], Any], seconds: float = 10.0) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = ask()
        if found is not None:
            return found
        time.sleep(0.01)
    raise TimeoutError


def test_the_first_word_does_not_wait_and_comes_in_the_background(make) -> None:
    live, workers = make()
    assert live.embed(ENCODER, FINGERPRINT, "zebra") is None
    assert live.known(FINGERPRINT, "zebra") is None
    found = wait(lambda: live.embed(ENCODER, FINGERPRINT, "zebra"))
    np.testing.assert_array_equal(found, np.full(DIM, 5, np.float32))
    np.testing.assert_array_equal(live.known(FINGERPRINT, "  Zebra "), found)
    assert live.known("other", "zebra") is None
    assert len(workers.started) == 1


def test_once_it_is_loaded_a_word_is_answered_at_once(make) -> None:
    live, workers = make()
    wait(lambda: live.embed(ENCODER, FINGERPRINT, "zebra"))
    assert isinstance(live.embed(ENCODER, FINGERPRINT, "red car"), np.ndarray)
    assert len(workers.started) == 1


def test_no_request_waits_for_a_slow_encoder(make) -> None:
    live, _ = make(delay=30)
    wait(
        lambda: (live._worker is not None and live._worker.ready) or live.embed(ENCODER, FINGERPRINT, "zebra")
    )
    before = time.monotonic()
    assert live.embed(ENCODER, FINGERPRINT, "lion") is None
    assert time.monotonic() - before < 2 * live_words.ANSWER_SECONDS


@pytest.mark.parametrize(
    ("settings", "code", "part"),
    [
        ({"hello": "dict(fingerprint='beef')"}, "other_encoder", "beef"),
        (
            {"hello": "dict(code='weights', reason='x')"},
            "weights",
            "cm.OpenClipEncoder('ViT-B-16', 'openai')",
        ),
        ({"hello": "dict(code='not_installed', reason='no ftfy')"}, "not_installed", "no ftfy"),
        ({"hello": "dict(code='failed', reason='out of memory')"}, "failed", "out of memory"),
        ({"hello": "dict()"}, "failed", "cannot be loaded"),
        ({"hello": "[1]"}, "failed", "see TensorBoard's log"),
        ({"code": "raise SystemExit(3)"}, "failed", "see TensorBoard's log"),
        ({"code": "print('nonsense')"}, "failed", "see TensorBoard's log"),
        ({"code": "import sys; sys.stdin.close(); print('{}')"}, "failed", "the encoder"),
    ],
)
def test_an_encoder_that_cannot_be_used_says_why(make, settings, code: str, part: str) -> None:
    live, workers = make(**settings)
    found = wait(lambda: live.embed(ENCODER, FINGERPRINT, "zebra"))
    assert isinstance(found, Refusal)
    assert found.code == code
    assert part in found.reason
    assert live.embed(ENCODER, FINGERPRINT, "another word") == found
    assert len(workers.started) == 1


def test_a_hanging_encoder_is_ended(make, monkeypatch) -> None:
    monkeypatch.setattr(live_words, "LOAD_SECONDS", 0.2)
    live, workers = make(code="import time; time.sleep(60)")
    assert wait(lambda: live.embed(ENCODER, FINGERPRINT, "zebra")).code == "failed"
    assert workers.started[0].wait(5) != 0


def test_what_was_mended_is_found_a_minute_later(make) -> None:
    clock = Clock()
    live, workers = make(clock, hello="dict(code='weights', reason='x')")
    wait(lambda: live.embed(ENCODER, FINGERPRINT, "zebra"))
    clock.now = 61.0
    workers._code = WORKER.format(
        hello=f"dict(fingerprint={FINGERPRINT!r})", answer="dict(embedding=[1.0])", delay=0
    )
    assert isinstance(wait(lambda: live.embed(ENCODER, FINGERPRINT, "zebra")), np.ndarray)


def test_a_word_that_the_encoder_fails_on_is_refused_alone(make) -> None:
    live, _ = make(answer="dict(reason='odd') if word == 'odd' else dict(embedding=[1.0])")
    assert wait(lambda: live.embed(ENCODER, FINGERPRINT, "odd")) == Refusal("failed", "odd")
    assert isinstance(wait(lambda: live.embed(ENCODER, FINGERPRINT, "even")), np.ndarray)


@pytest.mark.parametrize(
    "encoder",
    [
        "synthetic",
        "",
        "open_clip",
        "open_clip local-dir:/etc",
        "open_clip ../secret",
        "open_clip /etc/passwd",
        "open_clip ViT-B-16 /tmp/weights.pt",
        "open_clip ViT-B-16 openai extra",
        "open_clip hf-hub:a/b/c",
        "open_clip ViT-B-16\nopenai",
        "open_clip ViT-B-16 openai\n",
        "open_clip ViT-B-16 öpenai",
        "open_clip ViT-bigG-14",
        "open_clip .. openai",
        "open_clip hf-hub:../..",
        "conceptmon world ",
    ],
)
def test_no_file_that_a_log_names_is_opened(make, encoder: str) -> None:
    live, workers = make()
    found = live.embed(encoder, FINGERPRINT, "zebra")
    assert isinstance(found, Refusal)
    assert found.code == "unknown_encoder"
    assert workers.started == []


def test_without_torch_nothing_is_started(make, monkeypatch) -> None:
    monkeypatch.setattr(live_words, "_MODULES", ("torch", "no_such_module"))
    live, workers = make()
    found = live.embed(ENCODER, FINGERPRINT, "zebra")
    assert (found.code, workers.started) == ("not_installed", [])
    assert "no_such_module" in found.reason
    assert "pip" in found.reason or "install" in found.reason


def test_one_encoder_at_a_time(make) -> None:
    live, workers = make(delay=0.3)
    live.embed(ENCODER, FINGERPRINT, "zebra")
    assert live.embed(ENCODER, "second", "zebra") is None
    assert len(workers.started) <= 1
    wait(lambda: live.known(FINGERPRINT, "zebra"))
    workers._code = workers._code.replace(FINGERPRINT, "second")
    assert isinstance(wait(lambda: live.embed(ENCODER, "second", "zebra")), np.ndarray)
    assert len(workers.started) == 2
    assert workers.started[0].wait(5) is not None


def test_an_idle_encoder_ends_and_starts_again(make, monkeypatch) -> None:
    monkeypatch.setattr(live_words, "IDLE_SECONDS", 0.05)
    live, workers = make()
    wait(lambda: live.embed(ENCODER, FINGERPRINT, "zebra"))
    assert workers.started[0].wait(5) is not None
    assert isinstance(wait(lambda: live.embed(ENCODER, FINGERPRINT, "lion")), np.ndarray)
    assert isinstance(live.known(FINGERPRINT, "zebra"), np.ndarray)
    assert len(workers.started) == 2


def test_new_words_are_limited_but_asking_again_is_not(make) -> None:
    clock = Clock()
    live, _ = make(clock, delay=30)
    for number in range(live_words.BURST):
        assert live.embed(ENCODER, FINGERPRINT, f"word {number}") is None
    assert live.embed(ENCODER, FINGERPRINT, "word 3") is None
    with pytest.raises(TooManyRequestsError) as caught:
        live.embed(ENCODER, FINGERPRINT, "one more")
    assert caught.value.retry_after == 1
    clock.now = 1.0
    for number in range(int(live_words.PER_SECOND)):
        live.embed(ENCODER, FINGERPRINT, f"later {number}")
    with pytest.raises(TooManyRequestsError):
        live.embed(ENCODER, FINGERPRINT, "again one more")


def test_a_limited_number_of_words_is_remembered(make, monkeypatch) -> None:
    monkeypatch.setattr(live_words, "REMEMBERED_WORDS", 3)
    live, _ = make()
    for number in range(5):
        wait(lambda number=number: live.embed(ENCODER, FINGERPRINT, f"word {number}"))
    assert [live.known(FINGERPRINT, f"word {number}") is None for number in range(5)] == [
        True, True, False, False, False,
    ]  # fmt: skip


def test_a_process_that_complains_a_lot_is_read_and_only_the_end_is_kept(make, caplog) -> None:
    code = "import sys; sys.stderr.write('x' * 10_000_000 + 'the end'); sys.stderr.flush(); print('[]')"
    live, _ = make(code=code)
    found = wait(lambda: live.embed(ENCODER, FINGERPRINT, "zebra"))
    assert found.reason == "the encoder's process failed (TypeError): see TensorBoard's log"
    wait(lambda: "the end" in caplog.text or None)
    assert len(caplog.text) < 10_000


# Through the routes.


def provider_of(space: ConceptSpace) -> FakeProvider:
    provider = FakeProvider()
    provider.log("run", enumerate(make_snapshots(3, {"layer4": 12}, space=space)))
    return provider


@pytest.fixture
def space() -> ConceptSpace:
    return replace(make_space(), encoder=ENCODER, encoder_fingerprint=FINGERPRINT)


def place(answers: Answers, provider: FakeProvider, word: str) -> dict[str, Any]:
    return wait(lambda: answers.anchor(Source(provider), "run", word, None))


@pytest.mark.parametrize("projection", ["umap+shepard15", "pca"])
def test_a_typed_word_is_placed_as_neurons_are(make, space: ConceptSpace, projection: str) -> None:
    fitted = ConceptMap.fit(space.text_embedding, method="pca")
    if projection == "pca":
        space = replace(space, position=fitted.position, projection="pca")
    else:
        fitted = ConceptMap.from_positions(space.text_embedding, space.position)
        space = replace(space, projection=projection)
    vector = (space.text_embedding[3] + 0.7 * space.text_embedding[40]).tolist()
    live, _ = make(answer=f"dict(embedding={vector})")
    answer = place(Answers(live=live), provider_of(space), " Zebra   crossing ")
    assert {name: answer[name] for name in ("word", "kind", "index", "category")} == {
        "word": "Zebra crossing", "kind": "typed", "index": None, "category": "",
    }  # fmt: skip
    expected = fitted.project(np.array([vector], np.float32))[0]
    np.testing.assert_allclose(answer["position"], expected, atol=0.02)


def test_distances_take_a_typed_word_once_it_was_placed(make, space: ConceptSpace) -> None:
    cat = space.words.index("cat")
    live, _ = make(answer=f"dict(embedding={space.text_embedding[cat].tolist()})")
    answers, provider = Answers(live=live), provider_of(space)
    source = Source(provider)
    with pytest.raises(NotFoundError, match="route 'anchor' before"):
        answers.distances(source, "run", "layer4", ["kitty"], None)
    place(answers, provider, "kitty")
    typed, concept = answers.distances(source, "run", "layer4", ["Kitty", "cat"], None)["words"]
    assert (typed["kind"], concept["kind"]) == ("typed", "concept")
    assert typed["distance"] == pytest.approx(concept["distance"], abs=1e-3)


def test_words_of_the_space_start_no_encoder(make, space: ConceptSpace) -> None:
    live, workers = make()
    assert Answers(live=live).anchor(Source(provider_of(space)), "run", "Garden", None)["kind"] == "anchor"
    assert workers.started == []


def test_a_word_that_cannot_be_placed_says_why_and_suggests(make) -> None:
    live, _ = make()
    with pytest.raises(NotFoundError) as caught:
        Answers(live=live).anchor(Source(provider_of(make_space())), "run", "gardn", None)
    assert "garden" in caught.value.details["suggestions"]
    assert caught.value.details["code"] == "unknown_encoder"
    assert "'synthetic'" in caught.value.details["reason"]


def test_the_demo_encoder_is_not_asked_for_words_it_never_saw(make) -> None:
    live, workers = make()
    space = replace(make_space(), encoder="conceptmon world", encoder_fingerprint=FINGERPRINT)
    answers, provider = Answers(live=live), provider_of(space)
    with pytest.raises(NotFoundError) as caught:
        answers.anchor(Source(provider), "run", "parliament", None)
    assert caught.value.details["code"] == "vocabulary"
    assert workers.started == []
    with pytest.raises(NotFoundError) as caught:
        answers.anchor(Source(provider), "run", "skyscrapper", None)
    assert "skyscraper" in caught.value.details["suggestions"]


def test_an_embedding_of_another_size_is_an_error_not_a_bug(make, space: ConceptSpace) -> None:
    live, _ = make(answer="dict(embedding=[1.0, 2.0])")
    answers, provider = Answers(live=live), provider_of(space)
    with pytest.raises(NotFoundError, match="dimensions"):
        place(answers, provider, "zebra")


@pytest.mark.parametrize("word", ["x" * 81, "x" * 100_000])
def test_long_words_are_refused(make, space: ConceptSpace, word: str) -> None:
    live, workers = make()
    with pytest.raises(BadRequestError):
        Answers(live=live).anchor(Source(provider_of(space)), "run", word, None)
    assert workers.started == []


@pytest.mark.parametrize("word", ["", "   "])
def test_no_word_is_not_found(make, space: ConceptSpace, word: str) -> None:
    live, workers = make()
    with pytest.raises(NotFoundError):
        Answers(live=live).anchor(Source(provider_of(space)), "run", word, None)
    assert workers.started == []


def test_the_route_tells_loading_limits_and_reasons_by_status(make, space: ConceptSpace, caplog) -> None:
    caplog.set_level(logging.ERROR)
    live, _ = make(Clock(), delay=30)
    plugin = ConceptMonitorPlugin(SimpleNamespace(data_provider=provider_of(space)))
    plugin._made = Answers(live=live)
    client = Client(plugin.get_plugin_apps()["/anchor"])
    first = client.get("/?run=run&word=zebra")
    assert (first.status_code, json.loads(first.data)) == (202, {"status": "loading"})
    for number in range(live_words.BURST - 1):
        client.get(f"/?run=run&word=word{number}")
    limited = client.get("/?run=run&word=one+more")
    assert (limited.status_code, limited.headers["Retry-After"]) == (429, "1")
    assert json.loads(limited.data)["error"]
    assert client.get("/?run=run&word=" + "x" * 81).status_code == 400
    assert client.get("/?run=run&word=garden").status_code == 200
    assert caplog.records == []
