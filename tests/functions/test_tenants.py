"""`ask` serves no caller another caller's answers, whatever a request contains."""

import json
import os
import subprocess
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.functions.asking import QUESTION, at_once, call, handle, question
from tests.functions.bedrock import Bedrock
from tests.functions.events import function_url, signed_by
from tests.functions.serving import served
from tests.repository.pages import blocks
from upstash_redis import Redis

from llm_cache._entries.keys import tag_hash

pytestmark = pytest.mark.usefixtures("model")

Configure = Callable[..., None]
ALICE, BOB = signed_by("AIDAALICE"), signed_by("AIDABOB")
SESSION, OTHER_SESSION = signed_by("AROAROLE:alice"), signed_by("AROAROLE:bob")
OTHER_ROLE, OTHER_ACCOUNT = signed_by("AROAOTHER:alice"), signed_by("AIDACAROL", "444455556666")


def cognito(identity: str, pool: str = "pool") -> dict[str, Any]:
    """Return a user of an identity pool; all its users share one role and session name."""
    user = {"amr": ["authenticated"], "identityId": identity, "identityPoolId": pool}
    return {**signed_by("AROAWEB:CognitoIdentityCredentials"), "cognitoIdentity": user}


CALLERS = [ALICE, BOB, SESSION, OTHER_SESSION, OTHER_ROLE, OTHER_ACCOUNT]
CALLERS += [cognito("one"), cognito("two"), cognito("one", "other pool")]


def status(iam: object) -> str:
    return call(QUESTION, iam=iam).cache


def test_page_shows_how_to_clear_the_answers_of_one_caller() -> None:
    (block,) = [it for it in blocks("docs/ask.md") if "llm-cache clear" in it.text]
    account = ALICE["accountId"]
    command = block.text.replace("111122223333", account).replace("AIDAEXAMPLE", "AIDAALICE")
    assert [status(caller) for caller in (ALICE, BOB)] == ["miss", "miss"]
    path = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    shell = ["bash", "-c", command]
    done = subprocess.run(shell, env=os.environ | path, capture_output=True, check=True)
    assert done.stderr == b""  # no warning: answers of this tenant were stored
    assert [status(caller) for caller in (ALICE, BOB)] == ["miss", "hit"]


def test_callers_share_no_answers_by_default() -> None:
    assert [status(caller) for caller in CALLERS] == ["miss"] * len(CALLERS)
    assert [status(caller) for caller in CALLERS] == ["hit"] * len(CALLERS)


@pytest.mark.parametrize(
    ("value", "one", "other", "expected"),
    [
        ("role", SESSION, OTHER_SESSION, "hit"),
        ("role", SESSION, OTHER_ROLE, "miss"),
        ("role", ALICE, BOB, "miss"),
        ("role", signed_by("111122223333:dan"), signed_by("111122223333:eve"), "miss"),
        ("role", cognito("one"), cognito("two"), "miss"),
        ("account", ALICE, SESSION, "hit"),
        ("account", ALICE, cognito("one"), "hit"),
        ("account", ALICE, OTHER_ACCOUNT, "miss"),
        ("all", ALICE, OTHER_ACCOUNT, "hit"),
        ("nobody", ALICE, BOB, "miss"),
        ("", ALICE, BOB, "miss"),
        (" role ", SESSION, OTHER_SESSION, "hit"),
        ("", ALICE, {**BOB, "userArn": ALICE["userArn"]}, "miss"),  # a name in use again
        ("", ALICE, {**ALICE, "accessKey": "AKIAROTATED"}, "hit"),
    ],
)
def test_callers_share_answers_as_configured(
    configure: Configure, value: str, one: object, other: object, expected: str
) -> None:
    configure(SHARE_ANSWERS=value)
    assert (status(one), status(other)) == ("miss", expected)


def test_account_of_the_function_is_not_the_callers(configure: Configure) -> None:
    configure(SHARE_ANSWERS="account")
    event = function_url("POST", "/ask", QUESTION)
    event["requestContext"]["accountId"] = OTHER_ACCOUNT["accountId"]
    assert (handle(event).cache, status(OTHER_ACCOUNT)) == ("miss", "miss")


async def test_concurrent_callers_do_not_share_one_model_call(model: Bedrock) -> None:
    events = [function_url("POST", "/ask", QUESTION, iam=caller) for caller in (ALICE, BOB)]
    replies = await at_once(model, events, calls=2)
    assert [reply["cache"]["status"] for reply in replies] == ["miss", "miss"]


# --- unidentified callers -------------------------------------------------------------------------

UNIDENTIFIED: list[dict[str, Any]] = [
    {"authorizer": {"jwt": {"claims": {"sub": "alice"}, "scopes": None}}},
    {"authorizer": {"lambda": {"iam": ALICE}}},
    {"authorizer": {"iam": "AIDAALICE", "user": "AIDAALICE"}},
    {"authorizer": {"iam": {"accountId": "111122223333"}}},
    {"authorizer": {"iam": {"callerId": "AIDAALICE"}}},
    {"authorizer": {"iam": {**ALICE, "cognitoIdentity": {"id": "one"}}}},
    {"identity": {"accountId": "1", "user": "AIDAALICE", "userArn": "arn:…"}},
]


@pytest.mark.parametrize("context", UNIDENTIFIED)
@pytest.mark.parametrize("body", [QUESTION, {"question": 7}])
def test_unidentified_caller_is_refused_before_its_body_is_read(
    model: Bedrock, redis: Redis, context: dict[str, Any], body: dict[str, Any]
) -> None:
    event = function_url("POST", "/ask", body)
    del event["requestContext"]["authorizer"]
    event["requestContext"] |= context
    reply = handle(event)
    assert (reply.status, reply.error["code"]) == (403, "no_identity")
    assert (model.requests, redis.keys("*")) == ([], [])


FORGED = json.dumps({"authorizer": {"iam": ALICE}})


@pytest.mark.parametrize("headers", [{}, {"X-Amzn-Request-Context": FORGED}], ids=["no", "forged"])
def test_request_without_a_lambda_event_is_refused_whatever_its_headers(
    model: Bedrock, configure: Configure, headers: dict[str, str]
) -> None:
    def replied() -> int:
        url = f"http://127.0.0.1:{port}/ask"
        return httpx.post(url, json=QUESTION, headers=headers).status_code

    with served() as port:
        assert (replied(), model.requests) == (403, [])
        configure(SHARE_ANSWERS="all")
        assert replied() == 200


# --- fields that a caller controls ----------------------------------------------------------------

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
def test_header_does_not_change_the_tenant(headers: dict[str, Any]) -> None:
    assert status(ALICE) == "miss"
    assert call(QUESTION, iam=BOB, **headers).cache == "miss"
    assert call(QUESTION, iam=ALICE, **headers).cache == "hit"


@pytest.mark.parametrize("field", ["tenant", "namespace", "key"])
def test_body_cannot_set_the_tenant(field: str) -> None:
    reply = call(question(cache={field: "AIDAALICE"}), iam=BOB)
    assert (reply.status, reply.error["field"]) == (422, f"cache.{field}")


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
def test_repeated_or_escaped_field_cannot_set_the_tenant(model: Bedrock, body: str) -> None:
    assert call(body, iam=BOB).status == 422
    assert model.requests == []


def test_last_of_two_equal_fields_is_answered_and_stored(model: Bedrock) -> None:
    twice = '{"question": "a public one", "question": "the real one"}'
    assert call(twice).cache == "miss"
    assert model.texts == ["the real one"]
    assert call({"question": "a public one"}).cache == "miss"
    assert call({"question": "the real one"}).cache == "hit"


def test_salt_or_tag_named_like_another_tenants_key_reaches_no_entry(
    redis: Redis,
) -> None:
    theirs = call(question(cache={"tags": ["t"], "coalesce": "fleet"}), iam=ALICE)
    key = theirs.body["cache"]["key"]
    before = {name: redis.get(name) for name in redis.keys("*")}
    tenant = '["111122223333", "AIDAALICE"]'
    epoch = f"test:epoch:{tag_hash('t')}"
    for name in (key, key.replace("entry", "lease"), "test:epoch", epoch, tenant):
        for fields in ({"salt": name}, {"tags": [name]}, {"salt": name, "tags": ["t", name]}):
            for mode in ("use", "refresh"):
                policy = {**fields, "mode": mode}
                assert call(question(cache=policy), iam=BOB).cache != "hit"
    assert {name: redis.get(name) for name in before} == before
    assert status(ALICE) == "hit"


def test_similar_ids_are_different_tenants() -> None:
    accented = "AROAROLE:andré"
    similar = [unicodedata.normalize(form, accented) for form in ("NFC", "NFD")]
    similar += ["AROAROLE:andre", "AROAROLE:\u0430ndre", "AROAROLE:andre ", "AROAROLE:ANDRE"]
    similar += ["AROAROLE:andre\x00", 'AROAROLE", "andre', "AROAROLE:", "AROAROLE"]
    similar += ["x" * 5_000 + end for end in ("a", "b")]
    assert [status(signed_by(caller)) for caller in similar] == ["miss"] * len(similar)
    assert status(signed_by(similar[-1])) == "hit"


@pytest.mark.parametrize("mark", [":", "/", ",", "|", '"', '", "', "\x00", "\n", " ", "\\"])
def test_delimiter_in_an_id_does_not_forge_another_tenant(mark: str) -> None:
    one, other = signed_by(f"b{mark}c", "a"), signed_by("c", f"a{mark}b")
    user = signed_by(mark.join(["cognito", "pool", "one"]))
    assert [status(who) for who in (one, other, cognito("one"), user)] == ["miss"] * 4
