"""How a stored answer says that it is one, in the message itself."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Sequence
from typing import Any, TypeGuard

from langchain_core.messages import AIMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, Generation

from llm_cache._report import Outcome, Status

FIELD = "cache"
"""The name of the mark in a message's ``response_metadata``."""

# Names under which integrations count tokens; langfuse reads them before ``usage_metadata``.
_USAGE = re.compile("(?i)usage|token_?counts?|^tokens$|invocation_?metrics|billed_units")
_COUNT = re.compile("(?i)(tokens?|token_?count|eval_count|cost)$")


def marked(answer: Sequence[Generation], outcome: Outcome) -> list[Generation]:
    """Return a stored answer whose chat messages say that they were stored.

    Each is a copy with an ``id`` of its own, since LangGraph takes messages of one id for one
    message, and with a ``usage_metadata``, where there was one, of no tokens, since none were paid
    for. Its ``response_metadata["cache"]`` holds

    - ``hit``: whether the model was spared; False where it was asked, and failed
    - ``stale``: whether the answer had expired
    - ``age``: the seconds since it was stored
    - ``ttl``: the seconds it has left; 0 or less once it has expired
    - ``key``: its key in Redis
    - ``usage``: the ``usage_metadata`` of the call that computed it, or None
    - ``moved``: the provider's own counts, if there are any, by the fields that held them

    All else is as it was stored. A text model's answer has the mark in its ``generation_info``, but
    only if that counted tokens. Costs no command.
    """
    return [_marked(generation, outcome) for generation in answer]


def unmarked(generation: Generation) -> Generation:
    """Return what was marked as it was computed: a hit that is stored again is no news.

    It keeps its newer id, and its age begins anew.
    """
    places, home = _places(generation), _home(generation)
    mark = places.get(home, {}).get(FIELD)
    if not _is_mark(mark):
        return generation
    places[home] = {name: value for name, value in places[home].items() if name != FIELD}
    moved = mark.get("moved", {})
    for place in moved.keys() & places.keys():
        places[place] = _joined(places[place], moved[place])
    return _with(generation, places, usage_metadata=mark["usage"])


def _marked(generation: Generation, outcome: Outcome) -> Generation:
    message = _message(generation)
    if message is None and not generation.generation_info:
        return generation
    home = _home(generation)
    parted = {place: _parted(place, fields) for place, fields in _places(generation).items()}
    places = {place: stays for place, (stays, _) in parted.items()}
    moved = {place: moves for place, (_, moves) in parted.items() if moves}
    if message is None and not moved:
        return generation
    if FIELD in places[home]:
        moved.setdefault(home, {})[FIELD] = places[home][FIELD]
    usage = message.usage_metadata if message else None
    places[home] = {**places[home], FIELD: _mark(outcome, usage, moved)}
    told = _NOTHING.copy() if usage else None
    return _with(generation, places, id=f"lc_cache--{uuid.uuid4()}", usage_metadata=told)


_NOTHING = UsageMetadata(input_tokens=0, output_tokens=0, total_tokens=0)


def _mark(
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


_NAMES = _mark(Outcome(status=Status.HIT, key=""), None, {}).keys()


def _is_mark(value: object) -> TypeGuard[dict[str, Any]]:
    """Whether ``value`` is a mark, and not what a provider says of a cache of its own."""
    if not isinstance(value, dict) or value.keys() - {"moved"} != _NAMES:
        return False
    moved = value.get("moved", {})
    return isinstance(moved, dict) and all(isinstance(each, dict) for each in moved.values())


def _message(generation: Generation) -> AIMessage | None:
    message = generation.message if isinstance(generation, ChatGeneration) else None
    return message if isinstance(message, AIMessage) else None


def _home(generation: Generation) -> str:
    """Return the name of the field in which the mark stands."""
    return "response_metadata" if _message(generation) else "generation_info"


def _places(generation: Generation) -> dict[str, dict[str, Any]]:
    """Return the fields in which integrations count tokens, by their names."""
    places = {"generation_info": generation.generation_info}
    if message := _message(generation):
        places["response_metadata"] = message.response_metadata
        places["additional_kwargs"] = message.additional_kwargs
    return {place: fields for place, fields in places.items() if fields is not None}


def _parted(place: str, fields: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the fields that stay, and the counts of tokens, which move; also one level below.

    Only ``usage`` moves out of ``additional_kwargs``, which also hold parts of the answer.
    """
    if place == "additional_kwargs":
        return _split(fields, lambda name, _: name == "usage")
    stays, moves = _split(fields, _counts)
    for name, value in stays.items():
        if isinstance(value, dict) and name not in _OTHERS:
            inner = _split(value, _counts)
            if inner[1]:
                stays[name], moves[name] = inner
    return stays, moves


_OTHERS = (FIELD, "metadata")  # "metadata" holds the caller's own labels (OpenAI)


def _split(
    fields: dict[str, Any], moving: Callable[[object, object], bool]
) -> tuple[dict[str, Any], dict[str, Any]]:
    moves = {name: value for name, value in fields.items() if moving(name, value)}
    return {name: fields[name] for name in fields if name not in moves}, moves


def _counts(name: object, value: object) -> bool:
    """Whether a field counts tokens, or what they cost."""
    if isinstance(value, bool) or not isinstance(value, (dict, int, float)):
        return False
    pattern = _USAGE if isinstance(value, dict) else _COUNT
    return isinstance(name, str) and pattern.search(name) is not None


def _joined(stays: dict[str, Any], moved: dict[str, Any]) -> dict[str, Any]:
    """Undo ``_parted``."""
    whole = dict(stays)
    for name, value in moved.items():
        parts = isinstance(value, dict) and isinstance(stays.get(name), dict)
        whole[name] = {**stays[name], **value} if parts else value
    return whole


def _with(generation: Generation, places: dict[str, Any], **fields: Any) -> Generation:
    """Return a copy of an answer, with other ``places``, and a message of other ``fields``."""
    given = dict(places)
    update: dict[str, Any] = {"generation_info": given.pop("generation_info", None)}
    if message := _message(generation):
        update["message"] = message.model_copy(update={**given, **fields})
    return generation.model_copy(update=update)
