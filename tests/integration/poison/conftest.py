"""How many inputs, by the environment's PROFILE; and no record of each in memory."""

import logging
import os

import pytest
from tests.integration.poison import mutations
from tests.integration.poison.attacks import Reader
from tests.integration.poison.promises import FROM_ENVIRONMENT
from tests.integration.properties.conftest import profile

__all__ = ["profile"]  # how many examples of hypothesis, by PROFILE too

QUICK, NIGHTLY = 10_000, 100_000


@pytest.fixture(scope="session")
def inputs() -> int:
    return NIGHTLY if os.environ.get("PROFILE") == "nightly" else QUICK


@pytest.fixture(scope="session")
def seed() -> str:
    """The same in the quick profile, another each night, or that of the environment."""
    chance = os.urandom(4).hex() if os.environ.get("PROFILE") == "nightly" else "quick"
    return os.environ.get("POISON_SEED", chance)


@pytest.fixture(scope="session")
def reader() -> Reader:
    return Reader()


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(mutations.SECRET, FROM_ENVIRONMENT)
    for name in ("llm_cache._engine.call", "llm_cache._upstash.breaker"):
        monkeypatch.setattr(logging.getLogger(name), "disabled", True)
