"""How a stored answer says that it is one, and how it is stored again without saying so."""

import json
from typing import Any

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, Generation, GenerationChunk
from pydantic import TypeAdapter

from llm_cache.generations import serialize
from llm_cache.hits import marked, unmarked
from llm_cache.report import Outcome, Status

HIT = Outcome(status=Status.HIT, key="shop:entry:1", age=10.0, ttl=50.0)
STALE = Outcome(status=Status.STALE, key="shop:entry:1", age=100.0, ttl=-40.0)
USAGE: Any = {
    "input_tokens": 3,
    "output_tokens": 4,
    "total_tokens": 7,
    "input_token_details": {"cache_read": 2},
}
METADATA = {
    "model_provider": "openai",
    "model_name": "gpt",
    "output_version": "v1",
    "finish_reason": "tool_calls",
    "token_usage": {"total_tokens": 7},
}


def stored(**fields: Any) -> AIMessage:
    return AIMessage(
        **{
            "content": [{"type": "text", "text": "hi", "id": "msg_1"}],
            "id": "run-1",
            "name": "Ada",
            "tool_calls": [{"name": "f", "args": {}, "id": "t1"}],
            "invalid_tool_calls": [{"name": "g", "args": "{", "id": "t2", "error": None}],
            "additional_kwargs": {"refusal": None},
            "usage_metadata": USAGE,
            "response_metadata": METADATA,
            **fields,
        }
    )


def message_of(generation: Generation) -> AIMessage:
    assert isinstance(generation, ChatGeneration)
    assert isinstance(generation.message, AIMessage)
    return generation.message


def mark(message: AIMessage, outcome: Outcome = HIT) -> AIMessage:
    return message_of(marked([ChatGeneration(message=message)], outcome)[0])


def test_a_hit_says_how_old_it_is_how_long_it_lives_where_it_lies_and_what_it_cost() -> None:
    assert mark(stored()).response_metadata["cache"] == {
        "hit": True,
        "stale": False,
        "age": 10.0,
        "ttl": 50.0,
        "key": "shop:entry:1",
        "usage": USAGE,
    }


def test_a_hit_counts_no_tokens_of_any_kind() -> None:
    usage: Any = mark(stored()).usage_metadata
    assert usage == {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
    assert TypeAdapter(UsageMetadata).validate_python(usage, strict=True) == usage


def test_no_usage_is_made_up_where_there_was_none() -> None:
    message = mark(stored(usage_metadata=None))
    assert message.usage_metadata is None
    assert message.response_metadata["cache"]["usage"] is None


def test_all_else_is_as_it_was_stored_and_the_stored_message_itself_untouched() -> None:
    message, before = stored(), stored()
    hit = mark(message)
    told = {"id", "usage_metadata", "response_metadata"}
    assert hit.model_dump(exclude=told) == before.model_dump(exclude=told)
    assert {**hit.response_metadata, "cache": None} == {**METADATA, "cache": None}
    assert message == before


def test_every_choice_of_every_hit_has_an_id_of_its_own() -> None:
    answer = [ChatGeneration(message=stored()) for _ in range(3)]
    ids = {message_of(one).id for _ in range(2) for one in marked(answer, HIT)}
    assert len(ids) == 6
    assert all(str(each).startswith("lc_cache--") for each in ids)


def test_an_answer_that_has_expired_is_stale_and_a_hit_only_if_the_model_was_spared() -> None:
    tolerated = Outcome(status=Status.HIT, key="k", age=61.0, ttl=0.0)  # max_stale
    told = [mark(stored(), each).response_metadata["cache"] for each in (HIT, tolerated, STALE)]
    assert [(each["hit"], each["stale"]) for each in told] == [
        (True, False),
        (True, True),
        (False, True),
    ]


def test_chunks_stay_chunks() -> None:
    chunk = ChatGenerationChunk(message=AIMessageChunk(content="hi"), generation_info={"a": 1})
    (hit,) = marked([chunk], HIT)
    assert type(hit) is ChatGenerationChunk
    assert type(hit.message) is AIMessageChunk
    assert (hit.text, hit.generation_info) == ("hi", {"a": 1})


def test_what_is_no_chat_answer_comes_back_as_it_was() -> None:
    answer = [Generation(text="a", generation_info={"b": 1}), GenerationChunk(text="c")]
    assert marked(answer, HIT) == answer


@pytest.mark.parametrize("usage", [USAGE, None])
def test_a_hit_that_is_stored_again_is_stored_as_it_was_computed(usage: Any) -> None:
    message = stored(usage_metadata=usage)
    hit = mark(message)
    of_langchain: Any = {**(hit.usage_metadata or {}), "total_cost": 0}
    hit.usage_metadata = of_langchain
    assert message_of(unmarked(ChatGeneration(message=hit))) == message.model_copy(
        update={"id": hit.id}
    )
    (text,) = serialize([ChatGeneration(message=hit)]) or ()
    assert "cache" not in json.loads(text)["message"]["fields"]["response_metadata"]
    assert json.loads(text)["message"]["fields"].get("usage_metadata") == usage


@pytest.mark.parametrize("told", [{"hit": True}, "HIT", {}, None])
def test_what_a_provider_says_of_a_cache_of_its_own_is_stored(told: object) -> None:
    generation = ChatGeneration(message=stored(response_metadata={"cache": told}))
    assert unmarked(generation) == generation
    (text,) = serialize([generation]) or ()
    assert json.loads(text)["message"]["fields"]["response_metadata"] == {"cache": told}
