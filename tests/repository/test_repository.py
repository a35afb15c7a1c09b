"""What the repository holds, and what the Serverless Application Repository is told of it."""

import subprocess
import tomllib
from pathlib import Path

import pytest
from tests.template.loader import ROOT, load

from llm_cache._version import __version__

TOLD = load()["Metadata"]["AWS::ServerlessRepo::Application"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_it_is_told_the_name_the_licence_the_version_and_the_subjects_of_the_project() -> None:
    assert TOLD["Name"] == PROJECT["name"]
    assert TOLD["SpdxLicenseId"] == PROJECT["license"]
    assert TOLD["SemanticVersion"] == __version__
    assert TOLD["Labels"] == PROJECT["keywords"]


def test_its_files_are_those_of_the_project() -> None:
    assert TOLD["ReadmeUrl"] == PROJECT["readme"]
    assert [TOLD["LicenseUrl"]] == PROJECT["license-files"]
    assert all((ROOT / TOLD[name]).is_file() for name in ("ReadmeUrl", "LicenseUrl"))


OUTPUTS = (
    ".schemathesis/default/cache/crashes/one.json",
    "schemathesis-report/junit-1.xml",
    ".hypothesis/examples/0",
    ".pytest_cache/CACHEDIR.TAG",
    ".benchmarks/Linux/0001.json",
    ".coverage.host.1",
    "coverage.xml",
    "htmlcov/index.html",
    "tests/results/junit.xml",
    "bandit.sarif",
    "src/llm_cache/__pycache__/keys.cpython-313.pyc",
    "src/lambda_llm_cache.egg-info/PKG-INFO",
    "dist/one.whl",
    "run.log",
    "session.har",
)


def git(folder: Path, *arguments: str) -> list[str]:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def tracked_outputs(folder: Path) -> list[str]:
    """Return the tracked files that .gitignore says a tool writes."""
    ignored = ("--ignored", f"--exclude-from={ROOT / '.gitignore'}")
    return git(folder, "ls-files", "--cached", *ignored)


def test_no_output_of_a_tool_is_tracked() -> None:
    assert tracked_outputs(ROOT) == []


@pytest.mark.parametrize("output", OUTPUTS)
def test_tracked_output_of_a_tool_is_found(tmp_path: Path, output: str) -> None:
    git(tmp_path, "init", "--quiet")
    for name in (output, "src/llm_cache/_entries/keys.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    git(tmp_path, "add", "--force", ".")
    assert tracked_outputs(tmp_path) == [output]
