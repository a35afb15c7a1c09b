"""The answer of an entry, read by the codec that the entry names."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from llm_cache._entries.envelope import Entry
from llm_cache._errors import UnreadableEntry
from llm_cache._protocol.request import Codec
from llm_cache._report import Tokens

if TYPE_CHECKING:
    from langchain_core.outputs import Generation


class AnswerCodec(Codec[Any], Protocol):
    """Reads answers, and the tokens that they took."""

    def tokens(self, answer: Any) -> Tokens:
        """Return the tokens that the model reported."""


class StoredAnswer(NamedTuple):
    """An answer as JSON and as text, with what the model reported about it."""

    value: Any
    text: str
    tokens: Tokens
    model: str | None

    def __repr__(self) -> str:
        """Show no part of the answer."""
        return f"StoredAnswer(tokens={self.tokens}, model={self.model!r})"


def codec_named(name: str) -> AnswerCodec:
    """Return the codec of this name; raise ``UnreadableEntry`` without one.

    The codec of chat answers imports LangChain.
    """
    match name:
        case "langchain":
            from llm_cache._langchain.codec import GenerationCodec  # noqa: PLC0415  slow

            return GenerationCodec()
        case "json":
            from llm_cache._functions.response_cache import Responses  # noqa: PLC0415

            return Responses()
    raise UnreadableEntry("of a codec that this version does not have")


def read_answer(entry: Entry) -> StoredAnswer:
    """Return the answer of an entry; raise ``UnreadableEntry``."""
    codec, value = codec_named(entry.codec), copy.deepcopy(entry.answer)
    answer = codec.read(entry)
    if entry.codec == "json":
        return StoredAnswer(answer, _json(answer), codec.tokens(answer), _named_model(answer))
    models = (_named_model(it.message.response_metadata) for it in answer if hasattr(it, "message"))
    text = _text(answer) or _json(value)
    return StoredAnswer(list(value), text, codec.tokens(answer), next(filter(None, models), None))


def _text(generations: Sequence[Generation]) -> str:
    return "\n\n".join(generation.text for generation in generations if generation.text)


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _named_model(fields: dict[str, Any]) -> str | None:
    """Return the model's name, as the integrations of LangChain and ``ask`` store it."""
    names = (fields.get(name) for name in ("model_name", "model", "model_id"))
    return next((name for name in names if isinstance(name, str)), None)
