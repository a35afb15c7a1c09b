"""Run the command line, on a stack of the kit or on the variables of a cache."""

import os
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from tests.command_line import run  # noqa: F401  a fixture
from tests.deployed_stack import deployed
from tests.integration.cli.examination import Doctor

from llm_cache._doctor import database, ssm, stack
from upstash_endpoint.endpoint import UpstashEndpoint

PARAMETERS = {"UpstashUrlParameter": "/shop/url", "UpstashTokenParameter": "/shop/token"}


@pytest.fixture
def aws() -> Iterator[boto3.Session]:
    """An account in moto with the stack ``shop``, which the environment selects."""
    with deployed("http://unused.test/", PARAMETERS):
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
