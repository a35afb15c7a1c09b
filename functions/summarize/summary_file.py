"""The summary of a document as an object in the same bucket, under a key made from the document's.

It is written on a condition (If-None-Match, If-Match). So one of several concurrent writers
succeeds, a message received twice changes nothing, and an older content never replaces a newer
one: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from document import OUTDATED, Document, is_current
from faults import NotNow
from storage import ABSENT, code_of, failures, s3

WRITTEN, THERE = "written", "there already"
TRIES = 3
# Another writer was faster: 412, 409, and 404 where the summary was deleted.
LOST = {"PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey"}


@dataclass(frozen=True, slots=True)
class Found:
    """What stands in the summary's place: of which content it is, and made by what."""

    etag: str
    source: Any
    made_by: Any


def write(document: Document, made_by: list[Any], summary: Callable[[], str]) -> str:
    """Write what ``summary`` returns, and call it only if it is needed; return what was done.

    Two requests, or three if the summary of another content is there.
    """
    made = None
    for _ in range(TRIES):
        with failures():
            found = _read(document)
            if found and found.source == document.source and found.made_by == made_by:
                return THERE
            if found and found.source != document.source and not is_current(document):
                return OUTDATED
        made = made or summary()
        with failures():
            if _put(document, {"summary": made, "made_by": made_by}, found):
                return WRITTEN
    raise NotNow("others wrote the summary in between, again and again")


def _read(document: Document) -> Found | None:
    """Return what is there; what nobody can read is of no content."""
    try:
        reply = s3().get_object(Bucket=document.name.bucket, Key=document.name.summary_key)
        with reply["Body"] as body:
            text = body.read()
    except ClientError as error:
        if code_of(error) in ABSENT:
            return None
        raise
    try:
        told = json.loads(text)
        return Found(reply["ETag"], told["source"], told["made_by"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return Found(reply["ETag"], None, None)


def _put(document: Document, told: dict[str, Any], found: Found | None) -> bool:
    """Write it where nothing has changed since; return whether that was so."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    body = json.dumps({**told, "source": document.source, "written": now}, indent=2)
    unchanged = {"IfMatch": found.etag} if found else {"IfNoneMatch": "*"}
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
