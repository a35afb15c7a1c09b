"""Hostile entries are unreadable, in bounded work and memory."""

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
from llm_cache._entries.compression import MAX_ANSWER
from llm_cache._entries.envelope import Entry, decode, encode_body, metadata
from llm_cache._entries.json_bounds import (
    MAX_GENERATIONS,
    MAX_PARTS,
    MAX_VALUES,
    within_value_limit,
)
from llm_cache._langchain.codec import read, serialize

MEGABYTE = 1_000_000
CALLS_AT_MOST = 1000  # of functions, to refuse an entry before any object is made of it
CALLS_PER_CHARACTER = 4


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

# The cost without bounds is in comments.
HOSTILE: dict[str, Callable[[], str]] = {
    "lists": lambda: packed(many("[]")),  # 0.5 GB
    "objects": lambda: packed(many('{"":0}')),  # 0.5 GB
    "numbers": lambda: packed(many("9999")),  # 0.2 GB
    "answers": lambda: packed(many(TEXT)),  # 0.3 GB
    "unfinished arguments": lambda: plain(chat("AIMessageChunk", f'"content":"",{CHUNK}')),  # 6 s
    "unfinished echoes": lambda: plain(chat("AIMessageChunk", f'"content":"",{ECHOED}')),  # 6 s
}  # fmt: skip


def refused_in_bounds(attempt: Callable[[], object], calls: int, megabytes: int) -> None:
    def refused() -> None:
        with pytest.raises(UnreadableEntry):
            attempt()

    assert count_calls(refused) < calls
    tracemalloc.start()
    try:
        refused()
        assert tracemalloc.get_traced_memory()[1] < megabytes * MEGABYTE
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_entry_is_unreadable_in_bounded_work_and_memory(name: str) -> None:
    text = HOSTILE[name]()
    refused_in_bounds(lambda: read(decode(text)), CALLS_AT_MOST, 100)


IN_LITTLE_MEMORY = """
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
def test_content_of_many_wrong_items_does_not_abort_the_process(
    written: Callable[[str], str],
) -> None:
    """pydantic-core aborts the process if it finds no memory for its errors."""
    text = written(chat("AIMessage", f'"content":[{many("1", 1_900_000)}]'))
    done = subprocess.run(
        [sys.executable, "-c", IN_LITTLE_MEMORY],
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "unreadable\n"), done.stderr


BLOCK: Any = {"type": "text", "text": "a"}
CALL: Any = {"name": "f", "args": {}, "id": "1"}


def chunk(args: str, count: int = 1) -> AIMessageChunk:
    calls: Any = [{"name": "f", "args": args, "id": "1", "index": n} for n in range(count)]
    return AIMessageChunk(content="", tool_call_chunks=calls)


def wide(count: int) -> dict[str, Any]:
    return {str(number): 0 for number in range(count)}


def chat_answer(content: Any = "", **fields: Any) -> list[Generation]:
    return [ChatGeneration(message=AIMessage(content, **fields))]


AT_MOST: dict[str, tuple[int, Callable[[int], list[Generation]]]] = {
    "answers": (MAX_GENERATIONS, lambda count: [Generation(text="a")] * count),
    "blocks": (MAX_PARTS // 4 - 10, lambda count: chat_answer([BLOCK] * count)),
    "calls": (MAX_PARTS // 6 - 10, lambda count: chat_answer(tool_calls=[CALL] * count)),
    "fields": (MAX_PARTS - 20, lambda count: chat_answer(response_metadata=wide(count))),
    "info": (MAX_PARTS - 20, lambda count: [Generation(text="a", generation_info=wide(count))]),
    "values": (MAX_VALUES - 104, lambda count: [Generation(text="," * count)]),
}


@pytest.mark.parametrize("name", AT_MOST)
def test_answer_at_a_bound_is_stored_and_beyond_it_is_not(name: str) -> None:
    most, answers = AT_MOST[name]
    answer = answers(most)
    texts = serialize(answer)
    assert texts is not None
    epochs = '{"v":1,"epochs":{"":"e"' + "".join(f',"{n:032x}":"e"' for n in range(8))
    body = encode_body(metadata(1.0, 60, "langchain"), texts)
    assert read(decode(epochs + body.removeprefix('"'))) == answer
    assert serialize(answers(most + most // 50)) is None


INVALID_CALL = invalid_tool_call(name="f", args="{" * 10_000, id="1", error=None)


@pytest.mark.parametrize(
    ("message", "is_stored"),
    [
        (chunk(json.dumps({"a": "b" * 10_000})), True),
        (chunk(""), True),
        (AIMessage("", invalid_tool_calls=[INVALID_CALL]), True),
        (chunk('{"a": "b'), False),
    ],
    ids=["complete arguments", "no arguments", "a complete message", "truncated arguments"],
)
def test_message_is_stored_unless_langchain_would_complete_its_arguments(
    message: AIMessage, is_stored: bool
) -> None:
    answer: list[Generation] = [ChatGeneration(message=message)]
    texts = serialize(answer)
    assert (texts is not None) == is_stored
    if texts:
        assert read(Entry({"": "e"}, 0.0, 1, tuple(map(json.loads, texts)))) == answer


def generation(kind: str = "AIMessage", info: object = None, **fields: Any) -> dict[str, Any]:
    message = {"kind": kind, "fields": {"content": "", **fields}}
    return {"kind": "ChatGeneration", "info": info, "message": message}


def chunk_of(call: dict[str, Any]) -> dict[str, Any]:
    return generation("AIMessageChunk", tool_call_chunks=[call])


USAGE = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
TRUNCATED = {"name": "f", "args": '{"a":' + "!" * 100, "id": "1", "index": 0}
FUNCTION = {"id": "1", "function": {"name": "f", "arguments": "{}"}}
ECHOES = {"tool_calls": [FUNCTION] * 20_000}
LONG = 20_000
MESSAGE: dict[str, Any] = {"kind": "AIMessage", "fields": {"content": ""}}

# Without bounds, each took seconds or tens of megabytes for a small entry.
PLANTED: dict[str, list[Any]] = {
    "blocks": [generation(content=[BLOCK] * LONG)],
    "empty blocks": [generation(content=[{}] * LONG)],
    "texts": [generation(content=["a"] * LONG)],
    "blocks of a wrong type": [generation(content=[1] * LONG)],
    "blocks of many answers": [generation(content=[{}] * 300)] * MAX_GENERATIONS,
    "calls": [generation(tool_calls=[CALL] * LONG)],
    "wrong calls": [generation(tool_calls=[{"name": 1, "args": 2, "id": 3}] * LONG)],
    "invalid calls": [generation(invalid_tool_calls=[{"name": [], "args": {}}] * LONG)],
    "echoes of calls": [generation(additional_kwargs=ECHOES)],
    "echoes in a chunk": [generation("AIMessageChunk", additional_kwargs=ECHOES)],
    "extras": [generation(additional_kwargs=wide(LONG))],
    "metadata": [generation(response_metadata=wide(LONG))],
    "info": [generation(info=wide(LONG))],
    "fields": [generation(**wide(LONG))],
    "usage": [generation(usage_metadata=USAGE | wide(LONG))],
    "usage details": [generation(usage_metadata=USAGE | {"input_token_details": wide(LONG)})],
    "arguments": [generation(tool_calls=[CALL | {"args": wide(LONG)}])],
    "nested arguments": [chunk_of(TRUNCATED | {"args": "[" * LONG})],
    "truncated arguments": [chunk_of(TRUNCATED)] * MAX_GENERATIONS,
    "chats": [generation()] * LONG,
    "bytes": [generation(info={"a": [[]] * LONG, "b": {"b": "?"}}) | {"bytes": "b"}],
    "an unknown field": [generation() | {"more": [0] * LONG}],
    "an unknown field of a message": [{**generation(), "message": MESSAGE | {"more": [0] * LONG}}],
}  # fmt: skip


@pytest.mark.parametrize("name", PLANTED)
def test_planted_message_is_unreadable_in_bounded_work_and_memory(name: str) -> None:
    text = json.dumps(PLANTED[name])
    entries = [Entry({"": "e"}, 0.0, 1, tuple(json.loads(text))) for _ in range(2)]
    calls = CALLS_AT_MOST + CALLS_PER_CHARACTER * len(text)
    refused_in_bounds(lambda: read(entries.pop()), calls, 16)


USAGES: list[Any] = [
    *({"input_tokens": 10**4000}, {"output_tokens": -1}, {"total_tokens": True}),
    *({"total_tokens": 2.0}, {"total_tokens": "2"}, {"reasoning": False}),
    {"input_token_details": {"cache_read": 10**18}},
]
WRONG_FIELDS: list[Any] = [None, [], "content", 7]
NO_FIELDS = [MESSAGE | {"fields": fields} for fields in WRONG_FIELDS]


@pytest.mark.parametrize(
    "value",
    [
        *(generation(usage_metadata=USAGE | usage) for usage in USAGES),
        *(generation(usage_metadata=usage) for usage in ({"input_tokens": 1}, [1])),
        *(generation() | {"message": message} for message in NO_FIELDS),
    ],
)
def test_message_with_impossible_fields_or_token_counts_is_unreadable(value: object) -> None:
    with pytest.raises(UnreadableEntry):
        read(Entry({"": "e"}, 0.0, 1, (value,)))


@pytest.mark.parametrize(
    "value",
    [
        generation(content="a \ud800"),
        generation(content=[{"type": "text", "text": "\udfff"}]),
        generation(response_metadata={"\udc00": 1}),
        generation(info={"logprob": float("nan")}),
        generation(response_metadata={"logprob": [float("inf")]}),
        {"kind": "Generation", "info": None, "text": "\ud800"},
        generation(content=[{"b": "no base64"}]) | {"bytes": "b"},
        generation(content=[{"b": 7}]) | {"bytes": "b"},
        generation() | {"bytes": ["b"]},
    ],
)
def test_message_with_a_lone_surrogate_nan_or_wrong_bytes_is_unreadable(value: object) -> None:
    with pytest.raises(UnreadableEntry):
        read(decode(plain(json.dumps(value))))


NUMBERS = ["1e999", "-1e999", "9" * 400 + ".0", "NaN", "-Infinity"]


@pytest.mark.parametrize("value", [*NUMBERS, '"\\ud800"', '"\\uDfff"'])
def test_number_beyond_floats_or_lone_surrogate_is_unreadable(value: str) -> None:
    with pytest.raises(UnreadableEntry, match="not JSON"):
        decode(plain(value))


@pytest.mark.parametrize(("count", "fits"), [(MAX_VALUES - 102, True), (MAX_VALUES - 101, False)])
def test_writer_leaves_room_for_the_values_of_the_envelope(count: int, fits: bool) -> None:
    assert within_value_limit(["1", "," * count]) == fits
