"""The document that a message names, as S3 has it."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from llm_cache.settings import whole_of
from naming import Name
from refusals import NotSummarized

for _name in ("botocore", "urllib3"):  # at DEBUG they log names and what is written
    logging.getLogger(_name).setLevel(logging.INFO)

MAX_BYTES = "SUMMARY_MAX_BYTES"
NO_VERSION = "null"  # what S3 calls an object that was written while versions were not kept


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


@cache
def s3() -> Any:
    """Return the client, made on first use: a snapshot then holds no connection and no secret."""
    patience = Config(connect_timeout=3, read_timeout=10, retries={"total_max_attempts": 3})
    return boto3.client("s3", config=patience)


def code_of(error: Exception) -> str:
    """Return S3's own word for an error, or the class of one that is not S3's."""
    told = error.response["Error"]["Code"] if isinstance(error, ClientError) else ""
    return told or type(error).__name__


def fetch(name: Name) -> Document:
    """Read a document; raise ``NotSummarized`` for one that is not there, or is no text.

    One request.
    """
    pinned = {"VersionId": name.version} if name.version else {}
    try:
        found = s3().get_object(Bucket=name.bucket, Key=name.key, **pinned)
        content = _within_limit(found)
    except (ClientError, BotoCoreError) as error:  # 403 is also what is not there
        raise NotSummarized(f"S3 does not give the document: {code_of(error)}") from None
    return Document(name, found.get("VersionId"), found["ETag"], _text(content))


def max_bytes() -> int:
    """Return how large a document may be, in bytes; raise ``InvalidSettings``."""
    return whole_of(os.environ, MAX_BYTES, 1_000_000)


def is_current(document: Document) -> bool:
    """Whether its name still stands for this content, and no newer one. One request."""
    try:
        now = s3().head_object(Bucket=document.name.bucket, Key=document.name.key)
    except ClientError as error:
        if code_of(error) in ("403", "404"):  # deleted; 403 to who may not list
            return False
        raise
    return (now.get("VersionId"), now["ETag"]) == (document.version, document.etag)


def _within_limit(found: dict[str, Any]) -> bytes:
    most = max_bytes()
    with found["Body"] as body:
        if found["ContentLength"] > most:
            raise NotSummarized(f"the document has more than {most} bytes")
        content: bytes = body.read()
        return content


def _text(content: bytes) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise NotSummarized("the document is no text in UTF-8") from None
    if not text.strip():
        raise NotSummarized("the document is empty")
    return "\n".join(text.splitlines())  # however it ends its lines
