"""Hit metadata is added to a stored answer, and removed before the answer is stored again."""

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
USAGE: Any = {
    "input_tokens": 3,
    "output_tokens": 4,
    "total_tokens": 7,
    "input_token_details": {"cache_read": 2},
}
METADATA = {"model_provider": "openai", "output_version": "v1", "finish_reason": "tool_calls"}


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
            "response_metadata": {**METADATA, "token_usage": {"total_tokens": 7}},
            **fields,
        }
    )


def message_of(generation: Generation) -> AIMessage:
    assert isinstance(generation, ChatGeneration)
    assert isinstance(generation.message, AIMessage)
    return generation.message


def hit(message: AIMessage, outcome: Outcome = HIT) -> AIMessage:
    return message_of(with_hit_metadata([ChatGeneration(message=message)], outcome)[0])


def serialized_fields(message: AIMessage) -> Any:
    (text,) = serialize([ChatGeneration(message=message)]) or ()
    return json.loads(text)["message"]["fields"]


def test_hit_has_metadata_and_no_tokens_and_is_otherwise_as_stored() -> None:
    message, before = stored(), stored()
    found = hit(message)
    assert found.response_metadata == {
        **METADATA,
        "cache": {
            "hit": True,
            "stale": False,
            "age": 10.0,
            "ttl": 50.0,
            "key": "shop:entry:1",
            "usage": USAGE,
            "moved": {"response_metadata": {"token_usage": {"total_tokens": 7}}},
        },
    }
    usage: Any = found.usage_metadata
    assert usage == {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
    assert TypeAdapter(UsageMetadata).validate_python(usage, strict=True) == usage
    changed = {"id", "usage_metadata", "response_metadata"}
    assert found.model_dump(exclude=changed) == before.model_dump(exclude=changed)
    assert message == before


def test_hit_without_usage_reports_none() -> None:
    message = hit(stored(usage_metadata=None))
    assert message.usage_metadata is message.response_metadata["cache"]["usage"] is None


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
    "none": {},
}


def counts(value: Any, name: str = "") -> list[str]:
    """Return the names under which a value counts tokens, at any depth."""
    if isinstance(value, dict):
        return [found for each, item in value.items() for found in counts(item, f"{name}.{each}")]
    if isinstance(value, list):
        return [found for item in value for found in counts(item, name)]
    return [name] if isinstance(value, int | float) and re.search("token|eval_|cost", name) else []


@pytest.mark.parametrize("place", ["response_metadata", "generation_info"])
@pytest.mark.parametrize("raw", RAW.values(), ids=RAW)
def test_token_counts_move_into_hit_metadata_and_are_restored_from_it(
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
    (found,) = with_hit_metadata([before], HIT)
    message = message_of(found)
    metadata = {name: each for name, each in message.response_metadata.items() if name != "cache"}
    assert counts([metadata, found.generation_info, message.additional_kwargs]) == []
    assert message.additional_kwargs == {"model_id": "m"}
    again = without_hit_metadata(found)
    message_of(again).id = None
    assert again == before
    assert serialize([found, found]) is not None


def test_text_answer_with_token_counts_has_hit_metadata() -> None:
    info = {"usage_metadata": {"prompt_token_count": 3}, "is_blocked": False}
    before = Generation(text="a", generation_info=info)
    (found,) = with_hit_metadata([before], HIT)
    assert without_hit_metadata(found) == before
    assert found.generation_info is not None
    metadata = found.generation_info.pop("cache")
    assert (metadata["hit"], metadata["usage"]) == (True, None)
    assert metadata["moved"] == {"generation_info": {"usage_metadata": info["usage_metadata"]}}
    assert found.generation_info == {"is_blocked": False}


def test_text_answer_without_token_counts_is_unchanged() -> None:
    answer = [Generation(text="a", generation_info={"b": 1}), GenerationChunk(text="c")]
    assert with_hit_metadata(answer, HIT) == answer


@pytest.mark.parametrize(
    "extras",
    [
        {"parsed": {"total_tokens": 7, "usage": {"tokens": 1}}},
        {"tool_outputs": [{"usage": {"total_tokens": 7}}], "tokens": 7},
    ],
)
def test_counts_in_the_answer_itself_stay(extras: dict[str, Any]) -> None:
    metadata = {"metadata": {"cost": 7}, "tokens": ["a"], "logprobs": None, "token": "a"}
    found = hit(stored(additional_kwargs=extras, response_metadata=metadata))
    assert found.additional_kwargs == extras
    assert {name: found.response_metadata[name] for name in metadata} == metadata


@pytest.mark.parametrize("moved", [7, {"response_metadata": 7}, {"nowhere": {"a": 1}}])
def test_malformed_hit_metadata_is_stored_as_the_provider_s(moved: object) -> None:
    planted = hit(stored()).model_copy(deep=True)
    planted.response_metadata["cache"]["moved"] = moved
    assert serialize(with_hit_metadata([ChatGeneration(message=planted)], HIT)) is not None


def test_every_choice_of_every_hit_has_its_own_id() -> None:
    answer = [ChatGeneration(message=stored()) for _ in range(3)]
    ids = {message_of(one).id for _ in range(2) for one in with_hit_metadata(answer, HIT)}
    assert len(ids) == 6
    assert all(str(each).startswith("lc_cache--") for each in ids)


@pytest.mark.parametrize(
    ("status", "ttl", "expected"),
    [
        (Status.HIT, 50.0, (True, False)),
        (Status.HIT, 0.0, (True, True)),  # max_stale
        (Status.STALE, -40.0, (False, True)),
    ],
)
def test_expired_answer_is_stale_and_no_hit_if_the_model_was_called(
    status: Status, ttl: float, expected: tuple[bool, bool]
) -> None:
    outcome = Outcome(status=status, key="k", ttl=ttl)
    metadata = hit(stored(), outcome).response_metadata["cache"]
    assert (metadata["hit"], metadata["stale"]) == expected


def test_hit_of_a_chunk_is_a_chunk() -> None:
    chunk = ChatGenerationChunk(message=AIMessageChunk(content="hi"), generation_info={"a": 1})
    (found,) = with_hit_metadata([chunk], HIT)
    assert (type(found), type(message_of(found))) == (ChatGenerationChunk, AIMessageChunk)
    assert (found.text, found.generation_info) == ("hi", {"a": 1})


@pytest.mark.parametrize("usage", [USAGE, None])
def test_hit_is_stored_again_as_it_was_computed(usage: Any) -> None:
    message = stored(usage_metadata=usage)
    found = hit(message)
    of_langchain: Any = {**(found.usage_metadata or {}), "total_cost": 0}
    found.usage_metadata = of_langchain
    restored = message_of(without_hit_metadata(ChatGeneration(message=found)))
    assert restored == message.model_copy(update={"id": found.id})
    assert serialized_fields(found) == {**serialized_fields(message), "id": found.id}


@pytest.mark.parametrize("value", [{"hit": True}, "HIT", "MISS", {}, None])
def test_cache_field_of_a_provider_is_stored_and_restored(value: object) -> None:
    message = stored(response_metadata={"cache": value})
    generation = ChatGeneration(message=message)
    assert without_hit_metadata(generation) == generation
    assert serialized_fields(message)["response_metadata"] == {"cache": value}
    (found,) = with_hit_metadata([generation], HIT)
    assert message_of(without_hit_metadata(found)).response_metadata == {"cache": value}
