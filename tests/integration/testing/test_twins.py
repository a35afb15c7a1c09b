"""The database in memory and a real server do the same for the same commands."""

import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.integration.upstash.connection import Connection

from llm_cache import StoreError
from llm_cache._doctor.memory import WRITE
from llm_cache._entries.envelope import fingerprint, tag_separator
from llm_cache._entries.keys import Keyspace
from llm_cache._entries.opening import OPENING
from llm_cache._inspect.entry_heads import HEADS
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
ENTRY, OTHER_ENTRY = (KEYS.entry(letter * 64) for letter in "ab")
LEASE, TAG, SHORT_TAG = KEYS.lease("a" * 64), "1" * 32, "1" * 31
EPOCH, TAG_EPOCH, SHORT_TAG_EPOCH = KEYS.epoch, KEYS.tag_epoch(TAG), KEYS.tag_epoch(SHORT_TAG)
TOLERANCE = 30_000  # milliseconds by which two TTLs may differ; the TTLs below differ by more

# Few values, so that commands often meet what they look for.
epochs = st.sampled_from(["f1", "c1"])
tokens = st.sampled_from(["t1", "t", ""])
holders = st.sampled_from(["t1", "t", NO_LEADER])
lives = st.sampled_from([100_000, 400_000])
CODEC = '"},"created":1.5,"ttl":9,"codec":"c","answer":["ü"]}'
bodies = st.sampled_from(['"},"answer":["ü€"]}', CODEC, '"x'])
epoch_keys = st.sampled_from([(EPOCH,), (EPOCH, TAG_EPOCH)])
any_key = st.sampled_from([ENTRY, OTHER_ENTRY, LEASE, EPOCH, TAG_EPOCH])


def script(source: str, keys: tuple[str, ...], *args: str | int) -> CommandArgs:
    return ("EVAL", source, len(keys), *keys, *args)


class Plant(NamedTuple):
    """A key that is there before the commands; ``life`` is in milliseconds."""

    key: str
    text: str
    life: int | None = None


class Fill(NamedTuple):
    """The memory is used up, or is not."""

    full: bool


@st.composite
def planted(draw: st.DrawFn) -> list[Plant]:
    """An entry under the present epochs, or nearly, and a lease."""
    epoch, tagged = draw(epochs), draw(epochs)
    tags = draw(st.sampled_from([[], [TAG], [SHORT_TAG]]))
    seen = "".join(tag_separator(tag) + draw(st.just(tagged) | epochs) for tag in tags)
    text = OPENING + draw(st.just(epoch) | epochs) + seen + draw(bodies)
    under = "".join(":" + each.replace("f1", "") for each in draw(epoch_lists(epoch, tagged)))
    names = {EPOCH: epoch, TAG_EPOCH: tagged, SHORT_TAG_EPOCH: tagged, OTHER_ENTRY: "foreign"}
    plants = [Plant(key, value) for key, value in names.items()]
    plants += [Plant(ENTRY, text), Plant(LEASE, draw(holders) + under, draw(st.none() | lives))]
    return [plant for plant in plants if draw(st.integers(0, 4))]


def epoch_lists(epoch: str, tagged: str) -> st.SearchStrategy[list[str]]:
    return st.sampled_from([[], [epoch], [epoch, tagged]])


@st.composite
def stores(draw: st.DrawFn, known: list[str]) -> CommandArgs:
    names = draw(epoch_keys)
    marks = st.sampled_from(["?", "-", "=f1", "=c1"])
    parts = [draw(marks), "", draw(marks), tag_separator(TAG)][: 2 * len(names)]
    token, ttl, fingerprint = "f" + draw(tokens), draw(lives) // 1000, draw(st.sampled_from(known))
    args = (OPENING, draw(bodies), draw(tokens), fingerprint, *parts)
    return script(STORE, (ENTRY, LEASE, *names), token, ttl, *args)


@st.composite
def takes(draw: st.DrawFn) -> CommandArgs:
    longest = draw(st.sampled_from([200_000, 500_000]))
    return script(TAKE, (LEASE, *draw(epoch_keys), ENTRY), draw(holders), draw(lives), longest)


@st.composite
def reclaims(draw: st.DrawFn) -> CommandArgs:
    cleared = draw(st.sampled_from(["", "", EPOCH, TAG_EPOCH]))
    free = draw(st.sampled_from(["UNLINK", "EXISTS"]))
    keys = (EPOCH, ENTRY, OTHER_ENTRY)
    return script(RECLAIM_PAGE, keys, OPENING, KEYS.tag_epoch(""), free, cleared)


either_epoch = st.sampled_from([EPOCH, TAG_EPOCH])
fills = st.builds(Fill, st.booleans())
others = st.one_of(
    st.builds(lambda token, life: script(RENEW, (LEASE,), token, life), tokens, lives),
    st.builds(lambda *args: script(RELEASE, (LEASE,), *args), tokens, holders | st.just("")),
    st.builds(lambda key, epoch: script(CLEAR, (key,), epoch), either_epoch, epochs),
    st.lists(any_key, min_size=1).map(lambda names: ("MGET", *names)),
    st.lists(any_key, min_size=1).map(lambda names: ("UNLINK", *names)),
    st.sampled_from(["SYNC", "ASYNC"]).map(lambda mode: ("FLUSHDB", mode)),
    st.builds(lambda epoch: script(FLUSH, (EPOCH,), epoch, "SYNC"), epochs),
    st.builds(lambda most: script(HEADS, (ENTRY, OTHER_ENTRY), most), st.sampled_from([60, 999])),
    st.builds(lambda key: script(WRITE, (key,), "x" * 1000), any_key),
    st.just(("SCAN", "0", "MATCH", KEYS.entry_pattern, "COUNT", 1000)),
    fills,
)


@st.composite
def sequences(draw: st.DrawFn, kind: str) -> list[Any]:
    """Plants, and then commands, at least one of them of a kind."""
    plants = draw(planted())
    known = [ANY_ENTRY, "", *(fingerprint(it.text) for it in plants if it.key == ENTRY)]
    kinds = {"store": stores(known), "take": takes(), "reclaim": reclaims(), "other": others}
    full = draw(st.lists(fills, max_size=1))
    after = draw(st.lists(st.one_of(*kinds.values()), max_size=3))
    return [*plants, *full, draw(kinds[kind]), *after]


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
    if command[1] == HEADS:
        return [without_ttl(row) for row in reply]
    return [reply[0], sorted(reply[1])] if command[0] == "SCAN" else reply


def without_ttl(row: str) -> list[object]:
    """Return the length, the TTL in steps of the tolerance, and the head."""
    length, ttl, head = row.split(" ", 2)
    return [length, round(int(ttl) / TOLERANCE / 2), head]


def stored(server: Connection) -> dict[str, tuple[object, int]]:
    """Return the values of the server and what is left of their TTLs."""
    keys: Any = server.call("KEYS", "*")
    return {key: (server.call("GET", key), int(str(server.call("PTTL", key)))) for key in keys}


def same_data(memory: InMemoryUpstash, server: Connection) -> bool:
    left = stored(server)
    return memory.keys == sorted(left) and all(
        memory._database.get(key.encode()) == str(value).encode()
        and abs(memory._database.pttl(key.encode()) - pttl) < TOLERANCE
        for key, (value, pttl) in left.items()
    )


@pytest.mark.parametrize("kind", ["store", "take", "reclaim", "other"])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(data=st.data())
def test_commands_have_equal_replies_and_leave_equal_data(
    real: RestClient, server: Connection, kind: str, data: st.DataObject
) -> None:
    sequence, memory = data.draw(sequences(kind)), InMemoryUpstash()
    server.pipeline([("CONFIG", "SET", "maxmemory", 0), ("FLUSHDB",)])
    for step in sequence:
        match step:
            case Plant(key, text, life):
                memory._database.set(key.encode(), text.encode(), milliseconds=life)
                server.call("SET", key, text, *(("PX", life) if life else ()))
            case Fill(full):
                memory.full = full
                server.call("CONFIG", "SET", "maxmemory", int(full))
            case command:
                assert outcome(memory.execute, command) == outcome(real.execute, command)
    assert same_data(memory, server)
