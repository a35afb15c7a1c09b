"""A stored answer as the chunks of a stream, and a stream's chunks as the answer to store."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk, message_chunk_to_message
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, Generation
from langchain_core.outputs.chat_generation import merge_chat_generation_chunks

from llm_cache.verdict import ENDINGS, REASONS

PIECE = 200  # characters of text in one chunk of a stored answer

CUT_SHORT = frozenset(reason for reasons in ENDINGS.values() for reason in reasons)

STANDING = ("model_provider", "output_version")
"""Metadata by which LangChain reads a chunk's content: it stands on every chunk."""


def split(found: Generation, *, number: bool) -> list[ChatGenerationChunk]:
    """Return a stored answer as chunks that add up to exactly it, usage and the like on the last.

    They have no id: LangChain gives them the run's. ``number`` the blocks of the content for a
    reader that merges those of one kind unless they are.
    """
    message, info = _message(found, number=number), found.generation_info
    chunks = [ChatGenerationChunk(message=chunk) for chunk in (*_body(message), _tail(message))]
    chunks[-1].generation_info = info
    merged = merge_chat_generation_chunks(chunks)
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
            if isinstance(block, dict):
                block.setdefault("index", index)
    return message


def _body(message: AIMessage) -> Iterator[AIMessageChunk]:
    content = message.content
    metadata = message.response_metadata
    standing = {name: metadata[name] for name in STANDING if name in metadata}
    pieces: list[Any] = [[block] for block in content]
    if isinstance(content, str):
        pieces = [content[start : start + PIECE] for start in range(0, len(content), PIECE)]
    for piece in pieces:
        yield AIMessageChunk(content=piece, response_metadata=standing)


def _tail(message: AIMessage) -> AIMessageChunk:
    tail = AIMessageChunk(
        content=type(message.content)(),
        additional_kwargs=message.additional_kwargs,
        response_metadata=message.response_metadata,
        tool_calls=message.tool_calls,
        usage_metadata=message.usage_metadata,
        chunk_position="last",
    )
    for index, call in enumerate(tail.tool_call_chunks):
        call["index"] = index
    return tail


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
        """Return what ``invoke`` would have, or None when the stream did not end well.

        ``blocks``: as LangChain's standard content blocks.
        """
        merged = merge_chat_generation_chunks([*(self._chunks or ()), _end()])
        if not self._chunks or not _ended(self._chunks) or not merged or not _complete(merged):
            return None
        message, info = message_chunk_to_message(merged.message), merged.generation_info or {}
        message.response_metadata = {**info, **message.response_metadata}
        if blocks:
            standard = message.content_blocks  # read before they are called standard
            message.response_metadata["output_version"] = "v1"
            message = message.model_copy(update={"content": standard})
        return ChatGeneration(message=message, generation_info=merged.generation_info)


def _end() -> ChatGenerationChunk:
    """Return what makes LangChain parse the arguments of tool calls."""
    return ChatGenerationChunk(message=AIMessageChunk(content="", chunk_position="last"))


def _ended(chunks: list[ChatGenerationChunk]) -> bool:
    """Whether a stream that stopped was done.

    A connection may break without an error. A provider's integration says why its model stopped,
    so one that did not was cut; of a model that names no provider nothing more can be asked.
    """
    reasons = {str(said).lower() for chunk in chunks for said in _reasons(chunk)}
    if reasons & CUT_SHORT:
        return False
    messages = [chunk.message for chunk in chunks]
    last = any(getattr(message, "chunk_position", None) == "last" for message in messages)
    anonymous = not any("model_provider" in message.response_metadata for message in messages)
    return bool(reasons) or last or anonymous


def _reasons(chunk: ChatGenerationChunk) -> list[Any]:
    said = {**(chunk.generation_info or {}), **chunk.message.response_metadata}
    return [said[name] for name in REASONS if said.get(name)]


def _complete(merged: ChatGenerationChunk) -> bool:
    """Whether there is an answer, and its tool calls are whole: LangChain mends broken ones."""
    message = merged.message
    if not isinstance(message, AIMessageChunk):
        return False
    calls = message.tool_call_chunks
    return bool(message.content or calls) and all(_is_object(call["args"]) for call in calls)


def _is_object(args: str | None) -> bool:
    try:
        return isinstance(json.loads(args or "{}"), dict)
    except ValueError:
        return False
