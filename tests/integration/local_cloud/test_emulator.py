"""The emulated AWS: a local run never reaches a real account; metrics are as in CloudWatch."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aws_lambda_powertools import Metrics

from local_cloud.aws.emulator import EmulatedAws
from local_cloud.aws.stack_deployment import start_build
from local_cloud.checkout.source_tree import CHECKOUT_TREE

PROXY = {"HTTP_PROXY": "http://127.0.0.1:1", "http_proxy": "http://127.0.0.1:1"}
USERS = PROXY | {
    "AWS_PROFILE": "production",
    "AWS_CONFIG_FILE": "/home/user/.aws/config",
    "AWS_SHARED_CREDENTIALS_FILE": "/home/user/.aws/credentials",
    "AWS_ACCESS_KEY_ID": "AKIAUSER",
    "AWS_SECRET_ACCESS_KEY": "secret of the user",
    "AWS_SESSION_TOKEN": "token of the user",
    "AWS_ROLE_ARN": "arn:aws:iam::111122223333:role/admin",
    "AWS_WEB_IDENTITY_TOKEN_FILE": "/var/run/token",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:1/credentials",
    "AWS_ENDPOINT_URL_STS": "http://127.0.0.1:1",
    "AWS_ENDPOINT_URL_SSM": "http://127.0.0.1:1",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
}
CALLER = "import boto3; print(boto3.client('sts').get_caller_identity()['Account'])"
EMULATED_ACCOUNT = "000000000000"


@pytest.fixture
def _users_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**USERS, "MAKEFLAGS": "-- PYTHON=/other", "SAM_CLI_X": "1"}.items():
        monkeypatch.setenv(name, value)


def test_environment_replaces_the_users_account(aws: EmulatedAws) -> None:
    environment = aws.environment({**USERS, "PATH": "/bin"})
    assert environment["PATH"] == "/bin"
    assert environment["AWS_ENDPOINT_URL"] == aws.endpoint_url
    assert not {"AWS_PROFILE", "AWS_ROLE_ARN", "AWS_ENDPOINT_URL_STS"} & environment.keys()
    # pip may need the proxy; loopback is excepted from it
    assert {key: value for key, value in environment.items() if USERS.get(key) == value} == PROXY
    argv = [sys.executable, "-W", "ignore", "-c", CALLER]
    done = subprocess.run(
        argv, env=aws.environment(USERS), capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == EMULATED_ACCOUNT


@pytest.mark.usefixtures("_users_environment")
def test_client_ignores_the_users_environment(aws: EmulatedAws) -> None:
    assert aws.client("sts").get_caller_identity()["Account"] == EMULATED_ACCOUNT
    aws.client("ssm").put_parameter(Name="/a", Value="b", Type="SecureString", Overwrite=True)


@pytest.mark.usefixtures("_users_environment")
def test_sam_build_gets_no_account_and_no_make_flags(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    printing = tmp_path / "python"
    printing.write_text("#!/bin/sh\nexec env\n")
    printing.chmod(0o755)
    monkeypatch.setattr("local_cloud.checkout.sam_process.interpreter", lambda _: str(printing))
    build = start_build(tmp_path, CHECKOUT_TREE.copy(tmp_path / "tree"))
    assert build
    build.wait()
    environment = dict(line.split("=", 1) for line in build.log.read_text().splitlines())
    assert not {"AWS_PROFILE", "AWS_ROLE_ARN", "MAKEFLAGS", "SAM_CLI_X"} & environment.keys()
    assert environment["AWS_ACCESS_KEY_ID"] == "test"
    assert environment["PYTHON"] == sys.executable


def test_metrics_in_log_lines_reach_cloudwatch(
    aws: EmulatedAws, capsys: pytest.CaptureFixture[str]
) -> None:
    metrics = Metrics(namespace="emulated", service="ask")
    metrics.add_metric("CacheHits", "Count", 2)
    metrics.flush_metrics()
    logs, now = aws.client("logs"), datetime.now(UTC)
    logs.create_log_group(logGroupName="g")
    logs.create_log_stream(logGroupName="g", logStreamName="s")
    line = {"timestamp": int(now.timestamp() * 1000), "message": capsys.readouterr().out}
    logs.put_log_events(logGroupName="g", logStreamName="s", logEvents=[line, line])
    found = aws.client("cloudwatch").get_metric_statistics(
        Namespace="emulated",
        MetricName="CacheHits",
        Dimensions=[{"Name": "service", "Value": "ask"}],
        StartTime=now - timedelta(hours=1),
        EndTime=now + timedelta(hours=1),
        Period=7200,
        Statistics=["Sum"],
    )
    assert sum(point["Sum"] for point in found["Datapoints"]) == 4
