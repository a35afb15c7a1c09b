"""The database in memory and a real server do the same for the same commands."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.integration.upstash.connection import Connection

from llm_cache import StoreError
from llm_cache._entries.envelope import fingerprint, tag_separator
from llm_cache._entries.keys import Keyspace, cleared_epoch
from llm_cache._entries.opening import OPENING
from llm_cache._protocol.clearing import CLEAR, FLUSH, RECLAIM_PAGE
from llm_cache._protocol.effects import CommandArgs
from llm_cache._protocol.leases import NO_LEADER, RELEASE, RENEW, TAKE
from llm_cache._protocol.lookup import ANY_ENTRY
from llm_cache._protocol.store import STORE
from llm_cache._upstash.credentials import Credentials
from llm_cache._upstash.rest_client import RestClient
from llm_cache.testing import InMemoryUpstash
from upstash_endpoint.endpoint import UpstashEndpoint

KEYS = Keyspace("n[s]")
HASHES = ["a" * 64, "b" * 64]
TAGS = ["1" * 32, "2" * 32]
TOLERANCE = 30_000  # milliseconds by which two TTLs may differ; the TTLs below differ by more

entries = st.sampled_from([KEYS.entry(hashed) for hashed in HASHES])
leases = st.sampled_from([KEYS.lease(hashed) for hashed in HASHES])
epoch_keys = st.lists(st.sampled_from(TAGS), unique=True).map(KEYS.epochs)
tokens = st.sampled_from(["t1", "t12", "t2", ""])
epochs = st.sampled_from(["f1", "f2", "", cleared_epoch(1.0, "c1"), cleared_epoch(2.0, "c2")])
lives = st.sampled_from([100_000, 400_000])
bodies = st.sampled_from(['"},"answer":[1]}', '"},"answer":["ü€"]}', "", '"}'])


@st.composite
def texts(draw: st.DrawFn) -> str:
    """An entry under some epochs, or nearly one."""
    tags = draw(st.lists(st.sampled_from(TAGS), unique=True))
    tagged = "".join(tag_separator(tag) + draw(epochs) for tag in tags)
    return draw(st.sampled_from([OPENING, "{"])) + draw(epochs) + tagged + draw(bodies)


def script(source: str, keys: tuple[str, ...], *args: str | int) -> CommandArgs:
    return ("EVAL", source, len(keys), *keys, *args)


@st.composite
def stores(draw: st.DrawFn) -> CommandArgs:
    names = draw(epoch_keys)
    known = draw(st.just(ANY_ENTRY) | st.just("") | texts().map(fingerprint))
    marks = st.sampled_from(["?", "-"]) | epochs.map("={}".format)
    before = ["", *(tag_separator(name[-32:]) for name in names[1:])]
    parts = [part for each in before for part in (draw(marks), each)]
    token, ttl = "f" + draw(tokens), draw(lives) // 1000
    args = (token, ttl, OPENING, draw(bodies), draw(tokens), known, *parts)
    return script(STORE, (draw(entries), draw(leases), *names), *args)


@st.composite
def takes(draw: st.DrawFn) -> CommandArgs:
    names = (draw(leases), *draw(epoch_keys), draw(entries))
    token = draw(tokens | st.just(NO_LEADER))
    return script(TAKE, names, token, draw(lives), draw(st.sampled_from([200_000, 500_000])))


@st.composite
def reclaims(draw: st.DrawFn) -> CommandArgs:
    page = draw(st.lists(entries, unique=True))
    cleared = draw(st.sampled_from(["", KEYS.epoch, KEYS.tag_epoch(TAGS[0])]))
    free = draw(st.sampled_from(["UNLINK", "EXISTS"]))
    return script(RECLAIM_PAGE, (KEYS.epoch, *page), OPENING, KEYS.tag_epoch(""), free, cleared)


any_key = entries | leases | epoch_keys.map(lambda names: names[-1])
commands = st.one_of(
    stores(),
    takes(),
    reclaims(),
    st.builds(lambda *a: script(RENEW, (a[0],), *a[1:]), leases, tokens, lives),
    st.builds(lambda *a: script(RELEASE, (a[0],), *a[1:]), leases, tokens, tokens),
    st.builds(lambda *a: script(CLEAR, *a), epoch_keys.map(lambda names: names[-1:]), epochs),
    st.builds(lambda e: script(FLUSH, (KEYS.epoch,), e, "SYNC"), epochs),
    st.lists(any_key, min_size=1).map(lambda names: ("MGET", *names)),
    st.lists(any_key, min_size=1).map(lambda names: ("UNLINK", *names)),
    st.just(("SCAN", "0", "MATCH", KEYS.entry_pattern, "COUNT", 1000)),
    st.sampled_from(["SYNC", "ASYNC"]).map(lambda mode: ("FLUSHDB", mode)),
)
steps = st.one_of(
    commands,
    st.builds(lambda full: ("full", full), st.booleans()),
    st.builds(lambda *a: ("plant", *a), any_key, texts() | tokens | st.just("t1:f1")),
)


@pytest.fixture
def real(upstash: UpstashEndpoint) -> RestClient:
    return RestClient(Credentials(upstash.url, upstash.token))


@pytest.fixture
def server(server: Connection) -> Iterator[Connection]:
    """The server behind ``real``; its memory is without a limit again at the end."""
    yield server
    server.call("CONFIG", "SET", "maxmemory", 0)


def outcome(execute: Callable[[CommandArgs, float], Any], command: CommandArgs) -> object:
    """Return the reply, or the first word of the error; the order of a page of keys is open."""
    try:
        reply = execute(command, time.monotonic() + 10)
    except StoreError as error:
        return type(error), str(error).split()[0]
    return [reply[0], sorted(reply[1])] if command[0] == "SCAN" else reply


def data(server: Connection) -> dict[str, tuple[object, int]]:
    """Return the values of the server and what is left of their TTLs."""
    keys: Any = server.call("KEYS", "*")
    return {key: (server.call("GET", key), int(str(server.call("PTTL", key)))) for key in keys}


def same_data(memory: InMemoryUpstash, server: Connection) -> bool:
    left = data(server)
    return memory.keys == sorted(left) and all(
        memory._database.get(key.encode()) == str(value).encode()
        and abs(memory._database.pttl(key.encode()) - pttl) < TOLERANCE
        for key, (value, pttl) in left.items()
    )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(st.lists(steps, max_size=12))
def test_commands_have_equal_replies_and_leave_equal_data(
    real: RestClient, server: Connection, sequence: list[tuple[Any, ...]]
) -> None:
    memory = InMemoryUpstash()
    server.pipeline([("CONFIG", "SET", "maxmemory", 0), ("FLUSHDB",)])
    for step in sequence:
        match step:
            case ("full", full):
                memory.full = full
                server.call("CONFIG", "SET", "maxmemory", int(full))
            case ("plant", key, text):
                if not memory.full:
                    memory._database.begin_command()
                    memory._database.set(key.encode(), text.encode())
                    server.call("SET", key, text)
            case command:
                assert outcome(memory.execute, command) == outcome(real.execute, command)
    assert same_data(memory, server)
