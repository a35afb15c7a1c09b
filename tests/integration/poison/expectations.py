"""The expected classes of answers, and the expected equality of keys, written independently."""

import ast
import json
import re
from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.messages.base import TextAccessor
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, Generation, GenerationChunk

from llm_cache._langchain.settings_key import TRANSPORT

NOT_IN_KEY = {"authorization", "traceparent", "host", "cookie", "b3", "baggage"}
SECRET_VALUE = "a marker in the environment"
GENERATIONS = (Generation, GenerationChunk, ChatGeneration, ChatGenerationChunk)
OBJECTS = {*GENERATIONS, AIMessage, AIMessageChunk}
VALUES = {type(None), bool, int, float, str, bytes, TextAccessor}  # TextAccessor: a str


def assert_listed_classes(answer: object) -> None:
    """Check that an answer is a list of generations of listed classes and JSON values."""
    assert type(answer) is list
    assert answer
    assert all(type(generation) in GENERATIONS for generation in answer)
    left: list[Any] = [answer]
    while left:
        found = left.pop()
        kind = type(found)
        if kind is dict:
            assert all(type(name) is str for name in found)
            left += found.values()
        elif kind is list:
            left += found
        elif kind in OBJECTS:
            assert found.__pydantic_private__ is None
            left += [vars(found), found.__pydantic_extra__]
        else:
            assert kind in VALUES, kind
            assert found != SECRET_VALUE


def same_conversation(one: str, other: str) -> bool:
    """Whether two prompts are the same to a model."""
    return one == other or _conversation(json.loads(one)) == _conversation(json.loads(other))


def _conversation(messages: Any) -> str:
    """Return roles, content, calls and results, without ids and artifacts."""
    parts = []
    for message in messages:
        fields = message["kwargs"]
        extras = fields.get("additional_kwargs")
        calls = fields.get("tool_calls")
        values = [
            message.get("id"),
            fields.get("type"),
            _plain(_without_ids(fields["content"])),
            fields.get("name"),
            _without_ids(calls) if isinstance(calls, list) else calls,
            fields.get("status", "success"),
            {name: extras[name] for name in extras if name not in {"parsed", "tool_calls", "usage"}}
            if isinstance(extras, dict)
            else extras,
        ]
        values = [None if value in ([], {}) else value for value in values]
        parts.append(json.dumps(values, sort_keys=True))
    return "\n".join(parts)


_IDS = {"id", "call_id", "tool_call_id", "tool_use_id", "toolUseId"}


def _plain(content: Any) -> Any:
    """Return a single text block as its text."""
    match content:
        case [{"type": "text", "text": str(text), **others}] if not others:
            return text
    return content


def _without_ids(blocks: Any) -> Any:
    if not isinstance(blocks, list):
        return blocks
    return [
        {name: block[name] for name in block if name not in _IDS}
        if isinstance(block, dict)
        else block
        for block in blocks
    ]


def same_settings(one: str, other: str) -> bool:
    """Whether two texts of settings are the same to a model."""
    return one == other or _settings(one) == _settings(other)


def _settings(text: str) -> str:
    if not text.startswith("{"):
        return _parameters(text)
    model, end = json.JSONDecoder().raw_decode(text)
    model.pop("name", None)
    kept = {}
    for name, value in model["kwargs"].items():
        secret = isinstance(value, dict) and value.get("type") == "secret"
        if name != "name" and name not in TRANSPORT and not secret:
            kept[name] = _without_addresses(_in_key(name, value))
    kept = {name: kept[name] for name in kept if kept[name] or not name.endswith("headers")}
    return json.dumps({**model, "kwargs": kept}, sort_keys=True) + _parameters(text[end:])


def _in_key(name: str, value: Any) -> Any:
    """Return a setting; of headers, those in the key, in lower case and sorted."""
    if not name.endswith("headers"):
        return value
    if not isinstance(value, dict):
        return value or None
    headers = [(header.lower(), value[header]) for header in value]
    return sorted(
        pair for pair in headers if pair[0] not in NOT_IN_KEY and pair[0][-7:] != "api-key"
    )


def _without_addresses(value: Any) -> Any:
    """Drop the ``repr`` of objects, which holds their address."""
    if isinstance(value, dict):
        dropped = {"repr"} if value.get("type") == "not_implemented" else set()
        return {name: _without_addresses(value[name]) for name in value if name not in dropped}
    return [_without_addresses(item) for item in value] if isinstance(value, list) else value


_FLAT = r"""[^'"()\[\]{}]|'[^'\\]*'"""
_NESTED = rf"{_FLAT}|\((?:{_FLAT})*\)|\[(?:{_FLAT})*\]|{{(?:{_FLAT})*}}"
_TIMEOUT = re.compile(rf"\('timeout', (?:{_NESTED}|\((?:{_NESTED})*\))*\)")


def _parameters(text: str) -> str:
    """Return the parameters of a call, without those of the transport."""
    plain = _TIMEOUT.sub("('timeout', None)", text)
    try:
        pairs = ast.literal_eval(plain.removeprefix("---"))
    except (ValueError, SyntaxError):  # it holds an object
        return re.sub(r" at 0x[0-9a-fA-F]+>", ">", plain)
    kept = [(pair[0], _in_key(*pair)) for pair in pairs if pair[0] not in TRANSPORT]
    return repr([pair for pair in kept if pair[1] or not pair[0].endswith("headers")])
