"""A stored answer as the chunks of a stream, and a stream's chunks as the answer to store."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk, message_chunk_to_message
from langchain_core.messages.tool import ToolCall, ToolCallChunk, tool_call_chunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, Generation
from langchain_core.outputs.chat_generation import merge_chat_generation_chunks

from llm_cache._langchain.uncacheable import REASONS, endings, uncacheable

PIECE = 200  # characters of text in one chunk of a stored answer

_CALL_KINDS = ("tool_call", "tool_call_chunk")
_CALL_FIELDS = {"args", "id", "index", "name"}

STANDING = ("model_provider", "output_version")
"""Metadata by which LangChain reads a chunk's content: it stands on every chunk."""


def split(found: Generation, *, number: bool) -> list[ChatGenerationChunk]:
    """Return a stored answer as chunks that add up to exactly it, usage and the like on the last.

    They have no id: LangChain gives them the run's. ``number`` the blocks of the content for a
    reader that merges those of one kind unless they are.
    """
    message, info = _message(found, number=number), found.generation_info
    body = _body(message, number=number)
    chunks = [ChatGenerationChunk(message=chunk) for chunk in (*body, _tail(message))]
    chunks[-1].generation_info = info
    read = chunks
    if number and isinstance(message.content, list):
        _standardise(read := deepcopy(chunks))
    merged = merge_chat_generation_chunks(read)
    if merged and message_chunk_to_message(merged.message) == message:
        return chunks
    # What LangChain's addition would change, such as a tool call that could not be parsed.
    return [ChatGenerationChunk(message=_whole(message), generation_info=info)]


def _message(found: Generation, *, number: bool) -> AIMessage:
    """Copy what the cache returned: it may hand the same object to everyone."""
    if not isinstance(found, ChatGeneration):
        return AIMessage(found.text)
    message = message_chunk_to_message(found.message)
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
    standing = {name: metadata[name] for name in STANDING if name in metadata}
    if isinstance(content, str):
        for start in range(0, len(content), PIECE):
            text = content[start : start + PIECE]
            yield AIMessageChunk(content=text, response_metadata=standing)
        return
    for place, block in enumerate(content):
        index = block.get("index") if isinstance(block, dict) else None
        calls = [call for call in message.tool_calls if _stands_for(block, call)]
        *before, piece = _in_pieces(block, f"lc_{place}", calls) if number else [block]
        for each in before:
            yield AIMessageChunk(content=[each], response_metadata=standing)
        yield AIMessageChunk(
            content=[piece],
            response_metadata=standing,
            tool_call_chunks=_numbered(calls, index if isinstance(index, int) else place),
        )


def _stands_for(block: Any, call: ToolCall) -> bool:
    """Whether a block and a tool call are one: LangChain reads both from the same chunk."""
    ids = (block.get("call_id"), block.get("id")) if isinstance(block, dict) else ()
    return bool(call["id"]) and call["id"] in ids


def _numbered(calls: list[ToolCall], first: int) -> list[ToolCallChunk]:
    return [
        tool_call_chunk(
            name=call["name"], args=json.dumps(call["args"]), id=call["id"], index=index
        )
        for index, call in enumerate(calls, first)
    ]


def _in_pieces(block: Any, index: str, calls: list[ToolCall]) -> list[Any]:
    """Return a standard block as streams have it, where the sum of a stream has it otherwise.

    The last chunk makes a tool call whole, and takes its index. A call of the number that
    LangChain gave a text before it is merged into that text (OpenAI's chat completions).
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


def _tail(message: AIMessage) -> AIMessageChunk:
    blocks = message.content if isinstance(message.content, list) else []
    return AIMessageChunk(
        content=type(message.content)(),
        additional_kwargs=message.additional_kwargs,
        response_metadata=message.response_metadata,
        tool_call_chunks=_numbered(
            [
                call
                for call in message.tool_calls
                if not any(_stands_for(block, call) for block in blocks)
            ],
            len(blocks),
        ),
        usage_metadata=message.usage_metadata,
        chunk_position="last",
    )


def _whole(message: AIMessage) -> AIMessageChunk:
    fields = {name: value for name, value in message if name != "type"}
    return AIMessageChunk(**fields, chunk_position="last")


class Recording:
    """The chunks of one stream, as they were before anyone they were handed to wrote on them."""

    def __init__(self) -> None:
        self._chunks: list[ChatGenerationChunk] | None = []

    def add(self, chunk: ChatGenerationChunk) -> None:
        """Keep a copy; a chunk that cannot be copied makes the stream one that is not stored."""
        try:
            copy = deepcopy(chunk)
        except Exception:  # noqa: BLE001  the chunk itself goes to its reader all the same
            self._chunks = None
        if self._chunks is not None:
            self._chunks.append(copy)

    def answer(self, *, blocks: bool) -> ChatGeneration | None:
        """Return the sum of the chunks, or None when the stream did not end well.

        It is the message that the stream's reader has, so that both ask the same next question.
        ``blocks``: as LangChain's standard content blocks.
        """
        chunks = self._chunks or []
        if not _ended(chunks):
            return None
        for chunk in chunks:
            chunk.message.response_metadata = _metadata(chunk)
        if blocks:
            _standardise(chunks)
        merged = merge_chat_generation_chunks([*chunks, _end()])
        if not merged or not _complete(merged):
            return None
        message = message_chunk_to_message(merged.message)
        return ChatGeneration(message=message, generation_info=merged.generation_info)


def _metadata(chunk: ChatGenerationChunk) -> dict[str, Any]:
    return {**(chunk.generation_info or {}), **chunk.message.response_metadata}


def _standardise(chunks: list[ChatGenerationChunk]) -> None:
    """Put standard blocks for the content, and number them, as ``BaseChatModel.stream`` does."""
    number, kind = -1, ""
    for chunk in chunks:
        blocks: list[Any] = chunk.message.content_blocks
        for block in blocks:
            number, kind = number + (block["type"] != kind), block["type"]
            block.setdefault("index", number)
        metadata = {**chunk.message.response_metadata, "output_version": "v1"}
        update = {"content": blocks, "response_metadata": metadata}
        chunk.message = chunk.message.model_copy(update=update)


def _end() -> ChatGenerationChunk:
    """Return what makes LangChain parse the arguments of tool calls."""
    return ChatGenerationChunk(message=AIMessageChunk(content="", chunk_position="last"))


def _ended(chunks: list[ChatGenerationChunk]) -> bool:
    """Whether a stream that stopped was done.

    A connection may break without an error. A provider's integration says why its model stopped,
    so one that did not was cut; of a model that names no provider nothing more can be asked.
    """
    told = [_metadata(chunk) for chunk in chunks]
    if any(reason for said in told for reason in endings(said)):
        return False  # each by itself: their sum joins two reasons to one word
    reasons = [said[name] for said in told for name in REASONS if said.get(name)]
    messages = [chunk.message for chunk in chunks]
    last = any(getattr(message, "chunk_position", None) == "last" for message in messages)
    anonymous = not any("model_provider" in message.response_metadata for message in messages)
    return bool(reasons) or last or anonymous


def _complete(merged: ChatGenerationChunk) -> bool:
    """Whether the answer may be kept, and its tool calls are whole: LangChain mends broken ones."""
    message = merged.message
    if not isinstance(message, AIMessageChunk) or uncacheable(merged):
        return False
    return all(_is_object(call["args"]) for call in message.tool_call_chunks)


def _is_object(args: str | None) -> bool:
    try:
        return isinstance(json.loads(args or "{}"), dict)
    except ValueError:
        return False
