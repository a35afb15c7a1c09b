"""Hashes of requests, tenants and tags, and the Redis keys of one namespace."""

from __future__ import annotations

import functools
import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from llm_cache._errors import InvalidSettings

# Hashed into every key: raise it when the parts of a key or the form of an entry change.
KEY_VERSION = 4
# The form of the parts, hashed before them.
CANONICAL, AS_WRITTEN, OWN_KEY = "canonical", "as written", "by its own key"
EXPLANATION = "explanation of a key of llm_cache"  # the kind of a JSON file
DEFAULT_PREFIX = "llm_cache"
MAX_NAMESPACE = 200  # characters; Upstash's limit is 32 KB for a whole key
MAX_TEXT = 1000  # characters of a tag, a tenant, a salt or a key
STORE_MARK, CLEAR_MARK = "f", "c"  # the first letter of an epoch set by a store, or by a clear
MAX_TAGS = 8  # of one answer: each adds an epoch to every read
MAX_EPOCHS = 2 + MAX_TAGS  # of one answer: namespace, tenant and tags
_GLOB = re.compile(r"([*?\[\]\\^])")


def digest(*parts: str) -> str:
    """Hash ``parts`` to 64 hexadecimal digits.

    Each part is preceded by its length in bytes, so no two lists of parts share an input:
    ``("ab", "c")`` and ``("a", "bc")`` differ. Lone surrogates are hashed too.
    """
    sha = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        sha.update(b"%d:" % len(data))
        sha.update(data)
    return sha.hexdigest()


def keyed_hash(hashed: str, secret: bytes | None) -> str:
    """Return the HMAC of a hash, so that guesses cannot be tested; the hash without a secret."""
    if secret is None:
        return hashed
    import hmac

    return hmac.digest(secret, hashed.encode(), "sha256").hex()


def random_token() -> str:
    """Return 16 random hexadecimal digits."""
    return os.urandom(8).hex()


@functools.lru_cache(maxsize=1024)  # a lookup and its update hash each name several times
def tag_hash(tag: str, secret: bytes | None = None, *, kind: str = "tag") -> str:
    """Return 32 hexadecimal digits of the hash of a tag's or a tenant's name."""
    return keyed_hash(digest(kind, tag), secret)[:32]


def cleared_epoch(now: float, token: str) -> str:
    """Return the new epoch of a clear at ``now``, in Unix seconds."""
    return f"{CLEAR_MARK}{now:.3f}-{token}"


def cleared_at(epoch: str | None) -> float | None:
    """Return the Unix seconds of the clear that set an epoch; None if a store set it."""
    found = re.match(rf"{CLEAR_MARK}(\d+\.\d+)-", epoch or "")
    return float(found[1]) if found else None


def is_namespace(value: object) -> bool:
    """Whether ``value`` is a valid namespace."""
    return isinstance(value, str) and 0 < len(value) <= MAX_NAMESPACE and value.isprintable()


@dataclass(frozen=True, slots=True)
class Keyspace:
    """The keys of one namespace; None is the whole database, as in the replaced cache.

    A ``secret`` (see ``NameSecret``) keys the hashes, so that guesses cannot be tested.
    """

    namespace: str | None = None
    secret: bytes | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.namespace is not None and not is_namespace(self.namespace):
            accepted = f"1 to {MAX_NAMESPACE} printable characters"
            raise InvalidSettings("namespace", self.namespace, accepted)

    @property
    def prefix(self) -> str:
        """The beginning of every key of the namespace."""
        return self.namespace or DEFAULT_PREFIX

    def with_secret(self, secret: bytes | None) -> Keyspace:
        """Return the same namespace with keyed hashes."""
        return replace(self, secret=secret)

    @property
    def epoch(self) -> str:
        """The key of the namespace's epoch, the token that a clear replaces."""
        return f"{self.prefix}:epoch"

    def tag_epoch(self, tag: str) -> str:
        """Return the key of the epoch of the tag whose hash is ``tag``."""
        return f"{self.prefix}:epoch:{tag}"

    def tag(self, name: str) -> str:
        """Return the hash of a tag."""
        return tag_hash(name, self.secret)

    def tenant(self, name: str) -> str:
        """Return the hash of a tenant, which has an epoch like a tag."""
        return tag_hash(name, self.secret, kind="tenant")

    def tags(self, names: Sequence[str] | None, tenant: str | None = None) -> tuple[str, ...]:
        """Return the hashes of the tenant and of the tags; the order of ``names`` has no effect."""
        return (*([self.tenant(tenant)] if tenant else ()), *sorted(map(self.tag, names or ())))

    def epochs(self, tags: Sequence[str]) -> tuple[str, ...]:
        """Return the keys of the epochs of the namespace and of the tags with these hashes."""
        return (self.epoch, *(self.tag_epoch(tag) for tag in tags))

    def entry(self, hashed: str) -> str:
        """Return the key of the entry of the request with this hash."""
        return f"{self.prefix}:entry:{hashed}"

    def lease(self, hashed: str) -> str:
        """Return the key of the single-flight lease of the request with this hash."""
        return f"{self.prefix}:lease:{hashed}"

    @property
    def entry_pattern(self) -> str:
        """The ``SCAN … MATCH`` pattern of the entries, with glob characters escaped."""
        return _GLOB.sub(r"\\\1", f"{self.prefix}:entry:") + "*"

    def owns_entry(self, key: str) -> bool:
        """Whether ``key`` is an entry of this namespace, not of ``NAMESPACE:entry``."""
        before, _, hashed = key.rpartition(":")
        return before == f"{self.prefix}:entry" and re.fullmatch("[0-9a-f]{64}", hashed) is not None
