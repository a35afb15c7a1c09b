from collections.abc import Callable, Iterator
from typing import TypeAlias

import pytest
from tests.unit.cli.ask_server import AskServer, ask_server
from tests.unit.cli.stacks import deployed

from llm_cache._cli.main import main

Run: TypeAlias = Callable[..., tuple[int, str, str]]


@pytest.fixture
def served() -> Iterator[AskServer]:
    """The Function URL of the stack ``shop``."""
    with ask_server() as server, deployed(server.url):
        yield server


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command line; return its exit code, and what it printed."""

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(arguments)
        return (code, *capsys.readouterr())

    return run
