"""Entries made to hold a process: each is unreadable, in bounded time and memory."""

import base64
import json
import subprocess
import sys
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.messages.tool import invalid_tool_call
from langchain_core.outputs import ChatGeneration, Generation
from tests.call_count import count_calls

from llm_cache import UnreadableEntry
from llm_cache._entries.envelope import MAX_ANSWER, MAX_VALUES, Entry, body, decode, head
from llm_cache._entries.json_bounds import MAX_GENERATIONS, MAX_PARTS
from llm_cache._langchain.codec import read, serialize

MEGABYTE = 1_000_000
AT_ONCE = 1000  # calls of functions: it is refused before anything is made of it
EACH = 4  # calls for each character of an entry, at most


def entry(field: str) -> str:
    return f'{{"v":1,"epochs":{{"":"e"}},"created":1.0,"ttl":60,{field}}}'


def plain(answer: str) -> str:
    return entry(f'"answer":[{answer}]')


def packed(answer: str) -> str:
    return entry(f'"z":"{base64.b64encode(zlib.compress(f"[{answer}]".encode(), 9)).decode()}"')


def chat(kind: str, fields: str) -> str:
    message = f'{{"kind":"{kind}","fields":{{{fields}}}}}'
    return f'{{"kind":"ChatGeneration","info":null,"message":{message}}}'


def many(item: str, length: int = MAX_ANSWER - 1000) -> str:
    return f"{item}," * (length // (len(item) + 1)) + item


UNFINISHED = json.dumps('{"a":' + "!" * 30_000)
ECHOED = (
    f'"additional_kwargs":{{"tool_calls":[{{"function":{{"name":"f","arguments":{UNFINISHED}}}}}]}}'
)
CHUNK = f'"tool_call_chunks":[{{"name":"f","id":"1","index":0,"args":{UNFINISHED}}}]'
TEXT = '{"kind":"Generation","info":null,"text":""}'

# What each would take without bounds, in gigabytes or seconds, is in brackets.
HOSTILE: dict[str, Callable[[], str]] = {
    "lists": lambda: packed(many("[]")),  # 0.5 GB
    "objects": lambda: packed(many('{"":0}')),  # 0.5 GB
    "numbers": lambda: packed(many("9999")),  # 0.2 GB
    "answers": lambda: packed(many(TEXT)),  # 0.3 GB
    "unfinished arguments": lambda: plain(chat("AIMessageChunk", f'"content":"",{CHUNK}')),  # 6 s
    "unfinished echoes": lambda: plain(chat("AIMessageChunk", f'"content":"",{ECHOED}')),  # 6 s
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_an_entry_made_to_hold_a_process_is_unreadable_in_bounded_work_and_memory(
    name: str,
) -> None:
    text = HOSTILE[name]()

    def refused() -> None:
        with pytest.raises(UnreadableEntry):
            read(decode(text))

    assert count_calls(refused) < AT_ONCE
    assert peak(refused) < 100 * MEGABYTE


IN_LITTLE = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (1_000_000_000, 1_000_000_000))
from llm_cache import UnreadableEntry
from llm_cache._entries.envelope import decode
from llm_cache._langchain.codec import read
try:
    read(decode(sys.stdin.read()))
except UnreadableEntry:
    print("unreadable")
"""


@pytest.mark.parametrize("written", [plain, packed])
def test_what_validators_refuse_item_by_item_does_not_end_the_process(
    written: Callable[[str], str],
) -> None:
    """Their errors are no memory of Python's, and where there is none left they abort."""
    text = written(chat("AIMessage", f'"content":[{many("1", 1_900_000)}]'))
    done = subprocess.run(
        [sys.executable, "-c", IN_LITTLE], input=text, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "unreadable\n"), done.stderr


BLOCK: Any = {"type": "text", "text": "a"}
CALL: Any = {"name": "f", "args": {}, "id": "1"}


def chunk(args: str, count: int = 1) -> AIMessageChunk:
    calls: Any = [{"name": "f", "args": args, "id": "1", "index": n} for n in range(count)]
    return AIMessageChunk(content="", tool_call_chunks=calls)


def wide(count: int) -> dict[str, Any]:
    return {str(number): 0 for number in range(count)}


FEW = MAX_PARTS // 6 - 10
AT_MOST: dict[str, tuple[int, Callable[[int], list[Generation]]]] = {
    "answers": (MAX_GENERATIONS, lambda count: [Generation(text="a")] * count),
    "blocks": (
        MAX_PARTS // 4 - 10,
        lambda count: [ChatGeneration(message=AIMessage([BLOCK] * count))],
    ),
    "calls": (
        FEW,
        lambda count: [ChatGeneration(message=AIMessage("", tool_calls=[CALL] * count))],
    ),
    "fields": (
        MAX_PARTS - 20,
        lambda count: [ChatGeneration(message=AIMessage("a", response_metadata=wide(count)))],
    ),
    "information": (
        MAX_PARTS - 20,
        lambda count: [Generation(text="a", generation_info=wide(count))],
    ),
    "values": (MAX_VALUES - 104, lambda count: [Generation(text="," * count)]),
}


@pytest.mark.parametrize("name", AT_MOST)
def test_an_answer_at_its_bounds_is_stored_and_read(name: str) -> None:
    most, answers = AT_MOST[name]
    answer = answers(most)
    texts = serialize(answer)
    assert texts is not None
    epochs = '{"v":1,"epochs":{"":"e"' + "".join(f',"{n:032x}":"e"' for n in range(8))
    assert (
        read(decode(epochs + body(head(1.0, 60, "langchain"), texts).removeprefix('"'))) == answer
    )


@pytest.mark.parametrize("name", AT_MOST)
def test_an_answer_out_of_bounds_is_not_stored(name: str) -> None:
    most, answers = AT_MOST[name]
    assert serialize(answers(most + most // 50)) is None


@pytest.mark.parametrize(
    "message",
    [
        chunk(json.dumps({"a": "b" * 10_000})),
        chunk(""),
        AIMessage(
            "",
            invalid_tool_calls=[invalid_tool_call(name="f", args="{" * 10_000, id="1", error=None)],
        ),
    ],
    ids=["whole arguments", "no arguments", "of a message that is whole"],
)
def test_arguments_that_nobody_completes_are_stored(message: AIMessage) -> None:
    answer: list[Generation] = [ChatGeneration(message=message)]
    texts = serialize(answer)
    assert texts is not None
    assert read(Entry({"": "e"}, 0.0, 1, tuple(map(json.loads, texts)))) == answer


def test_arguments_that_langchain_would_complete_are_not_stored() -> None:
    assert serialize([ChatGeneration(message=chunk('{"a": "b'))]) is None


def of(kind: str = "AIMessage", info: object = None, **fields: Any) -> dict[str, Any]:
    message = {"kind": kind, "fields": {"content": "", **fields}}
    return {"kind": "ChatGeneration", "info": info, "message": message}


USAGE = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
UNDONE = {"name": "f", "args": '{"a":' + "!" * 100, "id": "1", "index": 0}
FUNCTION = {"id": "1", "function": {"name": "f", "arguments": "{}"}}
ECHOES = {"tool_calls": [FUNCTION] * 20_000}
LONG = 20_000

# Each took seconds, or tens of megabytes, for a small entry; all but the last are refused.
PLANTED: dict[str, Callable[[], list[Any]]] = {
    "blocks": lambda: [of(content=[BLOCK] * LONG)],
    "empty blocks": lambda: [of(content=[{}] * LONG)],
    "texts": lambda: [of(content=["a"] * LONG)],
    "blocks of a wrong type": lambda: [of(content=[1] * LONG)],
    "blocks of many answers": lambda: [of(content=[{}] * 300)] * MAX_GENERATIONS,
    "calls": lambda: [of(tool_calls=[CALL] * LONG)],
    "calls of a wrong type": lambda: [of(tool_calls=[{"name": 1, "args": 2, "id": 3}] * LONG)],
    "invalid calls": lambda: [of(invalid_tool_calls=[{"name": [], "args": {}}] * LONG)],
    "echoes of calls": lambda: [of(additional_kwargs=ECHOES)],
    "echoes in a chunk": lambda: [of("AIMessageChunk", additional_kwargs=ECHOES)],
    "extras": lambda: [of(additional_kwargs=wide(LONG))],
    "metadata": lambda: [of(response_metadata=wide(LONG))],
    "information": lambda: [of(info=wide(LONG))],
    "fields": lambda: [of(**wide(LONG))],
    "usage": lambda: [of(usage_metadata=USAGE | wide(LONG))],
    "details of usage": lambda: [of(usage_metadata=USAGE | {"input_token_details": wide(LONG)})],
    "arguments": lambda: [of(tool_calls=[CALL | {"args": wide(LONG)}])],
    "deep arguments": lambda: [
        of("AIMessageChunk", tool_call_chunks=[UNDONE | {"args": "[" * LONG}])
    ],
    "short undone arguments of many": lambda: (
        [of("AIMessageChunk", tool_call_chunks=[UNDONE])] * MAX_GENERATIONS
    ),
    "chats": lambda: [of()] * 20_000,
    "what stands for bytes": lambda: [
        {**of(response_metadata={"a": [[]] * LONG, "b": {"b": "?"}}), "bytes": "b"}
    ],
    "more of an envelope": lambda: [{**of(), "more": [0] * LONG}],
    "more of a message": lambda: [
        {**of(), "message": {"kind": "AIMessage", "fields": {"content": ""}, "more": [0] * LONG}}
    ],
}


@pytest.mark.parametrize("name", PLANTED)
def test_planted_message_is_unreadable_in_bounded_work_and_memory(
    name: str,
) -> None:
    text = json.dumps(PLANTED[name]())
    entries = [Entry({"": "e"}, 0.0, 1, tuple(json.loads(text))) for _ in range(2)]

    def refused() -> None:
        with pytest.raises(UnreadableEntry):
            read(entries.pop())

    assert count_calls(refused) < AT_ONCE + EACH * len(text)
    assert peak(refused) < 16 * MEGABYTE


def peak(work: Callable[[], object]) -> int:
    """Return the most bytes that Python had for this work at a time."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "usage",
    [
        USAGE | {"input_tokens": 10**4000},
        USAGE | {"output_tokens": -1},
        USAGE | {"total_tokens": True},
        USAGE | {"total_tokens": 2.0},
        USAGE | {"total_tokens": "2"},
        USAGE | {"input_token_details": {"cache_read": 10**18}},
        USAGE | {"reasoning": False},
        {"input_tokens": 1},
        [1],
    ],
)
def test_message_with_impossible_token_counts_is_unreadable(usage: object) -> None:
    with pytest.raises(UnreadableEntry):
        read(Entry({"": "e"}, 0.0, 1, (of(usage_metadata=usage),)))


@pytest.mark.parametrize(
    "value",
    [
        of(content="a \ud800"),
        of(content=[{"type": "text", "text": "\udfff"}]),
        of(response_metadata={"\udc00": 1}),
        of(info={"logprob": float("nan")}),
        of(response_metadata={"logprob": [float("inf")]}),
        {"kind": "Generation", "info": None, "text": "\ud800"},
        {**of(content=[{"b": "no base64"}]), "bytes": "b"},
        {**of(content=[{"b": 7}]), "bytes": "b"},
        {**of(), "bytes": ["b"]},
    ],
)
def test_message_with_a_lone_surrogate_nan_or_wrong_bytes_is_unreadable(value: object) -> None:
    with pytest.raises(UnreadableEntry):
        read(decode(plain(json.dumps(value))))


@pytest.mark.parametrize("number", ["1e999", "-1e999", "9" * 400 + ".0", "NaN", "-Infinity"])
def test_number_that_no_float_holds_is_unreadable(number: str) -> None:
    with pytest.raises(UnreadableEntry, match="not JSON"):
        decode(plain(f'{{"kind":"Generation","info":{{"a":{number}}},"text":"a"}}'))


@pytest.mark.parametrize("fields", [None, [], "content", 7])
def test_a_message_whose_fields_are_no_object_is_unreadable(fields: object) -> None:
    message = {"kind": "AIMessage", "fields": fields}
    value = {"kind": "ChatGeneration", "info": None, "message": message}
    with pytest.raises(UnreadableEntry):
        read(Entry({"": "e"}, 0.0, 1, (value,)))
