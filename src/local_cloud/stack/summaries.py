"""Have the deployed stack summarize documents, as its users do: by an upload, or by a message."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from upstash_endpoint.children import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local_cloud.stack.stack import Stack

REPORT = """\
The harvest of the valley was good this year. The apples were picked in September, the grapes in
October, and the barns are full.

The winter will be long, say the old. The council has decided to buy more wood, and to repair the
bridge before the first snow."""
SUMMARY_SECONDS = 120  # a cold start on a busy machine, and a real model


@dataclass(frozen=True, slots=True)
class Summaries:
    """The stack's documents, its queue of messages, and the queue of those that failed."""

    stack: Stack

    @property
    def bucket(self) -> str:
        """The bucket of documents."""
        return self.stack.outputs["DocumentsBucket"]

    def upload(self, name: str, text: str) -> str:
        """Upload a document, of which S3 tells the queue; return its version."""
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
        """Return what stands beside a document; nothing where there is no summary."""
        client = self.stack.aws.client("s3")
        try:
            found = client.get_object(Bucket=self.bucket, Key=f"summaries/documents/{name}.json")
        except client.exceptions.NoSuchKey:
            return {}
        told: dict[str, Any] = json.loads(found["Body"].read())
        return told

    def of(self, name: str, version: str, *, seconds: float = SUMMARY_SECONDS) -> dict[str, Any]:
        """Wait for the summary of a version of a document, and return what stands there."""

        def came() -> bool:
            return bool(self.read(name).get("source", {}).get("version_id") == version)

        self._wait(came, f"the summary of {name}", seconds)
        return self.read(name)

    def failed(self) -> list[str]:
        """Wait for dead letters, take them from their queue, and return their bodies."""
        found: list[str] = []

        def came() -> bool:
            found.extend(self.dead_letters())
            return bool(found)

        self._wait(came, "a dead letter")
        return found

    def dead_letters(self) -> list[str]:
        """Take the dead letters that are there from their queue, and return their bodies."""
        client, queue = self.stack.aws.client("sqs"), self.stack.outputs["DocumentFailuresUrl"]
        found = client.receive_message(QueueUrl=queue).get("Messages", [])
        for message in found:
            client.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return [message["Body"] for message in found]

    @contextlib.contextmanager
    def impatient(self, seconds: int = 1) -> Iterator[None]:
        """Have a message that failed come again so soon, and not after half an hour."""
        client, queue = self.stack.aws.client("sqs"), self.stack.outputs["DocumentMessagesUrl"]
        name = "VisibilityTimeout"
        told = client.get_queue_attributes(QueueUrl=queue, AttributeNames=[name])["Attributes"]
        client.set_queue_attributes(QueueUrl=queue, Attributes={name: str(seconds)})
        try:
            yield
        finally:
            client.set_queue_attributes(QueueUrl=queue, Attributes={name: told[name]})

    def _wait(self, came: Any, what: str, seconds: float = SUMMARY_SECONDS) -> None:
        wait_until(came, seconds=seconds, what=what, child=self.stack.aws.child)
