"""Where a command works: the region, the credentials, the local cloud."""

import os
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import botocore.exceptions as aws
import pytest

from deployment import account, terminal
from deployment.account import Account
from deployment.command_failure import CommandFailure, explain
from local_cloud.checkout.source_tree import SourceTree

ELSEWHERE = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}


@pytest.fixture(autouse=True)
def _without_account() -> Iterator[None]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    with patch.dict(os.environ, kept | ELSEWHERE, clear=True):
        yield


@pytest.mark.parametrize(
    ("environ", "region"),
    [
        ({"AWS_REGION": "eu-west-1"}, "eu-west-1"),
        ({"AWS_DEFAULT_REGION": "eu-west-2"}, "eu-west-2"),
        ({"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-2"}, "eu-west-1"),
        ({"AWS_REGION": "us-gov-west-1"}, "us-gov-west-1"),
    ],
)
def test_either_variable_sets_the_region_for_this_process_and_for_sam(
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


def test_missing_region_is_named_or_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "interactive", lambda: False)
    with pytest.raises(CommandFailure, match="AWS_REGION is missing: set it"):
        Account.open("dev")
    monkeypatch.setattr(terminal, "interactive", lambda: True)
    monkeypatch.setattr(terminal, "ask", lambda _: "eu-north-1")
    assert Account.open("dev").region == "eu-north-1"


@pytest.mark.parametrize("region", ["Frankfurt", "eu_west_1", "eu-west-1a"])
def test_text_that_is_no_region_is_refused(region: str) -> None:
    os.environ["AWS_REGION"] = region
    with pytest.raises(CommandFailure, match=f"AWS_REGION={region} is not a region"):
        Account.open("dev")


def test_local_is_the_cloud_of_make_serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account, "CHECKOUT_TREE", SourceTree(tmp_path))
    with pytest.raises(
        CommandFailure, match="CONFIG=local is the cloud of `make serve`, which is not up"
    ):
        Account.open("local")
    SourceTree(tmp_path).build.mkdir(parents=True)
    SourceTree(tmp_path).served.write_text("http://127.0.0.1:4566")
    os.environ |= {"AWS_PROFILE": "production", "AWS_REGION": "eu-west-1"}
    client = Account.open("local").client("lambda")
    assert (client.meta.endpoint_url, client.meta.region_name) == (
        "http://127.0.0.1:4566",
        "us-east-1",
    )


def client_error(code: str) -> aws.ClientError:
    return aws.ClientError({"Error": {"Code": code, "Message": "…"}}, "DescribeStacks")


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (aws.NoCredentialsError(), "AWS credentials are missing: sign in"),
        (aws.ProfileNotFound(profile="x"), "AWS_PROFILE names one of"),
        (aws.EndpointConnectionError(endpoint_url="https://x"), "is eu-wset-1 (AWS_REGION)"),
        (client_error("ExpiredToken"), "Sign in (`aws sso login`"),
        (client_error("AccessDenied"), "DescribeStacks"),
        (EOFError(), "nothing was typed"),
    ],
)
def test_error_of_aws_says_what_mends_it(error: Exception, says: str) -> None:
    assert says in explain(error, "eu-wset-1")
