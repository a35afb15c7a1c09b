"""The model and its cache, as the environment describes them."""

from __future__ import annotations

import logging
from functools import cache

from botocore.config import Config
from langchain_aws import ChatBedrockConverse
from langchain_core.messages import AIMessage
from langchain_core.messages.ai import UsageMetadata

from bedrock.chosen import max_tokens, model_id
from llm_cache import UpstashRedisCache

for _name in ("botocore", "langchain_aws"):  # at DEBUG they log prompts and answers
    logging.getLogger(_name).setLevel(logging.INFO)


@cache
def answers() -> UpstashRedisCache:
    """Return the cache that the environment describes; it connects on first use."""
    return UpstashRedisCache.from_env()


@cache
def model() -> ChatBedrockConverse:
    """Return the model, made on first use: a snapshot then holds no connection and no secret."""
    config = Config(connect_timeout=3, read_timeout=300, retries={"total_max_attempts": 2})
    return ChatBedrockConverse(
        model=model_id(),
        max_tokens=max_tokens(),
        temperature=0,
        config=config,
        cache=answers(),
    )


def usage(message: AIMessage) -> dict[str, int]:
    """Return the tokens that this answer took: of a hit, none."""
    told = message.usage_metadata or UsageMetadata(input_tokens=0, output_tokens=0, total_tokens=0)
    return {"input_tokens": told["input_tokens"], "output_tokens": told["output_tokens"]}


def text(message: AIMessage) -> str:
    """Return the text of an answer; half of a surrogate pair, no UTF-8, becomes ``?``."""
    return str(message.text).encode(errors="replace").decode()


def stop_reason(message: AIMessage) -> str | None:
    """Return why the model stopped, in the provider's words."""
    told = message.response_metadata.get("stopReason")
    return told if isinstance(told, str) else None
