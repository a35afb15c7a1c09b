"""Rules of stored data: it is encrypted, private, sent over TLS, and kept for a defined time."""

from collections.abc import Iterator
from typing import Any

from tests.template.loader import Properties, references
from tests.template.permission_rules import granted
from tests.template.resolved_template import ABSENT, ResolvedTemplate
from tests.template.rule import broken_by

BUCKET = "Resources/Documents"
BUCKET_TLS = "Resources/DocumentsByTls"
QUEUE_POLICY = "Resources/S3MaySendDocumentMessages/Properties"
NOTIFICATION = f"{BUCKET}/Properties/NotificationConfiguration/QueueConfigurations/0"
PUBLIC = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")


@broken_by(
    (f"{BUCKET}/Properties/BucketEncryption", ABSENT),
    (f"{BUCKET}/Properties/OwnershipControls", ABSENT),
    (f"{BUCKET}/Properties/PublicAccessBlockConfiguration/IgnorePublicAcls", False),
)
def buckets_are_private_and_encrypted(template: ResolvedTemplate) -> Iterator[str]:
    for name, bucket in template.of_type("S3::Bucket").items():
        if bucket.get("PublicAccessBlockConfiguration") != dict.fromkeys(PUBLIC, True):
            yield f"{name} can be made public"
        if "BucketOwnerEnforced" not in str(bucket.get("OwnershipControls")):
            yield f"{name} can have objects of other owners"
        if "BucketEncryption" not in bucket:
            yield f"{name} does not set its encryption"


LIFECYCLE = f"{BUCKET}/Properties/LifecycleConfiguration/Rules"


@broken_by(
    (f"{BUCKET}/DeletionPolicy", "Delete"),
    (f"{BUCKET}/UpdateReplacePolicy", ABSENT),
    (f"{BUCKET}/Properties/VersioningConfiguration", ABSENT),
    (f"{LIFECYCLE}/0/ExpirationInDays", 30),
    (f"{LIFECYCLE}/1", {"NoncurrentVersionExpiration": {"NoncurrentDays": 30}}),
    ("Conditions/ExpiresVersions", {"Fn::Equals": ["on", "off"]}),
)
def only_old_versions_of_documents_expire(template: ResolvedTemplate) -> Iterator[str]:
    chosen = template.choices.get("DocumentVersionDays")
    for name, bucket in template.of_type("S3::Bucket").items():
        resource = template.resources[name]
        kept = [resource.get("DeletionPolicy"), resource.get("UpdateReplacePolicy")]
        if kept != ["RetainExceptOnCreate", "Retain"]:
            yield f"{name} is deleted with the stack"
        if bucket.get("VersioningConfiguration") != {"Status": "Enabled"}:
            yield f"{name} keeps no versions"
        rules = bucket["LifecycleConfiguration"]["Rules"]
        if any({"ExpirationInDays", "Expiration", "ExpirationDate"} & set(it) for it in rules):
            yield f"{name} deletes current documents"
        days = [it.get("NoncurrentVersionExpiration", {}).get("NoncurrentDays") for it in rules]
        if [it for it in days if it] != ([int(chosen)] if chosen else []):
            yield f"{name} deletes old versions before or after the chosen time"


@broken_by(
    ("Resources/FlushFailures/Properties/MessageRetentionPeriod", 86_400),
    ("Resources/DocumentFailures/Properties/SqsManagedSseEnabled", False),
)
def queues_are_encrypted_and_keep_messages_for_a_week(template: ResolvedTemplate) -> Iterator[str]:
    for name, queue in template.of_type("Queue").items():
        if queue.get("MessageRetentionPeriod", 0) < 7 * 86_400:
            yield f"{name} drops a failed message within a week"
        if queue.get("SqsManagedSseEnabled") is not True:
            yield f"{name} is not encrypted"


@broken_by(
    ("Globals/Function/LoggingConfig/LogFormat", "Text"),
    ("Resources/FlushCacheFunction/Properties/LoggingConfig", ABSENT),
    ("Resources/AskLogs/Properties/RetentionInDays", ABSENT),
    ("Resources/AskLogs/Properties/RetentionInDays", 731),
)
def logs_are_json_and_kept_for_the_chosen_time(template: ResolvedTemplate) -> Iterator[str]:
    for name, function in template.functions.items():
        group = next(references(function["LoggingConfig"].get("LogGroup")), "")
        kept = template.of_type("LogGroup").get(group, {}).get("RetentionInDays")
        if kept != int(template.values["LogRetentionDays"]):
            yield f"{name} logs to a group that keeps logs for another time"
        if function["LoggingConfig"]["LogFormat"] != "JSON":
            yield f"{name} does not log JSON"


WITHOUT_TLS: dict[str, Any] = {
    "Effect": "Deny",
    "Principal": "*",
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}


@broken_by(
    (BUCKET_TLS, ABSENT),
    (f"{BUCKET_TLS}/Properties/PolicyDocument/Statement/0/Resource/1", ABSENT),
    (f"{QUEUE_POLICY}/PolicyDocument/Statement/0", ABSENT),
    *((f"{QUEUE_POLICY}/Queues/{number}", ABSENT) for number in range(3)),
)
def buckets_and_queues_refuse_requests_without_tls(template: ResolvedTemplate) -> Iterator[str]:
    for name in template.of_type("S3::Bucket"):
        arns = [{"Fn::GetAtt": [name, "Arn"]}, {"Fn::Sub": f"${{{name}.Arn}}/*"}]
        denied = {**WITHOUT_TLS, "Action": "s3:*", "Resource": arns}
        if denied not in _policy_of(template, "BucketPolicy", name):
            yield f"{name} accepts requests without TLS"
    for name in template.of_type("Queue"):
        denied = {**WITHOUT_TLS, "Action": "sqs:*", "Resource": "*"}
        if denied not in _policy_of(template, "QueuePolicy", name):
            yield f"{name} accepts requests without TLS"


def _policy_of(template: ResolvedTemplate, kind: str, name: str) -> list[Properties]:
    """Return the statements of the policy of a bucket or a queue."""
    return [
        statement
        for policy in template.of_type(kind).values()
        if name in references([policy.get("Bucket"), policy.get("Queues")])
        for statement in policy["PolicyDocument"]["Statement"]
    ]


@broken_by(
    (f"{NOTIFICATION}/Filter", ABSENT),
    (f"{NOTIFICATION}/Filter/S3Key/Rules/0/Value", "summaries/"),
    (f"{BUCKET}/DependsOn", ABSENT),
)
def uploads_send_messages_and_summaries_do_not(template: ResolvedTemplate) -> Iterator[str]:
    """A summary that sends a message would be summarized, and so on without end."""
    permissions = [it for name in template.functions for it in granted(template, name)]
    written_objects = [it.removesuffix("*") for act, it in permissions if act == "s3:PutObject"]
    for bucket, properties in template.of_type("S3::Bucket").items():
        # S3 creates a bucket only if it may send its notifications.
        if template.resources[bucket].get("DependsOn") not in template.of_type("QueuePolicy"):
            yield f"{bucket} is created before the policy that lets it send messages"
        for notification in properties["NotificationConfiguration"]["QueueConfigurations"]:
            rules = notification.get("Filter", {}).get("S3Key", {}).get("Rules", [{"Value": ""}])
            uploads = f"${{{bucket}.Arn}}/{rules[0]['Value']}"
            for written in written_objects:
                if written.startswith(uploads) or uploads.startswith(written):
                    yield f"{written} is written, and sends a message"
