"""Bounds on the JSON of an entry, checked before LangChain's validators or a function get it.

The validators copy lists and objects, keep a kilobyte for each item they refuse, and complete
truncated arguments of tool calls (``parse_partial_json``) in time quadratic in their length. An
entry of 30 KB could take gigabytes, or a quarter of an hour. An answer out of bounds is not stored
either, so everything stored can be read.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn, TypeGuard

from llm_cache._checks import Range
from llm_cache._errors import UnreadableEntry

MAX_VALUES = 120_000  # of one entry, at 116 bytes each at most
FEW_VALUES = 1_000  # more than a short entry has characters: a small entry is cheap to decode
ENVELOPE_VALUES = 100  # around the answer: the fields of the envelope and its epochs
MAX_GENERATIONS = 200  # of an answer
MAX_PARTS = 10_000  # of an answer: lists and objects that the validators copy, and their items
MAX_COUNT = 10**9  # tokens of one call
COUNT = Range("a number of tokens", most=MAX_COUNT, whole=True)

_CALLS = ("tool_calls", "invalid_tool_calls", "tool_call_chunks")
_COUNTS = ("input_tokens", "output_tokens", "total_tokens")


def is_count(value: object) -> TypeGuard[int]:
    """Whether a value can be a number of tokens."""
    return value in COUNT


def parse_json(text: str) -> Any:
    """Return the value of a JSON text; raise ``ValueError`` for values RFC 8259 advises against.

    These are NaN, infinity, numbers that no float holds, and halves of surrogate pairs.
    """
    value = _DECODER.decode(text)
    if "\\ud" in text or "\\uD" in text:
        json.dumps(value, ensure_ascii=False).encode()  # UTF-8 cannot encode half of a pair
    return value


def parse_entry_json(text: str, max_values: int) -> Any:
    """Return the value of a JSON text from Redis; raise ``UnreadableEntry``."""
    if count_values(text) > min(max_values, MAX_VALUES):
        raise UnreadableEntry("too many values")
    try:
        return parse_json(text)
    except (ValueError, RecursionError) as error:
        raise UnreadableEntry("not JSON") from error


def within_value_limit(answer: Sequence[str]) -> bool:
    """Whether an entry of these JSON texts holds few enough values to be decoded."""
    return sum(map(count_values, answer)) + len(answer) <= MAX_VALUES - ENVELOPE_VALUES


def count_values(text: str) -> int:
    """Return at least the number of JSON values in a text.

    Commas and brackets within strings count too: to tell them apart takes longer than to parse.
    """
    return text.count(",") + text.count("[") + text.count("{")


def _finite(text: str) -> float:
    number = float(text)
    _require(math.isfinite(number), "the number is not finite")
    return number


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


_DECODER = json.JSONDecoder(parse_float=_finite, parse_constant=_refuse_constant)


def check_generations(answer: Sequence[Any]) -> Sequence[Any]:
    """Return the JSON values of generations; raise ``ValueError`` if they exceed a bound."""
    _require(len(answer) <= MAX_GENERATIONS, "too many generations")
    parts = 0
    for value in answer:
        copied = _copied_containers(value)
        parts += len(copied) + sum(map(len, copied))
        _require(parts <= MAX_PARTS, "too many parts")
    return answer


def _copied_containers(value: Any) -> list[dict[str, Any] | list[Any]]:
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
    for name, found in calls.items():
        copied += found
        copied += [_arguments(call, name) for call in found]
    copied += (*echoes, *(_object(echo, "function") for echo in echoes))
    if value["message"].get("kind") == "AIMessageChunk":  # LangChain completes only a chunk's
        _require_json(call["args"] for call in calls.get("tool_call_chunks", ()))
        _require_json(_object(echo, "function").get("arguments") for echo in echoes)
    return copied + _usage_containers(_object(fields, "usage_metadata"))


def _object(holder: Any, name: str) -> dict[str, Any]:
    if isinstance(holder, dict):
        found = holder.get(name)
        if found is None or isinstance(found, dict):
            return found or {}
    raise ValueError(f"{name} is not an object")


def _objects(items: Any) -> Iterator[dict[str, Any]]:
    for item in items:
        _require(isinstance(item, dict), "an item is not an object")
        yield item


def _arguments(call: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the arguments of a complete call; other calls have a text, which is not copied."""
    texts = [call.get(each) for each in ("name", "id", "error")]
    texts += [] if name == "tool_calls" else [call["args"]]
    _require(
        all(text is None or isinstance(text, str) for text in texts),
        "a field of a call is not text",
    )
    return _object(call, "args") if name == "tool_calls" else {}


def _require_json(arguments: Iterator[Any]) -> None:
    """Raise ``ValueError`` for arguments that are not JSON: LangChain would complete them."""
    for text in arguments:
        json.loads(text or "{}", strict=False)


def _usage_containers(usage: dict[str, Any]) -> list[dict[str, Any]]:
    copied = [usage, *(value for value in usage.values() if isinstance(value, dict))]
    counts = [usage[name] for name in _COUNTS] if usage else []
    counts += [value for each in copied for value in each.values() if isinstance(value, int)]
    _require(all(map(is_count, counts)), "a token count is out of range")
    return copied


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)
