"""What holds whatever lies in Redis and whatever a caller sends."""

import ast
import json
import re
from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.messages.base import TextAccessor
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, Generation, GenerationChunk

from llm_cache._langchain.settings_key import TRANSPORT

UNTOLD = {"authorization", "traceparent", "host", "cookie", "b3", "baggage"}
FROM_ENVIRONMENT = "a marker in the environment"
GENERATIONS = (Generation, GenerationChunk, ChatGeneration, ChatGenerationChunk)
OBJECTS = {*GENERATIONS, AIMessage, AIMessageChunk}
VALUES = {type(None), bool, int, float, str, bytes, TextAccessor}  # the last: LangChain's own str


def only_listed(answer: object) -> None:
    """Hold that an answer is a list of generations, and all in it is listed or a value of JSON."""
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
            assert found != FROM_ENVIRONMENT


def seen_alike(one: str, other: str) -> bool:
    """Whether a model sees the same in two prompts: written independently of ``canonical``."""
    return one == other or _seen(json.loads(one)) == _seen(json.loads(other))


def _seen(conversation: Any) -> str:
    """Tell roles, content, calls and results in order; ids and artifacts are left out."""
    parts = []
    for message in conversation:
        fields = message["kwargs"]
        extras = fields.get("additional_kwargs")
        calls = fields.get("tool_calls")
        told = [
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
        told = [None if part in ([], {}) else part for part in told]
        parts.append(json.dumps(told, sort_keys=True))
    return "\n".join(parts)


_IDS = {"id", "call_id", "tool_call_id", "tool_use_id", "toolUseId"}


def _plain(content: Any) -> Any:
    """Return the text of a list of one text block, which a model reads as that text."""
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


def set_alike(one: str, other: str) -> bool:
    """Whether two texts of settings ask for the same: written independently of ``llm_string``."""
    return one == other or _set(one) == _set(other)


def _set(text: str) -> str:
    if not text.startswith("{"):
        return _asked(text)
    model, end = json.JSONDecoder().raw_decode(text)
    model.pop("name", None)
    kept = {}
    for name, value in model["kwargs"].items():
        secret = isinstance(value, dict) and value.get("type") == "secret"
        if name != "name" and name not in TRANSPORT and not secret:
            kept[name] = _addressless(_sent(name, value))
    kept = {name: kept[name] for name in kept if kept[name] or not name.endswith("headers")}
    return json.dumps({**model, "kwargs": kept}, sort_keys=True) + _asked(text[end:])


def _sent(name: str, value: Any) -> Any:
    """Return a setting; of headers, those that steer a model, whatever their order and case."""
    if not name.endswith("headers"):
        return value
    if not isinstance(value, dict):
        return value or None
    told = [(header.lower(), value[header]) for header in value]
    return sorted(pair for pair in told if pair[0] not in UNTOLD and pair[0][-7:] != "api-key")


def _addressless(value: Any) -> Any:
    """Drop the text of an object that is none: where it lies is all that may differ in it."""
    if isinstance(value, dict):
        dropped = {"repr"} if value.get("type") == "not_implemented" else set()
        return {name: _addressless(value[name]) for name in value if name not in dropped}
    return [_addressless(item) for item in value] if isinstance(value, list) else value


_FLAT = r"""[^'"()\[\]{}]|'[^'\\]*'"""
_NESTED = rf"{_FLAT}|\((?:{_FLAT})*\)|\[(?:{_FLAT})*\]|{{(?:{_FLAT})*}}"
_TIMEOUT = re.compile(rf"\('timeout', (?:{_NESTED}|\((?:{_NESTED})*\))*\)")  # of any value


def _asked(text: str) -> str:
    """Return the parameters that are written out, less those of the transport."""
    plain = _TIMEOUT.sub("('timeout', None)", text)
    try:
        pairs = ast.literal_eval(plain.removeprefix("---"))
    except (ValueError, SyntaxError):  # it holds an object
        return re.sub(r" at 0x[0-9a-fA-F]+>", ">", plain)
    kept = [(pair[0], _sent(*pair)) for pair in pairs if pair[0] not in TRANSPORT]
    return repr([pair for pair in kept if pair[1] or not pair[0].endswith("headers")])
