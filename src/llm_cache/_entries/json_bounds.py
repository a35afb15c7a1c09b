"""What a stored answer may hold: checked before LangChain's validators or a function get it.

The validators copy lists and objects, keep a kilobyte for each item that they refuse, and complete
unfinished arguments of tool calls (``parse_partial_json``) in time quadratic in their length. An
entry of 30 KB could take gigabytes, or a quarter of an hour. An answer out of bounds is not stored
either, so everything stored can be read.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn, TypeGuard

from llm_cache._checks import Range

MAX_GENERATIONS = 200  # of an answer
MAX_PARTS = 10_000  # of an answer: lists and objects that the validators copy, and their items
MAX_COUNT = 10**9  # tokens of one call
COUNT = Range("a number of tokens", most=MAX_COUNT, whole=True)

_CALLS = ("tool_calls", "invalid_tool_calls", "tool_call_chunks")
_COUNTS = ("input_tokens", "output_tokens", "total_tokens")


def is_count(value: object) -> TypeGuard[int]:
    """Whether a value can be a number of tokens."""
    return value in COUNT


def parsed(text: str) -> Any:
    """Return the value of a JSON text; raise ``ValueError`` for what RFC 8259 advises against.

    That is NaN, infinity, a number that no float holds, and half of a surrogate pair.
    """
    value = _DECODER.decode(text)
    if "\\ud" in text or "\\uD" in text:
        json.dumps(value, ensure_ascii=False).encode()  # UTF-8 cannot encode half of a pair
    return value


def _finite(text: str) -> float:
    number = float(text)
    _require(math.isfinite(number), "a number that is not finite")
    return number


def _refused(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


_DECODER = json.JSONDecoder(parse_float=_finite, parse_constant=_refused)


def checked(answer: Sequence[Any]) -> Sequence[Any]:
    """Return the values of generations; raise ``ValueError`` for what must not be validated."""
    _require(len(answer) <= MAX_GENERATIONS, "too many generations")
    parts = 0
    for value in answer:
        copied = _copied(value)
        parts += len(copied) + sum(map(len, copied))
        _require(parts <= MAX_PARTS, "too many parts")
    return answer


def _copied(value: Any) -> list[dict[str, Any] | list[Any]]:
    """Return the lists and objects of a generation that the validators copy."""
    copied: list[dict[str, Any] | list[Any]] = [_object(value, "info")]
    if "message" not in value:
        return copied
    fields = _object(value["message"], "fields")
    extras = _object(fields, "additional_kwargs")
    copied += (fields, extras, _object(fields, "response_metadata"))
    for blocks in (fields.get("content"), fields.get("content_blocks")):
        if isinstance(blocks, list):
            copied.append(blocks)
            copied += _objects(block for block in blocks if not isinstance(block, str))
    calls = {name: list(_objects(fields[name] or ())) for name in _CALLS if name in fields}
    echoes = list(_objects(extras.get("tool_calls") or ()))  # OpenAI's form of the same
    for name, made in calls.items():
        copied += made
        copied += [_arguments(call, name) for call in made]
    copied += (*echoes, *(_object(echo, "function") for echo in echoes))
    if value["message"].get("kind") == "AIMessageChunk":  # only of these are they completed
        _whole(call["args"] for call in calls.get("tool_call_chunks", ()))
        _whole(_object(echo, "function").get("arguments") for echo in echoes)
    return copied + _usage(_object(fields, "usage_metadata"))


def _object(holder: Any, name: str) -> dict[str, Any]:
    if isinstance(holder, dict):
        found = holder.get(name)
        if found is None or isinstance(found, dict):
            return found or {}
    raise ValueError(f"{name} is no object")


def _objects(items: Any) -> Iterator[dict[str, Any]]:
    for item in items:
        _require(isinstance(item, dict), "no object")
        yield item


def _arguments(call: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the arguments of a call that is whole; of another they are text."""
    texts = [call.get(each) for each in ("name", "id", "error")]
    texts += [] if name == "tool_calls" else [call["args"]]
    _require(all(text is None or isinstance(text, str) for text in texts), "no text")
    return _object(call, "args") if name == "tool_calls" else {}


def _whole(arguments: Iterator[Any]) -> None:
    """Raise ``ValueError`` for arguments that are no JSON: LangChain would complete them."""
    for text in arguments:
        json.loads(text or "{}", strict=False)


def _usage(usage: dict[str, Any]) -> list[dict[str, Any]]:
    copied = [usage, *(value for value in usage.values() if isinstance(value, dict))]
    told = [usage[name] for name in _COUNTS] if usage else []
    told += [value for each in copied for value in each.values() if isinstance(value, int)]
    _require(all(map(is_count, told)), "no counts of tokens")
    return copied


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)
