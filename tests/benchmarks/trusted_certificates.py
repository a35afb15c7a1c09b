"""The certificates that a cold start loads: certifi's and the authority of the test servers.

httpx and botocore, of the replaced class, load one file by default (42 ms, Python 3.11 with OpenSSL
3.0). This library reads a hashed directory, as deployed: OpenSSL opens only one certificate of it
(0.4 ms).
"""

from dataclasses import dataclass
from pathlib import Path

import certifi
from layers.package.hashed_certificates import rehash


@dataclass(frozen=True)
class TrustedCertificates:
    """The same certificates as a file and as a hashed directory."""

    file: Path
    directory: Path

    @classmethod
    def create(cls, folder: Path, authority: Path) -> "TrustedCertificates":
        """Write both; the layer's build writes the directory in the same way."""
        file, directory = folder / "bundle.pem", folder / "hashed"
        file.write_text(certifi.contents() + authority.read_text())
        rehash(file, directory)
        return cls(file, directory)

    @property
    def in_a_file(self) -> dict[str, str]:
        """The variables by which httpx and botocore load the file."""
        return {"SSL_CERT_FILE": str(self.file), "AWS_CA_BUNDLE": str(self.file)}

    @property
    def in_a_directory(self) -> dict[str, str]:
        """The variable by which OpenSSL finds the directory."""
        return {"SSL_CERT_DIR": str(self.directory)}
