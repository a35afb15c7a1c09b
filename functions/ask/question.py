"""What a caller may send to ``POST /ask``."""

from __future__ import annotations

import os
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from llm_cache import CachePolicy, InvalidPolicy
from problems import Problem, invalid

MAX_BYTES = 2_000_000
MAX_CHARACTERS = 20_000
MAX_TURNS = 40
MAX_STOPS = 4
MAX_STOP = 100  # characters


class Turn(BaseModel):
    """One earlier turn of a conversation."""

    model_config = ConfigDict(extra="forbid", strict=True)

    role: Literal["user", "assistant"]
    content: str = Field(min_length=1, max_length=MAX_CHARACTERS)


Text = Annotated[str, Field(min_length=1, max_length=MAX_STOP)]


class Parameters(BaseModel):
    """What of the model a caller may set; the operator bounds the length of an answer."""

    model_config = ConfigDict(extra="forbid", strict=True)

    temperature: float | None = Field(default=None, ge=0, le=1)
    top_p: float | None = Field(default=None, ge=0, le=1)
    max_tokens: int | None = Field(default=None, ge=1)
    stop: list[Text] | None = Field(default=None, min_length=1, max_length=MAX_STOPS)

    @field_validator("max_tokens")
    @classmethod
    def _at_most_what_the_operator_allows(cls, value: int | None) -> int | None:
        most = int(os.environ["MODEL_MAX_TOKENS"])
        if value is not None and value > most:
            raise ValueError(f"at most {most}")
        return value


class Question(BaseModel):
    """The body of ``POST /ask``."""

    model_config = ConfigDict(extra="forbid", strict=True)

    question: str = Field(min_length=1, max_length=MAX_CHARACTERS)
    system: str | None = Field(default=None, min_length=1, max_length=MAX_CHARACTERS)
    messages: list[Turn] = Field(default=[], max_length=MAX_TURNS)
    parameters: Parameters = Parameters()
    cache: dict[str, Any] = {}

    @classmethod
    def from_json(cls, body: bytes) -> Question:
        """Read a body; raise a ``Problem`` that names the first wrong field."""
        if len(body) > MAX_BYTES:
            raise Problem(413, "too_large", f"a body has at most {MAX_BYTES} bytes")
        try:
            return cls.model_validate_json(body)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            field = ".".join(str(part) for part in first["loc"]) or "body"
            raise invalid(field, first["msg"]) from None

    def policy(self, cache_control: str) -> CachePolicy:
        """Return what the body's ``cache`` and the ``Cache-Control`` header both allow."""
        try:
            return CachePolicy.from_event(self.cache) & CachePolicy.from_cache_control(
                cache_control
            )
        except InvalidPolicy as error:
            header = error.name.startswith("Cache-Control")
            field = error.name if header or error.name == "cache" else f"cache.{error.name}"
            raise invalid(field, f"{error.value!r} is not accepted: {error.accepted}") from None

    def request(self) -> dict[str, Any]:
        """Return what is asked, without what is not given: equal ones are one question."""
        return self.model_dump(exclude={"cache"}, exclude_defaults=True)
