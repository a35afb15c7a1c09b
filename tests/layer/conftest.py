from typing import Any

import pytest
from tests.layer.artifacts import CROSS, HOST, Artifacts, build


@pytest.fixture(scope="session")
def host() -> Artifacts:
    """Built for this machine, so that it can be run here."""
    return build(HOST)


@pytest.fixture(scope="session", params=[HOST, CROSS], ids=str)
def artifacts(request: Any) -> Artifacts:
    """Built for this machine, and for the architecture that it is not."""
    return build(request.param)
