"""Check which commands the REST API allows.

See https://upstash.com/docs/redis/features/restapi, "REST - Redis API Compatibility". Commands that
change the state of a pooled connection, or block it, are refused: they would affect other requests.
"""

from collections.abc import Sequence

from upstash_endpoint.refused import Refused
from upstash_endpoint.resp import pack

MAX_REQUEST_BYTES = 10 * 1024 * 1024
"""Upstash's limit on the size of a command, and on the size of its reply."""

_DOCS = "https://upstash.com/docs/redis"

# Commands that need their own connection, or have a path of their own.
_NOT_OVER_REST = frozenset(
    b"AUTH CLIENT DISCARD EXEC HELLO MONITOR MULTI PSUBSCRIBE PUNSUBSCRIBE RESET SUBSCRIBE"
    b" UNSUBSCRIBE UNWATCH WATCH".split()
)
# Blocking commands, sharded pub/sub, replication and server administration.
_NOT_AVAILABLE = frozenset(
    b"ASKING BGREWRITEAOF BGSAVE BLMOVE BLMPOP BLPOP BRPOP BRPOPLPUSH BZMPOP BZPOPMAX BZPOPMIN"
    b" CLUSTER CONFIG DEBUG FAILOVER MIGRATE MODULE PFDEBUG PFSELFTEST PSYNC QUIT READONLY"
    b" READWRITE REPLCONF REPLICAOF RESTORE-ASKING SAVE SELECT SHUTDOWN SLAVEOF SPUBLISH"
    b" SSUBSCRIBE SUNSUBSCRIBE SWAPDB SYNC WAIT WAITAOF".split()
)
_BLOCKING_READS = frozenset((b"XREAD", b"XREADGROUP"))


def admit(args: Sequence[bytes]) -> bytes:
    """Return the command in RESP; raise Refused if the REST API does not allow it."""
    name = args[0].upper()
    if name in _NOT_OVER_REST:
        raise Refused(
            f'ERR Command "{_text(name)}" is not allowed in REST or it has a special context path'
        )
    if name in _NOT_AVAILABLE or not name or _blocks(name, args) or _debugs(name, args):
        raise Refused(
            f"ERR Command is not available: '{_text(args[0])}'."
            f" See {_DOCS}/overall/rediscompatibility for details"
        )
    packed = pack(args)
    check_size(len(packed))
    return packed


def check_size(size: int) -> None:
    """Raise Refused if a command or its reply has more than MAX_REQUEST_BYTES."""
    if size > MAX_REQUEST_BYTES:
        raise Refused(
            f"ERR max request size exceeded. Limit: {MAX_REQUEST_BYTES} bytes, Actual: {size}"
            f" bytes. See {_DOCS}/troubleshooting/max_request_size_exceeded for details",
            status=413,
        )


def _blocks(name: bytes, args: Sequence[bytes]) -> bool:
    if name not in _BLOCKING_READS:
        return False
    options = [arg.upper() for arg in args[1:]]
    before_keys = options[: options.index(b"STREAMS")] if b"STREAMS" in options else options
    return b"BLOCK" in before_keys


def _debugs(name: bytes, args: Sequence[bytes]) -> bool:
    return name == b"SCRIPT" and len(args) > 1 and args[1].upper() == b"DEBUG"


def _text(name: bytes) -> str:
    return name.decode("utf-8", "replace")
