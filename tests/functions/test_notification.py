"""The document that a message names, in each form that senders use."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.functions.documents import BUCKET, body, uploaded

from local_cloud.stack.lambda_events import S3_TEST_EVENT
from notification import document_name, split_records
from object_name import ObjectName
from summary_errors import PermanentError

MULTIPART = "ObjectCreated:CompleteMultipartUpload"
KEY = "documents/a b+c/Grüße 100%.txt"


def by_sns(content: object) -> dict[str, Any]:
    return {
        "Type": "Notification",
        "MessageId": "1",
        "TopicArn": "arn:aws:sns:us-east-1:111122223333:documents",
        "Subject": "Amazon S3 Notification",
        "Message": content if isinstance(content, str) else json.dumps(content),
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


FORMS: dict[str, Callable[[str, str | None], dict[str, Any]]] = {
    "bucket and key": body,
    "S3": uploaded,
    "S3 with a prefix": lambda key, version: uploaded(key, version, "s3:ObjectCreated:Put"),
    "S3, multipart": lambda key, version: uploaded(key, version, MULTIPART),
    "EventBridge": by_event_bridge,
    "S3 by SNS": lambda *it: by_sns(uploaded(*it)),
    "EventBridge by SNS": lambda *it: by_sns(by_event_bridge(*it)),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("version", [None, "v1"])
@pytest.mark.parametrize("key", [KEY, "documents//日本", "documents/" + "k" * 990])
def test_each_form_names_the_document(form: Any, version: str | None, key: str) -> None:
    assert document_name(json.dumps(form(key, version))) == ObjectName(BUCKET, key, version)


def test_empty_version_is_no_version() -> None:
    event = uploaded(KEY, "v")
    event["Records"][0]["s3"]["object"]["versionId"] = ""
    for content in (event, by_sns(event), by_event_bridge(KEY, ""), body(KEY) | {"version_id": ""}):
        assert document_name(json.dumps(content)) == ObjectName(BUCKET, KEY)


NOTHING = [
    S3_TEST_EVENT,
    uploaded(KEY, what="ObjectRemoved:Delete"),
    uploaded(KEY, what="s3:ObjectRemoved:DeleteMarkerCreated"),
    uploaded("documents/folder/"),
    by_event_bridge(KEY, what="Object Deleted"),
    by_event_bridge("documents/folder/"),
    {"Records": []},
]


@pytest.mark.parametrize("content", NOTHING, ids=lambda content: json.dumps(content)[:70])
def test_event_without_a_new_object_names_no_document(content: object) -> None:
    assert document_name(json.dumps(content)) is None
    assert document_name(json.dumps(by_sns(content))) is None


INVALID: dict[str, list[Any]] = {
    "the message is not JSON": ["no JSON", "[" * 100_000, None],
    "the message is neither an S3 notification nor bucket and key": [
        *([], {}, 7),
        {"bucket": BUCKET},
        {"bucket": BUCKET, "key": ["documents/x"]},
        {"bucket": BUCKET, "key": KEY, "version_id": 7},
        {"bucket": BUCKET, "key": KEY, "ttl": 60},
        {"Records": ["?"]},
        {"Records": [{"eventName": "ObjectCreated:Put", "s3": {"object": {"key": KEY}}}]},
        {"Records": [{"eventSource": "aws:ses", "ses": {}}]},
        {"source": "aws.ec2", "detail-type": "Object Created", "detail": {}},
        {"source": "aws.s3", "detail-type": "Object Created", "detail": {"bucket": {}}},
        {"Type": "Notification", "Message": {"bucket": BUCKET, "key": KEY}},
    ],
    "the bucket's name is invalid": [
        body(KEY, of="arn:aws:s3:us-east-1:111122223333:accesspoint/theirs"),
        body(KEY, of="Bucket"),
    ],
    "the object's key is invalid": [
        *(body(""), body("documents/\ud800.txt"), body("documents/" + "é" * 505))
    ],
    "the object's key cannot be a document's": [
        *(body("documents/../secret.txt"), body("summaries/documents/report.txt.json"))
    ],
    "the message is SNS's request to confirm a subscription": [
        {"Type": "SubscriptionConfirmation", "Message": "You have chosen", "Token": "secret"}
    ],
}


@pytest.mark.parametrize(
    ("content", "reason"),
    [(content, reason) for reason, contents in INVALID.items() for content in contents],
    ids=lambda value: str(value)[:60],
)
def test_message_without_a_document_is_refused_with_a_reason(content: Any, reason: str) -> None:
    with pytest.raises(PermanentError) as refused:
        document_name(content if isinstance(content, str) else json.dumps(content))
    assert str(refused.value) == reason


def test_message_is_split_only_if_it_has_several_records() -> None:
    records = [*uploaded("documents/a")["Records"], "?", *uploaded("documents/b")["Records"]]
    several = json.dumps({"Records": records})
    expected = [json.dumps({"Records": [record]}) for record in records]
    assert split_records(several) == split_records(json.dumps(by_sns(several))) == expected
    for content in (json.dumps(uploaded(KEY)), json.dumps(body(KEY)), "?", "[]", '{"Records": 7}'):
        assert split_records(content) == [content]
