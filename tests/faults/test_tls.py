"""Who cannot prove to be the one in the address is not sent the token."""

import asyncio
import datetime as dt
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.faults import servers

from llm_cache import StoreUnavailable
from llm_cache.credentials import Credentials
from llm_cache.store import UpstashStore

NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
LOCALHOST = x509.SubjectAlternativeName([x509.DNSName("localhost")])


@pytest.fixture
def context(tmp_path: Path) -> ssl.SSLContext:
    """A server's certificate, right in all but that nobody known has signed it."""
    key, now = ec.generate_private_key(ec.SECP256R1()), dt.datetime.now(dt.UTC)
    made = x509.CertificateBuilder(NAME, NAME, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(now).not_valid_after(now + dt.timedelta(hours=1))
    certificate = made.add_extension(LOCALHOST, critical=False).sign(key, hashes.SHA256())
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    file = tmp_path / "server.pem"
    file.write_bytes(private + certificate.public_bytes(pem))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file)
    return server


@pytest.fixture
def pretender(context: ssl.SSLContext) -> Iterator[tuple[str, list[bytes]]]:
    """A server that notes what it is sent once it is trusted."""
    sent: list[bytes] = []

    def read(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secured:
            sent.append(secured.recv(65536))

    with servers.serving(read) as url:
        yield url.replace("http://127.0.0.1", "https://localhost"), sent


def test_a_certificate_that_nobody_known_has_signed_gets_no_token(
    pretender: tuple[str, list[bytes]],
) -> None:
    url, sent = pretender
    store = UpstashStore(lambda: Credentials(url, "token"))
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            store.execute(("GET", "k"), 5)
        with pytest.raises(StoreUnavailable):
            asyncio.run(store.aexecute(("GET", "k"), 5))
    assert sent == []
