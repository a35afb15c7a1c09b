"""Read the name of the document from the body of a message.

Accepted bodies:

- ``{"bucket", "key", "version_id"?}``
- an S3 notification:
  https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
- an S3 event of EventBridge:
  https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
- either S3 form in an SNS notification:
  https://docs.aws.amazon.com/sns/latest/dg/sns-sqs-as-subscriber.html
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote_plus

from object_name import ObjectName
from summary_errors import PermanentError


def split_records(body: str) -> list[str]:
    """Return one body per document of a notification; any other body unchanged."""
    match _parsed(body):
        case {"Records": [_, _, *_] as records}:
            return [json.dumps({"Records": [record]}) for record in records]
    return [body]


def document_name(body: str) -> ObjectName | None:
    """Return the document that a body names; raise ``PermanentError`` for an unknown body.

    None if there is nothing to summarize: S3's test event, any event except the creation of an
    object, and the empty object of a folder.
    """
    match _parsed(body):
        case {"Event": "s3:TestEvent"} | {"Records": []}:
            return None
        case {"Records": [{"eventName": str(event), "s3": found}]}:
            created, name = event.removeprefix("s3:").startswith("ObjectCreated:"), _from_s3(found)
        case {"detail-type": str(event), "source": "aws.s3", "detail": found}:
            created, name = event == "Object Created", _from_event_bridge(found)
        case {"bucket": str(bucket), "key": str(key), **rest} if rest.keys() <= {"version_id"}:
            return ObjectName(bucket, key, _version(rest.get("version_id")))
        case {"Type": "SubscriptionConfirmation"}:
            raise PermanentError("the message is SNS's request to confirm a subscription")
        case None:
            raise PermanentError("the message is not JSON")
        case _:
            raise _unknown()
    return ObjectName(*name) if created and not name[1].endswith("/") else None


def _parsed(body: str) -> Any:
    """Return the JSON of a body without SNS's envelope; None if the body is not JSON."""
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):  # RecursionError: nested too deep
        return None
    match parsed:
        case {"Type": "Notification", "Message": str(message)}:
            return _parsed(message)
    return parsed


def _from_s3(found: Any) -> tuple[str, str, str | None]:
    match found:
        case {"bucket": {"name": str(bucket)}, "object": {"key": str(key), **rest}}:
            return bucket, unquote_plus(key), _version(rest.get("versionId"))
    raise _unknown()


def _from_event_bridge(found: Any) -> tuple[str, str, str | None]:
    match found:
        case {"bucket": {"name": str(bucket)}, "object": {"key": str(key), **rest}}:
            return bucket, key, _version(rest.get("version-id"))  # the key is not URL-encoded
    raise _unknown()


def _version(version: Any) -> str | None:
    match version:
        case str() | None:
            return version or None
    raise _unknown()


def _unknown() -> PermanentError:
    return PermanentError("the message is neither an S3 notification nor bucket and key")
