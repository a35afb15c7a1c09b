"""Which documents a message names: an event of S3's, or a body of one's own."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

from llm_cache.keys import digest
from refusals import NotSummarized

SUMMARIES = "summaries/"
"""What the names of summaries begin with. Nothing under it is summarized, so nothing goes round."""
MAX_KEY = 1024  # bytes: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
_BUCKET = re.compile("[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")  # no ARN, which boto3 would take as well


@dataclass(frozen=True, slots=True)
class Name:
    """An object in S3; a ``version`` where the message says which."""

    bucket: str
    key: str
    version: str | None = None

    def __post_init__(self) -> None:
        if not _BUCKET.fullmatch(self.bucket):
            raise NotSummarized("the bucket's name is none")
        if self.version == "" or not 0 < _bytes(self.summary_key) <= MAX_KEY:
            raise NotSummarized("the object's name, or its version's, is none")
        if self.key.startswith(SUMMARIES) or {".", ".."} & set(self.key.split("/")):
            raise NotSummarized("the object's name is not one of a document")

    @property
    def summary_key(self) -> str:
        """The name of its summary, in the same bucket."""
        return f"{SUMMARIES}{self.key}.json"

    @property
    def hashed(self) -> str:
        """What logs call it, for a name may name a person."""
        return digest("document", self.bucket, self.key)[:32]


def named(body: str) -> list[Name]:
    """Return the documents that a message's body names; raise ``NotSummarized``.

    The body is ``{"bucket", "key"}``, with a ``version_id`` or without, or what S3 sends to a
    queue: https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
    Of S3's, those count that tell of an object created, other than the empty ones that stand for
    folders; its test event names nothing.
    """
    try:
        match json.loads(body):
            case {"Event": "s3:TestEvent"}:
                return []
            case {"Records": list(records)}:
                return [_of_s3(record) for record in records if _created(record)]
            case {"bucket": str(bucket), "key": str(key), **rest}:
                return [_of_own(bucket, key, rest)]
    except (ValueError, RecursionError):  # no JSON, or nested too deep to read
        pass
    raise _unreadable()


def _created(record: Any) -> bool:
    match record:
        case {"eventName": str(what), "s3": {"object": {"key": str(key)}}}:
            return what.startswith("ObjectCreated:") and not key.endswith("/")
    raise _unreadable()


def _of_s3(record: Any) -> Name:
    match record:
        case {"s3": {"bucket": {"name": str(bucket)}, "object": {"key": str(key), **rest}}}:
            return _of_own(bucket, unquote_plus(key), {"version_id": rest.get("versionId")})
    raise _unreadable()


def _of_own(bucket: str, key: str, rest: dict[Any, Any]) -> Name:
    match rest:
        case {"version_id": str() | None as version} if len(rest) == 1:
            return Name(bucket, key, version)
        case {} if not rest:
            return Name(bucket, key)
    raise _unreadable()


def _bytes(name: str) -> int:
    """Return the length of a name in UTF-8, 0 of one that has no such form."""
    try:
        return len(name.encode())
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can name
        return 0


def _unreadable() -> NotSummarized:
    return NotSummarized("the message names no object of S3's")
