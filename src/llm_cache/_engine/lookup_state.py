"""The state of a missed lookup, kept for the update that follows in the same context."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import NamedTuple, TypeAlias

from llm_cache._protocol.in_flight import Leader
from llm_cache._protocol.lookup import ANY_ENTRY, Epochs
from llm_cache._protocol.request import Identity
from llm_cache._protocol.store import Unseen


class LookupState(NamedTuple):
    """What a missed lookup saw.

    ``epochs``, or why they are unknown; the ``fingerprint`` of the entry it found; and the
    ``leader``, if other callers may wait for the answer.
    """

    epochs: Epochs | Unseen = Unseen.NOT_LOOKED_UP
    fingerprint: str = ANY_ENTRY
    leader: Leader | None = None

    def __repr__(self) -> str:
        """Show no part of an entry: a fingerprint holds its beginning."""
        return f"LookupState(epochs={self.epochs})"


Shard: TypeAlias = Mapping[Identity, LookupState]

# A shard is replaced, never changed: the threads of a batch, each in a copy of the context, do not
# see each other's states. Shards keep the copies small: states of failed model calls stay.
_SHARDS, _SHARD_SIZE = 64, 64
_NO_STATES: tuple[Shard, ...] = ({},) * _SHARDS
_states: ContextVar[tuple[Shard, ...]] = ContextVar("llm_cache_states", default=_NO_STATES)
_leaders: ContextVar[tuple[Leader, ...]] = ContextVar("llm_cache_leaders", default=())


def remember(identity: Identity, state: LookupState) -> None:
    """Keep the state of a lookup for the update that follows it in this context."""
    shard = {**_shard(identity), identity: state}
    if len(shard) > _SHARD_SIZE:
        del shard[next(iter(shard))]
    _replace(identity, shard)
    if state.leader:
        _leaders.set((*(one for one in _leaders.get() if one.call.awaited), state.leader))


def recall(identity: Identity) -> LookupState:
    """Return the state of the last such lookup in this context, and forget it."""
    shard = dict(_shard(identity))
    state = shard.pop(identity, LookupState())
    _replace(identity, shard)
    return state


def forget_all() -> None:
    """Forget every state in this context: the next test must not see them."""
    _states.set(_NO_STATES)
    _leaders.set(())


def earlier_leader(identity: Identity) -> Leader | None:
    """Return the leader of an earlier try of this lookup in this context, if any."""
    return _shard(identity).get(identity, LookupState()).leader


def leads() -> bool:
    """Whether other callers may wait for an answer that this context computes."""
    return any(leader.call.awaited for leader in _leaders.get())


def _shard(identity: Identity) -> Shard:
    return _states.get()[hash(identity) % _SHARDS]


def _replace(identity: Identity, shard: Shard) -> None:
    at, shards = hash(identity) % _SHARDS, _states.get()
    _states.set((*shards[:at], shard, *shards[at + 1 :]))
