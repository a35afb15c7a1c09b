"""Run the command line, and describe a stack of the kit to it."""

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import boto3
import pytest
from moto import mock_aws
from tests.integration.cli.cloudformation import serve_stack

from llm_cache._cli.main import main
from llm_cache._stack.deployed_stack import KIT_PARAMETERS
from upstash_endpoint.endpoint import UpstashEndpoint

STACK = "shop"
PARAMETERS = dict.fromkeys(KIT_PARAMETERS, "-") | {
    "UpstashUrlParameter": "/shop/url",
    "UpstashTokenParameter": "/shop/token",
}
Run: TypeAlias = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command line; return its exit code, and what it printed."""

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(arguments)
        return (code, *capsys.readouterr())

    return run


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[boto3.Session]:
    """An account in moto with one stack of the kit, which the environment selects."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    with serve_stack(STACK, PARAMETERS, {"CacheNamespace": STACK}) as url, mock_aws():
        monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDFORMATION", url)
        yield boto3.Session()


@pytest.fixture
def ssm(aws: boto3.Session, upstash: UpstashEndpoint) -> Any:
    """SSM with the URL and the token of ``upstash``, which the stack names."""
    ssm = aws.client("ssm")
    for name, value in {"/shop/url": upstash.url, "/shop/token": upstash.token}.items():
        ssm.put_parameter(Name=name, Value=value, Type="SecureString")
    return ssm
