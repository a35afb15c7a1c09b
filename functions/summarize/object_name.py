"""The name of a document in S3, and that of its summary."""

from __future__ import annotations

import re
from dataclasses import dataclass

from faults import Permanent
from llm_cache._entries.keys import digest

SUMMARIES = "summaries/"
"""The prefix of all summaries. An object under it is never summarized, so there is no loop."""
MAX_KEY = 1024  # bytes: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
_BUCKET = re.compile("[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")  # no ARN, which boto3 would take as well


@dataclass(frozen=True, slots=True)
class Name:
    """An object in S3, and its version if the message tells it; raise ``Permanent`` if invalid."""

    bucket: str
    key: str
    version: str | None = None

    def __post_init__(self) -> None:
        if not _BUCKET.fullmatch(self.bucket):
            raise Permanent("the bucket's name is invalid")
        if not self.key or not 0 < _bytes(self.summary_key) <= MAX_KEY:
            raise Permanent("the object's key is invalid")
        if self.key.startswith(SUMMARIES) or {".", ".."} & set(self.key.split("/")):
            raise Permanent("the object's key is not one of a document")

    @property
    def summary_key(self) -> str:
        """The key of its summary, in the same bucket."""
        return f"{SUMMARIES}{self.key}.json"

    @property
    def hashed(self) -> str:
        """The name in logs: the key itself may name a person."""
        return digest("document", self.bucket, self.key)[:32]


def _bytes(name: str) -> int:
    """Return the length of a name in UTF-8; 0 if it cannot be encoded."""
    try:
        return len(name.encode())
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can hold
        return 0
