"""The comparison of two bodies agrees with the keys that ``ask`` makes of them."""

import json
from collections.abc import Iterator
from itertools import combinations
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ask_request
from ask_request import AskBody
from llm_cache._inspect.key_difference import difference

SMALL = st.sampled_from(["a", "b"])
TURNS = st.lists(st.fixed_dictionaries({"role": st.just("user"), "content": SMALL}), max_size=2)
SHARES = st.sampled_from([0, 0.0, -0.0, 0.5, 1, 1.0, None])
PARAMETERS = st.fixed_dictionaries(
    {},
    optional={
        "temperature": SHARES,
        "top_p": SHARES,
        "max_tokens": st.sampled_from([5, 5.0, 6, None]),
        "stop": st.lists(SMALL, min_size=1, max_size=2) | st.none(),
    },
)
CACHE = st.fixed_dictionaries(
    {},
    optional={
        "salt": SMALL | st.none(),
        "ttl": st.sampled_from([5, 6]),
        "tags": st.lists(SMALL, max_size=2),
    },
)
BODIES = st.fixed_dictionaries(
    {"question": SMALL},
    optional={
        "system": SMALL | st.none(),
        "messages": TURNS | st.none(),
        "parameters": PARAMETERS | st.none(),
        "cache": CACHE | st.none(),
    },
)


@pytest.fixture(autouse=True, scope="module")
def _limit_of_tokens() -> Iterator[None]:
    with patch.dict("os.environ", MODEL_MAX_TOKENS="512"):
        yield
    ask_request.body_schema.cache_clear()
    ask_request._validator.cache_clear()


def key(body: dict[str, Any]) -> str:
    """Return what enters the key of a body, as ``ResponseCache`` writes it."""
    read = AskBody.from_json(json.dumps(body).encode())
    return json.dumps([read.question, read.cache.get("salt")], sort_keys=True)


@given(st.lists(BODIES, min_size=2, max_size=4))
def test_bodies_have_one_key_if_and_only_if_no_part_differs(bodies: list[dict[str, Any]]) -> None:
    keys = [key(body) for body in bodies]
    for (one, first), (other, second) in combinations(zip(bodies, keys, strict=True), 2):
        assert difference(one, other).same_key == (first == second)
