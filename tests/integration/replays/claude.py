"""Anthropic's Messages API, as ``ChatAnthropic`` reads it."""

from collections.abc import Iterator
from typing import Any

from langchain_anthropic import ChatAnthropic
from tests.integration.replays.wire_format import (
    ARGUMENTS,
    INPUT,
    NAME,
    Answer,
    Event,
    Provider,
    WireFormat,
)


def _message(answer: Answer, content: list[Any], reason: str | None) -> dict[str, Any]:
    return {
        "id": f"msg_{answer.number:04}",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-20250514",
        "content": content,
        "stop_reason": reason,
        "stop_sequence": None,
        "usage": {"input_tokens": 9, "output_tokens": 5},
    }


def _claude(answer: Answer) -> dict[str, Any]:
    thought = {"type": "thinking", "thinking": "".join(answer.thought)}
    content = [thought | {"signature": answer.signature}]
    content.append({"type": "text", "text": "".join(answer.text)})
    call = {"type": "tool_use", "id": answer.new_id("toolu"), "name": NAME, "input": INPUT}
    reason = "tool_use" if answer.calls else "end_turn"
    return _message(answer, [*content, call] if answer.calls else content, reason)


def _claude_events(answer: Answer) -> Iterator[Event]:
    yield _typed("message_start", message=_message(answer, [], None))
    thoughts = [{"type": "thinking_delta", "thinking": text} for text in answer.thought]
    thoughts.append({"type": "signature_delta", "signature": answer.signature})
    texts = [{"type": "text_delta", "text": text} for text in answer.text]
    blocks: list[Any] = [({"type": "thinking", "thinking": "", "signature": ""}, thoughts)]
    blocks.append(({"type": "text", "text": ""}, texts))
    if answer.calls:
        call = {"type": "tool_use", "id": answer.new_id("toolu"), "name": NAME, "input": {}}
        parts = [{"type": "input_json_delta", "partial_json": part} for part in ("", *ARGUMENTS)]
        blocks.append((call, parts))
    for index, (block, deltas) in enumerate(blocks):
        yield _typed("content_block_start", index=index, content_block=block)
        for delta in deltas:
            yield _typed("content_block_delta", index=index, delta=delta)
        yield _typed("content_block_stop", index=index)
    delta = {"stop_reason": "tool_use" if answer.calls else "end_turn", "stop_sequence": None}
    yield _typed("message_delta", delta=delta, usage={"output_tokens": 5})
    yield _typed("message_stop")


def _typed(name: str, **fields: Any) -> Event:
    return name, {"type": name, **fields}


WIRE = WireFormat(_claude, _claude_events)
serve = WIRE.serve


def model(provider: Provider, **settings: Any) -> Any:
    fields: dict[str, Any] = {
        "model": "claude-sonnet-4-20250514",
        "base_url": provider.url,
        "api_key": "k",
        "max_retries": 0,
        "max_tokens": 2000,
        "thinking": {"type": "enabled", "budget_tokens": 1024},
    }
    return ChatAnthropic(**fields, **settings)
