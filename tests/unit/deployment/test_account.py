"""The region, the credentials and the local cloud of a command."""

import os
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import botocore.exceptions as aws
import pytest

from deployment import account, terminal
from deployment.account import Account
from llm_cache._stack.aws_errors import explain
from llm_cache._stack.command_failure import CommandFailure
from local_cloud.checkout.source_tree import SourceTree

NO_CONFIG = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}


@pytest.fixture(autouse=True)
def _without_account() -> Iterator[None]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    with patch.dict(os.environ, kept | NO_CONFIG, clear=True):
        yield


@pytest.mark.parametrize(
    ("environ", "region"),
    [
        ({"AWS_REGION": "us-gov-west-1"}, "us-gov-west-1"),
        ({"AWS_DEFAULT_REGION": "eu-west-2"}, "eu-west-2"),
        ({"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-2"}, "eu-west-1"),
    ],
)
def test_either_variable_sets_the_region_of_this_process_and_of_sam(
    environ: dict[str, str], region: str
) -> None:
    os.environ.update(environ)
    opened = Account.open("dev")
    assert opened.region == opened.session.region_name == region
    assert os.environ["AWS_REGION"] == os.environ["AWS_DEFAULT_REGION"] == region


def test_region_of_the_profile_is_used(tmp_path: Path) -> None:
    profile = tmp_path / "config"
    profile.write_text("[default]\nregion = ap-south-1\n")
    os.environ["AWS_CONFIG_FILE"] = str(profile)
    assert Account.open("dev").region == "ap-south-1"


def test_missing_region_is_an_error_or_a_question(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "interactive", lambda: False)
    with pytest.raises(CommandFailure, match="AWS_REGION is missing: set it"):
        Account.open("dev")
    monkeypatch.setattr(terminal, "interactive", lambda: True)
    monkeypatch.setattr(terminal, "ask", lambda _: "eu-north-1")
    assert Account.open("dev").region == "eu-north-1"


@pytest.mark.parametrize("region", ["Frankfurt", "eu_west_1", "eu-west-1a"])
def test_invalid_region_is_refused(region: str) -> None:
    os.environ["AWS_REGION"] = region
    with pytest.raises(CommandFailure, match=f"AWS_REGION={region} is not a region"):
        Account.open("dev")


def test_config_local_selects_the_cloud_of_make_serve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = SourceTree(tmp_path)
    monkeypatch.setattr(account, "CHECKOUT_TREE", tree)
    with pytest.raises(CommandFailure, match="CONFIG=local needs a running local cloud"):
        Account.open("local")
    tree.build.mkdir(parents=True)
    tree.served.write_text("http://127.0.0.1:4566")
    os.environ |= {"AWS_PROFILE": "production", "AWS_REGION": "eu-west-1"}
    client = Account.open("local").client("lambda").meta
    assert (client.endpoint_url, client.region_name) == ("http://127.0.0.1:4566", "us-east-1")


def client_error(code: str) -> aws.ClientError:
    return aws.ClientError({"Error": {"Code": code, "Message": "…"}}, "DescribeStacks")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (aws.NoCredentialsError(), "AWS credentials are missing: sign in"),
        (aws.ProfileNotFound(profile="x"), "set AWS_PROFILE to one of"),
        (aws.EndpointConnectionError(endpoint_url="https://x"), "eu-wset-1 (AWS_REGION) exists"),
        (client_error("ExpiredToken"), "Sign in (`aws sso login`"),
        (client_error("AccessDenied"), "DescribeStacks"),
        (EOFError(), "no input"),
    ],
)
def test_error_of_aws_names_the_remedy(error: Exception, message: str) -> None:
    assert message in explain(error, "eu-wset-1")
