"""How a stored answer says that it is one, and how it is stored again without saying so."""

import json
import re
from typing import Any

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, Generation, GenerationChunk
from pydantic import TypeAdapter

from llm_cache._langchain.codec import serialize
from llm_cache._langchain.hit_metadata import with_hit_metadata, without_hit_metadata
from llm_cache._report import Outcome, Status

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
    return message_of(with_hit_metadata([ChatGeneration(message=message)], outcome)[0])


def test_a_hit_says_how_old_it_is_how_long_it_lives_where_it_lies_and_what_it_cost() -> None:
    assert mark(stored()).response_metadata["cache"] == {
        "hit": True,
        "stale": False,
        "age": 10.0,
        "ttl": 50.0,
        "key": "shop:entry:1",
        "usage": USAGE,
        "moved": {"response_metadata": {"token_usage": {"total_tokens": 7}}},
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
    kept = {name: value for name, value in METADATA.items() if name != "token_usage"}
    assert {**hit.response_metadata, "cache": None} == {**kept, "cache": None}
    assert message == before


RAW: dict[str, dict[str, Any]] = {  # as the providers' integrations leave them
    "OpenAI": {
        "token_usage": {"completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 2}},
        "logprobs": {"content": [{"token": "a", "logprob": -0.1}]},
    },
    "Anthropic": {"usage": {"input_tokens": 3, "cache_creation": None}, "stop_reason": "end_turn"},
    "Bedrock's Titan": {"amazon-bedrock-invocationMetrics": {"inputTokenCount": 3}},
    "Bedrock's Converse": {
        "metrics": {"latencyMs": [12]},
        "additionalModelResponseFields": {
            "usage": {"output_tokens_details": {"thinking_tokens": 9}},
            "stop_sequence": None,
        },
    },
    "Gemini": {"usage_metadata": {"prompt_token_count": 3, "total_token_count": 7}},
    "Cohere": {"token_count": {"input_tokens": 3.0}, "meta": {"billed_units": {"input_tokens": 3}}},
    "Ollama": {"prompt_eval_count": 3, "eval_count": 4, "total_duration": 12},
    "Groq": {"x_groq": {"id": "req_1", "usage": {"total_tokens": 7}}},
    "OpenRouter": {"token_usage": {"cost": 0.1}, "cost": 0.1},
    "nobody": {},
}


def numbers(value: Any, name: str = "") -> list[str]:
    """Return the names under which a value counts tokens, at any depth."""
    if isinstance(value, dict):
        return [found for each, item in value.items() for found in numbers(item, f"{name}.{each}")]
    if isinstance(value, list):
        return [found for item in value for found in numbers(item, name)]
    return [name] if isinstance(value, int | float) and re.search("token|eval_|cost", name) else []


@pytest.mark.parametrize("place", ["response_metadata", "generation_info"])
@pytest.mark.parametrize("raw", RAW.values(), ids=RAW)
def test_hit_counts_no_tokens_anywhere_outside_its_mark_and_unmarking_restores_all(
    raw: dict[str, Any], place: str
) -> None:
    before = ChatGeneration(
        message=AIMessage(
            "hi",
            usage_metadata=USAGE,
            response_metadata=raw if place == "response_metadata" else {"cache": "MISS"},
            additional_kwargs={"usage": {"prompt_tokens": 3}, "model_id": "m"},
        ),
        generation_info=raw if place == "generation_info" else None,
    )
    (hit,) = with_hit_metadata([before], HIT)
    message = message_of(hit)
    metadata = {name: each for name, each in message.response_metadata.items() if name != "cache"}
    assert numbers([metadata, hit.generation_info, message.additional_kwargs]) == []
    assert message.additional_kwargs == {"model_id": "m"}
    again = without_hit_metadata(hit)
    message_of(again).id = None
    assert again == before
    assert serialize([hit, hit]) is not None


def test_an_answer_of_a_text_model_keeps_its_counts_in_the_mark() -> None:
    info = {"usage_metadata": {"prompt_token_count": 3}, "is_blocked": False}
    before = Generation(text="a", generation_info=info)
    (hit,) = with_hit_metadata([before], HIT)
    assert hit.generation_info is not None
    mark = hit.generation_info.pop("cache")
    assert (mark["hit"], mark["usage"]) == (True, None)
    assert mark["moved"] == {"generation_info": {"usage_metadata": info["usage_metadata"]}}
    assert hit.generation_info == {"is_blocked": False}
    assert without_hit_metadata(with_hit_metadata([before], HIT)[0]) == before


@pytest.mark.parametrize(
    "extras",
    [
        {"parsed": {"total_tokens": 7, "usage": {"tokens": 1}}},
        {"tool_outputs": [{"usage": {"total_tokens": 7}}], "tokens": 7},
    ],
)
def test_what_the_model_said_of_tokens_stays_where_it_was(extras: dict[str, Any]) -> None:
    metadata = {"metadata": {"cost": 7}, "tokens": ["a"], "logprobs": None, "token": "a"}
    hit = mark(stored(additional_kwargs=extras, response_metadata=metadata))
    assert hit.additional_kwargs == extras
    assert {name: hit.response_metadata[name] for name in metadata} == metadata


def test_what_a_provider_says_of_a_cache_of_its_own_comes_back_too() -> None:
    message = stored(response_metadata={"cache": "MISS"})
    (hit,) = with_hit_metadata([ChatGeneration(message=message)], HIT)
    assert message_of(without_hit_metadata(hit)).response_metadata == {"cache": "MISS"}


@pytest.mark.parametrize("moved", [7, {"response_metadata": 7}, {"nowhere": {"a": 1}}])
def test_malformed_mark_is_stored_as_provider_metadata(moved: object) -> None:
    planted = mark(stored()).model_copy(deep=True)
    planted.response_metadata["cache"]["moved"] = moved
    assert serialize(with_hit_metadata([ChatGeneration(message=planted)], HIT)) is not None


def test_every_choice_of_every_hit_has_an_id_of_its_own() -> None:
    answer = [ChatGeneration(message=stored()) for _ in range(3)]
    ids = {message_of(one).id for _ in range(2) for one in with_hit_metadata(answer, HIT)}
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
    (hit,) = with_hit_metadata([chunk], HIT)
    assert type(hit) is ChatGenerationChunk
    assert type(hit.message) is AIMessageChunk
    assert (hit.text, hit.generation_info) == ("hi", {"a": 1})


def test_what_is_no_chat_answer_comes_back_as_it_was() -> None:
    answer = [Generation(text="a", generation_info={"b": 1}), GenerationChunk(text="c")]
    assert with_hit_metadata(answer, HIT) == answer


@pytest.mark.parametrize("usage", [USAGE, None])
def test_a_hit_that_is_stored_again_is_stored_as_it_was_computed(usage: Any) -> None:
    message = stored(usage_metadata=usage)
    hit = mark(message)
    of_langchain: Any = {**(hit.usage_metadata or {}), "total_cost": 0}
    hit.usage_metadata = of_langchain
    assert message_of(without_hit_metadata(ChatGeneration(message=hit))) == message.model_copy(
        update={"id": hit.id}
    )
    (text,) = serialize([ChatGeneration(message=hit)]) or ()
    assert "cache" not in json.loads(text)["message"]["fields"]["response_metadata"]
    assert json.loads(text)["message"]["fields"].get("usage_metadata") == usage


@pytest.mark.parametrize("told", [{"hit": True}, "HIT", {}, None])
def test_what_a_provider_says_of_a_cache_of_its_own_is_stored(told: object) -> None:
    generation = ChatGeneration(message=stored(response_metadata={"cache": told}))
    assert without_hit_metadata(generation) == generation
    (text,) = serialize([generation]) or ()
    assert json.loads(text)["message"]["fields"]["response_metadata"] == {"cache": told}
