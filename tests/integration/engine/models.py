"""Chat models that count their calls, and the callers that share their answers."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult, Generation
from pydantic import Field

from llm_cache import CachePolicy, Report, UpstashRedisCache

ANSWER = [Generation(text="an answer")]
FLEET = CachePolicy(coalesce="fleet")

_counting = threading.Lock()


class Model(BaseChatModel):
    """Counts its calls, and runs ``during`` in each; the first ``fail`` calls fail."""

    calls: list[str] = Field(default_factory=list)
    fail: int = 0
    during: Callable[[int], object] = lambda _: None

    @property
    def _llm_type(self) -> str:
        return "counting"

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        with _counting:
            self.calls.append(messages[-1].text)
            number = len(self.calls)
        self.during(number)
        if number <= self.fail:
            raise RuntimeError("the model failed")
        return ChatResult(generations=[ChatGeneration(message=AIMessage(f"answer {number}"))])


class StreamingModel(Model):
    def _stream(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
        self.calls.append("stream")
        for word in ("an ", "answer"):
            self.during(len(self.calls))
            yield ChatGenerationChunk(message=AIMessageChunk(content=word))


def together(*works: Callable[[], Any]) -> list[Any]:
    """Run all in threads; return their results in order."""
    with ThreadPoolExecutor(len(works)) as pool:
        return [task.result() for task in [pool.submit(work) for work in works]]


def invoking(cache: UpstashRedisCache, model: Model, policy: CachePolicy) -> Callable[[], str]:
    """Return a call of the model through a cache."""

    def invoke() -> str:
        with cache.policy(policy):
            return str(model.model_copy(update={"cache": cache}).invoke("same").text)

    return invoke


def statuses(report: Report) -> list[str]:
    return sorted(f"{one.status} {one.why or ''}".strip() for one in report.outcomes)
