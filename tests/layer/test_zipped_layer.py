"""The layer as `sam deploy` zips it and Lambda unpacks it: within its budgets, and usable."""

import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
from layers.package import budgets
from tests.layer.artifacts import ROOT, Artifacts

import llm_cache

SAM_PYTHON = ROOT / ".tools/sam/bin/python"
ZIP = """
import sys
from samcli.lib.package.utils import make_zip_with_lambda_permissions as make_zip
make_zip(sys.argv[1], sys.argv[2])
"""


def zipped(artifacts: Artifacts, folder: Path) -> Path:
    command = [str(SAM_PYTHON), "-c", ZIP, str(folder / "layer"), str(artifacts.layer.parent)]
    subprocess.run(command, check=True)
    return folder / "layer.zip"


@pytest.fixture(scope="module")
def mounted(host: Artifacts, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The layer unpacked with the dates of the archive, which Python's zipfile ignores."""
    folder = tmp_path_factory.mktemp("opt")
    with zipfile.ZipFile(zipped(host, folder)) as files:
        for entry in files.infolist():
            path = files.extract(entry, folder)
            seconds = time.mktime((*entry.date_time, 0, 0, -1))
            os.utime(path, (seconds, seconds))
    return folder / "python"


def python(mounted: Path, script: str, *options: str) -> subprocess.CompletedProcess[str]:
    path = f"import sys; sys.path.insert(0, {str(mounted)!r})"
    command = [sys.executable, "-I", "-S", *options, "-c", f"{path}\n{script}"]
    return subprocess.run(command, env={}, capture_output=True, text=True, check=True)


def test_layer_is_within_its_budgets(artifacts: Artifacts, tmp_path: Path) -> None:
    unzipped, predicted = budgets.weigh(artifacts.layer)
    actual = zipped(artifacts, tmp_path).stat().st_size
    assert unzipped <= budgets.UNZIPPED
    assert actual <= budgets.ZIPPED
    # The build prints the predicted size; only the paths in the archive differ.
    assert predicted == pytest.approx(actual, rel=0.01)


def test_unpacked_layer_imports_every_public_name_from_its_bytecode(mounted: Path) -> None:
    module = mounted / "llm_cache/_langchain/cache.py"
    assert time.localtime(module.stat().st_mtime).tm_year == 1980
    script = """
import langchain_core.language_models.chat_models
import llm_cache
print(llm_cache.__version__, *(name for name in llm_cache.__all__ if getattr(llm_cache, name)))
"""
    done = python(mounted, script, "-v")
    assert done.stdout.split() == [llm_cache.__version__, *llm_cache.__all__]
    lines = [line for line in done.stderr.splitlines() if "code object from" in line]
    read = [line for line in lines if str(mounted) in line]
    assert len([line for line in read if ".pyc" in line]) > 300
    assert [line for line in read if ".pyc" not in line] == []


def test_tagged_commit_has_the_version_of_its_tag() -> None:
    command = ["git", "tag", "--points-at", "HEAD", "v*"]
    tags = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert tags.split() in ([], [f"v{llm_cache.__version__}"])
