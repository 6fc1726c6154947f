"""Large answers share a limited room: they wait for each other, and small ones wait for nobody."""

from __future__ import annotations

import json
import threading
import time
from types import SimpleNamespace

import pytest
from werkzeug.test import Client

from conceptmon_tb.plugin import answer_room
from conceptmon_tb.plugin.answer_room import SMALL_BYTES, AnswerRoom
from conceptmon_tb.plugin.app import ConceptMonitorPlugin
from conceptmon_tb.plugin.errors import TooManyRequestsError
from tests.providers import FakeProvider
from tests.reliability.notes import Note
from tests.synthetic import make_snapshots

LARGE = 10 * SMALL_BYTES


def test_large_answers_wait_for_room_and_the_room_is_never_more_than_full(reliability: Note) -> None:
    room = AnswerRoom(max_bytes=3 * LARGE, wait_seconds=30)
    most, served, lock = 0, 0, threading.Lock()

    def ask() -> None:
        nonlocal most, served
        release = room.take(LARGE)
        with lock:
            most = max(most, room.num_bytes)
            served += 1
        time.sleep(0.002)
        release()
        release()

    threads = [threading.Thread(target=ask) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (most, served, room.num_bytes) == (3 * LARGE, 100, 0)
    reliability(area="requests", tried="large answers asked for at the same time", count=100)


def test_who_waits_too_long_is_told_to_come_again_and_small_answers_are_let_in() -> None:
    room = AnswerRoom(max_bytes=LARGE, wait_seconds=0.05)
    release = room.take(2 * LARGE)  # more than there is: alone
    with pytest.raises(TooManyRequestsError, match="MiB") as caught:
        room.take(LARGE)
    assert caught.value.retry_after >= 1
    room.take(SMALL_BYTES)()
    release()
    room.take(LARGE)()
    assert room.num_bytes == 0


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> ConceptMonitorPlugin:
    monkeypatch.setattr(answer_room, "SMALL_BYTES", 0)
    provider = FakeProvider()
    provider.log("run", enumerate(make_snapshots(3, {"layer1": 6})))
    plugin = ConceptMonitorPlugin(SimpleNamespace(data_provider=provider))
    plugin._room = AnswerRoom(max_bytes=2000, wait_seconds=0.05)
    return plugin


def test_room_is_held_until_the_answer_was_sent(plugin: ConceptMonitorPlugin) -> None:
    client = Client(plugin.get_plugin_apps()["/layer"])
    query = "/?run=run&layer=layer1"
    unread = client.get(query)
    assert unread.status_code == 200
    held = plugin._room.num_bytes
    assert held >= len(unread.data) / 2
    refused = client.get(query)
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "5")
    assert "fewer steps" in json.loads(refused.data)["error"]
    assert client.get(query + "&from=9").status_code == 200  # nothing to send
    unread.close()
    assert plugin._room.num_bytes == 0
    assert client.get(query).status_code == 200


def test_room_is_given_back_when_the_answer_fails(
    plugin: ConceptMonitorPlugin, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from conceptmon_tb.plugin import answers

    def fail(*_: object) -> None:
        raise RuntimeError("/home/me/secret.py, line 1")

    monkeypatch.setattr(answers, "stack_neurons", fail)
    client = Client(plugin.get_plugin_apps()["/layer"])
    answer = client.get("/?run=run&layer=layer1")
    assert answer.status_code == 500
    assert json.loads(answer.data) == {"error": "internal error (RuntimeError): see TensorBoard's log"}
    assert "/home/me/secret.py" in caplog.text
    assert plugin._room.num_bytes == 0
