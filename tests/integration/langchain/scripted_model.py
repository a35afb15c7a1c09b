"""A chat model that streams the chunks of a script."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from functools import reduce
from operator import add
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import BaseModel, Field

USAGE: Any = {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}
LAST = AIMessageChunk(
    content="", usage_metadata=USAGE, response_metadata={"finish_reason": "stop", "model_name": "m"}
)
TEXT = [
    AIMessageChunk(content="The sky ", response_metadata={"model_provider": "fake"}),
    AIMessageChunk(content="is blue."),
    LAST,
]
ANSWER = "The sky is blue."


def tool_chunk(args: str, name: str | None = None, call: str | None = None) -> AIMessageChunk:
    chunk = tool_call_chunk(name=name, args=args, id=call, index=0)
    return AIMessageChunk(content="", tool_call_chunks=[chunk])


class Weather(BaseModel):
    """The weather of a city."""

    city: str


TOOL = [tool_chunk('{"ci', name="Weather", call="call_1"), tool_chunk('ty": "Rome"}'), LAST]


class ScriptedModel(BaseChatModel):
    """Streams ``script``, counts its calls, and fails after ``fails`` chunks."""

    calls: list[Any] = Field(default_factory=list)
    script: list[AIMessageChunk] = TEXT
    fails: int | None = None
    temperature: float = 0.0

    @property
    def _llm_type(self) -> str:
        return "streaming"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"temperature": self.temperature}

    def _chunks(self, messages: list[BaseMessage]) -> Iterator[ChatGenerationChunk]:
        self.calls.append(messages[-1].content)
        for number, chunk in enumerate(self.script):
            if number == self.fails:
                raise RuntimeError("throttled")
            yield ChatGenerationChunk(message=chunk.model_copy(deep=True))

    def _stream(
        self, messages: list[BaseMessage], *args: Any, **kwargs: Any
    ) -> Iterator[ChatGenerationChunk]:
        yield from self._chunks(messages)

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        merged = reduce(add, (chunk.message for chunk in self._chunks(messages)))
        fields = {"content", "tool_calls", "usage_metadata", "response_metadata"}
        message = AIMessage(**merged.model_dump(include=fields))
        return ChatResult(generations=[ChatGeneration(message=message)])

    def bind_tools(self, tools: Any, *, tool_choice: str | None = None, **kwargs: Any) -> Any:
        return self.bind(tools=[convert_to_openai_tool(tool) for tool in tools], **kwargs)


class AsyncScriptedModel(ScriptedModel):
    """Has an asynchronous stream of its own, as a provider's model does."""

    async def _astream(
        self, messages: list[BaseMessage], *args: Any, **kwargs: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        for chunk in self._chunks(messages):
            await asyncio.sleep(0)
            yield chunk
