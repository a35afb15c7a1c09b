"""A bucket with documents, and messages that name them, for `summarize`."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import boto3
import pytest
from moto import mock_aws
from tests.functions.bedrock import Bedrock
from tests.functions.events import Context
from upstash_redis import Redis

import queues
import s3_client
import summarize
import summary
import summary_ttl
from bedrock import model
from local_cloud.stack import lambda_events

BUCKET = "documents-of-one-account"
KEY, COPY = "documents/report.txt", "documents/copy.txt"
TEXT = "The harvest was good.\n\nThe winter will be long."
SETTINGS = {"SUMMARY_TTL_IMMUTABLE": "1800", "SUMMARY_TTL_MUTABLE": "60"}
"""Within the floor and the ceiling of these tests."""


def paragraphs(count: int) -> list[str]:
    """Return different paragraphs for a long text."""
    return [
        f"Paragraph {number}. " + f"It tells of the number {number * 7919}. " * 20
        for number in range(count)
    ]


def cold() -> None:
    """Forget what a warm environment keeps."""
    for kept in (
        *(model.model, model.answers, summary.response_cache, summary_ttl.summary_ttls),
        *(s3_client.s3, queues.sqs),
    ):
        kept.cache_clear()


@dataclass
class Documents:
    """A bucket, and the S3 operations that the function called."""

    s3: Any
    name: str = BUCKET
    calls: list[str] = field(default_factory=list)

    def put(self, key: str, text: str | bytes) -> str | None:
        body = text if isinstance(text, bytes) else text.encode()
        put: Any = self.s3.put_object(Bucket=self.name, Key=key, Body=body)
        return cast("str | None", put.get("VersionId"))

    def file(self, key: str) -> dict[str, Any]:
        """Return the fields of a document's summary file; empty without one."""
        try:
            found = self.s3.get_object(Bucket=self.name, Key=f"summaries/{key}.json")
        except self.s3.exceptions.NoSuchKey:
            return {}
        fields: dict[str, Any] = json.loads(found["Body"].read())
        return fields

    def summary(self, key: str) -> str | None:
        return self.file(key).get("summary")

    def without_versions(self) -> None:
        self.s3.put_bucket_versioning(
            Bucket=self.name, VersioningConfiguration={"Status": "Suspended"}
        )


def stored(redis: Redis) -> list[str]:
    found: list[str] = redis.keys("test:entry:*")
    return found


def plant(redis: Redis, response: object) -> str:
    """Replace the response in the only entry; return its key."""
    (key,) = stored(redis)
    head, _, _ = str(redis.get(key)).partition('"answer":')
    redis.set(key, f'{head}"answer":[{json.dumps(response)}]}}')
    return key


@contextmanager
def bucket(
    bedrock: Bedrock, monkeypatch: pytest.MonkeyPatch, name: str = BUCKET
) -> Iterator[Documents]:
    """Run S3 in process, with one versioned bucket, beside the model on loopback."""
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", bedrock.url)
    for variable, value in SETTINGS.items():
        monkeypatch.setenv(variable, value)
    cold()
    with mock_aws():
        s3 = boto3.client("s3")
        s3.create_bucket(Bucket=name)
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        documents = Documents(s3, name)
        s3_client.s3().meta.events.register(
            "before-call.s3", lambda model, **_: documents.calls.append(model.name)
        )
        yield documents
        s3.close()
        s3_client.s3().close()
    cold()


def body(key: str, version: str | None = None, *, of: str = BUCKET) -> dict[str, Any]:
    """Return the body of a message that a person sends."""
    return {"bucket": of, "key": key} | ({"version_id": version} if version else {})


def uploaded(
    key: str, version: str | None = None, what: str = "ObjectCreated:Put"
) -> dict[str, Any]:
    return lambda_events.uploaded(BUCKET, key, version, event=what)


def message(content: object, number: int = 1, ttl: str | None = None) -> dict[str, Any]:
    """Return a message as Lambda passes it."""
    (record,) = lambda_events.messages(content, ttl=ttl)["Records"]
    return {**record, "messageId": f"message-{number}"}


def deliver(*messages: dict[str, Any], left: float | Callable[[], float] = 300) -> list[str]:
    """Invoke the function with a batch; return the ids of failed messages.

    ``left``: the invocation's remaining seconds.
    """
    reply = summarize.handler({"Records": list(messages)}, cast(Any, Context(left)))
    return [failure["itemIdentifier"] for failure in reply["batchItemFailures"]]
