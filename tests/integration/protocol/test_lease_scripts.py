"""The effects of the scripts of a lease on its key, in a real server."""

from typing import Any

import pytest
from tests.integration.upstash.connection import Connection

from llm_cache._protocol.leases import HELD, NO_LEADER, RELEASE, RENEW, TAKE, TAKEN, UNCACHEABLE

FIRST, SECOND = "1" * 16, "2" * 16  # tokens, as long as real ones


class Lease:
    """The key of a lease, and the scripts that are run on it."""

    def __init__(self, server: Connection) -> None:
        self.server = server

    def take(self, token: str, *tags: str, milliseconds: int = 10_000) -> Any:
        keys = ("lease", "epoch", *tags, "entry")
        return self.server.call("EVAL", TAKE, len(keys), *keys, token, milliseconds, 10_000)

    def state(self, token: str, *tags: str, milliseconds: int = 10_000) -> object:
        """Take the lease; return its state."""
        return self.take(token, *tags, milliseconds=milliseconds)[0]

    def renew(self, token: str, milliseconds: int) -> object:
        return self.server.call("EVAL", RENEW, 1, "lease", token, milliseconds)

    def release(self, token: str, mark: str = "") -> object:
        return self.server.call("EVAL", RELEASE, 1, "lease", token, mark)

    def set(self, key: str, value: str | None) -> None:
        """Set a key; None deletes it."""
        self.server.call("DEL", key) if value is None else self.server.call("SET", key, value)

    @property
    def text(self) -> object:
        return self.server.call("GET", "lease")

    @property
    def left(self) -> int:
        """The milliseconds that it has left."""
        left = self.server.call("PTTL", "lease")
        assert isinstance(left, int)
        return left


@pytest.fixture
def lease(server: Connection) -> Lease:
    return Lease(server)


marks = pytest.mark.parametrize("mark", ["", NO_LEADER])
epochs = pytest.mark.parametrize("epoch", [None, "e1"])


def test_first_caller_takes_the_lease_and_the_second_changes_nothing(lease: Lease) -> None:
    assert lease.state(FIRST, milliseconds=9000) == TAKEN
    assert lease.state(FIRST, milliseconds=9000) == TAKEN  # the same command, sent twice
    assert lease.state(SECOND) == HELD
    assert lease.text == f"{FIRST}:"
    assert 0 < lease.left <= 9000
    lease.set("lease", None)
    assert lease.state(SECOND) == TAKEN


@pytest.mark.parametrize("tags", [(), ("tag",), ("tag", "other")])
def test_take_returns_the_epochs_and_the_entry(lease: Lease, tags: tuple[str, ...]) -> None:
    keys = ("epoch", *tags, "entry")
    for token in (FIRST, SECOND):
        lease.server.call("DEL", *keys)
        assert lease.take(token, *tags)[1:] == [None] * len(keys)
        for key in keys:
            lease.set(key, f"the {key}")
        assert lease.take(token, *tags)[1:] == [f"the {key}" for key in keys]


@pytest.mark.parametrize("values", [(None, None), ("e1", None), (None, "t1"), ("", ":")])
def test_lease_is_held_under_the_same_epochs(
    lease: Lease, values: tuple[str | None, str | None]
) -> None:
    for key, value in zip(("epoch", "tag"), values, strict=True):
        lease.set(key, value)
    assert [lease.state(FIRST, "tag"), lease.state(SECOND, "tag")] == [TAKEN, HELD]


@pytest.mark.parametrize("key", ["epoch", "tag"])
@pytest.mark.parametrize(
    ("before", "after", "state"),
    [
        (None, "f1", HELD),  # a store has set the epoch: nothing was cleared
        ("f1", "f2", HELD),
        ("f1", None, HELD),
        ("f1", "c1", TAKEN),  # the answer of the first leader will not be served
        ("e1", "e2", TAKEN),
        (None, "e1", TAKEN),
        ("e1", None, TAKEN),
    ],
)
def test_lease_from_before_a_clear_is_taken_over(
    lease: Lease, key: str, before: str | None, after: str | None, state: int
) -> None:
    lease.set(key, before)
    assert lease.state(FIRST, "tag") == TAKEN
    lease.set(key, after)
    assert lease.state(SECOND, "tag") == state
    assert str(lease.text).startswith(FIRST if state == HELD else SECOND)


def test_lease_of_other_tags_is_taken_over(lease: Lease) -> None:
    assert [lease.state(FIRST), lease.state(SECOND, "tag")] == [TAKEN, TAKEN]


@epochs
def test_renewed_lease_has_its_full_time_again(lease: Lease, epoch: str | None) -> None:
    lease.set("epoch", epoch)
    lease.take(FIRST, milliseconds=5000)
    before = lease.text
    assert lease.renew(FIRST, 10_000) == 1
    assert lease.text == before
    assert 5000 < lease.left <= 10_000
    assert lease.state(SECOND) == HELD


@marks
def test_lease_of_another_leader_is_neither_renewed_nor_released(lease: Lease, mark: str) -> None:
    lease.take(FIRST, milliseconds=9000)
    assert lease.renew(SECOND, 60_000) == lease.release(SECOND, mark) == 0
    assert lease.text == f"{FIRST}:"
    assert lease.left <= 9000


@marks
def test_expired_lease_is_neither_renewed_nor_released(lease: Lease, mark: str) -> None:
    assert lease.renew(FIRST, 5000) == lease.release(FIRST, mark) == 0
    assert lease.text is None


@epochs
def test_released_lease_is_free(lease: Lease, epoch: str | None) -> None:
    lease.set("epoch", epoch)
    lease.take(FIRST)
    assert lease.release(FIRST) == 1
    assert lease.text is None
    assert lease.state(SECOND) == TAKEN


@epochs
def test_uncacheable_answer_has_no_leader_until_the_lease_expires_or_a_clear(
    lease: Lease, epoch: str | None
) -> None:
    lease.set("epoch", epoch)
    lease.take(FIRST, milliseconds=9000)
    assert lease.release(FIRST, NO_LEADER) == 1
    assert 0 < lease.left <= 9000
    assert lease.take(SECOND) == [UNCACHEABLE, epoch, None]
    assert lease.release(FIRST) == 0
    assert lease.state(FIRST) == UNCACHEABLE
    lease.set("epoch", "e2")
    assert lease.state(SECOND) == TAKEN


@pytest.mark.parametrize(
    "planted",
    [
        ("SET", "lease", f"{SECOND}:e1"),  # without expiry
        ("SET", "lease", f"{SECOND}:e1", "PX", 60_000),  # for longer than a lease may live
        ("SET", "lease", f"{NO_LEADER}:e1"),
        ("HSET", "lease", "field", f"{SECOND}:e1"),
        ("RPUSH", "lease", f"{SECOND}:e1"),
        *(("SET", "lease", text, "PX", 5000) for text in ("", "rubbish", ":", "token:other")),
    ],
)
def test_lease_that_no_leader_can_hold_is_free(lease: Lease, planted: tuple[object, ...]) -> None:
    lease.set("epoch", "e1")
    lease.server.call(*planted)
    assert lease.release(FIRST) == lease.renew(FIRST, 5000) == 0
    assert lease.state(FIRST) == TAKEN
    assert lease.text == f"{FIRST}:e1"
    assert 0 < lease.left <= 10_000
