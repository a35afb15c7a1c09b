"""Who compiles: the release, else uv's, else one of its minor version, else nobody."""

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
Script = Callable[[str, str], Path]


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Script:
    """A PATH with nothing on it but what the test puts there; no uv beside this Python."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(bytecode, "find_spec", lambda _: None)

    def put(name: str, lines: str) -> Path:
        file = tmp_path / name
        file.write_text(f"#!/bin/sh\n{lines}\n")
        file.chmod(0o755)
        return file

    return put


def release(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    monkeypatch.setitem(bytecode.RELEASES, version.rpartition(".")[0], version)


def test_this_python_compiles_when_it_is_the_release(
    script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    release(monkeypatch, THIS)
    script("uv", "echo /uv/python")
    assert bytecode.interpreter(RUNTIME) == (sys.executable, THIS)


def test_the_release_on_the_path_goes_before_this_python(
    script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    release(monkeypatch, f"{RUNTIME}.99")
    script(f"python{RUNTIME}", f"echo {RUNTIME}.99")
    assert bytecode.interpreter(RUNTIME) == (f"python{RUNTIME}", f"{RUNTIME}.99")


def test_uv_fetches_the_release_before_another_of_its_minor_version_is_taken(
    script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    release(monkeypatch, f"{RUNTIME}.99")
    script("uv", f'case "$*" in *"--python {RUNTIME}.99"*) echo /uv/python;; *) exit 2;; esac')
    assert bytecode.interpreter(RUNTIME) == ("/uv/python", f"{RUNTIME}.99")


def test_another_of_its_minor_version_does_where_uv_cannot_fetch(
    script: Script, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    release(monkeypatch, f"{RUNTIME}.99")
    script("uv", "echo 'no network' >&2; exit 2")
    assert bytecode.interpreter(RUNTIME) == (sys.executable, THIS)
    said = bytecode.compile_for(RUNTIME, tmp_path, "/opt/python")
    assert said == f"bytecode by Python {THIS} (not {RUNTIME}.99, whose bytes may be others)"


def test_interpreter_that_exists_but_does_not_run_is_not_taken(
    script: Script, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    release(monkeypatch, "3.99.0")
    script("python3.99", "echo 'pyenv: python3.99: command not found' >&2\nexit 127")
    assert bytecode.interpreter("3.99") is None
    (tmp_path / "module.py").touch()
    said = bytecode.compile_for("3.99", tmp_path, "/opt/python")
    assert said.startswith("no bytecode, for want of a python3.99")
    assert not (tmp_path / "__pycache__").exists()


def test_settings_of_the_host_do_not_reach_the_compiler(
    script: Script, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    release(monkeypatch, THIS)
    monkeypatch.setenv("PYTHONOPTIMIZE", "2")
    monkeypatch.setenv("PYTHONPYCACHEPREFIX", str(tmp_path / "elsewhere"))
    (tmp_path / "module.py").touch()
    assert bytecode.compile_for(RUNTIME, tmp_path, "/opt/python") == f"bytecode by Python {THIS}"
    compiled = {file.relative_to(tmp_path) for file in tmp_path.rglob("module*.pyc")}
    assert compiled == {Path("__pycache__", f"module.{sys.implementation.cache_tag}.pyc")}


def test_a_file_that_does_not_compile_fails_the_build(
    script: Script, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    release(monkeypatch, THIS)
    (tmp_path / "module.py").write_text("(")
    with pytest.raises(SystemExit, match="could not compile"):
        bytecode.compile_for(RUNTIME, tmp_path, "/opt/python")


def test_every_runtime_has_a_release_that_the_locked_uv_can_fetch() -> None:
    known = ["python", "list", "--all-versions", "--only-downloads", "--output-format", "json"]
    command = [sys.executable, "-m", "uv", *known]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    versions = {entry["version"] for entry in json.loads(listed)}
    assert set(bytecode.RELEASES) == set(GLIBC)
    assert set(bytecode.RELEASES.values()) <= versions
