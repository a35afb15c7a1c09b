"""How long an in-flight call and its lease last."""

import time
from typing import Any

import pytest
from tests.unit.protocol.operations import drive, request

from llm_cache import CachePolicy, Reason, UpstashRedisCache
from llm_cache._engine import scope
from llm_cache._protocol.drivers import always, run
from llm_cache._protocol.in_flight import InFlightCall, Leader
from llm_cache._protocol.leases import LEASE_LIFE
from llm_cache._protocol.lookup import Miss
from llm_cache._protocol.single_flight import Compute
from llm_cache._upstash.credentials import Credentials
from llm_cache._upstash.upstash_store import UpstashStore

CACHE = UpstashRedisCache(UpstashStore(lambda: Credentials("http://127.0.0.1:9", "token")))


def lead() -> Leader:
    miss: Miss[Any] = Miss(Reason.UNKNOWN, (None,))
    leading = CACHE._leadership.lead_or_wait(
        CACHE._call_of("p", "model").identify(), miss, scope.current(), may_wait=always
    )
    computed = run(leading, CACHE._runner.execute)
    assert isinstance(computed, Compute)
    assert computed.leader
    return computed.leader


def collected() -> InFlightCall:
    """Return the call of a leader that is collected, as after a failed model call."""
    return lead().call


@pytest.mark.parametrize("keep_leader", [True, False])
def test_call_ends_with_its_policy_block_or_sooner_if_its_leader_is_collected(
    keep_leader: bool,
) -> None:
    with scope.entered(CachePolicy(coalesce="process"), None):
        leader = lead() if keep_leader else None
        call = leader.call if leader else collected()
        assert call.pending == keep_leader
    assert not call.pending


@pytest.mark.parametrize(
    ("lease", "replies", "held"), [("mine", [1], True), ("mine", [0], False), (None, [], False)]
)
def test_renewal_extends_a_lease_that_is_still_held(
    lease: str | None, replies: list[int], held: bool
) -> None:
    now = time.monotonic()
    call = InFlightCall("p", now + 60, lease, now + 1)
    assert drive(CACHE._leadership._renew(request(), call), *replies)[1] is held
    assert (call.lease_expires >= now + LEASE_LIFE) is held
