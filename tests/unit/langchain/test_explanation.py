"""The explanation of a key: which parts it names, and what it withholds."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from itertools import product
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


INFINITE = float("inf")
# Values that a careless explanation would show alike.
ALIKE: list[Any] = [
    *(0, 0.0, -0.0, False, "0", "0.0", None, "None", 1, 1.0, True, "True", "", "a"),
    *([], {}, (), (1,), [1], "(1,)", "[1]", {"(python)": "(1,)"}, {"((python)": "(1,)"}),
    *(INFINITE, "inf", {"(number)": "inf"}, [INFINITE], ["inf"], b"a", "b'a'", {1: 2}, {"1": 2}),
    *({"a": 1, "b": 2}, {"b": 2, "a": 1}, {"x": {"y": 1}}, {"x": [1]}, {"x": (1,)}, {"a b": 1}),
    *({"(x": 1}, {"((x": 1}, {"(class)": "m.Chat"}, {"#x": 1}, {"é": 1}, "é", "e\u0301", "\ud800"),
]
WRITTEN = [
    *("", "model", "{}", "{", "[]", "[", "[('a', 1), ('a', 2)]", "[('a', 2)]", "[('a', 1),]"),
    *("[('b', 2), ('a', 1)]", "[('a', 1), ('b', 2)]", "[('a', [ 1])]", "[('a', \"1\")]"),
    *("[('a', H([('b', 1)]))]", "[('a', [('b', 1)])]", "[('a', 1e999)]", "[('a', 0x1)]"),
    *("[('a', <object at 0x1>)]", "[('a', '<object at 0x1>')]", "[('a', 'x\ny')]", "{}---[]"),
]


def object_of(**changes: Any) -> dict[str, Any]:
    """Return an object as langchain-core serialises one, with other fields."""
    return {"lc": 1, "type": "constructor", "id": ["m", "Chat"], "kwargs": {}} | changes


OBJECTS = [
    object_of(),
    *(object_of(lc=number) for number in (True, 1.0, 2)),
    *(object_of(id=path) for path in (["m.Chat"], ["m", "Other"], [1], [], "m")),
    *(object_of(type="secret"), object_of(kwargs=[]), object_of(extra=1), object_of(name="n")),
    *(object_of(kwargs={"content": value}) for value in ALIKE if not isinstance(value, bytes)),
    *(object_of(kwargs={"(class)": "m.Chat"}), object_of(kwargs={"(others)": {"extra": 1}})),
]
SETTINGS = [
    *WRITTEN,
    *(repr([("a", value)]) for value in ALIKE),
    *(f"{json.dumps(each)}---[]" for each in OBJECTS),
    *(f"{json.dumps(OBJECTS[0], indent=indent)}---[]" for indent in (1, 2)),
    f"{of_model()}\nanother line",
]
PROMPTS = [
    *("", "a", "a ", "[]", "[1]", "[{}]", "[[]]", "{}", '[{"lc": 1}]', "é", "e\u0301"),
    *(json.dumps([each]) for each in OBJECTS),
    *('[{"a": 1}]', '[{"a":1}]', json.dumps([OBJECTS[0]], indent=1)),
    json.dumps([object_of(kwargs={"content": "a", "type": "ai"})] * 2),
]
POLICIES = [
    CachePolicy(),
    *(CachePolicy(tenant="a"), CachePolicy(salt="a"), CachePolicy(namespace="a")),
    CachePolicy(key="a"),
    CachePolicy(namespace="shop"),
    CachePolicy(tenant="a", salt="a"),
    CachePolicy(tenant="b"),
]
CACHES = [
    CACHE,
    AS_WRITTEN,
    UpstashRedisCache(CLIENT),
    UpstashRedisCache(CLIENT, namespace="llm_cache"),
    *(
        UpstashRedisCache(CLIENT, namespace="shop", protection=protection)
        for protection in (Signing(KEY), Signing(OTHER_KEY), Encryption(KEY))
    ),
]
Call = tuple[str, str, CachePolicy, UpstashRedisCache]


def check_bijection(calls: Iterable[Call], *, values: bool) -> None:
    """Check that calls have equal keys if, and only if, they have equal parts."""
    shown = [explained(*call[:3], cache=call[3], values=values) for call in calls]
    pairs = {(each["key"], json.dumps(each["parts"])) for each in shown if each["key"]}
    keys, texts = Counter(key for key, _ in pairs), Counter(text for _, text in pairs)
    assert [key for key, count in keys.items() if count > 1] == []
    assert [text for text, count in texts.items() if count > 1] == []


@pytest.mark.parametrize("values", [True, False])
@pytest.mark.parametrize("cache", [CACHE, AS_WRITTEN])
def test_keys_of_calls_that_look_alike_are_equal_if_and_only_if_their_parts_are(
    cache: UpstashRedisCache, values: bool
) -> None:
    policy = CachePolicy()
    check_bijection((("p", text, policy, cache) for text in SETTINGS), values=values)
    check_bijection(((prompt, "m", policy, cache) for prompt in PROMPTS), values=values)


@pytest.mark.parametrize("values", [True, False])
def test_keys_of_policies_and_caches_are_equal_if_and_only_if_their_parts_are(
    values: bool,
) -> None:
    several = product(["a", "b"], ["[]", "[('a', 1)]"], POLICIES, CACHES)
    check_bijection(several, values=values)


VALUES = st.recursive(
    st.sampled_from(ALIKE) | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner)
        | st.dictionaries(st.sampled_from(["a", "(a", "((a", "lc", "kwargs", "a b"]), inner)
    ),
    max_leaves=6,
)
GENERATED_SETTINGS = VALUES.map(lambda value: repr([("a", value)])) | st.dictionaries(
    st.sampled_from(["x", "timeout", "(class)"]), st.sampled_from([0, 0.0, "0", None])
).map(lambda fields: of_model(**fields))


@given(st.lists(GENERATED_SETTINGS, max_size=20), st.lists(MESSAGES.map(dumps) | TEXT, max_size=20))
def test_keys_of_generated_calls_are_equal_if_and_only_if_their_parts_are(
    settings: list[str], prompts: list[str]
) -> None:
    for values, cache in product([True, False], [CACHE, AS_WRITTEN]):
        policy = CachePolicy()
        check_bijection((("p", text, policy, cache) for text in settings), values=values)
        check_bijection(((prompt, "m", policy, cache) for prompt in prompts), values=values)


@given(
    st.sampled_from(PROMPTS),
    st.sampled_from(SETTINGS),
    st.sampled_from(POLICIES),
    st.sampled_from(CACHES),
)
def test_key_is_the_key_of_a_lookup(
    prompt: str, llm_string: str, policy: CachePolicy, cache: UpstashRedisCache
) -> None:
    with cache.policy(policy):
        call = cache._call_of(prompt, llm_string)
        assert call.protect(call.identify()).key == cache.explain(prompt, llm_string)["key"]


MARK = "a secret mark"


@given(TEXT, st.sampled_from(POLICIES))
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
