"""Which bytes are a text, and which text they are."""

import gzip
from codecs import BOM_UTF16_BE, BOM_UTF16_LE, BOM_UTF32_BE, BOM_UTF32_LE

import pytest

from document_text import decoded_text
from summary_errors import PermanentError

WORDS = "Grüße aus Łódź, 日本."
MOST = 2000
PLAIN, NONE = "text/plain", ""


def read(content: bytes, content_type: str = PLAIN, encoding: str = NONE) -> str:
    return decoded_text(content, content_type, encoding, MOST)


@pytest.mark.parametrize(
    "content",
    [
        WORDS.encode(),
        WORDS.encode("utf-8-sig"),
        BOM_UTF16_LE + WORDS.encode("utf-16-le"),
        BOM_UTF16_BE + WORDS.encode("utf-16-be"),
        BOM_UTF32_LE + WORDS.encode("utf-32-le"),
        BOM_UTF32_BE + WORDS.encode("utf-32-be"),
    ],
)
@pytest.mark.parametrize("content_type", ["", "binary/octet-stream", "text/plain; charset=latin-1"])
def test_byte_order_mark_tells_the_encoding_before_the_content_type(
    content: bytes, content_type: str
) -> None:
    if content == WORDS.encode():
        content_type = PLAIN  # without a mark, the content type counts
    assert read(content, content_type) == WORDS


@pytest.mark.parametrize(
    ("charset", "codec"),
    [
        ("utf-8", "utf-8"),
        ('"UTF-8"', "utf-8"),
        ("utf-16le", "utf-16-le"),
        ("UTF-16BE", "utf-16-be"),
        ("utf-32le", "utf-32-le"),
        ("gb18030", "gb18030"),
    ],
)
def test_charset_of_the_content_type_tells_the_encoding(charset: str, codec: str) -> None:
    assert read(WORDS.encode(codec), f"text/markdown; x=y; charset={charset}") == WORDS


def test_text_in_latin_1_is_read_where_its_charset_says_so() -> None:
    for charset in ("iso-8859-1", "windows-1252"):
        assert read("Grüße".encode("latin-1"), f"text/plain; charset={charset}") == "Grüße"


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "x-gzip", "aws-chunked, gzip"])
def test_gzip_is_decompressed(encoding: str) -> None:
    content = gzip.compress(WORDS.encode("utf-16"))
    assert read(content, PLAIN, encoding) == WORDS
    assert read(content + gzip.compress(b""), PLAIN, encoding) == WORDS


@pytest.mark.parametrize("content_type", ["", "text/plain; charset=", "application/json", "?;;="])
def test_text_is_utf_8_if_its_content_type_names_no_charset(content_type: str) -> None:
    assert read(WORDS.encode(), content_type) == WORDS


@pytest.mark.parametrize("encoding", ["", "identity", "aws-chunked"])
def test_other_names_of_no_encoding_are_understood(encoding: str) -> None:
    assert read(WORDS.encode(), PLAIN, encoding) == WORDS


def test_lines_end_alike_and_stray_control_characters_are_accepted() -> None:
    assert read(b"one\r\ntwo\rthree\n") == "one\ntwo\nthree"
    assert "\x1b" in read(b"\x1b[31mred\x1b[0m" + b" and so on" * 20)
    assert read(b"a\x07" + b"b" * 200)


PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
REFUSED = {
    "empty": (b"", PLAIN, NONE, "empty"),
    "blank": (b" \n\n ", PLAIN, NONE, "empty"),
    "UTF-16 without a mark": ("Plain words.".encode("utf-16-le"), PLAIN, NONE, "binary"),
    "UTF-16 without a mark, not Latin": (
        WORDS.encode("utf-16-le"),
        PLAIN,
        NONE,
        "not text in UTF-8",
    ),
    "half of a UTF-16": (BOM_UTF16_LE + b"a", PLAIN, NONE, "not text in UTF-8"),
    "an image": (PNG, "image/png", NONE, "not text in UTF-8"),
    "an image of a charset": (PNG, "text/plain; charset=latin-1", NONE, "binary"),
    "control characters": (b"\x01\x02\x03 text", PLAIN, NONE, "binary"),
    "an unknown charset": (b"a", "text/plain; charset=klingon", NONE, "charset is unknown"),
    "a codec that makes no text": (
        b"YQ==",
        "text/plain; charset=base64",
        NONE,
        "charset is unknown",
    ),
    "a codec of domain names": (
        b"a" * 1000,
        "text/plain; charset=punycode",
        NONE,
        "charset is unknown",
    ),
    "a codec of Python's source": (
        b"a",
        "text/plain; charset=unicode_escape",
        NONE,
        "charset is unknown",
    ),
    "another compression": (b"a", PLAIN, "br", "not gzip"),
    "two compressions": (b"a", PLAIN, "gzip, br", "not gzip"),
    "no gzip": (b"plain", PLAIN, "gzip", "damaged"),
    "half a gzip": (gzip.compress(b"a" * 900)[:-9], PLAIN, "gzip", "damaged"),
    "a gzip bomb": (gzip.compress(b"a" * 10_000_000), PLAIN, "gzip", "more than 2000 bytes"),
}


@pytest.mark.parametrize(("content", "kind", "encoding", "why"), REFUSED.values(), ids=REFUSED)
def test_document_that_is_no_text_is_refused_for_good(
    content: bytes, kind: str, encoding: str, why: str
) -> None:
    with pytest.raises(PermanentError, match=why):
        read(content, kind, encoding)
