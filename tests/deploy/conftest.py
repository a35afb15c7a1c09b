"""The stack as `sam deploy` made it, once a session, with a model that answers at once."""

from collections.abc import Iterator

import pytest

from local_cloud.cloud import LocalCloud


@pytest.fixture(scope="session")
def cloud() -> Iterator[LocalCloud]:
    with LocalCloud.start(model="echo") as running:
        yield running
