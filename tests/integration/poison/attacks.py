"""Attacks: each input follows from the seed and its number, so that it can be repeated."""

import json
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from random import Random
from typing import Any

from tests.integration.poison import corpus, mutations
from tests.integration.poison.audit_hook import audited
from tests.integration.poison.canned_store import EPOCH, NO_REPLY, CannedStore
from tests.integration.poison.corpus import NOW, PROMPT, SETTINGS
from tests.integration.poison.expectations import (
    assert_listed_classes,
    same_conversation,
    same_settings,
)
from tests.integration.protected_request import protected_request
from tests.unit.langchain.llm_strings import canonical

from llm_cache import (
    CacheMiss,
    CachePolicy,
    Encryption,
    InvalidPolicy,
    MemoryTier,
    Signing,
    UnreadableEntry,
    UpstashRedisCache,
)
from llm_cache._entries import envelope
from llm_cache._entries.opening import OPENING
from llm_cache._entries.protection import Protection
from llm_cache._errors import Uncacheable
from llm_cache._policy.cache_control import delta_seconds, directives
from llm_cache._policy.ttl import MAX_SECONDS, TtlBounds
from llm_cache._report import Report

KEY = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="
SIGNING, ENCRYPTION = Signing(KEY), Encryption(KEY)
PROTECTIONS: tuple[Protection | None, ...] = (None, SIGNING, ENCRYPTION)
POLICIES = (
    CachePolicy(),
    CachePolicy(),
    CachePolicy(tags=["red"]),
    CachePolicy(max_stale=10**6, stale_if_error=10**6),
    CachePolicy(max_age=10, mode="read_only"),
    CachePolicy(mode="only_if_cached"),
    CachePolicy(coalesce="process"),
)
BOUNDS = TtlBounds(default=600, floor=10, ceiling=3600)
Attack = Callable[[Random], str]
"""Makes one input, tries it, and returns the outcome; fails if a promise is broken."""


class Reader:
    """A cache of each protection, over one canned store."""

    def __init__(self) -> None:
        self.store = CannedStore()
        self.caches = {
            protection: UpstashRedisCache(
                self.store,
                namespace="n",
                protection=protection,
                ttl=1000,
                clock=lambda: NOW + 1,
                memory=MemoryTier(seconds=1e-9) if protection is None else None,
            )
            for protection in PROTECTIONS
        }
        self.texts = {protection: corpus.entries(protection) for protection in PROTECTIONS}
        for protection in PROTECTIONS:  # the imports on first use are not caused by an attack
            for text in self.texts[protection]:
                for policy in POLICIES:
                    self.read(Random(0), protection, text, policy)
        for llm_string in corpus.LLM_STRINGS:
            canonical(PROMPT, llm_string)

    def key(self, protection: Protection) -> str:
        """Return the key of the request that the attacks look up."""
        return protected_request(self.caches[protection]._call_of(PROMPT, SETTINGS)).key

    def read(
        self, random: Random, protection: Protection | None, text: Any, policy: CachePolicy
    ) -> str:
        """Look up an entry, store the answer again, and check both."""
        self.store.text = text
        report = self._look_up(random, self.caches[protection], policy)
        assert report.errors == 0
        if report.stale_answer:
            assert_listed_classes(report.stale_answer[1])
        return _outcome(report)

    def read_reply(self, random: Random, reply: Any) -> str:
        """Look up and store while every reply of Upstash is ``reply``, and check both."""
        self.store.reply = reply
        try:
            policy = random.choice(POLICIES)
            return _outcome(self._look_up(random, self.caches[None], policy, corpus.PROSE))
        finally:
            self.store.reply = NO_REPLY

    def _look_up(
        self, random: Random, cache: UpstashRedisCache, policy: CachePolicy, answer: Any = None
    ) -> Report:
        """Look up, and store ``answer`` or the answer that was found."""
        found = None
        with audited() as events, cache.policy(policy) as report:
            try:
                found = _either(random, cache.lookup, cache.alookup, PROMPT, SETTINGS)
            except CacheMiss:
                assert policy.mode == "only_if_cached"
            if found is not None or answer:
                stored = answer or found
                _either(random, cache.update, cache.aupdate, PROMPT, SETTINGS, stored)
        assert events == []
        if found is not None:
            assert_listed_classes(found)
        return report


def _either(
    random: Random,
    call: Callable[..., Any],
    acall: Callable[..., Coroutine[Any, Any, Any]],
    *args: Any,
) -> Any:
    """Run one of the two; the asynchronous call does not wait, so it needs no event loop."""
    if random.random() < 0.75:
        return call(*args)
    try:
        acall(*args).send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("waits")


def _outcome(report: Report) -> str:
    first = report.outcomes[0] if report.outcomes else None
    return "nothing" if first is None else f"{first.status} {first.why or ''}".strip()


def _unsigned(reader: Reader, random: Random) -> str:
    text = mutations.of_json(random, random.choice(reader.texts[None]))
    return reader.read(random, None, text, random.choice(POLICIES))


def _protected(protection: Protection, reader: Reader) -> Attack:
    key = reader.key(protection)

    def protected_fields(text: str) -> str:
        """Return the fields under the protection: all but the epochs, which Redis adds."""
        entry = protection.decode(key, text)
        return repr((entry.created, entry.ttl, entry.answer))

    fields = {text: protected_fields(text) for text in reader.texts[protection]}

    def attack(random: Random) -> str:
        before = random.choice(reader.texts[protection])
        text = mutations.of_json(random, before)
        with suppress(UnreadableEntry):
            assert protected_fields(text) == fields[before]
        return reader.read(random, protection, text, random.choice(POLICIES))

    return attack


def _protected_after_mutation(reader: Reader) -> Attack:
    answers = [envelope.decode(text).answer for text in reader.texts[None]]
    texts = [[json.dumps(one) for one in answer] for answer in answers]
    times = (NOW, NOW - 2000, 0.0, -1.0, float("nan"), float("inf"), 1e300)
    ttls: tuple[Any, ...] = (1000, 0, -1, 10**30, "true", "1.5", "null", '1,"answer":[7]')

    def attack(random: Random) -> str:
        protection = random.choice(PROTECTIONS)
        mutated = [mutations.of_json(random, text) for text in random.choice(texts)]
        mutated = [text.encode("utf-8", "replace").decode() for text in mutated]
        odd = random.random() < 0.2
        created, ttl = (random.choice(times), random.choice(ttls)) if odd else (NOW, 1000)
        writer: Any = protection or envelope
        key = () if protection is None else (reader.key(protection),)
        body = writer.encode_body(*key, envelope.metadata(created, ttl, "langchain"), mutated)
        text = f"{OPENING}{EPOCH}{body}"
        return reader.read(random, protection, text, random.choice(POLICIES))

    return attack


def _reply(reader: Reader, random: Random) -> str:
    entry = random.choice(reader.texts[None])
    values = [EPOCH, entry, None, 1, "OK", True, 0, mutations.value(random)]
    reply = random.choice((
        mutations.value(random),
        [random.choice(values) for _ in range(random.randrange(5))],
        [EPOCH, mutations.of_json(random, entry)],
        [random.randrange(3), EPOCH, entry],
    ))  # fmt: skip
    return reader.read_reply(random, reply)


def _request(reader: Reader) -> Attack:
    known: dict[str, int] = {}

    def hash_of(prompt: str, llm_string: str) -> str:
        return reader.caches[None]._call_of(prompt, llm_string).identify().hashed

    def attack(random: Random) -> str:
        prompt, llm_string = random.choice(corpus.PROMPTS), random.choice(corpus.LLM_STRINGS)
        mutate = random.choice((mutations.of_text, mutations.of_json))
        mutated = [prompt, llm_string]
        place = random.randrange(2)
        mutated[place] = mutate(random, mutated[place])
        try:
            with audited() as events:
                hashed = hash_of(*mutated)
        except Uncacheable:
            return "uncacheable"
        finally:
            assert events == [], events
        meaning = canonical(*mutated)
        # A torn quote may hide an address from the first pass; its key then differs: a miss.
        again = canonical(*meaning)
        assert canonical(*again) == again
        assert known.setdefault(hashed, hash(meaning)) == hash(meaning)
        if hash_of(prompt, llm_string) != hashed:
            return "another key"
        assert same_conversation(prompt, mutated[0])
        assert same_settings(llm_string, mutated[1])
        return "unchanged" if mutated == [prompt, llm_string] else "same meaning"

    return attack


def _event(_: Reader, random: Random) -> str:
    text = mutations.of_json(random, corpus.EVENT)
    try:
        event = json.loads(text)
    except (ValueError, RecursionError):
        event = {random.choice(list(json.loads(corpus.EVENT))): mutations.value(random)}
    return _policy(lambda: CachePolicy.from_event(event) & CachePolicy(tenant="t"))


def _header(_: Reader, random: Random) -> str:
    header = mutations.of_text(random, random.choice(corpus.HEADERS))
    for name, value in directives(header).items():
        with suppress(InvalidPolicy):
            assert 0 <= delta_seconds(name, value) <= MAX_SECONDS
    return _policy(lambda: CachePolicy.from_cache_control(header))


def _policy(parse: Callable[[], CachePolicy]) -> str:
    """Return whether a policy is accepted; an accepted policy must be usable."""
    try:
        policy = parse()
    except InvalidPolicy as error:
        str(error)
        return "refused"
    assert policy.effective_coalesce is not None
    assert type(policy.accepts(5.0, 5.0)) is bool
    ttl = BOUNDS.resolve(policy.ttl, [], NOW)
    assert ttl is None or 10 <= ttl <= 3600
    assert 0 <= BOUNDS.kept(ttl or 10, policy.kept_beyond) <= 3600
    return "accepted"


def _stateless(attack: Callable[[Reader, Random], str]) -> Callable[[Reader], Attack]:
    return lambda reader: partial(attack, reader)


# Of a hundred inputs. Few entries are signed or encrypted: a mutated one is not decoded further.
ATTACKS: dict[str, tuple[int, Callable[[Reader], Attack]]] = {
    "an entry": (47, _stateless(_unsigned)),
    "a signed entry": (4, partial(_protected, SIGNING)),
    "an encrypted entry": (4, partial(_protected, ENCRYPTION)),
    "an entry protected after its mutation": (15, _protected_after_mutation),
    "a reply": (5, _stateless(_reply)),
    "a request": (15, _request),
    "an event": (5, _stateless(_event)),
    "a header": (5, _stateless(_header)),
}


def run(attack: Attack, name: str, seed: str, count: int) -> Counter[str]:
    """Run an attack ``count`` times; return the count of each outcome."""
    outcomes: Counter[str] = Counter()
    for number in range(count):
        try:
            outcomes[attack(Random(f"{seed} {name} {number}"))] += 1
        except BaseException as error:
            error.add_note(f"POISON_SEED={seed}, {name}, number {number}")
            raise
    return outcomes
