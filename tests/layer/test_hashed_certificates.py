"""The layer has certifi's certificates under the file names that OpenSSL uses."""

import ssl
from contextlib import suppress
from pathlib import Path

import certifi
import pytest
from cryptography import x509
from cryptography.x509.name import _ASN1Type as Kind
from cryptography.x509.oid import NameOID
from layers.package.hashed_certificates import rehash
from tests.faults.certificate_authority import Authority
from tests.layer.artifacts import Artifacts

BUNDLE = Path(certifi.where())
KNOWN = {
    "Amazon Root CA 1": "ce5e74ef.0",
    "DigiCert Global Root G2": "607986c7.0",
    "GTS Root R1": "1001acf7.0",
    "ISRG Root X1": "4042bcee.0",
}
"""The file names of Linux distributions in /etc/ssl/certs."""
CN, UNIT = NameOID.COMMON_NAME, NameOID.ORGANIZATIONAL_UNIT_NAME


def named(text: str, kind: Kind = Kind.UTF8String) -> x509.RelativeDistinguishedName:
    return x509.RelativeDistinguishedName([x509.NameAttribute(CN, text, kind)])


NAMES = {
    "spaces": [named("  An   Authority\tof the  Tests ")],
    "unicode": [named("Åutorité Ψ 権威")],
    "printable": [named("Printable CA", Kind.PrintableString)],
    "IA5": [named("ia5@CA", Kind.IA5String)],
    "BMP": [named("BMP Ψ", Kind.BMPString)],
    "universal": [named("Universal 権", Kind.UniversalString)],
    "long": [named("long " * 12), named("and " * 12), named("longer " * 9)],
    "several": [
        x509.RelativeDistinguishedName(
            [x509.NameAttribute(UNIT, "Zed"), x509.NameAttribute(CN, "Ann")]
        ),
        named("second"),
    ],
}


def handshake(folder: Path, server: ssl.SSLContext) -> None:
    """Complete a TLS handshake in memory; the client trusts only ``folder``."""
    client = ssl.create_default_context(capath=folder)
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname="host.test"),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for _ in range(9):
        for end in list(ends):
            with suppress(ssl.SSLWantReadError):
                end.do_handshake()
                ends.remove(end)
    assert ends == []


@pytest.mark.parametrize("kind", NAMES)
def test_client_trusts_a_server_of_a_hashed_authority(tmp_path: Path, kind: str) -> None:
    authority = Authority.create(tmp_path, x509.Name(NAMES[kind]))
    rehash(authority.file, tmp_path / "hashed")
    handshake(tmp_path / "hashed", authority.server_context("host.test"))
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(tmp_path / "none", authority.server_context("host.test"))


def test_authorities_with_equal_names_are_numbered(tmp_path: Path) -> None:
    pems = [Authority.create(tmp_path).file.read_text() for _ in range(3)]
    bundle = tmp_path / "bundle.pem"
    bundle.write_text("".join(pems))
    rehash(bundle, tmp_path / "hashed")
    files = sorted((tmp_path / "hashed").iterdir())
    assert [file.suffix for file in files] == [".0", ".1", ".2"]
    assert len({file.stem for file in files}) == 1
    assert [file.read_text() for file in files] == pems


def test_public_certificates_have_the_file_names_of_openssl(tmp_path: Path) -> None:
    rehash(BUNDLE, tmp_path / "hashed")
    for subject, name in KNOWN.items():
        found = x509.load_pem_x509_certificate((tmp_path / "hashed" / name).read_bytes())
        assert [found.subject.get_attributes_for_oid(CN)[0].value] == [subject]


def test_layer_contains_certifi_s_certificates(artifacts: Artifacts) -> None:
    bundle = (artifacts.layer / "certifi/cacert.pem").read_text()
    files = (artifacts.layer / "llm_cache/_upstash/certificates").iterdir()
    found = [file.read_text() for file in files]
    assert all(certificate in bundle for certificate in found)
    assert len(set(found)) == len(found) == bundle.count("BEGIN CERTIFICATE")


def test_layer_loads_no_certificate_in_advance(host: Artifacts) -> None:
    script = (
        "from llm_cache._upstash.tls_trust import tls_context as c; print(c().cert_store_stats())"
    )
    assert host.run(None, script) == "{'x509': 0, 'crl': 0, 'x509_ca': 0}"
