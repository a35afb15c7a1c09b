"""Who may be told to ask the model, among those who ask the same at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.integration.properties.callers import Caller, Turn
from tests.integration.properties.model import History, coalesces
from tests.integration.properties.policies import LEASE
from tests.integration.properties.processes import Block, Process
from tests.integration.properties.promises import answer_of
from tests.integration.properties.wire import DRIFT, Stored, Time

from llm_cache._engine import lookup_state
from llm_cache._entries.keys import FIRST
from llm_cache._policy.modes import Coalesce
from llm_cache._protocol.in_flight import NotShared


@dataclass
class Lease:
    """A lease as it was granted; ``active``: its holder computes what others may wait for."""

    holder: Caller
    token: str
    under: tuple[str | None, ...]
    until: float
    active: bool = True


class Turns:
    """The leases granted and the callers that compute."""

    def __init__(self, time: Time) -> None:
        self._time = time
        self._leases: dict[str, Lease] = {}
        self._owners: dict[str, Caller] = {}
        self._computing: list[Caller] = []
        self._unshared: dict[str, float] = {}
        self._left: list[Caller] = []

    def taken(self, caller: Caller, command: Any, reply: Any, *, delivered: bool) -> None:
        """Check that a lease was free to take."""
        key, token, milliseconds = command[3], command[-3], command[-2]
        under, now = _cleared(reply[1:-1]), self._time.now
        last = self._leases.get(key)
        if last and last.active and last.under == under:
            assert last.until <= now + DRIFT, "two hold the same lease"
        self._leases[key] = Lease(caller, token, under, now + milliseconds / 1000, delivered)
        if delivered:
            caller.takes_turn().token = token
            self._owners[token] = caller

    def held(self, command: Any, reply: Any) -> None:
        """Check that a lease for which one has to wait is for an answer that it may have."""
        last = self._leases.get(command[3])
        assert last, "waits for nobody"
        assert last.under == _cleared(reply[1:-1]), "waits for what a clear has reached"

    def given_back(self, command: Any) -> None:
        """Note that a holder has released its lease: nobody need wait for it any more."""
        lease = self._leases.get(command[3])
        if lease and lease.token == command[4]:
            lease.active = False

    def told(self, caller: Caller, history: History) -> None:
        """Check that it was for this caller to ask the model."""
        turn, now = caller.takes_turn(), self._time.now
        turn.until = turn.at + turn.lease
        goes_on = self._goes_on_from(caller)
        if not self._excused(caller, history):
            others = [one for one in self._computing if _same(one, caller) and one.turn]
            for one in others:
                assert one.turn
                assert one.turn.until <= now, "two in a process ask the model for the same"
            if coalesces(caller.policy) is Coalesce.FLEET:
                assert turn.token or goes_on or caller.again, "asks without the lease"
            turn.first = True
            turn.until = min([turn.until, *(one.turn.until for one in goes_on if one.turn)])
            self._computing.append(caller)

    def _goes_on_from(self, caller: Caller) -> list[Caller]:
        """Return who has left this caller its right: its model failed, in the same process."""
        claim = caller.context.run(
            lookup_state.earlier_leader, caller.question().identify().identity
        )
        if claim and claim.call.lease in self._owners:
            self._owners[claim.call.lease] = caller
        return [one for one in self._left if _same(one, caller)]

    def _excused(self, caller: Caller, history: History) -> bool:
        """Whether it may ask whoever else does: it may not wait, or has waited for nothing."""
        turn, now = caller.takes_turn(), self._time.now
        impatient = caller.again or caller.faulted or now >= turn.at + turn.patience
        if impatient or self._unshared.get(caller.key, 0) > now:
            return True
        until = turn.waited and turn.waited.until
        landed = until.result() if until and until.done() else None
        if not isinstance(landed, str):
            return landed is NotShared.UNCACHEABLE
        answer = answer_of(history, landed)
        assert answer
        accepted = answer.acceptable(caller.policy, caller.sight.judged)
        assert not accepted, "has waited for an answer and does not get it"
        return True

    def ended(self, caller: Caller, *, stored: bool) -> None:
        """Note that the model has answered, or that there is nothing more to wait for."""
        self._drop(caller)
        if not stored:
            self._unshared[caller.key] = self._time.now + LEASE

    def asks_again(self, caller: Caller) -> None:
        """Note that one looks up once more, and computes nothing meanwhile; its lease stands."""
        self._computing = [one for one in self._computing if one is not caller]

    def served(self, caller: Caller) -> None:
        """Note that one has got its answer; what it held of an earlier try, others go on under."""
        self._drop(caller)
        if caller.again:
            self._left.append(caller)

    def abandoned(self, caller: Caller) -> None:
        """Note that the model has failed."""
        self._drop(caller)
        if caller.turn:
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

    def failed(self, process: Process) -> None:
        """Note that a command of a process has failed: what it has given back may still stand."""
        self._owners = {
            token: owner for token, owner in self._owners.items() if owner.process is not process
        }

    def check(self, leases: dict[str, Stored]) -> None:
        """Check that each lease that stands has an owner whose call is not over."""
        soon = self._time.now + DRIFT
        for key, granted in self._leases.items():
            if granted.active and granted.until > soon:
                assert key in leases, "a lease has gone before its time"
                assert leases[key].text.startswith(f"{granted.token}:"), "a lease is another's"
        for lease in leases.values():
            assert 0 <= lease.left <= 1000 * LEASE, "a lease that does not end in time"
            owner = self._owners.get(lease.text.split(":", 1)[0])
            # one whose time is over by the clock of its process leaves the rest to the server's
            if owner and owner.turn and not owner.again and not self._late(owner.turn):
                served = owner.result and owner.result.found
                over = owner.updated or served or not owner.block.open
                assert not over, "a lease is left behind"

    def _late(self, turn: Turn) -> bool:
        return self._time.now >= (turn.joined or turn.at) + turn.lease


def _same(one: Caller, other: Caller) -> bool:
    if one is other or one.process is not other.process or one.which != other.which:
        return False
    tags = [set(caller.policy.tags or ()) for caller in (one, other)]
    epochs = [_cleared(caller.sight.epochs) for caller in (one, other)]
    return tags[0] == tags[1] and epochs[0] == epochs[1]


def _cleared(epochs: Sequence[str | None]) -> tuple[str | None, ...]:
    """Return the epochs that clears have set: where a store set one, nothing was cleared."""
    return tuple(None if epoch and epoch.startswith(FIRST) else epoch for epoch in epochs)
