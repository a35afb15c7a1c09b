"""Record the chunks of a stream, and add them up to the answer to store."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

from langchain_core.messages import AIMessageChunk, message_chunk_to_message
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk
from langchain_core.outputs.chat_generation import merge_chat_generation_chunks

from llm_cache._langchain.uncacheable import FINISH_REASON_FIELDS, reasons_in_metadata, uncacheable


class StreamRecorder:
    """Copies of one stream's chunks, made before the stream's reader can change them."""

    def __init__(self) -> None:
        self._chunks: list[ChatGenerationChunk] | None = []

    def add(self, chunk: ChatGenerationChunk) -> None:
        """Record a copy; after a chunk that cannot be copied, the stream is not stored."""
        try:
            copy = deepcopy(chunk)
        except Exception:  # noqa: BLE001  the chunk itself still goes to its reader
            self._chunks = None
        if self._chunks is not None:
            self._chunks.append(copy)

    def answer(self, *, standard_blocks: bool) -> ChatGeneration | None:
        """Return the sum of the chunks, or None if the stream did not end well.

        It equals the message that the stream's reader gets, so both give the next turn one key.
        ``standard_blocks``: with LangChain's standard content blocks.
        """
        chunks = self._chunks or []
        if not _has_ended(chunks):
            return None
        for chunk in chunks:
            chunk.message.response_metadata = _metadata(chunk)
        if standard_blocks:
            use_standard_blocks(chunks)
        last = AIMessageChunk(content="", chunk_position="last")  # LangChain then parses tool calls
        merged = merge_chat_generation_chunks([*chunks, ChatGenerationChunk(message=last)])
        if not merged or not _is_storable(merged):
            return None
        message = message_chunk_to_message(merged.message)
        return ChatGeneration(message=message, generation_info=merged.generation_info)


def use_standard_blocks(chunks: list[ChatGenerationChunk]) -> None:
    """Replace the content by numbered standard blocks, as ``BaseChatModel.stream`` does."""
    number, kind = -1, ""
    for chunk in chunks:
        blocks: list[Any] = chunk.message.content_blocks
        for block in blocks:
            number, kind = number + (block["type"] != kind), block["type"]
            block.setdefault("index", number)
        metadata = {**chunk.message.response_metadata, "output_version": "v1"}
        update = {"content": blocks, "response_metadata": metadata}
        chunk.message = chunk.message.model_copy(update=update)


def _metadata(chunk: ChatGenerationChunk) -> dict[str, Any]:
    return {**(chunk.generation_info or {}), **chunk.message.response_metadata}


def _has_ended(chunks: list[ChatGenerationChunk]) -> bool:
    """Return whether the model finished; a connection may break without an error.

    A known provider's stream must have a finish reason, or a marked last chunk. A model that names
    no provider may have neither.
    """
    metadata = [_metadata(chunk) for chunk in chunks]
    if any(reason for each in metadata for reason in reasons_in_metadata(each)):
        return False  # chunk by chunk, because addition joins two finish reasons to one word
    finished = any(each.get(name) for each in metadata for name in FINISH_REASON_FIELDS)
    messages = [chunk.message for chunk in chunks]
    last = any(getattr(message, "chunk_position", None) == "last" for message in messages)
    anonymous = not any("model_provider" in message.response_metadata for message in messages)
    return finished or last or anonymous


def _is_storable(merged: ChatGenerationChunk) -> bool:
    """Return whether an answer may be stored; LangChain itself repairs incomplete tool calls."""
    message = merged.message
    if not isinstance(message, AIMessageChunk) or uncacheable(merged):
        return False
    return all(_is_object(call["args"]) for call in message.tool_call_chunks)


def _is_object(args: str | None) -> bool:
    try:
        return isinstance(json.loads(args or "{}"), dict)
    except ValueError:
        return False
