"""Documents in a bucket, and messages that name them, for the function that summarizes."""

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
from local_cloud.stack import events

BUCKET = "documents-of-one-account"
KEY = "documents/report.txt"
TEXT = "The harvest was good.\n\nThe winter will be long."
SETTINGS = {"SUMMARY_TTL_IMMUTABLE": "1800", "SUMMARY_TTL_MUTABLE": "60"}
"""Both within the floor and the ceiling that the tests of functions have."""


def cold() -> None:
    """Forget what a warm environment keeps."""
    model.model.cache_clear()
    model.answers.cache_clear()
    summary.response_cache.cache_clear()
    summary_ttl.summary_ttls.cache_clear()
    s3_client.s3.cache_clear()
    queues.sqs.cache_clear()


@dataclass
class Documents:
    """A bucket, and what is done with it."""

    s3: Any
    name: str = BUCKET
    calls: list[str] = field(default_factory=list)
    """The operations of S3's that the function called."""

    def put(self, key: str, text: str | bytes) -> str | None:
        body = text if isinstance(text, bytes) else text.encode()
        put: Any = self.s3.put_object(Bucket=self.name, Key=key, Body=body)
        return cast("str | None", put.get("VersionId"))

    def summary(self, key: str) -> dict[str, Any] | None:
        """The summary beside a document."""
        try:
            found = self.s3.get_object(Bucket=self.name, Key=f"summaries/{key}.json")
        except self.s3.exceptions.NoSuchKey:
            return None
        told: dict[str, Any] = json.loads(found["Body"].read())
        return told

    def without_versions(self) -> None:
        self.s3.put_bucket_versioning(
            Bucket=self.name, VersioningConfiguration={"Status": "Suspended"}
        )


def stored(redis: Redis) -> list[str]:
    """The keys of the answers in the cache."""
    found: list[str] = redis.keys("test:entry:*")
    return found


def asked(bedrock: Bedrock) -> list[str]:
    """The texts that the model was asked to summarize."""
    return [request["messages"][0]["content"][0]["text"] for request in bedrock.requests]


@contextmanager
def bucket(
    bedrock: Bedrock, monkeypatch: pytest.MonkeyPatch, name: str = BUCKET
) -> Iterator[Documents]:
    """S3 in process, with one bucket that keeps versions, beside the model on loopback."""
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
    """What somebody sends who wants a summary."""
    return {"bucket": of, "key": key} | ({"version_id": version} if version else {})


def uploaded(
    key: str, version: str | None = None, what: str = "ObjectCreated:Put"
) -> dict[str, Any]:
    """What S3 sends of an upload."""
    return events.uploaded(BUCKET, key, version, what=what)


def message(told: object, number: int = 1, ttl: str | None = None) -> dict[str, Any]:
    """A message as Lambda gets it of SQS."""
    (record,) = events.messages(told, ttl=ttl)["Records"]
    return {**record, "messageId": f"message-{number}"}


class Countdown(Context):
    """A context whose remaining seconds a test computes."""

    def __init__(self, left: Callable[[], float]) -> None:
        self.left = left

    def get_remaining_time_in_millis(self) -> int:
        return int(self.left() * 1000)


def deliver(*messages: dict[str, Any], left: Callable[[], float] = lambda: 300) -> list[str]:
    """Hand a batch over; return the ids of the messages that failed.

    ``left``: the seconds that the invocation has left.
    """
    reply = summarize.handler({"Records": list(messages)}, cast(Any, Countdown(left)))
    return [failure["itemIdentifier"] for failure in reply["batchItemFailures"]]
