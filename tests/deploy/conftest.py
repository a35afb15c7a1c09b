"""The stack as `sam deploy` made it, once a session, with a model that answers at once."""

import os
from collections.abc import Iterator

import pytest

from local_cloud.cloud import LocalCloud

# `make deploy-local` and `make nightly` prove all of it; the quick tests take a minute less.
collect_ignore = [] if os.environ.get("PROFILE") == "nightly" else ["test_deployment.py"]


@pytest.fixture(scope="session")
def cloud() -> Iterator[LocalCloud]:
    with LocalCloud.start(model="echo") as running:
        yield running
