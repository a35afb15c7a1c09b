"""The layer as `sam deploy` zips it and Lambda unpacks it: small enough, and run as it is."""

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


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack with the dates of the archive, which Python's zipfile leaves out."""
    with zipfile.ZipFile(archive) as files:
        for entry in files.infolist():
            path = files.extract(entry, folder)
            seconds = time.mktime((*entry.date_time, 0, 0, -1))
            os.utime(path, (seconds, seconds))
    return folder / "python"


@pytest.fixture(scope="module")
def mounted(host: Artifacts, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("opt")
    return unpack(zipped(host, folder), folder)


def python(mounted: Path, script: str, *options: str) -> subprocess.CompletedProcess[str]:
    path = f"import sys; sys.path.insert(0, {str(mounted)!r})"
    command = [sys.executable, "-I", "-S", *options, "-c", f"{path}\n{script}"]
    return subprocess.run(command, env={}, capture_output=True, text=True, check=True)


def test_the_layer_is_within_its_budgets(artifacts: Artifacts, tmp_path: Path) -> None:
    unzipped, predicted = budgets.weigh(artifacts.layer)
    actual = zipped(artifacts, tmp_path).stat().st_size
    assert unzipped <= budgets.UNZIPPED
    assert actual <= budgets.ZIPPED
    # What the build prints is what is uploaded; paths in the archive make the difference.
    assert predicted == pytest.approx(actual, rel=0.01)


def test_its_bytecode_is_run_as_it_is(mounted: Path) -> None:
    module = mounted / "llm_cache/_langchain/cache.py"
    assert time.localtime(module.stat().st_mtime).tm_year == 1980
    script = "import langchain_core.language_models.chat_models\nimport llm_cache\n"
    script += "for name in llm_cache.__all__: getattr(llm_cache, name)"
    said = python(mounted, script, "-v").stderr.splitlines()
    read = [line for line in said if "code object from" in line and str(mounted) in line]
    assert len([line for line in read if ".pyc" in line]) > 300
    assert [line for line in read if ".pyc" not in line] == []


def test_every_public_name_imports(mounted: Path) -> None:
    script = "import llm_cache; print(*(getattr(llm_cache, it) and it for it in llm_cache.__all__))"
    assert python(mounted, script).stdout.split() == llm_cache.__all__


def test_it_holds_this_version_of_the_library(mounted: Path) -> None:
    said = python(mounted, "import llm_cache; print(llm_cache.__version__, llm_cache.__file__)")
    version, file = said.stdout.split(maxsplit=1)
    assert version == llm_cache.__version__
    assert file.startswith(str(mounted))


def test_a_tagged_commit_has_the_version_of_its_tag() -> None:
    command = ["git", "tag", "--points-at", "HEAD", "v*"]
    tags = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert tags.split() in ([], [f"v{llm_cache.__version__}"])
