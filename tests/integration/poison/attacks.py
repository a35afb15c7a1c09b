"""One attack after another: each input is made of the seed and its number, and comes again so."""

import json
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import suppress
from random import Random
from typing import Any

from tests.integration.poison import corpus, mutations
from tests.integration.poison.corpus import NOW, PROMPT, SETTINGS
from tests.integration.poison.promises import only_listed, seen_alike, set_alike
from tests.integration.poison.upstash import EPOCH, NOTHING, Canned
from tests.integration.poison.watch import watched
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
from llm_cache._entries import envelope as entries
from llm_cache._entries.envelope import Entry
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
Attack = Callable[[Random], str]
"""Makes an input, tries it, and says what came of it; fails where a promise is broken."""


class Reader:
    """A cache of each protection, that reads what an attack has put in Redis."""

    def __init__(self) -> None:
        self.store = Canned()
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
        for protection in PROTECTIONS:  # what is imported on first use is no poison's doing
            for text in self.texts[protection]:
                for policy in POLICIES:
                    self.read(Random(0), protection, text, policy)
        for llm_string in corpus.LLM_STRINGS:  # pydantic imports what makes schemas
            canonical(PROMPT, llm_string)

    def key(self, protection: Protection) -> str:
        """Return the key of the one question that is asked."""
        cache = self.caches[protection]
        return cache._question(PROMPT, SETTINGS).identified().protected().key

    def read(
        self, random: Random, protection: Protection | None, text: Any, policy: CachePolicy
    ) -> str:
        """Look an entry up, and store again what it was; no promise may be broken by it."""
        self.store.text = text
        cache, found = self.caches[protection], None
        with watched() as events, cache.policy(policy) as report:
            try:
                found = _called(random, cache.lookup, cache.alookup, PROMPT, SETTINGS)
            except CacheMiss:
                assert policy.mode == "only_if_cached"
            if found is not None:
                _called(random, cache.update, cache.aupdate, PROMPT, SETTINGS, found)
        assert events == [], events
        assert report.errors == 0  # a decoder that fails in another way would have been told as one
        for answer in (found, report.stale_answer and report.stale_answer[1]):
            if answer is not None:
                only_listed(answer)
        return _told(report)

    def replied(self, random: Random, reply: Any) -> str:
        """Look up and store at an Upstash that says the same to everything."""
        self.store.reply = reply
        cache, policy = self.caches[None], random.choice(POLICIES)
        try:
            with watched() as events, cache.policy(policy) as report:
                try:
                    found = _called(random, cache.lookup, cache.alookup, PROMPT, SETTINGS)
                except CacheMiss:
                    assert policy.mode == "only_if_cached"
                    found = None
                _called(random, cache.update, cache.aupdate, PROMPT, SETTINGS, corpus.PROSE)
        finally:
            self.store.reply = NOTHING
        assert events == [], events
        if found is not None:
            only_listed(found)
        return _told(report)


def _called(
    random: Random,
    call: Callable[..., Any],
    acall: Callable[..., Coroutine[Any, Any, Any]],
    *args: Any,
) -> Any:
    """Call one of the two; nothing here waits, so that the asynchronous one needs no loop."""
    if random.random() < 0.75:
        return call(*args)
    try:
        acall(*args).send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("waits")


def _told(report: Report) -> str:
    first = report.outcomes[0] if report.outcomes else None
    return "nothing" if first is None else f"{first.status} {first.why or ''}".strip()


def _unsigned(reader: Reader) -> Attack:
    def attack(random: Random) -> str:
        text = mutations.of_json(random, random.choice(reader.texts[None]))
        return reader.read(random, None, text, random.choice(POLICIES))

    return attack


def _protected(reader: Reader, protection: Protection) -> Attack:
    key = reader.key(protection)
    said = {text: _said(protection.decode(key, text)) for text in reader.texts[protection]}

    def attack(random: Random) -> str:
        before = random.choice(reader.texts[protection])
        text = mutations.of_json(random, before)
        with suppress(UnreadableEntry):
            assert _said(protection.decode(key, text)) == said[before]
        return reader.read(random, protection, text, random.choice(POLICIES))

    return attack


def _said(entry: Entry) -> str:
    """Tell what a protection is over: all but the epochs, which are Redis' own to write."""
    return repr((entry.created, entry.ttl, entry.answer))


def _protected_anew(reader: Reader) -> Attack:
    answers = [entries.decode(text).answer for text in reader.texts[None]]
    texts = [[json.dumps(one) for one in answer] for answer in answers]
    times = (NOW, NOW - 2000, 0.0, -1.0, float("nan"), float("inf"), 1e300)
    ttls: tuple[Any, ...] = (1000, 0, -1, 10**30, "true", "1.5", "null", '1,"answer":[7]')

    def attack(random: Random) -> str:
        protection = random.choice(PROTECTIONS)
        changed = [mutations.of_json(random, text) for text in random.choice(texts)]
        changed = [text.encode("utf-8", "replace").decode() for text in changed]
        odd = random.random() < 0.2
        created, ttl = (random.choice(times), random.choice(ttls)) if odd else (NOW, 1000)
        written: Any = protection or entries
        key = () if protection is None else (reader.key(protection),)
        head = entries.head(created, ttl, "langchain")
        text = f"{entries.HEAD}{EPOCH}{written.body(*key, head, changed)}"
        return reader.read(random, protection, text, random.choice(POLICIES))

    return attack


def _replies(reader: Reader) -> Attack:
    def attack(random: Random) -> str:
        entry = random.choice(reader.texts[None])
        made = [EPOCH, entry, None, 1, "OK", True, 0, mutations.value(random)]
        reply = random.choice((
            mutations.value(random),
            [random.choice(made) for _ in range(random.randrange(5))],
            [EPOCH, mutations.of_json(random, entry)],
            [random.randrange(3), EPOCH, entry],
        ))  # fmt: skip
        return reader.replied(random, reply)

    return attack


def _questions(reader: Reader) -> Attack:
    known: dict[str, int] = {}

    def hash_of(prompt: str, llm_string: str) -> str:
        return reader.caches[None]._question(prompt, llm_string).identified().hashed

    def attack(random: Random) -> str:
        prompt, llm_string = random.choice(corpus.PROMPTS), random.choice(corpus.LLM_STRINGS)
        which = random.choice((mutations.of_text, mutations.of_json))
        changed = [prompt, llm_string]
        place = random.randrange(2)
        changed[place] = which(random, changed[place])
        try:
            with watched() as events:
                hashed = hash_of(*changed)
        except Uncacheable:
            return "uncacheable"
        finally:
            assert events == [], events
        meant = canonical(*changed)
        assert canonical(*meant) == meant
        assert known.setdefault(hashed, hash(meant)) == hash(meant)
        if hash_of(prompt, llm_string) != hashed:
            return "another key"
        assert seen_alike(prompt, changed[0])
        assert set_alike(llm_string, changed[1])
        return "the same" if changed == [prompt, llm_string] else "the same by what it means"

    return attack


BOUNDS = TtlBounds(default=600, floor=10, ceiling=3600)


def _events(_: Reader) -> Attack:
    def attack(random: Random) -> str:
        text = mutations.of_json(random, corpus.EVENT)
        try:
            event = json.loads(text)
        except (ValueError, RecursionError):
            event = {random.choice(list(json.loads(corpus.EVENT))): mutations.value(random)}
        try:
            policy = CachePolicy.from_event(event)
        except InvalidPolicy as error:
            str(error)
            return "refused"
        _usable(policy & CachePolicy(tenant="t"))
        return "taken"

    return attack


def _headers(_: Reader) -> Attack:
    def attack(random: Random) -> str:
        header = mutations.of_text(random, random.choice(corpus.HEADERS))
        for name, told in directives(header).items():
            try:
                assert 0 <= delta_seconds(name, told) <= MAX_SECONDS
            except InvalidPolicy:
                continue
        try:
            policy = CachePolicy.from_cache_control(header)
        except InvalidPolicy as error:
            str(error)
            return "refused"
        _usable(policy)
        return "taken"

    return attack


def _usable(policy: CachePolicy) -> None:
    assert policy.effective_coalesce is not None
    assert type(policy.accepts(5.0, 5.0)) is bool
    kept = BOUNDS.resolve(policy.ttl, [], NOW)
    assert kept is None or 10 <= kept <= 3600
    assert 0 <= BOUNDS.kept(kept or 10, policy.kept_beyond) <= 3600


# Of a hundred inputs; most of the entries are unsigned, for what is signed goes no deeper.
ATTACKS: dict[str, tuple[int, Callable[[Reader], Attack]]] = {
    "an entry": (47, _unsigned),
    "a signed entry": (4, lambda reader: _protected(reader, SIGNING)),
    "an encrypted entry": (4, lambda reader: _protected(reader, ENCRYPTION)),
    "an entry protected after it was changed": (15, _protected_anew),
    "a reply": (5, _replies),
    "a question": (15, _questions),
    "an event": (5, _events),
    "a header": (5, _headers),
}


def run(attack: Attack, name: str, seed: str, count: int) -> Counter[str]:
    """Run an attack ``count`` times; return what came of it, and how often."""
    came: Counter[str] = Counter()
    for number in range(count):
        try:
            came[attack(Random(f"{seed} {name} {number}"))] += 1
        except BaseException as error:
            error.add_note(f"POISON_SEED={seed}, {name}, number {number}")
            raise
    return came
