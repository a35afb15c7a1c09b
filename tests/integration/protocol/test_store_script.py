"""Which answers are stored and under which epochs, decided by a script in a real server."""

from typing import Any, TypeAlias

import pytest
from upstash_redis import Redis

from llm_cache import CachePolicy
from llm_cache._entries.envelope import encode_body, fingerprint, metadata, tag_separator
from llm_cache._entries.keys import Keyspace, tag_hash
from llm_cache._entries.opening import OPENING
from llm_cache._protocol.drivers import run
from llm_cache._protocol.lookup import ANY_ENTRY, Epochs
from llm_cache._protocol.request import Request
from llm_cache._protocol.store import Unseen, store
from llm_cache._reasons import Reason

KEYS = Keyspace("shop")
RED = tag_hash("red")
ENTRY, LEASE = KEYS.entry("a" * 64), KEYS.lease("a" * 64)
EPOCHS = KEYS.epochs([RED])
BODY = encode_body(metadata(1.0, 60, "langchain"), ["1"])
codec: Any = None  # no answer is read
REQUEST = Request((0, "", ()), KEYS, "a" * 64, CachePolicy(tags=["red"]), codec, clock=lambda: 0.0)
Pair: TypeAlias = tuple[str | None, str | None]


def stored(
    redis: Redis, epochs: Epochs | Unseen, lease: str | None = None, found: str = ANY_ENTRY
) -> Reason | None:
    """Store an answer; return why it was not stored."""
    operation = store(
        REQUEST, body=BODY, ttl=60, token="new", epochs=epochs, lease=lease, fingerprint=found
    )
    return run(operation, lambda command: redis.execute([*command.args]))


def entry(epoch: str, red: str) -> str:
    return OPENING + epoch + tag_separator(RED) + red + BODY


def set_epochs(redis: Redis, *epochs: str | None) -> None:
    for key, epoch in zip(EPOCHS, epochs, strict=True):
        if epoch:
            redis.set(key, epoch)


@pytest.mark.parametrize(
    ("current", "seen", "under", "left"),
    [
        ((None, None), (None, None), ("fnew", "fnew"), ["fnew", "fnew"]),
        ((None, None), Unseen.NOT_LOOKED_UP, ("fnew", "fnew"), ["fnew", "fnew"]),
        (("ce", "cr"), Unseen.NOT_LOOKED_UP, ("ce", "cr"), ["ce", "cr"]),
        (("fe", "fr"), (None, None), ("fe", "fr"), ["fe", "fr"]),
        (("ce", None), ("ce", None), ("ce", "fnew"), ["ce", "fnew"]),
        (("ce", "fr"), ("ce", None), ("ce", "fr"), ["ce", "fr"]),
        ((None, "cr"), (None, "cr"), ("fnew", "cr"), ["fnew", "cr"]),
        (("c2", None), ("c1", None), ("c1", "fnew"), ["c2", "fnew"]),  # never served
        ((None, None), ("ce", None), ("ce", "fnew"), [None, "fnew"]),  # never served
    ],
)
def test_answer_is_stored_under_the_epochs_seen_or_the_current_or_new_ones(
    redis: Redis, current: Pair, seen: Epochs | Unseen, under: tuple[str, str], left: list[str]
) -> None:
    set_epochs(redis, *current)
    assert stored(redis, seen) is None
    assert redis.get(ENTRY) == entry(*under)
    assert 0 < redis.ttl(ENTRY) <= 60
    assert redis.mget(*EPOCHS) == left
    assert {redis.ttl(key) for key in EPOCHS} <= {-1, -2}  # an epoch never expires


@pytest.mark.parametrize(
    ("current", "seen"),
    [
        (("ce", None), (None, None)),
        ((None, "cr"), (None, None)),
        (("fe", "cr"), (None, None)),
        (("ce", "cr"), ("ce", None)),
    ],
)
def test_answer_that_may_be_older_than_the_first_clear_is_not_stored(
    redis: Redis, current: Pair, seen: Epochs
) -> None:
    redis.set(LEASE, "mine:")
    set_epochs(redis, *current)
    assert stored(redis, seen, "mine") is Reason.CLEARED_MEANWHILE
    assert redis.exists(ENTRY, LEASE) == 0


@pytest.mark.parametrize("seen", [("ce", "cr"), (None, None), Unseen.NOT_LOOKED_UP])
@pytest.mark.parametrize(
    ("held", "lease", "left"),
    [
        ("mine", "mine", None),
        ("mine:ce:cr", "mine", None),
        ("other:mine", "mine", "other:mine"),
        (None, "mine", None),
        ("other", None, "other"),
    ],
)
def test_store_releases_its_own_lease_and_no_other(
    redis: Redis, seen: Epochs | Unseen, held: str | None, lease: str | None, left: str | None
) -> None:
    if held:
        redis.set(LEASE, held)
    assert stored(redis, seen, lease) is None
    assert (redis.exists(ENTRY), redis.get(LEASE)) == (1, left)


TEXT = entry("ce", "cr")
OLDER = TEXT.replace('"created":1.000', '"created":0.500')
OLDEST = TEXT.replace('"created":1.000', '"created":0.400')


@pytest.mark.parametrize(
    ("current", "found", "refusal"),
    [
        (None, "", None),
        (None, fingerprint(OLDER), None),  # the entry that the lookup found has expired
        (OLDER, fingerprint(OLDER), None),
        (OLDER, ANY_ENTRY, None),
        (OLDER, "", Reason.SUPERSEDED),
        (OLDER, fingerprint(OLDEST), Reason.SUPERSEDED),
        (OLDER + " ", fingerprint(OLDER), Reason.SUPERSEDED),
        ("rubbish", fingerprint("rubbish"), None),
        (TEXT, "", None),  # the same command, sent twice
    ],
)
def test_store_replaces_only_the_entry_that_its_lookup_found(
    redis: Redis, current: str | None, found: str, refusal: Reason | None
) -> None:
    redis.set(LEASE, "mine:ce:cr")
    set_epochs(redis, "ce", "cr")
    if current:
        redis.set(ENTRY, current, ex=5)
    assert stored(redis, ("ce", "cr"), "mine", found) is refusal
    assert redis.get(ENTRY) == (current if refusal else TEXT)
    assert redis.get(LEASE) is None


def test_store_replaces_keys_of_another_type(redis: Redis) -> None:
    for key in (ENTRY, LEASE, *EPOCHS):
        redis.hset(key, "planted", "hash")
    assert stored(redis, (None, None), "mine", "") is None
    assert redis.get(ENTRY) == entry("fnew", "fnew")
