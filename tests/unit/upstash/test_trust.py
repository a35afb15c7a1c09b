"""Which certificates a server may prove itself with."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import certifi
import pytest
from tests.faults.certificate_authority import Authority

from llm_cache._upstash import trust


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    trust.trusted.cache_clear()
    yield
    trust.trusted.cache_clear()


def subjects(context: ssl.SSLContext) -> set[str]:
    return {str(certificate["subject"]) for certificate in context.get_ca_certs()}


def test_certificates_are_those_of_certifi_unless_told_otherwise() -> None:
    expected = ssl.create_default_context(cafile=certifi.where())
    assert subjects(trust.trusted()) == subjects(expected)
    assert len(subjects(expected)) > 50


def test_file_of_the_environment_is_the_only_trust(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(Authority.create(tmp_path).file))
    monkeypatch.setenv("SSL_CERT_DIR", "/nowhere")
    (subject,) = subjects(trust.trusted())
    assert "test authority" in subject


def test_folder_of_the_environment_is_the_only_trust(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    assert subjects(trust.trusted()) == set()


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR", ""])
def test_server_is_always_verified(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str
) -> None:
    if variable:
        monkeypatch.setenv(variable, str(Authority.create(tmp_path).file))
    context = trust.trusted()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


def test_folder_of_the_layer_is_read_when_it_is_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(trust, "HASHED", tmp_path)
    assert subjects(trust.trusted()) == set()
