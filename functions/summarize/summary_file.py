"""Write the summary of a document as an object in the same bucket.

Writes are conditional (If-None-Match, If-Match): one of several concurrent writers succeeds, a
repeated message changes nothing, and old content never replaces newer content.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from bedrock.aws_failures import code_of
from document import OUTDATED, Document, is_current
from s3_client import ABSENT, s3, s3_errors
from summary_errors import TransientError

WRITTEN, THERE = "written", "there already"
TRIES = 3
# Another writer was faster: 412, 409, and 404 if the summary was deleted.
LOST = {"PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey"}


@dataclass(frozen=True, slots=True)
class StoredSummary:
    """The content and the settings from which an existing summary was made."""

    etag: str
    source: Any
    made_by: Any


def write(document: Document, made_by: list[Any], summary: Callable[[], str]) -> str:
    """Write what ``summary`` returns, and call it only if needed; return what was done.

    Two requests; three if a summary of other content exists.
    """
    made = None
    for _ in range(TRIES):
        with s3_errors():
            stored = _read(document)
            if stored and stored.source == document.source and stored.made_by == made_by:
                return THERE
            if stored and stored.source != document.source and not is_current(document):
                return OUTDATED
        made = made or summary()
        with s3_errors():
            if _put(document, {"summary": made, "made_by": made_by}, stored):
                return WRITTEN
    raise TransientError("other writers replaced the summary at every try")


def _read(document: Document) -> StoredSummary | None:
    """Return the existing summary; without a source if it cannot be parsed."""
    try:
        reply = s3().get_object(Bucket=document.name.bucket, Key=document.name.summary_key)
        with reply["Body"] as body:
            text = body.read()
    except ClientError as error:
        if code_of(error) in ABSENT:
            return None
        raise
    try:
        fields = json.loads(text)
        return StoredSummary(reply["ETag"], fields["source"], fields["made_by"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return StoredSummary(reply["ETag"], None, None)


def _put(document: Document, fields: dict[str, Any], stored: StoredSummary | None) -> bool:
    """Write the summary if ``stored`` is still current; return whether it was written."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    body = json.dumps({**fields, "source": document.source, "written": now}, indent=2)
    unchanged = {"IfMatch": stored.etag} if stored else {"IfNoneMatch": "*"}
    try:
        s3().put_object(
            Bucket=document.name.bucket,
            Key=document.name.summary_key,
            Body=body.encode(),
            ContentType="application/json",
            **unchanged,
        )
    except ClientError as error:
        if code_of(error) in LOST:
            return False
        raise
    return True
