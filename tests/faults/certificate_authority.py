"""TLS certificates for servers on loopback."""

import datetime as dt
import secrets
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class Authority:
    """Signs certificates; a client trusts them if SSL_CERT_FILE names ``file``."""

    directory: Path
    name: x509.Name
    key: ec.EllipticCurvePrivateKey
    file: Path

    @classmethod
    def create(cls, directory: Path, name: x509.Name | None = None) -> "Authority":
        """Make an authority that no client trusts yet."""
        key, name = ec.generate_private_key(ec.SECP256R1()), name or _named("test authority")
        builder = _builder(name, name, key.public_key(), DAY)
        basic = x509.BasicConstraints(ca=True, path_length=0)
        certificate = builder.add_extension(basic, critical=True).sign(key, hashes.SHA256())
        file = directory / "authority.pem"
        file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return cls(directory, name, key, file)

    def server_context(self, host: str, *, expires: dt.timedelta = DAY) -> ssl.SSLContext:
        """Return the TLS context of a server with a new certificate for ``host``."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(self.name, _named(host), key.public_key(), expires)
        names = x509.SubjectAlternativeName([x509.DNSName(host)])
        certificate = builder.add_extension(names, critical=False).sign(self.key, hashes.SHA256())
        pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
        private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
        file = self.directory / f"{secrets.token_hex(8)}.pem"
        file.write_bytes(private + certificate.public_bytes(pem))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _builder(
    issuer: x509.Name, subject: x509.Name, key: ec.EllipticCurvePublicKey, expires: dt.timedelta
) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder(issuer, subject, key, x509.random_serial_number())
    now = dt.datetime.now(dt.UTC)
    return builder.not_valid_before(now - 2 * DAY).not_valid_after(now + expires)
