"""The contents of a package: lock files, wheels and targets."""

import re
from pathlib import Path

import pytest
from layers.package import lock_files, wheels
from packaging.markers import Marker
from tests.layer.artifacts import ROOT, run, sam

LAYER = ROOT / "layers/llm_cache/requirements.txt"
ASK = ROOT / "functions/ask/requirements.txt"
LOCK = """\
boto3==1.43.64 \\
    --hash=sha256:aa
    # via langchain-aws
numpy==2.3.0 ; python_full_version < '3.12' \\
    --hash=sha256:bb \\
    --hash=sha256:cc
numpy==2.4.0 ; python_full_version >= '3.12' \\
    --hash=sha256:dd
"""


def test_entries_of_a_lock_include_their_hashes(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.txt"
    lock.write_text(LOCK)
    found = lock_files.entries(lock)
    assert list(found) == ["boto3==1.43.64", "numpy==2.3.0", "numpy==2.4.0"]
    assert found["numpy==2.3.0"].endswith("--hash=sha256:cc")


def test_packages_of_the_layer_are_left_out() -> None:
    wanted = {"boto3==1": "boto3", "requests==2": "requests", "numpy==3": "numpy"}
    left = lock_files.subtract(wanted, {"requests==2": "requests"}, {"numpy"})
    assert left == {"boto3==1": "boto3"}


def test_other_version_than_the_layer_has_ends_the_build() -> None:
    with pytest.raises(SystemExit, match=r"another version of requests==2: run `make lock`"):
        lock_files.subtract({"requests==2": ""}, {"requests==3": ""}, set())


def test_wheels_need_no_newer_glibc_than_the_runtime_has() -> None:
    # python3.11 runs on Amazon Linux 2 with glibc 2.26, where a manylinux_2_28 wheel does not load.
    assert "manylinux_2_28_aarch64" not in wheels.platforms("arm64", "3.11")
    assert "manylinux_2_28_aarch64" in wheels.platforms("arm64", "3.12")


@pytest.mark.parametrize("lock", [LAYER, ASK], ids=["layer", "ask"])
def test_lock_names_no_index_and_hashes_every_entry(lock: Path) -> None:
    assert "://" not in lock.read_text()
    assert all("--hash=sha256:" in entry for entry in lock_files.entries(lock).values())


def test_every_marker_is_equal_on_host_and_target() -> None:
    # pip evaluates markers for the host, so none may depend on the target.
    layer = lock_files.entries(LAYER)
    shipped = layer | lock_files.subtract(lock_files.entries(ASK), layer, {"numpy"})
    for pin, entry in shipped.items():
        marker = re.search(r";([^\\\n]*)", entry)
        answers = (
            {Marker(marker[1]).evaluate(machine) for machine in machines()} if marker else {True}
        )
        assert len(answers) == 1, pin


def machines() -> list[dict[str, str]]:
    return [
        {
            "python_version": version,
            "python_full_version": f"{version}.1",
            "platform_machine": machine,
            "sys_platform": system,
            "platform_system": {"linux": "Linux", "darwin": "Darwin"}[system],
        }
        for version in wheels.GLIBC
        for machine in ("x86_64", "aarch64", "arm64")
        for system in ("linux", "darwin")
    ]


def test_unknown_target_fails_the_build(tmp_path: Path) -> None:
    where = ["--no-cached", "--build-dir", str(tmp_path / "build")]
    done = sam("build", "FlushCacheFunction", *where, "--parameter-overrides", "Runtime=python3.10")
    assert done.returncode != 0
    assert "arm64-python3.10/Makefile" in done.stderr


def test_missing_target_fails_the_build(tmp_path: Path) -> None:
    command = ["make", "build-FlushCacheFunction", f"ARTIFACTS_DIR={tmp_path}"]
    done = run(command, ROOT / "functions/flush_cache")
    assert done.returncode != 0
    assert "--architecture: invalid choice" in done.stderr


@pytest.mark.parametrize(("build_for", "names_platforms"), [("lambda", True), ("host", False)])
def test_wheels_are_for_the_target_unless_the_build_is_for_the_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, build_for: str, names_platforms: bool
) -> None:
    commands: list[list[str]] = []
    monkeypatch.setattr(wheels, "run", commands.append)
    monkeypatch.setenv("PACKAGE_FOR", build_for)
    wheels.install({"a==1": "a==1"}, tmp_path, "arm64", "3.13")
    assert any("--platform" in part for part in commands[0]) == names_platforms
    assert ("--python-version" in commands[0]) == names_platforms
