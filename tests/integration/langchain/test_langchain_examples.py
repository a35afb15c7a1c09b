"""The examples of LangChain's documentation: with the cache, the same results for fewer calls."""

import asyncio
import uuid
import warnings
from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from typing import Any, TypeAlias

import pytest
from langchain_core.chat_history import InMemoryChatMessageHistory
from langchain_core.globals import set_llm_cache
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
    trim_messages,
)
from langchain_core.output_parsers import JsonOutputParser, PydanticToolsParser, StrOutputParser
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from langchain_core.runnables import (
    Runnable,
    RunnableBranch,
    RunnableLambda,
    RunnableParallel,
    RunnablePassthrough,
)
from langchain_core.runnables.history import RunnableWithMessageHistory
from langchain_core.tools import tool
from pydantic import BaseModel, Field
from tests.integration.langchain.assistant import Assistant
from upstash_redis import Redis

from llm_cache import CachePolicy, UpstashRedisCache, cached


@tool
def weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"sun in {city}"


class Place(BaseModel):
    """A place."""

    city: str = Field(description="Its name")


Example: TypeAlias = Callable[[BaseChatModel], Any]


def texts_and_arguments(messages: Sequence[BaseMessage]) -> list[Any]:
    """Return what is equal in every run: no ids of messages or of tool calls."""
    return [
        (message.text, [call["args"] for call in getattr(message, "tool_calls", [])])
        for message in messages
    ]


def agent(model: BaseChatModel) -> Any:
    history: list[BaseMessage] = [HumanMessage("The weather of Rome and Oslo?")]
    while True:
        answer = model.bind_tools([weather]).invoke(history)
        history.append(answer)
        if not answer.tool_calls:
            return texts_and_arguments(history)
        history += [weather.invoke(call) for call in answer.tool_calls]


def agent_of_several_turns(model: BaseChatModel) -> Any:
    history: list[BaseMessage] = [SystemMessage("Be brief.")]
    for question in ("The weather of Rome?", "And of Oslo?", "Thanks."):
        history.append(HumanMessage(question))
        while (answer := model.bind_tools([weather]).invoke(history)).tool_calls:
            history += [answer, *(weather.invoke(call) for call in answer.tool_calls)]
        history.append(answer)
    return texts_and_arguments(history)


def asynchronous_agent(model: BaseChatModel) -> Any:
    async def run() -> Any:
        history: list[BaseMessage] = [HumanMessage("The weather of Rome?")]
        answer = await model.bind_tools([weather]).ainvoke(history)
        history += [answer, *[await weather.ainvoke(call) for call in answer.tool_calls]]
        return texts_and_arguments([*history, await model.bind_tools([weather]).ainvoke(history)])

    return asyncio.run(run())


def prompt(text: str = "Tell me of {topic}.") -> ChatPromptTemplate:
    return ChatPromptTemplate.from_messages([("system", "Be brief."), ("human", text)])


def chain(model: BaseChatModel) -> Any:
    return (prompt() | model | StrOutputParser()).invoke({"topic": "bears"})


def chain_of_chains(model: BaseChatModel) -> Any:
    joke = prompt() | model | StrOutputParser()
    judged = {"topic": joke, "by": itemgetter("topic")} | prompt("Is {topic} by {by} funny?")
    return (judged | model | StrOutputParser()).invoke({"topic": "bears"})


def json_chain(model: BaseChatModel) -> Any:
    return (prompt("JSON of {topic}") | model | JsonOutputParser()).invoke({"topic": "bears"})


def structured(model: BaseChatModel) -> Any:
    return model.with_structured_output(Place).invoke("Where is Rome?")


def structured_with_raw(model: BaseChatModel) -> Any:
    answer = model.with_structured_output(Place, include_raw=True).invoke("Where is Rome?")
    assert isinstance(answer, dict)
    return answer["parsed"], answer["parsing_error"], answer["raw"].tool_calls[0]["args"]


def tools_parser(model: BaseChatModel) -> Any:
    extract = model.bind_tools([Place]) | PydanticToolsParser(tools=[Place])
    return extract.invoke("Between Rome and Oslo.")


def batch(model: BaseChatModel) -> Any:
    answers = (prompt() | model | StrOutputParser()).batch(
        [{"topic": topic} for topic in ("bears", "cats", "dogs")], {"max_concurrency": 2}
    )
    as_done = model.batch_as_completed(["bears", "cats"], config={"tags": ["a"]})
    return answers, sorted((index, message.text) for index, message in as_done)


def asynchronous_batch(model: BaseChatModel) -> Any:
    configs: Any = [{"run_name": name, "metadata": {"by": name}} for name in ("a", "b")]
    messages: list[Any] = asyncio.run(model.abatch(["bears", "cats"], configs))
    return texts_and_arguments(messages)


def parallel(model: BaseChatModel) -> Any:
    joke, poem = (prompt(f"A {kind} on {{topic}}.") | model for kind in ("joke", "poem"))
    both = RunnableParallel(joke=joke, poem=poem | StrOutputParser())
    answers = both.invoke({"topic": "bears"})
    return answers["joke"].text, answers["poem"]


def retrieval(model: BaseChatModel) -> Any:
    retriever: Runnable[str, str] = RunnableLambda(lambda question: f"All about {question}")
    inputs = {"context": retriever, "question": RunnablePassthrough()}
    answer = prompt("By {context}, answer {question}.") | model | StrOutputParser()
    return (inputs | RunnablePassthrough.assign(answer=answer)).invoke("bears")


def routing(model: BaseChatModel) -> Any:
    is_weather: Runnable[str, bool] = model | StrOutputParser() | (lambda text: "weather" in text)
    return RunnableBranch((is_weather, lambda _: "out"), model | StrOutputParser()).invoke("bears")


def retry(model: BaseChatModel) -> Any:
    model.busy.append("throttled")  # type: ignore[attr-defined]
    retried = model.with_retry(wait_exponential_jitter=False)
    try:
        return retried.invoke("bears").text
    finally:
        model.busy.clear()  # type: ignore[attr-defined]


def fallbacks(model: BaseChatModel) -> Any:
    failing = Assistant(busy=["down"] * 9, cache=False)
    return failing.with_fallbacks([model]).invoke("bears").text


def few_shots(model: BaseChatModel) -> Any:
    shots: list[BaseMessage] = [
        HumanMessage("Rome", name="example_user"),
        AIMessage(
            "",
            name="example_assistant",
            tool_calls=[{"name": "weather", "args": {"city": "Rome"}, "id": str(uuid.uuid4())}],
        ),
    ]
    shots.append(ToolMessage("sun", tool_call_id=shots[1].tool_calls[0]["id"]))  # type: ignore[attr-defined]
    full = ChatPromptTemplate.from_messages([MessagesPlaceholder("shots"), ("human", "{city}?")])
    return (full | model | StrOutputParser()).invoke({"shots": shots, "city": "Paris"})


def chat(model: BaseChatModel) -> Any:
    history: list[BaseMessage] = [SystemMessage("Be brief.")]
    fit = trim_messages(
        max_tokens=4, strategy="last", token_counter=len, include_system=True, start_on="human"
    )
    for question in ("one", "two", "three", "four"):
        history.append(HumanMessage(question))
        history.append((fit | model).invoke(history))
    return texts_and_arguments(history)


def chat_of_a_session(model: BaseChatModel) -> Any:
    full = ChatPromptTemplate.from_messages([MessagesPlaceholder("past"), ("human", "{question}")])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        past = InMemoryChatMessageHistory()
        remembering = RunnableWithMessageHistory(
            full | model,
            lambda: past,
            input_messages_key="question",
            history_messages_key="past",
            history_factory_config=[],
        )
        for question in ("one", "two", "three"):
            remembering.invoke({"question": question})
    return texts_and_arguments(past.messages)


def media(model: BaseChatModel) -> Any:
    image = {"type": "image", "base64": "AAAA", "mime_type": "image/png"}
    question = HumanMessage([{"type": "text", "text": "What is this?"}, image])
    return model.invoke([question]).text


def configured(model: BaseChatModel) -> Any:
    return (
        model.with_config(tags=["a"], run_name="b", callbacks=[]).bind(stop=["x"]).invoke("q").text
    )


EXAMPLES: list[Example] = [
    agent,
    agent_of_several_turns,
    asynchronous_agent,
    asynchronous_batch,
    batch,
    chain,
    chain_of_chains,
    chat,
    chat_of_a_session,
    configured,
    fallbacks,
    few_shots,
    json_chain,
    media,
    parallel,
    retrieval,
    retry,
    routing,
    structured,
    structured_with_raw,
    tools_parser,
]


def stream_of_a_chain(model: BaseChatModel) -> Any:
    return "".join((prompt() | model | StrOutputParser()).stream({"topic": "bears"}))


def asynchronous_stream(model: BaseChatModel) -> Any:
    async def run() -> str:
        return "".join([chunk.text async for chunk in model.astream("bears")])

    return asyncio.run(run())


def events(model: BaseChatModel) -> Any:

    async def run() -> Any:
        whole = prompt() | model | StrOutputParser()
        found = [each async for each in whole.astream_events({"topic": "bears"}, version="v2")]
        tokens = [e["data"]["chunk"].text for e in found if e["event"] == "on_chat_model_stream"]
        (ended,) = [e["data"]["output"].text for e in found if e["event"] == "on_chat_model_end"]
        kinds = list(dict.fromkeys(each["event"] for each in found))
        return "".join(tokens), ended, found[-1]["data"]["output"], kinds

    return asyncio.run(run())


def stream_of_an_agent(model: BaseChatModel) -> Any:
    history: list[BaseMessage] = [HumanMessage("The weather of Rome and Oslo?")]
    while True:
        whole: Any = None
        for chunk in model.bind_tools([weather]).stream(history):
            whole = chunk if whole is None else whole + chunk
        history.append(whole)
        if not whole.tool_calls:
            return texts_and_arguments(history)
        history += [weather.invoke(call) for call in whole.tool_calls]


def stream_of_structured_output(model: BaseChatModel) -> Any:
    return list(model.with_structured_output(Place).stream("Where is Rome?"))[-1]


def stream_of_parallel_chains(model: BaseChatModel) -> Any:
    text = model | StrOutputParser()
    both = RunnableParallel(
        joke=prompt("Joke: {topic}") | text, poem=prompt("Poem: {topic}") | text
    )
    parts = list(both.stream({"topic": "bears"}))
    return {name: "".join(part.get(name, "") for part in parts) for name in ("joke", "poem")}


STREAMS: list[Example] = [
    asynchronous_stream,
    events,
    stream_of_a_chain,
    stream_of_an_agent,
    stream_of_parallel_chains,
    stream_of_structured_output,
]


@pytest.fixture
def cache(redis: Redis) -> UpstashRedisCache:
    return UpstashRedisCache(redis, ttl=60, namespace="documented")


@pytest.fixture(params=["its own", "global", "cached"])
def model(request: pytest.FixtureRequest, cache: UpstashRedisCache) -> Iterator[BaseChatModel]:
    if request.param == "global":
        set_llm_cache(cache)
    own = None if request.param == "global" else cache
    bare = Assistant(cache=own)
    yield cached(bare) if request.param == "cached" else bare
    set_llm_cache(None)


def assert_same_result_for_fewer_calls(example: Example, model: Any) -> None:
    bare = Assistant(cache=False)
    expected = [example(bare) for _ in range(2)]
    assert expected[0] == expected[1]
    assert example(model) == expected[0]
    paid = sorted(model.answered)
    assert example(model) == expected[0]
    assert sorted(model.answered) == paid
    assert 2 * len(paid) <= len(bare.answered)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.__name__)
def test_example_has_the_same_result_and_its_second_run_calls_no_model(
    example: Example, model: BaseChatModel
) -> None:
    assert_same_result_for_fewer_calls(example, model)


@pytest.mark.parametrize("example", STREAMS, ids=lambda example: example.__name__)
def test_streamed_example_has_the_same_result_and_its_second_run_calls_no_model(
    example: Example, cache: UpstashRedisCache
) -> None:
    assert_same_result_for_fewer_calls(example, cached(Assistant(cache=cache)))


def test_agent_with_new_tool_call_ids_hits_the_stored_answer(
    cache: UpstashRedisCache,
) -> None:
    model = Assistant(cache=cache)
    ids = []
    for mode in ("use", "refresh"):
        history: list[BaseMessage] = [HumanMessage("The weather of Rome and Oslo?")]
        with cache.policy(CachePolicy(mode=mode)):
            history.append(model.bind_tools([weather]).invoke(history))
        calls = history[-1].tool_calls  # type: ignore[attr-defined]
        ids += [call["id"] for call in calls]
        history += [weather.invoke(call) for call in calls]
        assert "sun in Oslo" in model.bind_tools([weather]).invoke(history).text
    assert len({*ids}) == 4
    assert len(model.answered) == 3
