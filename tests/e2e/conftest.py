"""The stack as `sam deploy` made it, once a session, with a model that answers at once."""

import os
from collections.abc import Iterator

import pytest

from local_cloud.cloud import LocalCloud

# Deployments of other stacks are for `make nightly`: a minute each.
OTHERS = [
    "test_chaos.py",
    "test_deployment.py",
    "test_make.py",
    "test_other_stacks.py",
    "test_parameters.py",
]
collect_ignore = [] if os.environ.get("PROFILE") == "nightly" else OTHERS


@pytest.fixture(scope="session")
def cloud() -> Iterator[LocalCloud]:
    with LocalCloud.start(model="echo") as running:
        yield running
