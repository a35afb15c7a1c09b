"""OpenAI's Responses API, as ``ChatOpenAI`` reads it."""

from collections.abc import Iterator
from typing import Any

from langchain_openai import ChatOpenAI
from tests.integration.replays.wire_format import (
    ARGUMENTS,
    NAME,
    USAGE,
    Answer,
    Event,
    Provider,
    WireFormat,
)


def _items(answer: Answer) -> list[dict[str, Any]]:
    summary = [{"type": "summary_text", "text": "".join(answer.thought)}]
    secret = {"encrypted_content": answer.signature}
    reasoning: dict[str, Any] = {
        "type": "reasoning",
        "id": answer.new_id("rs"),
        "summary": summary,
        **secret,
    }
    text = {"type": "output_text", "text": "".join(answer.text), "annotations": [], "logprobs": []}
    message: dict[str, Any] = {"type": "message", "id": answer.new_id("msg"), "role": "assistant"}
    call = {"type": "function_call", "id": answer.new_id("fc"), "call_id": answer.new_id("call")}
    items: list[dict[str, Any]] = [reasoning, message | {"status": "completed", "content": [text]}]
    call |= {"name": NAME, "arguments": "".join(ARGUMENTS), "status": "completed"}
    return [*items, call] if answer.calls else items


def _response(answer: Answer, status: str, items: list[Any]) -> dict[str, Any]:
    details = {"input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0}}
    details |= {"output_tokens_details": {"reasoning_tokens": 2}}
    completed: dict[str, Any] = {"usage": USAGE | details} if status == "completed" else {}
    return completed | {
        "id": f"resp_{answer.number:04}",
        "object": "response",
        "created_at": 1_700_000_000 + answer.number,
        "status": status,
        "model": "gpt-5-mini-2025-08-07",
        "output": items,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
    }


def _response_events(answer: Answer) -> Iterator[Event]:
    items = _items(answer)
    yield _numbered("response.created", response=_response(answer, "in_progress", []))
    for index, item in enumerate(items):
        empty = {name: value for name, value in item.items() if name != "encrypted_content"}
        empty |= {"summary": []} if "summary" in item else {}
        empty |= {"content": [], "status": "in_progress"} if "content" in item else {}
        empty |= {"arguments": ""} if "arguments" in item else {}
        yield _numbered("response.output_item.added", output_index=index, item=empty)
        for name, fields in _parts(answer, item):
            yield _numbered(name, output_index=index, item_id=item["id"], **fields)
        yield _numbered("response.output_item.done", output_index=index, item=item)
    yield _numbered("response.completed", response=_response(answer, "completed", items))


def _numbered(name: str, **fields: Any) -> Event:
    return name, {"type": name, "sequence_number": 0, **fields}


def _parts(answer: Answer, item: dict[str, Any]) -> Iterator[Event]:
    if item["type"] == "reasoning":
        part: dict[str, Any] = {"summary_index": 0}
        empty = {"type": "summary_text", "text": ""}
        yield "response.reasoning_summary_part.added", part | {"part": empty}
        for text in answer.thought:
            yield "response.reasoning_summary_text.delta", part | {"delta": text}
        yield "response.reasoning_summary_part.done", part | {"part": item["summary"][0]}
    if item["type"] == "message":
        part = {"content_index": 0}
        blank = {"type": "output_text", "text": "", "annotations": []}
        yield "response.content_part.added", part | {"part": blank}
        for text in answer.text:
            yield "response.output_text.delta", part | {"delta": text, "logprobs": []}
        yield "response.output_text.done", part | {"text": "".join(answer.text), "logprobs": []}
        yield "response.content_part.done", part | {"part": item["content"][0]}
    if item["type"] == "function_call":
        for text in ARGUMENTS:
            yield "response.function_call_arguments.delta", {"delta": text}
        yield "response.function_call_arguments.done", {"arguments": item["arguments"]}


WIRE = WireFormat(lambda answer: _response(answer, "completed", _items(answer)), _response_events)
serve = WIRE.serve


def model(provider: Provider, output_version: str, **settings: Any) -> Any:
    fields: dict[str, Any] = {
        "model": "gpt-5-mini",
        "base_url": f"{provider.url}/v1",
        "api_key": "k",
        "max_retries": 0,
        "use_responses_api": True,
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "output_version": "v1" if output_version == "v1" else "responses/v1",
    }
    return ChatOpenAI(**fields, **settings)
