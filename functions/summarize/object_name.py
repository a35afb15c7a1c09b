"""The name of a document in S3 and of its summary."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass

from summary_errors import PermanentError

SUMMARIES = "summaries/"
"""The prefix of all summaries. An object under it is never summarized, to prevent a loop."""
MAX_KEY = 1024  # bytes: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
_BUCKET = re.compile("[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")  # not an ARN, which boto3 accepts too


@dataclass(frozen=True, slots=True)
class ObjectName:
    """An object in S3, and its version if known; raise ``PermanentError`` for an invalid name."""

    bucket: str
    key: str
    version: str | None = None

    def __post_init__(self) -> None:
        if not _BUCKET.fullmatch(self.bucket):
            raise PermanentError("the bucket's name is invalid")
        if not self.key or not 0 < _bytes(self.summary_key) <= MAX_KEY:
            raise PermanentError("the object's key is invalid")
        if self.key.startswith(SUMMARIES) or {".", ".."} & set(self.key.split("/")):
            raise PermanentError("the object's key cannot be a document's")

    @property
    def summary_key(self) -> str:
        """The key of the summary, in the same bucket."""
        return f"{SUMMARIES}{self.key}.json"

    @property
    def hashed(self) -> str:
        """The name for logs: the key itself may name a person."""
        return hashlib.sha256(json.dumps([self.bucket, self.key]).encode()).hexdigest()[:32]


def _bytes(name: str) -> int:
    """Return the length of a name in UTF-8; 0 if it cannot be encoded."""
    try:
        return len(name.encode())
    except UnicodeEncodeError:  # a lone surrogate, which JSON can hold
        return 0
