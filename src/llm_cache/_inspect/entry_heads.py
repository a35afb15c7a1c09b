"""The heads of many entries: everything but the answers, which stay in Redis."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from llm_cache._entries.envelope import EPOCHS_PATTERN
from llm_cache._entries.keys import MAX_EPOCHS
from llm_cache._errors import StoreGarbled
from llm_cache._protocol.clearing import EPOCH_BYTES
from llm_cache._protocol.effects import Command, CommandArgs
from llm_cache._protocol.redis_commands import texts

HEAD_BYTES = MAX_EPOCHS * EPOCH_BYTES + 256  # the fields between the epochs and the answer: 200

# Returns for each key its length, its PTTL, and its text up to the name of the field with the
# answer. A key of another type has no length. The PTTL of a key that never expires is -1.
HEADS = """
local found = {}
for i, key in ipairs(KEYS) do
  local text, length, stop = redis.pcall('GETRANGE', key, 0, ARGV[1]), 0, nil
  if type(text) == 'string' then
    length = redis.call('STRLEN', key)
    local codec = string.find(text, '"codec":"', 1, true)
    stop = codec and string.match(text, '^"codec":"[^"]*","%l+"()', codec)
  end
  local head = stop and string.sub(text, 1, stop - 1) or ''
  found[i] = length .. ' ' .. redis.call('PTTL', key) .. ' ' .. head
end
return found
"""

GONE = -2  # the PTTL of a key that does not exist
_ROW = re.compile(r"([0-9]+) (-?[0-9]+) ")
_EPOCH = re.compile(r'"([0-9a-f]*)":"([^"\\]*)"')
_HEAD = re.compile(
    rf"({EPOCHS_PATTERN})"
    '(?:"by":"([0-9a-f]{8})",)?(?:"mac":"[^"]{44}",)?(?:"asked":"[0-9a-f]*",)?'
    r'"created":([0-9]{1,11}(?:\.[0-9]+)?),"ttl":([0-9]{1,11}),'
    r'"codec":"([ !#-\[\]-~]*)","(answer|z|box)"'
)


class Head(NamedTuple):
    """An entry without its answer, as it was written: no signature is verified.

    ``created`` is in Unix seconds, ``ttl`` in seconds; ``key_id`` names the key that signed or
    encrypted the entry.
    """

    epochs: Mapping[str, str]
    created: float
    ttl: int
    codec: str
    key_id: str | None
    form: str

    @property
    def protection(self) -> str:
        """``signed``, ``encrypted`` or ``plain``."""
        signed = "signed" if self.key_id else "plain"
        return "encrypted" if self.form == "box" else signed

    @property
    def compressed(self) -> bool | None:
        """Whether the answer is compressed; None if it is encrypted."""
        return None if self.form == "box" else self.form == "z"


class Found(NamedTuple):
    """An entry's key, the bytes of its value, the seconds until Redis deletes it, and its head.

    ``expires_in`` is None for a key that never expires; ``head`` is None if the cache did not write
    the value.
    """

    key: str
    bytes: int
    expires_in: float | None
    head: Head | None

    @property
    def tags(self) -> Collection[str]:
        """The hashes of the entry's tenant and tags, and ``""`` for its namespace."""
        return self.head.epochs.keys() if self.head else ()


def parse_head(text: str, start: int = 0) -> Head | None:
    """Return the head of the entry that begins at ``start``; None if the text is no entry."""
    found = _HEAD.match(text, start)
    if found is None:
        return None
    epochs, key_id, created, ttl, codec, form = found.groups()
    return Head(dict(_EPOCH.findall(epochs)), float(created), int(ttl), codec, key_id, form)


def heads(keys: Sequence[str]) -> Command[list[Found]]:
    """Read the heads of entries; a key that is gone is left out. One command."""
    args: CommandArgs = ("EVAL", HEADS, len(keys), *keys, HEAD_BYTES - 1)
    return Command(args, partial(_parse, keys))


def _parse(keys: Sequence[str], reply: object) -> list[Found]:
    rows = texts(reply, len(keys))
    read = (_found(key, row or "") for key, row in zip(keys, rows, strict=True))
    return [found for found in read if found]


def _found(key: str, row: str) -> Found | None:
    numbers = _ROW.match(row)
    if numbers is None:
        raise StoreGarbled("not a reply of Upstash (no head of an entry)")
    size, left = int(numbers[1]), int(numbers[2])
    if left == GONE:
        return None
    return Found(key, size, left / 1000 if left >= 0 else None, parse_head(row, numbers.end()))
