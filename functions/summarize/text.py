"""The text of an object's bytes, by what they and the object's headers say of themselves."""

from __future__ import annotations

import gzip
import io
import re
import zlib
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE, BOM_UTF32_BE, BOM_UTF32_LE
from email.message import Message

from faults import Permanent

BOMS = {  # UTF-32 first: UTF-16's mark is the beginning of one of its own
    BOM_UTF32_LE: "utf-32",
    BOM_UTF32_BE: "utf-32",
    BOM_UTF8: "utf-8-sig",
    BOM_UTF16_LE: "utf-16",
    BOM_UTF16_BE: "utf-16",
}
NO_CHARSETS = re.compile("idna|punycode|undefined|utf.?7|.*escape")
"""Codecs of Python that are none of a document; some take time that is quadratic in the bytes."""
CONTROL = re.compile(r"[\x01-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]")
"""What MIME sniffing takes for binary: https://mimesniff.spec.whatwg.org/#binary-data-byte"""
MOST_CONTROL = 0.01  # of all characters; a stray one is in many a text


def text_of(content: bytes, content_type: str, encoding: str, most: int) -> str:
    """Return the text, with uniform line ends; raise ``Permanent`` if it is none.

    ``content_type`` and ``encoding``: the object's Content-Type and Content-Encoding.
    ``most``: the bytes that it may have when it is decompressed.
    """
    content = _decompressed(content, encoding, most)
    text = _decoded(content, _charset(content, content_type))
    if "\0" in text or len(CONTROL.findall(text)) > MOST_CONTROL * len(text):
        raise Permanent("the document is binary, not text")
    if not text.strip():
        raise Permanent("the document is empty")
    return "\n".join(text.splitlines())


def too_large(most: int) -> Permanent:
    """Return the error of a document that has too many bytes."""
    return Permanent(f"the document has more than {most} bytes")


def _decompressed(content: bytes, encoding: str, most: int) -> bytes:
    codings = {coding.strip().lower() for coding in encoding.split(",")}
    match sorted(codings - {"", "identity", "aws-chunked"}):  # the last is of uploads alone
        case []:
            return content
        case ["gzip" | "x-gzip"]:
            return _gunzipped(content, most)
    raise Permanent("the document's Content-Encoding is not gzip")


def _gunzipped(content: bytes, most: int) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
            plain = file.read(most + 1)
    except (OSError, EOFError, zlib.error):
        raise Permanent("the document's gzip is damaged") from None
    if len(plain) > most:
        raise too_large(most)
    return plain


def _charset(content: bytes, content_type: str) -> str:
    """Return the encoding that the byte order mark or the Content-Type tells; else UTF-8."""
    for mark, charset in BOMS.items():
        if content.startswith(mark):
            return charset
    header = Message()
    header["Content-Type"] = content_type
    return header.get_content_charset() or "utf-8"


def _decoded(content: bytes, charset: str) -> str:
    try:
        return content.decode("unknown" if NO_CHARSETS.fullmatch(charset) else charset)
    except LookupError:  # also of a codec that does not make text
        raise Permanent("the document's charset is unknown") from None
    except ValueError:
        raise Permanent("the document is not text in UTF-8 or in the charset it names") from None
