"""Where Upstash is, read from SSM at run time."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.client import BaseClient
from langchain_core.outputs import Generation
from moto import mock_aws
from tests.faults.faulty_proxy import faulty_proxy
from tests.faults.http_faults import close_without_reply
from upstash_redis import Redis

from llm_cache import CacheConfig, CachePolicy, Signing, StoreUnavailable, UpstashRedisCache
from llm_cache._admin.cli import main
from llm_cache._protocol import clearing
from llm_cache._upstash import credentials
from llm_cache._upstash.credentials import Credentials, fetch
from upstash_endpoint.endpoint import UpstashEndpoint

NAMES = {
    "LLM_CACHE_URL_PARAMETER": "/cache/url",
    "LLM_CACHE_TOKEN_PARAMETER": "/cache/token",
    "LLM_CACHE_NAMESPACE": "ssm",
}
ANSWER = [Generation(text="answer")]


@pytest.fixture
def ssm(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        yield


def put(url: str, token: str) -> None:
    client = boto3.client("ssm")
    for name, value in (("/cache/url", url), ("/cache/token", token)):
        client.put_parameter(Name=name, Value=value, Type="SecureString", Overwrite=True)


def test_url_and_token_come_from_ssm_on_first_use(ssm: None, upstash: UpstashEndpoint) -> None:
    cache = UpstashRedisCache.from_env(NAMES)
    put(upstash.url + "/ \n", upstash.token)  # pasted by hand: a slash and white space too many
    assert cache.lookup("p", "model") is None
    cache.update("p", "model", ANSWER)
    assert cache.lookup("p", "model") == ANSWER


def test_one_call_of_ssm_reads_both(
    ssm: None, upstash: UpstashEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(upstash.url, upstash.token)
    called, call = [], BaseClient._make_api_call

    def noted(client: Any, operation: str, parameters: Any) -> Any:
        called.append(operation)
        return call(client, operation, parameters)

    monkeypatch.setattr(BaseClient, "_make_api_call", noted)
    UpstashRedisCache.from_env(NAMES).lookup("p", "model")
    assert called == ["GetParameters"]  # the one action that the template allows


def test_without_the_parameters_every_lookup_is_a_miss_that_says_why(ssm: None) -> None:
    cache = UpstashRedisCache.from_env(NAMES)
    with cache.policy() as report:
        assert cache.lookup("p", "model") is None
        cache.update("p", "model", ANSWER)
    assert report.errors == 1
    assert "/cache/url" in report.outcomes[0].detail


def test_parameters_put_later_are_found_by_the_next_call(
    ssm: None, upstash: UpstashEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials, "FIRST_AGAIN", 0.0)
    cache = UpstashRedisCache.from_env(NAMES)
    assert cache.lookup("p", "model") is None
    put(upstash.url, upstash.token)
    cache.update("p", "model", ANSWER)  # skipped: its lookup had failed
    assert cache.lookup("p", "model") is None
    cache.update("p", "model", ANSWER)
    assert cache.lookup("p", "model") == ANSWER


def test_an_empty_parameter_is_no_credential() -> None:
    settings = CacheConfig(namespace="n", url="https://x.upstash.io", token="")
    with pytest.raises(StoreUnavailable, match="no URL or no token"):
        fetch(settings, Signing)


def test_credentials_do_not_show_their_token() -> None:
    assert "secret" not in repr(Credentials("https://x.upstash.io", "secret"))


@pytest.fixture
def shell(upstash: UpstashEndpoint, monkeypatch: pytest.MonkeyPatch) -> UpstashRedisCache:
    environment = {
        "UPSTASH_REDIS_REST_URL": upstash.url,
        "UPSTASH_REDIS_REST_TOKEN": upstash.token,
        "LLM_CACHE_NAMESPACE": "shell",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return UpstashRedisCache.from_env()


def test_the_command_line_clears_and_reclaims(
    shell: UpstashRedisCache, capsys: pytest.CaptureFixture[str]
) -> None:
    shell.update("p", "model", ANSWER)
    assert main(["clear", "--reclaim", "5"]) == 0
    assert capsys.readouterr().out == "cleared shell\nreclaimed 1 of 1 entries\n"
    assert shell.lookup("p", "model") is None


def test_the_command_line_clears_a_tag(
    shell: UpstashRedisCache, capsys: pytest.CaptureFixture[str]
) -> None:
    with shell.policy(CachePolicy(tags=("red",))):
        shell.update("p", "model", ANSWER)
    shell.update("q", "model", ANSWER)
    assert main(["clear", "--tag", "red", "--reclaim", "5"]) == 0
    told = "cleared tag red of shell\nreclaimed 1 of 2 entries\n"
    assert capsys.readouterr().out == told
    assert shell.lookup("q", "model") == ANSWER


def test_the_command_line_clears_another_namespace_than_the_environments(
    shell: UpstashRedisCache, redis: Redis, capsys: pytest.CaptureFixture[str]
) -> None:
    other = UpstashRedisCache(redis, namespace="other")
    for cache in (shell, other):
        cache.update("p", "model", ANSWER)
    assert main(["clear", "--namespace", "other", "--reclaim", "5"]) == 0
    assert capsys.readouterr().out == "cleared other\nreclaimed 1 of 1 entries\n"
    assert other.lookup("p", "model") is None
    assert shell.lookup("p", "model") == ANSWER


def test_the_command_line_takes_no_empty_name_for_the_environments(
    shell: UpstashRedisCache, capsys: pytest.CaptureFixture[str]
) -> None:
    shell.update("p", "model", ANSWER)
    assert main(["clear", "--namespace", ""]) == 1
    assert "namespace='' is not accepted" in capsys.readouterr().err
    assert shell.lookup("p", "model") == ANSWER


@pytest.mark.parametrize("more", [[], ["--reclaim", "5"]])
@pytest.mark.parametrize(
    ("tag", "told"),
    [
        ([], "shell would leave to reclaim 2 of 2 entries"),
        (["--tag", "red"], "tag red of shell would leave to reclaim 1 of 2 entries"),
    ],
)
def test_a_dry_run_of_the_command_line_counts_and_changes_nothing(
    shell: UpstashRedisCache,
    capsys: pytest.CaptureFixture[str],
    tag: list[str],
    told: str,
    more: list[str],
) -> None:
    with shell.policy(CachePolicy(tags=("red",))):
        shell.update("p", "model", ANSWER)
    shell.update("q", "model", ANSWER)
    assert main(["clear", "--dry-run", *tag, *more]) == 0
    assert capsys.readouterr().out == f"dry run: a clear of {told}\n"
    assert shell.lookup("p", "model") == ANSWER
    assert shell.lookup("q", "model") == ANSWER


def test_the_command_line_refuses_a_tag_that_no_answer_can_have(
    shell: UpstashRedisCache, capsys: pytest.CaptureFixture[str]
) -> None:
    shell.update("p", "model", ANSWER)
    assert main(["clear", "--tag", ""]) == 1
    assert "tag='' is not accepted" in capsys.readouterr().err
    assert shell.lookup("p", "model") == ANSWER


def test_the_command_line_reclaims_without_another_clear(
    shell: UpstashRedisCache, capsys: pytest.CaptureFixture[str]
) -> None:
    shell.update("p", "model", ANSWER)
    shell.clear()
    shell.update("q", "model", ANSWER)
    assert main(["reclaim", "--dry-run"]) == 0
    assert capsys.readouterr().out == "dry run: would reclaim 1 of 2 entries\n"
    assert main(["reclaim"]) == 0
    assert capsys.readouterr().out == "reclaimed 1 of 2 entries\n"
    assert shell.lookup("q", "model") == ANSWER


def test_the_command_line_continues_an_unfinished_reclaim(
    shell: UpstashRedisCache, redis: Redis, capsys: pytest.CaptureFixture[str]
) -> None:
    redis.mset({f"foreign:{number}": "x" for number in range(2000)})
    shell.update("p", "model", ANSWER)
    shell.clear()
    command = ["reclaim", "--seconds", "0"]
    for _ in range(9):
        assert main(command) == 0
        _, found, cursor = capsys.readouterr().out.strip().partition("llm-cache reclaim --cursor ")
        command = ["reclaim", "--seconds", "0", "--cursor", cursor]
        if not found:
            break
    assert command[-1] == ""
    assert redis.keys("shell:entry:*") == []


def test_the_command_line_says_what_was_done_before_upstash_failed(
    shell: UpstashRedisCache,
    upstash: UpstashEndpoint,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(clearing, "RETRY_PAUSE", 0.0)
    shell.update("p", "model", ANSWER)
    with faulty_proxy(upstash.url) as proxy:
        monkeypatch.setenv("UPSTASH_REDIS_REST_URL", proxy.url)
        proxy.call_after(1, lambda: setattr(proxy, "misbehave", close_without_reply))
        assert main(["clear", "--reclaim", "5"]) == 1
    out, err = capsys.readouterr()
    told = "reclaimed 0 of 0 entries; continue with: llm-cache reclaim --cursor 0\n"
    assert out == f"cleared shell\n{told}"
    assert err == "llm-cache: no connection to Upstash (closed before the reply was complete)\n"


@pytest.mark.parametrize("cursor", ["", "x", "-1", "1.5", "²"])
def test_the_command_line_refuses_a_wrong_cursor(
    cursor: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["reclaim", f"--cursor={cursor}"])
    assert "argument --cursor" in capsys.readouterr().err


def test_the_command_line_says_what_failed(
    shell: UpstashRedisCache, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("UPSTASH_REDIS_REST_TOKEN", "wrong")
    assert main(["clear"]) == 1
    assert "WRONGPASS" in capsys.readouterr().err
    monkeypatch.delenv("LLM_CACHE_NAMESPACE")
    assert main(["clear"]) == 1
    assert "LLM_CACHE_NAMESPACE" in capsys.readouterr().err
