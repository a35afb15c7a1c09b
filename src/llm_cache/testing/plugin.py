"""The pytest plugin. pytest loads it in every run, so the fixtures import what they need."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from llm_cache.testing import FakeModel, InMemoryUpstash


@pytest.fixture
def upstash() -> Iterator[InMemoryUpstash]:
    """Replace every Upstash database of llm_cache by one in memory, which is empty at first.

    Its value counts the commands, fails on demand, and advances the time.
    """
    from llm_cache.testing._installation import installed

    with installed() as upstash:
        yield upstash


@pytest.fixture
def fake_model() -> FakeModel:
    """Return a chat model that counts its calls, and answers or fails as the test demands."""
    from llm_cache.testing._fake_model import FakeModel

    return FakeModel()
