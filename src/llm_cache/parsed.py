"""Structured output that came parsed: stored as the fields it is made of.

langchain-openai leaves an instance of the caller's class in ``additional_kwargs["parsed"]``, and
makes one again of a dict that it finds there (``_oai_structured_outputs_parser``). So a hit has the
dict, and no class is looked up by a name that stands in Redis.
"""

from __future__ import annotations

from typing import Any

from langchain_core.outputs import ChatGeneration, Generation
from pydantic import BaseModel

FIELD = "parsed"


def unparsed(generation: Generation) -> Generation:
    """Return a generation whose parsed object, of a pydantic class, is a dict of its fields.

    One of which the class would not make an equal object stays, and is then not stored.
    """
    if not isinstance(generation, ChatGeneration):
        return generation
    message = generation.message
    parsed = message.additional_kwargs.get(FIELD)
    if not isinstance(parsed, BaseModel):
        return generation
    kwargs = {**message.additional_kwargs, FIELD: _fields(parsed)}
    message = message.model_copy(update={"additional_kwargs": kwargs})
    return generation.model_copy(update={"message": message})


def _fields(parsed: BaseModel) -> dict[str, Any] | BaseModel:
    for by_alias in (True, False):
        # Round trip: without computed fields, which no class takes as arguments.
        try:
            fields = parsed.model_dump(
                mode="json", by_alias=by_alias, round_trip=True, warnings=False
            )
            if type(parsed)(**fields) == parsed:
                return fields
        except Exception:  # noqa: BLE001, S112  a class is made by code of any kind
            continue
    return parsed
