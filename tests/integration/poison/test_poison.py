"""Hostile entries, replies, requests and policies end as a miss or a refusal.

``make test`` tries 10,000 inputs, each ``make nightly`` 100,000 new ones.
"""

import json
import time
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.integration.poison import mutations
from tests.integration.poison.attacks import ATTACKS, POLICIES, Reader, run
from tests.integration.poison.audit_hook import audited
from tests.integration.poison.canned_store import EPOCH
from tests.integration.poison.corpus import NOW, PROMPT, PROSE, SETTINGS
from upstash_redis import Redis

from llm_cache import CachePolicy, UpstashRedisCache
from llm_cache._entries.envelope import encode_body, metadata
from llm_cache._entries.opening import OPENING

# The outcomes that each attack must reach at least once.
REACHED = {
    "an entry": {"hit", "miss unreadable", "miss cleared", "miss expired", "miss not_tagged"},
    "a signed entry": {"hit", "miss unreadable", "miss forged"},
    "an encrypted entry": {"hit", "miss unreadable", "miss forged"},
    "an entry protected after its mutation": {"hit", "miss unreadable", "miss expired"},
    "a reply": {"hit", "error", "miss unreadable"},
    "a request": {"another key", "unchanged", "same meaning", "uncacheable"},
    "an event": {"refused", "accepted"},
    "a header": {"refused", "accepted"},
}


@pytest.mark.parametrize("name", ATTACKS)
def test_hostile_input_is_a_miss_or_a_refusal(
    reader: Reader, name: str, seed: str, inputs: int
) -> None:
    share, make = ATTACKS[name]
    count = inputs * share // 100
    began = time.perf_counter()
    outcomes = run(make(reader), name, seed, count)
    seconds = time.perf_counter() - began
    print(f"\n{count:,} of {name}, POISON_SEED={seed}, {seconds:.0f} s: {outcomes}")
    assert outcomes.total() == count
    reached = {" ".join(one.split()[:size]) for one in outcomes for size in (1, 2)}
    assert REACHED[name] <= reached, outcomes


SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=9)
)
FIELD_NAMES = st.sampled_from(mutations.NAMES)
CONSTRUCTORS = st.fixed_dictionaries({
    "lc": st.just(1),
    "type": st.sampled_from(["constructor", "secret", "not_implemented"]),
    "id": st.lists(st.sampled_from(["langchain_core", "messages", "AIMessage", "os", "system"])),
    "kwargs": st.dictionaries(FIELD_NAMES, SCALARS, max_size=3),
})  # fmt: skip
SECRETS = st.just({"lc": 1, "type": "secret", "id": [mutations.SECRET]})
VALUES = st.recursive(
    SCALARS | CONSTRUCTORS | SECRETS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELD_NAMES, inner, max_size=3),
    max_leaves=8,
)
CALLS = st.lists(
    st.fixed_dictionaries(
        {"name": st.text(max_size=3) | VALUES, "args": st.text(max_size=9) | VALUES, "id": VALUES},
        optional={"index": VALUES, "type": VALUES, "error": VALUES, "function": VALUES},
    ),
    max_size=2,
)
FIELDS = st.fixed_dictionaries(
    {"content": st.text(max_size=9) | st.lists(VALUES, max_size=3) | VALUES},
    optional={
        "content_blocks": st.lists(VALUES, max_size=2),
        **dict.fromkeys(("tool_calls", "invalid_tool_calls", "tool_call_chunks"), CALLS | VALUES),
        **dict.fromkeys(("additional_kwargs", "response_metadata", "usage_metadata"), VALUES),
        **dict.fromkeys(("type", "name", "id", "chunk_position", "self", "__class__"), VALUES),
    },
)
KINDS = st.sampled_from(["Generation", "GenerationChunk", "ChatGeneration", "ChatGenerationChunk"])
OF = st.sampled_from(["AIMessage", "AIMessageChunk", "HumanMessage", "ToolMessage"])
GENERATIONS = st.fixed_dictionaries({
    "kind": KINDS | VALUES,
    "info": st.none() | st.dictionaries(FIELD_NAMES, VALUES, max_size=2) | VALUES,
    "text": st.text(max_size=9) | VALUES,
    "message": st.fixed_dictionaries({"kind": OF | VALUES, "fields": FIELDS | VALUES}) | VALUES,
})  # fmt: skip


@given(
    st.lists(GENERATIONS | VALUES, min_size=1, max_size=2), st.sampled_from(POLICIES), st.randoms()
)
def test_fields_of_an_answer_are_read_as_listed_classes_or_are_a_miss(
    reader: Reader, answer: list[Any], policy: CachePolicy, random: Random
) -> None:
    text = (
        OPENING
        + EPOCH
        + encode_body(metadata(NOW, 1000, "langchain"), [json.dumps(one) for one in answer])
    )
    reader.read(random, None, text, policy)


def test_trap_in_a_real_database_is_a_miss_and_is_deleted(redis: Redis) -> None:
    cache = UpstashRedisCache(redis, namespace="n", clock=lambda: NOW)
    with cache.policy() as report:
        cache.update(PROMPT, SETTINGS, PROSE)
    assert report.last is not None
    redis.set("n:epoch", EPOCH)
    whole = [
        OPENING + EPOCH + encode_body(metadata(NOW, 1000, "langchain"), [trap])
        for trap in mutations.TRAPS
    ]
    for text in (*mutations.TRAPS, *whole):
        redis.set(report.last.key, text)
        with cache.policy() as trapped:
            assert cache.lookup(PROMPT, SETTINGS) is None
        assert [outcome.why for outcome in trapped.outcomes] == ["unreadable"], text
        assert redis.exists(report.last.key) == 0


def test_shares_of_the_attacks_add_up_to_all_inputs(inputs: int) -> None:
    assert sum(inputs * share // 100 for share, _ in ATTACKS.values()) == inputs


def test_audit_hook_reports_compiled_text() -> None:
    with audited() as events:
        compile("1", "text", "eval")
    assert [event.split()[0] for event in events] == ["compile"]
