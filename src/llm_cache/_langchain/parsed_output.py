"""Store structured output that the model's integration parsed as a dict of its fields.

langchain-openai puts an instance of the caller's class in ``additional_kwargs["parsed"]``, and
rebuilds it from a dict there (``_oai_structured_outputs_parser``). So Redis holds the dict, and no
class is looked up by a name from Redis.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGeneration, Generation
from pydantic import BaseModel


def with_parsed_as_dict(generation: Generation) -> Generation:
    """Return a generation with the fields of its parsed pydantic object in place of the object.

    The class makes an equal object from them, except for private attributes, which it sets itself.
    Without such fields the object stays, and the answer is not stored.
    """
    if not isinstance(generation, ChatGeneration):
        return generation
    message = generation.message
    parsed = message.additional_kwargs.get("parsed")
    if not isinstance(parsed, BaseModel):
        return generation
    fields = next((each for each in _candidates(message, parsed) if _makes(each, parsed)), parsed)
    kwargs = {**message.additional_kwargs, "parsed": fields}
    message = message.model_copy(update={"additional_kwargs": kwargs})
    return generation.model_copy(update={"message": message})


def _candidates(message: BaseMessage, parsed: BaseModel) -> Iterator[Any]:
    """Yield the JSON text of the model, which no validator changed yet; then the fields."""
    with suppress(ValueError, RecursionError):
        yield json.loads(message.text)
    for by_alias in (True, False):
        with suppress(Exception):  # user code may take part
            # Round trip: without computed fields, which no class takes as arguments.
            yield parsed.model_dump(mode="json", by_alias=by_alias, round_trip=True, warnings=False)


def _makes(fields: Any, parsed: BaseModel) -> bool:
    with suppress(Exception):
        return isinstance(fields, dict) and _public(type(parsed)(**fields)) == _public(parsed)
    return False


def _public(value: Any) -> Any:
    """Return a value with each object as its class and fields, without private attributes."""
    if isinstance(value, BaseModel):
        fields = {**vars(value), **(value.model_extra or {})}
        return type(value), {name: _public(field) for name, field in fields.items()}
    if isinstance(value, dict):
        return {name: _public(item) for name, item in value.items()}
    return [_public(item) for item in value] if type(value) is list else value
