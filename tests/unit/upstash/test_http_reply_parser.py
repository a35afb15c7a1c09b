"""The parser of HTTP replies: which bytes are a reply, and which are refused."""

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_cache import StoreGarbled
from llm_cache._upstash import http_reply_parser
from llm_cache._upstash.http_messages import ConnectionDropped, HttpReply
from llm_cache._upstash.http_reply_parser import MAX_HEAD, MAX_REPLY, start_parser

BODY = b'{"result":"T0s="}'
OK = b"HTTP/1.1 200 OK\r\n"
SIZED = b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
CHUNKS = b"5\r\n" + BODY[:5] + b"\r\n%x\r\n" % (len(BODY) - 5) + BODY[5:] + b"\r\n0\r\n"


def read(data: bytes, *cuts: int, tunnel: bool = False) -> HttpReply:
    """Return the reply in ``data``, received in pieces that end at ``cuts``, then a close."""
    parser = start_parser(tunnel=tunnel)
    edges = [0, *sorted(cuts), len(data)]
    pieces = [data[start:end] for start, end in itertools.pairwise(edges)]
    try:
        for piece in [*filter(None, pieces), b""]:
            parser.send(piece)
    except StopIteration as done:
        reply: HttpReply = done.value
        return reply
    raise AssertionError("neither a reply nor an error after the close")


KEPT = {
    "a length": OK + SIZED,
    "the same length twice": OK + b"Content-Length: %d\r\n" % len(BODY) + SIZED,
    "a length in a list": OK + b"Content-Length: %d, %d\r\n\r\n" % (len(BODY), len(BODY)) + BODY,
    "no reason": b"HTTP/1.1 200\r\n" + SIZED,
    "a bare status and a space": b"HTTP/1.1 200 \r\n" + SIZED,
    "bare line feeds": (OK + b"A: b\r\n" + SIZED).replace(b"\r\n", b"\n"),
    "a folded header": OK + b"A: b\r\n c\r\n" + SIZED,
    "an empty header": OK + b"A:\r\n" + SIZED,
    "a header that is not ASCII": OK + b"A: \xff\r\n" + SIZED,
    "names in any case": OK + SIZED.replace(b"Content-Length", b"cOnTeNt-lEnGtH"),
    "early hints": b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" * 3 + OK + SIZED,
    "continue": b"HTTP/1.1 100 Continue\r\n\r\n" + OK + SIZED,
    "chunks": OK + CHUNKED + CHUNKS + b"\r\n",
    "chunks and trailers": OK + CHUNKED + CHUNKS + b"Digest: a\r\nB: c\r\n\r\n",
    "chunks with extensions": OK + CHUNKED + CHUNKS.replace(b"5\r\n", b"05 ;a=b\r\n", 1) + b"\r\n",
    "an identity": OK + b"Content-Encoding: identity\r\n" + SIZED,
    "HTTP/1.0 kept": b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n" + SIZED,
}
CLOSED = {
    "until the close": OK + b"\r\n" + BODY,
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\n" + SIZED,
    "HTTP/1.0 until the close": b"HTTP/1.0 200 OK\r\n\r\n" + BODY,
    "a close header": OK + b"Connection: close\r\n" + SIZED,
    "a close among options": OK + b"Connection: a, Close\r\n" + SIZED,
    "bytes after the reply": OK + SIZED + b"H",
    "the reply twice": (OK + SIZED) * 2,
    "both framings": OK + b"Content-Length: 1\r\n" + CHUNKED + CHUNKS + b"\r\n",
}
GARBLED = {
    "another protocol": b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    "HTTP/2": b"HTTP/2 200\r\n" + SIZED,
    "HTTP/0.9": BODY + b"\r\n\r\n",
    "an upgrade": b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + OK + SIZED,
    "a status of letters": b"HTTP/1.1 two hundred\r\n" + SIZED,
    "a status of four digits": b"HTTP/1.1 2000 OK\r\n" + SIZED,
    "a status that is not ASCII": b"HTTP/1.1 2\xb20 OK\r\n" + SIZED,
    "a header without a colon": OK + b"nonsense\r\n" + SIZED,
    "a header without a name": OK + b": a\r\n" + SIZED,
    "a space before the colon": OK + b"A : b\r\n" + SIZED,
    "a negative length": OK + b"Content-Length: -1\r\n\r\n" + BODY,
    "a length of letters": OK + b"Content-Length: many\r\n\r\n" + BODY,
    "no length in its header": OK + b"Content-Length:\r\n\r\n" + BODY,
    "two lengths": OK + b"Content-Length: 3\r\n" + SIZED,
    "a huge length": OK + b"Content-Length: %d\r\n\r\n" % (MAX_REPLY + 1),
    "a length of many digits": OK + b"Content-Length: %s\r\n\r\n" % (b"9" * 5000),
    "an unknown coding": OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + CHUNKS,
    "chunks of HTTP/1.0": b"HTTP/1.0 200 OK\r\n" + CHUNKED + CHUNKS + b"\r\n",
    "a chunk of no size": OK + CHUNKED + b"\r\n" + CHUNKS,
    "a negative chunk": OK + CHUNKED + b"-5\r\n" + BODY,
    "a chunk with a prefix": OK + CHUNKED + b"0x5\r\n" + BODY,
    "a huge chunk": OK + CHUNKED + b"fffffffffffff\r\n",
    "a chunk longer than its size": OK + CHUNKED + b"5\r\n" + BODY + b"\r\n0\r\n\r\n",
    "a compressed body": OK + b"Content-Encoding: gzip\r\n" + SIZED,
    "headers without end": OK + b"A: b\r\n" * 20_000,
    "a line without end": OK + b"A" * (MAX_HEAD + 1),
    "hints without end": b"HTTP/1.1 103 Early Hints\r\n\r\n" * 5_000,
    "a size without end": OK + CHUNKED + b"0" * (MAX_HEAD + 1),
    "trailers without end": OK + CHUNKED + CHUNKS + b"A: b\r\n" * 20_000,
}
CUT = {name: data[:-1] for name, data in KEPT.items()} | {
    "nothing": b"",
    "half a status": OK[:7],
    "half a header": OK + b"Content-",
    "no body": OK + b"Content-Length: 9\r\n\r\n",
    "a chunk cut short": OK + CHUNKED + b"5\r\nab",
    "chunks without a last one": OK + CHUNKED + b"1\r\na\r\n",
}


@pytest.mark.parametrize("name", [*KEPT, *CLOSED])
def test_reply_is_the_same_in_any_pieces_and_reusable_only_if_its_end_is_clear(name: str) -> None:
    data = KEPT.get(name) or CLOSED[name]
    whole = read(data)
    assert (whole.status, whole.body, whole.reusable) == (200, BODY, name in KEPT)
    assert whole.json() == json.loads(BODY)
    for cut in range(1, len(data)):
        assert read(data, cut).body == BODY
    assert read(data, *range(1, len(data))).body == BODY


@pytest.mark.parametrize("name", GARBLED)
def test_invalid_reply_is_refused(name: str) -> None:
    with pytest.raises(StoreGarbled, match="not a reply of Upstash"):
        read(GARBLED[name])


@pytest.mark.parametrize("name", CUT)
def test_close_before_the_end_is_a_dropped_connection(name: str) -> None:
    with pytest.raises(ConnectionDropped):
        read(CUT[name])


def test_endless_body_is_refused_before_it_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_reply_parser, "MAX_REPLY", 1000)
    for head in (OK + b"\r\n", OK + CHUNKED + b"200\r\n" + bytes(512) + b"\r\n200\r\n"):
        with pytest.raises(StoreGarbled, match="without end"):
            read(head + bytes(1001), len(head))


@pytest.mark.parametrize("status", [204, 304])
def test_status_without_a_body_ends_with_its_headers(status: int) -> None:
    assert read(b"HTTP/1.1 %d\r\nContent-Length: 9\r\n\r\n" % status).body == b""


def test_tunnel_reply_has_a_body_only_if_it_is_a_refusal() -> None:
    opened = read(OK + b"Content-Length: 9\r\n\r\n", tunnel=True)
    assert opened == (200, {"content-length": "9"}, b"", True)
    refused = read(b"HTTP/1.1 407 Authenticate\r\nContent-Length: 2\r\n\r\nno", tunnel=True)
    assert (refused.status, refused.body) == (407, b"no")


def test_headers_are_in_lower_case_folded_and_joined() -> None:
    assert read(OK + b"A: 1\r\n  2\r\na: 3\r\n" + SIZED).headers["a"] == "1 2, 3"


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=4))
def test_any_bytes_end_in_a_reply_or_an_error_of_the_library(data: bytes, cuts: list[int]) -> None:
    for head in (b"", OK, OK + CHUNKED):
        try:
            read(head + data, *(min(cut, len(head + data)) for cut in cuts))
        except (StoreGarbled, ConnectionDropped):
            continue
