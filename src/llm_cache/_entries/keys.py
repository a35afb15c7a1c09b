"""Names in Redis: what a prompt is hashed to, and the keys of one namespace."""

from __future__ import annotations

import functools
import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from llm_cache._errors import InvalidSettings

KEY_VERSION = 4  # hashed into every key: raise it with any change of what enters a key or an entry
DEFAULT_PREFIX = "llm_cache"
MAX_NAMESPACE = 200  # characters; Upstash's limit is 32 KB for a whole key
MAX_TEXT = 1000  # characters of a tag, a tenant, a salt or a key
FIRST, CLEARED = "f", "c"  # the first letter of an epoch says what made it: a store or a clear
MAX_TAGS = 8  # of one answer: each is an epoch to read with it
MAX_EPOCHS = 2 + MAX_TAGS  # of one answer: its namespace, its tenant, its tags
_GLOB = re.compile(r"([*?\[\]\\^])")


def digest(*parts: str) -> str:
    """Hash ``parts`` to 64 hexadecimal digits.

    Each part is preceded by its length in bytes, so no two lists of parts share an input:
    ``("ab", "c")`` and ``("a", "bc")`` differ. Lone surrogates are hashed as they stand.
    """
    sha = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        sha.update(b"%d:" % len(data))
        sha.update(data)
    return sha.hexdigest()


def keyed(hashed: str, secret: bytes | None) -> str:
    """Hash a hash once more, with a secret if there is one: a guess then cannot be tested."""
    if secret is None:
        return hashed
    import hmac

    return hmac.digest(secret, hashed.encode(), "sha256").hex()


def random_token() -> str:
    """Return 16 hexadecimal digits that nobody can guess."""
    return os.urandom(8).hex()


@functools.lru_cache(maxsize=1024)  # a lookup and its update ask for each name several times
def tag_hash(tag: str, secret: bytes | None = None, *, kind: str = "tag") -> str:
    """Hash the name of a tag, or of a tenant, to 32 hexadecimal digits that hide the name."""
    return keyed(digest(kind, tag), secret)[:32]


def cleared_epoch(now: float, token: str) -> str:
    """Return the epoch that a clear at ``now``, in Unix seconds, sets."""
    return f"{CLEARED}{now:.3f}-{token}"


def cleared_at(epoch: str | None) -> float | None:
    """Return the Unix seconds of the clear that set an epoch; None if no clear did."""
    found = re.match(rf"{CLEARED}(\d+\.\d+)-", epoch or "")
    return float(found[1]) if found else None


def is_namespace(value: object) -> bool:
    """Whether keys may begin with it."""
    return isinstance(value, str) and 0 < len(value) <= MAX_NAMESPACE and value.isprintable()


@dataclass(frozen=True, slots=True)
class Keyspace:
    """The keys of one namespace; ``None`` is the whole database, as the drop-in form has it.

    A ``secret`` (see ``Protection.names``) keys the hashes, so that no guess can be tested.
    """

    namespace: str | None = None
    secret: bytes | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.namespace is not None and not is_namespace(self.namespace):
            accepted = f"1 to {MAX_NAMESPACE} printable characters"
            raise InvalidSettings("namespace", self.namespace, accepted)

    @property
    def prefix(self) -> str:
        """What every key of the namespace begins with."""
        return self.namespace or DEFAULT_PREFIX

    def under(self, secret: bytes | None) -> Keyspace:
        """Return the same namespace with its names keyed."""
        return replace(self, secret=secret)

    @property
    def epoch(self) -> str:
        """The key of the namespace's epoch, the token that a clear replaces."""
        return f"{self.prefix}:epoch"

    def tag_epoch(self, tag: str) -> str:
        """Return the key of the epoch of a tag, given the tag's hash."""
        return f"{self.prefix}:epoch:{tag}"

    def tag(self, name: str) -> str:
        """Return the hash of a tag."""
        return tag_hash(name, self.secret)

    def tenant(self, name: str) -> str:
        """Return the hash of a tenant, whose epoch stands beside those of the tags."""
        return tag_hash(name, self.secret, kind="tenant")

    def tags(self, names: Sequence[str] | None, tenant: str | None = None) -> tuple[str, ...]:
        """Return the hashes of the tenant and of the tags, in one order however they are given."""
        return (*([self.tenant(tenant)] if tenant else ()), *sorted(map(self.tag, names or ())))

    def epochs(self, tags: Sequence[str]) -> tuple[str, ...]:
        """Return the keys of the namespace's epoch and of the tags', given their hashes."""
        return (self.epoch, *(self.tag_epoch(tag) for tag in tags))

    def entry(self, hashed: str) -> str:
        """Return the key of the entry whose prompt hashes to ``hashed``."""
        return f"{self.prefix}:entry:{hashed}"

    def lease(self, hashed: str) -> str:
        """Return the key of the lease of who computes the answer to what hashes to ``hashed``."""
        return f"{self.prefix}:lease:{hashed}"

    @property
    def entry_pattern(self) -> str:
        """A ``SCAN … MATCH`` pattern for entries; the namespace's glob characters are escaped."""
        return _GLOB.sub(r"\\\1", f"{self.prefix}:entry:") + "*"

    def owns_entry(self, key: str) -> bool:
        """Whether ``key`` is an entry of this namespace, and not of one that begins alike."""
        head, _, hashed = key.rpartition(":")
        return head == f"{self.prefix}:entry" and re.fullmatch("[0-9a-f]{64}", hashed) is not None
