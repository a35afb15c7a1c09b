"""OpenAI's chat completions, as ``ChatOpenAI`` reads them."""

import json
from collections.abc import Iterator
from typing import Any

from langchain_openai import ChatOpenAI
from tests.integration.replays.wire_format import (
    ARGUMENTS,
    NAME,
    Answer,
    Event,
    Provider,
    WireFormat,
)


def _chat(answer: Answer) -> dict[str, Any]:
    function = {"name": NAME, "arguments": "".join(ARGUMENTS)}
    call = {"id": answer.new_id("call"), "type": "function", "function": function}
    message = {"role": "assistant", "content": "".join(answer.text), "refusal": None}
    calls = {"tool_calls": [call]} if answer.calls else {}
    reason = "tool_calls" if answer.calls else "stop"
    choice = {"index": 0, "message": message | calls, "finish_reason": reason, "logprobs": None}
    return _completion(answer, "chat.completion", [choice]) | {"usage": _CHAT_USAGE}


_CHAT_USAGE = {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14}


def _completion(answer: Answer, kind: str, choices: list[Any]) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{answer.number}",
        "object": kind,
        "created": 1_700_000_000 + answer.number,
        "model": "gpt-4o-mini-2024-07-18",
        "service_tier": "default",
        "system_fingerprint": f"fp_{answer.number}",
        "choices": choices,
    }


def _chat_events(answer: Answer) -> Iterator[Event]:
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": "", "refusal": None}]
    deltas += [{"content": text} for text in answer.text]
    if answer.calls:
        call = {"id": answer.new_id("call"), "type": "function"}
        first = {"index": 0, **call, "function": {"name": NAME, "arguments": ""}}
        parts = [{"index": 0, "function": {"arguments": part}} for part in ARGUMENTS]
        deltas += [{"tool_calls": [part]} for part in (first, *parts)]
    choices: list[dict[str, Any]] = [
        {"index": 0, "delta": delta, "finish_reason": None} for delta in deltas
    ]
    reason = "tool_calls" if answer.calls else "stop"
    choices.append({"index": 0, "delta": {}, "finish_reason": reason})
    for choice in choices:
        yield "", _completion(answer, "chat.completion.chunk", [choice])
    yield "", _completion(answer, "chat.completion.chunk", []) | {"usage": _CHAT_USAGE}


WIRE = WireFormat(
    _chat, _chat_events, encode=lambda event: f"data: {json.dumps(event[1])}\n\n".encode()
)
serve = WIRE.serve


def model(provider: Provider, **settings: Any) -> Any:
    fields: dict[str, Any] = {
        "model": "gpt-4o-mini",
        "base_url": f"{provider.url}/v1",
        "api_key": "k",
    }
    return ChatOpenAI(**fields, max_retries=0, **settings)
