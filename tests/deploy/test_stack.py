"""The deployed stack, over its Function URL, by its schedule, and under AWS's own runtime."""

import json
import sys
import time
from typing import Any

import pytest
from tests.faults import servers

from local_cloud.cloud import LocalCloud
from local_cloud.events import function_url
from local_cloud.scenario import Row, Scenario

BUDGET = 10.0  # seconds: a cold start on a busy machine, the cache's timeout, an immediate model


def ask(cloud: LocalCloud, question: str, **body: Any) -> dict[str, Any]:
    url = cloud.stack.outputs["AskUrl"] + "ask"
    response = cloud.stack.request("POST", url, body={"question": question, **body})
    assert response.status_code == 200, response.text
    reply: dict[str, Any] = response.json()
    return reply


def test_the_main_job_comes_true(cloud: LocalCloud) -> None:
    rows: list[Row] = []
    scenario = Scenario(cloud, rows.append)
    scenario.run()
    assert scenario.failures == []
    assert len(rows) > 10


def test_a_story_that_does_not_come_true_is_told(cloud: LocalCloud) -> None:
    scenario = Scenario(cloud, lambda _: None)
    scenario.question("a new question", "Never asked before?", "hit")
    assert [failure.partition(";")[0] for failure in scenario.failures] == [
        "a new question: expected hit",
        "a new question: expected 0 model calls",
    ]


def test_an_unsigned_request_is_refused(cloud: LocalCloud) -> None:
    url = cloud.stack.outputs["AskUrl"] + "ask"
    assert cloud.stack.request("POST", url, body={}, signed=False).status_code == 403


def test_another_user_does_not_get_ones_answers(cloud: LocalCloud) -> None:
    iam, url = cloud.aws.client("iam"), cloud.stack.outputs["AskUrl"] + "ask"
    told = []
    for user in ("alice", "bob"):
        iam.create_user(UserName=user)
        key = iam.create_access_key(UserName=user)["AccessKey"]
        by = (key["AccessKeyId"], key["SecretAccessKey"])
        for _ in range(2):
            reply = cloud.stack.request("POST", url, body={"question": "Whose is it?"}, by=by)
            told.append(reply.json()["cache"]["status"])
    assert told == ["miss", "hit"] * 2


def test_no_function_has_the_token_in_its_configuration(cloud: LocalCloud) -> None:
    client = cloud.aws.client("lambda")
    told = json.dumps(client.list_functions()["Functions"], default=str)
    assert "LLM_CACHE_TOKEN_PARAMETER" in told
    assert cloud.upstash.token not in told


def test_with_a_wrong_token_it_still_answers(cloud: LocalCloud) -> None:
    with cloud.upstash_at(token="wrong"):
        for _ in range(2):
            assert ask(cloud, "With a wrong token?")["cache"]["status"] == "error"


def test_with_upstash_unreachable_it_still_answers(cloud: LocalCloud) -> None:
    with cloud.upstash_at(url="http://127.0.0.1:9"):
        assert ask(cloud, "With Upstash gone?")["cache"]["status"] == "error"


def test_with_upstash_hanging_it_answers_within_its_budget(cloud: LocalCloud) -> None:
    with servers.serving(servers.silent) as url, cloud.upstash_at(url=url):
        began = time.monotonic()
        assert ask(cloud, "With Upstash silent?")["cache"]["status"] == "error"
        assert time.monotonic() - began < BUDGET


def test_with_redis_killed_mid_run_it_answers_and_then_hits_again(cloud: LocalCloud) -> None:
    assert ask(cloud, "Before and after?")["cache"]["status"] == "miss"
    cloud.redis.kill()
    try:
        assert ask(cloud, "Before and after?")["cache"]["status"] == "error"
    finally:
        cloud.redis.restart()
    assert ask(cloud, "Before and after?")["cache"]["status"] == "miss"
    assert ask(cloud, "Before and after?")["cache"]["status"] == "hit"


linux = pytest.mark.skipif(sys.platform != "linux", reason="awslambdaric has wheels for Linux only")


@linux
def test_ask_runs_under_awss_own_runtime(cloud: LocalCloud) -> None:
    with cloud.environment("AskFunction") as environment:
        healthy = environment.invoke(function_url("GET", "/health"))
        assert (healthy.payload["statusCode"], healthy.error) == (200, None)
        question = {"question": "Under the real runtime?"}
        replies = [environment.invoke(function_url("POST", "/ask", question)) for _ in range(2)]
    told = [json.loads(reply.payload["body"])["cache"]["status"] for reply in replies]
    assert told == ["miss", "hit"]


@linux
def test_flush_runs_under_awss_own_runtime(cloud: LocalCloud) -> None:
    ask(cloud, "To be flushed?")
    with cloud.environment("FlushCacheFunction") as environment:
        flushed = environment.invoke({})
    assert flushed.payload["complete"]
    assert flushed.payload["removed"] >= 1
    assert ask(cloud, "To be flushed?")["cache"]["status"] == "miss"
