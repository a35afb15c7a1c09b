"""The value of an entry's key in Redis: a versioned envelope around the answer.

The envelope is ASCII JSON, because Upstash's REST API carries text. The epochs come first, so that
a script recognizes a cleared entry by its first bytes. The answer is last: under ``answer`` as
plain JSON or, where that is much shorter, under ``z``, compressed (see ``compression``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeGuard

from llm_cache._checks import Range
from llm_cache._entries.compression import COMPRESS_ABOVE, pack, unpack
from llm_cache._entries.json_bounds import FEW_VALUES, parse_entry_json
from llm_cache._entries.keys import MAX_EPOCHS
from llm_cache._entries.opening import VERSION
from llm_cache._errors import UnreadableEntry

EPOCHS_END = '"},'
EPOCHS_PATTERN = rf'\{{"v":{VERSION},"epochs":\{{"":"[^"\\]*"(?:,"[0-9a-f]{{32}}":"[^"\\]*")*\}},'
"""Matches everything before the body's fields, and nothing else."""

FINGERPRINT_LENGTH = 1_024  # characters: the epochs, the time, and the signature or the nonce
REQUEST_HASH_LENGTH = 16  # hexadecimal digits: enough against mistakes, which is the purpose
MAX_TIME = 10**11  # Unix seconds, in the year 5138; JSON carries integers that no float holds
TIME = Range("Unix seconds", most=MAX_TIME)
TTL = Range("whole seconds", most=MAX_TIME, whole=True)


class Entry(NamedTuple):
    """A stored answer.

    - ``epochs``: the epoch of the namespace under ``""``, those of tags under their hashes.
    - ``created`` in Unix seconds and ``ttl`` in seconds, by the writer's clock: a hit knows its age
      and remaining time without a command.
    - ``answer``: JSON values, written by ``codec``.
    - ``request_hash``: the first digits of the request's hash, if stored. They reveal a reply that
      was meant for another request.
    """

    epochs: Mapping[str, str]
    created: float
    ttl: int
    answer: tuple[Any, ...]
    codec: str = ""
    request_hash: str | None = None

    def age(self, now: float) -> float:
        """Return the seconds since the answer was stored, 0 when clocks disagree."""
        return max(0.0, now - self.created)

    def remaining(self, now: float) -> float:
        """Return the seconds the entry has left; 0 or less once it has expired."""
        return self.created + self.ttl - now


def tag_separator(tag: str) -> str:
    """Return the text between an epoch and the epoch of the tag whose hash is ``tag``."""
    return f'","{tag}":"'


def metadata(created: float, ttl: int, codec: str) -> str:
    """Return the fields with the time of the store, the TTL and the codec."""
    return f'"created":{created:.3f},"ttl":{ttl},"codec":"{codec}"'


def encode_body(metadata: str, answer: Sequence[str], request_hash: str | None = None) -> str:
    """Return an entry's text after its last epoch; ``answer`` consists of JSON texts."""
    array = json_array(answer)
    packed = pack(array) if len(array) > COMPRESS_ABOVE else None
    field = f'"answer":{array}' if packed is None else f'"z":"{packed}"'
    request = "" if request_hash is None else f'"asked":"{request_hash[:REQUEST_HASH_LENGTH]}",'
    return f"{EPOCHS_END}{request}{metadata},{field}}}"


def fingerprint(text: str | None) -> str:
    """Return a short text by which a script recognizes an entry, ``""`` for no entry."""
    return f"{len(text)}:{text[:FINGERPRINT_LENGTH]}" if text else ""


def json_array(texts: Sequence[str]) -> str:
    """Return the JSON array of JSON texts."""
    return f"[{','.join(texts)}]"


def fits(body: str, max_bytes: int) -> bool:
    """Whether ``body`` takes at most ``max_bytes`` of the request that stores it.

    The request carries it as a JSON string, where each quote and each backslash takes two bytes.
    """
    return 2 * len(body) <= max_bytes or _escaped_size(body) <= max_bytes


def _escaped_size(body: str) -> int:
    return len(body) + body.count('"') + body.count("\\")


def decode(text: object) -> Entry:
    """Return the entry in a reply of Redis; raise ``UnreadableEntry`` for any other content."""
    if not isinstance(text, str) or not text.isascii():
        raise UnreadableEntry("not ASCII")
    fields = parse_entry_json(text, FEW_VALUES + len(text))
    if not isinstance(fields, dict) or fields.get("v") != VERSION:
        raise UnreadableEntry(f"not an entry of version {VERSION}")
    answer = unpack(fields["z"]) if "z" in fields else fields.get("answer")
    epochs, created, ttl = fields.get("epochs"), fields.get("created"), fields.get("ttl")
    codec, request_hash = fields.get("codec"), fields.get("asked")
    if (
        isinstance(codec, str)
        and (request_hash is None or isinstance(request_hash, str))
        and (isinstance(answer, list) and answer)
        and (created in TIME and ttl in TTL)
        and _are_epochs(epochs)
    ):
        return Entry(epochs, created, ttl, tuple(answer), codec, request_hash)
    raise UnreadableEntry("a field is missing or of the wrong type")


def _are_epochs(epochs: Any) -> TypeGuard[dict[str, str]]:
    """Whether a lookup may read these epochs: a planted entry could name any key, and many."""
    if not isinstance(epochs, dict) or "" not in epochs:
        return False
    tags = [tag for tag in epochs if tag]
    known = len(epochs) <= MAX_EPOCHS and all(re.fullmatch("[0-9a-f]{32}", tag) for tag in tags)
    return known and all(isinstance(epoch, str) for epoch in epochs.values())
