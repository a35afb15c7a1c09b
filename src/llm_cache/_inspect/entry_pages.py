"""Read entries page by page, with the state that a lookup would find them in."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from enum import StrEnum
from functools import lru_cache, partial
from typing import NamedTuple

from llm_cache._entries.keys import Keyspace, is_namespace
from llm_cache._errors import StoreError
from llm_cache._inspect.entry_heads import Found, Head, heads
from llm_cache._protocol.clearing import PAGE, retried
from llm_cache._protocol.effects import Operation
from llm_cache._protocol.redis_commands import mget, scan


class State(StrEnum):
    """What a lookup would make of an entry, as far as its head tells."""

    LIVE = "live"
    EXPIRED = "expired"
    """The TTL has ended; Redis keeps the entry for ``stale_if_error``."""
    CLEARED = "cleared"
    UNREADABLE = "unreadable"


class Listed(NamedTuple):
    """An entry of a namespace, and its state at ``now``, in Unix seconds."""

    namespace: str
    found: Found
    state: State
    now: float

    @property
    def age(self) -> float | None:
        """The seconds since the answer was stored; None if the entry is unreadable."""
        head = self.found.head
        return None if head is None else max(0.0, self.now - head.created)

    @property
    def remaining(self) -> float | None:
        """The seconds of the TTL that are left, negative after its end; None if unreadable."""
        head = self.found.head
        return None if head is None else head.created + head.ttl - self.now


_keyspace = lru_cache(maxsize=1024)(Keyspace)  # a page has the keys of few namespaces


class Selection(NamedTuple):
    """The entries to read: of one namespace or, without, of all; with a tag's hash; in a state."""

    namespace: str | None
    tag: str | None = None
    state: State | None = None

    @property
    def pattern(self) -> str:
        """The ``SCAN … MATCH`` pattern."""
        return Keyspace(self.namespace).entry_pattern if self.namespace else "*:entry:*"

    def namespace_of(self, key: str) -> str | None:
        """Return the namespace of a selected entry's key; None for every other key."""
        name = self.namespace or key.rpartition(":")[0].removesuffix(":entry")
        return name if is_namespace(name) and _keyspace(name).owns_entry(key) else None

    def holds(self, found: Found) -> bool:
        """Whether the entry has the tag."""
        return self.tag is None or self.tag in found.tags


class Page(NamedTuple):
    """The selected entries of one page, and the cursor of the next one (``"0"``: none)."""

    cursor: str
    entries: Sequence[Listed]


def read_page(selection: Selection, cursor: str, now: float, count: int = PAGE) -> Operation[Page]:
    """Read one page of about ``count`` keys of the database: three commands, no answer."""
    following, names = yield from scan(cursor, selection.pattern, count)
    owners = {name: owner for name in names if (owner := selection.namespace_of(name))}
    if not owners:
        return Page(following, ())
    found = [each for each in (yield from heads(list(owners))) if selection.holds(each)]
    current = yield from _epochs({(owners[each.key], tag) for each in found for tag in each.tags})
    entries = []
    for each in found:
        owner = owners[each.key]
        epochs = {tag: current[owner, tag] for tag in each.tags}
        entries.append(Listed(owner, each, state(each.head, epochs, now), now))
    return Page(following, [it for it in entries if selection.state in {None, it.state}])


def read_small_page(
    selection: Selection, cursor: str, most: int, clock: Callable[[], float]
) -> Operation[Page]:
    """Read one page of at most ``most`` entries, if a page can be that small.

    ``SCAN`` cannot continue inside a page, so a page that is too large is read again, smaller.
    """
    everything = selection.tag is None and selection.state is None
    count = min(PAGE, most) if everything else PAGE
    while True:
        read = partial(read_page, selection, cursor, clock(), count)
        page = yield from retried(read, lambda: True)
        if len(page.entries) <= most or count == 1:
            return page
        count = max(1, count // 2)


def _epochs(names: Collection[tuple[str, str]]) -> Operation[Mapping[tuple[str, str], str | None]]:
    """Return the current epochs of namespaces and their tags. One command or none."""
    if not names:
        return {}
    keys = [_epoch_key(_keyspace(namespace), tag) for namespace, tag in names]
    return dict(zip(names, (yield from mget(*keys)), strict=True))


def _epoch_key(keys: Keyspace, tag: str) -> str:
    return keys.tag_epoch(tag) if tag else keys.epoch


def state(head: Head | None, epochs: Mapping[str, str | None], now: float) -> State:
    """Return the state of an entry; ``epochs`` are the current ones of its namespace and tags."""
    if head is None:
        return State.UNREADABLE
    if head.epochs != epochs:
        return State.CLEARED
    return State.LIVE if head.created + head.ttl > now else State.EXPIRED


class Read(NamedTuple):
    """Where reading pages has stopped; ``failure`` ended it after its retries."""

    cursor: str
    failure: StoreError | None = None

    @property
    def complete(self) -> bool:
        """Whether every key was read."""
        return self.cursor == "0" and self.failure is None


def read_pages(
    selection: Selection,
    cursor: str,
    *,
    clock: Callable[[], float],
    visit: Callable[[Sequence[Listed]], object],
    proceed: Callable[[], bool],
) -> Operation[Read]:
    """Pass the entries of each page to ``visit``, until ``proceed`` returns False.

    It raises no ``StoreError``: a page is tried as often as by ``reclaim``.
    """
    while True:
        try:
            page = yield from retried(partial(read_page, selection, cursor, clock()), proceed)
        except StoreError as error:
            return Read(cursor, error)
        visit(page.entries)
        cursor = page.cursor
        if cursor == "0" or not proceed():
            return Read(cursor)
