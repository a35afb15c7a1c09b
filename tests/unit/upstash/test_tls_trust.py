"""Which certificates a connection trusts."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import certifi
import pytest
from tests.faults.certificate_authority import Authority

from llm_cache._upstash import tls_trust


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    tls_trust.tls_context.cache_clear()
    yield
    tls_trust.tls_context.cache_clear()


def subjects(context: ssl.SSLContext) -> set[str]:
    return {str(certificate["subject"]) for certificate in context.get_ca_certs()}


def trusted() -> set[str]:
    """Return the trusted subjects of a context that verifies the server."""
    context = tls_trust.tls_context()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    return subjects(context)


def test_certificates_of_certifi_are_the_default() -> None:
    expected = subjects(ssl.create_default_context(cafile=certifi.where()))
    assert trusted() == expected
    assert len(expected) > 50


def test_certificate_file_of_the_environment_is_the_only_trust(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(Authority.create(tmp_path).file))
    monkeypatch.setenv("SSL_CERT_DIR", "/nowhere")
    (subject,) = trusted()
    assert "test authority" in subject


def test_certificate_folder_of_the_environment_or_of_the_layer_is_the_only_trust(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    assert trusted() == set()
    monkeypatch.delenv("SSL_CERT_DIR")
    tls_trust.tls_context.cache_clear()
    monkeypatch.setattr(tls_trust, "HASHED", tmp_path)
    assert trusted() == set()
