"""One request of the cache: which entry it looks up or stores, and how that entry is written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, TypeAlias, TypeVar

from llm_cache._entries import envelope
from llm_cache._entries.envelope import Entry
from llm_cache._entries.keys import Keyspace, keyed_hash
from llm_cache._errors import UnreadableEntry
from llm_cache._policy.cache_policy import CachePolicy

if TYPE_CHECKING:
    from llm_cache._entries.protection import Protection

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Identity: TypeAlias = tuple[int, str, tuple[str, ...]]
"""The number of a cache, the key of an entry before protection, and the tags of the policy."""


class Codec(Protocol[T_co]):
    """Writes answers as JSON texts, and reads them from entries."""

    @property
    def name(self) -> str:
        """The name of the codec, which every entry holds."""

    def serialize(self, answer: Any) -> tuple[str, ...] | None:
        """Return an answer as JSON texts; None if it cannot be restored exactly."""

    def read(self, entry: Entry) -> T_co:
        """Return the answer of an entry; raise ``UnreadableEntry`` if it has none."""


class Request(NamedTuple, Generic[T]):
    """The key, the policy and the codec of one lookup or update.

    ``identity`` distinguishes the request within this process. ``hashed``: the hash of its key
    parts. ``clock`` returns Unix seconds.
    """

    identity: Identity
    keys: Keyspace
    hashed: str
    policy: CachePolicy
    codec: Codec[T]
    clock: Callable[[], float]
    protection: Protection | None = None

    def __repr__(self) -> str:
        """Show no tag: it may name a person."""
        return f"Request(key={self.key!r})"

    def protected(self, protection: Protection | None) -> Request[T]:
        """Return the request with its names keyed, and its entry signed or encrypted."""
        if protection is None:
            return self
        secret = protection.name_secret
        keys, hashed = self.keys.with_secret(secret), keyed_hash(self.hashed, secret)
        return self._replace(keys=keys, hashed=hashed, protection=protection)

    @property
    def key(self) -> str:
        """The key of the entry."""
        return self.keys.entry(self.hashed)

    @property
    def tags(self) -> tuple[str, ...]:
        """The hashes of the policy's tenant and tags."""
        return self.keys.tags(self.policy.tags, self.policy.tenant)

    def decode(self, text: object) -> Entry:
        """Read an entry; raise ``UnreadableEntry`` if it is not an entry of this request."""
        decode = self.protection.decode if self.protection else _plain
        found = decode(self.key, text)
        is_own = found.request_hash in (None, self.hashed[: envelope.REQUEST_HASH_LENGTH])
        if not is_own or found.codec != self.codec.name:
            raise UnreadableEntry("the answer to another request, or of another codec")
        return found

    def encode(self, metadata: str, answer: Sequence[str]) -> str:
        """Return the text of an entry after its epochs."""
        if self.protection:
            return self.protection.encode_body(self.key, metadata, answer)
        return envelope.encode_body(metadata, answer, self.hashed)


def _plain(_: str, text: object) -> Entry:
    return envelope.decode(text)
