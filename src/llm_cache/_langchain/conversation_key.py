"""One text for one question: what of a conversation enters the key.

What cannot change an answer leaves; all else stays, for a wrong hit is worse than a miss.
``llm_string`` has the rules for the model's settings.

Of messages leave: ``id``, ``usage_metadata``, a tool message's ``artifact`` (no integration sends
it), fields at their default, and ``response_metadata``, but for the three fields by which
integrations read content blocks (langchain-aws, ``_messages_to_bedrock``). The ids of tool calls
become ordinals wherever a call or its result stands. Content, roles, names, arguments, statuses and
``additional_kwargs`` stay, but for ``usage``, which a hit has in its mark, and what
langchain-openai ``parsed`` of a content: it is not sent again, and a hit has it in another form
(see ``parsed``). The sum of a whole stream's chunks
(``chunk_position="last"``) equals the message that langchain-core makes of it.

Of content blocks leave: markers of a provider's own prompt cache (``markers``); ids that
langchain-core gave (``lc_`` and a UUID); and, in an answer, ``index``, by which langchain-core puts
streamed blocks together. Then a list of one block that has a text and nothing else equals that
text.

JSON's whitespace and the order of an object's keys do not matter; ``1`` and ``1.0`` differ, and
so do texts that only Unicode's normalisation would make equal. A text model's prompt that is
itself a JSON list of serialised messages is read as one.
"""

from __future__ import annotations

import json
import re
from typing import Any

from llm_cache._entries.keys import digest
from llm_cache._langchain.prompt_cache_markers import without_markers
from llm_cache._langchain.settings_key import constructor_fields, encode

_PASSING = ("artifact", "id", "usage_metadata", "response_metadata")
_READING = ("model_name", "model_provider", "output_version")
_DEFAULTS: dict[str, object] = {
    "additional_kwargs": {},
    "chunk_position": None,
    "invalid_tool_calls": [],
    "name": None,
    "status": "success",
    "tool_call_chunks": [],
    "tool_calls": [],
}
_ANSWERS = ("ai", "AIMessageChunk")
_CHUNK = ["langchain", "schema", "messages", "AIMessageChunk"]
_CALL_LISTS = ("tool_calls", "invalid_tool_calls", "tool_call_chunks")
_CALLS = (
    "function_call", "invalid_tool_call", "mcp_tool_use", "server_tool_call",
    "server_tool_call_chunk", "server_tool_use", "tool_call", "tool_call_chunk", "tool_use",
)  # fmt: skip
_RESULTS = ("_output", "_result")
_LINKS = ("call_id", "tool_call_id", "tool_use_id", "toolUseId")

_HEX = "[0-9a-f]"
_OWN_ID = re.compile(f"lc_{_HEX}{{8}}(-{_HEX}{{4}}){{3}}-{_HEX}{{12}}")
_CONVERSATION = re.compile(r"[ \t\r\n]*+\[[ \t\r\n]*+\{")


MOST_KNOWN = 256  # conversations, at 0.5 KB each: two hashes
_known: dict[str, str] = {}


def conversation_hash(prompt: str) -> str:
    """Return the hash of the text that ``conversation`` returns.

    The process remembers it by the hash of the prompt: the update after a lookup, and the same
    question asked again, cost two hashes. No prompt is kept.
    """
    written = digest(prompt)
    if not _CONVERSATION.match(prompt):
        return written
    found = _known.get(written)
    if found is None:
        found = digest(conversation(prompt))
        if len(_known) >= MOST_KNOWN:
            _known.clear()
        _known[written] = found
    return found


def conversation(prompt: str) -> str:
    """Return the text that every way of asking the same question shares.

    A prompt that is not as langchain-core writes it comes back as it is.
    """
    if not _CONVERSATION.match(prompt):
        return prompt
    ordinals: dict[str, str] = {}
    try:
        return encode([_message(item, ordinals) for item in json.loads(prompt)])
    except (ValueError, RecursionError):
        return prompt


def _message(item: Any, ordinals: dict[str, str]) -> dict[str, Any]:
    item = _finished(item, constructor_fields(item))
    fields = item["kwargs"]
    if "content" not in fields:
        raise ValueError("not a message")
    kept = {
        name: value
        for name, value in _unparsed(fields).items()
        if name not in _PASSING and (name not in _DEFAULTS or value != _DEFAULTS[name])
    }
    kept["content"] = _content(kept["content"], answer=fields.get("type") in _ANSWERS)
    if not isinstance(kept["content"], str) or "additional_kwargs" in kept:
        kept |= _reading(fields.get("response_metadata"))
    _number_calls(kept, ordinals)
    return {**item, "kwargs": kept}


def _finished(item: dict[str, Any], fields: dict[str, Any]) -> dict[str, Any]:
    """Return the sum of a stream's chunks as the message of langchain-core's conversion."""
    if item.get("id") != _CHUNK or fields.get("chunk_position") != "last":
        return item
    kept = {name: value for name, value in fields.items() if name != "tool_call_chunks"}
    kept |= {"type": "ai", "chunk_position": None}
    return {**item, "id": [*_CHUNK[:-1], "AIMessage"], "kwargs": kept}


def _unparsed(fields: dict[str, Any]) -> dict[str, Any]:
    extras, content = fields.get("additional_kwargs"), fields["content"]
    if fields.get("type") not in _ANSWERS or not isinstance(extras, dict):
        return fields
    left = ("parsed", "usage") if content else ("usage",)
    kept = {name: value for name, value in extras.items() if name not in left}
    return {**fields, "additional_kwargs": kept}


def _reading(metadata: Any) -> dict[str, Any]:
    """Return what of the metadata tells an integration how to read content blocks."""
    if not isinstance(metadata, dict):
        return {}
    kept = {name: metadata[name] for name in _READING if name in metadata}
    return {"response_metadata": kept} if kept else {}


def _content(content: Any, *, answer: bool) -> Any:
    if not isinstance(content, list):
        return content
    blocks = without_markers(content)
    for block in _dicts(blocks):
        _drop_numbers(block, answer=answer)
    match blocks:
        case [{"type": "text", "text": str(text), **others}] if not others:
            return text
    return blocks


def _drop_numbers(block: dict[str, Any], *, answer: bool) -> None:
    own, index = block.get("id"), block.get("index")
    # Where the source is an id, that id is the content.
    named = block.get("type") in _CALLS or "source_type" in block
    if not named and isinstance(own, str) and _OWN_ID.fullmatch(own):
        del block["id"]
    if answer and (isinstance(index, int) or (isinstance(index, str) and index[:3] == "lc_")):
        del block["index"]


def _number_calls(fields: dict[str, Any], ordinals: dict[str, str]) -> None:
    """Put ordinals, by first appearance, for the ids of tool calls: in a fixed order of fields."""
    calls = [fields[name] for name in _CALL_LISTS if name in fields]
    if isinstance(echoed := fields.get("additional_kwargs"), dict):
        calls.append(echoed.get("tool_calls"))  # OpenAI's form of the same calls
    for each in calls:
        for call in _dicts(each):
            _number(call, ("id",), ordinals)
    for block in _dicts(fields["content"]):
        _number_block(block, ordinals)
    _number(fields, ("tool_call_id",), ordinals)


def _number_block(block: dict[str, Any], ordinals: dict[str, str]) -> None:
    kind = block.get("type")
    if kind in _CALLS:
        _number(block, ("id", *_LINKS), ordinals)
    elif isinstance(kind, str) and kind.endswith(_RESULTS):
        _number(block, _LINKS, ordinals)


def _number(holder: dict[str, Any], names: tuple[str, ...], ordinals: dict[str, str]) -> None:
    for name in names:
        value = holder.get(name)
        if isinstance(value, str) and value:
            holder[name] = ordinals.setdefault(value, str(len(ordinals)))


def _dicts(items: Any) -> list[dict[str, Any]]:
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
