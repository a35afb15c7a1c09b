"""The document that a message names, as S3 has it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from llm_cache._config.settings import whole_of
from object_name import Name
from storage import ABSENT, code_of, failures, s3
from text import text_of, too_large

MAX_BYTES = "SUMMARY_MAX_BYTES"
NO_VERSION = "null"  # what S3 calls an object that was written while versions were not kept
GONE, OUTDATED = "deleted before its turn", "outdated by a newer document"


@dataclass(frozen=True, slots=True)
class Document:
    """The text of an object, and which content of it that is."""

    name: Name
    version: str | None
    etag: str
    text: str = field(repr=False)

    @property
    def immutable(self) -> bool:
        """Whether what was read will never be anything else."""
        return self.version not in (None, NO_VERSION)

    @property
    def source(self) -> dict[str, str | None]:
        """Which content it is, as its summary tells."""
        return {"key": self.name.key, "version_id": self.version, "etag": self.etag}


def fetch(name: Name) -> Document | str:
    """Read a document; return ``GONE`` or ``OUTDATED`` if its version is not the current one.

    Raise ``NotSummarized``. One request.
    """
    with failures():
        try:
            found = s3().get_object(Bucket=name.bucket, Key=name.key)
        except ClientError as error:
            if code_of(error) in ABSENT:
                return GONE
            raise
        with found["Body"] as body:
            version = found.get("VersionId")
            if name.version not in (None, version or NO_VERSION):
                return OUTDATED
            return Document(name, version, found["ETag"], _text(found, body))


def max_bytes() -> int:
    """Return how large a document may be, in bytes; raise ``InvalidSettings``."""
    return whole_of(os.environ, MAX_BYTES, 1_000_000)


def is_current(document: Document) -> bool:
    """Whether its name still stands for this content, and no newer one. One request."""
    try:
        now = s3().head_object(Bucket=document.name.bucket, Key=document.name.key)
    except ClientError as error:
        if code_of(error) in ABSENT:
            return False
        raise
    return (now.get("VersionId"), now["ETag"]) == (document.version, document.etag)


def _text(found: dict[str, Any], body: Any) -> str:
    most = max_bytes()
    if found["ContentLength"] > most:
        raise too_large(most)
    content_type, encoding = found.get("ContentType", ""), found.get("ContentEncoding", "")
    return text_of(body.read(), content_type, encoding, most)
