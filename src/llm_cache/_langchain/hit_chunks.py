"""Split a stored answer into the chunks of a stream."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk, message_chunk_to_message
from langchain_core.messages.tool import ToolCall, ToolCallChunk, tool_call_chunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, Generation
from langchain_core.outputs.chat_generation import merge_chat_generation_chunks

from llm_cache._langchain.stream_recorder import use_standard_blocks

CHUNK_LENGTH = 200  # characters of text in one chunk

_CALL_KINDS = ("tool_call", "tool_call_chunk")
_CALL_FIELDS = {"args", "id", "index", "name"}
_FORMAT_METADATA = ("model_provider", "output_version")
"""Metadata by which LangChain reads a chunk's content; every chunk needs it."""


def split_answer(answer: Generation, *, standard_blocks: bool) -> list[ChatGenerationChunk]:
    """Return chunks whose sum is the stored answer; the last one has usage and other metadata.

    They have no id, so that LangChain sets the run's. ``standard_blocks`` numbers the blocks of the
    content: a reader of standard blocks merges blocks of one kind without numbers.
    """
    message, info = _message(answer, number=standard_blocks), answer.generation_info
    body = _body(message, number=standard_blocks)
    chunks = [ChatGenerationChunk(message=chunk) for chunk in (*body, _last_chunk(message))]
    chunks[-1].generation_info = info
    read = chunks
    if standard_blocks and isinstance(message.content, list):
        use_standard_blocks(read := deepcopy(chunks))
    merged = merge_chat_generation_chunks(read)
    if merged and message_chunk_to_message(merged.message) == message:
        return chunks
    # LangChain's addition would change some messages: for example, one with an invalid tool call.
    return [ChatGenerationChunk(message=_whole(message), generation_info=info)]


def _message(answer: Generation, *, number: bool) -> AIMessage:
    """Return a copy of the message: the cache may return one object to several callers."""
    if not isinstance(answer, ChatGeneration):
        return AIMessage(answer.text)
    message = message_chunk_to_message(answer.message)
    if not isinstance(message, AIMessage):
        raise TypeError(f"not a model's message: {type(message).__name__}")
    message = message.model_copy(update={"id": None}, deep=True)
    if number and isinstance(message.content, list):
        for index, block in enumerate(message.content):
            if isinstance(block, dict) and block.get("type") != "tool_call":
                block.setdefault("index", f"lc_{index}")
    return message


def _body(message: AIMessage, *, number: bool) -> Iterator[AIMessageChunk]:
    content, metadata = message.content, message.response_metadata
    needed = {name: metadata[name] for name in _FORMAT_METADATA if name in metadata}
    if isinstance(content, str):
        for start in range(0, len(content), CHUNK_LENGTH):
            text = content[start : start + CHUNK_LENGTH]
            yield AIMessageChunk(content=text, response_metadata=needed)
        return
    for place, block in enumerate(content):
        index = block.get("index") if isinstance(block, dict) else None
        calls = [call for call in message.tool_calls if _is_same_call(block, call)]
        *before, last = _stream_blocks(block, f"lc_{place}", calls) if number else [block]
        for each in before:
            yield AIMessageChunk(content=[each], response_metadata=needed)
        yield AIMessageChunk(
            content=[last],
            response_metadata=needed,
            tool_call_chunks=_call_chunks(calls, index if isinstance(index, int) else place),
        )


def _is_same_call(block: Any, call: ToolCall) -> bool:
    """Return whether a block is a tool call's: LangChain reads both from the same chunk."""
    ids = (block.get("call_id"), block.get("id")) if isinstance(block, dict) else ()
    return bool(call["id"]) and call["id"] in ids


def _call_chunks(calls: list[ToolCall], first: int) -> list[ToolCallChunk]:
    return [
        tool_call_chunk(
            name=call["name"], args=json.dumps(call["args"]), id=call["id"], index=index
        )
        for index, call in enumerate(calls, first)
    ]


def _stream_blocks(block: Any, index: str, calls: list[ToolCall]) -> list[Any]:
    """Return the blocks that LangChain merges into a standard block.

    A tool call becomes a chunk: the last chunk of the stream completes it, and takes its index.
    A tool call merged into a text (OpenAI's chat completions: both have one index) becomes two.
    """
    kind = block.get("type") if isinstance(block, dict) else None
    if kind == "tool_call" and "index" not in block:
        args = json.dumps(block.get("args"))
        return [{**block, "type": "tool_call_chunk", "args": args, "index": index}]
    if not calls or kind in _CALL_KINDS or not block.keys() >= _CALL_FIELDS:
        return [block]
    rest = {name: value for name, value in block.items() if name not in _CALL_FIELDS}
    call = {name: block[name] for name in _CALL_FIELDS}
    return [rest, {"type": "tool_call_chunk", **call}]


def _last_chunk(message: AIMessage) -> AIMessageChunk:
    blocks = message.content if isinstance(message.content, list) else []
    calls = [c for c in message.tool_calls if not any(_is_same_call(each, c) for each in blocks)]
    return AIMessageChunk(
        content=type(message.content)(),
        additional_kwargs=message.additional_kwargs,
        response_metadata=message.response_metadata,
        tool_call_chunks=_call_chunks(calls, len(blocks)),
        usage_metadata=message.usage_metadata,
        chunk_position="last",
    )


def _whole(message: AIMessage) -> AIMessageChunk:
    fields = {name: value for name, value in message if name != "type"}
    return AIMessageChunk(**fields, chunk_position="last")
