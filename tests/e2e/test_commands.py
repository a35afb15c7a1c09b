"""Commands that need no build, on the session's stack and on small stacks."""

import contextlib
import json
import os
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import boto3
import pytest
import yaml
from tests.repository.pages import blocks

from deployment import account
from deployment.account import Account
from deployment.commands import main
from deployment.retained_resources import RetainedResources
from llm_cache._stack import terminal
from llm_cache._stack.command_failure import CommandFailure
from llm_cache._stack.deployed_stack import KIT_PARAMETERS
from local_cloud.aws.emulator import REGION
from local_cloud.checkout.source_tree import SourceTree
from local_cloud.checkout.tool_environments import CHECKOUT
from local_cloud.cloud import LocalCloud
from upstash_endpoint.children import wait_until

Run = Callable[..., tuple[int, str, str]]
BUCKET = {"Type": "AWS::S3::Bucket"}


def layer_arn(stack: str) -> dict[str, Any]:
    properties = {"Name": f"/{stack}/layer-arn", "Type": "String", "Value": "arn"}
    return {"Type": "AWS::SSM::Parameter", "Properties": properties, "DeletionPolicy": "Retain"}


@pytest.fixture
def run(
    cloud: LocalCloud,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Run]:
    """Run a command on the cloud of `make serve`, without a terminal."""
    tree = SourceTree(tmp_path)
    tree.build.mkdir(parents=True)
    tree.served.write_text(cloud.aws.endpoint_url)
    monkeypatch.setattr(account, "CHECKOUT_TREE", tree)
    monkeypatch.setattr(terminal, "interactive", lambda: False)

    def run(command: str, **variables: str) -> tuple[int, str, str]:
        capsys.readouterr()
        with patch.dict(os.environ, {"CONFIG": "local", **variables}):
            status = main([command])
        return status, *capsys.readouterr()

    with patch.dict(os.environ):
        yield run


@pytest.fixture
def create(cloud: LocalCloud) -> Iterator[Callable[..., str]]:
    """Create a small stack; return its status."""
    client, names = cloud.aws.client("cloudformation"), list[str]()

    def status(name: str) -> str:
        return str(client.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"])

    def create(name: str, resources: dict[str, Any], *, kit: bool = True) -> str:
        declared = {
            it: {"Type": "String", "Default": f"/{name}/secret"} for it in KIT_PARAMETERS if kit
        }
        body = {"Parameters": declared, "Resources": resources}
        client.create_stack(StackName=name, TemplateBody=yaml.safe_dump(body))
        names.append(name)
        wait_until(lambda: "PROGRESS" not in status(name), seconds=60, what=name)
        return status(name)

    yield create
    for name in names:
        client.delete_stack(StackName=name)


def test_ask_flush_and_logs_work_on_the_served_stack(run: Run) -> None:
    replies = [run("ask", QUESTION="What is $5?")[1].splitlines()[-1] for _ in range(2)]
    assert [reply.split(",")[0] for reply in replies] == ["miss (unknown)", "hit"]
    cleared = run("flush", TAG="none")[1]
    assert cleared.startswith("cleared tag none of llm-cache; reclaimed 0 of ")
    lines = run("logs", MINUTES="5")[1].splitlines()
    assert any(line.startswith("llm-cache-ask  ") and '"answered"' in line for line in lines)
    assert not any("What is $5?" in line for line in lines)


def test_documented_invocations_print_the_reply_and_the_log(run: Run) -> None:
    (block,) = [it for it in blocks("docs/functions.md") if "make invoke" in it.text]
    for line in block.text.splitlines():
        variables = dict(word.split("=", 1) for word in shlex.split(line)[2:])
        status, output, log = run("invoke", **variables)
        assert status == 0, log
        assert "errorMessage" not in json.loads(output)
        assert '"level":"INFO"' in log


def test_invoke_fills_in_the_outputs_of_the_stack(run: Run, cloud: LocalCloud) -> None:
    cloud.aws.client("s3").put_object(
        Bucket=cloud.stack.outputs["DocumentsBucket"], Key="documents/report.txt", Body=b"Short."
    )
    event = str(CHECKOUT / "functions/summarize/event.json")
    _, output, log = run("invoke", FUNCTION="summarize", EVENT=event)
    assert json.loads(output) == {"batchItemFailures": []}
    assert '"message":"message done"' in log


def test_failed_invocation_exits_with_1_after_reply_and_log(run: Run) -> None:
    status, output, errors = run("invoke", FUNCTION="flush_cache", EVENT='{"tag": 5}')
    assert status == 1
    assert json.loads(output)["errorMessage"] == "tag=5 is not accepted: text"
    assert "Traceback" in errors
    assert errors.endswith("invoke: FUNCTION=flush_cache failed: tag=5 is not accepted: text\n")


@pytest.mark.parametrize("name", ["", "news"])
def test_unknown_function_is_refused_with_the_known_ones(run: Run, name: str) -> None:
    status, output, errors = run("invoke", FUNCTION=name, EVENT="{}")
    known = "use FUNCTION=ask or FUNCTION=flush_cache or FUNCTION=summarize"
    assert (status, output) == (1, "")
    assert errors == f"invoke: FUNCTION={name} is not in the stack: {known}\n"


@pytest.mark.parametrize("command", ["ask", "flush", "logs", "delete"])
def test_unknown_stack_is_refused_with_the_known_ones(run: Run, command: str) -> None:
    status, _, errors = run(command, STACK="nowhere", QUESTION="Who?", YES="1")
    known = "the stack nowhere does not exist in us-east-1; the kit's stacks there: llm-cache"
    assert status != 0
    assert errors.endswith(f": {known}\n")


@pytest.mark.parametrize("command", ["deploy", "ask", "flush", "logs", "delete"])
def test_stack_of_another_project_is_refused(
    run: Run, create: Callable[..., str], cloud: LocalCloud, command: str
) -> None:
    assert create("theirs", {"Bucket": BUCKET}, kit=False) == "CREATE_COMPLETE"
    status, _, errors = run(command, STACK="theirs", QUESTION="Who?", YES="1")
    assert status != 0
    assert "theirs is not a stack of this kit" in errors
    (found,) = cloud.aws.client("cloudformation").describe_stacks(StackName="theirs")["Stacks"]
    assert found["StackStatus"] == "CREATE_COMPLETE"


def test_missing_secrets_are_reported_before_a_build(run: Run) -> None:
    parameters = "UpstashUrlParameter=/new/url UpstashTokenParameter=/new/token"
    status, output, errors = run("deploy", STACK="new", PARAMETERS=parameters)
    assert (status, output) == (1, "")
    for text in ("new in us-east-1: python3.13, arm64", "/new/url: ", "/new/token: "):
        assert text in errors


def test_delete_without_a_terminal_requires_yes(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    status, _, errors = run("delete")
    assert (status, errors.count("\n")) == (1, 1)
    assert "make delete CONFIG=local STACK=llm-cache YES=1" in errors
    monkeypatch.setattr(terminal, "interactive", lambda: True)
    with Path(os.devnull).open() as empty:
        monkeypatch.setattr(sys, "stdin", empty)
        assert run("delete")[2].endswith("no input, so nothing was done\n")


def test_failed_stack_is_explained_deleted_and_its_remains_removed(
    run: Run, create: Callable[..., str], cloud: LocalCloud
) -> None:
    refused = {
        "Type": "AWS::Lambda::EventInvokeConfig",
        "DependsOn": ["Documents", "Arn"],
        "Properties": {"FunctionName": "nowhere", "Qualifier": "999"},
    }
    documents = {**BUCKET, "DeletionPolicy": "Retain"}
    resources = {"Documents": documents, "Arn": layer_arn("broken"), "Refused": refused}
    assert create("broken", resources) == "ROLLBACK_COMPLETE"
    _, _, errors = run("deploy", STACK="broken")
    assert "STACK=broken is ROLLBACK_COMPLETE (Refused: " in errors
    assert "make delete CONFIG=local STACK=broken, then make deploy" in errors
    status, output, errors = run("delete", STACK="broken", YES="1")
    assert status == 0, errors
    assert "the bucket broken-documents-" in output
    assert "the SSM parameter /broken/layer-arn" in output
    assert "make delete CONFIG=local STACK=broken LEFTOVERS=delete" in output
    status, output, errors = run("delete", STACK="broken", LEFTOVERS="delete")
    assert status == 0, errors
    assert "removed: " in output
    buckets = [it["Name"] for it in cloud.aws.client("s3").list_buckets()["Buckets"]]
    assert not [name for name in buckets if name.startswith("broken")]
    assert "bucket broken" not in run("delete", STACK="broken")[1]


@pytest.mark.parametrize("succeeds", [True, False])
def test_parameter_of_a_deleted_stack_is_restored_after_a_failure_only(
    cloud: LocalCloud, create: Callable[..., str], succeeds: bool
) -> None:
    name, ssm = f"again-{succeeds}", cloud.aws.client("ssm")
    assert create(name, {"Arn": layer_arn(name)}) == "CREATE_COMPLETE"
    cloud.aws.client("cloudformation").delete_stack(StackName=name)
    session = boto3.Session("test", "test", region_name=REGION)
    names = [f"/{name}/layer-arn"]
    with patch.dict(os.environ, {"AWS_ENDPOINT_URL": cloud.aws.endpoint_url}):
        here = Account(REGION, session)
        wait_until(lambda: bool(RetainedResources.find(here, name)), seconds=60, what=name)
        retained = RetainedResources.find(here, name)
        assert retained is not None
        with contextlib.suppress(CommandFailure), retained.parameters_removed(here):
            assert ssm.get_parameters(Names=names)["InvalidParameters"]
            if not succeeds:
                raise CommandFailure("the deployment failed")
    assert bool(ssm.get_parameters(Names=names)["Parameters"]) == (not succeeds)


def test_declined_change_set_is_a_failure(
    run: Run, cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = cloud.aws.client("cloudformation")
    deployed = client.describe_stacks(StackName="llm-cache")["Stacks"][0]["Parameters"]
    changed = {"ParameterKey": "LogRetentionDays", "ParameterValue": "1"}
    kept = [
        {"ParameterKey": it["ParameterKey"], "UsePreviousValue": True}
        for it in deployed
        if it["ParameterKey"] != "LogRetentionDays"
    ]
    change_set = {"StackName": "llm-cache", "ChangeSetName": "declined"}

    def decline(*_: Any, **__: Any) -> None:
        client.create_change_set(
            **change_set,
            UsePreviousTemplate=True,
            Parameters=[*kept, changed],
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        )
        client.get_waiter("change_set_create_complete").wait(**change_set)

    monkeypatch.setattr("deployment.sam_commands.build", lambda *_: None)
    monkeypatch.setattr("deployment.sam_commands.deploy", decline)
    try:
        status, output, errors = run("deploy")
    finally:
        client.delete_change_set(**change_set)
    assert (status, output) == (1, "")
    assert "the change set was declined, so nothing was deployed" in errors


def test_interrupt_is_reported_without_a_traceback(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("deployment.commands.signal.signal", lambda *_: None)
    monkeypatch.setattr("deployment.sam_commands.build", interrupt)
    status, _, errors = run("deploy")
    assert status == 130
    assert "deploy: interrupted; STACK=llm-cache is " in errors
    assert "make deploy CONFIG=local STACK=llm-cache" in errors
