"""Requests made to break the plugin, or to get more out of it than event data, over real HTTP."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote, urlencode

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import conceptmon_tb
from conceptmon_tb.plugin.app import ConceptMonitorPlugin
from conceptmon_tb.plugin.errors import BadRequestError, ForbiddenError
from conceptmon_tb.plugin.static_files import MIME_TYPES, StaticFiles
from conceptmon_tb.plugin.visitors import check_visitor
from tests.reliability.hostile_requests import (
    BINARY,
    FILES,
    FIRST,
    HOSTILE,
    JSON,
    METHODS,
    MORE,
    PIECES,
    RIGHT,
    STRANGE,
    WAYS_OUT,
)
from tests.reliability.http import ROUTE, Answer, send
from tests.reliability.notes import Note
from tests.servers import TensorBoardServer
from tests.synthetic import write_run

SMALL = {"layer1": 6, "layer2": 8}
STATIC = Path(__file__).parents[2] / "plugin_static"
TYPES = {*MIME_TYPES.values(), JSON, BINARY, "image/jpeg", "text/csv"}


LISTED = StaticFiles()
NOBODYS = b"Not found"
"""What TensorBoard says of a path that it gives to no plugin, such as that of a folder."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TensorBoardServer]:
    logdir = tmp_path_factory.mktemp("requested")
    write_run(logdir / "one", epochs=3, layers=SMALL)
    write_run(logdir / "two", epochs=2, layers=SMALL, seed=1)
    with TensorBoardServer(logdir, bind_all=False) as running:
        running.wait_for(lambda: len(running.runs()) == 2)
        running.wait_for(
            lambda: len(running.runs()["one"]["layers"].get("layer2", {"steps": []})["steps"]) == 3
        )
        yield running


def check(server: TensorBoardServer, answer: Answer) -> Answer:
    """Check what holds for every answer, right or wrong."""
    headers = answer.headers
    assert answer.status in (200, 202, 304, 400, 403, 404, 405, 429), answer
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'self'"
    assert "access-control-allow-origin" not in headers
    assert "set-cookie" not in headers
    if answer.status != 304:
        assert headers["content-type"].partition(";")[0] in TYPES
    if answer.status >= 400:
        assert headers["content-type"] == JSON
        assert answer.json()["error"]
    told = answer.body.decode("utf-8", "replace")
    for secret in (
        str(server.logdir),
        str(Path(conceptmon_tb.__file__).parent),
        "Traceback",
        'File "/',
        "root:x:",
    ):
        assert secret not in told
    return answer


def ask(server: TensorBoardServer, target: str | bytes, **settings: Any) -> Answer:
    path = target if isinstance(target, bytes) else ROUTE + target
    return check(server, send(server.port, path, **settings))


@pytest.mark.parametrize("route", RIGHT)
def test_wrong_parameters_are_refused_and_never_a_bug(
    server: TensorBoardServer, route: str, reliability: Note
) -> None:
    right, content_type = RIGHT[route]
    plain = ask(server, f"{route}?{urlencode(right)}")
    assert (plain.status, plain.headers["content-type"]) == (200, content_type)
    queries = []
    for name in (*right, *MORE.get(route, ()), "revision", "fingerprint", "nonsense", "%ff", ""):
        rest = urlencode({other: value for other, value in right.items() if other != name})
        values = HOSTILE if FIRST.get(name) == route else HOSTILE[:: 4 if name in right else 8]
        queries += [f"{rest}&{name}={value}" for value in values]
        queries += [
            rest,
            f"{rest}&{name}",
            f"{rest}&{name}=a&{name}=b",
            f"{rest}&{name}=1;{name}=2",
            f"{rest}&={name}",
        ]
    queries += ["&" * 1000, "=" * 1000, "run=one&" * 2000, "%" * 3000, "word=x&" * 70, "film=1&" * 70]
    before = psutil.Process(server.pid).memory_info().rss
    wrong = [ask(server, f"{route}?{query}").status for query in queries]
    assert {400, 404} & set(wrong) or route == "runs"
    assert psutil.Process(server.pid).memory_info().rss - before < 64 << 20
    assert ask(server, f"{route}?{urlencode(right)}").body == plain.body
    reliability(area="requests", tried="wrong parameters on every route", count=len(queries))


def test_every_route_is_tried() -> None:
    routes = ConceptMonitorPlugin(SimpleNamespace(data_provider=None)).get_plugin_apps()
    assert {f"/{route}" for route in RIGHT} | {"/index.js", "/static/*"} == set(routes)


def test_required_parameters_and_repeated_ones_are_told_apart(server: TensorBoardServer) -> None:
    for route, (right, _) in RIGHT.items():
        for name in right:
            rest = {other: value for other, value in right.items() if other != name}
            twice = f"{urlencode(right)}&{name}={quote(right[name])}"
            if name not in ("word", "film") or route == "anchor":
                assert ask(server, f"{route}?{twice}").status == 400, (route, name)
            if name in ("run", "layer", "neuron") or (route == "anchor" and name == "word"):
                missing = ask(server, f"{route}?{urlencode(rest)}")
                assert (missing.status, missing.json()["error"]) == (400, f"parameter {name!r} is missing")


def test_a_request_line_that_is_too_long_or_no_http_harms_nobody(server: TensorBoardServer) -> None:
    # TensorBoard's own server answers these: not with our headers.
    assert send(server.port, ROUTE + "runs?revision=" + "x" * 70_000).status == 414
    assert send(server.port, ROUTE + "runs", headers=[("X", "y" * 70_000)]).status == 431
    for garbage in (
        b"\x00\x01\x02\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET  HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00",
    ):
        with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
            connection.sendall(garbage)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(4096):
                pass
    assert ask(server, "runs").status == 200


@pytest.mark.parametrize("route", [*RIGHT, *FILES, "static/../plugin/app.py", "static/nothing.js"])
def test_whatever_is_not_get_or_head_is_405(server: TensorBoardServer, route: str, reliability: Note) -> None:
    query = urlencode(RIGHT[route][0]) if route in RIGHT else ""
    for method in METHODS:
        for body in (b"", b"run=one" * 10_000):
            answer = ask(server, f"{route}?{query}", method=method, body=body)
            assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD"), method
    reliability(
        area="requests",
        tried="other methods than GET and HEAD, with and without a body",
        count=2 * len(METHODS),
    )


def test_strange_headers_change_nothing(server: TensorBoardServer, reliability: Note) -> None:
    targets = {
        "images?run=one&step=0": "image/jpeg",
        "timeline?run=one": JSON,
        "static/style.css": FILES["static/style.css"],
    }
    for target, content_type in targets.items():
        plain = ask(server, target)
        for header in STRANGE:
            answer = send(server.port, ROUTE + target, headers=[header])
            if answer.headers.get("content-type") != "text/plain; charset=utf-8":  # TensorBoard's own refusal
                check(server, answer)
            assert answer.status in (200, 304, 400), header
            if answer.status == 200:
                assert (answer.headers["content-type"], answer.body) == (content_type, plain.body), header
    reliability(area="requests", tried="strange headers", count=len(STRANGE) * len(targets))


@pytest.mark.parametrize("experiment", ["other", "..", "%2e%2e%2f", "%00", "x" * 5000, "%ff", "<b>", "%0a"])
def test_no_experiment_but_this_log_is_there(server: TensorBoardServer, experiment: str) -> None:
    for route in ("runs", "layer?run=one&layer=layer1", "images?run=one&step=0"):
        answer = send(server.port, f"/experiment/{experiment}{ROUTE}{route}")
        assert answer.status in (200, 400, 404)
        assert str(server.logdir).encode() not in answer.body
        assert b"Traceback" not in answer.body


def test_head_has_the_headers_of_get_and_no_body(server: TensorBoardServer, reliability: Note) -> None:
    targets = [f"{route}?{urlencode(right)}" for route, (right, _) in RIGHT.items()]
    targets += [*FILES, "layer", "layer?run=nobody&layer=x", "static/nothing.js"]
    for target in targets:
        for encoding in ("identity", "gzip"):
            encodings = [("Accept-Encoding", encoding)]
            got = ask(server, target, headers=encodings)
            head = send(server.port, ROUTE + target, method="HEAD", headers=encodings)
            assert (head.status, head.body) == (got.status, b"")
            assert {**head.headers, "date": ""} == {**got.headers, "date": ""}
    reliability(area="requests", tried="HEAD on every route, plain and compressed", count=2 * len(targets))


# Files.


def test_every_file_of_the_tab_and_no_other_is_served(server: TensorBoardServer, reliability: Note) -> None:
    there = [path for path in STATIC.rglob("*") if path.is_file()]
    for path in there:
        name = path.relative_to(STATIC).as_posix()
        answer = ask(server, f"static/{name}")
        if path.suffix in MIME_TYPES:
            assert (answer.status, answer.body) == (200, path.read_bytes())
            assert answer.headers["content-type"].partition(";")[0] == MIME_TYPES[path.suffix]
            again = ask(server, f"static/{name}", headers=[("If-None-Match", answer.headers["etag"])])
            assert (again.status, again.body) == (304, b"")
        else:
            assert answer.status == 404
    reliability(
        area="requests",
        tried="every file of the tab's folder, served only if it is the tab's",
        count=len(there),
    )


def test_no_spelling_of_a_path_leads_out_of_the_list(server: TensorBoardServer, reliability: Note) -> None:
    versions = (LISTED.version(), "0" * 16)
    bases = ("static/", "static%2f", *(f"static/{version}/" for version in versions))
    for way in WAYS_OUT:
        for target in (f"static/{way}?name=style.css", *(base + way for base in bases)):
            answer = send(server.port, ROUTE + target)
            assert answer.status == 404, target
            if answer.body != NOBODYS:
                assert check(server, answer).json()["error"]
    for target in (
        "/data/plugin/conceptmon/../../../etc/passwd",
        "/../etc/passwd",
        "/data/plugin/conceptmon/index.js/../x",
    ):
        assert send(server.port, target).status in (301, 308, 404)
    reliability(area="requests", tried="spellings of paths out of the tab's folder", count=5 * len(WAYS_OUT))


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(PIECES), max_size=7))
def test_no_path_made_of_such_pieces_leads_out_of_the_list(
    server: TensorBoardServer, pieces: list[str]
) -> None:
    name = "/".join(pieces)
    answer = send(server.port, f"{ROUTE}static/{name}")
    assert answer.status == (200 if LISTED.read(name) else 404)
    if answer.body != NOBODYS:
        check(server, answer)


# Visitors.


def test_foreign_names_are_refused_and_tunnels_and_proxies_are_not(
    server: TensorBoardServer, reliability: Note
) -> None:
    port = server.port
    welcome = (
        f"127.0.0.1:{port}", f"localhost:{port}", f"LocalHost:{port}", f"localhost.:{port}",
        f"tb.localhost:{port}", f"[::1]:{port}", f"192.168.1.7:{port}", f"{socket.gethostname()}:{port}",
        "tensorboard.example.org", "hub.example.org:8000", "6006-abc.colab.example", "localhost:8888",
        f"gpu-box:{port + 1}",
    )  # fmt: skip
    foreign = (
        f"evil.example:{port}", f"localhost.evil.example:{port}", f"127.0.0.1.evil.example:{port}",
        f"7f01.rbnd.example:{port}", f"evillocalhost:{port}", f"EVIL.example.:{port}", f"1.2.3.4.5:{port}",
    )  # fmt: skip
    broken = (
        "a b", "me@localhost", f"evil.example,localhost:{port}", "localhost:port", "localhost:-1", "[::1",
        "<script>", "localhost/..", "\xff.example".encode("latin-1"), "\x00", "x" * 300,
        f"evil.example:0{port}", f"evil.example:{port}:{port}",
    )  # fmt: skip
    for host in welcome:
        assert ask(server, "timeline?run=one", hosts=[host]).status == 200, host
    for host in foreign:
        for route, (right, _) in RIGHT.items():
            answer = ask(server, f"{route}?{urlencode(right)}", hosts=[host])
            assert (answer.status, list(answer.json())) == (403, ["error"]), host
            assert "--host=" in answer.json()["error"]
        assert [ask(server, file, hosts=[host]).status for file in FILES] == [200, 200]
    for host in broken:
        assert ask(server, "runs", hosts=[host]).status == 400, host
    assert ask(server, "runs", hosts=[f"localhost:{port}", f"evil.example:{port}"]).status == 400
    assert send(port, "/data/runs", hosts=[foreign[0]]).json() == [
        "one",
        "two",
    ]  # TensorBoard's own do not look
    reliability(
        area="tensorboard",
        tried="its own routes answer a rebound name: ours refuse it",
        count=len(foreign),
        lost="its scalars, texts and paths are open to such a page",
    )
    tried = len(welcome) + len(foreign) * (len(RIGHT) + len(FILES)) + len(broken) + 1
    reliability(
        area="requests", tried="Host headers: foreign, broken, and those of tunnels and proxies", count=tried
    )


@pytest.mark.parametrize(
    ("bound", "names", "host", "is_refused"),
    [
        ("127.0.0.1", (), "gpu-box:6006", True),
        ("127.0.0.1", ("gpu-box",), "GPU-box:6006", False),
        ("127.0.0.53", (), "evil.example:6006", True),
        ("::1", (), "evil.example:6006", True),
        ("::", (), "gpu-box:6006", False),
        ("0.0.0.0", (), "gpu-box.example.org:6006", False),
        ("10.1.2.3", (), "gpu-box:6006", False),
        ("some.name", (), "gpu-box:6006", False),
        ("127.0.0.1", (), "", False),
    ],
)
def test_only_who_listens_on_localhost_alone_refuses_names(
    bound: str, names, host: str, is_refused: bool
) -> None:
    environ = {"SERVER_NAME": bound, "SERVER_PORT": "6006", "HTTP_HOST": host}
    if is_refused:
        with pytest.raises(ForbiddenError):
            check_visitor(environ, names)
    else:
        check_visitor(environ, names)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.text(max_size=40), st.sampled_from(["", ":6006", ":80", ":99999", ":"]))
def test_no_name_but_ours_is_answered_at_our_port(name: str, port: str) -> None:
    environ = {"SERVER_NAME": "127.0.0.1", "SERVER_PORT": "6006", "HTTP_HOST": f"{name}.example{port}"}
    try:
        check_visitor(environ, ())
    except (BadRequestError, ForbiddenError):
        return
    assert port in ("", ":80", ":99999")


@pytest.mark.parametrize(
    ("site", "mode", "status"),
    [
        ("cross-site", "no-cors", 403),
        ("cross-site", "cors", 403),
        ("cross-site", "websocket", 403),
        ("cross-site", "navigate", 200),
        ("same-site", "cors", 200),
        ("same-origin", "cors", 200),
        ("none", "navigate", 200),
    ],
)
def test_pages_of_other_sites_get_nothing(
    server: TensorBoardServer, site: str, mode: str, status: int
) -> None:
    headers = [("Sec-Fetch-Site", site), ("Sec-Fetch-Mode", mode)]
    assert ask(server, "timeline?run=one", headers=headers).status == status
    assert ask(server, "static/style.css", headers=headers).status == 200


def test_the_page_around_the_tab_allows_scripts_of_this_server_alone(server: TensorBoardServer) -> None:
    page = send(server.port, "/data/plugin_entry.html?name=conceptmon")
    policy = dict(part.strip().split(" ", 1) for part in page.headers["content-security-policy"].split(";"))
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert policy["default-src"] == "'self'"
    assert policy["object-src"] == "'none'"
    assert policy["connect-src"] == "'self'"
    assert "unsafe-inline" not in policy["script-src"]
    assert "http" not in policy["script-src"]


# Many at once.

CLIENTS, ROUNDS = 100, 5


def test_a_hundred_clients_at_once_get_right_answers(server: TensorBoardServer, reliability: Note) -> None:
    targets = [f"{route}?{urlencode(right)}" for route, (right, _) in RIGHT.items()]
    targets += [*FILES, "layer?run=nobody&layer=x", "neuron?run=one"]
    expected = [ask(server, target) for target in targets]
    process = psutil.Process(server.pid)
    before, handles = process.memory_info().rss, process.num_fds()
    wrong: list[object] = []
    barrier = threading.Barrier(CLIENTS)

    def visit(number: int) -> None:
        barrier.wait()
        for turn in range(ROUNDS):
            which = (number * 7 + turn) % len(targets)
            try:
                answer = ask(server, targets[which])
            except (OSError, AssertionError) as error:
                wrong.append(error)
            else:
                if (answer.status, answer.body) != (expected[which].status, expected[which].body):
                    wrong.append((targets[which], answer))

    threads = [threading.Thread(target=visit, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    server.wait_for(lambda: process.num_fds() <= handles + 10)
    assert process.memory_info().rss - before < 200 << 20
    reliability(
        area="requests", tried=f"requests of {CLIENTS} clients at the same time", count=CLIENTS * ROUNDS
    )
