import math
from typing import Any

import pytest
from tests.unit.protocol.operations import drive

from llm_cache import StoreGarbled
from llm_cache._protocol.effects import Command
from llm_cache._protocol.redis_commands import flushdb, mget, scan, script, unlink

MGET, UNLINK, SCAN = mget("k", "l"), unlink("k"), scan("0", "k*", 9)
FLUSHDB, SCRIPT = flushdb("SYNC"), script("return 1", ("k", "l"), "a", 2)


@pytest.mark.parametrize(
    ("command", "args", "reply", "value"),
    [
        (MGET, ("MGET", "k", "l"), ["a", None], ["a", None]),
        (UNLINK, ("UNLINK", "k"), 0, 0),
        (SCAN, ("SCAN", "0", "MATCH", "k*", "COUNT", 9), [0, []], ("0", [])),
        (SCAN, ("SCAN", "0", "MATCH", "k*", "COUNT", 9), ("7", ["a", "b"]), ("7", ["a", "b"])),
        (FLUSHDB, ("FLUSHDB", "SYNC"), "OK", None),
        (FLUSHDB, ("FLUSHDB", "SYNC"), True, None),
        (SCRIPT, ("EVAL", "return 1", 2, "k", "l", "a", 2), 1, 1),
    ],
)
def test_command_sends_its_arguments_and_returns_the_parsed_reply(
    command: Command[Any], args: tuple[object, ...], reply: object, value: object
) -> None:
    assert drive(iter(command), reply) == ([args], value)


@pytest.mark.parametrize(
    ("command", "replies"),
    [
        (FLUSHDB, [None, False, "", "PONG", 1, [], {"a": 1}]),
        (UNLINK, [None, True, "1", 1.5, math.nan, [1]]),
        (SCRIPT, [None, True, "1", 1.5, [1]]),
        (MGET, [None, "ab", [], ["a"], ["a", "b", "c"], ["a", 1], [["a"], "b"]]),
        (SCAN, [None, [], ["0"], ["0", None], ["0", "ab"], [None, []], ["0", [1]], ["0", [], []]]),
    ],
)
def test_reply_of_another_shape_is_garbled(command: Command[Any], replies: list[Any]) -> None:
    for reply in replies:
        with pytest.raises(StoreGarbled):
            drive(iter(command), reply)
