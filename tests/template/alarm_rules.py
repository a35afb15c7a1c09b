"""Rules of alarms and the dashboard: each failure raises an alarm, which reaches the operator."""

import json
from collections.abc import Iterator
from itertools import chain
from operator import itemgetter
from typing import Any, NamedTuple

from tests.template.loader import environment, references, resources
from tests.template.resolved_template import ABSENT, ResolvedTemplate
from tests.template.rule import TEMPLATE, Breakage, broken_by
from tests.template.written_metrics import written_metrics

HIT_RATE = "Resources/HitRate/Properties"
BODY = "Resources/Dashboard/Properties/DashboardBody"
AWS_METRICS = {  # the dimension of each
    ("AWS/Lambda", "Errors"): "FunctionName",
    ("AWS/Lambda", "Url5xxCount"): "FunctionName",
    ("AWS/SQS", "ApproximateAgeOfOldestMessage"): "QueueName",
    ("AWS/SQS", "ApproximateNumberOfMessagesVisible"): "QueueName",
}


def dashboard(old: str, new: str) -> Breakage:
    body = TEMPLATE["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    assert old in body
    return BODY, {"Fn::Sub": body.replace(old, new)}


class Watched(NamedTuple):
    """A metric that an alarm or a widget of the dashboard reads."""

    by: str
    namespace: str
    name: str
    dimensions: dict[str, Any]


def in_alarms(template: ResolvedTemplate) -> Iterator[Watched]:
    for alarm, properties in template.of_type("Alarm").items():
        queries = [it["MetricStat"] for it in properties.get("Metrics", []) if "MetricStat" in it]
        for metric in [it["Metric"] for it in queries] or [properties]:
            dimensions = {it["Name"]: it["Value"] for it in metric.get("Dimensions", [])}
            yield Watched(alarm, metric["Namespace"], metric["MetricName"], dimensions)


def in_dashboards(template: ResolvedTemplate) -> Iterator[Watched]:
    for name, properties in template.of_type("Dashboard").items():
        for widget in json.loads(properties["DashboardBody"]["Fn::Sub"])["widgets"]:
            metrics = widget["properties"]["metrics"]
            for it in (it for it in metrics if isinstance(it[0], str)):
                yield Watched(name, it[0], it[1], {it[2]: it[3]})


@broken_by(
    ("Resources/CacheErrors/Properties/MetricName", "CacheFailures"),
    ("Resources/CacheErrors/Properties/Namespace", "LlmCache"),
    ("Resources/BreakerOpen/Properties/Dimensions/0/Value", "flush-cache"),
    ("Resources/BreakerOpen/Properties/Dimensions", []),
    (f"{HIT_RATE}/Metrics/1/MetricStat/Metric/MetricName", "Hits"),
    ("Resources/AskErrors/Properties/Dimensions/0/Value", "ask"),
    ("Resources/AskErrors/Properties/MetricName", "Faults"),
    ("Resources/AskFunction/Properties/Environment/Variables/POWERTOOLS_SERVICE_NAME", "asks"),
    ("Globals/Function/Environment/Variables/POWERTOOLS_METRICS_NAMESPACE", "LlmCache"),
    dashboard("HitMilliseconds", "HitSeconds"),
    dashboard("${AskFunction}", "${OtherFunction}"),
)
def watched_metrics_are_written(template: ResolvedTemplate) -> Iterator[str]:
    own = {name: environment(function) for name, function in template.functions.items()}
    place = itemgetter("POWERTOOLS_METRICS_NAMESPACE", "POWERTOOLS_SERVICE_NAME")
    written = {place(variables): written_metrics()[name] for name, variables in own.items()}
    sources = template.functions | template.of_type("Queue")
    for by, namespace, name, dimensions in chain(in_alarms(template), in_dashboards(template)):
        if namespace.startswith("AWS/"):
            value = dimensions.get(AWS_METRICS.get((namespace, name), ""))
            source = value.strip("${}") if isinstance(value, str) else next(references(value), "")
            exists = source in sources
        else:
            exists = name in written.get((namespace, dimensions.get("service")), ())
        if not exists or len(dimensions) != 1:
            yield f"{by}: nothing writes {name} in {namespace} with {dimensions}"


ALWAYS_WATCHED = {
    *("CacheErrors", "CircuitOpen", "ModelErrors", "ModelMisconfigured", "DocumentAge"),
    *("CacheHits", "FlushSucceeded", "ApproximateAgeOfOldestMessage"),
}


@broken_by(
    *((f"Resources/{alarm}", ABSENT) for alarm in resources(TEMPLATE, "Alarm")),
    ("Resources/FlushCacheFunction/Properties/EventInvokeConfig", ABSENT),
    ("Conditions/Monitored", {"Fn::Equals": ["on", "off"]}),
)
def each_failure_has_an_alarm(template: ResolvedTemplate) -> Iterator[str]:
    """A function with asynchronous retries has an alarm for its failure queue instead."""
    alarms = list(in_alarms(template))
    for name, function in template.functions.items():
        dimensions = {"FunctionName": {"Ref": name}}
        has_alarm = any(it.name == "Errors" and it.dimensions == dimensions for it in alarms)
        if has_alarm == ("EventInvokeConfig" in function):
            yield f"{name} has no alarm for its errors, or one that rings before the last attempt"
    for queue in template.of_type("Queue"):
        if not any(queue in references(it.dimensions) for it in alarms):
            yield f"{queue} has no alarm for its messages"
    protects = {"SigningKeyParameter", "EncryptionKeyParameter"} & set(template.choices)
    needed = ALWAYS_WATCHED | ({"CacheForged"} if protects else set())
    yield from (f"no alarm watches {name}" for name in needed - {it.name for it in alarms})


BY_EMAIL = {"TopicArn": {"Ref": "Alarms"}, "Protocol": "email", "Endpoint": "a@b.it"}


@broken_by(
    ("Resources/AskErrors/Properties/AlarmActions", []),
    ("Resources/AskErrors/Properties/AlarmActions/0", {"Ref": "Alarms"}),
    ("Resources/AskErrors/Properties/ActionsEnabled", False),
    ("Resources/AlarmsByEmail/Properties/Protocol", "http"),
    ("Resources/AlarmsByEmail/Properties/TopicArn", {"Ref": "AlarmTopicArn"}),
    ("Parameters/AlarmEmail/Default", "b@example.com"),
)
def alarms_reach_the_chosen_topic_and_address(template: ResolvedTemplate) -> Iterator[str]:
    topic = template.choices.get("AlarmTopicArn", {"Ref": "Alarms"})
    for alarm, properties in template.of_type("Alarm").items():
        if properties.get("AlarmActions") != [topic] or "ActionsEnabled" in properties:
            yield f"{alarm} notifies another topic, or none"
    expected = [BY_EMAIL] if "AlarmEmail" in template.choices else []
    if list(template.of_type("SNS::Subscription").values()) != expected:
        yield "another address gets the alarms"


AN_HOUR = 3600
HIGHEST_THRESHOLDS = {"AskErrors": 1, "ModelMisconfigured": 1}
HIGHEST_THRESHOLDS |= dict.fromkeys(("DocumentsWait", "DocumentsRetried"), 4 * AN_HOUR)  # seconds


@broken_by(
    ("Resources/AskErrors/Properties/Threshold", 1000),
    ("Resources/AskErrors/Properties/Period", 86_400),
    ("Resources/AskErrors/Properties/ComparisonOperator", "LessThanThreshold"),
    ("Resources/AskErrors/Properties/TreatMissingData", ABSENT),
    ("Resources/ModelMisconfigured/Properties/Threshold", 2),
    ("Resources/ModelErrors/Properties/EvaluationPeriods", 13),
    ("Resources/CacheErrors/Properties/Statistic", "Average"),
    ("Resources/CacheErrors/Properties/DatapointsToAlarm", 1),
)
def alarms_ring_within_an_hour_of_a_failure(template: ResolvedTemplate) -> Iterator[str]:
    for name, alarm in template.of_type("Alarm").items():
        if name not in {"FlushMissed", "HitRate"} and (
            alarm["Threshold"] > HIGHEST_THRESHOLDS.get(name, 5)
            or alarm["Period"] * alarm["EvaluationPeriods"] > AN_HOUR
            or alarm.get("Statistic") not in {"Sum", "Maximum"}
            or alarm["ComparisonOperator"] != "GreaterThanOrEqualToThreshold"
            or alarm.get("TreatMissingData") != "notBreaching"
            or "DatapointsToAlarm" in alarm
        ):
            yield f"{name} rings late, never, or without a failure"


@broken_by(
    ("Resources/FlushMissed/Properties/TreatMissingData", "notBreaching"),
    ("Resources/FlushMissed/Properties/ComparisonOperator", "GreaterThanOrEqualToThreshold"),
    ("Resources/FlushMissed/Properties/EvaluationPeriods", 24),
)
def missed_flush_rings_after_the_chosen_hours(template: ResolvedTemplate) -> Iterator[str]:
    alarm = template.of_type("Alarm")["FlushMissed"]
    if (
        alarm["Period"] * alarm["EvaluationPeriods"]
        != int(template.values["FlushMissedHours"]) * AN_HOUR
        or (alarm["ComparisonOperator"], alarm["Threshold"]) != ("LessThanThreshold", 1)
        or alarm.get("TreatMissingData") != "breaching"
        or "DatapointsToAlarm" in alarm
    ):
        yield "FlushMissed rings at another time, or never"


RATES = [(50, 50, 50), (100, 0, 100), (0, 100, 0), (1, 98, 100)]  # hits, misses, percent


@broken_by(
    (f"{HIT_RATE}/Metrics/0/Expression", "100 * hits / (hits + misses)"),
    (f"{HIT_RATE}/Metrics/2/ReturnData", ABSENT),
    (f"{HIT_RATE}/Metrics/1/Id", "misses"),
    (f"{HIT_RATE}/Threshold", 0),
    (f"{HIT_RATE}/EvaluationPeriods", 1),
    (f"{HIT_RATE}/TreatMissingData", "breaching"),
)
def hit_rate_rings_if_low_for_three_hours(template: ResolvedTemplate) -> Iterator[str]:
    """An hour with less than a hundred lookups is not low."""
    alarm = template.of_type("Alarm")["HitRate"]
    expression, *metrics = alarm["Metrics"]
    for hits, misses, rate in RATES:
        names = {"IF": lambda test, then, other: then if test else other}
        if eval(expression["Expression"], names, {"hits": hits, "misses": misses}) != rate:
            yield f"HitRate is not {rate} % for {hits} hits and {misses} misses"
    inputs = [it for it in metrics if it.get("ReturnData") is False]
    measured = [(it["Id"], it["MetricStat"]["Metric"]["MetricName"]) for it in inputs]
    if measured != [("hits", "CacheHits"), ("misses", "CacheMisses")]:
        yield "HitRate compares another value than its expression"
    rings = [alarm["Threshold"], alarm["EvaluationPeriods"], alarm["TreatMissingData"]]
    if rings != [int(template.values["HitRateAlarm"]), 3, "notBreaching"]:
        yield "HitRate rings at another rate, earlier, or without lookups"
