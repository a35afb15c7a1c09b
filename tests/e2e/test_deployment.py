"""The parts of `make deploy-local` that take seconds; the rest deletes the stack or builds anew."""

import sys
from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.e2e.proof import Proof, Row, environments, updates, ways, weights
from tests.e2e.proof.inventory import LISTED, pretended

from local_cloud.cloud import LocalCloud
from local_cloud.lambda_runtime.deployed_function import DeployedFunction

linux = pytest.mark.skipif(sys.platform != "linux", reason="awslambdaric has wheels for Linux only")
Step = Callable[[Proof], None]
StepOfOne = Callable[[Proof, DeployedFunction], None]


def quickly(proof: Proof) -> None:
    updates.again(proof, rebuild=False)


STEPS = (
    updates.complete,
    ways.by_alias,
    ways.by_url,
    ways.by_schedule,
    ways.failing_by_schedule,
    ways.dead_letters,
    ways.by_upload,
    ways.failing_by_queue,
    quickly,
    updates.failing,
)
OF_EACH = (weights.function, environments.limits)
OF_ASK = (weights.layer, environments.deadline, environments.timeout)
OF_MANY = (environments.several, environments.snapstart)


@pytest.fixture
def proof(cloud: LocalCloud) -> Proof:
    rows: list[Row] = []
    return Proof(cloud, rows.append)


@pytest.mark.parametrize("step", STEPS)
def test_it_comes_true(proof: Proof, step: Step) -> None:
    step(proof)

    assert proof.failures == []
    assert proof.rows


@linux
@pytest.mark.parametrize("step", OF_EACH)
@pytest.mark.parametrize("function", ["AskFunction", "FlushCacheFunction", "SummarizeFunction"])
def test_every_function_keeps_its_limits(proof: Proof, function: str, step: StepOfOne) -> None:
    with proof.cloud.downloaded(function) as deployed:
        step(proof, deployed)

    assert proof.failures == []
    assert proof.rows


@linux
@pytest.mark.parametrize("step", [*OF_ASK, *OF_MANY])
def test_ask_comes_true_under_awss_own_runtime(proof: Proof, step: StepOfOne) -> None:
    with proof.cloud.downloaded("AskFunction") as deployed:
        step(proof, deployed)

    assert proof.failures == []
    assert proof.rows


@linux
def test_a_large_document_is_summarized_within_the_limits(proof: Proof) -> None:
    with proof.cloud.downloaded("SummarizeFunction") as deployed:
        environments.large(proof, deployed)

    assert proof.failures == []
    assert proof.rows


def test_what_does_not_come_true_is_told(cloud: LocalCloud) -> None:
    rows: list[Row] = []
    proof = Proof(cloud, rows.append)

    proof.tell("the aliases", "at version 1", true=False, expected="at version 2")

    assert [row.came for row in rows] == ["NOT at version 2"]
    assert proof.failures == ["the aliases: expected at version 2; at version 1"]
    assert proof.end("told") == 1


def test_resource_that_no_service_lists_is_told(cloud: LocalCloud) -> None:
    kind, _ = cloud.stack.resources["FlushFailures"]
    renamed = {**cloud.stack.resources, "FlushFailures": (kind, "nowhere")}

    assert pretended(replace(cloud.stack, resources=renamed)) == [
        "FlushFailures: no AWS::SQS::Queue is called nowhere"
    ]


def test_resource_that_the_stack_lacks_is_told(cloud: LocalCloud) -> None:
    fewer = {key: it for key, it in cloud.stack.resources.items() if key != "FlushFailures"}

    assert pretended(replace(cloud.stack, resources=fewer)) == [
        "FlushFailures: the stack has no such AWS::SQS::Queue"
    ]


def test_policy_that_is_not_there_is_told(cloud: LocalCloud) -> None:
    client, queue = cloud.aws.client("sqs"), cloud.stack.outputs["DocumentMessagesUrl"]
    told = client.get_queue_attributes(QueueUrl=queue, AttributeNames=["Policy"])["Attributes"]
    client.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": ""})
    try:
        assert pretended(cloud.stack) == ["1 of AWS::SQS::QueuePolicy are due, and 0 are there"]
    finally:
        client.set_queue_attributes(QueueUrl=queue, Attributes=told)


def test_resource_that_the_template_lacks_is_told(cloud: LocalCloud) -> None:
    more = {**cloud.stack.resources, "Another": ("AWS::SQS::Queue", "another")}

    assert pretended(replace(cloud.stack, resources=more)) == ["Another is not in the template"]


def test_resource_of_an_unknown_type_is_told(
    cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(LISTED, "AWS::SSM::Parameter")

    assert pretended(cloud.stack) == [
        "LayerArnParameter: AWS::SSM::Parameter is not listed by tests.e2e.proof.inventory"
    ]


def test_function_without_an_event_is_told(proof: Proof, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(ways.EVENTS, "AskFunction")

    ways.by_alias(proof)

    assert len(proof.failures) == 1
    assert "an event for it in tests.e2e.proof.ways" in proof.failures[0]
