"""What Hypothesis draws: processes, policies, answers. Few values of each, so that they meet."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, Generation

from llm_cache import CachePolicy
from llm_cache._policy.modes import Mode
from llm_cache._policy.ttl import MAX_SECONDS, Ttl

TAGS = ("red", "blue")
TENANTS = ("a", "b")
# Each is a prefix of another, or matches another as a pattern.
NAMESPACES = ("shop", "shop:entry", "sh*p")
PROMPTS = ("p", "q")
LEASE = 5.0


def never(_answer: object, _now: float) -> None:
    """Return no TTL: the answer is not stored."""


def failing_ttl(_answer: object, _now: float) -> float:
    raise ZeroDivisionError


def until_the_next_ten(_answer: object, now: float) -> float:
    return 10 - now % 10


@dataclass(frozen=True)
class Setup:
    """The arguments of a process's cache.

    ``memory``: seconds of the memory tier, 0: none. ``ahead``: seconds by which its clock is fast.
    """

    namespace: str | None = "shop"
    ttl: Ttl | None = None
    floor: float = 1.0
    ceiling: float = float(MAX_SECONDS)
    memory: float = 0.0
    ahead: float = 0.0


def seldom(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | st.none() | values


def of(*values: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from(values)


ttls = of(0, 1, 1.5, 5, 8, timedelta(seconds=3), 10**7, never, failing_ttl, until_the_next_ten)
seconds = of(0, 0.5, 1, 2, 5, timedelta(seconds=3))

setups = st.builds(
    Setup,
    namespace=of(*["shop"] * 3, *NAMESPACES, None),
    ttl=of(None, 4, 10, until_the_next_ten),
    floor=of(1.0, 1.0, 3.0),
    ceiling=of(float(MAX_SECONDS), 6.0),
    memory=of(0.0, 2.0, 2.0),
    ahead=of(0.0, 0.0, 1.5, -1.0),
)

tags = st.lists(of(*TAGS), max_size=2, unique=True).map(tuple)

any_policy = st.builds(
    CachePolicy,
    ttl=seldom(ttls),
    max_age=seldom(seconds),
    min_fresh=seldom(seconds),
    max_stale=seldom(seconds),
    stale_if_error=seldom(seconds),
    mode=seldom(of(*Mode)),
    coalesce=seldom(of("off", "process", "fleet")),
    tags=seldom(tags),
    tenant=seldom(of(*TENANTS)),
    salt=seldom(of("a", "b")),
    namespace=seldom(of(*NAMESPACES)),
)
policy_of_clears = st.builds(
    CachePolicy,
    mode=of(None, None, None, "refresh"),
    tags=of((), ("red",), ("blue",), TAGS),
    tenant=of(None, None, *TENANTS),
)
coalescing_policy = st.builds(
    CachePolicy,
    coalesce=of("process", "fleet", "fleet"),
    ttl=seldom(ttls),
    tags=seldom(tags),
    min_fresh=seldom(of(2)),
)
policy_of_ages = st.builds(
    CachePolicy,
    ttl=of(None, 0, 1, 1.5, 3, until_the_next_ten),
    max_age=seldom(of(0, 1, 2.5)),
    min_fresh=seldom(of(0, 0.5, 2)),
    max_stale=seldom(of(0, 0.5, 1, timedelta(seconds=2))),
    stale_if_error=of(None, 0.5, 4),
)


def plain(text: str) -> list[Generation]:
    return [Generation(text=text, generation_info={"finish_reason": "stop"})]


def chat(text: str) -> list[Generation]:
    usage = {"input_tokens": 2, "output_tokens": 3, "total_tokens": 5}
    call = {"name": "f", "args": {"a": 1}, "id": "call_1"}
    message = AIMessage(text, usage_metadata=usage, tool_calls=[call])
    return [ChatGeneration(message=message), Generation(text="another choice")]


def truncated(text: str) -> list[Generation]:
    return [Generation(text=text, generation_info={"finish_reason": "length"})]


def empty(_text: str) -> list[Generation]:
    return [Generation(text="")]


def not_restorable(text: str) -> list[Generation]:
    return [Generation(text=text, generation_info={"lock": object()})]


STORABLE = (plain, chat)
UNCACHEABLE = (truncated, empty)
answers = of(*STORABLE * 3, *UNCACHEABLE, not_restorable)
