"""What the scripts of a lease do to its key, on a real server."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.integration.upstash.connection import Connection

from llm_cache._protocol.leases import HELD, NO_LEADER, RELEASE, RENEW, TAKE, TAKEN, UNCACHEABLE
from upstash_endpoint.redis_server import RedisServer

FIRST, SECOND = "1" * 16, "2" * 16  # tokens, as long as real ones
Take = Callable[..., Any]


@pytest.fixture
def server(redis_server: RedisServer) -> Iterator[Connection]:
    connection = Connection(redis_server)
    connection.call("FLUSHDB")
    yield connection
    connection.close()


@pytest.fixture
def take(server: Connection) -> Take:
    def run(token: str, *, milliseconds: int = 10_000, tags: tuple[str, ...] = ()) -> Any:
        names = ("lease", "epoch", *tags, "entry")
        return server.call("EVAL", TAKE, len(names), *names, token, milliseconds, 10_000)

    return run


def give_back(server: Connection, token: str, mark: str = "") -> object:
    return server.call("EVAL", RELEASE, 1, "lease", token, mark)


def test_the_first_takes_the_lease_for_its_milliseconds(server: Connection, take: Take) -> None:
    assert take(FIRST, milliseconds=9000)[0] == TAKEN
    assert server.call("GET", "lease") == f"{FIRST}:"
    left = server.call("PTTL", "lease")
    assert isinstance(left, int)
    assert 0 < left <= 9000


def test_the_second_is_told_that_it_is_held_and_changes_nothing(
    server: Connection, take: Take
) -> None:
    take(FIRST, milliseconds=9000)
    before = server.call("GET", "lease")
    assert take(SECOND, milliseconds=9000)[0] == HELD
    assert server.call("GET", "lease") == before
    assert server.call("PTTL", "lease") <= 9000  # type: ignore[operator]


def test_a_lease_that_has_gone_is_taken(server: Connection, take: Take) -> None:
    take(FIRST)
    server.call("DEL", "lease")
    assert take(SECOND)[0] == TAKEN


@pytest.mark.parametrize("tags", [(), ("tag",), ("tag", "other")])
def test_whoever_takes_is_told_the_epochs_and_the_entry(
    server: Connection, take: Take, tags: tuple[str, ...]
) -> None:
    for token in (FIRST, SECOND):
        server.call("DEL", "epoch", "entry", *tags)
        assert take(token, tags=tags)[1:] == [None] * (len(tags) + 2)
        for name in ("epoch", "entry", *tags):
            server.call("SET", name, f"the {name}")
        told = [f"the {name}" for name in ("epoch", *tags, "entry")]
        assert take(token, tags=tags)[1:] == told


@pytest.mark.parametrize("epochs", [{}, {"epoch": "e1"}, {"tag": "t1"}, {"epoch": "", "tag": ":"}])
def test_under_the_same_epochs_it_is_held(
    server: Connection, take: Take, epochs: dict[str, str]
) -> None:
    for name, epoch in epochs.items():
        server.call("SET", name, epoch)
    assert take(FIRST, tags=("tag",))[0] == TAKEN
    assert take(SECOND, tags=("tag",))[0] == HELD


@pytest.mark.parametrize("name", ["epoch", "tag"])
@pytest.mark.parametrize(("before", "after"), [(None, "f1"), ("f1", "f2"), ("f1", None)])
def test_an_epoch_that_a_store_has_made_cleared_nothing(
    server: Connection, take: Take, name: str, before: str | None, after: str | None
) -> None:
    for token, epoch, state in ((FIRST, before, TAKEN), (SECOND, after, HELD)):
        server.call("DEL", name) if epoch is None else server.call("SET", name, epoch)
        assert take(token)[0] == state


@pytest.mark.parametrize("name", ["epoch", "tag"])
@pytest.mark.parametrize(
    ("before", "after"), [("f1", "c1"), ("e1", "e2"), (None, "e1"), ("e1", None)]
)
def test_under_other_epochs_it_is_taken_over(
    server: Connection, take: Take, name: str, before: str | None, after: str | None
) -> None:
    """Whoever has it computes an answer that will not be served."""
    for token, epoch in ((FIRST, before), (SECOND, after)):
        server.call("DEL", name) if epoch is None else server.call("SET", name, epoch)
        assert take(token, tags=("tag",))[0] == TAKEN
    assert str(server.call("GET", "lease")).startswith(SECOND)


def test_who_names_other_tags_does_not_share_the_lease(take: Take) -> None:
    assert take(FIRST)[0] == TAKEN
    assert take(SECOND, tags=("tag",))[0] == TAKEN


@pytest.mark.parametrize("text", ["", "rubbish", ":", "token:other"])
def test_what_is_no_lease_is_taken_over(server: Connection, take: Take, text: str) -> None:
    server.call("SET", "epoch", "e1")
    server.call("SET", "lease", text)
    assert take(FIRST)[0] == TAKEN
    assert server.call("GET", "lease") == f"{FIRST}:e1"


def renew(server: Connection, token: str, milliseconds: int) -> object:
    return server.call("EVAL", RENEW, 1, "lease", token, milliseconds)


@pytest.mark.parametrize("epoch", [None, "e1"])
def test_a_lease_renewed_is_the_same_for_its_milliseconds_from_now(
    server: Connection, take: Take, epoch: str | None
) -> None:
    if epoch:
        server.call("SET", "epoch", epoch)
    take(FIRST, milliseconds=5000)
    before = server.call("GET", "lease")
    assert renew(server, FIRST, 10_000) == 1
    assert server.call("GET", "lease") == before
    left = server.call("PTTL", "lease")
    assert isinstance(left, int)
    assert 5000 < left <= 10_000
    assert take(SECOND)[0] == HELD


def test_only_the_one_that_has_it_renews_a_lease(server: Connection, take: Take) -> None:
    take(FIRST, milliseconds=9000)
    assert renew(server, SECOND, 60_000) == 0
    assert server.call("GET", "lease") == f"{FIRST}:"
    assert server.call("PTTL", "lease") <= 9000  # type: ignore[operator]


def test_a_lease_that_has_gone_does_not_come_back(server: Connection) -> None:
    assert renew(server, FIRST, 5000) == 0
    assert server.call("EXISTS", "lease") == 0


@pytest.mark.parametrize("epoch", [None, "e1"])
def test_a_lease_given_back_is_gone(server: Connection, take: Take, epoch: str | None) -> None:
    if epoch:
        server.call("SET", "epoch", epoch)
    take(FIRST)
    assert give_back(server, FIRST) == 1
    assert server.call("EXISTS", "lease") == 0
    assert take(SECOND)[0] == TAKEN


@pytest.mark.parametrize("mark", ["", NO_LEADER])
def test_the_lease_of_another_is_left_alone(server: Connection, take: Take, mark: str) -> None:
    take(SECOND)
    before = server.call("GET", "lease")
    assert give_back(server, FIRST, mark) == 0
    assert server.call("GET", "lease") == before


@pytest.mark.parametrize("mark", ["", NO_LEADER])
def test_a_lease_that_has_ended_does_not_come_back(server: Connection, mark: str) -> None:
    assert give_back(server, FIRST, mark) == 0
    assert server.call("EXISTS", "lease") == 0


@pytest.mark.parametrize("epoch", [None, "e1"])
def test_for_the_rest_of_its_time_each_is_for_itself(
    server: Connection, take: Take, epoch: str | None
) -> None:
    if epoch:
        server.call("SET", "epoch", epoch)
    take(FIRST, milliseconds=9000)
    assert give_back(server, FIRST, NO_LEADER) == 1
    assert 0 < server.call("PTTL", "lease") <= 9000  # type: ignore[operator]
    assert take(SECOND) == [UNCACHEABLE, epoch, None]
    assert take(FIRST)[0] == UNCACHEABLE


def test_after_a_clear_it_is_one_for_all_again(server: Connection, take: Take) -> None:
    take(FIRST)
    give_back(server, FIRST, NO_LEADER)
    server.call("SET", "epoch", "e2")
    assert take(SECOND)[0] == TAKEN


def test_nobody_gives_back_what_is_nobodys(server: Connection, take: Take) -> None:
    take(FIRST)
    give_back(server, FIRST, NO_LEADER)
    assert give_back(server, FIRST) == 0
    assert take(SECOND)[0] == UNCACHEABLE


@pytest.mark.parametrize(
    "planted",
    [
        ("SET", "lease", f"{SECOND}:"),  # without expiry
        ("SET", "lease", f"{SECOND}:", "PX", 60_000),  # for longer than a lease may live
        ("SET", "lease", f"{NO_LEADER}:"),
        ("SET", "lease", "rubbish", "PX", 5000),
        ("HSET", "lease", "field", f"{SECOND}:"),
        ("RPUSH", "lease", f"{SECOND}:"),
    ],
)
def test_a_lease_that_no_leader_can_have_is_free(
    server: Connection, take: Take, planted: tuple[object, ...]
) -> None:
    server.call(*planted)
    assert give_back(server, FIRST) == renew(server, FIRST, 5000) == 0
    assert take(FIRST)[0] == TAKEN
    assert server.call("GET", "lease") == f"{FIRST}:"
    assert 0 < server.call("PTTL", "lease") <= 10_000  # type: ignore[operator]


def test_the_same_command_sent_twice_finds_its_own_lease(server: Connection, take: Take) -> None:
    assert [take(FIRST)[0], take(FIRST)[0], take(SECOND)[0]] == [TAKEN, TAKEN, HELD]
