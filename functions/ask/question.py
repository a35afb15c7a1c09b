"""What a caller may send to ``POST /ask``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any

from pydantic_core import SchemaValidator, ValidationError
from pydantic_core import core_schema as schema

from bedrock.chosen import max_tokens
from llm_cache import CachePolicy, Coalesce, InvalidPolicy, Mode
from llm_cache._entries.keys import MAX_TAGS, MAX_TEXT
from llm_cache._policy.ttl import MAX_SECONDS
from problem import Problem, invalid

MAX_CHARACTERS = 20_000
MAX_TURNS = 40
MAX_STOPS = 4
MAX_STOP = 100  # characters
# The longest question in UTF-8, at 4 bytes a character: its texts, and 10 KB for all else in it.
MAX_BYTES = 4 * (MAX_CHARACTERS * (MAX_TURNS + 2) + MAX_STOP * MAX_STOPS)
MAX_BYTES += 4 * MAX_TEXT * (MAX_TAGS + 1) + 10_000
ENCODED = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff", b"\x1f\x8b")  # UTF-16, UTF-32, gzip
BOM = b"\xef\xbb\xbf"
# What JSON is made of, and how many of them a question may have (the longest has some 400): a body
# of a million small values would take a second and 200 MB to be told what is wrong with it.
PART = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\Z)|[\[{,]', re.DOTALL)
MAX_PARTS = 2_000

# pydantic's own validator, without its classes: to build those takes longer than a cold hit has.
# A blank text is one that Python's isspace() says is blank.
BLANK = "string_pattern_mismatch"
TEXT = schema.str_schema(min_length=1, max_length=MAX_CHARACTERS, pattern=r"[^\s\x1c-\x1f]")
STOP = schema.str_schema(min_length=1, max_length=MAX_STOP)
NAME = schema.str_schema(min_length=1, max_length=MAX_TEXT)
SHARE = schema.float_schema(ge=0, le=1, allow_inf_nan=False)
SECONDS = schema.float_schema(ge=0, le=MAX_SECONDS, allow_inf_nan=False)


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


def _whole(number: schema.CoreSchema) -> schema.CoreSchema:
    """Take a number like 5.0, too, which is an integer to JSON Schema."""
    return schema.no_info_before_validator_function(
        lambda value: int(value) if isinstance(value, float) and value.is_integer() else value,
        number,
    )


TURN = _fields("role", "content", role=schema.literal_schema(["user", "assistant"]), content=TEXT)
CACHE = _fields(
    ttl=SECONDS,
    max_age=SECONDS,
    min_fresh=SECONDS,
    max_stale=SECONDS,
    stale_if_error=SECONDS,
    mode=schema.literal_schema([str(mode) for mode in Mode]),
    coalesce=schema.literal_schema([str(one) for one in Coalesce]),
    tags=schema.list_schema(NAME, max_length=MAX_TAGS),
    salt=NAME,
)


@cache
def question() -> schema.CoreSchema:
    """Describe the body of a question, within what the operator allows."""
    parameters = _fields(
        temperature=SHARE,
        top_p=SHARE,
        max_tokens=_whole(schema.int_schema(ge=1, le=max_tokens())),
        stop=schema.list_schema(STOP, min_length=1, max_length=MAX_STOPS),
    )
    return _fields(
        "question",
        question=TEXT,
        system=TEXT,
        messages=schema.list_schema(TURN, max_length=MAX_TURNS),
        parameters=parameters,
        cache=CACHE,
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
        """Read a body in UTF-8; raise a ``Problem`` that names the first wrong field."""
        if len(body) > MAX_BYTES:
            raise Problem(413, "too_large", f"a body has at most {MAX_BYTES} bytes")
        if body.startswith(ENCODED):
            raise not_readable("it is not UTF-8")
        if any(islice(PART.finditer(body), MAX_PARTS, None)):
            raise invalid("body", f"it has more than {MAX_PARTS} names and values")
        try:
            fields = _validator().validate_json(body.removeprefix(BOM))
        except ValidationError as error:
            raise _wrong(error) from None
        request = _given(fields)
        if request.get("messages", [{}])[0].get("role") == "assistant":
            raise invalid("messages.0.role", "a conversation begins with the user")
        return cls(request, fields.get("cache") or {})

    def policy(self, cache_control: str) -> CachePolicy:
        """Return what the body's ``cache`` and the ``Cache-Control`` header both allow."""
        try:
            accepted = CachePolicy.from_cache_control(cache_control)
        except InvalidPolicy as error:  # of the header: the body's fields are checked
            raise invalid(error.name, f"accepted: {error.accepted}") from None
        return CachePolicy.from_event(self.cache) & accepted


def not_readable(why: str) -> Problem:
    """Return a 415 that tells what can be read (RFC 9110, section 15.5.16)."""
    accepted = {"Accept-Encoding": "identity"}
    message = f"the body cannot be read: {why}; send JSON in UTF-8, not compressed"
    return Problem(415, "not_readable", message, headers=accepted)


def _wrong(error: ValidationError) -> Problem:
    first = error.errors(include_url=False, include_input=False)[0]
    message = "the text is blank" if first["type"] == BLANK else first["msg"]
    return invalid(".".join(map(str, first["loc"])) or "body", message)


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    """Leave out what says nothing, so that equal requests are one question."""
    parameters = fields.get("parameters") or {}
    given = {name: value for name, value in parameters.items() if value is not None}
    asked = {**fields, "parameters": given, "cache": None}
    return {name: value for name, value in asked.items() if value}
