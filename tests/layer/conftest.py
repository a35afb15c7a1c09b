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
