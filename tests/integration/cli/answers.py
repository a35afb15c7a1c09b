"""A cache of the environment with answers of known age, tags and tenants."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, Generation

from llm_cache import UpstashRedisCache
from upstash_endpoint.endpoint import UpstashEndpoint

SECRET = "the secret of a customer"
TTL = 3600


def shell_environment(upstash: UpstashEndpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """Name the endpoint and the namespace ``shell`` in the environment, and nothing else."""
    monkeypatch.setenv("UPSTASH_REDIS_REST_URL", upstash.url)
    monkeypatch.setenv("UPSTASH_REDIS_REST_TOKEN", upstash.token)
    monkeypatch.setenv("LLM_CACHE_NAMESPACE", "shell")


def store(
    cache: UpstashRedisCache,
    prompt: str,
    *,
    text: str = SECRET,
    ttl: float = TTL,
    tags: Sequence[str] = (),
    tenant: str | None = None,
    stale_if_error: float = 0,
) -> str:
    """Store an answer of a chat model with usage; return its key."""
    message = AIMessage(
        text,
        usage_metadata={"input_tokens": 3, "output_tokens": 5, "total_tokens": 8},
        response_metadata={"model_name": "small-model"},
    )
    answer: list[Generation] = [ChatGeneration(message=message)]
    with cache.policy(ttl=ttl, tags=tags, tenant=tenant, stale_if_error=stale_if_error) as report:
        cache.update(prompt, "model", answer)
    (outcome,) = report.outcomes
    return outcome.key


def traceback_free(*texts: str) -> bool:
    """Whether no text shows a traceback, a stored answer or a path of the code."""
    shown = "".join(texts)
    return not any(each in shown for each in ("Traceback", SECRET, str(Path(__file__).parents[3])))
