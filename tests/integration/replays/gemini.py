"""Google's Gemini: messages and chunks as ``ChatGoogleGenerativeAI`` makes them.

``langchain-google-genai`` 4.4 cannot be installed beside the ``langsmith`` that the layer locks:
their ranges of ``tenacity`` and ``websockets`` do not meet. So this model builds messages and
chunks as its ``_response_to_result`` does.
"""

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.tool import tool_call, tool_call_chunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.utils.function_calling import convert_to_openai_tool
from tests.integration.replays.wire_format import INPUT, NAME, USAGE, Answer, Provider

STANDING = {"model_provider": "google_genai"}
ENDING = {"finish_reason": "STOP", "model_name": "gemini-2.5-flash", "safety_ratings": []}
SIGNATURES = "__gemini_function_call_thought_signatures__"


class Gemini(BaseChatModel):
    """Keeps signatures in ``additional_kwargs`` for calls, and in ``extras`` for text."""

    provider: Provider

    @property
    def _llm_type(self) -> str:
        return "gemini"

    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        return self.bind(functions=[convert_to_openai_tool(tool) for tool in tools], **kwargs)

    def _answer(self, messages: list[BaseMessage]) -> Answer:
        return self.provider.answer({"contents": [message.text for message in messages]})

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        answer = self._answer(messages)
        signed = {} if answer.calls else {"extras": {"signature": answer.signature}}
        thought = {"type": "thinking", "thinking": "".join(answer.thought)}
        message = AIMessage(
            [thought, {"type": "text", "text": "".join(answer.text), **signed}],
            response_metadata={**STANDING, "model_name": ENDING["model_name"]},
            usage_metadata=USAGE,
            **(_call(answer) if answer.calls else {}),
        )
        return ChatResult(generations=[ChatGeneration(message=message, generation_info=ENDING)])

    def _stream(
        self, messages: list[BaseMessage], *args: Any, **kwargs: Any
    ) -> Iterator[ChatGenerationChunk]:
        answer = self._answer(messages)
        contents: list[Any] = [
            [{"type": "thinking", "thinking": text, "index": 0}] for text in answer.thought
        ]
        contents += answer.text
        if not answer.calls:
            extras = {"signature": answer.signature}
            contents[-1] = [
                {"type": "text", "text": contents[-1], "extras": extras, "index": 1}
            ]  # fmt: skip
        for content in contents if answer.calls else contents[:-1]:
            message = AIMessageChunk(content=content, response_metadata=STANDING)
            yield ChatGenerationChunk(message=message, generation_info={"safety_ratings": []})
        last = AIMessageChunk(
            content="" if answer.calls else contents[-1],
            response_metadata={**STANDING, "model_name": ENDING["model_name"]},
            usage_metadata=USAGE,
            **(_call(answer, pieces=True) if answer.calls else {}),
        )
        yield ChatGenerationChunk(message=last, generation_info=ENDING)


def _call(answer: Answer, *, pieces: bool = False) -> dict[str, Any]:
    id_, args = str(uuid.uuid4()), json.dumps(INPUT)
    extras = {
        "function_call": {"name": NAME, "arguments": args},
        SIGNATURES: {id_: answer.signature},
    }
    if pieces:
        chunk = tool_call_chunk(name=NAME, args=args, id=id_, index=1)
        return {"additional_kwargs": extras, "tool_call_chunks": [chunk]}
    return {"additional_kwargs": extras, "tool_calls": [tool_call(name=NAME, args=INPUT, id=id_)]}


@contextmanager
def serve() -> Iterator[Provider]:
    yield Provider()


def model(provider: Provider, **settings: Any) -> Gemini:
    return Gemini(provider=provider, **settings)
