"""Read and check the body of ``POST /ask``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any

from pydantic_core import SchemaValidator, ValidationError
from pydantic_core import core_schema as schema

from bedrock.model_settings import max_tokens
from llm_cache import CachePolicy, Coalesce, InvalidPolicy, Mode
from problem import Problem, invalid

MAX_CHARACTERS = 20_000
MAX_TURNS = 40
MAX_STOPS = 4
MAX_STOP = 100  # characters
# The longest body in UTF-8, at 4 bytes a character: its texts, and 10 KB for everything else.
MAX_BYTES = 4 * (MAX_CHARACTERS * (MAX_TURNS + 2) + MAX_STOP * MAX_STOPS)
MAX_BYTES += 4 * CachePolicy.TEXT_LIMIT * (CachePolicy.TAG_LIMIT + 1) + 10_000
ENCODED = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff", b"\x1f\x8b")  # UTF-16, UTF-32, gzip
BOM = b"\xef\xbb\xbf"
# Limit the names and values of a body: the longest valid one has some 400. To list the errors of
# a million small values would take a second and 200 MB.
PART = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\Z)|[\[{,]', re.DOTALL)
MAX_PARTS = 2_000

# pydantic's validator without model classes: building those takes longer than a cold hit.
BLANK = "string_pattern_mismatch"
TEXT = schema.str_schema(  # not blank, as str.isspace() defines it
    min_length=1, max_length=MAX_CHARACTERS, pattern=r"[^\s\x1c-\x1f]"
)
STOP = schema.str_schema(min_length=1, max_length=MAX_STOP)
NAME = schema.str_schema(min_length=1, max_length=CachePolicy.TEXT_LIMIT)
SHARE = schema.float_schema(ge=0, le=1, allow_inf_nan=False)
SECONDS = schema.float_schema(ge=0, le=CachePolicy.SECONDS_LIMIT, allow_inf_nan=False)


def _fields(*required: str, **fields: schema.CoreSchema) -> schema.TypedDictSchema:
    """Describe an object; null in a field that is not required counts as absent."""
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
    """Accept numbers such as 5.0, which are integers in JSON Schema."""
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
    tags=schema.list_schema(NAME, max_length=CachePolicy.TAG_LIMIT),
    salt=NAME,
)


@cache
def body_schema() -> schema.CoreSchema:
    """Return the schema of the body, within the operator's limits."""
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
    return SchemaValidator(body_schema())


@dataclass(frozen=True, slots=True)
class AskBody:
    """The body of ``POST /ask``: the question, and the ``cache`` field."""

    question: dict[str, Any]
    cache: dict[str, Any]

    @classmethod
    def from_json(cls, body: bytes) -> AskBody:
        """Read a body in UTF-8; raise a ``Problem`` that names the first invalid field."""
        if len(body) > MAX_BYTES:
            raise Problem(413, "too_large", f"the body may have at most {MAX_BYTES} bytes")
        if body.startswith(ENCODED):
            raise not_readable("it is not UTF-8")
        if any(islice(PART.finditer(body), MAX_PARTS, None)):
            raise invalid("body", f"it has more than {MAX_PARTS} names and values")
        try:
            fields = _validator().validate_json(body.removeprefix(BOM))
        except ValidationError as error:
            raise _invalid_field(error) from None
        question = _question(fields)
        if question.get("messages", [{}])[0].get("role") == "assistant":
            raise invalid("messages.0.role", "the first message must be of the user")
        return cls(question, fields.get("cache") or {})

    def policy(self, cache_control: str) -> CachePolicy:
        """Return the policy that both ``cache`` and the ``Cache-Control`` header allow."""
        try:
            accepted = CachePolicy.from_cache_control(cache_control)
        except InvalidPolicy as error:
            raise invalid(error.name, f"accepted: {error.accepted}") from None
        return CachePolicy.from_event(self.cache) & accepted


def not_readable(why: str) -> Problem:
    """Return a 415 that names the accepted encoding (RFC 9110, section 15.5.16)."""
    accepted = {"Accept-Encoding": "identity"}
    message = f"the body cannot be read: {why}; send uncompressed JSON in UTF-8"
    return Problem(415, "not_readable", message, headers=accepted)


def _invalid_field(error: ValidationError) -> Problem:
    first = error.errors(include_url=False, include_input=False)[0]
    message = "the text is blank" if first["type"] == BLANK else first["msg"]
    return invalid(".".join(map(str, first["loc"])) or "body", message)


def _question(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields without empty ones, so that equal questions have one key."""
    parameters = fields.get("parameters") or {}
    chosen = {name: value for name, value in parameters.items() if value is not None}
    question = {**fields, "parameters": chosen, "cache": None}
    return {name: value for name, value in question.items() if value}
