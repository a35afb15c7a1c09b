"""What the commands do that need no build: on the session's stack, and on small ones beside it."""

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import boto3
import pytest
import yaml

from deployment import account, terminal
from deployment.account import Account
from deployment.command_failure import CommandFailure
from deployment.commands import main
from deployment.deployed_stack import KIT_PARAMETERS
from deployment.retained_resources import RetainedResources
from local_cloud.aws.emulator import REGION
from local_cloud.checkout.source_tree import SourceTree
from local_cloud.cloud import LocalCloud
from upstash_endpoint.children import wait_until

Run = Callable[..., tuple[int, str, str]]
BUCKET = {"Type": "AWS::S3::Bucket"}
# What CloudFormation refuses when all that is above it is there.
REFUSED = {
    "Type": "AWS::Lambda::EventInvokeConfig",
    "DependsOn": ["Documents", "Arn"],
    "Properties": {"FunctionName": "nobody", "Qualifier": "999"},
}


@pytest.fixture
def run(
    cloud: LocalCloud,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Run]:
    """Run a command on the cloud of `make serve`, with nobody at a terminal."""
    served = SourceTree(tmp_path)
    served.build.mkdir(parents=True)
    served.served.write_text(cloud.aws.endpoint_url)
    monkeypatch.setattr(account, "CHECKOUT_TREE", served)
    monkeypatch.setattr(terminal, "interactive", lambda: False)

    def run(command: str, **variables: str) -> tuple[int, str, str]:
        capsys.readouterr()
        with patch.dict(os.environ, {"CONFIG": "local", **variables}):
            status = main([command])
        return status, *capsys.readouterr()

    with patch.dict(os.environ):
        yield run


@pytest.fixture
def made(cloud: LocalCloud) -> Iterator[Callable[..., str]]:
    """Make a small stack; return how it ended."""
    client, names = cloud.aws.client("cloudformation"), list[str]()

    def status(name: str) -> str:
        told = client.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"]
        return str(told)

    def make(name: str, resources: dict[str, Any], parameters: Any = ()) -> str:
        declared = {it: {"Type": "String", "Default": f"/{name}/secret"} for it in parameters}
        body = {"Parameters": declared, "Resources": resources}
        client.create_stack(StackName=name, TemplateBody=yaml.safe_dump(body))
        names.append(name)
        wait_until(lambda: "PROGRESS" not in status(name), seconds=60, what=name)
        return status(name)

    yield make
    for name in names:
        client.delete_stack(StackName=name)


def test_questions_flushes_and_logs_reach_the_served_stack(run: Run) -> None:
    statuses = [run("ask", QUESTION="What is $5?")[1] for _ in range(2)]
    assert [json.loads(told)["cache"]["status"] for told in statuses] == ["miss", "hit"]
    assert json.loads(run("flush", TAG="none")[1])["tag"] == "none"
    lines = run("logs", MINUTES="5")[1].splitlines()
    assert any(line.startswith("llm-cache-ask  ") and '"answered"' in line for line in lines)
    assert not any("What is $5?" in line for line in lines)


@pytest.mark.parametrize("command", ["ask", "flush", "logs", "delete"])
def test_stack_that_does_not_exist_is_told_with_those_that_do(run: Run, command: str) -> None:
    status, _, said = run(command, STACK="nowhere", QUESTION="Who?", YES="1")
    assert status == 1
    assert said == (
        f"{command}: STACK=nowhere does not exist in us-east-1; the kit has STACK=llm-cache there\n"
    )


@pytest.mark.parametrize("command", ["deploy", "ask", "flush", "logs", "delete"])
def test_stack_of_somebody_else_is_left_alone(
    run: Run, made: Callable[..., str], cloud: LocalCloud, command: str
) -> None:
    assert made("theirs", {"Bucket": BUCKET}) == "CREATE_COMPLETE"
    status, _, said = run(command, STACK="theirs", QUESTION="Who?", YES="1")
    assert status == 1
    assert "STACK=theirs is not a stack of this kit" in said
    (found,) = cloud.aws.client("cloudformation").describe_stacks(StackName="theirs")["Stacks"]
    assert found["StackStatus"] == "CREATE_COMPLETE"


def test_missing_secrets_are_told_before_anything_is_built(run: Run) -> None:
    named = "UpstashUrlParameter=/new/url UpstashTokenParameter=/new/token"
    status, out, said = run("deploy", STACK="new", PARAMETERS=named)
    assert (status, out) == (1, "")
    assert "new in us-east-1: python3.13, arm64" in said
    assert "/new/url: " in said
    assert "/new/token: " in said


def test_command_that_cannot_ask_says_which_variable_answers(run: Run) -> None:
    status, _, said = run("delete")
    assert (status, said.count("\n")) == (1, 1)
    assert "make delete CONFIG=local STACK=llm-cache YES=1" in said


def test_failed_stack_is_told_deleted_and_what_it_leaves_removed(
    run: Run, made: Callable[..., str], cloud: LocalCloud
) -> None:
    arn = {"Name": "/broken/layer-arn", "Type": "String", "Value": "arn"}
    resources = {
        "Documents": {**BUCKET, "DeletionPolicy": "Retain"},
        "Arn": {"Type": "AWS::SSM::Parameter", "Properties": arn, "DeletionPolicy": "Retain"},
        "Refused": REFUSED,
    }
    assert made("broken", resources, KIT_PARAMETERS) == "ROLLBACK_COMPLETE"
    _, _, said = run("deploy", STACK="broken")
    assert "STACK=broken is ROLLBACK_COMPLETE (Refused: " in said
    assert "make delete CONFIG=local STACK=broken, then make deploy" in said
    status, out, said = run("delete", STACK="broken", YES="1")
    assert status == 0, said
    assert "the bucket broken-documents-" in out
    assert "the SSM parameter /broken/layer-arn" in out
    assert "make delete CONFIG=local STACK=broken LEFTOVERS=delete" in out
    status, out, said = run("delete", STACK="broken", LEFTOVERS="delete")
    assert status == 0, said
    assert "removed: " in out
    buckets = [it["Name"] for it in cloud.aws.client("s3").list_buckets()["Buckets"]]
    assert not [name for name in buckets if name.startswith("broken")]
    assert "bucket broken" not in run("delete", STACK="broken")[1]


@pytest.mark.parametrize("ended", ["well", "badly"])
def test_parameter_that_a_deleted_stack_left_gives_way_to_a_new_stack(
    cloud: LocalCloud, made: Callable[..., str], ended: str
) -> None:
    name, ssm = f"again-{ended}", cloud.aws.client("ssm")
    kept = {"Name": f"/{name}/layer-arn", "Type": "String", "Value": "arn"}
    arn = {"Type": "AWS::SSM::Parameter", "Properties": kept, "DeletionPolicy": "Retain"}
    assert made(name, {"Arn": arn}, KIT_PARAMETERS) == "CREATE_COMPLETE"
    cloud.aws.client("cloudformation").delete_stack(StackName=name)
    session = boto3.Session("test", "test", region_name=REGION)
    with patch.dict(os.environ, {"AWS_ENDPOINT_URL": cloud.aws.endpoint_url}):
        here = Account(REGION, session)
        wait_until(lambda: bool(RetainedResources.find(here, name)), seconds=60, what=name)
        remains = RetainedResources.find(here, name)
        assert remains is not None
        with contextlib.suppress(CommandFailure), remains.parameters_removed(here):
            assert ssm.get_parameters(Names=[kept["Name"]])["InvalidParameters"]
            if ended == "badly":
                raise CommandFailure("the deployment failed")
    assert bool(ssm.get_parameters(Names=[kept["Name"]])["Parameters"]) == (ended == "badly")


def test_nobody_at_the_terminal_types_nothing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "interactive", lambda: True)
    with Path(os.devnull).open() as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        assert run("delete")[2].endswith("nothing was typed, and nothing was done\n")


def test_declined_change_set_is_no_deployment(
    run: Run, cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = cloud.aws.client("cloudformation")
    told = client.describe_stacks(StackName="llm-cache")["Stacks"][0]["Parameters"]
    kept = [{"ParameterKey": it["ParameterKey"], "UsePreviousValue": True} for it in told]
    other = {"ParameterKey": "LogRetentionDays", "ParameterValue": "1"}
    of_stack = {"StackName": "llm-cache", "ChangeSetName": "declined"}

    def declined(*_: Any, **__: Any) -> None:
        parameters = [it for it in kept if it["ParameterKey"] != "LogRetentionDays"] + [other]
        client.create_change_set(
            **of_stack,
            UsePreviousTemplate=True,
            Parameters=parameters,
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        )
        client.get_waiter("change_set_create_complete").wait(**of_stack)

    monkeypatch.setattr("deployment.sam_commands.build", lambda *_: None)
    monkeypatch.setattr("deployment.sam_commands.deploy", declined)
    try:
        status, out, said = run("deploy")
    finally:
        client.delete_change_set(**of_stack)
    assert (status, out) == (1, "")
    assert "the change set was declined, so nothing was deployed" in said


def test_interrupt_is_told_without_a_traceback(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("deployment.commands.signal.signal", lambda *_: None)
    monkeypatch.setattr("deployment.sam_commands.build", interrupted)
    status, _, said = run("deploy")
    assert status == 130
    assert "deploy: interrupted; STACK=llm-cache is " in said
    assert "make deploy CONFIG=local STACK=llm-cache" in said
