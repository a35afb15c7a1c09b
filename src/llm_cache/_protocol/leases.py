"""The lease of an answer: it makes one process of the fleet the leader that computes the answer.

A lease is a key in Redis. It holds the leader's token and the epochs that it was taken under. The
leader renews it (``heartbeat``); the lease of a dead leader expires within ``LEASE_LIFE``.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

from llm_cache._entries.keys import STORE_MARK
from llm_cache._protocol.effects import Command, CommandArgs, Operation
from llm_cache._protocol.lookup import Epochs
from llm_cache._protocol.redis_commands import number, script, texts
from llm_cache._protocol.request import Request

LEASE_LIFE = 10.0  # seconds that a lease stays in Redis without a renewal

HELD, TAKEN, UNCACHEABLE = 0, 1, 2
NO_LEADER = "-"  # instead of a token: the answer is uncacheable, so no caller waits


class TakeReply(NamedTuple):
    """The state of a lease after ``take``, with the epochs and the entry at that moment."""

    state: int
    epochs: Epochs
    text: str | None

    def __repr__(self) -> str:
        """Show no part of an entry."""
        return f"TakeReply(state={self.state})"


def take(request: Request[Any], token: str, seconds: float) -> Command[TakeReply]:
    """Take the lease if it is free, and read the epochs and the entry. One command."""
    keys = (request.keys.lease(request.hashed), *request.keys.epochs(request.tags), request.key)
    life, longest = _milliseconds(lifetime(seconds)), _milliseconds(LEASE_LIFE)
    args: CommandArgs = ("EVAL", TAKE, len(keys), *keys, token, life, longest)
    return Command(args, partial(_take_reply, count=len(keys) - 1))


def renew(request: Request[Any], token: str, seconds: float) -> Operation[bool]:
    """Renew a lease; return whether it is still held under ``token``. One command."""
    life = _milliseconds(lifetime(seconds))
    return (yield from script(RENEW, _key(request), token, life)) == 1


def release(request: Request[Any], token: str, *, uncacheable: bool = False) -> Operation[None]:
    """Release a lease if it is held under ``token``. One command.

    ``uncacheable``: for the rest of the lease's life no caller waits for the answer.
    """
    yield from script(RELEASE, _key(request), token, NO_LEADER if uncacheable else "")


def lifetime(seconds: float) -> float:
    """Return the seconds that a lease stays in Redis; its leader has ``seconds`` in all."""
    return min(seconds, LEASE_LIFE)


def _key(request: Request[Any]) -> tuple[str]:
    return (request.keys.lease(request.hashed),)


def _take_reply(reply: object, count: int) -> TakeReply:
    state, *values = reply if isinstance(reply, list) and reply else [None]
    *epochs, text = texts(values, count)
    return TakeReply(number(state), tuple(epochs), text)


def _milliseconds(seconds: float) -> int:
    return max(1, int(seconds * 1000))


# A lease names the epochs it was taken under, except those that a store has set. A lease counts as
# free if it was taken before a clear (its answer will not be served), has another type, no expiry,
# or more time left than ARGV[3]. The same command sent twice finds its own lease.
TAKE = f"""
local found = redis.call('MGET', unpack(KEYS))
local held, under = found[1], ''
for i = 2, #KEYS - 1 do
  local epoch = found[i] or ''
  under = under .. ':' .. (string.sub(epoch, 1, 1) == '{STORE_MARK}' and '' or epoch)
end
local colon = held and string.find(held, ':', 1, true)
local left = redis.call('PTTL', KEYS[1])
local valid = colon and string.sub(held, colon) == under and left >= 0 and left <= tonumber(ARGV[3])
local holder = valid and string.sub(held, 1, colon - 1)
if not valid or holder == ARGV[1] then
  redis.call('SET', KEYS[1], ARGV[1] .. under, 'PX', ARGV[2])
  return {{{TAKEN}, unpack(found, 2)}}
end
return {{holder == '{NO_LEADER}' and {UNCACHEABLE} or {HELD}, unpack(found, 2)}}
"""

# A caller that has lost the lease changes nothing.
IF_OWN = """local held = redis.call('MGET', KEYS[1])[1]
if not held or string.sub(held, 1, #ARGV[1]) ~= ARGV[1] then return 0 end"""

RENEW = f"""
{IF_OWN}
redis.call('SET', KEYS[1], held, 'PX', ARGV[2])
return 1
"""

RELEASE = f"""
{IF_OWN}
if ARGV[2] == '' then return redis.call('UNLINK', KEYS[1]) end
redis.call('SET', KEYS[1], ARGV[2] .. string.sub(held, #ARGV[1] + 1), 'KEEPTTL')
return 1
"""
