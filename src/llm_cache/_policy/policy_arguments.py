"""The arguments of ``cache.policy(…)``: a policy, or the fields of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

from llm_cache._errors import InvalidPolicy
from llm_cache._policy.cache_policy import CachePolicy
from llm_cache._policy.modes import Coalesce, Mode
from llm_cache._policy.ttl import Seconds, Ttl


class PolicyArguments(TypedDict, total=False):
    """The fields of a ``CachePolicy`` as keyword arguments."""

    ttl: Ttl | None
    max_age: Seconds | None
    min_fresh: Seconds | None
    max_stale: Seconds | None
    stale_if_error: Seconds | None
    mode: Mode | str | None
    coalesce: Coalesce | str | None
    tags: Sequence[str] | None
    tenant: str | None
    salt: str | None
    namespace: str | None
    key: str | None


def as_policy(policy: CachePolicy | None, arguments: PolicyArguments) -> CachePolicy:
    """Return ``policy``, or a policy of the ``arguments``; raise ``InvalidPolicy`` for both."""
    if policy is None:
        return CachePolicy(**arguments)
    if arguments or not isinstance(policy, CachePolicy):
        accepted = "a CachePolicy, or its fields by keyword, as in policy(ttl=120), not both"
        raise InvalidPolicy("policy", policy, accepted, withheld=True)
    return policy
