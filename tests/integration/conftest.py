"""Fixtures of the integration tests."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.servers import Corner, TensorBoardServer


@pytest.fixture(scope="module")
def shared_servers(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[str], TensorBoardServer]]:
    """One TensorBoard of each loading mode for a file: starting one takes longer than most tests."""
    servers: dict[str, TensorBoardServer] = {}

    def find(loader: str) -> TensorBoardServer:
        if loader not in servers:
            logdir = tmp_path_factory.mktemp("shared")
            servers[loader] = TensorBoardServer(logdir, loader, "--reload_interval=1")
            servers[loader].start()
        return servers[loader]

    yield find
    for server in servers.values():
        server.stop()


@pytest.fixture
def corner(shared_servers: Callable[[str], TensorBoardServer], tmp_path: Path) -> Callable[[str], Corner]:
    """`corner(loader)`: a folder for this test's runs where a running TensorBoard finds them."""
    return lambda loader: Corner(shared_servers(loader), tmp_path.name)
