"""Write certifi's certificates as a folder that OpenSSL reads one at a time (``openssl rehash``).

The name of a file is a hash of the certificate's subject (X509_NAME_hash in OpenSSL's x509_cmp.c
and x_name.c): the first four bytes, little-endian, of the SHA-1 of the canonical subject.
"""

from __future__ import annotations

import hashlib
import re
import ssl
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

SEQUENCE, SET, VERSION, UTF8 = 0x30, 0x31, 0xA0, 0x0C
LONG = 0x80  # the bit of a length that takes several bytes (X.690, section 8.1.3)
# The encoding of each kind of ASN.1 string; other kinds enter the hash unchanged.
TEXTS = {
    UTF8: "utf-8", 0x13: "ascii", 0x14: "latin-1", 0x16: "ascii",
    0x1A: "ascii", 0x1C: "utf-32-be", 0x1E: "utf-16-be",
}  # fmt: skip
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_SPACES = re.compile(rb"[ \t\n\v\f\r]+")


def rehash(bundle: Path, into: Path) -> None:
    """Write each certificate of a PEM bundle to a folder, under its hashed name."""
    into.mkdir()
    numbers: Counter[str] = Counter()
    for pem in _PEM.findall(bundle.read_text(encoding="utf-8")):
        name = subject_hash(ssl.PEM_cert_to_DER_cert(pem))
        (into / f"{name}.{numbers[name]}").write_text(f"{pem}\n", encoding="ascii")
        numbers[name] += 1


def subject_hash(certificate: bytes) -> str:
    """Return the eight hexadecimal digits by which OpenSSL finds a certificate (in DER)."""
    (whole,) = _parts(certificate)
    signed = next(_parts(whole.value))
    fields = [part for part in _parts(signed.value) if part.tag != VERSION]
    subject = fields[4]  # after serial number, signature, issuer, validity (RFC 5280, section 4.1)
    canonical = b"".join(map(_canonical_set, _parts(subject.value)))
    found = hashlib.sha1(canonical, usedforsecurity=False).digest()
    return found[3::-1].hex()


class _Part(NamedTuple):
    tag: int
    value: bytes


def _parts(data: bytes) -> Iterator[_Part]:
    """Yield the elements in the value of a DER element."""
    at = 0
    while at < len(data):
        tag, length, start = data[at], data[at + 1], at + 2
        if length & LONG:
            start += length - LONG
            length = int.from_bytes(data[at + 2 : start])
        at = start + length
        yield _Part(tag, data[start:at])


def _element(tag: int, value: bytes) -> bytes:
    size = len(value).to_bytes((len(value).bit_length() + 7) // 8)
    length = bytes([len(value)]) if len(value) < LONG else bytes([LONG + len(size)]) + size
    return bytes([tag]) + length + value


def _canonical_set(names: _Part) -> bytes:
    """Return one relative distinguished name with the canonical text of each attribute."""
    return _element(SET, b"".join(sorted(map(_canonical_attribute, _parts(names.value)))))


def _canonical_attribute(attribute: _Part) -> bytes:
    kind, text = _parts(attribute.value)
    return _element(SEQUENCE, _element(*kind) + _canonical_text(text))


def _canonical_text(text: _Part) -> bytes:
    """Return text as UTF-8 with ASCII letters in lower case and spaces collapsed."""
    if text.tag not in TEXTS:
        return _element(*text)
    encoded = text.value.decode(TEXTS[text.tag]).encode()
    return _element(UTF8, _SPACES.sub(b" ", encoded).strip(b" ").lower())
