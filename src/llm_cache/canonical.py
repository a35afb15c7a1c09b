"""One text for one question: what of a conversation and of a model's settings enters the key.

What cannot change an answer leaves; all else stays, for a wrong hit is worse than a miss.
``llm_string`` has the rules for the settings.

Of messages leave: ``id``, ``usage_metadata``, fields at their default, ids that langchain-core gave
to content blocks (``lc_`` and a UUID), and ``response_metadata``, but for the three fields by which
integrations read content blocks (langchain-aws, ``_messages_to_bedrock``). The ids of tool calls
become ordinals wherever a call or its result stands. Content, roles, names, arguments, statuses,
artifacts and ``additional_kwargs`` stay, but for ``usage``, which a hit has in its mark, and what
langchain-openai ``parsed`` of a content: it is not sent again, and a hit has it in another form
(see ``parsed``).

JSON's whitespace and the order of an object's keys do not matter; ``1`` and ``1.0`` differ, and
so do texts that only Unicode's normalisation would make equal. A text model's prompt that is
itself a JSON list of serialised messages is read as one.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from llm_cache.llm_string import constructor_fields, encode, settings

KEY_VERSION: Final = 2  # hashed into keys: raise it with any change of what enters them

_PASSING = ("id", "usage_metadata", "response_metadata")
_READING = ("model_name", "model_provider", "output_version")
_DEFAULTS: dict[str, object] = {
    "additional_kwargs": {},
    "artifact": None,
    "chunk_position": None,
    "invalid_tool_calls": [],
    "name": None,
    "status": "success",
    "tool_call_chunks": [],
    "tool_calls": [],
}
_ANSWERS = ("ai", "AIMessageChunk")
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


def canonical(prompt: str, llm_string: str) -> tuple[str, str]:
    """Return the prompt and the settings that every way of asking the same question shares.

    Never raises: what is not as langchain-core writes it comes back as it is.
    """
    return _conversation(prompt), settings(llm_string)


def _conversation(prompt: str) -> str:
    if not _CONVERSATION.match(prompt):
        return prompt
    ordinals: dict[str, str] = {}
    try:
        return encode([_message(item, ordinals) for item in json.loads(prompt)])
    except (ValueError, RecursionError):
        return prompt


def _message(item: Any, ordinals: dict[str, str]) -> dict[str, Any]:
    fields = constructor_fields(item)
    if "content" not in fields:
        raise ValueError("not a message")
    kept = {
        name: value
        for name, value in _unparsed(fields).items()
        if name not in _PASSING and (name not in _DEFAULTS or value != _DEFAULTS[name])
    }
    if not isinstance(kept["content"], str) or "additional_kwargs" in kept:
        kept |= _reading(fields.get("response_metadata"))
    _number_calls(kept, ordinals)
    return {**item, "kwargs": kept}


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


def _number_calls(fields: dict[str, Any], ordinals: dict[str, str]) -> None:
    """Put ordinals, by first appearance, for the ids of tool calls: in a fixed order of fields."""
    echoed = fields.get("additional_kwargs")  # OpenAI's form of the same calls
    calls = [fields.get(name) for name in _CALL_LISTS]
    calls.append(echoed.get("tool_calls") if isinstance(echoed, dict) else None)
    for call in _dicts(calls):
        _number(call, ("id",), ordinals)
    for block in _dicts([fields["content"]]):
        _number_block(block, ordinals)
    _number(fields, ("tool_call_id",), ordinals)


def _number_block(block: dict[str, Any], ordinals: dict[str, str]) -> None:
    kind, own = block.get("type"), block.get("id")
    if kind in _CALLS:
        _number(block, ("id", *_LINKS), ordinals)
        return
    if isinstance(kind, str) and kind.endswith(_RESULTS):
        _number(block, _LINKS, ordinals)
    # Where the source is an id, that id is the content.
    if isinstance(own, str) and "source_type" not in block and _OWN_ID.fullmatch(own):
        del block["id"]


def _number(holder: dict[str, Any], names: tuple[str, ...], ordinals: dict[str, str]) -> None:
    for name in names:
        value = holder.get(name)
        if isinstance(value, str) and value:
            holder[name] = ordinals.setdefault(value, str(len(ordinals)))


def _dicts(lists: list[Any]) -> list[dict[str, Any]]:
    found = (item for items in lists if isinstance(items, list) for item in items)
    return [item for item in found if isinstance(item, dict)]
