"""The examples of docs/testing.md pass in a pytest of their own, without a server."""

import os
import subprocess
import sys
from pathlib import Path

from tests.repository.pages import blocks

MOST_LINES = 10  # that test a function, as the page promises


def example(name: str) -> str:
    (text,) = (it.text for it in blocks("docs/testing.md") if it.text.startswith(f"# {name}\n"))
    return text.removeprefix(f"# {name}\n")


def test_examples_of_the_page_pass_with_this_plugin_alone(tmp_path: Path) -> None:
    names = ["shop.py", "test_shop.py", "test_more.py"]
    for name in names:
        (tmp_path / name).write_text(example(name))
    environ = {"PATH": os.environ["PATH"], "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    # -p takes the name of an entry point.
    command = [sys.executable, "-m", "pytest", "-W", "error", "-p", "llm_cache", *names[1:]]
    ran = subprocess.run(
        command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
    )
    assert "= 6 passed in" in ran.stdout, ran.stdout + ran.stderr


def test_first_example_has_ten_lines() -> None:
    lines = [line for line in example("test_shop.py").splitlines() if line]
    assert len(lines) <= MOST_LINES
