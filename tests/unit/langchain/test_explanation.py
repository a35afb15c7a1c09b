"""The explanation of a key: which parts it names, and what it withholds."""

import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.load import dumps
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from pydantic import BaseModel, create_model
from tests.unit.langchain.llm_strings import Claude, of_call, of_model
from tests.unit.langchain.strategies import MESSAGES, TEXT
from upstash_redis import Redis

from llm_cache import CachePolicy, Encryption, Signing, UpstashRedisCache
from llm_cache._upstash.upstash_store import UpstashStore

CLIENT = Redis("https://x.upstash.io", "token")
KEY, OTHER_KEY = "A" * 43 + "=", "B" * 42 + "A="
CACHE = UpstashRedisCache(CLIENT, namespace="shop")
AS_WRITTEN = UpstashRedisCache(CLIENT, namespace="shop", canonical_keys=False)


def explained(
    prompt: str = "What?",
    llm_string: str = "model",
    policy: CachePolicy | None = None,
    *,
    cache: UpstashRedisCache = CACHE,
    values: bool = True,
) -> dict[str, Any]:
    with cache.policy(policy or CachePolicy()):
        return cache.explain(prompt, llm_string, values=values)


def parts(*args: Any, **options: Any) -> Any:
    return explained(*args, **options)["parts"]


# Few values each, so that two generated calls often have the same key.
SCALAR: st.SearchStrategy[Any] = st.sampled_from(
    [0, 0.0, -0.0, 1, True, "0", "a", "(a", None, [], {}, (), (1,), float("inf"), b"a"]
)
NAMES = st.sampled_from(["x", "y", "(class)", "a b", "#x", "timeout"])
VALUES = SCALAR | st.dictionaries(NAMES, SCALAR, max_size=2) | st.lists(SCALAR, max_size=2)
PARAMETERS = st.dictionaries(NAMES, VALUES, max_size=2).map(
    lambda bound: repr(sorted(bound.items(), key=lambda item: item[0]))
)
FIELDS = st.dictionaries(NAMES, st.sampled_from([0, 0.0, "0", None, {"x": 1}]), max_size=2)
LLM_STRINGS = (
    st.builds(lambda written, fields: of_model(written, **fields), PARAMETERS, FIELDS)
    | PARAMETERS
    | st.sampled_from(["model", "{}", "{", "[]", "", "[('a', 1), ('a', 2)]"])
)
PROMPTS = MESSAGES.map(dumps) | TEXT | st.sampled_from(["a", "[1]", "[]", "[{}]", '[{"lc": 1}]'])
NAMED = st.none() | st.sampled_from(["a", "b"])
POLICIES = st.builds(
    CachePolicy, tenant=NAMED, salt=NAMED, namespace=NAMED, key=st.none() | st.just("a")
)
CALLS = st.tuples(PROMPTS, LLM_STRINGS, POLICIES)
CACHES = st.sampled_from(
    [
        CACHE,
        AS_WRITTEN,
        UpstashRedisCache(CLIENT),
        UpstashRedisCache(CLIENT, namespace="shop", protection=Signing(KEY)),
        UpstashRedisCache(CLIENT, namespace="shop", protection=Signing(OTHER_KEY)),
        UpstashRedisCache(CLIENT, namespace="shop", protection=Encryption(KEY)),
    ]
)


@given(CALLS, CALLS, st.lists(CACHES, min_size=2, max_size=2), st.sets(st.integers(0, 3)))
def test_keys_are_equal_if_and_only_if_their_parts_are(
    one: Any, other: Any, caches: list[UpstashRedisCache], shared: set[int]
) -> None:
    other = tuple(one[n] if n in shared else other[n] for n in range(3))
    caches[1] = caches[0] if 3 in shared else caches[1]
    for values in (True, False):
        pair = [
            explained(*call, cache=cache, values=values)
            for call, cache in zip((one, other), caches, strict=True)
        ]
        keys, texts = [each["key"] for each in pair], [json.dumps(each["parts"]) for each in pair]
        assert (keys[0] == keys[1]) == (texts[0] == texts[1])


@given(PROMPTS, LLM_STRINGS, POLICIES, CACHES)
def test_key_is_the_key_of_a_lookup(
    prompt: str, llm_string: str, policy: CachePolicy, cache: UpstashRedisCache
) -> None:
    with cache.policy(policy):
        call = cache._call_of(prompt, llm_string)
        assert call.protect(call.identify()).key == cache.explain(prompt, llm_string)["key"]


MARK = "a secret mark"


@given(TEXT, POLICIES)
def test_explanation_withholds_every_text(text: str, policy: CachePolicy) -> None:
    secret = f"{text}{MARK}"
    messages = [
        HumanMessage([{"type": "text", "text": secret, secret: secret}]),
        AIMessage("", tool_calls=[{"name": "f", "args": {secret: secret}, "id": "1"}]),
    ]
    private = CachePolicy(tenant=secret, salt=secret, tags=[secret])
    calls = [
        (dumps(messages), of_model(api=secret), private),
        (secret, repr([("stop", [secret]), ("tools", (secret,))]), policy),
        (secret, secret, CachePolicy(key=secret)),
    ]
    for prompt, llm_string, used in calls:
        for cache in (CACHE, AS_WRITTEN):
            shown = explained(prompt, llm_string, used, cache=cache, values=False)
            assert MARK not in json.dumps(shown)


def conversation(*texts: str, **fields: Any) -> str:
    return dumps([SystemMessage("You."), *[HumanMessage(text, **fields) for text in texts]])


def at(path: str, tree: Any) -> Any:
    for name in path.split("/"):
        tree = tree[int(name)] if isinstance(tree, list) else tree[name]
    return tree


PARAMETER = "[('temperature', 0), ('tools', [{'name': 'f'}])]"


@pytest.mark.parametrize(
    ("path", "call"),
    [
        ("prompt", ("Who?",)),
        ("messages/1/content", (conversation("Who?"),)),
        ("messages/1/name", (conversation("What?", name="n"),)),
        ("messages/0/(class)", (conversation(),)),
        ("settings", ("What?", "another model")),
        ("model/temperature", ("What?", of_model(temperature=0))),
        ("model/(class)", ("What?", of_model())),
        ("parameters/temperature", ("What?", PARAMETER)),
        ("parameters/tools/0/name", ("What?", PARAMETER)),
        ("tenant", ("What?", "model", CachePolicy(tenant="t"))),
        ("salt", ("What?", "model", CachePolicy(salt="s"))),
        ("namespace", ("What?", "model", CachePolicy(namespace="n"))),
        ("own_key", ("What?", "model", CachePolicy(key="k"))),
        ("form", ("What?", "model", CachePolicy(key="k"))),
    ],
)
def test_part_stands_at_its_path(path: str, call: tuple[Any, ...]) -> None:
    for values in (True, False):
        assert at(path, parts(*call, values=values)) is not None


def test_number_of_the_settings_is_shown_and_of_a_message_is_not() -> None:
    call = [{"name": "f", "args": {"born": 1970}, "id": "1"}]
    prompt = dumps([AIMessage("", tool_calls=call)])
    shown = parts(prompt, of_model(PARAMETER, top_p=0.5), values=False)
    assert shown["parameters"]["temperature"] == 0
    assert shown["model"]["top_p"] == 0.5
    assert shown["messages"][0]["tool_calls"][0]["args"]["born"].startswith("int #")


@pytest.mark.parametrize("canonical", [True, False])
def test_parameters_in_another_order_are_other_parts(canonical: bool) -> None:
    cache = CACHE if canonical else AS_WRITTEN
    one, other = (f"[('tools', [{{{order}}}])]" for order in ("'a': 1, 'b': 2", "'b': 2, 'a': 1"))
    shown = [json.dumps(parts("p", text, cache=cache)) for text in (one, other)]
    assert shown[0] != shown[1]


def test_details_that_stay_out_of_the_key_do_not_appear() -> None:
    answer = AIMessage("Hi.", id="run-1", response_metadata={"usage": 5})
    bound = "[('metadata', {'team': 'x'}), ('timeout', 5)]"
    shown = parts(dumps([answer]), of_model(bound, timeout=9, max_retries=2, model_id="m"))
    (message,) = shown["messages"]
    assert message == {
        "(class)": "langchain.schema.messages.AIMessage",
        "content": "Hi.",
        "type": "ai",
    }
    assert shown["model"] == {"(class)": "m.Chat", "model_id": "m"}
    assert shown["parameters"] == {}


def test_conditions_of_a_hit_stand_beside_the_parts() -> None:
    policy = CachePolicy(tags=["b", "a"], max_age=timedelta(minutes=1), mode="read_only")
    shown = explained(policy=policy)
    assert shown["not_in_key"] == {"mode": "read_only", "tags": ["a", "b"], "max_age": 60}
    assert shown["parts"] == parts()


class Form(BaseModel):
    """What a model fills in."""

    age: int


def test_class_for_structured_output_appears_with_its_schema() -> None:
    shown = parts("p", of_call(response_format=Form))
    (schema,) = shown["schemas"]
    assert schema["(class)"] == "Form"
    assert schema["schema"]["properties"]["age"]["type"] == "integer"


def ambiguous() -> str:
    kept = [create_model("Twin", **{name: (int, ...)}) for name in ("a", "b")]  # type: ignore[call-overload]
    TWINS.extend(kept)
    return of_call(response_format=kept[0])


TWINS: list[type] = []


@pytest.mark.parametrize(
    ("llm_string", "reason", "named"),
    [
        (ambiguous, "ambiguous_schema", "Twin"),
        (lambda: Claude(mcp_servers=[{}])._get_llm_string(), "masked_setting", "mcp_servers"),
    ],
)
def test_call_without_a_key_says_why(
    llm_string: Callable[[], str], reason: str, named: str
) -> None:
    written = llm_string()
    shown = explained("What?", written)
    assert shown["key"] is None
    assert shown["uncacheable"]["reason"] == reason
    assert named in shown["uncacheable"]["message"]
    assert shown["parts"]["prompt"] == "What?"
    assert explained("What?", written, CachePolicy(salt="s"))["uncacheable"] is None


def test_hashes_of_a_protected_cache_are_keyed() -> None:
    caches = [
        UpstashRedisCache(CLIENT, namespace="shop", protection=protection)
        for protection in (None, Signing(KEY), Encryption(KEY), Signing(OTHER_KEY))
    ]
    plain, signed, encrypted, other = (parts(cache=cache, values=False) for cache in caches)
    assert signed == encrypted
    for name in ("prompt", "naming_key"):
        assert len({plain[name], signed[name], other[name]}) == 3


def test_explanation_sends_no_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(UpstashStore, "execute")
    assert explained()["key"].startswith("shop:entry:")


def test_explanation_is_plain_json() -> None:
    shown: Mapping[str, Any] = explained(conversation("What?"), of_model(PARAMETER))
    assert json.loads(json.dumps(shown, allow_nan=False)) == shown


def test_explanation_of_as_written_keys_names_what_canonical_keys_leave_out() -> None:
    prompt = dumps([AIMessage("Hi.", id="run-1")])
    shown = parts(prompt, of_model(timeout=9), cache=AS_WRITTEN)
    assert shown["messages"][0]["id"] == "run-1"
