"""Comparing two calls: which parts of their keys differ, and what is shown of them."""

import json
from typing import Any

import pytest
from upstash_redis import Redis

from llm_cache import CachePolicy, Signing, UpstashRedisCache
from llm_cache._inspect.compared_call import NotComparable
from llm_cache._inspect.key_difference import difference

CLIENT = Redis("https://x.upstash.io", "token")
CACHE = UpstashRedisCache(CLIENT, namespace="shop")
BODY = {"question": "What is a cache?"}


def body(**fields: Any) -> dict[str, Any]:
    return BODY | fields


def lines(one: Any, other: Any, *, values: bool = False) -> list[str]:
    """Return the differences of two files as lines, without the remarks about equal keys."""
    compared = difference(one, other, values=values)
    return compared.lines()[: len(compared.differences)]


@pytest.mark.parametrize(
    ("one", "other", "line"),
    [
        (
            {"parameters": {"temperature": 0}},
            {"parameters": {"temperature": 0.2}},
            "parameters.temperature: 0.0 ≠ 0.2",
        ),
        ({}, {"system": "Be brief."}, "system: absent ≠ text of length 9"),
        ({}, {"parameters": {"max_tokens": 5}}, "parameters: absent ≠ an object"),
        (
            {"messages": [{"role": "user", "content": "a"}]},
            {"messages": [{"role": "user", "content": "bc"}]},
            "messages.0.content: text of length 1 ≠ text of length 2",
        ),
        (
            {"messages": [{"role": "user", "content": "a"}]},
            {"messages": [{"role": "assistant", "content": "a"}]},
            "messages.0.role: user ≠ assistant",
        ),
        ({"cache": {"salt": "a"}}, {}, "cache: an object ≠ absent"),
        (
            {"cache": {"salt": "a"}},
            {"cache": {"salt": "bc"}},
            "cache.salt: text of length 1 ≠ text of length 2",
        ),
    ],
)
def test_difference_of_two_bodies_names_the_part_of_the_key(
    one: dict[str, Any], other: dict[str, Any], line: str
) -> None:
    assert lines(body(**one), body(**other)) == [line]
    assert not difference(body(**one), body(**other)).same_key


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({}, {"system": None, "messages": [], "parameters": {}, "cache": {}}),
        ({"parameters": {"temperature": 0}}, {"parameters": {"temperature": 0.0, "top_p": None}}),
        ({"parameters": {"max_tokens": 5}}, {"parameters": {"max_tokens": 5.0}}),
        ({"cache": {"salt": None}}, {"cache": None}),
    ],
)
def test_bodies_that_ask_reads_alike_have_one_key(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    compared = difference(body(**one), body(**other))
    assert compared.differences == []
    assert compared.same_key


def test_equal_keys_list_the_other_reasons_for_a_miss() -> None:
    printed = "\n".join(difference(BODY, BODY).lines())
    for word in ("equal", "expired", "cleared", "not_tagged", "max_age", "identity", "refresh"):
        assert word in printed


@pytest.mark.parametrize(
    ("one", "other", "line"),
    [
        ({"ttl": 60}, {"ttl": 90}, "cache.ttl: 60 ≠ 90"),
        ({"mode": "use"}, {"mode": "refresh"}, "cache.mode: use ≠ refresh"),
        ({}, {"max_age": 5}, "cache.max_age: absent ≠ 5 (an answer that is older is a miss: "),
        ({"tags": ["a"]}, {"tags": ["b"]}, "cache.tags: a list of 1 ≠ a list of 1 (a lookup with "),
    ],
)
def test_policy_that_stays_out_of_the_key_is_named_beside_it(
    one: dict[str, Any], other: dict[str, Any], line: str
) -> None:
    compared = difference(body(cache=one), body(cache=other))
    assert compared.same_key
    assert compared.lines()[0].startswith(f"not part of the key: {line}")


def test_tags_in_another_order_are_equal() -> None:
    one, other = ({"tags": tags} for tags in (["a", "b"], ["b", "a"]))
    assert difference(body(cache=one), body(cache=other)).differences == []


@pytest.mark.parametrize(
    ("one", "other", "why"),
    [
        ("What?", "What? ", "only whitespace differs"),
        ("What\u00a0is it?", "What is it?", "only whitespace differs"),
        ("café", "cafe\u0301", "only Unicode normalisation differs"),
        ("What?", "what?", "only upper and lower case differ"),
    ],
)
def test_hint_says_in_which_way_texts_differ(one: str, other: str, why: str) -> None:
    (line,) = lines(body(question=one), body(question=other))
    assert line.endswith(f"({why})")
    assert one not in line


def explained(
    prompt: str = "What?",
    llm_string: str = "[('stop', None), ('temperature', 0)]",
    policy: CachePolicy | None = None,
    *,
    values: bool = False,
    cache: UpstashRedisCache = CACHE,
) -> Any:
    with cache.policy(policy or CachePolicy()):
        return json.loads(json.dumps(cache.explain(prompt, llm_string, values=values)))


TEMPERATURE = "[('stop', None), ('temperature', 0.2)]"


@pytest.mark.parametrize("values", [True, False])
def test_difference_of_two_explanations_names_the_parameter(values: bool) -> None:
    one, other = explained(values=values), explained(llm_string=TEMPERATURE, values=values)
    assert lines(one, other) == ["parameters.temperature: 0 ≠ 0.2"]


def test_difference_of_an_integer_and_a_float_is_explained() -> None:
    other = explained(llm_string="[('stop', None), ('temperature', 0.0)]")
    hint = "(the same number in two forms, which are different values in a key)"
    assert lines(explained(), other) == [f"parameters.temperature: 0 ≠ 0.0 {hint}"]


def test_order_of_fields_in_a_parameter_is_named() -> None:
    written = [f"[('tools', [{{{order}}}])]" for order in ("'a': 1, 'b': 2", "'b': 2, 'a': 1")]
    one, other = (explained(llm_string=each) for each in written)
    shown = 'parameters.tools.0.(order): ["a", "b"] ≠ ["b", "a"]'
    assert lines(one, other) == [f"{shown} (the order of the fields enters the key)"]


def test_address_of_an_object_is_named_as_the_cause() -> None:
    written = [f"[('client', <object at 0x{address}>)]" for address in ("7f01", "7f02")]
    one, other = (explained(llm_string=each, values=True) for each in written)
    (line,) = lines(one, other)
    assert line.startswith("parameters.client.(python): text of length 18 ≠ text of length 18 ")
    assert "only the address of an object differs" in line


@pytest.mark.parametrize("kept", [True, False])
def test_values_are_shown_on_request_alone(kept: bool) -> None:
    one, other = explained("a secret", values=kept), explained("another secret", values=kept)
    assert "secret" not in "".join(lines(one, other))
    shown = lines(one, other, values=True)
    assert ("secret" in "".join(shown)) is kept


def test_number_of_a_message_is_withheld() -> None:
    prompts = (
        json.dumps(
            [
                {
                    "lc": 1,
                    "type": "constructor",
                    "id": ["m", "AIMessage"],
                    "kwargs": {"type": "ai", "content": [{"born": born}]},
                }
            ]
        )
        for born in (1970, 1971)
    )
    one, other = (explained(prompt, values=True) for prompt in prompts)
    assert lines(one, other) == ["messages.0.content.0.born: a number ≠ a number"]


@pytest.mark.parametrize(
    ("policy", "line"),
    [
        (CachePolicy(namespace="n"), "namespace: shop ≠ n (each namespace has answers of its own)"),
        (CachePolicy(key="k"), "form: canonical ≠ by its own key (the calls differ in canonical_"),
        (CachePolicy(tenant="t"), "tenant: null ≠ text of length 1 #"),
        (CachePolicy(tags=["a"]), "not part of the key: tags: [] ≠ "),
        (CachePolicy(mode="refresh"), "not part of the key: mode: use ≠ refresh"),
    ],
)
def test_difference_of_two_policies_is_named(policy: CachePolicy, line: str) -> None:
    assert lines(explained(), explained(policy=policy))[0].startswith(line)


def test_equal_explanations_have_one_key() -> None:
    compared = difference(explained(), explained())
    assert compared.same_key
    assert compared.lines()[0] == "the keys are equal; a miss may have another reason:"
    assert compared.as_dict()["same_key"] is True
    assert json.loads(json.dumps(compared.as_dict())) == compared.as_dict()


def test_changed_file_is_noticed() -> None:
    other = explained(llm_string=TEMPERATURE)
    other["parts"] = explained()["parts"]
    assert "a file was changed" in difference(explained(), other).lines()[0]


def test_call_that_is_not_cached_is_named() -> None:
    other = explained()
    other |= {"key": None, "uncacheable": {"reason": "masked_setting", "message": "mcp_servers"}}
    compared = difference(explained(), other)
    assert not compared.same_key
    assert compared.lines() == ["the second call is not cached: mcp_servers"]


def signed(key: str, *, values: bool) -> Any:
    cache = UpstashRedisCache(CLIENT, namespace="shop", protection=Signing(key))
    return explained(cache=cache, values=values)


def test_hashes_under_two_protections_are_not_compared() -> None:
    keys = ["A" * 43 + "=", "B" * 42 + "A="]
    with pytest.raises(NotComparable, match="different keys for signing or encryption"):
        difference(*(signed(key, values=False) for key in keys))
    (line,) = lines(*(signed(key, values=True) for key in keys))
    assert line.startswith("naming_key: ")


@pytest.mark.parametrize(
    ("one", "other", "why"),
    [
        ([], BODY, "the first file is not a JSON object"),
        (BODY, "text", "the second file is not a JSON object"),
        (BODY, {}, "the second file is neither a body of ask, with a question, nor an explanation"),
        (body(question=5), BODY, "the first file: the field question is not text"),
        (BODY, body(messages={}), "the second file: the field messages is not a list"),
        (body(cache=[]), BODY, "the first file: the field cache is not an object"),
        (body(questoin="x"), BODY, "the first file: 'questoin' is not a field of ask"),
        (BODY, {"kind": "explanation of a key of llm_cache"}, "a field is missing or changed"),
    ],
)
def test_file_of_another_form_is_refused(one: Any, other: Any, why: str) -> None:
    with pytest.raises(NotComparable, match=why):
        difference(one, other)


def test_files_of_two_kinds_are_refused() -> None:
    with pytest.raises(NotComparable, match="the first file is a body of ask, and the second is"):
        difference(BODY, explained())
    with pytest.raises(NotComparable, match="one explanation holds values and the other hashes"):
        difference(explained(), explained(values=True))
