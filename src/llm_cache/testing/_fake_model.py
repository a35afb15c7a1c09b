"""The value of the fixture ``fake_model``."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Sequence
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from pydantic import PrivateAttr

_WORD = re.compile(r"\S+\s*|\s+")


class _Calls:
    """The calls so far, and the failures to come; the views of ``cached()`` share it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.count = self.answered = self.failures = 0
        self.error: Exception = RuntimeError("the test has made the model fail")


class FakeModel(BaseChatModel):
    """A chat model that counts its ``calls``, failed ones too.

    ``answers``: texts or messages, in turn; the last one repeats. Without any, the model answers
    "answer 1", "answer 2" and so on. Only ``model`` and ``temperature`` are settings: two fake
    models with equal settings have equal keys. As other models, it streams without a cache unless
    ``cached(fake_model)`` wraps it.
    """

    model: str = "fake-model"
    temperature: float | None = None
    answers: Sequence[str | AIMessage] = ()
    _calls: _Calls = PrivateAttr(default_factory=_Calls)

    @property
    def calls(self) -> int:
        """The number of calls that reached the model: hits do not."""
        return self._calls.count

    def fail(self, error: Exception | None = None, *, times: int = 1) -> None:
        """Raise ``error``, by default a ``RuntimeError``, in the next ``times`` calls."""
        self._calls.failures = times
        self._calls.error = error or RuntimeError("the test has made the model fail")

    @property
    def _llm_type(self) -> str:
        return "fake"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model": self.model, "temperature": self.temperature}

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self._answer(messages))])

    def _stream(
        self, messages: list[BaseMessage], *_: Any, **__: Any
    ) -> Iterator[ChatGenerationChunk]:
        message = self._answer(messages)
        text = message.content if isinstance(message.content, str) else ""
        for word in _WORD.findall(text):
            yield ChatGenerationChunk(message=AIMessageChunk(content=word))
        fields = message.model_dump(exclude={"type"}) | ({"content": ""} if text else {})
        yield ChatGenerationChunk(message=AIMessageChunk(**fields, chunk_position="last"))

    def _answer(self, messages: list[BaseMessage]) -> AIMessage:
        with self._calls.lock:
            self._calls.count += 1
            if self._calls.failures > 0:
                self._calls.failures -= 1
                raise self._calls.error.with_traceback(None)
            self._calls.answered += 1
            number = self._calls.answered
        if not self.answers:
            return self._message(f"answer {number}", messages)
        answer = self.answers[min(number, len(self.answers)) - 1]
        if isinstance(answer, str):
            return self._message(answer, messages)
        return answer.model_copy(deep=True)

    def _message(self, text: str, messages: list[BaseMessage]) -> AIMessage:
        """Return a complete answer; its usage counts a word as a token."""
        read, written = sum(len(each.text.split()) for each in messages), len(text.split())
        usage = UsageMetadata(input_tokens=read, output_tokens=written, total_tokens=read + written)
        metadata = {"model_name": self.model, "finish_reason": "stop"}
        return AIMessage(content=text, usage_metadata=usage, response_metadata=metadata)
