"""Hit metadata: the fields in an answer's message that describe its cache entry."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Sequence
from typing import Any, TypeGuard

from langchain_core.messages import AIMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, Generation

from llm_cache._report import Outcome, Status

FIELD = "cache"  # of ``response_metadata``

# Names under which integrations count tokens; langfuse reads them before ``usage_metadata``.
_USAGE = re.compile("(?i)usage|token_?counts?|^tokens$|invocation_?metrics|billed_units")
_COUNT = re.compile("(?i)(tokens?|token_?count|eval_count|cost)$")


def with_hit_metadata(answer: Sequence[Generation], outcome: Outcome) -> list[Generation]:
    """Return a copy of a stored answer with hit metadata in its chat messages.

    ``response_metadata["cache"]`` holds

    - ``hit``: True if the model was not called; False if it was called and failed
    - ``stale``: True if the answer had expired
    - ``age``: seconds since the answer was stored
    - ``ttl``: seconds until it expires; 0 or less after that
    - ``key``: the key of its entry in Redis
    - ``usage``: the ``usage_metadata`` of the call that computed it, or None
    - ``moved``: the provider's own token counts by the fields that held them, if there are any

    Each message has a new ``id``, because LangGraph merges messages with equal ids. A
    ``usage_metadata`` counts zero tokens. All else is as stored. A text model's answer has the
    metadata in ``generation_info``, but only if that counted tokens. Costs no command.
    """
    return [_with_metadata(generation, outcome) for generation in answer]


def without_hit_metadata(generation: Generation) -> Generation:
    """Return a generation as it was computed, under its new id, so that a hit can be stored."""
    places, home = _places(generation), _home(generation)
    metadata = places.get(home, {}).get(FIELD)
    if not _is_hit_metadata(metadata):
        return generation
    places[home] = {name: value for name, value in places[home].items() if name != FIELD}
    moved = metadata.get("moved", {})
    for place in moved.keys() & places.keys():
        places[place] = _merge(places[place], moved[place])
    return _copy(generation, places, usage_metadata=metadata["usage"])


def _with_metadata(generation: Generation, outcome: Outcome) -> Generation:
    message = _message(generation)
    if message is None and not generation.generation_info:
        return generation
    home = _home(generation)
    parts = {place: _separate(place, fields) for place, fields in _places(generation).items()}
    places = {place: kept for place, (kept, _) in parts.items()}
    moved = {place: counts for place, (_, counts) in parts.items() if counts}
    if message is None and not moved:
        return generation
    if FIELD in places[home]:
        moved.setdefault(home, {})[FIELD] = places[home][FIELD]
    usage = message.usage_metadata if message else None
    places[home] = {**places[home], FIELD: _hit_metadata(outcome, usage, moved)}
    zero = _ZERO_USAGE.copy() if usage else None
    return _copy(generation, places, id=f"lc_cache--{uuid.uuid4()}", usage_metadata=zero)


_ZERO_USAGE = UsageMetadata(input_tokens=0, output_tokens=0, total_tokens=0)


def _hit_metadata(
    outcome: Outcome, usage: UsageMetadata | None, moved: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    return {
        "hit": outcome.status is Status.HIT,
        "stale": outcome.ttl is not None and outcome.ttl <= 0,
        "age": outcome.age,
        "ttl": outcome.ttl,
        "key": outcome.key,
        "usage": usage,
        **({"moved": moved} if moved else {}),
    }


_NAMES = _hit_metadata(Outcome(status=Status.HIT, key=""), None, {}).keys()


def _is_hit_metadata(value: object) -> TypeGuard[dict[str, Any]]:
    """Return False for a field of the same name that a provider wrote about its own cache."""
    if not isinstance(value, dict) or value.keys() - {"moved"} != _NAMES:
        return False
    moved = value.get("moved", {})
    return isinstance(moved, dict) and all(isinstance(each, dict) for each in moved.values())


def _message(generation: Generation) -> AIMessage | None:
    message = generation.message if isinstance(generation, ChatGeneration) else None
    return message if isinstance(message, AIMessage) else None


def _home(generation: Generation) -> str:
    """Return the name of the field for hit metadata."""
    return "response_metadata" if _message(generation) else "generation_info"


def _places(generation: Generation) -> dict[str, dict[str, Any]]:
    """Return the fields in which integrations count tokens, by name."""
    places = {"generation_info": generation.generation_info}
    if message := _message(generation):
        places["response_metadata"] = message.response_metadata
        places["additional_kwargs"] = message.additional_kwargs
    return {place: fields for place, fields in places.items() if fields is not None}


def _separate(place: str, fields: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return fields without token counts, and the counts, also from one level below.

    Of ``additional_kwargs``, which also hold parts of the answer, only ``usage`` is a count.
    """
    if place == "additional_kwargs":
        return _split(fields, lambda name, _: name == "usage")
    kept, counts = _split(fields, _is_count)
    for name, value in kept.items():
        if isinstance(value, dict) and name not in _NO_COUNTS:
            inner = _split(value, _is_count)
            if inner[1]:
                kept[name], counts[name] = inner
    return kept, counts


_NO_COUNTS = (FIELD, "metadata")  # "metadata" holds the caller's own labels (OpenAI)


def _split(
    fields: dict[str, Any], moves: Callable[[object, object], bool]
) -> tuple[dict[str, Any], dict[str, Any]]:
    moved = {name: value for name, value in fields.items() if moves(name, value)}
    return {name: fields[name] for name in fields if name not in moved}, moved


def _is_count(name: object, value: object) -> bool:
    """Return whether a field holds a number of tokens, or their cost."""
    if isinstance(value, bool) or not isinstance(value, (dict, int, float)):
        return False
    pattern = _USAGE if isinstance(value, dict) else _COUNT
    return isinstance(name, str) and pattern.search(name) is not None


def _merge(kept: dict[str, Any], counts: dict[str, Any]) -> dict[str, Any]:
    """Undo ``_separate``."""
    merged = dict(kept)
    for name, value in counts.items():
        nested = isinstance(value, dict) and isinstance(kept.get(name), dict)
        merged[name] = {**kept[name], **value} if nested else value
    return merged


def _copy(generation: Generation, places: dict[str, Any], **fields: Any) -> Generation:
    """Return a copy of a generation with new ``places`` and new fields of its message."""
    of_message = dict(places)
    update: dict[str, Any] = {"generation_info": of_message.pop("generation_info", None)}
    if message := _message(generation):
        update["message"] = message.model_copy(update={**of_message, **fields})
    return generation.model_copy(update=update)
