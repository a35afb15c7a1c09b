"""For each rule of what rings, templates to which it objects."""

from typing import Any

from tests.template import monitoring
from tests.template.breaking import (
    ABSENT,
    ASK,
    FLUSH,
    SHARED,
    TEMPLATE,
    Breach,
)
from tests.template.loader import resources

HITS = "Resources/HitRate/Properties/Metrics"


def dashboard(was: str, becomes: str) -> Any:
    """The dashboard's body with another word in it."""
    body = TEMPLATE["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    assert was in body
    return {"Fn::Sub": body.replace(was, becomes)}


BODY = "Resources/Dashboard/Properties/DashboardBody"
BREACHES: list[Breach] = [
    (
        monitoring.what_is_watched_is_written,
        "Resources/CacheErrors/Properties/MetricName",
        "CacheFailures",
    ),
    (
        monitoring.what_is_watched_is_written,
        "Resources/CacheErrors/Properties/Namespace",
        "LlmCache",
    ),
    (
        monitoring.what_is_watched_is_written,
        "Resources/BreakerOpen/Properties/Dimensions/0/Value",
        "flush-cache",
    ),
    (monitoring.what_is_watched_is_written, "Resources/BreakerOpen/Properties/Dimensions", []),
    (monitoring.what_is_watched_is_written, f"{HITS}/1/MetricStat/Metric/MetricName", "Hits"),
    (
        monitoring.what_is_watched_is_written,
        "Resources/AskErrors/Properties/Dimensions/0/Value",
        "ask",
    ),
    (monitoring.what_is_watched_is_written, "Resources/AskErrors/Properties/MetricName", "Faults"),
    (
        monitoring.what_is_watched_is_written,
        f"{ASK}/Environment/Variables/POWERTOOLS_SERVICE_NAME",
        "asking",
    ),
    (monitoring.what_is_watched_is_written, BODY, dashboard("HitMilliseconds", "HitSeconds")),
    (monitoring.what_is_watched_is_written, BODY, dashboard('"service"', '"Service"')),
    (monitoring.what_is_watched_is_written, BODY, dashboard("${AskFunction}", "${Asking}")),
    (
        monitoring.what_is_written_is_written_by_stack,
        f"{SHARED}/Environment/Variables/POWERTOOLS_METRICS_NAMESPACE",
        "LlmCache",
    ),
    (
        monitoring.what_is_written_is_written_by_stack,
        f"{FLUSH}/Environment/Variables/POWERTOOLS_SERVICE_NAME",
        ABSENT,
    ),
    *(
        (monitoring.everything_that_goes_wrong_is_watched, f"Resources/{alarm}", ABSENT)
        for alarm in resources(TEMPLATE, "Alarm")
    ),
    (monitoring.an_alarm_tells_somebody, "Resources/AskErrors/Properties/AlarmActions", []),
    (
        monitoring.an_alarm_tells_somebody,
        "Resources/Forgery/Properties/AlarmDescription",
        ABSENT,
    ),
    (monitoring.an_alarm_tells_somebody, "Resources/AskErrors/Properties/AlarmName", "errors"),
    (
        monitoring.silence_is_read_for_what_it_is,
        "Resources/FlushMissed/Properties/TreatMissingData",
        "notBreaching",
    ),
    (
        monitoring.silence_is_read_for_what_it_is,
        "Resources/AskErrors/Properties/TreatMissingData",
        ABSENT,
    ),
    (
        monitoring.silence_is_read_for_what_it_is,
        "Resources/AskErrors/Properties/ComparisonOperator",
        "LessThanThreshold",
    ),
    (
        monitoring.a_missed_flush_is_one_of_a_schedule_that_runs,
        "Resources/FlushMissed/Condition",
        "Monitored",
    ),
    (
        monitoring.a_missed_flush_is_one_of_a_schedule_that_runs,
        "Conditions/WatchesSchedule/Fn::And/1",
        ABSENT,
    ),
    (
        monitoring.a_missed_flush_is_one_of_a_schedule_that_runs,
        "Conditions/WatchesSchedule/Fn::And/2",
        ABSENT,
    ),
    (
        monitoring.a_missed_flush_is_one_of_a_schedule_that_runs,
        "Resources/FlushMissed/Properties/EvaluationPeriods",
        24,
    ),
    (
        monitoring.a_missed_flush_is_one_of_a_schedule_that_runs,
        "Parameters/FlushMissedHours/MaxValue",
        ABSENT,
    ),
    (
        monitoring.few_questions_are_no_drop_of_the_hit_rate,
        f"{HITS}/0/Expression",
        "100 * hits / (hits + misses)",
    ),
    (monitoring.few_questions_are_no_drop_of_the_hit_rate, f"{HITS}/2/ReturnData", ABSENT),
    (monitoring.few_questions_are_no_drop_of_the_hit_rate, f"{HITS}/1/Id", "misses"),
    (
        monitoring.everything_that_goes_wrong_is_watched,
        f"{FLUSH}/EventInvokeConfig",
        ABSENT,
    ),
    (monitoring.a_dashboard_shows_its_own_region, BODY, dashboard("${AWS::Region}", "eu-west-1")),
    (
        monitoring.monitoring_is_switched_off_by_one_parameter,
        "Resources/Dashboard/Condition",
        ABSENT,
    ),
    (
        monitoring.monitoring_is_switched_off_by_one_parameter,
        "Resources/Forgery/Condition",
        "Signs",
    ),
    (
        monitoring.monitoring_is_switched_off_by_one_parameter,
        "Conditions/WatchesHitRate/Fn::And/0",
        ABSENT,
    ),
    *(
        (monitoring.an_alarm_rings_while_it_matters, f"Resources/{place}", value)
        for place, value in (
            ("AskErrors/Properties/ActionsEnabled", False),
            ("AskErrors/Properties/Threshold", 1000),
            ("DocumentsWait/Properties/Threshold", 86_400),
            ("AskErrors/Properties/Period", 86_400),
            ("SummarizeErrors/Properties/EvaluationPeriods", 100),
            ("ModelMisconfigured/Properties/Threshold", 2),
            ("ModelErrors/Properties/EvaluationPeriods", 13),
            ("DocumentsRetried/Properties/Threshold", 86_400),
            ("CacheErrors/Properties/Statistic", "Average"),
            ("FlushMissed/Properties/DatapointsToAlarm", 1),
            ("HitRate/Properties/Threshold", 0),
            ("HitRate/Properties/EvaluationPeriods", 1),
            ("AlarmsByEmail/Properties/Protocol", "http"),
            ("AlarmsByEmail/Properties/TopicArn", {"Ref": "AlarmTopicArn"}),
            ("AlarmsByEmail/Properties/Endpoint", "a@example.com"),
        )
    ),
]
