"""Request summaries from the deployed stack, by uploads and by messages."""

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from local_cloud.stack.emulated_stack import EmulatedStack
from upstash_endpoint.children import wait_until

SAMPLE_DOCUMENT = """\
The harvest of the valley was good this year. The apples were picked in September, the grapes in
October, and the barns are full.

The winter will be long, say the old. The council has decided to buy more wood, and to repair the
bridge before the first snow."""
SUMMARY_SECONDS = 120  # a cold start on a busy machine, and a real model


@dataclass(frozen=True, slots=True)
class SummaryClient:
    """The stack's bucket of documents, its queue of messages, and its dead-letter queue."""

    stack: EmulatedStack

    @property
    def bucket(self) -> str:
        """The name of the bucket of documents."""
        return self.stack.outputs["DocumentsBucket"]

    def upload(self, name: str, text: str) -> str:
        """Upload a document, for which S3 notifies the queue; return its version."""
        put = self.stack.aws.client("s3").put_object(
            Bucket=self.bucket, Key=f"documents/{name}", Body=text.encode()
        )
        return str(put["VersionId"])

    def send(self, body: object) -> None:
        """Send a message to the queue."""
        text = body if isinstance(body, str) else json.dumps(body)
        queue = self.stack.outputs["DocumentMessagesUrl"]
        self.stack.aws.client("sqs").send_message(QueueUrl=queue, MessageBody=text)

    def read(self, name: str) -> dict[str, Any]:
        """Return the summary file of a document, or an empty dict if there is none."""
        client = self.stack.aws.client("s3")
        try:
            found = client.get_object(Bucket=self.bucket, Key=f"summaries/documents/{name}.json")
        except client.exceptions.NoSuchKey:
            return {}
        summary: dict[str, Any] = json.loads(found["Body"].read())
        return summary

    def wait_for(
        self, name: str, version: str, *, seconds: float = SUMMARY_SECONDS
    ) -> dict[str, Any]:
        """Wait for the summary of a document's version, and return the summary file."""

        def written() -> bool:
            return bool(self.read(name).get("source", {}).get("version_id") == version)

        self._wait(written, f"the summary of {name}", seconds)
        return self.read(name)

    def upload_and_wait(self, name: str, text: str) -> dict[str, Any]:
        """Upload a document, wait for its summary, and return the summary file."""
        return self.wait_for(name, self.upload(name, text))

    def wait_for_dead_letters(self) -> list[str]:
        """Wait for dead letters, remove them from their queue, and return their bodies."""
        found: list[str] = []

        def received() -> bool:
            found.extend(self.dead_letters())
            return bool(found)

        self._wait(received, "a dead letter")
        return found

    def dead_letters(self) -> list[str]:
        """Remove the present dead letters from their queue, and return their bodies."""
        client, queue = self.stack.aws.client("sqs"), self.stack.outputs["DocumentFailuresUrl"]
        found = client.receive_message(QueueUrl=queue).get("Messages", [])
        for message in found:
            client.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return [message["Body"] for message in found]

    @contextlib.contextmanager
    def visibility_timeout(self, seconds: int) -> Iterator[None]:
        """Retry failed messages after so many seconds, not after half an hour."""
        client, queue = self.stack.aws.client("sqs"), self.stack.outputs["DocumentMessagesUrl"]
        name = "VisibilityTimeout"
        before = client.get_queue_attributes(QueueUrl=queue, AttributeNames=[name])["Attributes"]
        client.set_queue_attributes(QueueUrl=queue, Attributes={name: str(seconds)})
        try:
            yield
        finally:
            client.set_queue_attributes(QueueUrl=queue, Attributes={name: before[name]})

    def _wait(self, probe: Callable[[], bool], what: str, seconds: float = SUMMARY_SECONDS) -> None:
        wait_until(probe, seconds=seconds, what=what, child=self.stack.aws.child)
