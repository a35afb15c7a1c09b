"""Single flight of one cache: which lookups lead, how long they wait, and how a lead ends."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from llm_cache._engine import lookup_state
from llm_cache._engine.command_runner import RESERVE, CommandRunner
from llm_cache._engine.heartbeat import Heartbeat
from llm_cache._engine.scope import Scope
from llm_cache._entries.keys import random_token
from llm_cache._policy.modes import Coalesce
from llm_cache._protocol import leases
from llm_cache._protocol.drivers import run
from llm_cache._protocol.effects import Operation
from llm_cache._protocol.in_flight import InFlightCall, InFlightCalls, Leader, NotShared
from llm_cache._protocol.lookup import Hit, Miss
from llm_cache._protocol.request import Request
from llm_cache._protocol.single_flight import Compute, SingleFlight, lead_or_wait

A = TypeVar("A")


@dataclass(eq=False, repr=False, slots=True)
class Leadership:
    """The in-flight calls of one cache. ``lease``: seconds until waiters give up on a leader."""

    runner: CommandRunner
    lease: float
    calls: InFlightCalls = field(default_factory=InFlightCalls)
    heartbeat: Heartbeat = field(default_factory=Heartbeat)

    @property
    def parts(self) -> tuple[InFlightCalls, Heartbeat]:
        """The parts that a forked process starts afresh."""
        return self.calls, self.heartbeat

    def lead_or_wait(
        self, request: Request[A], miss: Miss[A], scope: Scope, *, may_wait: Callable[[], bool]
    ) -> Operation[Hit[A] | Compute[A]]:
        """Return the answer of another caller, or ``Compute``: this caller calls the model."""
        if request.policy.effective_coalesce is Coalesce.OFF:
            return Compute(miss)
        flight = self._flight(request, scope, may_wait=may_wait())
        taken = yield from lead_or_wait(request, miss, flight)
        if isinstance(taken, Compute) and taken.leader:
            self._watch(request, taken.leader, scope)
        return taken

    def decline(self, request: Request[Any], leader: Leader) -> Operation[None]:
        """End a call whose answer is uncacheable: each waiter calls the model."""
        leader.complete(NotShared.UNCACHEABLE)
        if lease := leader.take_lease():
            yield from leases.release(request, lease, uncacheable=True)

    def _flight(self, request: Request[A], scope: Scope, *, may_wait: bool) -> SingleFlight:
        """Return how this lookup joins single flight.

        It stops waiting after two leases, or after half of the invocation's remaining time:

        - the second lease is for the leader that replaces a dead one; otherwise all waiters would
          call the model when the first lease ends;
        - the other half of the time is for the model, if the wait was in vain.

        A leader never waits for another leader, so they cannot deadlock.
        """
        left = scope.remaining() - RESERVE if scope.remaining else 4 * self.lease
        lease = min(self.lease, max(left, 0.001))
        wait = min(2 * lease, left / 2) if may_wait and not lookup_state.leads() else 0.0
        until = time.monotonic() + wait
        return SingleFlight(
            calls=self.calls,
            lease=lease,
            token=random_token(),
            patience=lambda: until - time.monotonic(),
            release=partial(self._release, request, wait=False),
            previous=lookup_state.earlier_leader(request.identity),
        )

    def _watch(self, request: Request[A], leader: Leader, scope: Scope) -> None:
        """Renew the lease while the call is pending, and close the call at the end of its block.

        Neither may refer to the leader: the call of a collected leader fails at once.
        """
        call, release = leader.call, partial(self._release, request, wait=True)
        scope.at_exit.append(partial(self.calls.close, call, release))
        if call.lease:
            renewal = partial(self._renew, request, call)
            self.heartbeat.keep(call, lambda: run(renewal(), self.runner.execute))

    def _renew(self, request: Request[A], call: InFlightCall) -> Operation[bool]:
        if (lease := call.lease) is None:
            return False
        seconds = call.seconds_left()
        held = yield from leases.renew(request, lease, seconds)
        if held:
            call.lease_renewed(leases.lifetime(seconds))
        return held

    def _release(self, request: Request[A], lease: str, *, wait: bool) -> None:
        self.runner.clean_up(leases.release(request, lease), wait=wait)
