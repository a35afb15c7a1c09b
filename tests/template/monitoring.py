"""What must hold of the alarms and the dashboard."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from tests.template.loader import (
    Properties,
    Template,
    environment,
    functions,
    references,
    resources,
)
from tests.template.rules import Rule
from tests.template.written import written

NAMESPACE = "LlmCache/${AWS::StackName}"
AWS_METRICS = {  # what AWS writes itself, and by what it tells one from another
    ("AWS/Lambda", "Errors"): "FunctionName",
    ("AWS/Lambda", "Url5xxCount"): "FunctionName",
    ("AWS/SQS", "ApproximateAgeOfOldestMessage"): "QueueName",
    ("AWS/SQS", "ApproximateNumberOfMessagesVisible"): "QueueName",
}


class Watched(NamedTuple):
    """One metric as an alarm or a widget names it."""

    by: str
    namespace: Any
    name: str
    dimensions: dict[str, Any]


def watched(template: Template) -> Iterator[Watched]:
    """Every metric that something watches."""
    for alarm, resource in resources(template, "Alarm").items():
        for metric in _metrics_of(resource["Properties"]):
            dimensions = {it["Name"]: it["Value"] for it in metric.get("Dimensions", [])}
            namespace = metric.get("Namespace")
            plain = namespace["Fn::Sub"] if isinstance(namespace, dict) else namespace
            yield Watched(alarm, plain, metric["MetricName"], dimensions)
    for dashboard in resources(template, "Dashboard"):
        for widget in widgets(template, dashboard):
            for row in widget["metrics"]:
                if isinstance(row[0], str):
                    yield Watched(
                        f"{dashboard}, {widget['title']}", row[0], row[1], {row[2]: row[3]}
                    )


def _metrics_of(properties: Properties) -> list[Properties]:
    queries = properties.get("Metrics", [])
    measured = [query["MetricStat"]["Metric"] for query in queries if "MetricStat" in query]
    return measured or [properties]


def widgets(template: Template, dashboard: str) -> list[dict[str, Any]]:
    body = template["Resources"][dashboard]["Properties"]["DashboardBody"]["Fn::Sub"]
    return [widget["properties"] for widget in json.loads(body)["widgets"]]


def what_is_watched_is_written(template: Template) -> Iterator[str]:
    services, named = written(template), functions(template) | resources(template, "Queue")
    for by, namespace, name, dimensions in watched(template):
        if namespace == NAMESPACE:
            if name not in services.get(dimensions.get("service"), ()) or len(dimensions) != 1:
                yield f"{by} watches {name} of {dimensions}, which nobody writes"
        else:
            dimension = AWS_METRICS.get((namespace, name), "")
            value = dimensions.get(dimension)
            of = value.strip("${}") if isinstance(value, str) else next(references(value), "")
            if of not in named or len(dimensions) != 1:
                yield f"{by} watches {namespace} {name} of {dimensions}, which AWS does not write"


def a_dashboard_shows_its_own_region(template: Template) -> Iterator[str]:
    for dashboard in resources(template, "Dashboard"):
        for widget in widgets(template, dashboard):
            if widget["region"] != "${AWS::Region}":
                yield f"{dashboard}, {widget['title']}: another region's numbers"


def what_is_written_is_written_by_stack(template: Template) -> Iterator[str]:
    for function, properties in functions(template).items():
        variables = environment(properties)
        if variables.get("POWERTOOLS_METRICS_NAMESPACE") != {"Fn::Sub": NAMESPACE}:
            yield f"{function} writes its metrics where another stack writes its own"
        if "POWERTOOLS_SERVICE_NAME" not in variables:
            yield f"{function} writes its metrics under the name of no service"


def everything_that_goes_wrong_is_watched(template: Template) -> Iterator[str]:
    """What a retry mends is no failure: of an asynchronous function, its last failure is."""
    alarms = [it for it in watched(template) if it.by in resources(template, "Alarm")]
    for function, properties in functions(template).items():
        of = {"FunctionName": {"Ref": function}}
        failing = any(it.name == "Errors" and it.dimensions == of for it in alarms)
        if failing == ("EventInvokeConfig" in properties):
            yield f"{function} fails, and no alarm rings, or one at each attempt"
    for queue in resources(template, "Queue"):
        if not any(queue in references(it.dimensions) for it in alarms):
            yield f"what failed lies in {queue}, and no alarm rings"
    due = {"CacheErrors", "CacheForged", "CacheHits", "CircuitOpen", "FlushSucceeded"}
    due |= {"ModelErrors", "ModelMisconfigured", "DocumentAge", "ApproximateAgeOfOldestMessage"}
    yield from (f"no alarm watches {name}" for name in sorted(due - {it.name for it in alarms}))


def an_alarm_tells_somebody(template: Template) -> Iterator[str]:
    topic = {"Fn::If": ["NoTopicGiven", {"Ref": "Alarms"}, {"Ref": "AlarmTopicArn"}]}
    for alarm, resource in resources(template, "Alarm").items():
        if resource["Properties"].get("AlarmActions") != [topic]:
            yield f"{alarm} rings where nobody hears it"
        if not resource["Properties"].get("AlarmDescription"):
            yield f"{alarm} does not say what has happened"
        if "AlarmName" in resource["Properties"]:
            yield f"{alarm} clashes with that of a second stack"


BY_EMAIL = {"TopicArn": {"Ref": "Alarms"}, "Protocol": "email", "Endpoint": {"Ref": "AlarmEmail"}}
MOST_FAILURES, AN_HOUR = 5, 3600
MOST = {"AskErrors": 1, "ModelMisconfigured": 1}  # else MOST_FAILURES
MOST |= dict.fromkeys(("DocumentsWait", "DocumentsRetried"), 4 * AN_HOUR)  # seconds


def an_alarm_rings_while_it_matters(template: Template) -> Iterator[str]:
    for alarm, resource in resources(template, "Alarm").items():
        properties = resource["Properties"]
        if properties.get("ActionsEnabled", True) is not True or "DatapointsToAlarm" in properties:
            yield f"{alarm} rings never, or for less than it says"
        if "Metrics" in properties:  # as the parameter's description has it
            told = properties["Threshold"], properties["EvaluationPeriods"]
            if told != ({"Ref": "HitRateAlarm"}, 3):
                yield f"{alarm} does not ring when it is told to"
        elif properties.get("Statistic") not in {"Sum", "Maximum"}:
            yield f"{alarm} does not count what goes wrong"
        elif alarm != "FlushMissed" and (
            properties["Threshold"] > MOST.get(alarm, MOST_FAILURES)
            or properties["Period"] * properties["EvaluationPeriods"] > AN_HOUR
        ):
            yield f"{alarm} rings late"
    for subscription, resource in resources(template, "SNS::Subscription").items():
        if resource["Properties"] != BY_EMAIL:
            yield f"{subscription} tells somebody else, or of something else"


def silence_is_read_for_what_it_is(template: Template) -> Iterator[str]:
    """Nothing written is well, unless what is watched for is that something is written."""
    for alarm, resource in resources(template, "Alarm").items():
        properties = resource["Properties"]
        absence = properties.get("MetricName") == "FlushSucceeded"
        expected = "breaching" if absence else "notBreaching"
        if properties.get("TreatMissingData") != expected:
            yield f"{alarm} takes silence for {properties.get('TreatMissingData')}"
        under = properties["ComparisonOperator"] == "LessThanThreshold"
        if under != (absence or "Metrics" in properties):
            yield f"{alarm} rings when all is well"


def a_missed_flush_is_one_of_a_schedule_that_runs(template: Template) -> Iterator[str]:
    condition = template["Conditions"].get("WatchesSchedule", {})
    parts = condition.get("Fn::And", [])
    if {"Fn::Equals": [{"Ref": "FlushState"}, "ENABLED"]} not in parts:
        yield "a schedule that is off is missed"
    if {"Fn::Not": [{"Fn::Equals": [{"Ref": "FlushMissedHours"}, 0]}]} not in parts:
        yield "a schedule that runs once is missed for ever"
    alarm = template["Resources"].get("FlushMissed", {"Properties": {}})
    periods = alarm["Properties"].get("EvaluationPeriods"), alarm["Properties"].get("Period")
    if alarm.get("Condition") != "WatchesSchedule" or periods != (
        {"Ref": "FlushMissedHours"},
        3600,
    ):
        yield "FlushMissed does not wait for as long as it is told"
    if template["Parameters"]["FlushMissedHours"].get("MaxValue", 999) > A_WEEK:
        yield "CloudWatch looks back for a week at most"


A_WEEK = 7 * 24  # hours


RATE = "IF(hits + misses >= 100, 100 * hits / (hits + misses), 100)"
MEASURED = {"hits": "CacheHits", "misses": "CacheMisses"}


def few_questions_are_no_drop_of_the_hit_rate(template: Template) -> Iterator[str]:
    for alarm, resource in resources(template, "Alarm").items():
        for query in resource["Properties"].get("Metrics", []):
            if query.get("Expression", RATE) != RATE:
                yield f"{alarm} rings at the first miss of the night"
            measured = query.get("MetricStat", {"Metric": {}})["Metric"].get("MetricName")
            if measured != MEASURED.get(query["Id"]):
                yield f"{alarm} takes {measured} for {query['Id']}"
            if "Expression" not in query and query.get("ReturnData") is not False:
                yield f"{alarm} has two values to compare"


def monitoring_is_switched_off_by_one_parameter(template: Template) -> Iterator[str]:
    kinds = ("CloudWatch::Alarm", "CloudWatch::Dashboard", "SNS::Topic", "SNS::Subscription")
    for kind in kinds:
        for name, resource in resources(template, kind).items():
            if not _needs(template, resource.get("Condition"), "Monitored"):
                yield f"{name} is made, and paid for, with Monitoring off"


def _needs(template: Template, condition: str | None, needed: str) -> bool:
    """Whether a condition is another one, or has it among all that it asks for."""
    if condition is None or condition == needed:
        return condition == needed
    parts = template["Conditions"][condition].get("Fn::And", [])
    return any(_needs(template, part.get("Condition"), needed) for part in parts)


RULES: tuple[Rule, ...] = (
    what_is_watched_is_written,
    a_dashboard_shows_its_own_region,
    what_is_written_is_written_by_stack,
    everything_that_goes_wrong_is_watched,
    an_alarm_tells_somebody,
    an_alarm_rings_while_it_matters,
    silence_is_read_for_what_it_is,
    a_missed_flush_is_one_of_a_schedule_that_runs,
    few_questions_are_no_drop_of_the_hit_rate,
    monitoring_is_switched_off_by_one_parameter,
)
