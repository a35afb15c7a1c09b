"""Checks of single flight: which callers may compute the same answer at once."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.integration.properties.answer_checks import answer_in
from tests.integration.properties.caller import Caller, Flight
from tests.integration.properties.database import DRIFT, Stored, Time
from tests.integration.properties.history import History, coalesces
from tests.integration.properties.process import Block, Process
from tests.integration.properties.strategies import LEASE

from llm_cache._entries.envelope import decode
from llm_cache._entries.keys import STORE_MARK
from llm_cache._policy.modes import Coalesce
from llm_cache._protocol.in_flight import NotShared

Epochs = tuple[str | None, ...]


@dataclass
class Lease:
    """A lease as it was taken under ``epochs``; ``active``: its holder computes."""

    holder: Caller
    token: str
    epochs: Epochs
    until: float
    active: bool = True


class SingleFlightChecks:
    """The leases taken, and the callers that compute."""

    def __init__(self, time: Time) -> None:
        self._time = time
        self._leases: dict[str, Lease] = {}
        self._owners: dict[str, Caller] = {}
        self._computing: list[Caller] = []
        self._uncacheable_until: dict[str, float] = {}
        self._left: list[Caller] = []

    def taken(self, caller: Caller, command: Any, reply: Any, *, delivered: bool) -> None:
        """Check that a lease was free."""
        key, token, milliseconds = command[3], command[-3], command[-2]
        epochs, now = _set_by_clears(reply[1:-1]), self._time.now
        last = self._leases.get(key)
        if last and last.active and last.epochs == epochs:
            assert last.until <= now + DRIFT, "two holders of one lease"
        self._leases[key] = Lease(caller, token, epochs, now + milliseconds / 1000, delivered)
        if delivered:
            caller.joined_flight().token = token
            self._owners[token] = caller

    def held(self, command: Any, reply: Any) -> None:
        """Check that a lease that is waited for was taken under the current epochs."""
        last = self._leases.get(command[3])
        assert last, "a wait without a leader"
        assert last.epochs == _set_by_clears(reply[1:-1]), "a wait for a cleared answer"

    def released(self, command: Any) -> None:
        lease = self._leases.get(command[3])
        if lease and lease.token == command[4]:
            lease.active = False

    def computes(self, caller: Caller, history: History) -> None:
        """Check that a caller whose lookup missed may compute the answer."""
        flight, now = caller.joined_flight(), self._time.now
        flight.until = flight.at + flight.lease
        predecessors = self._predecessors(caller)
        if not self._excused(caller, history):
            others = [one.flight for one in self._computing if _same(one, caller)]
            assert all(one.until <= now for one in others if one), "two leaders in one process"
            if coalesces(caller.policy) is Coalesce.FLEET:
                assert flight.token or predecessors or caller.retries, "computes without the lease"
            untils = [one.flight.until for one in predecessors if one.flight]
            flight.until = min([flight.until, *untils])
            self._computing.append(caller)

    def _predecessors(self, caller: Caller) -> list[Caller]:
        """Return the failed callers of the same process whose call this caller continues."""
        leader = caller.earlier_leader()
        if leader and leader.call.lease in self._owners:
            self._owners[leader.call.lease] = caller
        return [one for one in self._left if _same(one, caller)]

    def _excused(self, caller: Caller, history: History) -> bool:
        """Whether it may compute beside others: it may not wait, or its wait was in vain."""
        flight, now = caller.joined_flight(), self._time.now
        impatient = caller.retries or caller.faulted or now >= flight.at + flight.patience
        if impatient or self._uncacheable_until.get(caller.key, 0) > now:
            return True
        until = flight.last_pause and flight.last_pause.until
        shared = until.result() if until and until.done() else None
        if not isinstance(shared, str):
            return shared is NotShared.UNCACHEABLE
        answer = answer_in(history, json.dumps(decode(shared).answer))  # it may be compressed
        assert answer
        accepted = answer.acceptable(caller.policy, caller.observed.judged)
        assert not accepted, "computes after a wait for an acceptable answer"
        return True

    def answered(self, caller: Caller, *, stored: bool) -> None:
        self._drop(caller)
        if not stored:
            self._uncacheable_until[caller.key] = self._time.now + LEASE

    def retried(self, caller: Caller) -> None:
        """Record that a caller looks up again; its lease stays."""
        self._computing = [one for one in self._computing if one is not caller]

    def served(self, caller: Caller) -> None:
        """Record a hit; others may continue the call of the caller's earlier try."""
        self._drop(caller)
        if caller.retries:
            self._left.append(caller)

    def failed_model_call(self, caller: Caller) -> None:
        self._drop(caller)
        if caller.flight:
            self._left.append(caller)

    def closed(self, block: Block) -> None:
        for caller in [*self._computing, *(lease.holder for lease in self._leases.values())]:
            if caller.block is block:
                self._drop(caller)

    def _drop(self, caller: Caller) -> None:
        self._computing = [one for one in self._computing if one is not caller]
        for lease in self._leases.values():
            lease.active &= lease.holder is not caller

    def flushed(self) -> None:
        self._leases.clear()

    def failed_command(self, process: Process) -> None:
        """Record that the leases which a process has released may still be held."""
        self._owners = {
            token: owner for token, owner in self._owners.items() if owner.process is not process
        }

    def check(self, leases: dict[str, Stored]) -> None:
        """Check that each lease in the database has an owner whose call is in progress."""
        soon = self._time.now + DRIFT
        for key, lease in self._leases.items():
            if lease.active and lease.until > soon:
                assert key in leases, "a lease expired early"
                assert leases[key].text.startswith(f"{lease.token}:"), "a lease of another holder"
        for stored in leases.values():
            assert 0 <= stored.left <= 1000 * LEASE, "a lease that does not expire in time"
            owner = self._owners.get(stored.text.split(":", 1)[0])
            # After its deadline, by the clock of its process, a lease is left to expire.
            if owner and owner.flight and not owner.retries and not self._late(owner.flight):
                served = owner.result and owner.result.found
                over = owner.updated or served or not owner.block.open
                assert not over, "a lease left behind"

    def _late(self, flight: Flight) -> bool:
        return self._time.now >= (flight.joined or flight.at) + flight.lease


def _same(one: Caller, other: Caller) -> bool:
    """Whether two callers of one process compute the same answer under the same epochs."""
    if one is other or one.process is not other.process or one.which != other.which:
        return False
    tags = [set(caller.policy.tags or ()) for caller in (one, other)]
    epochs = [_set_by_clears(caller.observed.epochs) for caller in (one, other)]
    return tags[0] == tags[1] and epochs[0] == epochs[1]


def _set_by_clears(epochs: Sequence[str | None]) -> Epochs:
    return tuple(None if epoch and epoch.startswith(STORE_MARK) else epoch for epoch in epochs)
