"""What one key of the cache holds: a versioned envelope around the answer.

The envelope is ASCII JSON, since Upstash's REST API carries text. The epoch stands first, so that a
script can tell a cleared entry from a live one by its first bytes alone. The answer stands last: as
it is under ``answer``, or, where that is much shorter, under ``z``, compressed with a preset
dictionary (see ``dictionary``).
"""

from __future__ import annotations

import binascii
import re
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeGuard

from llm_cache._checks import Range
from llm_cache._entries.dictionary import DICTIONARY
from llm_cache._entries.json_bounds import parsed
from llm_cache._entries.keys import MAX_EPOCHS
from llm_cache._errors import UnreadableEntry

VERSION = 1
HEAD = f'{{"v":{VERSION},"epochs":{{"":"'
"""What every entry of this version begins with; its namespace's epoch and a quote follow."""
AFTER_EPOCHS = '"},'
EPOCHS = rf'\{{"v":{VERSION},"epochs":\{{"":"[^"\\]*"(?:,"[0-9a-f]{{32}}":"[^"\\]*")*\}},'
"""A pattern of all that stands before the body's own fields, and of nothing else."""

# A chat answer has 500 characters or more: of 800, zlib and base64 leave 0.3, of 20,000 half. Of a
# text model's short answer they leave too much for the 0.02 ms that they take.
COMPRESS_ABOVE = 256  # characters
SMALL = 8_192  # bytes: a window of 2**13 holds the dictionary, and most of such an answer
WORTHWHILE = 0.8  # of the plain text; random text, such as an image in base64, stays as it is
MAX_ANSWER = 8_000_000  # bytes, decompressed
MAX_RATIO = 20  # of compression beyond 64 KB; a model's answer has 2 to 10, a bomb 1,000
MAX_VALUES = 120_000  # of JSON, at 116 bytes each at most; and of a short entry
FEW_VALUES = 1_000  # more than it has characters: so a small entry costs little to decode
FINGERPRINT = 1_024  # characters: all epochs, the time, and the signature or the nonce
ASKED = 16  # hexadecimal digits: enough to tell by mistake, and none is told on purpose
LATEST = 10**11  # Unix seconds, in the year 5138; JSON carries integers that no float holds
TIME = Range("Unix seconds", most=LATEST)
TTL = Range("whole seconds", most=LATEST, whole=True)


class Entry(NamedTuple):
    """An answer at rest.

    ``epochs`` holds the namespace's epoch under ``""``, and those of its tags under their hashes.
    ``created`` is in Unix seconds and ``ttl`` in seconds, both by the writer's clock: with them a
    hit knows its age and the time it has left without asking Redis. ``answer`` holds JSON values.
    ``asked`` is what the question's hash begins with, where it is told: a reply that was meant for
    another request then answers none. ``codec`` names what wrote the answer.
    """

    epochs: Mapping[str, str]
    created: float
    ttl: int
    answer: tuple[Any, ...]
    codec: str = ""
    asked: str | None = None

    def age(self, now: float) -> float:
        """Return the seconds since the answer was stored, 0 when clocks disagree."""
        return max(0.0, now - self.created)

    def remaining(self, now: float) -> float:
        """Return the seconds the entry has left; 0 or less once it has expired."""
        return self.created + self.ttl - now


def before_tag(tag: str) -> str:
    """Return the text between the epoch before and the epoch of ``tag``, given the tag's hash."""
    return f'","{tag}":"'


def body(head: str, answer: Sequence[str], asked: str | None = None) -> str:
    """Return the text that follows the last epoch; ``answer`` is JSON text already."""
    texts = array(answer)
    packed = _packed(texts) if len(texts) > COMPRESS_ABOVE else None
    field = f'"answer":{texts}' if packed is None else f'"z":"{packed}"'
    told = "" if asked is None else f'"asked":"{asked[:ASKED]}",'
    return f"{AFTER_EPOCHS}{told}{head},{field}}}"


def head(created: float, ttl: int, codec: str) -> str:
    """Return the fields that say when an answer was stored, for how long, and by which codec."""
    return f'"created":{created:.3f},"ttl":{ttl},"codec":"{codec}"'


def fingerprint(text: str | None) -> str:
    """Return what a script tells an entry by, ``""`` where there is none."""
    return f"{len(text)}:{text[:FINGERPRINT]}" if text else ""


def array(answer: Sequence[str]) -> str:
    """Return the JSON array of what is JSON text already."""
    return f"[{','.join(answer)}]"


def fits(body: str, max_bytes: int) -> bool:
    """Whether ``body`` takes at most ``max_bytes`` of the request that stores it.

    It travels as a string of JSON, in which each quote and each backslash takes two bytes.
    """
    return 2 * len(body) <= max_bytes or _sent(body) <= max_bytes


def _sent(body: str) -> int:
    return len(body) + body.count('"') + body.count("\\")


def decode(text: object) -> Entry:
    """Read what Redis returned; raise ``UnreadableEntry`` for what this version did not write."""
    if not isinstance(text, str) or not text.isascii():
        raise UnreadableEntry("not ASCII")
    fields = _parsed(text, FEW_VALUES + len(text))
    if not isinstance(fields, dict) or fields.get("v") != VERSION:
        raise UnreadableEntry(f"not an entry of version {VERSION}")
    answer = _unpacked(fields["z"]) if "z" in fields else fields.get("answer")
    epochs, created, ttl = fields.get("epochs"), fields.get("created"), fields.get("ttl")
    codec, asked = fields.get("codec"), fields.get("asked")
    if (
        isinstance(codec, str)
        and (asked is None or isinstance(asked, str))
        and (isinstance(answer, list) and answer)
        and (created in TIME and ttl in TTL)
        and _are_epochs(epochs)
    ):
        return Entry(epochs, created, ttl, tuple(answer), codec, asked)
    raise UnreadableEntry("a field is missing or of the wrong type")


def _parsed(text: str, values: int) -> Any:
    if _values(text) > min(values, MAX_VALUES):
        raise UnreadableEntry("too many values")
    try:
        return parsed(text)
    except (ValueError, RecursionError) as error:
        raise UnreadableEntry("not JSON") from error


def readable(answer: Sequence[str]) -> bool:
    """Whether JSON texts hold few enough values for ``decode``, together with what is around them.

    Commas and brackets within strings count too: to tell them apart takes longer than to parse.
    """
    return sum(map(_values, answer)) + len(answer) <= MAX_VALUES - _AROUND


_AROUND = 100  # values in the envelope: its fields and its epochs


def _values(text: str) -> int:
    return text.count(",") + text.count("[") + text.count("{")


def deflated(text: str) -> bytes:
    """Return an array as bytes, compressed unless it is short, or could not be read back."""
    plain = text.encode()
    stream = _compressed(plain) if len(plain) > COMPRESS_ABOVE else plain
    return stream if _bounded(text, len(stream)) else plain


def inflated(data: bytes) -> str:
    """Return what ``deflated`` was given; raise ``UnreadableEntry``. No zlib stream begins so."""
    if data.startswith(b"["):
        return _decoded(data)
    text = _decompressed(data)
    if not _bounded(text, len(data)):
        raise UnreadableEntry("too many values")
    return text


def _bounded(text: str, stored: int) -> bool:
    """Whether ``text`` may be decoded from so many bytes: its size and its values are bounded."""
    return _values(text) <= min(FEW_VALUES + stored, MAX_VALUES) and len(text) <= _most(stored)


def _most(stored: int) -> int:
    return min(max(MAX_RATIO * stored, 65_536), MAX_ANSWER)


def _packed(text: str) -> str | None:
    """Return ``text`` compressed, or None where that does not pay or could not be read back."""
    stream = _compressed(text.encode())
    packed = binascii.b2a_base64(stream, newline=False).decode()
    pays = len(packed) <= WORTHWHILE * len(text)
    return packed if pays and _bounded(text, len(stream)) else None


def _compressed(data: bytes) -> bytes:
    # To clear zlib's default window and tables takes longer than to compress a short answer.
    small = len(data) <= SMALL
    packing = zlib.compressobj(
        wbits=13 if small else 15, memLevel=6 if small else 8, zdict=DICTIONARY
    )
    return packing.compress(data) + packing.flush()


def _unpacked(packed: object) -> Any:
    """Return the JSON value in ``packed``; raise ``UnreadableEntry``."""
    try:
        stream = binascii.a2b_base64(packed, strict_mode=True)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise UnreadableEntry("not base64") from error
    return _parsed(_decompressed(stream), FEW_VALUES + len(stream))


def _decompressed(stream: bytes) -> str:
    unpacking = zlib.decompressobj(zdict=DICTIONARY)
    try:
        data = unpacking.decompress(stream, _most(len(stream)))
    except zlib.error as error:
        raise UnreadableEntry("not compressed, or by another dictionary") from error
    if not unpacking.eof or unpacking.unused_data:
        raise UnreadableEntry("a compressed answer cut short, too long, or followed by more")
    return _decoded(data)


def _decoded(data: bytes) -> str:
    try:
        return data.decode()
    except ValueError as error:
        raise UnreadableEntry("not UTF-8") from error


def _are_epochs(epochs: Any) -> TypeGuard[dict[str, str]]:
    """Whether a lookup may ask Redis for these: a foreign entry could name any key, and many."""
    if not isinstance(epochs, dict) or "" not in epochs:
        return False
    tags = [tag for tag in epochs if tag]
    known = len(epochs) <= MAX_EPOCHS and all(re.fullmatch("[0-9a-f]{32}", tag) for tag in tags)
    return known and all(isinstance(epoch, str) for epoch in epochs.values())
