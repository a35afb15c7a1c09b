"""The workflows run nobody else's code unpinned, and are allowed no more than they need."""

import copy
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml
from tests.template.loader import ROOT, load

FOLDER = ROOT / ".github/workflows"
Workflow = dict[Any, Any]
PINNED = re.compile(
    r"uses: ([\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+|\./\.github/workflows/[a-z]+\.yml)$"
)


def texts() -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted(FOLDER.glob("*.yml"))}


def jobs_with_steps(workflow: Workflow) -> dict[str, Any]:
    """Return the jobs that do something themselves; the others call a workflow of this folder."""
    return {name: job for name, job in workflow["jobs"].items() if "uses" not in job}


def unpinned(text: str) -> list[str]:
    uses = [line.strip().removeprefix("- ") for line in text.splitlines() if "uses:" in line]
    return [line for line in uses if not PINNED.match(line)]


def allows_more_than_it_needs(workflow: Workflow) -> Iterator[str]:
    if workflow.get("permissions") != {"contents": "read"}:
        yield "what a job may do is not said, or is more than to read"
    if "pull_request_target" in workflow[True]:  # YAML's `on`
        yield "a fork's code would run with this repository's rights"
    for name, job in jobs_with_steps(workflow).items():
        assumes = any("configure-aws-credentials" in step.get("uses", "") for step in job["steps"])
        needed = {"contents": "read"} | ({"id-token": "write"} if assumes else {})
        if job.get("permissions", {"contents": "read"}) != needed:
            yield f"{name} may do more, or less, than it needs"
        own = "github.event.pull_request.head.repo.full_name == github.repository"
        if assumes and "pull_request" in job["if"] and own not in job["if"]:
            yield f"{name} runs a fork's code with AWS's credentials"
        if "timeout-minutes" not in job:
            yield f"{name} may run for six hours"
        for step in job["steps"]:
            checks_out = "actions/checkout" in step.get("uses", "")
            if checks_out and step.get("with", {}).get("persist-credentials") is not False:
                yield f"{name} leaves the token of its checkout on the disk"
            if "secrets." in str(step):
                yield f"{name} has a secret: SSM has them"


def interpolated(workflow: Workflow) -> list[str]:
    """Return the commands that contain an expression, which a pull request's author may fill."""
    jobs = jobs_with_steps(workflow).values()
    commands = [step.get("run", "") for job in jobs for step in job["steps"]]
    return [command for command in commands if "${{" in command]


@pytest.mark.parametrize("name", texts())
def test_every_action_is_pinned_to_a_commit_and_says_which_version_it_is(name: str) -> None:
    assert unpinned(texts()[name]) == []
    assert interpolated(yaml.safe_load(texts()[name])) == []


@pytest.mark.parametrize("name", texts())
def test_a_workflow_is_allowed_what_it_needs(name: str) -> None:
    assert list(allows_more_than_it_needs(yaml.safe_load(texts()[name]))) == []


@pytest.mark.parametrize(
    "line",
    [
        "- uses: actions/checkout@v4",
        "- uses: actions/checkout@34e1148 # v4.3.1",
        "uses: actions/checkout@34e114876b0b11c390a56381ad16ebd13914f8d5",
        "uses: docker://alpine",
    ],
)
def test_an_action_that_may_change_is_noticed(line: str) -> None:
    assert unpinned(f"      {line}") != []


def _without_permissions(workflow: Workflow) -> None:
    del workflow["permissions"]


def _for_forks(workflow: Workflow) -> None:
    workflow[True]["pull_request_target"] = None


def _writing(workflow: Workflow) -> None:
    workflow["jobs"]["production"]["permissions"]["contents"] = "write"


def _from_forks(workflow: Workflow) -> None:
    workflow["jobs"]["pull-request"]["if"] = "github.event_name == 'pull_request'"


def _endless(workflow: Workflow) -> None:
    del workflow["jobs"]["production"]["timeout-minutes"]


def _keeping_the_token(workflow: Workflow) -> None:
    del workflow["jobs"]["production"]["steps"][0]["with"]


def _with_a_secret(workflow: Workflow) -> None:
    workflow["jobs"]["production"]["steps"][-1]["env"] = {"KEY": "${{ secrets.AWS_KEY }}"}


@pytest.mark.parametrize(
    "change",
    [
        _without_permissions,
        _for_forks,
        _writing,
        _from_forks,
        _endless,
        _keeping_the_token,
        _with_a_secret,
    ],
)
def test_one_that_is_allowed_more_is_noticed(change: Callable[[Workflow], None]) -> None:
    workflow = copy.deepcopy(yaml.safe_load(texts()["deploy.yml"]))
    change(workflow)
    assert list(allows_more_than_it_needs(workflow)) != []


def test_production_waits_for_the_checks() -> None:
    jobs = yaml.safe_load(texts()["deploy.yml"])["jobs"]
    assert "workflow_call" in yaml.safe_load(texts()["check.yml"])[True]
    assert jobs["check"]["uses"] == "./.github/workflows/check.yml"
    assert jobs["production"]["needs"] == "check"
    assert jobs["check"]["if"] in jobs["production"]["if"]  # never skipped where production is not


def test_stack_of_a_closed_pull_request_is_deleted_even_if_its_flush_fails() -> None:
    steps = yaml.safe_load(texts()["deploy.yml"])["jobs"]["pull-request"]["steps"]
    commands = [step.get("run", "") for step in steps]
    last = steps[-1]
    assert "make flush" in commands[:-1]
    assert last["run"] == "make delete YES=1 LEFTOVERS=delete"
    assert last["if"] == "!cancelled() && github.event.action == 'closed'"


@pytest.mark.parametrize("name", texts())
def test_downloads_are_cached_under_a_hash_of_the_locks(name: str) -> None:
    for job in jobs_with_steps(yaml.safe_load(texts()[name])).values():
        used = [step.get("uses", "").partition("@")[0] for step in job["steps"]]
        runs = next(index for index, step in enumerate(job["steps"]) if "run" in step)
        (cached,) = [
            step for step in job["steps"] if step.get("uses", "").startswith("actions/cache@")
        ]
        assert used.index("actions/setup-python") < used.index("actions/cache") < runs
        assert "~/.cache/uv" in cached["with"]["path"]
        assert "**/requirements.txt" in cached["with"]["key"]


def documented_policies() -> list[Any]:
    """Return the trust and the rights of a role, as the page on security has them."""
    text = (ROOT / "docs/security.md").read_text()
    blocks = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    return [json.loads(block)["Statement"] for block in blocks]


def test_documented_role_trusts_one_environment_of_the_repository() -> None:
    ((trust,), _) = documented_policies()
    issuer = trust["Principal"]["Federated"].partition("oidc-provider/")[2]
    environment = yaml.safe_load(texts()["deploy.yml"])["jobs"]["production"]["environment"]
    assert trust["Condition"] == {
        "StringEquals": {
            f"{issuer}:aud": "sts.amazonaws.com",
            f"{issuer}:sub": f"repo:OWNER/REPOSITORY:environment:{environment}",
        }
    }


def test_documented_rights_reach_the_services_of_the_template_and_the_stacks_of_a_name() -> None:
    _, rights = documented_policies()
    services = set[str]()
    for statement in rights:
        actions = (
            [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]
        )
        services |= {action.partition(":")[0] for action in actions}
        assert statement["Resource"] != "*" or not [it for it in actions if "*" in it]
    kinds = {resource["Type"].split("::")[1].lower() for resource in load()["Resources"].values()}
    made_by_sam = {"cloudformation", "codedeploy", "lambda", "scheduler"}
    assert kinds - {"serverless"} | made_by_sam <= services


@pytest.mark.parametrize("before", ["", "set -e\n"])
def test_a_title_in_a_command_is_noticed(before: str) -> None:
    command = before + "echo ${{ github.event.pull_request.title }}"
    assert interpolated({"jobs": {"one": {"steps": [{"run": command}]}}}) == [command]


def test_it_is_checked_on_the_oldest_python_and_on_the_one_deployed() -> None:
    matrix = yaml.safe_load(texts()["check.yml"])["jobs"]["check"]["strategy"]["matrix"]["python"]
    runtime = load()["Parameters"]["Runtime"]
    assert [f"python{version}" for version in matrix] == [
        runtime["AllowedValues"][0],
        runtime["Default"],
    ]
