import os

import pytest
from tests.integration.cli.examination import Doctor

from llm_cache._doctor import database, ssm, stack
from upstash_endpoint.endpoint import UpstashEndpoint


@pytest.fixture
def environment(upstash: UpstashEndpoint, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The variables of a cache that works, and no others of the library."""
    for name in os.environ:
        if name.startswith(("LLM_CACHE_", "UPSTASH_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("UPSTASH_REDIS_REST_URL", upstash.url)
    monkeypatch.setenv("UPSTASH_REDIS_REST_TOKEN", upstash.token)
    monkeypatch.setenv("LLM_CACHE_NAMESPACE", "shop")
    monkeypatch.setenv("LLM_CACHE_TIMEOUT", "60")  # a busy machine is not a fault
    for module, name in (
        (database, "COMMAND_SECONDS"),
        (database, "ALL_SECONDS"),
        (ssm, "SECONDS"),
        (stack, "SECONDS"),
    ):
        monkeypatch.setattr(module, name, 60.0)
    return monkeypatch


@pytest.fixture
def doctor(environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Doctor:
    return Doctor(capsys)
