"""What is asked most, counted in Redis, so that it can be asked again after a clear.

A sorted set has the counts, by hash, and beside it stands each request, which the cache keeps
nowhere else: encrypted or signed where entries are, and without a seal **for all who have the
database to read**. Both expire. The counting is Space-Saving (Metwally, Agrawal, El Abbadi:
"Efficient Computation of Frequent and Top-k Elements in Data Streams", 2005): where there is no
room, a newcomer takes the place, and the count, of what was asked least.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from llm_cache import entry as entries
from llm_cache import replies
from llm_cache.errors import InvalidPolicy, UnreadableEntry
from llm_cache.keys import Keyspace, digest, keyed
from llm_cache.policy import CachePolicy, Mode
from llm_cache.question import Question
from llm_cache.seal import Seal
from llm_cache.settings import DEFAULT_POPULAR_SHARE, popular_most, popular_share
from llm_cache.steps import Operation
from llm_cache.ttl import in_seconds

ROOM = 4  # requests counted for each of the most asked: the least of them have just come
MAX_BYTES = 8_000  # of a request in the command that counts it; a longer one is not counted
KEPT = 7 * 86_400  # seconds a request is kept since it was last counted
FIELDS = ("ttl", "stale_if_error", "tenant", "salt", "tags")  # of its policy, that are kept


@dataclass(frozen=True, slots=True)
class PopularRequest:
    """A request, and of the policy it was asked under what decides whose its answer is.

    That is its tenant, its salt, its tags and how long it is kept.
    """

    request: Any = field(repr=False)
    policy: CachePolicy


class Popular:
    """Counts what is asked of a ``ResponseCache``, to know the ``most`` asked: 1 to 100 requests.

    ``share`` is the share of requests that are counted, at random: more than 0, and at most 1. Each
    costs one command. Raises ``InvalidSettings``.
    """

    def __init__(
        self,
        most: int,
        *,
        share: float = DEFAULT_POPULAR_SHARE,
        random: Callable[[], float] = random.random,
    ) -> None:
        self._most = popular_most("most", most)
        self._share = popular_share("share", share)
        self._random = random

    def drawn(self) -> bool:
        """Whether the request at hand is one of those that are counted."""
        return self._random() < self._share

    def count(
        self, asked: Question, *, version: str, request: object, now: float
    ) -> Operation[None]:
        """Count a request once, unless its answer would not be stored. One command; never raises.

        Nor is one counted that is too long, or that could not be asked again by what is text.
        """
        try:
            asked = yield from asked.unlocked()
            body = _body(asked, _key(asked.keys, version, asked.hashed), request, now)
            if body is None or not entries.fits(body, MAX_BYTES):
                return
            counts, room = _counts(asked.keys, version), ROOM * self._most
            names = (counts, _key(asked.keys, version, asked.hashed))
            text = f"{entries.HEAD}{body}"
            replies.number((yield ("EVAL", COUNT, 2, *names, asked.hashed, text, KEPT, room)))
        except Exception as error:  # noqa: BLE001  a cache failure is never the caller's
            asked.report.add(asked.failed("count", error))

    def most_asked(
        self, keys: Keyspace, seal: Seal | None, *, version: str, now: float
    ) -> Operation[list[PopularRequest]]:
        """Return the requests most asked, the first of them most, and halve all counts.

        So what was asked of late counts more. Two commands. What cannot be read is left out.
        """
        counts = _counts(keys, version)
        found = replies.names((yield ("EVAL", HALVE, 1, counts, self._most)))
        if not found:
            return []
        stored = [_key(keys, version, hashed) for hashed in found]
        texts = replies.texts((yield ("MGET", *stored)), len(stored))
        read = (_read(seal, key, text, now) for key, text in zip(stored, texts, strict=True))
        return [request for request in read if request]


def _counts(keys: Keyspace, version: str) -> str:
    return keys.popular(keyed(digest("popular", version), keys.secret)[:32])


def _key(keys: Keyspace, version: str, hashed: str) -> str:
    return f"{_counts(keys, version)}:{hashed}"


def _body(asked: Question, key: str, request: object, now: float) -> str | None:
    """Return the text of a request at rest, None of one that is not counted."""
    fields = _kept(asked.policy)
    if fields is None:
        return None
    told = [json.dumps({"request": request, "policy": fields}, allow_nan=False)]
    if asked.seal:
        return asked.seal.body(key, now, KEPT, told)
    return entries.body(now, KEPT, told)


def _kept(policy: CachePolicy) -> dict[str, Any] | None:
    """Return the fields to ask again under; None where the answer is not stored, or elsewhere."""
    elsewhere = policy.namespace or policy.key or callable(policy.ttl)
    if policy.effective_mode is not Mode.USE or elsewhere:
        return None
    told = {name: getattr(policy, name) for name in FIELDS}
    for name in ("ttl", "stale_if_error"):
        told[name] = None if told[name] is None else in_seconds(told[name])
    return None if told["ttl"] == 0 else told


def _read(seal: Seal | None, key: str, text: str | None, now: float) -> PopularRequest | None:
    if text is None:
        return None
    try:
        found = seal.decode(key, text) if seal else entries.decode(text)
        match found.answer:
            case ({"request": request, "policy": {**told}},) if found.remaining(now) > 0:
                fields: dict[str, Any] = {name: told.get(name) for name in FIELDS}
                return PopularRequest(request, CachePolicy(**fields))
    except (UnreadableEntry, InvalidPolicy):
        pass
    return None


# ZPOPMIN returns the least and its count.
COUNT = """
local counts, request, hashed, room = KEYS[1], KEYS[2], ARGV[1], tonumber(ARGV[4])
local by = 1
if not redis.call('ZSCORE', counts, hashed) then
  while redis.call('ZCARD', counts) >= room do
    local least = redis.call('ZPOPMIN', counts)
    redis.call('UNLINK', counts .. ':' .. least[1])
    by = 1 + tonumber(least[2])
  end
end
redis.call('ZINCRBY', counts, by, hashed)
redis.call('EXPIRE', counts, ARGV[3])
redis.call('SET', request, ARGV[2], 'EX', ARGV[3])
return 1
"""

# ZUNIONSTORE, of the set with itself, forgets when it expires.
HALVE = """
local counts = KEYS[1]
local most = redis.call('ZREVRANGE', counts, 0, ARGV[1] - 1)
local left = redis.call('TTL', counts)
redis.call('ZUNIONSTORE', counts, 1, counts, 'WEIGHTS', 0.5)
redis.call('EXPIRE', counts, left)
return most
"""
