"""The stack deployed again, with every parameter that makes something more."""

import sys
from collections.abc import Iterator
from typing import Any

import pytest

from local_cloud.cloud import DEFAULT_CHOICES, LocalCloud
from local_cloud.stack.emulated_stack import ALIAS, EmulatedStack
from upstash_endpoint.children import PartFailed

FUNCTIONS = ("AskFunction", "FlushCacheFunction", "SummarizeFunction")
CHOICES = {
    "CacheTtl": "120",
    "SummaryTtl": "86400",
    "SigningKeyParameter": "/llm-cache/signing-key",
    "FlushState": "ENABLED",
    "FlushSchedule": "at(2099-01-01T03:00:00)",
    "FlushMissedHours": "30",
    "AlarmEmail": "nobody@example.com",
    "CorsOrigins": "https://example.com,http://localhost:3000",
    "DocumentVersionDays": "30",
}


def live(cloud: LocalCloud, stack: EmulatedStack, function: str) -> Any:
    """The configuration that callers of the alias get."""
    name = stack.physical(function)
    return cloud.aws.client("lambda").get_function_configuration(FunctionName=name, Qualifier=ALIAS)


def versions(cloud: LocalCloud, stack: EmulatedStack) -> list[str]:
    return [live(cloud, stack, function)["Version"] for function in FUNCTIONS]


@pytest.fixture(scope="module")
def before(cloud: LocalCloud) -> list[str]:
    return versions(cloud, cloud.stack)


@pytest.fixture(scope="module")
def stack(cloud: LocalCloud, before: list[str]) -> Iterator[EmulatedStack]:
    yield cloud.deploy(DEFAULT_CHOICES | CHOICES)
    cloud.deploy()


def alarms(cloud: LocalCloud, stack: EmulatedStack) -> dict[str, Any]:
    made = cloud.aws.client("cloudwatch").describe_alarms()["MetricAlarms"]
    return {
        it["AlarmName"].split("-")[-2]: it for it in made if it["AlarmName"].startswith(stack.name)
    }


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_changed_setting_reaches_the_alias(
    cloud: LocalCloud, before: list[str], stack: EmulatedStack, function: str
) -> None:
    configuration = live(cloud, stack, function)
    assert configuration["Version"] not in before
    assert configuration["Environment"]["Variables"]["LLM_CACHE_TTL"] == "120"


def test_the_same_settings_publish_nothing(cloud: LocalCloud, stack: EmulatedStack) -> None:
    assert versions(cloud, cloud.deploy(DEFAULT_CHOICES | CHOICES)) == versions(cloud, stack)


def test_a_schedule_that_misses_rings_after_the_hours_chosen(
    cloud: LocalCloud, stack: EmulatedStack
) -> None:
    missed = alarms(cloud, stack)["FlushMissed"]
    assert missed["Period"] * missed["EvaluationPeriods"] == 30 * 3600


def test_every_alarm_goes_to_the_topic_and_the_topic_to_the_address(
    cloud: LocalCloud, stack: EmulatedStack
) -> None:
    topic = stack.outputs["AlarmTopic"]
    made = alarms(cloud, stack)
    assert {
        "AskErrors",
        "ModelErrors",
        "ModelMisconfigured",
        "FlushMissed",
        "CacheErrors",
        "BreakerOpen",
        "Forgery",
        "SummarizeErrors",
        "DocumentFailuresNotEmpty",
        "DocumentsRetried",
        "DocumentsWait",
    } < set(made)
    assert {tuple(it["AlarmActions"]) for it in made.values()} == {(topic,)}
    told = cloud.aws.client("sns").list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    assert [(it["Protocol"], it["Endpoint"]) for it in told] == [("email", "nobody@example.com")]


@pytest.mark.parametrize(
    ("alarm", "queue"),
    [
        ("FlushFailuresNotEmpty", "FlushFailures"),
        ("DocumentFailuresNotEmpty", "DocumentFailures"),
        ("DocumentsWait", "DocumentMessages"),
    ],
)
def test_a_queue_is_watched_by_its_name(
    cloud: LocalCloud, stack: EmulatedStack, alarm: str, queue: str
) -> None:
    (dimension,) = alarms(cloud, stack)[alarm]["Dimensions"]
    assert dimension == {"Name": "QueueName", "Value": stack.physical(queue).split("/")[-1]}


def test_pages_of_the_origins_chosen_may_ask(cloud: LocalCloud, stack: EmulatedStack) -> None:
    name = stack.physical("AskFunction")
    client = cloud.aws.client("lambda")
    cors = client.get_function_url_config(FunctionName=name, Qualifier=ALIAS)["Cors"]
    variables = live(cloud, stack, "AskFunction")["Environment"]["Variables"]
    assert ",".join(cors["AllowOrigins"]) == variables["CORS_ORIGINS"] == CHOICES["CorsOrigins"]


def test_old_versions_of_documents_expire_as_was_chosen(
    cloud: LocalCloud, stack: EmulatedStack
) -> None:
    client = cloud.aws.client("s3")
    told = client.get_bucket_lifecycle_configuration(Bucket=stack.outputs["DocumentsBucket"])
    rules = {rule["ID"]: rule for rule in told["Rules"]}
    assert rules["old-versions"]["NoncurrentVersionExpiration"]["NoncurrentDays"] == 30


def test_summaries_live_as_long_as_was_chosen(cloud: LocalCloud, stack: EmulatedStack) -> None:
    variables = live(cloud, stack, "SummarizeFunction")["Environment"]["Variables"]
    assert variables["SUMMARY_TTL_IMMUTABLE"] == variables["LLM_CACHE_TTL_CEILING"] == "86400"


def test_ssm_has_the_arn_of_the_layer(cloud: LocalCloud, stack: EmulatedStack) -> None:
    ssm = cloud.aws.client("ssm")
    arn = ssm.get_parameter(Name=stack.outputs["LayerArnParameter"])["Parameter"]["Value"]
    assert arn == stack.outputs["LayerArn"]


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="this Python's runtime has SnapStart")
def test_snapstart_is_refused_by_name_where_there_is_none(cloud: LocalCloud) -> None:
    with pytest.raises(PartFailed, match=r"SnapStart needs python3\.12"):
        cloud.deploy(DEFAULT_CHOICES | {"SnapStart": "PublishedVersions"})
