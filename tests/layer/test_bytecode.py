"""Which Python compiles, and what it writes."""

import json
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from layers.package import bytecode
from layers.package.wheels import GLIBC

THIS = platform.python_version()
RUNTIME = THIS.rpartition(".")[0]
NEWER = f"{RUNTIME}.99"
Script = Callable[[str, str], object]


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Script:
    """Write a program to an otherwise empty PATH; this Python has no uv."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(bytecode, "find_spec", lambda _: None)

    def put(name: str, lines: str) -> None:
        file = tmp_path / name
        file.write_text(f"#!/bin/sh\n{lines}\n")
        file.chmod(0o755)

    return put


def release(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    monkeypatch.setitem(bytecode.RELEASES, version.rpartition(".")[0], version)


UV = f'case "$*" in *"--python {NEWER}"*) echo /uv/python;; *) exit 2;; esac'
NO_NETWORK = "echo 'no network' >&2; exit 2"


@pytest.mark.parametrize(
    ("version", "scripts", "found"),
    [
        (THIS, {"uv": "echo /uv/python"}, (sys.executable, THIS)),
        (NEWER, {f"python{RUNTIME}": f"echo {NEWER}"}, (f"python{RUNTIME}", NEWER)),
        (NEWER, {"uv": UV}, ("/uv/python", NEWER)),
        (NEWER, {"uv": NO_NETWORK}, (sys.executable, THIS)),
    ],
    ids=["this Python", "on the PATH", "by uv", "another release without uv"],
)
def test_release_compiles_or_else_another_release_of_its_minor_version(
    script: Script,
    monkeypatch: pytest.MonkeyPatch,
    version: str,
    scripts: dict[str, str],
    found: tuple[str, str],
) -> None:
    release(monkeypatch, version)
    for name, lines in scripts.items():
        script(name, lines)
    assert bytecode.interpreter(RUNTIME) == found


def test_compilation_by_another_release_is_reported(
    script: Script, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    release(monkeypatch, NEWER)
    said = bytecode.compile_for(RUNTIME, tmp_path, "/opt/python")
    assert said == f"bytecode by Python {THIS} (not {NEWER}, whose bytes may differ)"


def test_build_without_a_python_writes_no_bytecode(
    script: Script, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    release(monkeypatch, "3.99.0")
    script("python3.99", "echo 'pyenv: python3.99: command not found' >&2\nexit 127")
    assert bytecode.interpreter("3.99") is None
    (tmp_path / "module.py").touch()
    said = bytecode.compile_for("3.99", tmp_path, "/opt/python")
    assert said.startswith("no bytecode: found no python3.99")
    assert not (tmp_path / "__pycache__").exists()


def test_settings_of_the_host_do_not_change_the_bytecode(
    script: Script, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    release(monkeypatch, THIS)
    monkeypatch.setenv("PYTHONOPTIMIZE", "2")
    monkeypatch.setenv("PYTHONPYCACHEPREFIX", str(tmp_path / "elsewhere"))
    (tmp_path / "module.py").touch()
    assert bytecode.compile_for(RUNTIME, tmp_path, "/opt/python") == f"bytecode by Python {THIS}"
    compiled = {file.relative_to(tmp_path) for file in tmp_path.rglob("module*.pyc")}
    assert compiled == {Path("__pycache__", f"module.{sys.implementation.cache_tag}.pyc")}


def test_syntax_error_ends_the_build(
    script: Script, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    release(monkeypatch, THIS)
    (tmp_path / "module.py").write_text("(")
    with pytest.raises(SystemExit, match="could not compile"):
        bytecode.compile_for(RUNTIME, tmp_path, "/opt/python")


def test_locked_uv_can_download_the_release_of_every_runtime() -> None:
    known = ["python", "list", "--all-versions", "--only-downloads", "--output-format", "json"]
    command = [sys.executable, "-m", "uv", *known]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    versions = {entry["version"] for entry in json.loads(listed)}
    assert set(bytecode.RELEASES) == set(GLIBC)
    assert set(bytecode.RELEASES.values()) <= versions
