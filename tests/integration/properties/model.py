"""What the cache must do, told from what has happened and not from what the database holds."""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from langchain_core.outputs import ChatGeneration, Generation
from tests.integration.properties.policies import Setup

from llm_cache import CachePolicy
from llm_cache._entries.keys import Keyspace, tag_hash
from llm_cache._policy.modes import Coalesce, Mode
from llm_cache._policy.ttl import DEFAULT_TTL, in_seconds

Identity = tuple[str, str, str, str]
"""The prefix of the namespace, the tenant, the salt and the prompt: whose answer to what."""


def identity(setup: Setup, policy: CachePolicy, prompt: str) -> Identity:
    prefix = policy.namespace or setup.namespace or "llm_cache"
    return (prefix, policy.tenant or "", policy.salt or "", prompt)


def epoch_key(prefix: str | None, *, tag: str | None = None, tenant: str | None = None) -> str:
    """Return the key of the epoch that a clear of all, of a tag or of a tenant replaces."""
    keys = Keyspace(prefix)
    named = tag_hash(tag) if tag else tag_hash(tenant, kind="tenant") if tenant else None
    return keys.tag_epoch(named) if named else keys.epoch


def epoch_keys(prefix: str, tags: Sequence[str], tenant: str) -> frozenset[str]:
    keys = {epoch_key(prefix), *(epoch_key(prefix, tag=tag) for tag in tags)}
    return frozenset(keys | {epoch_key(prefix, tenant=tenant)})


def mode(policy: CachePolicy) -> Mode:
    return Mode(policy.mode or "use")


def reads(policy: CachePolicy) -> bool:
    return mode(policy) in {"use", "read_only", "only_if_cached"}


def stores(policy: CachePolicy) -> bool:
    return mode(policy) in {"use", "refresh"}


def coalesces(policy: CachePolicy) -> Coalesce:
    """Tell among whom: nobody waits for what is not to be read, or not to be stored."""
    unstored = isinstance(policy.ttl, int | float) and policy.ttl == 0
    off = policy.coalesce is None or mode(policy) is not Mode.USE or unstored
    return Coalesce.OFF if off else Coalesce(policy.coalesce or "off")


def ttl_of(setup: Setup, policy: CachePolicy, now: float) -> int | None:
    """Return the seconds an answer stored now is fresh for, or None if it is not to be stored."""
    chosen = [ttl for ttl in (policy.ttl, setup.ttl, DEFAULT_TTL) if ttl is not None]
    try:
        given = chosen[0]([], now) if callable(chosen[0]) else chosen[0]
    except ZeroDivisionError:
        return None
    if given is None or in_seconds(given) <= 0:
        return None
    return math.ceil(max(setup.floor, min(setup.ceiling, in_seconds(given))))


def kept_of(setup: Setup, policy: CachePolicy, ttl: int) -> int:
    """Return the seconds Redis is to keep it, which the ceiling bounds too."""
    beyond = math.ceil(in_seconds(policy.stale_if_error or 0))
    return ttl + max(0, min(beyond, math.ceil(setup.ceiling) - ttl))


@dataclass(eq=False)
class Answer:
    """An answer of the model, and what became of it.

    ``ttl``: None if it is not to be stored. ``began``: when the lookup before it saw the epochs, or
    when it was stored if it is ``unasked``; None if they are not known. ``unseen`` are the epochs
    that did not exist then.
    """

    number: int
    identity: Identity
    tags: frozenset[str]
    generations: Sequence[Generation]
    created: float
    ttl: int | None
    kept_for: int
    began: int | None
    unseen: frozenset[str]
    unasked: bool = False
    dropped: bool = False
    must_be_stored: bool = False
    kept_until: float = 0.0
    stored: int | None = None
    gone: "Event | None" = None

    @property
    def tokens(self) -> int:
        return 5 if isinstance(self.generations[0], ChatGeneration) else 0

    @property
    def epochs(self) -> frozenset[str]:
        return epoch_keys(self.identity[0], sorted(self.tags), self.identity[1])

    def acceptable(self, policy: CachePolicy, now: float) -> bool:
        """Whether a reader whose clock says ``now`` may have it, by its age and its time left."""
        assert self.ttl is not None
        expired = now - (self.created + self.ttl)
        if policy.max_age is not None and now - self.created > in_seconds(policy.max_age):
            return False
        if policy.min_fresh is not None:
            return expired <= -in_seconds(policy.min_fresh)
        late = -1 if policy.max_stale is None else in_seconds(policy.max_stale)
        return expired < 0 or expired <= late

    def spare(self, policy: CachePolicy, now: float) -> bool:
        """Whether it may be served when the model fails."""
        assert self.ttl is not None
        late = now - (self.created + self.ttl)
        return policy.stale_if_error is not None and late <= in_seconds(policy.stale_if_error)


@dataclass(eq=False)
class Event:
    """A clear, the loss of an epoch, or the end of one answer; ``key``: None for every epoch.

    ``lost`` tells of a clear that its own epoch was lost since; ``returned``: the store that has
    ended an answer has returned to its caller.
    """

    key: str | None
    at: int
    when: float
    process: object
    clear: bool = True
    lost: bool = False
    returned: bool = True

    def reaches(self, answer: Answer) -> bool:
        return self.key is None or self.key in answer.epochs


@dataclass
class History:
    """All answers and events of one run, in the order of ``at``."""

    answers: dict[int, Answer] = field(default_factory=dict)
    latest: dict[Identity, Answer] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    at: int = 0
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def next(self) -> int:
        self.at += 1
        return self.at

    def event(
        self, key: str | None, when: float, process: object = None, *, clear: bool = True
    ) -> Event:
        event = Event(key, self.next(), when, process, clear, lost=key is None)
        self.events.append(event)
        if not clear or key is None:
            for earlier in self.events:
                earlier.lost |= key is None or earlier.key in {key, None}
        return event

    def end(self, which: Identity, when: float, process: object) -> Event:
        """Note that what is stored is not there any more."""
        event = Event("", self.next(), when, process)
        if ended := self.latest.pop(which, None):
            ended.gone = event
        return event

    def stored(self, answer: Answer, when: float, process: object) -> Event:
        event = self.end(answer.identity, when, process)
        answer.stored, answer.gone = self.next(), None
        self.latest[answer.identity] = answer
        return event

    def clears(self, answer: Answer) -> Iterator[Event]:
        """Yield the clears that ``answer`` is older than.

        A clear whose own epoch is lost before the store is the one case that goes unseen, and only
        by a writer that saw no epoch before it either.
        """
        for event in self.events:
            cleared = {event.key} if event.key else answer.epochs
            untold = event.lost and cleared <= answer.unseen
            older = answer.began is None or answer.began < event.at
            if event.clear and event.reaches(answer) and older and not untold:
                yield event

    def undisturbed(self, which: Identity, now: float) -> Answer | None:
        """Return the answer that a lookup at this moment must find, whatever else it may."""
        answer = self.latest.get(which)
        if answer is None or answer.began is None or now >= answer.kept_until:
            return None
        began = answer.began
        disturbed = any(event.at > began and event.reaches(answer) for event in self.events)
        return None if disturbed else answer
