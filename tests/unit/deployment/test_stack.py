"""What a stack is, how it is, and what a person is told to do."""

from typing import Any

import pytest
from tests.template.loader import load

from deployment import deployed_stack
from deployment.command_failure import CommandFailure
from deployment.deployed_stack import KIT_PARAMETERS, DeployedStack, first_failure
from deployment.stack_advice import after_failure, check_updatable, interrupted

KIT = dict.fromkeys(KIT_PARAMETERS, "x")


def make(command: str) -> str:
    return f"make {command} STACK=shop"


class CloudFormation:
    """Answers as boto3 does, one status after the other."""

    def __init__(self, *statuses: str, events: list[dict[str, str]] | None = None) -> None:
        self.statuses, self.events = list(statuses), events

    def describe_stacks(self, **_: Any) -> dict[str, Any]:
        status = self.statuses.pop(0)
        return {"Stacks": [{"StackName": "shop", "StackStatus": status}]}

    def get_paginator(self, _: str) -> "CloudFormation":
        return self

    def paginate(self, **_: Any) -> list[dict[str, Any]]:
        return [{"StackEvents": [event]} for event in self.events or []]


def test_stack_is_waited_for_while_cloudformation_works_on_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(deployed_stack, "POLL_SECONDS", 0)
    said = list[str]()
    moving = ["UPDATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"]
    found = DeployedStack.wait_until_settled(
        CloudFormation(*moving, "UPDATE_COMPLETE"), "shop", said.append
    )
    assert found is not None
    assert found.status == "UPDATE_COMPLETE"
    assert [line.split()[5] for line in said] == [*dict.fromkeys(moving)]


def test_change_set_that_was_never_executed_is_not_waited_for() -> None:
    found = DeployedStack.wait_until_settled(
        CloudFormation("REVIEW_IN_PROGRESS"), "shop", pytest.fail
    )
    assert found is not None


@pytest.mark.parametrize(
    ("status", "told"),
    [
        ("ROLLBACK_COMPLETE", "make delete STACK=shop, then make deploy"),
        ("ROLLBACK_FAILED", "make delete STACK=shop"),
        ("DELETE_FAILED", "make delete STACK=shop"),
        ("UPDATE_ROLLBACK_FAILED", "continue-update-rollback --stack-name shop"),
    ],
)
def test_stack_that_cannot_be_updated_says_why_and_what_mends_it(status: str, told: str) -> None:
    broken = DeployedStack("shop", KIT, {}, status)
    with pytest.raises(CommandFailure) as refused:
        check_updatable(broken, "Queue: no", make)
    assert f"STACK=shop is {status} (Queue: no). " in str(refused.value)
    assert told in str(refused.value)
    assert told in after_failure(broken, "Queue: no", make)


@pytest.mark.parametrize("status", ["CREATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"])
def test_stack_that_runs_can_be_updated(status: str) -> None:
    check_updatable(DeployedStack("shop", KIT, {}, status), "", make)


def test_stack_is_known_by_parameters_that_the_template_has() -> None:
    assert load()["Parameters"].keys() >= KIT_PARAMETERS


def test_stack_of_somebody_else_is_not_updated() -> None:
    with pytest.raises(CommandFailure, match="STACK=shop is not a stack of this kit"):
        check_updatable(DeployedStack("shop", {"UpstashUrlParameter": "x"}, {}), "", make)


def test_failed_update_says_that_the_earlier_deployment_runs() -> None:
    told = after_failure(DeployedStack("shop", KIT, {}, "UPDATE_ROLLBACK_COMPLETE"), "", make)
    assert "What was deployed before still runs" in told
    assert "nothing was deployed" in after_failure(None, "", make)


def test_interrupt_says_what_goes_on() -> None:
    moving = DeployedStack("shop", KIT, {}, "CREATE_IN_PROGRESS")
    told = interrupted(moving, "make deploy STACK=shop")
    assert "CloudFormation goes on: STACK=shop is CREATE_IN_PROGRESS" in told
    assert "`make deploy STACK=shop` waits" in told
    assert "nothing goes on in the cloud" in interrupted(None, "make deploy")
    review = DeployedStack("shop", {}, {}, "REVIEW_IN_PROGRESS")
    assert "nothing goes on in the cloud" in interrupted(review, "make deploy")
    assert "STACK=shop is UPDATE_COMPLETE" in interrupted(
        DeployedStack("shop", KIT, {}, "UPDATE_COMPLETE"), "make deploy"
    )


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
        event("Alarm", "CREATE_FAILED", "of an earlier operation"),
    ]
    assert first_failure(CloudFormation(events=events), "shop") == "Queue: no such key"
    assert not first_failure(CloudFormation(events=events[-2:]), "shop")


def test_output_that_a_stack_lacks_is_named_with_its_status() -> None:
    with pytest.raises(
        CommandFailure, match="STACK=shop is ROLLBACK_COMPLETE and has no output AskUrl"
    ):
        DeployedStack("shop", KIT, {}, "ROLLBACK_COMPLETE").output("AskUrl")
