"""Decode the bytes of an object to text, by its content and its headers."""

from __future__ import annotations

import gzip
import io
import re
import zlib
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE, BOM_UTF32_BE, BOM_UTF32_LE
from email.message import Message

from summary_errors import PermanentError

BOMS = {  # UTF-32 first: one of its marks begins with a mark of UTF-16
    BOM_UTF32_LE: "utf-32",
    BOM_UTF32_BE: "utf-32",
    BOM_UTF8: "utf-8-sig",
    BOM_UTF16_LE: "utf-16",
    BOM_UTF16_BE: "utf-16",
}
NO_CHARSETS = re.compile("idna|punycode|undefined|utf.?7|.*escape")
"""Python codecs that no document uses; some take quadratic time."""
CONTROL = re.compile(r"[\x01-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]")
"""Bytes that MIME sniffing takes for binary: https://mimesniff.spec.whatwg.org/#binary-data-byte"""
MAX_CONTROL = 0.01  # of all characters; many texts have a stray one


def decoded_text(content: bytes, content_type: str, encoding: str, limit: int) -> str:
    """Return the text with uniform line ends; raise ``PermanentError`` if it is not a text.

    - ``content_type``, ``encoding``: the object's Content-Type and Content-Encoding
    - ``limit``: the maximum bytes after decompression
    """
    content = _decompressed(content, encoding, limit)
    text = _decoded(content, _charset(content, content_type))
    if "\0" in text or len(CONTROL.findall(text)) > MAX_CONTROL * len(text):
        raise PermanentError("the document is binary, not text")
    if not text.strip():
        raise PermanentError("the document is empty")
    return "\n".join(text.splitlines())


def too_large(limit: int) -> PermanentError:
    """Return the error of a document with too many bytes."""
    return PermanentError(f"the document has more than {limit} bytes")


def _decompressed(content: bytes, encoding: str, limit: int) -> bytes:
    codings = {coding.strip().lower() for coding in encoding.split(",")}
    match sorted(codings - {"", "identity", "aws-chunked"}):  # aws-chunked: only for the upload
        case []:
            return content
        case ["gzip" | "x-gzip"]:
            return _gunzipped(content, limit)
    raise PermanentError("the document's Content-Encoding is not gzip")


def _gunzipped(content: bytes, limit: int) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
            plain = file.read(limit + 1)
    except (OSError, EOFError, zlib.error):
        raise PermanentError("the document's gzip is damaged") from None
    if len(plain) > limit:
        raise too_large(limit)
    return plain


def _charset(content: bytes, content_type: str) -> str:
    """Return the charset of the byte order mark, else of the Content-Type, else UTF-8."""
    for mark, charset in BOMS.items():
        if content.startswith(mark):
            return charset
    header = Message()
    header["Content-Type"] = content_type
    return header.get_content_charset() or "utf-8"


def _decoded(content: bytes, charset: str) -> str:
    try:
        return content.decode("unknown" if NO_CHARSETS.fullmatch(charset) else charset)
    except LookupError:  # unknown, or a codec that does not decode to text
        raise PermanentError("the document's charset is unknown") from None
    except ValueError:
        raise PermanentError("the document is not text in UTF-8 or in its charset") from None
