"""Commands on the database of a stack, whose secrets are in SSM."""

from collections.abc import Iterator

import boto3
import pytest
from langchain_core.outputs import Generation
from tests.deployed_stack import REGION, STACK, deployed
from upstash_redis import Redis

from llm_cache import UpstashRedisCache
from llm_cache._cli.main import main
from upstash_endpoint.endpoint import UpstashEndpoint

URL, TOKEN, FLUSH_TOKEN = "/shop/url", "/shop/token", "/shop/flush-token"
PARAMETERS = {
    "UpstashUrlParameter": URL,
    "UpstashTokenParameter": TOKEN,
    "UpstashFlushTokenParameter": FLUSH_TOKEN,
}


@pytest.fixture
def _stack(upstash: UpstashEndpoint) -> Iterator[None]:
    """The stack ``shop``; only the token of its flush function is valid."""
    with deployed("http://x/", PARAMETERS):
        ssm = boto3.client("ssm", region_name=REGION)
        for name, value in ((URL, upstash.url), (TOKEN, "wrong"), (FLUSH_TOKEN, upstash.token)):
            ssm.put_parameter(Name=name, Value=value, Type="SecureString")
        yield


@pytest.mark.usefixtures("_stack")
def test_clear_and_reclaim_use_the_namespace_and_the_token_of_the_stack(
    redis: Redis, capsys: pytest.CaptureFixture[str]
) -> None:
    cache = UpstashRedisCache(redis, namespace=STACK)
    cache.update("prompt", "model", [Generation(text="answer")])
    UpstashRedisCache(redis, namespace="other").update("p", "model", [Generation(text="answer")])
    assert main(["clear", "--yes", "--stack", STACK]) == 0
    assert cache.lookup("prompt", "model") is None
    cache.update("prompt", "model", [Generation(text="answer")])
    assert main(["clear", "--yes", "--stack", STACK, "--reclaim", "5"]) == 0
    assert capsys.readouterr().out == "cleared shop\ncleared shop; reclaimed 1 of 1 entries\n"
    assert redis.keys("shop:entry:*") == []
    assert len(redis.keys("other:entry:*")) == 1


@pytest.mark.usefixtures("_stack")
def test_missing_parameter_of_the_stack_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    boto3.client("ssm", region_name=REGION).delete_parameter(Name=FLUSH_TOKEN)
    assert main(["clear", "--yes", "--stack", STACK]) == 3
    assert FLUSH_TOKEN in capsys.readouterr().err
