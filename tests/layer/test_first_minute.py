"""The wheel in a fresh environment: a local database, and the README's first cached answer.

The environment has the packages that the wheel's metadata requires, and no others. They are links
to those of these tests, so nothing is downloaded.
"""

import os
import re
import signal
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator
from importlib.metadata import Distribution, distribution, distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from tests.repository.pages import Block, blocks

NAME = "lambda-llm-cache"
Install = Callable[[str], Path]


def requirements(found: Distribution, extra: str) -> Iterator[Requirement]:
    """Yield what a distribution requires on this machine, with one of its extras."""
    for text in found.requires or []:
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            yield requirement


def closure(ours: Distribution, extra: str) -> dict[str, Distribution]:
    """Return the distributions that the library needs with an extra."""
    found = dict[str, Distribution]()
    pending, seen = [(NAME, extra)], set[tuple[str, str]]()
    while pending:
        name, chosen = pending.pop()
        if (name, chosen) in seen:
            continue
        seen.add((name, chosen))
        if name != NAME:
            found[name] = distribution(name)
        for it in requirements(ours if name == NAME else found[name], chosen):
            pending += [(it.name.lower(), other) for other in ("", *it.extras)]
    return found


@pytest.fixture
def install(wheel: Path, tmp_path: Path) -> Install:
    """Install the wheel with an extra into a fresh environment; return its folder of programs."""

    def install(extra: str) -> Path:
        environment = tmp_path / "fresh"
        venv.create(environment)
        (site,) = environment.glob("lib/python3*/site-packages")
        python = environment / "bin/python"
        pip = [sys.executable, "-m", "pip", "--python", str(python), "install"]
        subprocess.run([*pip, "--no-deps", "--no-index", wheel], check=True, capture_output=True)
        (ours,) = distributions(name=NAME, path=[str(site)])
        for found in closure(ours, extra).values():
            for top in {file.parts[0] for file in found.files or []} - {"..", "__pycache__"}:
                if not (site / top).exists():
                    (site / top).symlink_to(Path(str(found.locate_file(top))))
        return environment / "bin"

    return install


def environ(programs: Path) -> dict[str, str]:
    return {"PATH": f"{programs}{os.pathsep}{os.defpath}", "LLM_CACHE_TIMEOUT": "10"}


@pytest.fixture
def ten_lines() -> tuple[Block, Block]:
    """The first program of the README, and its output."""
    found = blocks("README.md")
    (index,) = [i for i, block in enumerate(found) if "FakeListChatModel" in block.text]
    return found[index], found[index + 1]


def test_first_answer_from_the_cache_needs_the_extra_serve_alone(
    install: Install, tmp_path: Path, ten_lines: tuple[Block, Block]
) -> None:
    programs = install("serve")
    program, output = ten_lines
    command = [str(programs / "llm-cache"), "serve"]
    shown_command, shown_exports = [it for it in blocks("docs/quick-start.md") if it.test]
    assert shown_command.text == "llm-cache serve\n"
    with subprocess.Popen(
        command, env=environ(programs), cwd=tmp_path, stdout=subprocess.PIPE, text=True
    ) as served:
        assert served.stdout
        exports = served.stdout.readline() + served.stdout.readline()
        shown = subprocess.run(
            ["sh", "-c", f'{exports}exec python -c "$0"', program.text],
            env=environ(programs),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        served.send_signal(signal.SIGINT)
    assert re.sub(r":\d+", ":8079", exports) == shown_exports.text
    assert shown.stdout == output.text, shown.stderr
    assert served.returncode == 0


def test_missing_extra_is_named(install: Install, tmp_path: Path) -> None:
    programs = install("cli")
    done = subprocess.run(
        [programs / "llm-cache", "serve"],
        env=environ(programs),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith("pip install 'lambda-llm-cache[serve]'\n")
    assert done.stderr.count("\n") == 1
