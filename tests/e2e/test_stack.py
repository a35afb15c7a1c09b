"""The deployed stack: its Function URL, its schedule, its queue, and faults of Upstash."""

import contextlib
import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
from tests.faults import socket_servers

from local_cloud.cloud import LocalCloud
from local_cloud.scenario.main_scenario import MainScenario, Row
from local_cloud.scenario.slow_model_hint import SlowModelHint
from local_cloud.stack.ask_client import ask, ask_url
from local_cloud.stack.lambda_events import function_url, messages
from local_cloud.stack.summary_client import SummaryClient

BUDGET = 60.0  # seconds for Upstash: half of the function's timeout

linux = pytest.mark.skipif(sys.platform != "linux", reason="awslambdaric has wheels for Linux only")


def statuses(cloud: LocalCloud, question: str, times: int = 1) -> list[str]:
    return [ask(cloud.stack, question).status for _ in range(times)]


def test_main_scenario_meets_every_expectation(cloud: LocalCloud) -> None:
    rows: list[Row] = []
    scenario = MainScenario(cloud, rows.append)
    scenario.run()
    assert scenario.failures == []
    assert len(rows) > 10


def test_failed_expectation_of_a_scenario_is_reported(cloud: LocalCloud) -> None:
    scenario = MainScenario(cloud, lambda _: None)
    scenario.question("a new question", "Never asked before?", "hit")
    assert [failure.partition(";")[0] for failure in scenario.failures] == [
        "a new question: expected hit",
        "a new question: expected 0 model calls",
    ]


@dataclass
class EndedTimer:
    """A timer whose delay ends at its start."""

    seconds: float
    function: Callable[[], None]

    def start(self) -> None:
        self.function()

    def cancel(self) -> None:
        pass


def test_scenario_gives_the_hint_while_it_waits_for_the_model(cloud: LocalCloud) -> None:
    hints: list[str] = []
    scenario = MainScenario(cloud, lambda _: None)
    for status in ("miss", "hit"):
        scenario.hint = SlowModelHint("smollm2", hints.append, EndedTimer)
        scenario.question("a slow question", "Is the model slow?", status)
    assert (len(hints), scenario.failures) == (1, [])


def test_each_user_gets_only_their_own_answers(cloud: LocalCloud) -> None:
    iam, url, question = cloud.aws.client("iam"), ask_url(cloud.stack), {"question": "Whose?"}
    assert cloud.stack.request("POST", url, body=question, signed=False).status_code == 403
    found = []
    for user in ("alice", "bob"):
        iam.create_user(UserName=user)
        key = iam.create_access_key(UserName=user)["AccessKey"]
        by = (key["AccessKeyId"], key["SecretAccessKey"])
        replies = [cloud.stack.request("POST", url, body=question, by=by) for _ in range(2)]
        found += [reply.json()["cache"]["status"] for reply in replies]
    assert found == ["miss", "hit"] * 2


def test_edited_document_is_summarized_again_and_a_summary_is_not(cloud: LocalCloud) -> None:
    summaries = SummaryClient(cloud.stack)
    for text in ("The bridge is open.", "The bridge is closed."):
        written = summaries.upload_and_wait("bridge, new.txt", text)
        assert written["summary"] == f"You said: {text}"
        assert written["source"]["key"] == "documents/bridge, new.txt"
    keys = cloud.aws.client("s3").list_objects_v2(Bucket=summaries.bucket, Prefix="summaries/")
    assert not [it for it in keys["Contents"] if it["Key"].startswith("summaries/summaries/")]


def test_message_for_an_older_version_keeps_the_newer_summary(cloud: LocalCloud) -> None:
    summaries, key = SummaryClient(cloud.stack), "documents/older.txt"
    older = summaries.upload("older.txt", "Older.")
    summaries.upload_and_wait("older.txt", "Newer.")
    event = messages({"bucket": summaries.bucket, "key": key, "version_id": older})
    assert cloud.stack.invoke("SummarizeFunction", event).payload == {"batchItemFailures": []}
    assert summaries.read("older.txt")["summary"] == "You said: Newer."


def test_no_function_has_the_token_in_its_configuration(cloud: LocalCloud) -> None:
    functions = json.dumps(cloud.aws.client("lambda").list_functions()["Functions"], default=str)
    assert "LLM_CACHE_TOKEN_PARAMETER" in functions
    assert cloud.upstash.token not in functions


@pytest.mark.parametrize("settings", [{"token": "wrong"}, {"url": "http://127.0.0.1:9"}])
def test_wrong_token_or_url_of_upstash_does_not_stop_answers(
    cloud: LocalCloud, settings: dict[str, str]
) -> None:
    with cloud.upstash_at(**settings):
        assert statuses(cloud, "Without Upstash?", times=2) == ["error"] * 2


def test_hanging_upstash_delays_an_answer_within_the_budget(cloud: LocalCloud) -> None:
    with socket_servers.serving(socket_servers.silent) as url, cloud.upstash_at(url=url):
        began = time.monotonic()
        assert statuses(cloud, "With Upstash silent?") == ["error"]
        assert time.monotonic() - began < BUDGET


def test_killed_redis_does_not_stop_answers_and_hits_return_after_its_restart(
    cloud: LocalCloud,
) -> None:
    assert statuses(cloud, "Before and after?") == ["miss"]
    cloud.redis.kill()
    try:
        assert statuses(cloud, "Before and after?") == ["error"]
    finally:
        cloud.redis.restart()
    assert statuses(cloud, "Before and after?", times=2) == ["miss", "hit"]


@linux
def test_ask_and_flush_run_under_awss_own_runtime(cloud: LocalCloud) -> None:
    event = function_url("POST", "/ask", {"question": "Under the real runtime?"})
    with cloud.environment("AskFunction") as environment:
        healthy = environment.invoke(function_url("GET", "/health"))
        assert (healthy.payload["statusCode"], healthy.error) == (200, None)
        replies = [environment.invoke(event) for _ in range(2)]
        with cloud.environment("FlushCacheFunction") as flushing:
            flushed = flushing.invoke({})
        replies.append(environment.invoke(event))
    found = [json.loads(reply.payload["body"])["cache"]["status"] for reply in replies]
    assert found == ["miss", "hit", "miss"]
    assert flushed.payload["complete"]
    assert flushed.payload["removed"] >= 1


@linux
def test_concurrent_summaries_of_one_text_call_the_model_once(cloud: LocalCloud) -> None:
    summaries, before = SummaryClient(cloud.stack), cloud.model.calls
    names = [f"at once {number}.txt" for number in range(10)]
    with cloud.downloaded("SummarizeFunction") as deployed, contextlib.ExitStack() as stop:
        running = [stop.enter_context(cloud.running(deployed)) for _ in range(3)]
        versions = [summaries.upload(name, "The same for all.") for name in names]
        event = messages(
            *({"bucket": summaries.bucket, "key": f"documents/{name}"} for name in names)
        )
        with ThreadPoolExecutor(3) as pool:
            results = list(pool.map(lambda environment: environment.invoke(event), running))
    assert [result.payload for result in results] == [{"batchItemFailures": []}] * 3
    for name, version in zip(names, versions, strict=True):
        assert summaries.wait_for(name, version)["summary"] == "You said: The same for all."
    assert cloud.model.calls - before == 1
