"""The deployed stack, over its Function URL, by its schedule, and under AWS's own runtime."""

import contextlib
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.faults import socket_servers

from local_cloud.cloud import LocalCloud
from local_cloud.scenario.main_scenario import MainScenario, Row
from local_cloud.stack.lambda_events import function_url, messages
from local_cloud.stack.summary_client import SummaryClient

BUDGET = 60.0  # seconds: half of what the function has, should it wait for Upstash


def ask(cloud: LocalCloud, question: str, **body: Any) -> dict[str, Any]:
    url = cloud.stack.outputs["AskUrl"] + "ask"
    response = cloud.stack.request("POST", url, body={"question": question, **body})
    assert response.status_code == 200, response.text
    reply: dict[str, Any] = response.json()
    return reply


def test_the_main_job_comes_true(cloud: LocalCloud) -> None:
    rows: list[Row] = []
    scenario = MainScenario(cloud, rows.append)
    scenario.run()
    assert scenario.failures == []
    assert len(rows) > 10


def test_a_story_that_does_not_come_true_is_told(cloud: LocalCloud) -> None:
    scenario = MainScenario(cloud, lambda _: None)
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


def test_a_document_is_summarized_and_an_edit_of_it_anew(cloud: LocalCloud) -> None:
    summaries = SummaryClient(cloud.stack)
    for text in ("The bridge is open.", "The bridge is closed."):
        version = summaries.upload("bridge, new.txt", text)
        written = summaries.wait_for("bridge, new.txt", version)
        assert written["summary"] == f"You said: {text}"
        assert written["source"]["key"] == "documents/bridge, new.txt"


def test_a_summary_is_not_summarized(cloud: LocalCloud) -> None:
    summaries = SummaryClient(cloud.stack)
    summaries.wait_for("once.txt", summaries.upload("once.txt", "Once."))
    keys = cloud.aws.client("s3").list_objects_v2(Bucket=summaries.bucket, Prefix="summaries/")
    assert not [it for it in keys["Contents"] if it["Key"].startswith("summaries/summaries/")]


def test_a_message_asks_for_the_summary_of_an_older_version(cloud: LocalCloud) -> None:
    summaries, key = SummaryClient(cloud.stack), "documents/older.txt"
    older = summaries.upload("older.txt", "Older.")
    summaries.wait_for("older.txt", summaries.upload("older.txt", "Newer."))
    event = messages({"bucket": summaries.bucket, "key": key, "version_id": older})
    assert cloud.stack.invoke("SummarizeFunction", event).payload == {"batchItemFailures": []}
    assert summaries.read("older.txt")["summary"] == "You said: Newer."


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
    with socket_servers.serving(socket_servers.silent) as url, cloud.upstash_at(url=url):
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
def test_environments_that_summarize_one_text_at_once_ask_the_model_once(cloud: LocalCloud) -> None:
    summaries, before = SummaryClient(cloud.stack), cloud.model.calls
    names = [f"at once {number}.txt" for number in range(10)]
    with cloud.downloaded("SummarizeFunction") as deployed, contextlib.ExitStack() as stop:
        running = [stop.enter_context(cloud.running(deployed)) for _ in range(3)]
        versions = [summaries.upload(name, "The same for all.") for name in names]
        named = [{"bucket": summaries.bucket, "key": f"documents/{name}"} for name in names]
        with ThreadPoolExecutor(3) as pool:
            came = list(pool.map(lambda one: one.invoke(messages(*named)), running))
    assert [one.payload for one in came] == [{"batchItemFailures": []}] * 3
    for name, version in zip(names, versions, strict=True):
        assert summaries.wait_for(name, version)["summary"] == "You said: The same for all."
    assert cloud.model.calls - before == 1


@linux
def test_flush_runs_under_awss_own_runtime(cloud: LocalCloud) -> None:
    ask(cloud, "To be flushed?")
    with cloud.environment("FlushCacheFunction") as environment:
        flushed = environment.invoke({})
    assert flushed.payload["complete"]
    assert flushed.payload["removed"] >= 1
    assert ask(cloud, "To be flushed?")["cache"]["status"] == "miss"
