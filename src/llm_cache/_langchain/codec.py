"""Convert LangChain's generations to JSON and back, with an explicit list of classes.

Each of these six classes is built by its own pydantic model, and no other class from Redis is.
LangChain's ``load`` reads more classes (CVE-2025-68664), warns at each call, and takes ten times
as long.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, ClassVar

from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, Generation, GenerationChunk

from llm_cache._entries.envelope import Entry
from llm_cache._entries.json_bounds import check_generations, parse_json, within_value_limit
from llm_cache._errors import UnreadableEntry
from llm_cache._langchain.hit_metadata import with_hit_metadata, without_hit_metadata
from llm_cache._langchain.parsed_output import with_parsed_as_dict
from llm_cache._langchain.uncacheable import uncacheable_reasons
from llm_cache._reasons import UNCACHEABLE, Reason
from llm_cache._report import Outcome, Tokens

PLAIN = {kind.__name__: kind for kind in (Generation, GenerationChunk)}
CHAT: dict[str, Callable[..., ChatGeneration]] = {
    kind.__name__: kind for kind in (ChatGeneration, ChatGenerationChunk)
}
MESSAGES = {kind.__name__: kind for kind in (AIMessage, AIMessageChunk)}
BYTES = "bytes"
"""The field of a stored generation with the name of the objects that represent bytes."""


def serialize(generations: Sequence[Generation]) -> tuple[str, ...] | None:
    """Return each generation as JSON text, or None if the texts would not restore them exactly.

    Hit metadata is removed, and a parsed object becomes a dict (``with_parsed_as_dict``).
    """
    answer = [with_parsed_as_dict(without_hit_metadata(generation)) for generation in generations]
    try:
        texts = tuple(_text(_fields(generation)) for generation in answer)
        restored = _restore_all([parse_json(text) for text in texts])
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError):
        return None
    return texts if texts and restored == answer and within_value_limit(texts) else None


def read(entry: Entry) -> list[Generation]:
    """Return the generations of a stored entry; raise ``UnreadableEntry`` for anything else."""
    try:
        return _restore_all(entry.answer)
    except Exception as error:
        raise UnreadableEntry(f"not generations: {type(error).__name__}") from error


def tokens(generations: Sequence[Generation]) -> Tokens:
    """Return the tokens that the model reported for an answer; zero if it reported none."""
    messages = (g.message for g in generations if isinstance(g, ChatGeneration))
    usages = [m.usage_metadata for m in messages if isinstance(m, AIMessage) and m.usage_metadata]
    return Tokens(sum(u["input_tokens"] for u in usages), sum(u["output_tokens"] for u in usages))


@dataclass(frozen=True, slots=True)
class GenerationCodec:
    """Store LangChain's generations, and add hit metadata to a hit if ``mark_hits``.

    ``do_not_store`` has the reasons for which an answer is not stored. ``read`` raises
    ``UnreadableEntry`` for an entry that holds no generations.
    """

    name: ClassVar[str] = "langchain"
    do_not_store: frozenset[Reason] = UNCACHEABLE
    mark_hits: bool = True

    serialize = staticmethod(serialize)
    read = staticmethod(read)
    tokens = staticmethod(tokens)

    def uncacheable_reason(self, answer: Sequence[Generation]) -> Reason | None:
        """Return the first reason of ``do_not_store`` that applies to an answer, or None."""
        found = (reason for one in answer for reason in uncacheable_reasons(one))
        return next((reason for reason in found if reason in self.do_not_store), None)

    def served(self, answer: list[Generation], outcome: Outcome) -> list[Generation]:
        """Return a hit's answer, with hit metadata if ``mark_hits``."""
        return with_hit_metadata(answer, outcome) if self.mark_hits else answer


def _fields(generation: Generation) -> dict[str, Any]:
    fields = {"kind": type(generation).__name__, "info": generation.generation_info}
    if not isinstance(generation, ChatGeneration):
        return {**fields, "text": generation.text}
    message = generation.message
    of_message = message.model_dump(exclude_defaults=True, warnings=False)
    return {**fields, "message": {"kind": type(message).__name__, "fields": of_message}}


def _text(fields: dict[str, Any]) -> str:
    """Return JSON text; raise ``TypeError`` for anything but JSON's types and bytes.

    Bytes become an object with one field, in base64. Its name occurs nowhere else in the text, so
    no other object is read as bytes.
    """
    found: list[bytes] = []
    text = _json(fields, lambda value: found.append(_bytes(value)))
    if not found:
        return text
    name = next(name for number in count() if (name := f"bytes {number}") not in text)
    tagged = {**fields, BYTES: name}
    return _json(tagged, lambda value: {name: b64encode(value).decode()})


def _json(fields: dict[str, Any], default: Callable[[Any], Any]) -> str:
    return json.dumps(fields, default=default, separators=(",", ":"))


def _bytes(value: object) -> bytes:
    if type(value) is not bytes:
        raise TypeError(type(value).__name__)
    return value


def _restore_bytes(value: Any, name: object) -> None:
    """Replace the objects for bytes in place: a copy would double the memory of the entry."""
    left = [value]
    while left:
        holder = left.pop()
        for where, item in holder.items() if isinstance(holder, dict) else enumerate(holder):
            if isinstance(item, dict) and item.keys() == {name}:
                holder[where] = b64decode(item[name], validate=True)
            elif isinstance(item, dict | list):
                left.append(item)


def _restore_all(values: Sequence[Any]) -> list[Generation]:
    return [_restore(value) for value in check_generations(values)]


def _restore(value: Any) -> Generation:
    if BYTES in value:
        _restore_bytes(value, value.pop(BYTES))
    match value:
        case {"kind": kind, "info": info, "text": text, **rest} if kind in PLAIN and not rest:
            return PLAIN[kind](text=text, generation_info=info)
        case {"kind": kind, "info": info, "message": stored, **rest} if kind in CHAT and not rest:
            return CHAT[kind](message=_message(**stored), generation_info=info)
    raise ValueError("not a generation")


def _message(kind: str, fields: dict[str, Any]) -> AIMessage:
    return MESSAGES[kind](**fields)
