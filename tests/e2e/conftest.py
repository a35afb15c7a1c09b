"""The deployed stack, once a session, with a model that answers at once."""

import os
from collections.abc import Iterator

import pytest

from local_cloud.cloud import LocalCloud

# `make nightly` runs these, because each deploys again.
NIGHTLY = ["chaos", "deployment", "live_code", "make", "make_serve", "other_stacks", "parameters"]
collect_ignore = [f"test_{name}.py" for name in NIGHTLY if os.environ.get("PROFILE") != "nightly"]


@pytest.fixture(scope="session")
def cloud() -> Iterator[LocalCloud]:
    with LocalCloud.start(model="echo") as running:
        yield running
