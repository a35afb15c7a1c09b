"""The modules of the functions: no name means two things, and handlers are short."""

import sys
from pathlib import Path

import pytest

FUNCTIONS = ("ask", "flush_cache", "summarize")
MOST_LINES = 40  # of a file with a Lambda handler


def modules(checkout: Path, function: str) -> dict[str, Path]:
    """Return the modules of a function, by name; its links are not its own."""
    folder = checkout / "functions" / function
    return {path.stem: path for path in folder.glob("*.py")}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_module_of_a_function_has_the_name_of_another(checkout: Path, function: str) -> None:
    others = {name for other in FUNCTIONS if other != function for name in modules(checkout, other)}
    own = set(modules(checkout, function))
    assert own & others == set()
    assert own & (sys.stdlib_module_names | {"bedrock", "llm_cache", "package"}) == set()


@pytest.mark.parametrize("function", FUNCTIONS)
def test_file_with_a_handler_is_short(checkout: Path, function: str) -> None:
    handlers = [
        path
        for path in modules(checkout, function).values()
        if "\ndef handler(" in path.read_text()
    ]
    assert [path.stem for path in handlers] == [function]
    assert len(handlers[0].read_text().splitlines()) <= MOST_LINES
