"""Nothing that lies in Redis, and nothing a caller sends, can do more than be a miss or a refusal.

Ten thousand inputs in ``make test``, a hundred thousand new ones in each ``make nightly``.
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
from tests.integration.poison.corpus import NOW, PROMPT, PROSE, SETTINGS
from tests.integration.poison.upstash import EPOCH
from tests.integration.poison.watch import watched
from upstash_redis import Redis

from llm_cache import CachePolicy, UpstashRedisCache
from llm_cache._entries.envelope import HEAD, body, head

# What an attack must have come to at least once: else it tries less than it says.
REACHED = {
    "an entry": {"hit", "miss unreadable", "miss cleared", "miss expired", "miss not_tagged"},
    "a signed entry": {"hit", "miss unreadable", "miss forged"},
    "an encrypted entry": {"hit", "miss unreadable", "miss forged"},
    "an entry protected after it was changed": {"hit", "miss unreadable", "miss expired"},
    "a reply": {"hit", "error", "miss unreadable"},
    "a question": {"another key", "the same", "the same by what it means", "uncacheable"},
    "an event": {"refused", "taken"},
    "a header": {"refused", "taken"},
}


@pytest.mark.parametrize("name", ATTACKS)
def test_poison_is_a_miss_or_a_refusal_and_nothing_else(
    reader: Reader, name: str, seed: str, inputs: int
) -> None:
    share, make = ATTACKS[name]
    count = inputs * share // 100
    began = time.perf_counter()
    came = run(make(reader), name, seed, count)
    print(f"\n{count:,} of {name}, POISON_SEED={seed}, {time.perf_counter() - began:.0f} s: {came}")
    assert came.total() == count
    reached = {" ".join(what.split()[:2]) for what in came} | {what.split()[0] for what in came}
    assert REACHED[name] <= reached | set(came), came


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
def test_whatever_stands_in_the_fields_of_an_answer_is_read_as_listed_classes_or_not_at_all(
    reader: Reader, answer: list[Any], policy: CachePolicy, random: Random
) -> None:
    text = HEAD + EPOCH + body(head(NOW, 1000, "langchain"), [json.dumps(one) for one in answer])
    reader.read(random, None, text, policy)


def test_a_trap_in_a_real_database_is_a_miss_and_is_gone_afterwards(redis: Redis) -> None:
    cache = UpstashRedisCache(redis, namespace="n", clock=lambda: NOW)
    with cache.policy() as report:
        cache.update(PROMPT, SETTINGS, PROSE)
    assert report.last is not None
    redis.set("n:epoch", EPOCH)
    whole = [HEAD + EPOCH + body(head(NOW, 1000, "langchain"), [trap]) for trap in mutations.TRAPS]
    for text in (*mutations.TRAPS, *whole):
        redis.set(report.last.key, text)
        with cache.policy() as told:
            assert cache.lookup(PROMPT, SETTINGS) is None
        assert [outcome.why for outcome in told.outcomes] == ["unreadable"], text
        assert redis.exists(report.last.key) == 0


def test_the_attacks_make_up_the_whole(inputs: int) -> None:
    assert sum(inputs * share // 100 for share, _ in ATTACKS.values()) == inputs


def test_what_the_interpreter_says_is_heard() -> None:
    with watched() as events:
        compile("1", "text", "eval")
    assert [event.split()[0] for event in events] == ["compile"]
