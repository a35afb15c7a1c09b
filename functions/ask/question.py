"""What a caller may send to ``POST /ask``."""

from __future__ import annotations

from typing import Any, Literal

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from llm_cache import CachePolicy, InvalidPolicy
from problems import Problem, invalid

MAX_BYTES = 2_000_000
MAX_CHARACTERS = 20_000
MAX_TURNS = 40


class Turn(BaseModel):
    """One earlier turn of a conversation."""

    model_config = ConfigDict(extra="forbid", strict=True)

    role: Literal["user", "assistant"]
    content: str = Field(min_length=1, max_length=MAX_CHARACTERS)


class Question(BaseModel):
    """The body of ``POST /ask``."""

    model_config = ConfigDict(extra="forbid", strict=True)

    question: str = Field(min_length=1, max_length=MAX_CHARACTERS)
    system: str | None = Field(default=None, min_length=1, max_length=MAX_CHARACTERS)
    messages: list[Turn] = Field(default=[], max_length=MAX_TURNS)
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

    def prompt(self) -> list[BaseMessage]:
        """Return the conversation as LangChain's messages."""
        kinds = {"user": HumanMessage, "assistant": AIMessage}
        system = [SystemMessage(self.system)] if self.system else []
        earlier = [kinds[turn.role](turn.content) for turn in self.messages]
        return [*system, *earlier, HumanMessage(self.question)]
