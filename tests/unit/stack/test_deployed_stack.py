"""The status of a stack, and the advice for it."""

from typing import Any

import pytest

from deployment import stack_operations
from deployment.stack_advice import after_failure, check_updatable, interrupted
from deployment.stack_operations import first_failure, wait_until_settled
from llm_cache._stack.command_failure import CommandFailure
from llm_cache._stack.deployed_stack import KIT_PARAMETERS, DeployedStack
from local_cloud.checkout.source_tree import CHECKOUT_TREE
from local_cloud.checkout.template_parameters import declared_parameters

KIT = dict.fromkeys(KIT_PARAMETERS, "x")


def stack(status: str) -> DeployedStack:
    return DeployedStack("shop", KIT, {}, status)


def make(command: str) -> str:
    return f"make {command} STACK=shop"


class CloudFormation:
    """Replies as boto3 does, with one status after the other."""

    def __init__(self, *statuses: str, events: list[dict[str, str]] | None = None) -> None:
        self.statuses, self.events = list(statuses), events

    def describe_stacks(self, **_: Any) -> dict[str, Any]:
        return {"Stacks": [{"StackName": "shop", "StackStatus": self.statuses.pop(0)}]}

    def get_paginator(self, _: str) -> "CloudFormation":
        return self

    def paginate(self, **_: Any) -> list[dict[str, Any]]:
        return [{"StackEvents": [event]} for event in self.events or []]


def test_wait_lasts_as_long_as_the_operation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack_operations, "POLL_SECONDS", 0)
    lines = list[str]()
    statuses = ["UPDATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"]
    client = CloudFormation(*statuses, "UPDATE_COMPLETE")
    found = wait_until_settled(client, "shop", lines.append)
    assert found is not None
    assert found.status == "UPDATE_COMPLETE"
    assert [line.split()[5] for line in lines] == [*dict.fromkeys(statuses)]


def test_wait_ignores_a_change_set_that_was_never_executed() -> None:
    client = CloudFormation("REVIEW_IN_PROGRESS")
    assert wait_until_settled(client, "shop", pytest.fail)


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        ("ROLLBACK_COMPLETE", "make delete STACK=shop, then make deploy"),
        ("ROLLBACK_FAILED", "make delete STACK=shop"),
        ("DELETE_FAILED", "make delete STACK=shop"),
        ("UPDATE_ROLLBACK_FAILED", "continue-update-rollback --stack-name shop"),
    ],
)
def test_broken_stack_is_refused_with_its_reason_and_the_remedy(status: str, advice: str) -> None:
    with pytest.raises(CommandFailure) as refused:
        check_updatable(stack(status), "Queue: no", make)
    assert f"STACK=shop is {status} (Queue: no). " in str(refused.value)
    assert advice in str(refused.value)
    assert advice in after_failure(stack(status), "Queue: no", make)


def test_running_stack_of_the_kit_alone_can_be_updated() -> None:
    for status in ("CREATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"):
        check_updatable(stack(status), "", make)
    assert declared_parameters(CHECKOUT_TREE.template).keys() >= KIT_PARAMETERS
    other = DeployedStack("shop", {"UpstashUrlParameter": "x"}, {})
    with pytest.raises(CommandFailure, match="STACK=shop is not a stack of this kit"):
        check_updatable(other, "", make)


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        ("UPDATE_ROLLBACK_COMPLETE", "The earlier deployment still runs"),
        ("", "nothing was deployed"),
    ],
)
def test_failed_deployment_is_described(status: str, advice: str) -> None:
    assert advice in after_failure(stack(status) if status else None, "", make)


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (
            "CREATE_IN_PROGRESS",
            "CloudFormation continues: STACK=shop is CREATE_IN_PROGRESS. `make deploy` waits",
        ),
        ("UPDATE_COMPLETE", "STACK=shop is UPDATE_COMPLETE"),
        ("REVIEW_IN_PROGRESS", "CloudFormation does nothing"),
        ("", "CloudFormation does nothing"),
    ],
)
def test_interrupt_is_described(status: str, advice: str) -> None:
    assert advice in interrupted(stack(status) if status else None, "make deploy")


def event(resource: str, status: str, reason: str = "") -> dict[str, str]:
    named = {"LogicalResourceId": resource, "ResourceStatus": status}
    return named | ({"ResourceStatusReason": reason} if reason else {})


def test_first_failure_of_the_last_operation_is_found() -> None:
    events = [
        event("shop", "UPDATE_ROLLBACK_COMPLETE"),
        event("Role", "UPDATE_FAILED", "Resource update cancelled"),
        event("Queue", "UPDATE_FAILED", "no such key"),
        event("Table", "UPDATE_FAILED"),
        event("shop", "UPDATE_IN_PROGRESS", "User Initiated"),
        event("Alarm", "CREATE_FAILED", "in an earlier operation"),
    ]
    assert first_failure(CloudFormation(events=events), "shop") == "Queue: no such key"
    assert not first_failure(CloudFormation(events=events[-2:]), "shop")


def test_missing_output_is_reported_with_the_status() -> None:
    with pytest.raises(CommandFailure, match="is ROLLBACK_COMPLETE and has no output AskUrl"):
        stack("ROLLBACK_COMPLETE").output("AskUrl")
