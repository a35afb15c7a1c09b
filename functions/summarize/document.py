"""Read the document of a message from S3."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from bedrock import env
from bedrock.aws_failures import code_of
from document_text import decoded_text, too_large
from object_name import ObjectName
from s3_client import ABSENT, s3, s3_errors

MAX_BYTES = "SUMMARY_MAX_BYTES"
NO_VERSION = "null"  # S3's version of an object written while versioning was off
GONE, OUTDATED = "deleted before its turn", "outdated by a newer document"


@dataclass(frozen=True, slots=True)
class Document:
    """The text of an object, with the version and ETag of its content."""

    name: ObjectName
    version: str | None
    etag: str
    text: str = field(repr=False)

    @property
    def immutable(self) -> bool:
        """Whether this version can never have other content."""
        return self.version not in (None, NO_VERSION)

    @property
    def source(self) -> dict[str, str | None]:
        """The content's identity, as the summary's file holds it."""
        return {"key": self.name.key, "version_id": self.version, "etag": self.etag}


def fetch(name: ObjectName) -> Document | str:
    """Read a document; return ``GONE`` or ``OUTDATED`` if its version is not the current one.

    Raises ``SummaryError``. One request.
    """
    with s3_errors():
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
    """Return the maximum size of a document in bytes; raise ``InvalidSettings``."""
    return env.whole_number(MAX_BYTES, 1_000_000)


def is_current(document: Document) -> bool:
    """Return whether the object still has this content. One request."""
    try:
        now = s3().head_object(Bucket=document.name.bucket, Key=document.name.key)
    except ClientError as error:
        if code_of(error) in ABSENT:
            return False
        raise
    return (now.get("VersionId"), now["ETag"]) == (document.version, document.etag)


def _text(found: dict[str, Any], body: Any) -> str:
    limit = max_bytes()
    if found["ContentLength"] > limit:
        raise too_large(limit)
    content_type, encoding = found.get("ContentType", ""), found.get("ContentEncoding", "")
    return decoded_text(body.read(), content_type, encoding, limit)
