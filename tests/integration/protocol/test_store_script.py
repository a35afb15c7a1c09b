"""Which answers are stored and under which epochs, decided by a script in a real server."""

from typing import Any, cast

import pytest
from upstash_redis import Redis

from llm_cache import CachePolicy
from llm_cache._entries.envelope import HEAD, before_tag, body, fingerprint, head
from llm_cache._entries.keys import Keyspace, tag_hash
from llm_cache._protocol.drivers import run
from llm_cache._protocol.lookup import ANY_ENTRY, Epochs
from llm_cache._protocol.request import Request
from llm_cache._protocol.store import Unseen, store
from llm_cache._reasons import Reason

KEYS = Keyspace("shop")
RED = tag_hash("red")
ENTRY, LEASE = KEYS.entry("a" * 64), KEYS.lease("a" * 64)
EPOCHS = KEYS.epochs([RED])
BODY = body(head(1.0, 60, "langchain"), ["1"])


def outcome(
    redis: Redis, epochs: Epochs | Unseen, lease: str | None = None, there: str = ANY_ENTRY
) -> Reason | None:
    request: Any = Request(
        (0, "", ()), KEYS, "a" * 64, CachePolicy(tags=["red"]), cast("Any", None), lambda: 0.0
    )
    operation = store(
        request, body=BODY, ttl=60, token="new", epochs=epochs, lease=lease, fingerprint=there
    )
    return run(operation, lambda command: redis.execute([*command.args]))


def keep(redis: Redis, epochs: Epochs | Unseen, lease: str | None = None) -> bool:
    return outcome(redis, epochs, lease) is None


def having(redis: Redis, *epochs: str | None) -> Redis:
    for key, epoch in zip(EPOCHS, epochs, strict=True):
        if epoch:
            redis.set(key, epoch)
    return redis


@pytest.mark.parametrize(
    ("there", "seen", "under", "left"),
    [
        ((None, None), (None, None), ("fnew", "fnew"), ["fnew", "fnew"]),
        ((None, None), Unseen.NOT_LOOKED_UP, ("fnew", "fnew"), ["fnew", "fnew"]),
        (("ce", "cr"), Unseen.NOT_LOOKED_UP, ("ce", "cr"), ["ce", "cr"]),
        (("fe", "fr"), (None, None), ("fe", "fr"), ["fe", "fr"]),
        (("ce", None), ("ce", None), ("ce", "fnew"), ["ce", "fnew"]),
        (("ce", "fr"), ("ce", None), ("ce", "fr"), ["ce", "fr"]),
        ((None, "cr"), (None, "cr"), ("fnew", "cr"), ["fnew", "cr"]),
        (("c2", None), ("c1", None), ("c1", "fnew"), ["c2", "fnew"]),  # served to nobody
        ((None, None), ("ce", None), ("ce", "fnew"), [None, "fnew"]),  # nor is this
    ],
)
def test_an_answer_is_stored_under_the_epochs_seen_or_else_those_there_or_else_new_ones(
    redis: Redis,
    there: tuple[str | None, str | None],
    seen: Epochs | Unseen,
    under: tuple[str, str],
    left: list[str | None],
) -> None:
    assert keep(having(redis, *there), seen)
    assert redis.get(ENTRY) == HEAD + under[0] + before_tag(RED) + under[1] + BODY
    assert 0 < redis.ttl(ENTRY) <= 60
    assert redis.mget(*EPOCHS) == left
    assert {redis.ttl(key) for key in EPOCHS} <= {-1, -2}  # an epoch never expires


@pytest.mark.parametrize(
    ("there", "seen"),
    [
        (("ce", None), (None, None)),
        ((None, "cr"), (None, None)),
        (("fe", "cr"), (None, None)),
        (("ce", "cr"), ("ce", None)),
    ],
)
def test_an_answer_that_the_first_clear_may_have_met_is_not_stored(
    redis: Redis, there: tuple[str | None, str | None], seen: Epochs
) -> None:
    redis.set(LEASE, "mine:")
    assert not keep(having(redis, *there), seen, lease="mine")
    assert redis.exists(ENTRY, LEASE) == 0


@pytest.mark.parametrize("seen", [("ce", "cr"), (None, None), Unseen.NOT_LOOKED_UP])
@pytest.mark.parametrize(
    ("held", "left"),
    [("mine", None), ("mine:ce:cr", None), ("other:mine", "other:mine"), (None, None)],
)
def test_a_store_gives_its_own_lease_back_and_no_other(
    redis: Redis, seen: Epochs | Unseen, held: str | None, left: str | None
) -> None:
    if held:
        redis.set(LEASE, held)
    assert keep(redis, seen, lease="mine")
    assert (redis.exists(ENTRY), redis.get(LEASE)) == (1, left)


def test_a_store_without_a_lease_leaves_anothers_alone(redis: Redis) -> None:
    redis.set(LEASE, "other")
    assert keep(redis, (None, None))
    assert redis.get(LEASE) == "other"


TEXT = HEAD + "ce" + before_tag(RED) + "cr" + BODY
OLDER = TEXT.replace('"created":1.000', '"created":0.500')
SEEN = ("ce", "cr")


@pytest.mark.parametrize(
    ("there", "seen", "why"),
    [
        (None, "", None),
        (None, fingerprint(OLDER), None),  # what the lookup found has expired since
        (OLDER, fingerprint(OLDER), None),
        (OLDER, ANY_ENTRY, None),
        (OLDER, "", Reason.SUPERSEDED),
        (OLDER, fingerprint(OLDER.replace("0.500", "0.400")), Reason.SUPERSEDED),
        (OLDER + " ", fingerprint(OLDER), Reason.SUPERSEDED),
        ("rubbish", fingerprint("rubbish"), None),
        (TEXT, "", None),  # the same command, sent again because its reply was lost
    ],
)
def test_a_store_replaces_only_what_its_lookup_saw(
    redis: Redis, there: str | None, seen: str, why: Reason | None
) -> None:
    if there:
        having(redis, *SEEN).set(ENTRY, there, ex=5)
    assert outcome(redis, SEEN, there=seen) is why
    assert redis.get(ENTRY) == (there if why else TEXT)


def test_a_store_replaces_a_key_of_another_type(redis: Redis) -> None:
    for key in (ENTRY, LEASE, *EPOCHS):
        redis.hset(key, "planted", "hash")
    assert outcome(redis, (None, None), "mine", there="") is None
    assert redis.get(ENTRY) == HEAD + "fnew" + before_tag(RED) + "fnew" + BODY


def test_a_dropped_answer_releases_its_lease(redis: Redis) -> None:
    redis.set(LEASE, "mine:ce:cr")
    having(redis, *SEEN).set(ENTRY, OLDER)
    assert outcome(redis, SEEN, "mine", there="") is Reason.SUPERSEDED
    assert redis.get(LEASE) is None
