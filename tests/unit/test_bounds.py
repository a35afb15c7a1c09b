"""Entries made to hold a process: each is unreadable, in bounded time and memory."""

import base64
import json
import subprocess
import sys
import time
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.messages.tool import invalid_tool_call
from langchain_core.outputs import ChatGeneration, Generation

from llm_cache import UnreadableEntry
from llm_cache.bounds import MAX_ITEMS, MAX_UNFINISHED
from llm_cache.entry import MAX_ANSWER, MAX_VALUES, Entry, body, decode, head
from llm_cache.generations import read, serialize

MEGABYTE = 1_000_000
SECONDS = 5.0  # of the processor, with each allocation traced


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
def test_an_entry_made_to_hold_a_process_is_unreadable_in_bounded_time_and_memory(
    name: str,
) -> None:
    text = HOSTILE[name]()
    tracemalloc.start()
    began = time.process_time()
    try:
        with pytest.raises(UnreadableEntry):
            read(decode(text))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert time.process_time() - began < SECONDS
    assert peak < 100 * MEGABYTE


IN_LITTLE = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (1_000_000_000, 1_000_000_000))
from llm_cache import UnreadableEntry
from llm_cache.entry import decode
from llm_cache.generations import read
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


AT_MOST: dict[str, Callable[[int], list[Generation]]] = {
    "answers": lambda more: [Generation(text="a")] * (MAX_ITEMS + more),
    "blocks": lambda more: [ChatGeneration(message=AIMessage([BLOCK] * (MAX_ITEMS + more)))],
    "calls": lambda more: [
        ChatGeneration(message=AIMessage("", tool_calls=[CALL] * (MAX_ITEMS + more)))
    ],
    "unfinished arguments": lambda more: [
        ChatGeneration(message=chunk('{"a":"' + "b" * (MAX_UNFINISHED // 2 - 6 + more), 2))
    ],
    "values": lambda more: [Generation(text="," * (MAX_VALUES - 104 + more))],
}


@pytest.mark.parametrize("name", AT_MOST)
def test_an_answer_at_its_bounds_is_stored_and_read(name: str) -> None:
    answer = AT_MOST[name](0)
    texts = serialize(answer)
    assert texts is not None
    epochs = '{"v":1,"epochs":{"":"e"' + "".join(f',"{n:032x}":"e"' for n in range(8))
    assert (
        read(decode(epochs + body(head(1.0, 60, "langchain"), texts).removeprefix('"'))) == answer
    )


@pytest.mark.parametrize("name", AT_MOST)
def test_an_answer_out_of_bounds_is_not_stored(name: str) -> None:
    assert serialize(AT_MOST[name](1)) is None


@pytest.mark.parametrize(
    "message",
    [
        chunk(json.dumps({"a": "b" * 2 * MAX_UNFINISHED})),
        AIMessage(
            "",
            invalid_tool_calls=[invalid_tool_call(name="f", args="{" * 10_000, id="1", error=None)],
        ),
    ],
    ids=["whole arguments", "of a message that is whole"],
)
def test_long_arguments_that_nobody_completes_are_stored(message: AIMessage) -> None:
    answer: list[Generation] = [ChatGeneration(message=message)]
    texts = serialize(answer)
    assert texts is not None
    assert read(Entry({"": "e"}, 0.0, 1, tuple(map(json.loads, texts)))) == answer


@pytest.mark.parametrize("fields", [None, [], "content", 7])
def test_a_message_whose_fields_are_no_object_is_unreadable(fields: object) -> None:
    message = {"kind": "AIMessage", "fields": fields}
    value = {"kind": "ChatGeneration", "info": None, "message": message}
    with pytest.raises(UnreadableEntry):
        read(Entry({"": "e"}, 0.0, 1, (value,)))
