from collections.abc import Iterator

import pytest
from tests.command_line import run  # noqa: F401  a fixture
from tests.deployed_stack import deployed
from tests.unit.cli.ask_server import AskServer, ask_server


@pytest.fixture
def served() -> Iterator[AskServer]:
    """The Function URL of the stack ``shop``."""
    with ask_server() as server, deployed(server.url):
        yield server
