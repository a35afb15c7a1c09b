"""The number and the seed of the inputs, by the variables PROFILE and POISON_SEED."""

import logging
import os

import pytest
from tests.integration.poison import mutations
from tests.integration.poison.attacks import Reader
from tests.integration.poison.expectations import SECRET_VALUE
from tests.integration.properties.conftest import profile

__all__ = ["profile"]  # the number of Hypothesis's examples

QUICK, NIGHTLY = 10_000, 100_000
nightly = os.environ.get("PROFILE") == "nightly"


@pytest.fixture(scope="session")
def inputs() -> int:
    return NIGHTLY if nightly else QUICK


@pytest.fixture(scope="session")
def seed() -> str:
    """A fixed seed in the quick profile, a random seed each night."""
    return os.environ.get("POISON_SEED", os.urandom(4).hex() if nightly else "quick")


@pytest.fixture(scope="session")
def reader() -> Reader:
    return Reader()


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the secret that no entry may read; keep no log record of each input."""
    monkeypatch.setenv(mutations.SECRET, SECRET_VALUE)
    for name in ("llm_cache._engine.cache_call", "llm_cache._upstash.breaker"):
        monkeypatch.setattr(logging.getLogger(name), "disabled", True)
