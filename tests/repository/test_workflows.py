"""The workflows run pinned actions only, with the permissions that they need."""

import copy
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from tests.template.loader import ROOT, load

FOLDER = ROOT / ".github/workflows"
Workflow = dict[Any, Any]
PINNED = re.compile(
    r"uses: ([\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+|\./\.github/workflows/[a-z]+\.yml)$"
)
TEXTS = {path.name: path.read_text() for path in sorted(FOLDER.glob("*.yml"))}
WORKFLOWS: dict[str, Workflow] = {name: yaml.safe_load(text) for name, text in TEXTS.items()}
DEPLOY = WORKFLOWS["deploy.yml"]
ON = True  # YAML reads the key `on` as true
FROM_THE_REPOSITORY = "github.event.pull_request.head.repo.full_name == github.repository"
each_workflow = pytest.mark.parametrize("workflow", WORKFLOWS.values(), ids=WORKFLOWS.keys())


def own_jobs(workflow: Workflow) -> dict[str, Any]:
    """Return the jobs with steps; other jobs call a workflow of this folder."""
    return {name: job for name, job in workflow["jobs"].items() if "uses" not in job}


def unpinned(text: str) -> list[str]:
    uses = [line.strip().removeprefix("- ") for line in text.splitlines() if "uses:" in line]
    return [line for line in uses if not PINNED.match(line)]


def excess_permissions(workflow: Workflow) -> Iterator[str]:
    if workflow.get("permissions") != {"contents": "read"}:
        yield "the workflow does not limit its token to reading"
    if "pull_request_target" in workflow[ON]:
        yield "the code of a fork runs with the permissions of the repository"
    for name, job in own_jobs(workflow).items():
        uses_aws = any("configure-aws-credentials" in step.get("uses", "") for step in job["steps"])
        needed = {"contents": "read"} | ({"id-token": "write"} if uses_aws else {})
        if job.get("permissions", {"contents": "read"}) != needed:
            yield f"{name} has other permissions than it needs"
        if uses_aws and "pull_request" in job["if"] and FROM_THE_REPOSITORY not in job["if"]:
            yield f"{name} runs the code of a fork with AWS credentials"
        if "timeout-minutes" not in job:
            yield f"{name} may run for six hours"
        for step in job["steps"]:
            checks_out = "actions/checkout" in step.get("uses", "")
            if checks_out and step.get("with", {}).get("persist-credentials") is not False:
                yield f"{name} leaves the token of its checkout on the disk"
            if "secrets." in str(step):
                yield f"{name} has a secret; secrets are in SSM"


def interpolated(workflow: Workflow) -> list[str]:
    """Return the commands with an expression, which the author of a pull request may control."""
    steps = [step for job in own_jobs(workflow).values() for step in job["steps"]]
    return [step["run"] for step in steps if "${{" in step.get("run", "")]


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_actions_are_pinned_to_a_commit_and_name_its_version(text: str) -> None:
    assert unpinned(text) == []


@pytest.mark.parametrize(
    "line",
    [
        "- uses: actions/checkout@v4",
        "- uses: actions/checkout@34e1148 # v4.3.1",
        "uses: actions/checkout@34e114876b0b11c390a56381ad16ebd13914f8d5",
        "uses: docker://alpine",
    ],
)
def test_unpinned_action_is_found(line: str) -> None:
    assert unpinned(f"      {line}") != []


@each_workflow
def test_workflow_has_the_permissions_that_it_needs(workflow: Workflow) -> None:
    assert list(excess_permissions(workflow)) == []
    assert interpolated(workflow) == []


PRODUCTION = ("jobs", "production")
CHECKOUT, LAST = (*PRODUCTION, "steps", 0), (*PRODUCTION, "steps", -1)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("permissions",), None),
        ((ON, "pull_request_target"), None),
        ((*PRODUCTION, "permissions", "contents"), "write"),
        (("jobs", "pull-request", "if"), "github.event_name == 'pull_request'"),
        ((*CHECKOUT, "with"), {}),
        ((*LAST, "env"), {"KEY": "${{ secrets.AWS_KEY }}"}),
    ],
)
def test_excess_permission_is_found(path: tuple[Any, ...], value: Any) -> None:
    workflow = copy.deepcopy(DEPLOY)
    place: Any = workflow
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    assert list(excess_permissions(workflow)) != []


def test_job_without_a_timeout_is_found() -> None:
    workflow = copy.deepcopy(DEPLOY)
    del workflow["jobs"]["production"]["timeout-minutes"]
    assert list(excess_permissions(workflow)) == ["production may run for six hours"]


@pytest.mark.parametrize("before", ["", "set -e\n"])
def test_title_of_a_pull_request_in_a_command_is_found(before: str) -> None:
    command = before + "echo ${{ github.event.pull_request.title }}"
    assert interpolated({"jobs": {"one": {"steps": [{"run": command}]}}}) == [command]


def test_production_is_deployed_after_the_checks() -> None:
    jobs = DEPLOY["jobs"]
    assert "workflow_call" in WORKFLOWS["check.yml"][ON]
    assert jobs["check"]["uses"] == "./.github/workflows/check.yml"
    assert jobs["production"]["needs"] == "check"
    assert jobs["check"]["if"] in jobs["production"]["if"]  # both run for the same events


def test_stack_of_a_closed_pull_request_is_deleted_after_a_failed_flush() -> None:
    *steps, last = DEPLOY["jobs"]["pull-request"]["steps"]
    assert "make flush" in [step.get("run") for step in steps]
    assert last["run"] == "make delete YES=1 LEFTOVERS=delete"
    assert last["if"] == "!cancelled() && github.event.action == 'closed'"


def test_checks_run_on_the_oldest_python_and_on_the_default_runtime() -> None:
    versions = WORKFLOWS["check.yml"]["jobs"]["check"]["strategy"]["matrix"]["python"]
    runtime = load()["Parameters"]["Runtime"]
    expected = [runtime["AllowedValues"][0], runtime["Default"]]
    assert [f"python{version}" for version in versions] == expected


def test_nightly_workflow_runs_make_nightly() -> None:
    steps = WORKFLOWS["nightly.yml"]["jobs"]["nightly"]["steps"]
    assert [step["run"] for step in steps if "run" in step] == ["make nightly"]


@each_workflow
def test_downloads_are_cached_by_a_hash_of_the_lock_files(workflow: Workflow) -> None:
    for job in own_jobs(workflow).values():
        used = [step.get("uses", "run").partition("@")[0] for step in job["steps"]]
        cache = job["steps"][used.index("actions/cache")]["with"]
        assert used.index("actions/setup-python") < used.index("actions/cache") < used.index("run")
        assert "~/.cache/uv" in cache["path"]
        assert "**/requirements.txt" in cache["key"]


def documented_policies() -> tuple[list[Any], list[Any]]:
    """Return the statements of the role's trust policy and of its permissions, as documented."""
    text = (ROOT / "docs/security.md").read_text()
    trust, permissions = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    return json.loads(trust)["Statement"], json.loads(permissions)["Statement"]


def test_documented_role_trusts_one_environment_of_the_repository() -> None:
    ((trust,), _) = documented_policies()
    issuer = trust["Principal"]["Federated"].partition("oidc-provider/")[2]
    environment = DEPLOY["jobs"]["production"]["environment"]
    assert trust["Condition"] == {
        "StringEquals": {
            f"{issuer}:aud": "sts.amazonaws.com",
            f"{issuer}:sub": f"repo:OWNER/REPOSITORY:environment:{environment}",
        }
    }


def test_documented_permissions_are_for_the_services_of_the_template() -> None:
    _, permissions = documented_policies()
    services = set[str]()
    for statement in permissions:
        actions = statement["Action"]
        actions = [actions] if isinstance(actions, str) else actions
        services |= {action.partition(":")[0] for action in actions}
        assert statement["Resource"] != "*" or not [it for it in actions if "*" in it]
    kinds = {resource["Type"].split("::")[1].lower() for resource in load()["Resources"].values()}
    created_by_sam = {"cloudformation", "codedeploy", "lambda", "scheduler"}
    assert kinds - {"serverless"} | created_by_sam <= services
