"""An upload of which S3 tells an SNS topic that the queue of documents subscribes to."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING

from tests.deploy.proof.proof import timed

from local_cloud.summaries import Summaries

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.deploy.proof.proof import Proof

    from local_cloud.stack import Stack

TEXT = "The bridge was opened by the mayor."


def by_topic(proof: Proof) -> None:
    """Upload a document while S3 sends its notifications through SNS."""
    summaries, before = Summaries(proof.cloud.stack), proof.cloud.model.calls
    with _through_sns(proof.cloud.stack, summaries.bucket), timed() as taken:
        written = summaries.of("topic.txt", summaries.upload("topic.txt", TEXT))
    calls = proof.cloud.model.calls - before
    proof.tell(
        "a document is uploaded: S3, SNS, SQS",
        f"its summary lies beside it, {calls} model calls",
        true=bool(written["summary"]) and calls == 1,
        expected="its summary, 1 model call",
        seconds=taken.seconds,
        instead=written,
    )


@contextlib.contextmanager
def _through_sns(stack: Stack, bucket: str) -> Iterator[None]:
    """Have S3 tell a topic, and no queue, of uploads; subscribe the queue as documented."""
    s3, sns = stack.aws.client("s3"), stack.aws.client("sns")
    direct = s3.get_bucket_notification_configuration(Bucket=bucket)
    direct.pop("ResponseMetadata")
    topic = sns.create_topic(Name="uploads")["TopicArn"]
    may_publish = {
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "sns:Publish",
        "Resource": topic,
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [may_publish]})
    sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=policy)
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=_arn(stack))
    told = [{"TopicArn": topic, "Events": ["s3:ObjectCreated:*"], "Filter": _filter(direct)}]
    _tell(stack, bucket, {"TopicConfigurations": told})
    try:
        yield
    finally:
        _tell(stack, bucket, direct)
        sns.delete_topic(TopicArn=topic)


def _filter(direct: dict[str, list[dict[str, object]]]) -> object:
    (configuration,) = direct["QueueConfigurations"]
    return configuration["Filter"]


def _tell(stack: Stack, bucket: str, configuration: object) -> None:
    stack.aws.client("s3").put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration=configuration
    )


def _arn(stack: Stack) -> str:
    queue = stack.outputs["DocumentMessagesUrl"]
    told = stack.aws.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
    return str(told["Attributes"]["QueueArn"])
