"""A mock of SSM for boto3, and the calls that read it."""

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import boto3
import pytest
from botocore.client import BaseClient
from botocore.config import Config
from moto import mock_aws

PutParameter: TypeAlias = Callable[[str, str], object]


@pytest.fixture
def put_parameter(monkeypatch: pytest.MonkeyPatch) -> Iterator[PutParameter]:
    """Store a parameter in the mock."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        put = boto3.client("ssm").put_parameter
        kind: Any = {"Type": "SecureString", "Overwrite": True}
        yield lambda name, value: put(Name=name, Value=value, **kind)


@pytest.fixture
def ssm_reads(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Config]]:
    """The name of each call that reads, and the configuration of its client."""
    reads, call = list[tuple[str, Config]](), BaseClient._make_api_call

    def record(client: Any, operation: str, parameters: Any) -> Any:
        if operation.startswith("Get"):
            reads.append((operation, client.meta.config))
        return call(client, operation, parameters)

    monkeypatch.setattr(BaseClient, "_make_api_call", record)
    return reads
