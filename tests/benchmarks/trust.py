"""Certificates that a cold start loads: certifi's and the authority of the test servers.

The replaced side loads them as one file, as httpx and botocore do by default. This library loads a
hashed directory of the same certificates, as a deployed function does: OpenSSL opens only the file
of the authority it needs. (Python 3.11 with OpenSSL 3.0: 42 ms for the file, 0.4 ms for the
directory.)
"""

from dataclasses import dataclass
from pathlib import Path

import certifi
from layers.package.certificates import rehash


@dataclass(frozen=True)
class Trust:
    """The same certificates as a file and as a hashed directory."""

    file: Path
    directory: Path

    @classmethod
    def made(cls, folder: Path, authority: Path) -> "Trust":
        """Write both; the directory as the layer's build does."""
        file, directory = folder / "bundle.pem", folder / "hashed"
        file.write_text(certifi.contents() + authority.read_text())
        rehash(file, directory)
        return cls(file, directory)

    def of_a_file(self) -> dict[str, str]:
        """Return the variables by which httpx and botocore load the file."""
        return {"SSL_CERT_FILE": str(self.file), "AWS_CA_BUNDLE": str(self.file)}

    def of_a_directory(self) -> dict[str, str]:
        """Return the variable by which OpenSSL looks certificates up in the directory."""
        return {"SSL_CERT_DIR": str(self.directory)}
