"""A chat model that parses structured output, as langchain-openai's ``BaseChatOpenAI`` does."""

from collections.abc import Iterator
from functools import partial
from operator import itemgetter
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable, RunnableLambda, RunnableParallel, RunnablePassthrough
from pydantic import BaseModel, Field


class StructuredModel(BaseChatModel):
    """Answers with ``text``, parsed as the bound schema, or refuses if it is empty."""

    text: str = ""
    calls: list[Any] = Field(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "openai-like"

    def _answer(self, messages: list[BaseMessage], schema: type[BaseModel]) -> dict[str, Any]:
        self.calls.append(messages[-1].content)
        kwargs = {
            "parsed": schema.model_validate_json(self.text) if self.text else None,
            "refusal": None if self.text else "I will not.",
        }
        return {"content": self.text, "additional_kwargs": kwargs}

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        message = AIMessage(**self._answer(messages, kwargs["response_format"]))
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _stream(
        self, messages: list[BaseMessage], *args: Any, **kwargs: Any
    ) -> Iterator[ChatGenerationChunk]:
        answer = self._answer(messages, kwargs["response_format"])
        for character in answer["content"]:
            yield ChatGenerationChunk(message=AIMessageChunk(content=character))
        yield ChatGenerationChunk(message=AIMessageChunk(**{**answer, "content": ""}))

    def with_structured_output(
        self, schema: Any, *, include_raw: bool = False, **kwargs: Any
    ) -> Runnable[Any, Any]:
        model = self.bind(response_format=schema)
        parser = RunnableLambda(partial(_parse, schema=schema))
        if include_raw:
            read = itemgetter("raw") | parser
            return RunnableParallel(raw=model) | RunnablePassthrough.assign(parsed=read)
        return model | parser


def _parse(message: AIMessage, schema: type[BaseModel]) -> Any:
    """Read a message as langchain-openai's ``_oai_structured_outputs_parser`` does."""
    if (parsed := message.additional_kwargs.get("parsed")) is not None:
        return schema(**parsed) if isinstance(parsed, dict) else parsed
    raise ValueError(message.additional_kwargs.get("refusal"))
