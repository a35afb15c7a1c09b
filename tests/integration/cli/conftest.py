"""Run the command line, and describe a stack of the kit to it."""

import os
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import boto3
import pytest
from moto import mock_aws
from tests.integration.cli.cloudformation import serve_stack
from tests.integration.cli.examination import Doctor

from llm_cache._cli.main import main
from llm_cache._doctor import database, ssm, stack
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
def stack_ssm(aws: boto3.Session, upstash: UpstashEndpoint) -> Any:
    """SSM with the URL and the token of ``upstash``, which the stack names."""
    ssm = aws.client("ssm")
    for name, value in {"/shop/url": upstash.url, "/shop/token": upstash.token}.items():
        ssm.put_parameter(Name=name, Value=value, Type="SecureString")
    return ssm


@pytest.fixture
def environment(upstash: UpstashEndpoint, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The variables of a cache that works, and no others of the library."""
    for name in os.environ:
        if name.startswith(("LLM_CACHE_", "UPSTASH_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("UPSTASH_REDIS_REST_URL", upstash.url)
    monkeypatch.setenv("UPSTASH_REDIS_REST_TOKEN", upstash.token)
    monkeypatch.setenv("LLM_CACHE_NAMESPACE", "shop")
    monkeypatch.setenv("LLM_CACHE_TIMEOUT", "60")  # a busy machine is not a fault
    for module, name in (
        (database, "COMMAND_SECONDS"),
        (database, "ALL_SECONDS"),
        (ssm, "SECONDS"),
        (stack, "SECONDS"),
    ):
        monkeypatch.setattr(module, name, 60.0)
    return monkeypatch


@pytest.fixture
def doctor(environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Doctor:
    return Doctor(capsys)
