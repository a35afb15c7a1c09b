"""Compression of answers with a preset dictionary, and bounds on what an entry decompresses to."""

from __future__ import annotations

import binascii
import zlib
from typing import Any

from llm_cache._entries.dictionary import DICTIONARY
from llm_cache._entries.json_bounds import FEW_VALUES, MAX_VALUES, count_values, parse_entry_json
from llm_cache._errors import UnreadableEntry

# Chat answers have 500 characters or more: zlib and base64 leave 30 % of 800 characters, 50 % of
# 20,000. The short answer of a text model shrinks too little to be worth 0.02 ms.
COMPRESS_ABOVE = 256  # characters
SMALL = 8_192  # bytes: a window of 2**13 holds the dictionary and most of a small answer
MAX_PACKED = 0.8  # of the plain text; random text, such as an image in base64, stays plain
MAX_ANSWER = 8_000_000  # bytes, decompressed
MAX_RATIO = 20  # of compression beyond 64 KB; a model's answer has 2 to 10, a bomb 1,000


def pack(text: str) -> str | None:
    """Return ``text`` compressed, in base64; None if that saves too little or exceeds a bound."""
    stream = _deflate(text.encode())
    packed = binascii.b2a_base64(stream, newline=False).decode()
    is_short = len(packed) <= MAX_PACKED * len(text)
    return packed if is_short and _within_bounds(text, len(stream)) else None


def unpack(packed: object) -> Any:
    """Return the value of the JSON that ``pack`` compressed; raise ``UnreadableEntry``."""
    try:
        stream = binascii.a2b_base64(packed, strict_mode=True)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise UnreadableEntry("not base64") from error
    return parse_entry_json(_inflate(stream), FEW_VALUES + len(stream))


def compress(array: str) -> bytes:
    """Return a JSON array as bytes; compressed unless it is short or exceeds a bound."""
    plain = array.encode()
    stream = _deflate(plain) if len(plain) > COMPRESS_ABOVE else plain
    return stream if _within_bounds(array, len(stream)) else plain


def decompress(data: bytes) -> str:
    """Return the JSON array of ``compress``; raise ``UnreadableEntry``."""
    if data.startswith(b"["):  # no zlib stream begins with a bracket
        return _text(data)
    text = _inflate(data)
    if not _within_bounds(text, len(data)):
        raise UnreadableEntry("too many values")
    return text


def _within_bounds(text: str, stored: int) -> bool:
    """Whether a reader accepts ``text`` from an answer of ``stored`` bytes."""
    most = min(FEW_VALUES + stored, MAX_VALUES)
    return count_values(text) <= most and len(text) <= _max_size(stored)


def _max_size(stored: int) -> int:
    return min(max(MAX_RATIO * stored, 65_536), MAX_ANSWER)


def _deflate(data: bytes) -> bytes:
    # For a short answer, zlib's default window and tables take longer to clear than to fill.
    wbits, level = (13, 6) if len(data) <= SMALL else (15, 8)
    compressor = zlib.compressobj(wbits=wbits, memLevel=level, zdict=DICTIONARY)
    return compressor.compress(data) + compressor.flush()


def _inflate(stream: bytes) -> str:
    decompressor = zlib.decompressobj(zdict=DICTIONARY)
    try:
        data = decompressor.decompress(stream, _max_size(len(stream)))
    except zlib.error as error:
        raise UnreadableEntry("not compressed, or with another dictionary") from error
    if not decompressor.eof or decompressor.unused_data:
        raise UnreadableEntry("the compressed answer is truncated, too long, or followed by more")
    return _text(data)


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except ValueError as error:
        raise UnreadableEntry("not UTF-8") from error
