"""LangChain's generations to JSON and back, against an explicit list of classes.

Nothing is built from what Redis holds but these six, each by its own pydantic model. LangChain's
``load`` reads more than that (CVE-2025-68664), warns at each call, and takes ten times as long.
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
from llm_cache._langchain.hit_metadata import marked, unmarked
from llm_cache._langchain.parsed_output import unparsed
from llm_cache._langchain.uncacheable import reasons
from llm_cache._reasons import UNCACHEABLE, Reason
from llm_cache._report import Outcome, Tokens

PLAIN = {kind.__name__: kind for kind in (Generation, GenerationChunk)}
CHAT: dict[str, Callable[..., ChatGeneration]] = {
    kind.__name__: kind for kind in (ChatGeneration, ChatGenerationChunk)
}
MESSAGES = {kind.__name__: kind for kind in (AIMessage, AIMessageChunk)}
BYTES = "bytes"
"""The field of a stored generation that holds the name of the objects which stand for bytes."""


def serialize(generations: Sequence[Generation]) -> tuple[str, ...] | None:
    """Return each generation as JSON text, or None when one would not come back as it is now.

    What a hit has marked is stored as it was computed (see ``hits.unmarked``), and what came
    parsed as a dict (see ``parsed``).
    """
    answer = [unparsed(unmarked(generation)) for generation in generations]
    try:
        texts = tuple(_text(_dumped(generation)) for generation in answer)
        revived = _all_revived([parse_json(text) for text in texts])
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError):
        return None
    return texts if texts and revived == answer and within_value_limit(texts) else None


def read(entry: Entry) -> list[Generation]:
    """Return the generations of a stored entry; raise ``UnreadableEntry`` for anything else."""
    try:
        return _all_revived(entry.answer)
    except Exception as error:
        raise UnreadableEntry(f"not generations: {type(error).__name__}") from error


def tokens(generations: Sequence[Generation]) -> Tokens:
    """Return the tokens that computing ``generations`` took, none where the model did not say."""
    messages = (g.message for g in generations if isinstance(g, ChatGeneration))
    told = [m.usage_metadata for m in messages if isinstance(m, AIMessage) and m.usage_metadata]
    return Tokens(sum(u["input_tokens"] for u in told), sum(u["output_tokens"] for u in told))


@dataclass(frozen=True, slots=True)
class Generations:
    """Answers of LangChain's models: which are not stored, and whether a hit says that it is one.

    ``read`` raises ``UnreadableEntry`` for anything else.
    """

    name: ClassVar[str] = "langchain"
    do_not_store: frozenset[Reason] = UNCACHEABLE
    mark_hits: bool = True

    serialize = staticmethod(serialize)
    read = staticmethod(read)
    tokens = staticmethod(tokens)

    def uncacheable_reason(self, answer: Sequence[Generation]) -> Reason | None:
        """Return the first reason of ``do_not_store`` for which an answer may not be kept."""
        found = (reason for one in answer for reason in reasons(one))
        return next((reason for reason in found if reason in self.do_not_store), None)

    def served(self, answer: list[Generation], outcome: Outcome) -> list[Generation]:
        """Return the answer of a hit, marked if hits are."""
        return marked(answer, outcome) if self.mark_hits else answer


def _dumped(generation: Generation) -> dict[str, Any]:
    """Name the classes and dump their fields."""
    dumped = {"kind": type(generation).__name__, "info": generation.generation_info}
    if not isinstance(generation, ChatGeneration):
        return {**dumped, "text": generation.text}
    message = generation.message
    fields = message.model_dump(exclude_defaults=True, warnings=False)
    return {**dumped, "message": {"kind": type(message).__name__, "fields": fields}}


def _text(dumped: dict[str, Any]) -> str:
    """Return JSON text; raise ``TypeError`` for anything but JSON's types and bytes.

    Bytes become an object with one field, in base64. Its name occurs nowhere else in the text, so
    no other object is taken for bytes.
    """
    found: list[bytes] = []
    text = _json(dumped, lambda value: found.append(_bytes(value)))
    if not found:
        return text
    name = next(name for number in count() if (name := f"bytes {number}") not in text)
    tagged = {**dumped, BYTES: name}
    return _json(tagged, lambda value: {name: b64encode(value).decode()})


def _json(dumped: dict[str, Any], default: Callable[[Any], Any]) -> str:
    return json.dumps(dumped, default=default, separators=(",", ":"))


def _bytes(value: object) -> bytes:
    if type(value) is not bytes:
        raise TypeError(type(value).__name__)
    return value


def _untag(value: Any, name: object) -> None:
    """Restore the bytes, in place: a copy would double the memory that the entry takes."""
    left = [value]
    while left:
        holder = left.pop()
        for where, item in holder.items() if isinstance(holder, dict) else enumerate(holder):
            if isinstance(item, dict) and item.keys() == {name}:
                holder[where] = b64decode(item[name], validate=True)
            elif isinstance(item, dict | list):
                left.append(item)


def _all_revived(values: Sequence[Any]) -> list[Generation]:
    return [_revived(value) for value in check_generations(values)]


def _revived(value: Any) -> Generation:
    if BYTES in value:
        _untag(value, value.pop(BYTES))
    match value:
        case {"kind": kind, "info": info, "text": text, **rest} if kind in PLAIN and not rest:
            return PLAIN[kind](text=text, generation_info=info)
        case {"kind": kind, "info": info, "message": told, **rest} if kind in CHAT and not rest:
            message = _message(**told)
            return CHAT[kind](message=message, generation_info=info)
    raise ValueError("not a generation")


def _message(kind: str, fields: dict[str, Any]) -> AIMessage:
    return MESSAGES[kind](**fields)
