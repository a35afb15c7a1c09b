"""Which document a message names, in each of the envelopes that senders use."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.functions.documents import BUCKET, body, uploaded

from local_cloud.stack.events import TEST_OF_S3
from notification import document_name, split_records
from object_name import ObjectName
from summary_errors import PermanentError

KEY = "documents/a b+c/Grüße 100%.txt"


def by_sns(told: object) -> dict[str, Any]:
    return {
        "Type": "Notification",
        "MessageId": "1",
        "TopicArn": "arn:aws:sns:us-east-1:111122223333:documents",
        "Subject": "Amazon S3 Notification",
        "Message": told if isinstance(told, str) else json.dumps(told),
        "SignatureVersion": "1",
    }


def by_event_bridge(
    key: str, version: str | None = None, what: str = "Object Created"
) -> dict[str, Any]:
    found = {"key": key, "size": 1, "etag": "e", "sequencer": "1"}
    return {
        "version": "0",
        "detail-type": what,
        "source": "aws.s3",
        "detail": {
            "version": "0",
            "bucket": {"name": BUCKET},
            "object": found | ({"version-id": version} if version is not None else {}),
            "reason": "PutObject",
        },
    }


ENVELOPES: dict[str, Callable[[str, str | None], dict[str, Any]]] = {
    "bucket and key": body,
    "S3": uploaded,
    "S3 with a prefixed event name": lambda key, version: uploaded(
        key, version, "s3:ObjectCreated:Put"
    ),
    "S3, multipart": lambda key, version: uploaded(
        key, version, "ObjectCreated:CompleteMultipartUpload"
    ),
    "EventBridge": by_event_bridge,
    "S3 by SNS": lambda *it: by_sns(uploaded(*it)),
    "EventBridge by SNS": lambda *it: by_sns(by_event_bridge(*it)),
}


@pytest.mark.parametrize("envelope", ENVELOPES.values(), ids=ENVELOPES)
@pytest.mark.parametrize("version", [None, "v1"])
@pytest.mark.parametrize("key", [KEY, "documents//日本", "documents/" + "k" * 990])
def test_each_envelope_names_the_document(envelope: Any, version: str | None, key: str) -> None:
    assert document_name(json.dumps(envelope(key, version))) == ObjectName(BUCKET, key, version)


def test_empty_version_is_none() -> None:
    event = uploaded(KEY, "v")
    event["Records"][0]["s3"]["object"]["versionId"] = ""
    for told in (event, by_sns(event), by_event_bridge(KEY, ""), {**body(KEY), "version_id": ""}):
        assert document_name(json.dumps(told)) == ObjectName(BUCKET, KEY)


NOTHING = [
    TEST_OF_S3,
    uploaded(KEY, what="ObjectRemoved:Delete"),
    uploaded(KEY, what="s3:ObjectRemoved:DeleteMarkerCreated"),
    uploaded("documents/folder/"),
    by_event_bridge(KEY, what="Object Deleted"),
    by_event_bridge("documents/folder/"),
    {"Records": []},
]


@pytest.mark.parametrize("told", NOTHING, ids=lambda told: json.dumps(told)[:70])
def test_event_without_a_new_object_names_no_document(told: object) -> None:
    assert document_name(json.dumps(told)) is None
    assert document_name(json.dumps(by_sns(told))) is None


INVALID: list[Any] = [
    "no JSON",
    "[" * 100_000,
    [],
    None,
    {},
    7,
    {"bucket": BUCKET},
    {"bucket": BUCKET, "key": ["documents/x"]},
    {"bucket": BUCKET, "key": KEY, "version_id": 7},
    {"bucket": BUCKET, "key": KEY, "ttl": 60},
    {"bucket": "arn:aws:s3:us-east-1:111122223333:accesspoint/theirs", "key": KEY},
    {"bucket": "Bucket", "key": KEY},
    {"bucket": BUCKET, "key": ""},
    {"bucket": BUCKET, "key": "documents/../secret.txt"},
    {"bucket": BUCKET, "key": "documents/\ud800.txt"},
    {"bucket": BUCKET, "key": "documents/" + "é" * 505},
    {"bucket": BUCKET, "key": "summaries/documents/report.txt.json"},
    {"Records": ["?"]},
    {"Records": [{"eventName": "ObjectCreated:Put", "s3": {"object": {"key": KEY}}}]},
    {"Records": [{"eventSource": "aws:ses", "ses": {}}]},
    {"source": "aws.ec2", "detail-type": "Object Created", "detail": {}},
    {"source": "aws.s3", "detail-type": "Object Created", "detail": {"bucket": {}}},
    {"Type": "Notification", "Message": {"bucket": BUCKET, "key": KEY}},
    {"Type": "SubscriptionConfirmation", "Message": "You have chosen", "Token": "secret"},
]


@pytest.mark.parametrize("told", INVALID, ids=lambda told: str(told)[:60])
def test_message_that_names_no_document_is_refused_for_good(told: Any) -> None:
    with pytest.raises(PermanentError):
        document_name(told if isinstance(told, str) else json.dumps(told))


def test_reason_says_what_is_wrong_and_nothing_of_the_message() -> None:
    reasons = set()
    for told in INVALID:
        with pytest.raises(PermanentError) as refused:
            document_name(told if isinstance(told, str) else json.dumps(told))
        reasons.add(str(refused.value))
    assert reasons == {
        "the message is not JSON",
        "the message is neither an S3 notification nor bucket and key",
        "the message is SNS's request to confirm a subscription",
        "the bucket's name is invalid",
        "the object's key is invalid",
        "the object's key cannot be a document's",
    }


def test_message_of_several_records_is_split_and_any_other_is_not() -> None:
    records = [*uploaded("documents/a")["Records"], "?", *uploaded("documents/b")["Records"]]
    several = json.dumps({"Records": records})
    expected = [json.dumps({"Records": [record]}) for record in records]
    assert split_records(several) == split_records(json.dumps(by_sns(several))) == expected
    for told in (json.dumps(uploaded(KEY)), json.dumps(body(KEY)), "?", "[]", '{"Records": 7}'):
        assert split_records(told) == [told]
