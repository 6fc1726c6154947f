"""Fixtures of the attempts to break it. `reliability` itself is in `tests/conftest.py`, for all tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.servers import TensorBoardServer


@pytest.fixture
def tensorboard() -> Iterator[Callable[..., TensorBoardServer]]:
    """Start TensorBoard with `tensorboard(logdir, *flags)`; it is killed after the test."""
    servers: list[TensorBoardServer] = []

    def start(*arguments: object, **settings: object) -> TensorBoardServer:
        server = TensorBoardServer(*arguments, **settings)  # type: ignore[arg-type]
        servers.append(server)
        return server.start()

    yield start
    for server in servers:
        server.stop()
