import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upstash_endpoint.resp import Parser, RedisError, RedisReply, SimpleString, pack


def test_command_is_packed_as_an_array_of_strings() -> None:
    assert pack([b"SET", b"k\r\n", b""]) == b"*3\r\n$3\r\nSET\r\n$3\r\nk\r\n\r\n$0\r\n\r\n"


@given(st.lists(st.integers(0, 60)))
def test_replies_do_not_depend_on_how_the_bytes_arrive(cuts: list[int]) -> None:
    stream = b"+OK\r\n$6\r\na\r\nb\r\n\r\n*3\r\n:-7\r\n$-1\r\n*1\r\n-ERR a\r\n*-1\r\n*0\r\n"
    parser, edges = Parser(), [0, *sorted(cuts), len(stream)]
    parts = [stream[start:end] for start, end in itertools.pairwise(edges)]
    replies = [reply for part in parts for reply in parser.feed(part)]
    values = [b"OK", b"a\r\nb\r\n", [-7, None, [b"ERR a"]], None, []]
    assert [reply.value for reply in replies] == values
    assert b"".join(reply.raw for reply in replies) == stream


def test_status_string_and_error_have_different_types() -> None:
    replies = list(Parser().feed(b"+OK\r\n$2\r\nOK\r\n-OK\r\n"))
    assert [type(reply.value) for reply in replies] == [SimpleString, bytes, RedisError]


@pytest.mark.parametrize("garbage", [b"HTTP/1.1 200 OK\r\n", b"$x\r\n", b":\r\n"])
def test_bytes_that_are_not_resp2_raise(garbage: bytes) -> None:
    with pytest.raises(ValueError, match=r"not RESP2|invalid literal"):
        list(Parser().feed(garbage))


@given(st.binary())
def test_formatted_reply_is_parsed_to_the_same_value(value: bytes) -> None:
    made = RedisReply.string(value)
    assert list(Parser().feed(made.raw)) == [made] == [RedisReply(value, made.raw)]
