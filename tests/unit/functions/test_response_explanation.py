"""The explanation of the key of a function's request."""

import json
from typing import Any

import pytest
from upstash_redis import Redis

from llm_cache import CachePolicy, ResponseCache

CLIENT = Redis("https://x.upstash.io", "token")
ALIKE: list[Any] = [
    *(
        None,
        0,
        0.0,
        False,
        "0",
        "",
        [],
        {},
        [0],
        ["0"],
        {"a": 0},
        {"a": 0.0},
        {"(a": 0},
        {"((a": 0},
    ),
    *({"a": None}, {"a": {}}, {"a b": 0}, "é", "e\u0301", {"a": 1, "b": 2}, {"b": 2, "a": 1}),
]


def explained(
    request: object, policy: CachePolicy | None = None, *, version: str = "1", values: bool = True
) -> dict[str, Any]:
    cache = ResponseCache(CLIENT, version=version, namespace="shop")
    with cache.policy(policy or CachePolicy()):
        return cache.explain(request, values=values)


@pytest.mark.parametrize("values", [True, False])
def test_keys_of_requests_are_equal_if_and_only_if_their_parts_are(values: bool) -> None:
    policies = [CachePolicy(), CachePolicy(key="k"), CachePolicy(tenant="t")]
    shown = [
        explained(request, policy, version=version, values=values)
        for request in ALIKE
        for policy in policies
        for version in ("1", "2")
    ]
    pairs = {(each["key"], json.dumps(each["parts"])) for each in shown}
    assert len(pairs) == len({key for key, _ in pairs}) == len({text for _, text in pairs})


def test_explanation_names_the_version_and_each_field_of_the_request() -> None:
    parts = explained({"question": "Why?", "top": [1]})["parts"]
    assert parts["version"] == "1"
    assert parts["request"] == {"question": "Why?", "top": [1]}


def test_explanation_withholds_the_request_and_the_version() -> None:
    shown = json.dumps(explained({"question": "secret", "born": 1970}, version="v7", values=False))
    assert not [text for text in ("secret", "1970", "v7") if text in shown]


def test_request_that_is_not_json_is_refused() -> None:
    with pytest.raises(TypeError, match="not JSON serializable"):
        explained(object())
