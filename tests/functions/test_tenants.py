"""Nobody gets another's answer, whatever a request says of itself."""

import json
import unicodedata
from typing import Any

import httpx
import pytest
from tests.functions.asking import QUESTION, at_once, call, cold, handle
from tests.functions.bedrock import Bedrock
from tests.functions.events import function_url, signed_by
from tests.functions.serving import served
from upstash_redis import Redis

import identity
from llm_cache import InvalidSettings
from llm_cache._entries.keys import tag_hash

ALICE, BOB = signed_by("AIDAALICE"), signed_by("AIDABOB")
SESSION, OTHER_SESSION = signed_by("AROAROLE:alice"), signed_by("AROAROLE:bob")
OTHER_ROLE, ELSEWHERE = signed_by("AROAOTHER:alice"), signed_by("AIDACAROL", "444455556666")


def cognito(identity: str, pool: str = "pool") -> dict[str, Any]:
    """One role and one session name serve all users of an identity pool."""
    who = {"amr": ["authenticated"], "identityId": identity, "identityPoolId": pool}
    return {**signed_by("AROAWEB:CognitoIdentityCredentials"), "cognitoIdentity": who}


EVERYBODY = [ALICE, BOB, SESSION, OTHER_SESSION, OTHER_ROLE, ELSEWHERE]
EVERYBODY += [cognito("one"), cognito("two"), cognito("one", "other pool")]


@pytest.fixture(autouse=True)
def _unset(model: Bedrock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SHARE_ANSWERS", raising=False)


@pytest.fixture
def shared(model: Bedrock, monkeypatch: pytest.MonkeyPatch) -> Any:
    def share(value: str) -> None:
        monkeypatch.setenv("SHARE_ANSWERS", value)
        cold()

    return share


def ask(iam: object) -> str:
    return call(QUESTION, iam=iam).cache


def test_everybody_is_by_themselves_unless_the_operator_says_otherwise() -> None:
    assert [ask(who) for who in EVERYBODY] == ["miss"] * len(EVERYBODY)
    assert [ask(who) for who in EVERYBODY] == ["hit"] * len(EVERYBODY)


@pytest.mark.parametrize(
    ("value", "asked", "other", "status"),
    [
        ("role", SESSION, OTHER_SESSION, "hit"),
        ("role", SESSION, OTHER_ROLE, "miss"),
        ("role", ALICE, BOB, "miss"),
        ("role", signed_by("111122223333:dan"), signed_by("111122223333:eve"), "miss"),
        ("role", cognito("one"), cognito("two"), "miss"),
        ("account", ALICE, SESSION, "hit"),
        ("account", ALICE, cognito("one"), "hit"),
        ("account", ALICE, ELSEWHERE, "miss"),
        ("all", ALICE, ELSEWHERE, "hit"),
        ("nobody", ALICE, BOB, "miss"),
        ("", ALICE, BOB, "miss"),
        (" role ", SESSION, OTHER_SESSION, "hit"),
    ],
)
def test_answers_are_shared_as_far_as_the_operator_says(
    shared: Any, value: str, asked: object, other: object, status: str
) -> None:
    shared(value)
    assert (ask(asked), ask(other)) == ("miss", status)


@pytest.mark.parametrize("value", ["everyone", "ALL", "account,all", "true", "1"])
def test_a_wrong_setting_is_refused_by_its_name_at_the_start(shared: Any, value: str) -> None:
    shared(value)
    with pytest.raises(
        InvalidSettings, match=r"SHARE_ANSWERS=.* one of nobody, role, account, all"
    ):
        identity.sharing()


def test_the_functions_own_account_is_not_the_callers(shared: Any) -> None:
    shared("account")
    event = function_url("POST", "/ask", QUESTION)
    event["requestContext"]["accountId"] = ELSEWHERE["accountId"]
    assert (handle(event).cache, ask(ELSEWHERE)) == ("miss", "miss")


def test_a_user_whose_name_was_anothers_does_not_get_their_answers() -> None:
    assert (ask(ALICE), ask({**BOB, "userArn": ALICE["userArn"]})) == ("miss", "miss")


def test_a_rotated_access_key_keeps_its_answers() -> None:
    assert (ask(ALICE), ask({**ALICE, "accessKey": "AKIAROTATED"})) == ("miss", "hit")


async def test_two_callers_at_once_do_not_share_one_call(model: Bedrock) -> None:
    events = [function_url("POST", "/ask", QUESTION, iam=who) for who in (ALICE, BOB)]
    replies = await at_once(model, events, calls=2)
    assert [reply.json()["cache"]["status"] for reply in replies] == ["miss", "miss"]


# --- who is not known -----------------------------------------------------------------------------

FRONTS: dict[str, dict[str, Any]] = {
    "a URL that asks for no signature": {},
    "HTTP API, JWT": {"authorizer": {"jwt": {"claims": {"sub": "alice"}, "scopes": None}}},
    "HTTP API, function": {"authorizer": {"lambda": {"iam": ALICE}}},
    "REST API, function": {"authorizer": {"iam": "AIDAALICE", "user": "AIDAALICE"}},
    "REST API, IAM": {"identity": {"accountId": "1", "user": "AIDAALICE", "userArn": "arn:…"}},
    "nothing of the caller": {"authorizer": {"iam": {"accountId": "111122223333"}}},
    "nothing of the account": {"authorizer": {"iam": {"callerId": "AIDAALICE"}}},
    "empty": {"authorizer": {"iam": {**ALICE, "callerId": ""}}},
    "null": {"authorizer": {"iam": {**ALICE, "callerId": None}}},
    "a list": {"authorizer": {"iam": {**ALICE, "callerId": ["AIDAALICE"]}}},
    "an unknown identity": {"authorizer": {"iam": {**ALICE, "cognitoIdentity": {"id": "one"}}}},
    "half an identity": {"authorizer": {"iam": cognito("")}},
    "text": {"authorizer": {"iam": "AIDAALICE"}},
}


FORGED = json.dumps({"authorizer": {"iam": ALICE}})


def from_front(front: str) -> dict[str, Any]:
    event = function_url("POST", "/ask", QUESTION)
    del event["requestContext"]["authorizer"]
    event["requestContext"] |= FRONTS[front]
    return event


def load_balanced() -> dict[str, Any]:
    event = function_url("POST", "/ask", QUESTION)
    elb = {"requestContext": {"elb": {"targetGroupArn": "arn:aws:…"}}, "path": "/ask"}
    return {"headers": event["headers"], "body": event["body"], **elb, "httpMethod": "POST"} | {
        "isBase64Encoded": True
    }


@pytest.mark.parametrize("front", FRONTS)
def test_who_is_not_known_is_refused_and_costs_nothing(
    model: Bedrock, redis: Redis, front: str
) -> None:
    reply = handle(from_front(front))
    assert (reply.status, reply.body["error"]["code"]) == (403, "no_identity")
    assert (model.requests, redis.keys("*")) == ([], [])


def test_a_load_balancer_says_nothing_of_who_asks(shared: Any) -> None:
    assert handle(load_balanced()).status == 403
    shared("all")
    assert handle(load_balanced()).cache == "miss"


@pytest.mark.parametrize(("value", "status"), [("role", 403), ("account", 403), ("all", 200)])
def test_only_what_everybody_shares_is_for_the_unknown_too(
    shared: Any, value: str, status: int
) -> None:
    shared(value)
    assert handle(from_front("a URL that asks for no signature")).status == status


@pytest.mark.parametrize("headers", [{}, {"X-Amzn-Request-Context": FORGED}], ids=["no", "forged"])
def test_request_without_a_lambda_event_is_refused_whatever_its_headers(
    model: Bedrock, shared: Any, headers: dict[str, str]
) -> None:
    def status() -> int:
        return httpx.post(
            f"http://127.0.0.1:{port}/ask", json=QUESTION, headers=headers
        ).status_code

    with served() as port:
        assert (status(), model.requests) == (403, [])
        shared("all")
        assert status() == 200


def test_the_refusal_says_nothing_of_the_question() -> None:
    event = from_front("HTTP API, JWT")
    wrong = function_url("POST", "/ask", {"question": 7})
    assert handle({**event, "body": wrong["body"]}).status == 403


def test_health_is_for_everybody() -> None:
    event = from_front("HTTP API, JWT")
    event["requestContext"]["http"] |= {"method": "GET", "path": "/health"}
    assert handle(event).status == 200


# --- what a caller may write ----------------------------------------------------------------------

HEADERS: list[dict[str, Any]] = [
    {"x_tenant": "AIDAALICE"},
    {"x_amzn_iam_callerid": "AIDAALICE", "x_amzn_requestcontext": '{"authorizer": {}}'},
    {"x_amz_security_token": "AIDAALICE", "authorization": "AWS4 Credential=AKIAEXAMPLE/"},
    {"requestcontext": '{"authorizer": {"iam": {"callerId": "AIDAALICE"}}}'},
    {"x_amzn_request_context": FORGED},
    {"x_forwarded_for": "192.0.2.1", "x_forwarded_host": "abc.lambda-url.us-east-1.on.aws"},
    {"host": "a.example, b.example"},
    {"cookie": "tenant=AIDAALICE"},
    {"cache_control": 'tenant="AIDAALICE", max-stale'},
]


@pytest.mark.parametrize("headers", HEADERS, ids=[next(iter(one)) for one in HEADERS])
def test_no_header_says_who_asks(headers: dict[str, Any]) -> None:
    assert ask(ALICE) == "miss"
    assert call(QUESTION, iam=BOB, **headers).cache == "miss"
    assert call(QUESTION, iam=ALICE, **headers).cache == "hit"


@pytest.mark.parametrize("field", ["tenant", "namespace", "key"])
def test_no_field_of_the_body_says_who_asks(field: str) -> None:
    reply = call({**QUESTION, "cache": {field: "AIDAALICE"}}, iam=BOB)
    assert (reply.status, reply.body["error"]["field"]) == (422, f"cache.{field}")


@pytest.mark.parametrize(
    "body",
    [
        '{"question": "q", "cache": {"ttl": 60}, "cache": {"tenant": "AIDAALICE"}}',
        '{"question": "q", "cache": {"ttl": 60, "tenant": "AIDAALICE", "ttl": 60}}',
        '{"question": "q", "requestContext": {"authorizer": {"iam": {"callerId": "AIDAALICE"}}}}',
        '{"question": "q", "tenant": "AIDAALICE"}',
        '{"question": "q", "\\u0063ache": {"\\u0074enant": "AIDAALICE"}}',
    ],
)
def test_no_second_or_hidden_field_does_either(model: Bedrock, body: str) -> None:
    assert call(body, iam=BOB).status == 422
    assert model.requests == []


def test_of_two_equal_fields_the_one_that_is_asked_is_the_one_that_is_kept(model: Bedrock) -> None:
    twice = '{"question": "a public one", "question": "the real one"}'
    assert call(twice).cache == "miss"
    assert model.requests[0]["messages"][0]["content"] == [{"text": "the real one"}]
    assert call({"question": "a public one"}).cache == "miss"
    assert call({"question": "the real one"}).cache == "hit"


def test_a_salt_or_a_tag_that_is_the_name_of_anothers_key_reaches_nothing_of_theirs(
    redis: Redis,
) -> None:
    theirs = call({**QUESTION, "cache": {"tags": ["t"], "coalesce": "fleet"}}, iam=ALICE)
    key = theirs.body["cache"]["key"]
    before = {name: redis.get(name) for name in redis.keys("*")}
    who = '["111122223333", "AIDAALICE"]'
    names = [key, key.replace("entry", "lease"), "test:epoch", f"test:epoch:{tag_hash('t')}", who]
    for name in names:
        for fields in ({"salt": name}, {"tags": [name]}, {"salt": name, "tags": ["t", name]}):
            for mode in ("use", "refresh"):
                policy = {**fields, "mode": mode}
                assert call({**QUESTION, "cache": policy}, iam=BOB).cache != "hit"
    assert {name: redis.get(name) for name in before} == before
    assert ask(ALICE) == "hit"


def test_ids_that_look_alike_are_others() -> None:
    accented = "AROAROLE:andré"
    look = [unicodedata.normalize(form, accented) for form in ("NFC", "NFD")]
    look += ["AROAROLE:andre", "AROAROLE:\u0430ndre", "AROAROLE:andre ", "AROAROLE:ANDRE"]
    look += ["AROAROLE:andre\x00", 'AROAROLE", "andre', "AROAROLE:", "AROAROLE"]
    assert [ask(signed_by(caller)) for caller in look] == ["miss"] * len(look)


@pytest.mark.parametrize("mark", [":", "/", ",", "|", '"', '", "', "\x00", "\n", " ", "\\"])
def test_no_delimiter_moves_the_border_between_account_and_caller(mark: str) -> None:
    one, other = signed_by(f"b{mark}c", "a"), signed_by("c", f"a{mark}b")
    assert (ask(one), ask(other)) == ("miss", "miss")


@pytest.mark.parametrize("mark", [":", "/", ",", "|", '", "'])
def test_a_cognito_identity_is_no_users_id(mark: str) -> None:
    forged = signed_by(mark.join(["cognito", "pool", "one"]))
    assert (ask(cognito("one")), ask(forged)) == ("miss", "miss")


def test_identity_of_any_length_has_answers_of_its_own() -> None:
    long = "x" * 5_000
    asked = [ask(signed_by(f"{long}{end}")) for end in ("a", "b", "a")]
    assert asked == ["miss", "miss", "hit"]


def test_neither_an_account_nor_a_caller_may_be_empty() -> None:
    nobody = [signed_by("123", ""), signed_by("", "123")]
    assert [call(QUESTION, iam=iam).status for iam in nobody] == [403, 403]
