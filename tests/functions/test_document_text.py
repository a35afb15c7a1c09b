"""The text of a document: encodings, compression, and bytes that are not a text."""

import gzip
from codecs import BOM_UTF16_BE, BOM_UTF16_LE, BOM_UTF32_BE, BOM_UTF32_LE

import pytest

from document_text import decoded_text
from summary_errors import PermanentError

WORDS = "Grüße aus Łódź, 日本."
LIMIT = 2000
PLAIN = "text/plain"


def read(content: bytes, content_type: str = PLAIN, encoding: str = "") -> str:
    return decoded_text(content, content_type, encoding, LIMIT)


@pytest.mark.parametrize(
    "content",
    [
        WORDS.encode("utf-8-sig"),
        BOM_UTF16_LE + WORDS.encode("utf-16-le"),
        BOM_UTF16_BE + WORDS.encode("utf-16-be"),
        BOM_UTF32_LE + WORDS.encode("utf-32-le"),
        BOM_UTF32_BE + WORDS.encode("utf-32-be"),
    ],
)
@pytest.mark.parametrize("content_type", ["", "binary/octet-stream", "text/plain; charset=latin-1"])
def test_byte_order_mark_precedes_the_content_type(content: bytes, content_type: str) -> None:
    assert read(content, content_type) == WORDS


@pytest.mark.parametrize(
    ("charset", "codec", "words"),
    [
        ("utf-8", "utf-8", WORDS),
        ('"UTF-8"', "utf-8", WORDS),
        ("utf-16le", "utf-16-le", WORDS),
        ("UTF-16BE", "utf-16-be", WORDS),
        ("utf-32le", "utf-32-le", WORDS),
        ("gb18030", "gb18030", WORDS),
        ("iso-8859-1", "latin-1", "Grüße"),
        ("windows-1252", "latin-1", "Grüße"),
    ],
)
def test_charset_of_the_content_type_is_used(charset: str, codec: str, words: str) -> None:
    assert read(words.encode(codec), f"text/markdown; x=y; charset={charset}") == words


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "x-gzip", "aws-chunked, gzip"])
def test_gzip_is_decompressed(encoding: str) -> None:
    content = gzip.compress(WORDS.encode("utf-16"))
    assert read(content, PLAIN, encoding) == WORDS
    assert read(content + gzip.compress(b""), PLAIN, encoding) == WORDS


@pytest.mark.parametrize(
    ("content_type", "encoding"),
    [
        *((kind, "") for kind in (PLAIN, "", "text/plain; charset=", "application/json", "?;;=")),
        *((PLAIN, encoding) for encoding in ("identity", "aws-chunked")),
    ],
)
def test_text_is_uncompressed_utf_8_by_default(content_type: str, encoding: str) -> None:
    assert read(WORDS.encode(), content_type, encoding) == WORDS


def test_line_ends_are_uniform_and_a_stray_control_character_is_accepted() -> None:
    assert read(b"one\r\ntwo\rthree\n") == "one\ntwo\nthree"
    assert "\x1b" in read(b"\x1b[31mred\x1b[0m" + b" and so on" * 20)
    assert read(b"a\x07" + b"b" * 200)


PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
NO_TEXT, UNKNOWN = "not text in UTF-8", "charset is unknown"
REFUSED = {
    "empty": (b"", PLAIN, "", "empty"),
    "blank": (b" \n\n ", PLAIN, "", "empty"),
    "UTF-16 without a mark": ("Plain words.".encode("utf-16-le"), PLAIN, "", "binary"),
    "UTF-16 without a mark, not Latin": (WORDS.encode("utf-16-le"), PLAIN, "", NO_TEXT),
    "half a UTF-16 character": (BOM_UTF16_LE + b"a", PLAIN, "", NO_TEXT),
    "an image": (PNG, "image/png", "", NO_TEXT),
    "an image with a charset": (PNG, "text/plain; charset=latin-1", "", "binary"),
    "control characters": (b"\x01\x02\x03 text", PLAIN, "", "binary"),
    "an unknown charset": (b"a", "text/plain; charset=klingon", "", UNKNOWN),
    "a codec to bytes": (b"YQ==", "text/plain; charset=base64", "", UNKNOWN),
    "a codec of domain names": (b"a" * 1000, "text/plain; charset=punycode", "", UNKNOWN),
    "a codec of Python source": (b"a", "text/plain; charset=unicode_escape", "", UNKNOWN),
    "another compression": (b"a", PLAIN, "br", "not gzip"),
    "two compressions": (b"a", PLAIN, "gzip, br", "not gzip"),
    "not gzip": (b"plain", PLAIN, "gzip", "damaged"),
    "truncated gzip": (gzip.compress(b"a" * 900)[:-9], PLAIN, "gzip", "damaged"),
    "a gzip bomb": (gzip.compress(b"a" * 10_000_000), PLAIN, "gzip", "more than 2000 bytes"),
}


@pytest.mark.parametrize(("content", "kind", "encoding", "why"), REFUSED.values(), ids=REFUSED)
def test_document_that_is_not_a_text_is_refused(
    content: bytes, kind: str, encoding: str, why: str
) -> None:
    with pytest.raises(PermanentError, match=why):
        read(content, kind, encoding)
