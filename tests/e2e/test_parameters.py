"""The stack deployed again, with every parameter that adds something."""

import sys
from collections.abc import Iterator
from typing import Any

import pytest

from local_cloud.cloud import DEFAULT_CHOICES, LocalCloud
from local_cloud.stack.emulated_stack import ALIAS, EmulatedStack
from upstash_endpoint.children import PartFailed

FUNCTIONS = ("AskFunction", "FlushCacheFunction", "SummarizeFunction")
CHOICES = DEFAULT_CHOICES | {
    "CacheTtl": "120",
    "SummaryTtl": "86400",
    "SigningKeyParameter": "/llm-cache/signing-key",
    "FlushState": "ENABLED",
    "FlushSchedule": "at(2099-01-01T03:00:00)",
    "FlushMissedHours": "30",
    "AlarmEmail": "nobody@example.com",
    "CorsOrigins": "https://example.com,http://localhost:3000",
}
ALARMS = """
AskErrors ModelErrors ModelMisconfigured FlushMissed CacheErrors BreakerOpen Forgery SummarizeErrors
DocumentFailuresNotEmpty DocumentsRetried DocumentsWait
"""
QUEUES = {
    "FlushFailuresNotEmpty": "FlushFailures",
    "DocumentFailuresNotEmpty": "DocumentFailures",
    "DocumentsWait": "DocumentMessages",
}


def live(stack: EmulatedStack, function: str) -> Any:
    name, client = stack.physical(function), stack.aws.client("lambda")
    return client.get_function_configuration(FunctionName=name, Qualifier=ALIAS)


def variables(stack: EmulatedStack, function: str) -> Any:
    return live(stack, function)["Environment"]["Variables"]


def versions(stack: EmulatedStack) -> list[str]:
    return [live(stack, function)["Version"] for function in FUNCTIONS]


@pytest.fixture(scope="module")
def before(cloud: LocalCloud) -> list[str]:
    return versions(cloud.stack)


@pytest.fixture(scope="module")
def stack(cloud: LocalCloud, before: list[str]) -> Iterator[EmulatedStack]:
    yield cloud.deploy(CHOICES)
    cloud.deploy()


@pytest.fixture(scope="module")
def alarms(stack: EmulatedStack) -> dict[str, Any]:
    found = stack.aws.client("cloudwatch").describe_alarms()["MetricAlarms"]
    own = [it for it in found if it["AlarmName"].startswith(stack.name)]
    return {it["AlarmName"].split("-")[-2]: it for it in own}


def test_changed_settings_reach_every_alias(stack: EmulatedStack, before: list[str]) -> None:
    assert not set(versions(stack)) & set(before)
    assert {variables(stack, function)["LLM_CACHE_TTL"] for function in FUNCTIONS} == {"120"}
    summarize = variables(stack, "SummarizeFunction")
    assert summarize["SUMMARY_TTL_IMMUTABLE"] == summarize["LLM_CACHE_TTL_CEILING"] == "86400"


def test_equal_settings_publish_nothing(cloud: LocalCloud, stack: EmulatedStack) -> None:
    assert versions(cloud.deploy(CHOICES)) == versions(stack)


def test_every_alarm_notifies_the_chosen_address_and_watches_its_own_queue(
    stack: EmulatedStack, alarms: dict[str, Any]
) -> None:
    topic = stack.outputs["AlarmTopic"]
    assert set(ALARMS.split()) < set(alarms)
    assert {tuple(it["AlarmActions"]) for it in alarms.values()} == {(topic,)}
    for alarm, queue in QUEUES.items():
        name = stack.physical(queue).split("/")[-1]
        assert alarms[alarm]["Dimensions"] == [{"Name": "QueueName", "Value": name}]
    sns = stack.aws.client("sns")
    found = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    assert [(it["Protocol"], it["Endpoint"]) for it in found] == [("email", "nobody@example.com")]


def test_chosen_values_reach_their_services(stack: EmulatedStack, alarms: dict[str, Any]) -> None:
    missed, name = alarms["FlushMissed"], stack.physical("AskFunction")
    assert missed["Period"] * missed["EvaluationPeriods"] == 30 * 3600
    url = stack.aws.client("lambda").get_function_url_config(FunctionName=name, Qualifier=ALIAS)
    origins = ",".join(url["Cors"]["AllowOrigins"])
    assert origins == variables(stack, "AskFunction")["CORS_ORIGINS"] == CHOICES["CorsOrigins"]
    parameter = stack.aws.client("ssm").get_parameter(Name=stack.outputs["LayerArnParameter"])
    assert parameter["Parameter"]["Value"] == stack.outputs["LayerArn"]


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="this Python's runtime has SnapStart")
def test_snapstart_is_refused_for_a_runtime_without_it(cloud: LocalCloud) -> None:
    with pytest.raises(PartFailed, match=r"SnapStart needs python3\.12"):
        cloud.deploy(DEFAULT_CHOICES | {"SnapStart": "PublishedVersions"})
