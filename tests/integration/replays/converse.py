"""Amazon Bedrock's Converse API, as ``ChatBedrockConverse`` reads it."""

from collections.abc import Iterator
from typing import Any

from langchain_aws import ChatBedrockConverse
from tests.functions.bedrock import USAGE, frame
from tests.integration.replays.wire_format import (
    ARGUMENTS,
    INPUT,
    NAME,
    Answer,
    Event,
    Provider,
    WireFormat,
)


def _converse(answer: Answer) -> dict[str, Any]:
    thought = {"text": "".join(answer.thought), "signature": answer.signature}
    content: list[Any] = [{"reasoningContent": {"reasoningText": thought}}]
    content.append({"text": "".join(answer.text)})
    if answer.calls:
        call = {"toolUseId": answer.new_id("tooluse"), "name": NAME, "input": INPUT}
        content.append({"toolUse": call})
    return {
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": "tool_use" if answer.calls else "end_turn",
        "usage": USAGE,
        "metrics": {"latencyMs": answer.number},
    }


def _converse_events(answer: Answer) -> Iterator[Event]:
    yield "messageStart", {"role": "assistant"}
    thoughts: list[Any] = [{"reasoningContent": {"text": text}} for text in answer.thought]
    thoughts.append({"reasoningContent": {"signature": answer.signature}})
    blocks: list[Any] = [thoughts, [{"text": text} for text in answer.text]]
    if answer.calls:
        blocks.append([{"toolUse": {"input": part}} for part in ARGUMENTS])
    for index, deltas in enumerate(blocks):
        if "toolUse" in deltas[0]:
            start = {"toolUse": {"toolUseId": answer.new_id("tooluse"), "name": NAME}}
            yield "contentBlockStart", {"contentBlockIndex": index, "start": start}
        for delta in deltas:
            yield "contentBlockDelta", {"contentBlockIndex": index, "delta": delta}
        yield "contentBlockStop", {"contentBlockIndex": index}
    yield "messageStop", {"stopReason": "tool_use" if answer.calls else "end_turn"}
    yield "metadata", {"usage": USAGE, "metrics": {"latencyMs": answer.number}}


WIRE = WireFormat(
    _converse,
    _converse_events,
    streams=lambda path, _: path.endswith("/converse-stream"),
    encode=lambda event: frame(*event),
    content_type="application/vnd.amazon.eventstream",
)
serve = WIRE.serve


def model(provider: Provider, **settings: Any) -> Any:
    fields: dict[str, Any] = {
        "model": "anthropic.claude-3-7-sonnet-20250219-v1:0",
        "region_name": "us-east-1",
        "endpoint_url": provider.url,
        "aws_access_key_id": "a",
        "aws_secret_access_key": "b",
    }
    return ChatBedrockConverse(**fields, **settings)
