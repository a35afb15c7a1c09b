"""The modules of the functions: unique names, short handlers."""

import re
import sys
from pathlib import Path

import pytest

FUNCTIONS = ("ask", "flush_cache", "summarize")
MAX_LINES = 40  # of a file with a Lambda handler
CLASS = re.compile(r"^class (\w+)", re.MULTILINE)


def modules(folder: Path) -> list[Path]:
    """Return the modules below a folder, without links to other folders."""
    return [path for path in folder.rglob("*.py") if not path.name.startswith("__")]


@pytest.mark.parametrize("folder", [*FUNCTIONS, "bedrock"])
def test_module_and_class_names_are_unique_in_the_project(checkout: Path, folder: str) -> None:
    own = modules(checkout / "functions" / folder)
    every = [*modules(checkout / "src"), *modules(checkout / "functions")]
    others = [path for path in every if path not in own]
    names = {path.stem for path in own}
    assert names & {path.stem for path in others} == set()
    assert names & (sys.stdlib_module_names | {"bedrock", "llm_cache", "package"}) == set()
    assert classes(own) & classes(others) == set()


def classes(paths: list[Path]) -> set[str]:
    return {name for path in paths for name in CLASS.findall(path.read_text())}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_file_with_a_handler_is_short(checkout: Path, function: str) -> None:
    own = modules(checkout / "functions" / function)
    handlers = [path for path in own if "\ndef handler(" in path.read_text()]
    assert [path.stem for path in handlers] == [function]
    assert len(handlers[0].read_text().splitlines()) <= MAX_LINES
