"""The summary beside a document: in the same bucket, under a name that follows from its own.

It is written on a condition (If-None-Match, If-Match), so of those who summarize at once one writes
it, a message that comes twice changes nothing, and an older content never takes the place of a
newer one: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from document import Document, code_of, is_current, s3
from refusals import NotSummarized

WRITTEN, THERE, OUTDATED = "written", "there already", "outdated by a newer document"
TRIES = 3
# 403 is also what is not there. What is lost to another: 412, 409, and 404 where it was deleted.
ABSENT = {"NoSuchKey", "AccessDenied", "404", "403"}
LOST = {"PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey"}


@dataclass(frozen=True, slots=True)
class Found:
    """What stands in the summary's place: of which content it is, and made by what."""

    etag: str
    source: Any
    made_by: Any


def write(document: Document, made_by: list[Any], summary: Callable[[], str]) -> str:
    """Write what ``summary`` returns, called only where it is wanted; say what was done.

    Two requests, or three where the summary of another content is there.
    """
    made = None
    try:
        for _ in range(TRIES):
            found = _read(document)
            if found and found.source == document.source and found.made_by == made_by:
                return THERE
            if found and found.source != document.source and not is_current(document):
                return OUTDATED
            made = made or summary()
            if _put(document, {"summary": made, "made_by": made_by}, found):
                return WRITTEN
    except (ClientError, BotoCoreError) as error:
        raise NotSummarized(f"S3 does not take the summary: {code_of(error)}") from None
    raise NotSummarized("others wrote the summary in between, again and again")


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
