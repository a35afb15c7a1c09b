"""A replayed conversation takes no model call, though ids and hit metadata differ each time."""

from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from tests.integration.langchain.assistant import Assistant
from upstash_redis import Redis

from llm_cache import UpstashRedisCache


class CountingAssistant(Assistant):
    """Counts its tokens where langchain-aws's ``ChatBedrock`` does: in two more places."""

    def _answer(self, messages: list[BaseMessage], **kwargs: Any) -> AIMessage:
        message = super()._answer(messages, **kwargs)
        usage = {"usage": {"prompt_tokens": len(self.answered)}}
        message.response_metadata |= usage
        message.additional_kwargs |= usage
        return message


def converse(model: Assistant, *questions: str) -> list[str]:
    """Hold a conversation, and return the questions that reached the model."""
    model.answered.clear()
    history: list[BaseMessage] = [SystemMessage("Be brief.")]
    for question in questions:
        history.append(HumanMessage(question))
        history.append(model.invoke(history))
    return [*model.answered]


def replays(redis: Redis, model: type[Assistant] = Assistant, **options: Any) -> list[int]:
    """Hold one conversation of three turns five times; return the model calls of each."""
    cache = UpstashRedisCache(redis, ttl=60, **options)
    assistant = model(cache=cache)
    return [len(converse(assistant, "one", "two", "three")) for _ in range(5)]


@pytest.mark.parametrize("model", [Assistant, CountingAssistant])
def test_replayed_conversation_takes_no_model_call(redis: Redis, model: type[Assistant]) -> None:
    assert replays(redis, model) == [3, 0, 0, 0, 0]


def test_replay_without_canonical_keys_hits_because_hits_have_no_metadata(redis: Redis) -> None:
    # LangChain itself adds a field to a hit, so the key of the next turn changes once.
    assert replays(redis, canonical_keys=False) == [3, 2, 1, 0, 0]
    redis.flushdb()
    assert replays(redis, canonical_keys=False, mark_hits=True)[-1] > 0


def test_conversation_with_another_question_shares_the_turns_before_it(
    cache: UpstashRedisCache,
) -> None:
    model = Assistant(cache=cache)
    assert converse(model, "one", "two", "three") == ["one", "two", "three"]
    assert converse(model, "one", "four", "three") == ["four", "three"]
