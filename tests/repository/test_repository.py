"""The files of the repository, and the project's metadata, are consistent."""

import re
import subprocess
import tomllib
from pathlib import Path

from tests.template.loader import ROOT, load

from llm_cache._version import __version__

# Metadata of the AWS Serverless Application Repository.
APPLICATION = load()["Metadata"]["AWS::ServerlessRepo::Application"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_template_has_the_metadata_of_the_project() -> None:
    assert APPLICATION["Name"] == PROJECT["name"]
    assert APPLICATION["SpdxLicenseId"] == PROJECT["license"]
    assert APPLICATION["SemanticVersion"] == __version__
    layer = load()["Resources"]["LlmCacheLayer"]["Properties"]["Description"]
    assert layer.startswith(f"{PROJECT['name']} {__version__} ")  # `llm-cache doctor` reads it
    assert APPLICATION["Labels"] == PROJECT["keywords"]
    assert APPLICATION["ReadmeUrl"] == PROJECT["readme"]
    assert [APPLICATION["LicenseUrl"]] == PROJECT["license-files"]
    assert all((ROOT / APPLICATION[name]).is_file() for name in ("ReadmeUrl", "LicenseUrl"))


def test_nightly_runs_the_tests_that_its_profile_changes() -> None:
    makefile = (ROOT / "Makefile").read_text()
    paths = " ".join(re.findall(r"^NIGHTLY_\w+ *:= (.+)$", makefile, re.MULTILINE)).split()
    changed = [
        path.relative_to(ROOT)
        for path in (ROOT / "tests").glob("**/*.py")
        if re.search(r'environ.get\("PROFILE"', path.read_text())
    ]
    folders = {it.parent if it.name == "conftest.py" else it for it in changed} - {Path("tests")}
    assert len(folders) > 2
    assert [it for it in folders if not any(it.is_relative_to(path) for path in paths)] == []


OUTPUTS = [
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
]


def git(folder: Path, *arguments: str) -> list[str]:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def tracked_outputs(folder: Path) -> list[str]:
    """Return the tracked files that .gitignore lists as outputs of tools."""
    ignored = ("--ignored", f"--exclude-from={ROOT / '.gitignore'}")
    return git(folder, "ls-files", "--cached", *ignored)


def test_outputs_of_tools_are_not_tracked() -> None:
    assert tracked_outputs(ROOT) == []


def test_tracked_outputs_of_tools_are_found(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    for name in (*OUTPUTS, "src/llm_cache/_entries/keys.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    git(tmp_path, "add", "--force", ".")
    assert tracked_outputs(tmp_path) == sorted(OUTPUTS)
