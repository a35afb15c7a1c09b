"""What a caller may send to ``POST /ask``."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic_core import SchemaValidator, ValidationError
from pydantic_core import core_schema as schema

from bedrock.chosen import max_tokens
from llm_cache import CachePolicy, InvalidPolicy
from problems import Problem, invalid

MAX_BYTES = 2_000_000
MAX_CHARACTERS = 20_000
MAX_TURNS = 40
MAX_STOPS = 4
MAX_STOP = 100  # characters

# pydantic's own validator, without its classes: to build those takes longer than a cold hit has.
TEXT = schema.str_schema(min_length=1, max_length=MAX_CHARACTERS)
STOP = schema.str_schema(min_length=1, max_length=MAX_STOP)
SHARE = schema.float_schema(ge=0, le=1)


def _fields(*required: str, **fields: schema.CoreSchema) -> schema.TypedDictSchema:
    """Describe an object; a field that is not required may be null, too, and that is no value."""
    return schema.typed_dict_schema(
        {
            name: schema.typed_dict_field(
                field if name in required else schema.nullable_schema(field),
                required=name in required,
            )
            for name, field in fields.items()
        },
        extra_behavior="forbid",
        config={"strict": True},
    )


TURN = _fields("role", "content", role=schema.literal_schema(["user", "assistant"]), content=TEXT)


@cache
def question() -> schema.CoreSchema:
    """Describe the body of a question, within what the operator allows."""
    parameters = _fields(
        temperature=SHARE,
        top_p=SHARE,
        max_tokens=schema.int_schema(ge=1, le=max_tokens()),
        stop=schema.list_schema(STOP, min_length=1, max_length=MAX_STOPS),
    )
    return _fields(
        "question",
        question=TEXT,
        system=TEXT,
        messages=schema.list_schema(TURN, max_length=MAX_TURNS),
        parameters=parameters,
        cache=schema.dict_schema(schema.str_schema(), schema.any_schema()),
    )


@cache
def _validator() -> SchemaValidator:
    return SchemaValidator(question())


@dataclass(frozen=True, slots=True)
class Question:
    """The body of ``POST /ask``: the request, and what it accepts of the cache."""

    request: dict[str, Any]
    cache: dict[str, Any]

    @classmethod
    def from_json(cls, body: bytes) -> Question:
        """Read a body; raise a ``Problem`` that names the first wrong field."""
        if len(body) > MAX_BYTES:
            raise Problem(413, "too_large", f"a body has at most {MAX_BYTES} bytes")
        try:
            fields = _validator().validate_json(body)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            field = ".".join(str(part) for part in first["loc"]) or "body"
            raise invalid(field, first["msg"]) from None
        accepts = fields.pop("cache", None) or {}
        return cls(_given(fields), accepts)

    def policy(self, cache_control: str) -> CachePolicy:
        """Return what the body's ``cache`` and the ``Cache-Control`` header both allow."""
        try:
            return CachePolicy.from_event(self.cache) & CachePolicy.from_cache_control(
                cache_control
            )
        except InvalidPolicy as error:
            header = error.name.startswith("Cache-Control")
            field = error.name if header or error.name == "cache" else f"cache.{error.name}"
            raise invalid(field, f"accepted: {error.accepted}") from None  # it knows what it sent


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    """Leave out what says nothing, so that equal requests are one question."""
    parameters = fields.get("parameters") or {}
    given = {name: value for name, value in parameters.items() if value is not None}
    return {name: value for name, value in {**fields, "parameters": given}.items() if value}
