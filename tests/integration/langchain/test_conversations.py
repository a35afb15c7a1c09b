"""Conversations asked again: no model call is paid for twice (langchain#35308)."""

import asyncio
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from upstash_redis import Redis

from llm_cache import UpstashRedisCache

Ask = Callable[[BaseChatModel, list[BaseMessage]], BaseMessage]


class Provider(BaseChatModel):
    """Answers with an id, usage and metadata that no other answer has, and counts its calls."""

    calls: list[str]
    cities: tuple[str, ...] = ()

    @property
    def _llm_type(self) -> str:
        return "provider"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        self.calls.append(str(messages[-1].content))
        message = AIMessage(
            f"answer to {messages[-1].content}",
            id=f"msg_{uuid.uuid4()}",
            tool_calls=[] if isinstance(messages[-1], ToolMessage) else self._tool_calls(),
            usage_metadata={"input_tokens": 3, "output_tokens": 4, "total_tokens": 7},
            response_metadata={"request_id": uuid.uuid4().hex, "model_provider": "provider"},
        )
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _tool_calls(self) -> list[Any]:
        return [
            {"name": "weather", "args": {"city": city}, "id": f"call_{uuid.uuid4()}"}
            for city in self.cities
        ]


@pytest.fixture
def cache(redis: Redis) -> UpstashRedisCache:
    return UpstashRedisCache(redis, ttl=60, namespace="conversations")


@pytest.fixture
def model(cache: UpstashRedisCache) -> Provider:
    return Provider(cache=cache, calls=[])


@pytest.fixture(params=["invoke", "ainvoke"])
def ask(request: pytest.FixtureRequest) -> Ask:
    ways: dict[str, Ask] = {
        "invoke": lambda model, messages: model.invoke(messages),
        "ainvoke": lambda model, messages: asyncio.run(model.ainvoke(messages)),
    }
    return ways[request.param]


def converse(ask: Ask, model: Provider, *questions: str) -> list[BaseMessage]:
    history: list[BaseMessage] = [SystemMessage("Be brief.")]
    for question in questions:
        history.append(HumanMessage(question))
        history.append(ask(model, history))
    return history


def test_a_conversation_asked_again_costs_no_model_call(ask: Ask, model: Provider) -> None:
    first = converse(ask, model, "one", "two", "three")
    assert model.calls == ["one", "two", "three"]
    again = converse(ask, model, "one", "two", "three")
    assert model.calls == ["one", "two", "three"]
    assert [message.content for message in again] == [message.content for message in first]


def test_a_conversation_that_turns_elsewhere_shares_what_came_before(
    ask: Ask, model: Provider
) -> None:
    converse(ask, model, "one", "two", "three")
    converse(ask, model, "one", "four", "three")
    assert model.calls == ["one", "two", "three", "four", "three"]


def run_agent(ask: Ask, model: Provider, *, weather: dict[str, str]) -> BaseMessage:
    """Ask, answer the tool calls under ids of this run's own, and ask again."""
    history: list[BaseMessage] = [HumanMessage("What is the weather?")]
    answer = ask(model, history)
    assert isinstance(answer, AIMessage)
    calls: list[Any] = [{**call, "id": f"call_{uuid.uuid4()}"} for call in answer.tool_calls]
    history.append(answer.model_copy(update={"tool_calls": calls}))
    history += [ToolMessage(weather[c["args"]["city"]], tool_call_id=c["id"]) for c in calls]
    return ask(model, history)


@pytest.fixture
def agent(cache: UpstashRedisCache) -> Provider:
    return Provider(cache=cache, calls=[], cities=("Paris", "Oslo"))


def test_an_agent_run_again_costs_no_model_call(ask: Ask, agent: Provider) -> None:
    weather = {"Paris": "sun", "Oslo": "rain"}
    first = run_agent(ask, agent, weather=weather)
    assert len(agent.calls) == 2
    assert run_agent(ask, agent, weather=weather).content == first.content
    assert len(agent.calls) == 2


def test_an_agent_whose_tools_answer_otherwise_asks_the_model(ask: Ask, agent: Provider) -> None:
    run_agent(ask, agent, weather={"Paris": "sun", "Oslo": "rain"})
    run_agent(ask, agent, weather={"Paris": "rain", "Oslo": "sun"})
    assert len(agent.calls) == 3
