"""From a question to an answer: the model on Bedrock, behind the cache."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from functools import cache

from botocore.config import Config
from botocore.exceptions import ClientError, ConnectTimeoutError, ReadTimeoutError
from langchain_aws import ChatBedrockConverse
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.messages.ai import UsageMetadata

from llm_cache import CacheMiss, CachePolicy, UpstashRedisCache
from problems import Problem, model_timeout

BUSY = {
    "ModelNotReadyException",
    "ServiceQuotaExceededException",
    "ServiceUnavailableException",
    "ThrottlingException",
    "TooManyRequestsException",
}
SLOW = {"ModelTimeoutException"}
for _name in ("botocore", "langchain_aws"):  # at DEBUG they log prompts and answers
    logging.getLogger(_name).setLevel(logging.INFO)
COALESCE = CachePolicy(coalesce="fleet")  # unless the caller says otherwise


@cache
def answers() -> UpstashRedisCache:
    """Return the cache that the environment describes; it connects on first use."""
    return UpstashRedisCache.from_env()


@cache
def model() -> ChatBedrockConverse:
    """Return the model, made on first use: a snapshot then holds no connection and no secret."""
    config = Config(connect_timeout=3, read_timeout=300, retries={"total_max_attempts": 2})
    return ChatBedrockConverse(
        model=os.environ["MODEL_ID"],
        max_tokens=int(os.environ["MODEL_MAX_TOKENS"]),
        temperature=0,
        config=config,
        cache=answers(),
    )


def answer(prompt: Sequence[BaseMessage]) -> AIMessage:
    """Ask the model, or the cache; raise a ``Problem`` when there is no answer."""
    try:
        return model().invoke(list(prompt))
    except Exception as error:
        raise _as_problem(error) from error


def usage(message: AIMessage) -> dict[str, int]:
    """Return the tokens that this answer took: of a hit, none."""
    told = message.usage_metadata or UsageMetadata(input_tokens=0, output_tokens=0, total_tokens=0)
    return {name: told[name] for name in ("input_tokens", "output_tokens")}


def _as_problem(error: Exception) -> Problem:
    if isinstance(error, CacheMiss):  # RFC 9111, section 5.2.1.7
        return Problem(504, "not_cached", str(error))
    if isinstance(error, ConnectTimeoutError | ReadTimeoutError):
        return model_timeout()
    if not isinstance(error, ClientError):
        return Problem(502, "model_failed", "the model could not be asked")
    code = error.response.get("Error", {}).get("Code", "")
    if code in BUSY:
        headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        wait = headers.get("retry-after")
        return Problem(503, "model_busy", "the model takes no more requests now", retry_after=wait)
    if code in SLOW:
        return model_timeout()
    return Problem(502, "model_failed", f"the model refused the request ({code})")
