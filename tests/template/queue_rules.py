"""Rules of queues: no message is lost, processed by the wrong function, or sent by a stranger."""

from collections.abc import Iterator
from typing import Any

from tests.template.loader import Properties, environment, references
from tests.template.permission_rules import added, granted
from tests.template.resolved_template import ABSENT, PSEUDO, ResolvedTemplate
from tests.template.rule import broken_by

FLUSH = "Resources/FlushCacheFunction/Properties"
SCHEDULE = f"{FLUSH}/Events/Scheduled/Properties"
MESSAGES = "Resources/DocumentMessages/Properties"
MAPPING = "Resources/DocumentMessagesToSummarize/Properties"
POLICY = "Resources/S3MaySendDocumentMessages/Properties/PolicyDocument/Statement"
SUMMARIZE = "Resources/SummarizeFunction/Properties"
STATEMENTS = f"{SUMMARIZE}/Policies/2/Statement"
PARTITION, ACCOUNT = PSEUDO["AWS::Partition"], PSEUDO["AWS::AccountId"]


def consumers(template: ResolvedTemplate) -> Iterator[tuple[Properties, str, str, str]]:
    """Yield each event source mapping, its function, its queue and its dead-letter queue."""
    for mapping in template.of_type("EventSourceMapping").values():
        function = next(references(mapping["FunctionName"])).removesuffix(".Alias")
        queue = next(references(mapping["EventSourceArn"]))
        redrive = template.of_type("Queue")[queue].get("RedrivePolicy", {})
        dead_letters = next(references(redrive.get("deadLetterTargetArn")), "")
        yield mapping, function, queue, dead_letters


MOST_RETRIES, MOST_SECONDS = 5, 3600  # AWS defaults: a schedule retries 185 times in a day


def _loses_events(template: ResolvedTemplate, retries: Properties, queue: Any) -> bool:
    return not (
        1 <= retries.get("MaximumRetryAttempts", MOST_RETRIES + 1) <= MOST_RETRIES
        and retries.get("MaximumEventAgeInSeconds", MOST_SECONDS + 1) <= MOST_SECONDS
        and set(references(queue)) & set(template.of_type("Queue"))
    )


@broken_by(
    (f"{SCHEDULE}/RetryPolicy/MaximumRetryAttempts", 185),
    (f"{SCHEDULE}/RetryPolicy/MaximumRetryAttempts", 0),
    (f"{SCHEDULE}/RetryPolicy/MaximumEventAgeInSeconds", 86_400),
    (f"{SCHEDULE}/DeadLetterConfig", ABSENT),
    (f"{SCHEDULE}/DeadLetterConfig/Arn/Fn::GetAtt/0", "AskLogs"),
    (f"{FLUSH}/EventInvokeConfig/MaximumRetryAttempts", 0),
    (f"{FLUSH}/EventInvokeConfig/MaximumEventAgeInSeconds", ABSENT),
    (f"{FLUSH}/EventInvokeConfig/DestinationConfig/OnFailure", ABSENT),
)
def failed_flushes_are_retried_and_then_queued(template: ResolvedTemplate) -> Iterator[str]:
    for name, function in template.functions.items():
        for event in function.get("Events", {}).values():
            schedule, config = event["Properties"], function.get("EventInvokeConfig", {})
            retries = schedule.get("RetryPolicy", {})
            if _loses_events(template, retries, schedule.get("DeadLetterConfig")):
                yield f"{name}: the scheduler drops an event that it cannot deliver"
            if _loses_events(template, config, config.get("DestinationConfig")):
                yield f"{name}: Lambda drops the event of a failed invocation"


@broken_by(
    (f"{MESSAGES}/RedrivePolicy", ABSENT),
    (f"{MESSAGES}/RedrivePolicy/deadLetterTargetArn", {"Fn::GetAtt": ["DocumentMessages", "Arn"]}),
    (f"{MESSAGES}/RedrivePolicy/maxReceiveCount", 5),
    (f"{MESSAGES}/MessageRetentionPeriod", 1_209_600),
)
def messages_that_fail_go_to_the_dead_letter_queue(template: ResolvedTemplate) -> Iterator[str]:
    queues = template.of_type("Queue")
    for _, _, queue, dead_letters in consumers(template):
        if dead_letters in {"", queue}:
            yield f"{queue} has no dead-letter queue"
            continue
        # The function sends the dead letter itself, with a reason, after five attempts.
        if not 6 <= queues[queue]["RedrivePolicy"]["maxReceiveCount"] <= 10:
            yield f"{queue} gives up too early or too late"
        # SQS counts the age of a dead letter from its first send.
        kept, kept_dead = (queues[it]["MessageRetentionPeriod"] for it in (queue, dead_letters))
        if kept >= kept_dead:
            yield f"{dead_letters} drops a message that it has just received"


@broken_by(
    (f"{MESSAGES}/VisibilityTimeout", ABSENT),
    (f"{SUMMARIZE}/Timeout", 301),
    (f"{MAPPING}/FunctionResponseTypes", ABSENT),
    (f"{MAPPING}/BatchSize", 5),
    (f"{MAPPING}/ScalingConfig", ABSENT),
)
def each_message_is_processed_by_itself(template: ResolvedTemplate) -> Iterator[str]:
    for mapping, function, queue, _ in consumers(template):
        # docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
        hidden = template.of_type("Queue")[queue].get("VisibilityTimeout", 30)
        if hidden < 6 * template.functions[function]["Timeout"]:
            yield f"{queue} delivers a message again while {function} processes it"
        if mapping.get("FunctionResponseTypes") != ["ReportBatchItemFailures"]:
            yield f"{queue} deletes a message that failed"
        if mapping.get("BatchSize") != 1:
            yield f"{queue} delivers messages that share the timeout of {function}"
        if not mapping.get("ScalingConfig", {}).get("MaximumConcurrency"):
            yield f"{function} can use the whole concurrency of the account"


@broken_by(
    (f"{STATEMENTS}/0/Resource", {"Fn::GetAtt": ["FlushFailures", "Arn"]}),
    (f"{STATEMENTS}/1/Resource/1", ABSENT),
    (f"{SUMMARIZE}/Environment/Variables/DOCUMENT_FAILURES", {"Ref": "FlushFailures"}),
)
def functions_use_their_own_queues(template: ResolvedTemplate) -> Iterator[str]:
    for _, function, queue, dead_letters in consumers(template):
        used = {it for it in granted(template, function) if "Message" in it[0]}
        expected = {("sqs:SendMessage", f"${{{it}.Arn}}") for it in (queue, dead_letters)}
        expected |= {(f"sqs:{it}Message", f"${{{queue}.Arn}}") for it in ("Receive", "Delete")}
        variables = environment(template.functions[function])
        named = [variables["DOCUMENT_MESSAGES"], variables["DOCUMENT_FAILURES"]]
        if used != expected:
            yield f"{function} may use other queues than {queue} and {dead_letters}"
        if named != [{"Ref": queue}, {"Ref": dead_letters}]:
            yield f"{function} sends messages to other queues"


SENDERS: list[dict[str, Any]] = [
    {
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT}},
    },
    {
        "Effect": "Allow",
        "Principal": {"Service": ["sns.amazonaws.com", "events.amazonaws.com"]},
        "Action": "sqs:SendMessage",
        "Condition": {"ArnLike": {"aws:SourceArn": f"arn:{PARTITION}:*:*:{ACCOUNT}:*"}},
    },
]
OPEN = {"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "*"}]}


@broken_by(
    (f"{POLICY}/1", ABSENT),
    (f"{POLICY}/1/Condition", ABSENT),
    (f"{POLICY}/1/Principal", "*"),
    (f"{POLICY}/1/Action", "sqs:*"),
    (f"{POLICY}/1/Resource", "*"),
    (f"{POLICY}/2/Condition", ABSENT),
    ("Resources/DocumentsByTls/Properties/PolicyDocument/Statement/0/Effect", "Allow"),
    added("SQS::QueuePolicy", Queues=[{"Ref": "FlushFailures"}], PolicyDocument=OPEN),
)
def services_of_this_account_send_messages(template: ResolvedTemplate) -> Iterator[str]:
    policies = template.of_type("QueuePolicy") | template.of_type("BucketPolicy")
    allowed = [
        statement
        for policy in policies.values()
        for statement in policy["PolicyDocument"]["Statement"]
        if statement["Effect"] != "Deny"
    ]
    for _, _, queue, _ in consumers(template):
        arn = {"Fn::GetAtt": [queue, "Arn"]}
        if allowed != [{**sender, "Resource": arn} for sender in SENDERS]:
            yield f"others may send to {queue}, or to another queue"
