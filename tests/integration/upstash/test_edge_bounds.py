"""How long reading SSM may take, and how much of an error of Upstash is told."""

import json
import socket
from typing import Any

import boto3
import pytest
from botocore.client import BaseClient
from moto import mock_aws
from tests.faults import socket_servers

from llm_cache import CacheConfig, Signing, StoreRefused
from llm_cache._upstash.credentials import Credentials, fetch
from llm_cache._upstash.upstash_store import UpstashStore

LONGEST = 10.0  # seconds that SSM may take in all, with its one retry


def test_silent_ssm_holds_a_caller_for_ten_seconds_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    configured, call = [], BaseClient._make_api_call

    def noted(client: Any, operation: str, parameters: Any) -> Any:
        configured.append(client.meta.config)
        return call(client, operation, parameters)

    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        for name, value in (("/url", "https://x.upstash.io"), ("/token", "token")):
            boto3.client("ssm").put_parameter(Name=name, Value=value, Type="SecureString")
        monkeypatch.setattr(BaseClient, "_make_api_call", noted)
        fetch(CacheConfig(namespace="n", url_parameter="/url", token_parameter="/token"), Signing)
    (config,) = configured
    tries = config.retries["total_max_attempts"]
    assert tries * (config.connect_timeout + config.read_timeout) <= LONGEST


def wordy(connection: socket.socket) -> None:
    """Refuse each command at length."""
    while socket_servers.read_command(connection):
        told = json.dumps({"error": "ERR " + "word " * 1000}).encode()
        head = f"HTTP/1.1 400 Bad Request\r\nContent-Length: {len(told)}\r\n\r\n"
        connection.sendall(head.encode() + told)


def test_long_error_of_upstash_is_cut() -> None:
    with socket_servers.serving(wordy) as url:
        store = UpstashStore(lambda: Credentials(url, "token"))
        with pytest.raises(StoreRefused, match=r"^ERR word") as raised:
            store.execute(("GET", "k"), 5)
    assert 100 < len(str(raised.value)) <= 200
