"""A store: one command writes the entry, unless a clear or another store came first."""

from __future__ import annotations

from enum import Enum
from typing import Any

from llm_cache._entries import envelope
from llm_cache._entries.keys import STORE_MARK
from llm_cache._entries.opening import OPENING
from llm_cache._protocol.effects import CommandArgs, Operation
from llm_cache._protocol.lookup import ANY_ENTRY, Epochs
from llm_cache._protocol.redis_commands import script
from llm_cache._protocol.request import Request
from llm_cache._reasons import Reason


class Unseen(Enum):
    """Why no epochs are known when an answer is to be stored."""

    NOT_LOOKED_UP = "not_looked_up"
    LOOKUP_FAILED = "lookup_failed"


def store(
    request: Request[Any],
    *,
    body: str,
    ttl: int,
    epochs: Epochs | Unseen,
    fingerprint: str = ANY_ENTRY,
    token: str,
    lease: str | None = None,
) -> Operation[Reason | None]:
    """Store an entry for ``ttl`` seconds; return why it was not stored, or None. One command.

    - ``body`` is the entry's text after its epochs.
    - ``epochs`` are from the lookup. A missing epoch becomes ``token``, or the epoch that another
      store has set meanwhile. If a clear has set one, the answer may be older than the clear and is
      not stored. (A clear whose epoch was evicted before the store goes unnoticed.) An answer
      without a lookup counts as computed now. After a failed lookup nothing is stored.
    - ``fingerprint`` identifies the entry that the lookup found. Only that entry is replaced, so a
      late store never replaces a newer answer. The same command sent twice stores once.
    - ``lease`` is the leader's token; the same command releases the lease.
    """
    if epochs is Unseen.LOOKUP_FAILED:
        return Reason.LOOKUP_FAILED
    separators = ["", *map(envelope.tag_separator, request.tags)]
    seen = ["?"] * len(separators) if epochs is Unseen.NOT_LOOKED_UP else map(_mark, epochs)
    parts = [part for pair in zip(seen, separators, strict=True) for part in pair]
    keys, hashed = request.keys, request.hashed
    names = (keys.entry(hashed), keys.lease(hashed), *keys.epochs(request.tags))
    epoch = STORE_MARK + token
    args: CommandArgs = (epoch, ttl, OPENING, body, lease or "", fingerprint, *parts)
    return _REFUSALS.get((yield from script(STORE, names, *args)))


_REFUSALS = {0: Reason.CLEARED_MEANWHILE, 2: Reason.SUPERSEDED}


def _mark(epoch: str | None) -> str:
    """Return an epoch as the script below reads it: ``-`` for none, else ``=`` and the epoch."""
    return "-" if epoch is None else f"={epoch}"


# MGET, unlike GET, reads a key of another type as missing: SET then replaces it.
STORE = f"""
local text, lease, known = ARGV[3], ARGV[5], ARGV[6]
local held = redis.call('MGET', KEYS[2])[1]
if lease ~= '' and held and string.sub(held, 1, #lease) == lease then
  redis.call('UNLINK', KEYS[2])
end
for i = 3, #KEYS do
  local seen, before = ARGV[2 * i + 1], ARGV[2 * i + 2]
  local epoch = string.sub(seen, 2)
  if string.sub(seen, 1, 1) ~= '=' then
    epoch = redis.call('MGET', KEYS[i])[1]
    if epoch and seen == '-' and string.sub(epoch, 1, 1) ~= '{STORE_MARK}' then return 0 end
    if not epoch then
      epoch = ARGV[1]
      redis.call('SET', KEYS[i], epoch)
    end
  end
  text = text .. before .. epoch
end
text = text .. ARGV[4]
local there = redis.call('MGET', KEYS[1])[1]
if there == text then return 1 end
local found = there and #there .. ':' .. string.sub(there, 1, {envelope.FINGERPRINT_LENGTH})
if found and known ~= '{ANY_ENTRY}' and found ~= known then return 2 end
redis.call('SET', KEYS[1], text, 'EX', ARGV[2])
return 1
"""
