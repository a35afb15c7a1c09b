"""A provider's model that calls tools and streams, for examples to run on."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, ToolMessage
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import Field

CITIES = ("Rome", "Oslo")


class Assistant(BaseChatModel):
    """A provider's model: equal answers to equal questions, each under new ids.

    ``answered`` has the questions it answered. It first raises an error for each text in ``busy``.
    """

    answered: list[str] = Field(default_factory=list)
    busy: list[str] = Field(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "assistant"

    def bind_tools(self, tools: Any, *, tool_choice: str | None = None, **kwargs: Any) -> Any:
        formatted = [convert_to_openai_tool(each) for each in tools]
        return self.bind(tools=formatted, tool_choice=tool_choice, **kwargs)

    def _answer(self, messages: list[BaseMessage], **kwargs: Any) -> AIMessage:
        if self.busy:
            raise ConnectionError(self.busy.pop())
        self.answered.append(messages[-1].text)
        calls = [] if isinstance(messages[-1], ToolMessage) else _calls(messages, **kwargs)
        seen = "; ".join(f"{message.type}: {message.text}" for message in messages)
        return AIMessage(
            "" if calls else _reply(messages, seen),
            id=f"msg_{uuid.uuid4()}",
            tool_calls=[{**call, "id": f"call_{uuid.uuid4()}"} for call in calls],
            usage_metadata={
                "input_tokens": len(seen),
                "output_tokens": 1,
                "total_tokens": len(seen) + 1,
            },
            response_metadata={"model_provider": "assistant", "finish_reason": "stop"},
        )

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        message = self._answer(messages, **kwargs)
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _stream(
        self, messages: list[BaseMessage], *args: Any, **kwargs: Any
    ) -> Iterator[ChatGenerationChunk]:
        message = self._answer(messages, **kwargs)
        for word in message.text.split(" ") if message.text else ():
            yield ChatGenerationChunk(message=AIMessageChunk(content=f"{word} ", id=message.id))
        yield ChatGenerationChunk(
            message=AIMessageChunk(
                content="",
                id=message.id,
                tool_call_chunks=[
                    tool_call_chunk(
                        name=call["name"], args=json.dumps(call["args"]), id=call["id"], index=index
                    )
                    for index, call in enumerate(message.tool_calls)
                ],
                usage_metadata=message.usage_metadata,
                response_metadata=message.response_metadata,
            )
        )


def _calls(
    messages: list[BaseMessage], tools: Any = (), tool_choice: str | None = None, **_: Any
) -> list[Any]:
    """Call each tool for each city that the question names."""
    names = [each["function"]["name"] for each in tools]
    cities = [city for city in CITIES if city in messages[-1].text]
    return [{"name": name, "args": {"city": city}} for name in names for city in cities]


def _reply(messages: list[BaseMessage], seen: str) -> str:
    return '{"words": 2}' if "JSON" in messages[-1].text else f"You said: {seen}"
