"""The TLS settings of every connection, and the certificates that they trust."""

from __future__ import annotations

import functools
import os
import ssl
from pathlib import Path

HASHED = Path(__file__).with_name("certificates")
"""certifi's certificates as a folder of hashed names, which the layer's build makes.

OpenSSL reads only the certificate it needs from a folder: 0.4 ms, against 42 ms of CPU for
certifi's file.
"""


@functools.cache
def tls_context() -> ssl.SSLContext:
    """Return the TLS settings of every connection: the server is always verified.

    The trust store is ``SSL_CERT_FILE`` or ``SSL_CERT_DIR``, else ``HASHED``, else certifi's file.
    Loaded once in a process.
    """
    if file := os.environ.get("SSL_CERT_FILE"):
        return ssl.create_default_context(cafile=file)
    if folder := os.environ.get("SSL_CERT_DIR"):
        return ssl.create_default_context(capath=folder)
    if HASHED.is_dir():
        return ssl.create_default_context(capath=HASHED)
    import certifi

    return ssl.create_default_context(cafile=certifi.where())
