"""The expected behaviour, derived from the past answers and events, not from the database."""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from langchain_core.outputs import ChatGeneration, Generation
from tests.integration.properties.strategies import Setup

from llm_cache import CachePolicy
from llm_cache._entries.keys import Keyspace, tag_hash
from llm_cache._policy.modes import Coalesce, Mode
from llm_cache._policy.ttl import DEFAULT_TTL, in_seconds

Identity = tuple[str, str, str, str]
"""The namespace's prefix, the tenant, the salt and the prompt."""


def identity(setup: Setup, policy: CachePolicy, prompt: str) -> Identity:
    prefix = policy.namespace or setup.namespace or "llm_cache"
    return (prefix, policy.tenant or "", policy.salt or "", prompt)


def epoch_key(prefix: str | None, *, tag: str | None = None, tenant: str | None = None) -> str:
    """Return the key of the epoch that a clear replaces: of all, of a tag or of a tenant."""
    keys = Keyspace(prefix)
    hashed = tag_hash(tag) if tag else tag_hash(tenant, kind="tenant") if tenant else None
    return keys.tag_epoch(hashed) if hashed else keys.epoch


def mode(policy: CachePolicy) -> Mode:
    return Mode(policy.mode or "use")


def reads(policy: CachePolicy) -> bool:
    return mode(policy) in {"use", "read_only", "only_if_cached"}


def stores(policy: CachePolicy) -> bool:
    return mode(policy) in {"use", "refresh"}


def coalesces(policy: CachePolicy) -> Coalesce:
    """Return the extent of single flight; OFF for an answer that is not read or not stored."""
    unstored = isinstance(policy.ttl, int | float) and policy.ttl == 0
    off = policy.coalesce is None or mode(policy) is not Mode.USE or unstored
    return Coalesce.OFF if off else Coalesce(policy.coalesce or "off")


def ttl_of(setup: Setup, policy: CachePolicy, now: float) -> int | None:
    """Return the TTL of an answer stored now; None: it is not stored."""
    chosen = next(ttl for ttl in (policy.ttl, setup.ttl, DEFAULT_TTL) if ttl is not None)
    try:
        ttl = chosen([], now) if callable(chosen) else chosen
    except ZeroDivisionError:
        return None
    if ttl is None or in_seconds(ttl) <= 0:
        return None
    return math.ceil(max(setup.floor, min(setup.ceiling, in_seconds(ttl))))


def lifetime_of(setup: Setup, policy: CachePolicy, ttl: int) -> int:
    """Return the seconds that Redis keeps an answer, at most the ceiling."""
    beyond = math.ceil(in_seconds(policy.stale_if_error or 0))
    return ttl + max(0, min(beyond, math.ceil(setup.ceiling) - ttl))


@dataclass(eq=False)
class Answer:
    """An answer of the model, and what became of it.

    ``ttl``: None if it may not be stored. ``began``: when its lookup read the epochs, or when it
    was stored without a lookup; None if they are unknown. ``unseen``: the epochs that did not exist
    then. ``dropped``: its store was refused.
    """

    number: int
    identity: Identity
    tags: frozenset[str]
    generations: Sequence[Generation]
    created: float
    ttl: int | None
    lifetime: int
    began: int | None
    unseen: frozenset[str]
    without_lookup: bool = False
    dropped: bool = False
    must_be_stored: bool = False
    kept_until: float = 0.0
    stored: int | None = None
    removal: "Event | None" = None

    @property
    def tokens(self) -> int:
        return 5 if isinstance(self.generations[0], ChatGeneration) else 0

    @property
    def epochs(self) -> frozenset[str]:
        prefix, tenant, *_ = self.identity
        tags = {epoch_key(prefix, tag=tag) for tag in self.tags}
        return frozenset({epoch_key(prefix), epoch_key(prefix, tenant=tenant), *tags})

    def acceptable(self, policy: CachePolicy, now: float) -> bool:
        """Whether its age and remaining time satisfy the policy at ``now``."""
        assert self.ttl is not None
        late = now - (self.created + self.ttl)
        if policy.max_age is not None and now - self.created > in_seconds(policy.max_age):
            return False
        if policy.min_fresh is not None:
            return late <= -in_seconds(policy.min_fresh)
        tolerated = policy.max_stale is not None and late <= in_seconds(policy.max_stale)
        return late < 0 or tolerated

    def tolerable(self, policy: CachePolicy, now: float) -> bool:
        """Whether it may be served when the model fails."""
        assert self.ttl is not None
        late = now - (self.created + self.ttl)
        return policy.stale_if_error is not None and late <= in_seconds(policy.stale_if_error)


@dataclass(eq=False)
class Event:
    """A clear, the loss of an epoch, or the removal of one answer; ``key``: None for every epoch.

    ``lost``: the epoch of this clear was lost later. ``returned``: the store that replaced an
    answer has returned to its caller.
    """

    key: str | None
    at: int
    time: float
    process: object
    clear: bool = True
    lost: bool = False
    returned: bool = True

    def affects(self, answer: Answer) -> bool:
        return self.key is None or self.key in answer.epochs


@dataclass
class History:
    """All answers and events of one run; ``at`` counts them."""

    answers: dict[int, Answer] = field(default_factory=dict)
    latest: dict[Identity, Answer] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    at: int = 0
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def next(self) -> int:
        self.at += 1
        return self.at

    def event(
        self, key: str | None, time: float, process: object = None, *, clear: bool = True
    ) -> None:
        """Record a clear, or the loss of an epoch."""
        self.events.append(Event(key, self.next(), time, process, clear, lost=key is None))
        if not clear or key is None:
            for earlier in self.events:
                earlier.lost |= key is None or earlier.key in {key, None}

    def removed(self, which: Identity, time: float, process: object) -> Event:
        """Record that the stored answer, if any, is no longer stored."""
        event = Event("", self.next(), time, process)
        if answer := self.latest.pop(which, None):
            answer.removal = event
        return event

    def stored(self, answer: Answer, time: float, process: object) -> Event:
        event = self.removed(answer.identity, time, process)
        answer.stored, answer.removal = self.next(), None
        self.latest[answer.identity] = answer
        return event

    def clears(self, answer: Answer) -> Iterator[Event]:
        """Yield the clears that ``answer`` is older than.

        A writer that saw no epoch cannot detect a clear whose own epoch is lost before the store.
        """
        for event in self.events:
            cleared = {event.key} if event.key else answer.epochs
            undetectable = event.lost and cleared <= answer.unseen
            older = answer.began is None or answer.began < event.at
            if event.clear and event.affects(answer) and older and not undetectable:
                yield event

    def undisturbed(self, which: Identity, now: float) -> Answer | None:
        """Return the answer that a lookup at ``now`` must find, if any."""
        answer = self.latest.get(which)
        if answer is None or answer.began is None or now >= answer.kept_until:
            return None
        began = answer.began
        disturbed = any(event.at > began and event.affects(answer) for event in self.events)
        return None if disturbed else answer
