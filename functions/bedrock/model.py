"""The model and its cache, as the environment describes them."""

from __future__ import annotations

import logging
from functools import cache

from botocore.config import Config
from langchain_aws import ChatBedrockConverse
from langchain_core.messages import AIMessage
from langchain_core.messages.ai import UsageMetadata

from bedrock.aws_failures import AwsFailure, Cause
from bedrock.model_settings import max_tokens, model_id
from llm_cache import UpstashRedisCache

for _name in ("botocore", "langchain_aws"):  # at DEBUG they log prompts and answers
    logging.getLogger(_name).setLevel(logging.INFO)

FAILURES = {
    Cause.TIMEOUT: "the model did not answer in time",
    Cause.BUSY: "the model is not available now",
    Cause.REFUSED: "the model refused the request",
    Cause.DENIED: "the function cannot call its model",
    Cause.UNKNOWN: "the function cannot call its model",
}


@cache
def answers() -> UpstashRedisCache:
    """Return the cache of the model's answers; it connects on first use."""
    return UpstashRedisCache.from_env()


@cache
def model() -> ChatBedrockConverse:
    """Return the model, created on first use: a snapshot holds no connection and no secret."""
    config = Config(connect_timeout=3, read_timeout=300, retries={"total_max_attempts": 2})
    return ChatBedrockConverse(
        model=model_id(), max_tokens=max_tokens(), temperature=0, config=config, cache=answers()
    )


def failure_text(failure: AwsFailure) -> str:
    """Return a sentence for the caller about a failed call of the model."""
    return f"{FAILURES[failure.cause]} ({failure.code})"


def usage(message: AIMessage) -> dict[str, int]:
    """Return the tokens of an answer; zero for a cache hit."""
    none = UsageMetadata(input_tokens=0, output_tokens=0, total_tokens=0)
    tokens = message.usage_metadata or none
    return {"input_tokens": tokens["input_tokens"], "output_tokens": tokens["output_tokens"]}


def text(message: AIMessage) -> str:
    """Return the text of an answer; a lone surrogate, which UTF-8 cannot encode, becomes ``?``."""
    return str(message.text).encode(errors="replace").decode()


def stop_reason(message: AIMessage) -> str | None:
    """Return the provider's reason why the model stopped."""
    reason = message.response_metadata.get("stopReason")
    return reason if isinstance(reason, str) else None
