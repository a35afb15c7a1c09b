"""The document that the body of a message names, in any of the usual envelopes.

- ``{"bucket", "key", "version_id"?}``
- a notification of S3's:
  https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
- S3's event on EventBridge:
  https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
- either of S3's in a notification of SNS:
  https://docs.aws.amazon.com/sns/latest/dg/sns-sqs-as-subscriber.html
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote_plus

from faults import Permanent
from object_name import Name


def split(body: str) -> list[str]:
    """Return bodies that name one document each, from one that may name several."""
    match _parsed(body):
        case {"Records": [_, _, *_] as records}:
            return [json.dumps({"Records": [record]}) for record in records]
    return [body]


def named(body: str) -> Name | None:
    """Return the document that a body names; raise ``Permanent`` if it is none of the envelopes.

    None: there is nothing to summarize. That is a test event of S3's, an event other than the
    creation of an object, and the empty object that stands for a folder.
    """
    match _parsed(body):
        case {"Event": "s3:TestEvent"} | {"Records": []}:
            return None
        case {"Records": [{"eventName": str(event), "s3": found}]}:
            created, name = event.removeprefix("s3:").startswith("ObjectCreated:"), _notified(found)
        case {"detail-type": str(event), "source": "aws.s3", "detail": found}:
            created, name = event == "Object Created", _of_event_bridge(found)
        case {"bucket": str(bucket), "key": str(key), **rest} if rest.keys() <= {"version_id"}:
            return Name(bucket, key, _version(rest.get("version_id")))
        case {"Type": "SubscriptionConfirmation"}:
            raise Permanent("the message asks to confirm a subscription of SNS")
        case None:
            raise Permanent("the message is not JSON")
        case _:
            raise _unknown()
    return Name(*name) if created and not name[1].endswith("/") else None


def _parsed(body: str) -> Any:
    """Return the JSON of a body, without SNS's envelope; None if it is no JSON."""
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):  # the latter is nested too deep to read
        return None
    match parsed:
        case {"Type": "Notification", "Message": str(message)}:
            return _parsed(message)
    return parsed


def _notified(found: Any) -> tuple[str, str, str | None]:
    match found:
        case {"bucket": {"name": str(bucket)}, "object": {"key": str(key), **rest}}:
            return bucket, unquote_plus(key), _version(rest.get("versionId"))
    raise _unknown()


def _of_event_bridge(found: Any) -> tuple[str, str, str | None]:
    match found:
        case {"bucket": {"name": str(bucket)}, "object": {"key": str(key), **rest}}:
            return bucket, key, _version(rest.get("version-id"))  # the key is not URL-encoded
    raise _unknown()


def _version(version: Any) -> str | None:
    match version:
        case str() | None:
            return version or None
    raise _unknown()


def _unknown() -> Permanent:
    return Permanent("the message is neither a notification of S3 nor bucket and key")
