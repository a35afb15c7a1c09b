"""When the in-flight call of a leader ends that does not complete it."""

import pytest

from llm_cache import CachePolicy, Reason, UpstashRedisCache
from llm_cache._engine import scope
from llm_cache._protocol.drivers import always, run
from llm_cache._protocol.in_flight import InFlightCall, Leader
from llm_cache._protocol.lookup import Miss
from llm_cache._protocol.single_flight import Compute
from llm_cache._upstash.credentials import Credentials
from llm_cache._upstash.store import UpstashStore

CACHE = UpstashRedisCache(UpstashStore(lambda: Credentials("http://127.0.0.1:9", "token")))


def lead() -> Leader:
    request = CACHE._call_of("p", "model").identify()
    leading = CACHE._leadership.lead_or_wait(
        request, Miss(Reason.UNKNOWN, (None,)), scope.current(), may_wait=always
    )
    computed = run(leading, CACHE._execution.execute)
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
