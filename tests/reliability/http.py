"""HTTP as nobody else sends it: requests byte by byte, over a socket of their own."""

from __future__ import annotations

import http.client
import json
import socket
import zlib
from collections.abc import Iterable
from typing import Any, NamedTuple

ROUTE = "/data/plugin/conceptmon/"
TIMEOUT_SECONDS = 60.0


class Answer(NamedTuple):
    """What came back.

    Attributes:
        status: HTTP status.
        headers: By lower-case name; a header that comes twice is joined by a comma.
        body: Uncompressed.
    """

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)


def send(
    port: int,
    target: str | bytes,
    *,
    method: str = "GET",
    hosts: Iterable[str | bytes] | None = None,
    headers: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
) -> Answer:
    """Send one request and read the answer.

    Args:
        port: On this machine.
        target: Path and query, sent as they are.
        method: Any word.
        hosts: Values of the header Host, one line each; by default that of a browser.
        headers: More headers.
        body: Sent with its length.
    """
    lines = [_bytes(f"{method} ") + _bytes(target) + b" HTTP/1.1"]
    lines += [b"Host: " + _bytes(host) for host in ([f"127.0.0.1:{port}"] if hosts is None else hosts)]
    lines += [_bytes(f"{name}: {value}") for name, value in headers]
    lines += [_bytes(f"Content-Length: {len(body)}")] if body else []
    with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_SECONDS) as connection:
        connection.sendall(b"\r\n".join([*lines, b"Connection: close", b"", b""]) + body)
        answer = http.client.HTTPResponse(connection, method=method)
        answer.begin()
        found: dict[str, str] = {}
        for name, value in answer.getheaders():
            found[name.lower()] = f"{found[name.lower()]}, {value}" if name.lower() in found else value
        content = answer.read()
    if content and found.get("content-encoding") == "gzip":
        content = zlib.decompress(content, wbits=31)
    return Answer(answer.status, found, content)


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode()
