"""What must hold of a queue that a function works off, and of the bucket that fills it."""

from collections.abc import Iterator
from typing import Any

from tests.template.loader import (
    Properties,
    Template,
    environment,
    functions,
    references,
    resources,
)
from tests.template.rules import Rule, actions, statements


def _mappings(template: Template) -> Iterator[tuple[str, Properties, str, str]]:
    """Each event source mapping, with the function that it invokes and the queue it reads."""
    for name, resource in resources(template, "EventSourceMapping").items():
        properties = resource["Properties"]
        function = str(properties.get("FunctionName", {}).get("Ref")).removesuffix(".Alias")
        yield name, properties, function, next(references(properties.get("EventSourceArn")), "")


def _queue(template: Template, name: str) -> Properties:
    properties: Properties = resources(template, "SQS::Queue").get(name, {}).get("Properties", {})
    return properties


# https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html#events-sqs-queueconfig
def a_message_does_not_come_again_while_it_is_worked_on(template: Template) -> Iterator[str]:
    for name, _, function, queue in _mappings(template):
        timeout = functions(template).get(function, {}).get("Timeout", 900)
        if _queue(template, queue).get("VisibilityTimeout", 30) < 6 * timeout:
            yield f"{name}: a message of {queue} comes again while {function} works on it"


def a_message_that_always_fails_is_kept_aside(template: Template) -> Iterator[str]:
    for name, _, _, queue in _mappings(template):
        redrive = _queue(template, queue).get("RedrivePolicy", {})
        aside = next(references(redrive.get("deadLetterTargetArn")), "")
        if not _queue(template, aside) or aside == queue:
            yield f"{name}: what always fails goes round in {queue} until it is forgotten"
        # One more than the function's ATTEMPTS: it then sends the dead letter, with a reason.
        if not 6 <= redrive.get("maxReceiveCount", 0) <= 10:
            yield f"{name}: what fails is given up on too soon, or too late"
        kept = [_queue(template, one).get("MessageRetentionPeriod", 0) for one in (queue, aside)]
        if kept[0] >= kept[1]:  # the age is counted from when the message was first sent
            yield f"{name}: {aside} forgets a message when it has just got it"


def one_message_s_failure_is_no_other_s(template: Template) -> Iterator[str]:
    for name, properties, _, _ in _mappings(template):
        if properties.get("FunctionResponseTypes") != ["ReportBatchItemFailures"]:
            yield f"{name}: a message that is not done is deleted"
        if properties.get("BatchSize") != 1:
            yield f"{name}: a large document takes the time of others"


def a_flood_of_messages_leaves_room_for_others(template: Template) -> Iterator[str]:
    for name, properties, _, _ in _mappings(template):
        most = properties.get("ScalingConfig", {}).get("MaximumConcurrency", {}).get("Ref")
        parameter = template["Parameters"].get(most, {})
        if (parameter.get("MinValue"), parameter.get("MaxValue")) != (2, 1000):
            yield f"{name}: takes all the account's environments, or SQS refuses the number"


def a_queue_is_used_by_whom_it_is_for(template: Template) -> Iterator[str]:
    for name, properties, function, queue in _mappings(template):
        if properties.get("FunctionName") != {"Ref": f"{function}.Alias"}:
            yield f"{name} invokes what is not the alias"
        redrive = _queue(template, queue).get("RedrivePolicy", {})
        aside = next(references(redrive.get("deadLetterTargetArn")), "")
        arns = [{"Fn::GetAtt": [one, "Arn"]} for one in (queue, aside)]
        own = functions(template).get(function, {})
        allowed = {
            actions(statement)[0] == "sqs:SendMessage": statement.get("Resource")
            for statement in statements(template, own)
            if any(action.startswith("sqs:") for action in actions(statement))
        }
        if allowed != {False: arns[0], True: arns}:
            yield f"{function} may use another queue than {queue} and {aside}, or not those"
        told = [environment(own).get(one) for one in ("DOCUMENT_MESSAGES", "DOCUMENT_FAILURES")]
        if told != [{"Ref": queue}, {"Ref": aside}]:
            yield f"{function} sends to another queue than it may"
    for function, properties in functions(template).items():
        for event in properties.get("Events", {}).values():
            if event["Type"] == "SQS":
                yield f"{function}: SAM allows it every queue of the account"


PUBLIC = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")


def a_bucket_is_private_and_outlives_the_stack(template: Template) -> Iterator[str]:
    for bucket, resource in resources(template, "S3::Bucket").items():
        properties = resource["Properties"]
        kept = (resource.get("DeletionPolicy"), resource.get("UpdateReplacePolicy"))
        if kept != ("RetainExceptOnCreate", "Retain"):
            yield f"{bucket} is deleted with the stack, and the documents in it"
        if properties.get("VersioningConfiguration") != {"Status": "Enabled"}:
            yield f"{bucket} keeps no versions"
        if "BucketEncryption" not in properties:
            yield f"{bucket} does not say how it is encrypted"
        if properties.get("PublicAccessBlockConfiguration") != dict.fromkeys(PUBLIC, True):
            yield f"{bucket} may be made public"
        if properties.get("OwnershipControls") != {
            "Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]
        }:
            yield f"{bucket} holds objects of others"
        if "BucketName" in properties:
            yield f"{bucket} clashes with that of a second stack"
        rules = properties.get("LifecycleConfiguration", {}).get("Rules", [])
        if [rule for rule in rules if "AbortIncompleteMultipartUpload" not in rule] != [OLD]:
            yield f"{bucket} deletes documents unasked, or keeps old versions for ever"


OLD = {
    "Fn::If": [
        "ExpiresVersions",
        {
            "Id": "old-versions",
            "Status": "Enabled",
            "NoncurrentVersionExpiration": {"NoncurrentDays": {"Ref": "DocumentVersionDays"}},
            "ExpiredObjectDeleteMarker": True,
        },
        {"Ref": "AWS::NoValue"},
    ]
}


def nothing_goes_in_clear(template: Template) -> Iterator[str]:
    for bucket in resources(template, "S3::Bucket"):
        arns = [{"Fn::GetAtt": [bucket, "Arn"]}, {"Fn::Sub": f"${{{bucket}.Arn}}/*"}]
        denied = {"Action": "s3:*", "Resource": arns, **IN_CLEAR}
        if denied not in _policy(template, "BucketPolicy", bucket):
            yield f"{bucket} is read and written without TLS"
    for queue in resources(template, "SQS::Queue"):
        denied = {"Action": "sqs:*", "Resource": "*", **IN_CLEAR}
        if denied not in _policy(template, "QueuePolicy", queue):
            yield f"{queue} is read and written without TLS"


IN_CLEAR: dict[str, Any] = {
    "Effect": "Deny",
    "Principal": "*",
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}


def _policy(template: Template, kind: str, of: str) -> list[dict[str, Any]]:
    """The statements of the policy of a bucket or of a queue."""
    found = [
        it["Properties"]["PolicyDocument"]["Statement"]
        for it in resources(template, kind).values()
        if of in references([it["Properties"].get("Bucket"), it["Properties"].get("Queues")])
    ]
    return [statement for one in found for statement in one]


BY_BUCKETS: dict[str, Any] = {
    "Effect": "Allow",
    "Principal": {"Service": "s3.amazonaws.com"},
    "Action": "sqs:SendMessage",
    "Condition": {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}},
}
BY_TOPICS_AND_RULES: dict[str, Any] = {
    "Effect": "Allow",
    "Principal": {"Service": ["sns.amazonaws.com", "events.amazonaws.com"]},
    "Action": "sqs:SendMessage",
    "Condition": {
        "ArnLike": {"aws:SourceArn": {"Fn::Sub": "arn:${AWS::Partition}:*:*:${AWS::AccountId}:*"}}
    },
}


def a_policy_lets_this_account_s_services_send_and_nobody_else(
    template: Template,
) -> Iterator[str]:
    read = [{"Fn::GetAtt": [queue, "Arn"]} for *_, queue in _mappings(template)]
    found = resources(template, "BucketPolicy") | resources(template, "QueuePolicy")
    for policy, resource in found.items():
        for statement in resource["Properties"]["PolicyDocument"]["Statement"]:
            allows = {key: it for key, it in statement.items() if key != "Resource"}
            if statement["Effect"] != "Deny" and (
                allows not in (BY_BUCKETS, BY_TOPICS_AND_RULES)
                or statement.get("Resource") not in read
            ):
                yield f"{policy} allows {statement.get('Action')} to {statement.get('Principal')}"


def an_upload_is_told_to_the_queue(template: Template) -> Iterator[str]:
    for bucket, resource in resources(template, "S3::Bucket").items():
        for told in _told(resource):
            queue = next(references(told["Queue"]), "")
            arn = {"Fn::GetAtt": [queue, "Arn"]}
            if {**BY_BUCKETS, "Resource": arn} not in _policy(template, "QueuePolicy", queue):
                yield f"{queue} does not take what {bucket} tells"
            before = resources(template, "QueuePolicy").get(resource.get("DependsOn", ""), {})
            if queue not in references(before.get("Properties", {}).get("Queues")):
                yield f"{bucket} is made before it may send, which S3 refuses"


def a_summary_is_not_told_to_the_queue(template: Template) -> Iterator[str]:
    """A function that writes where its queue is told of would go on for ever."""
    for bucket, resource in resources(template, "S3::Bucket").items():
        watched = [_prefix(told) for told in _told(resource)]
        for function, properties in functions(template).items():
            for statement in statements(template, properties):
                under = _under(statement.get("Resource"), bucket)
                if "s3:PutObject" in actions(statement) and any(
                    under.startswith(prefix) or prefix.startswith(under) for prefix in watched
                ):
                    yield f"{function} writes {under}, and is told of what it has written"


def _under(resource: Any, bucket: str) -> str:
    """The prefix of a bucket's objects that a statement is about; empty for none and for all."""
    named = str(resource.get("Fn::Sub")) if isinstance(resource, dict) else ""
    _, _, prefix = named.partition(f"${{{bucket}.Arn}}/")
    return prefix.removesuffix("*")


def _told(bucket: Properties) -> list[Properties]:
    config = bucket["Properties"].get("NotificationConfiguration", {})
    told: list[Properties] = config.get("QueueConfigurations", [])
    return told


def _prefix(told: Properties) -> str:
    rules = told.get("Filter", {}).get("S3Key", {}).get("Rules", [])
    return "".join(rule["Value"] for rule in rules if rule["Name"] == "prefix")


RULES: tuple[Rule, ...] = (
    a_message_does_not_come_again_while_it_is_worked_on,
    a_message_that_always_fails_is_kept_aside,
    one_message_s_failure_is_no_other_s,
    a_flood_of_messages_leaves_room_for_others,
    a_queue_is_used_by_whom_it_is_for,
    a_bucket_is_private_and_outlives_the_stack,
    nothing_goes_in_clear,
    a_policy_lets_this_account_s_services_send_and_nobody_else,
    an_upload_is_told_to_the_queue,
    a_summary_is_not_told_to_the_queue,
)
