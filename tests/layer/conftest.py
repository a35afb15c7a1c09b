import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
from tests.layer.artifacts import CROSS, HOST, Artifacts, build


@pytest.fixture(scope="session")
def host() -> Artifacts:
    """The packages for this machine."""
    return build(HOST)


@pytest.fixture(scope="session", params=[HOST, CROSS], ids=str)
def artifacts(request: Any) -> Artifacts:
    """The packages for this machine, and those for the other architecture."""
    return build(request.param)


def hatch(target: str, source: Path, into: Path) -> Path:
    """Build with the installed backend, without a network."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(into)]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    (built,) = into.iterdir()
    return built


@pytest.fixture(scope="session")
def sdist(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution, unpacked."""
    archive = hatch("sdist", checkout, tmp_path_factory.mktemp("sdist"))
    with tarfile.open(archive) as opened:
        opened.extractall(archive.parent, filter="data")
    return archive.parent / archive.name.removesuffix(".tar.gz")


@pytest.fixture(scope="session")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return hatch("wheel", sdist, tmp_path_factory.mktemp("wheel"))
