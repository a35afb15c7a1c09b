"""The part of a key for a conversation: equal conversations have one text.

A field is left out if it cannot change the answer. In doubt it stays: a miss is better than a
wrong hit. ``settings_key`` has the rules for the model's settings.

Left out of a message:

- ``id``, ``usage_metadata``, fields at their default, and a tool message's ``artifact``, which no
  integration sends
- ``response_metadata``, except the three fields by which integrations read content blocks
  (langchain-aws, ``_messages_to_bedrock``)
- in an answer's ``additional_kwargs``: ``usage``, which hit metadata holds, and the object that
  langchain-openai ``parsed`` from the content (``parsed_output``)
- in content blocks: markers of the provider's prompt cache (``prompt_cache_markers``); ids that
  langchain-core generated (``lc_`` and a UUID); and, in an answer, ``index``, by which
  langchain-core merges streamed blocks

Equal to each other:

- ids of tool calls: each becomes an ordinal, in calls and in their results
- the sum of a stream's chunks (``chunk_position="last"``) and the message that langchain-core makes
  of it
- a text, and a list of one block with that text and no other field

Whitespace and the order of an object's keys do not enter. ``1`` and ``1.0`` differ, and so do texts
that only Unicode normalisation makes equal. A text model's prompt that is a JSON list of serialised
messages is read as a conversation.
"""

from __future__ import annotations

import json
import re
from typing import Any

from llm_cache._entries.keys import digest
from llm_cache._langchain.prompt_cache_markers import without_markers
from llm_cache._langchain.settings_key import constructor_fields, encode

_IGNORED_FIELDS = ("artifact", "id", "usage_metadata", "response_metadata")
_FORMAT_METADATA = ("model_name", "model_provider", "output_version")
_DEFAULTS: dict[str, object] = {
    "additional_kwargs": {},
    "chunk_position": None,
    "invalid_tool_calls": [],
    "name": None,
    "status": "success",
    "tool_call_chunks": [],
    "tool_calls": [],
}
_ANSWER_TYPES = ("ai", "AIMessageChunk")
_CHUNK_CLASS = ["langchain", "schema", "messages", "AIMessageChunk"]
_CALL_LISTS = ("tool_calls", "invalid_tool_calls", "tool_call_chunks")
_CALL_BLOCKS = (
    "function_call", "invalid_tool_call", "mcp_tool_use", "server_tool_call",
    "server_tool_call_chunk", "server_tool_use", "tool_call", "tool_call_chunk", "tool_use",
)  # fmt: skip
_RESULT_BLOCKS = ("_output", "_result")  # how their types end
_CALL_REFERENCES = ("call_id", "tool_call_id", "tool_use_id", "toolUseId")

_HEX = "[0-9a-f]"
_GENERATED_ID = re.compile(f"lc_{_HEX}{{8}}(-{_HEX}{{4}}){{3}}-{_HEX}{{12}}")
_CONVERSATION = re.compile(r"[ \t\r\n]*+\[[ \t\r\n]*+\{")

MAX_KNOWN_HASHES = 256  # 0.5 KB each: two hashes
_known_hashes: dict[str, str] = {}


def conversation_hash(prompt: str) -> str:
    """Return the hash of the text that ``conversation_text`` returns.

    The process remembers it by the prompt's hash, so an update and a repeated question cost two
    hashes. No prompt is kept.
    """
    written = digest(prompt)
    if not _CONVERSATION.match(prompt):
        return written
    found = _known_hashes.get(written)
    if found is None:
        found = digest(conversation_text(prompt))
        if len(_known_hashes) >= MAX_KNOWN_HASHES:
            _known_hashes.clear()
        _known_hashes[written] = found
    return found


def conversation_text(prompt: str) -> str:
    """Return the text that all forms of one conversation share.

    A prompt that is not in langchain-core's format is returned unchanged.
    """
    if not _CONVERSATION.match(prompt):
        return prompt
    ordinals: dict[str, str] = {}
    try:
        return encode([_message(item, ordinals) for item in json.loads(prompt)])
    except (ValueError, RecursionError):
        return prompt


def _message(item: Any, ordinals: dict[str, str]) -> dict[str, Any]:
    item = _as_message(item, constructor_fields(item))
    fields = item["kwargs"]
    if "content" not in fields:
        raise ValueError("not a message")
    kept = {
        name: value
        for name, value in _without_parsed(fields).items()
        if name not in _IGNORED_FIELDS and (name not in _DEFAULTS or value != _DEFAULTS[name])
    }
    kept["content"] = _content(kept["content"], answer=fields.get("type") in _ANSWER_TYPES)
    if not isinstance(kept["content"], str) or "additional_kwargs" in kept:
        kept |= _format_metadata(fields.get("response_metadata"))
    _replace_call_ids(kept, ordinals)
    return {**item, "kwargs": kept}


def _as_message(item: dict[str, Any], fields: dict[str, Any]) -> dict[str, Any]:
    """Convert the sum of a stream's chunks to a message, as langchain-core does."""
    if item.get("id") != _CHUNK_CLASS or fields.get("chunk_position") != "last":
        return item
    kept = {name: value for name, value in fields.items() if name != "tool_call_chunks"}
    kept |= {"type": "ai", "chunk_position": None}
    return {**item, "id": [*_CHUNK_CLASS[:-1], "AIMessage"], "kwargs": kept}


def _without_parsed(fields: dict[str, Any]) -> dict[str, Any]:
    extras, content = fields.get("additional_kwargs"), fields["content"]
    if fields.get("type") not in _ANSWER_TYPES or not isinstance(extras, dict):
        return fields
    left_out = ("parsed", "usage") if content else ("usage",)
    kept = {name: value for name, value in extras.items() if name not in left_out}
    return {**fields, "additional_kwargs": kept}


def _format_metadata(metadata: Any) -> dict[str, Any]:
    if not isinstance(metadata, dict):
        return {}
    kept = {name: metadata[name] for name in _FORMAT_METADATA if name in metadata}
    return {"response_metadata": kept} if kept else {}


def _content(content: Any, *, answer: bool) -> Any:
    if not isinstance(content, list):
        return content
    blocks = without_markers(content)
    for block in _dicts(blocks):
        _drop_generated(block, answer=answer)
    match blocks:
        case [{"type": "text", "text": str(text), **others}] if not others:
            return text
    return blocks


def _drop_generated(block: dict[str, Any], *, answer: bool) -> None:
    id_, index = block.get("id"), block.get("index")
    # The id of a block with a "source_type" may be its content.
    kept = block.get("type") in _CALL_BLOCKS or "source_type" in block
    if not kept and isinstance(id_, str) and _GENERATED_ID.fullmatch(id_):
        del block["id"]
    if answer and (isinstance(index, int) or (isinstance(index, str) and index[:3] == "lc_")):
        del block["index"]


def _replace_call_ids(fields: dict[str, Any], ordinals: dict[str, str]) -> None:
    """Replace the ids of tool calls by ordinals in order of appearance."""
    calls = [fields[name] for name in _CALL_LISTS if name in fields]
    if isinstance(extras := fields.get("additional_kwargs"), dict):
        calls.append(extras.get("tool_calls"))  # the same calls in OpenAI's form
    for call in (call for each in calls for call in _dicts(each)):
        _number(call, ("id",), ordinals)
    for block in _dicts(fields["content"]):
        _replace_block_ids(block, ordinals)
    _number(fields, ("tool_call_id",), ordinals)


def _replace_block_ids(block: dict[str, Any], ordinals: dict[str, str]) -> None:
    kind = block.get("type")
    if kind in _CALL_BLOCKS:
        _number(block, ("id", *_CALL_REFERENCES), ordinals)
    elif isinstance(kind, str) and kind.endswith(_RESULT_BLOCKS):
        _number(block, _CALL_REFERENCES, ordinals)


def _number(holder: dict[str, Any], names: tuple[str, ...], ordinals: dict[str, str]) -> None:
    for name in names:
        value = holder.get(name)
        if isinstance(value, str) and value:
            holder[name] = ordinals.setdefault(value, str(len(ordinals)))


def _dicts(items: Any) -> list[dict[str, Any]]:
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
