"""How a stored answer says that it is one, in the message itself."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any, TypeGuard

from langchain_core.messages import AIMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, Generation

from llm_cache.report import Outcome, Status

FIELD = "cache"
"""Where in a message's ``response_metadata`` the mark stands, in place of anything of that name."""


def marked(answer: Sequence[Generation], outcome: Outcome) -> list[Generation]:
    """Return a stored answer whose chat messages say that they were stored.

    Each is a copy with an ``id`` of its own, since LangGraph takes messages of one id for one
    message, and with a ``usage_metadata``, where there was one, of no tokens, since none were paid
    for. Its ``response_metadata["cache"]`` holds

    - ``hit``: whether the model was spared; False where it was asked, and failed
    - ``stale``: whether the answer had expired
    - ``age``: the seconds since it was stored
    - ``ttl``: the seconds it has left; 0 or less once it has expired
    - ``key``: its key in Redis
    - ``usage``: the ``usage_metadata`` of the call that computed it, or None

    All else is as it was stored. So are answers that are no chat messages: the report tells of
    them. Costs no command.
    """
    return [_marked(generation, outcome) for generation in answer]


def unmarked(generation: Generation) -> Generation:
    """Return what was marked as it was computed: a hit that is stored again is no news.

    It keeps its newer id, and its age begins anew.
    """
    message = _message(generation)
    mark = message.response_metadata.get(FIELD) if message else None
    if message is None or not _is_mark(mark):
        return generation
    metadata = {name: value for name, value in message.response_metadata.items() if name != FIELD}
    return _with(generation, message, usage_metadata=mark["usage"], response_metadata=metadata)


def _marked(generation: Generation, outcome: Outcome) -> Generation:
    message = _message(generation)
    if message is None:
        return generation
    return _with(
        generation,
        message,
        id=f"lc_cache--{uuid.uuid4()}",
        usage_metadata=_NOTHING.copy() if message.usage_metadata else None,
        response_metadata={
            **message.response_metadata,
            FIELD: _mark(outcome, message.usage_metadata),
        },
    )


_NOTHING = UsageMetadata(input_tokens=0, output_tokens=0, total_tokens=0)


def _mark(outcome: Outcome, usage: UsageMetadata | None) -> dict[str, Any]:
    return {
        "hit": outcome.status is Status.HIT,
        "stale": outcome.ttl is not None and outcome.ttl <= 0,
        "age": outcome.age,
        "ttl": outcome.ttl,
        "key": outcome.key,
        "usage": usage,
    }


_NAMES = _mark(Outcome(status=Status.HIT, key=""), None).keys()


def _is_mark(value: object) -> TypeGuard[dict[str, Any]]:
    """Whether ``value`` is a mark, and not what a provider says of a cache of its own."""
    return isinstance(value, dict) and value.keys() == _NAMES


def _message(generation: Generation) -> AIMessage | None:
    message = generation.message if isinstance(generation, ChatGeneration) else None
    return message if isinstance(message, AIMessage) else None


def _with(generation: Generation, message: AIMessage, **fields: Any) -> Generation:
    return generation.model_copy(update={"message": message.model_copy(update=fields)})
