"""The steps of `make deploy-local`, and the failures that they report."""

import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
from tests.e2e.proof import invocations
from tests.e2e.proof.inventory import LISTED, differences
from tests.e2e.proof.proof import Proof, Row

from local_cloud.cloud import LocalCloud
from local_cloud.stack.emulated_stack import EmulatedStack

QUEUE = "AWS::SQS::Queue"


@pytest.fixture
def stack(cloud: LocalCloud) -> EmulatedStack:
    return EmulatedStack.read(cloud.aws, cloud.stack.name)


@pytest.fixture
def proof(cloud: LocalCloud) -> Proof:
    rows: list[Row] = []
    return Proof(cloud, rows.append)


def test_every_step_meets_its_expectations() -> None:
    assert subprocess.run([sys.executable, "-m", "tests.e2e.proof"], check=False).returncode == 0


def test_failed_expectation_is_reported(cloud: LocalCloud) -> None:
    rows: list[Row] = []
    proof = Proof(cloud, rows.append)
    proof.equal("the aliases", "at version 1", "at version 2")
    assert [row.result for row in rows] == ["NOT at version 2"]
    assert proof.failures == ["the aliases: expected at version 2; at version 1"]
    assert proof.end("1 row") == 1


@pytest.mark.parametrize(
    ("resources", "difference"),
    [
        ({"FlushFailures": (QUEUE, "nowhere")}, f"FlushFailures: no {QUEUE} is called nowhere"),
        ({"FlushFailures": None}, f"FlushFailures: the stack has no such {QUEUE}"),
        ({"Another": (QUEUE, "another")}, "Another is not in the template"),
    ],
)
def test_resource_that_is_missing_or_not_due_is_reported(
    stack: EmulatedStack, resources: dict[str, Any], difference: str
) -> None:
    changed = {**stack.resources, **resources}
    present = {name: resource for name, resource in changed.items() if resource}
    assert differences(replace(stack, resources=present)) == [difference]


def test_missing_policy_is_reported(stack: EmulatedStack) -> None:
    client, queue = stack.aws.client("sqs"), stack.outputs["DocumentMessagesUrl"]
    before = client.get_queue_attributes(QueueUrl=queue, AttributeNames=["Policy"])["Attributes"]
    client.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": ""})
    try:
        assert differences(stack) == ["AWS::SQS::QueuePolicy: 3 are due, 2 are present"]
    finally:
        client.set_queue_attributes(QueueUrl=queue, Attributes=before)


def test_resource_type_without_a_listing_is_reported(
    stack: EmulatedStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(LISTED, "AWS::SSM::Parameter")
    assert differences(stack) == [
        "LayerArnParameter: AWS::SSM::Parameter is not listed by tests.e2e.proof.inventory"
    ]


def test_function_without_an_event_is_reported(
    proof: Proof, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(invocations.EVENTS, "AskFunction")
    invocations.by_alias(proof)
    assert len(proof.failures) == 1
    assert "an event for it in tests.e2e.proof.invocations" in proof.failures[0]
