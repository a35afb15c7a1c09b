"""The documented commands, as a person types them and as a workflow runs them, one story in order.

The host's target is another one than the template's, as it is for most who deploy; the emulated AWS
runs it. That needs no account, and no secret is in SSM when the story begins.
"""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from tests.e2e.proof.inventory import account
from tests.e2e.terminal import CTRL_C, Done, at_terminal, without_terminal

from local_cloud.aws.stack_deployment import host_target
from local_cloud.checkout.tool_environments import CHECKOUT
from local_cloud.cloud import LocalCloud

# What the targets install is there: these tests run in it.
MAKE = ("make", "-o", ".venv/.ready", "-o", ".tools/sam/.ready")
HOST = " ".join(f"{name}={value}" for name, value in host_target().items())
TOLD = ", ".join(host_target()[name] for name in ("Runtime", "Architecture"))
OTHER_RUNTIME = "python3.12" if host_target()["Runtime"] != "python3.12" else "python3.13"
REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")


@dataclass(frozen=True)
class Person:
    """Runs targets of the Makefile."""

    cloud: LocalCloud

    def __call__(
        self, command: str, *variables: str, types: list[tuple[str, str]] | None = None
    ) -> Done:
        argv, env = [*MAKE, command, *variables], self.cloud.aws.environment()
        if types is None:
            return without_terminal(argv, env, str(CHECKOUT))
        elsewhere = {name: value for name, value in env.items() if name not in REGIONS}
        return at_terminal(argv, elsewhere, str(CHECKOUT), types=types)

    def cache_status(self, stack: str, question: str) -> str:
        done = self("ask", f"STACK={stack}", f"QUESTION={question}")
        assert done.status == 0, done.said
        return str(json.loads(done.said)["cache"]["status"])

    def runtime(self, stack: str) -> str:
        client = self.cloud.aws.client("cloudformation")
        told = client.describe_stacks(StackName=stack)["Stacks"][0]["Parameters"]
        return str({it["ParameterKey"]: it["ParameterValue"] for it in told}["Runtime"])


def git_status() -> str:
    argv = ["git", "status", "--porcelain"]
    return subprocess.run(argv, cwd=CHECKOUT, capture_output=True, text=True, check=False).stdout


@pytest.fixture(scope="module")
def person(cloud: LocalCloud) -> Iterator[Person]:
    before = git_status()
    yield Person(cloud)
    assert git_status() == before


@pytest.fixture(scope="module")
def before(cloud: LocalCloud) -> dict[str, set[str]]:
    return account(cloud.aws)


def test_first_deployment_without_secrets_names_all_of_them_and_builds_nothing(
    person: Person, before: dict[str, set[str]]
) -> None:
    done = person("deploy", "STACK=first", f"PARAMETERS={HOST}")
    assert done.status != 0
    for word in ("/llm-cache-dev/upstash-url", "/llm-cache-dev/upstash-token"):
        assert f"{word}: " in done.said
    assert "UPSTASH_REDIS_REST_URL" in done.said
    assert "Building" not in done.said


def test_first_deployment_at_a_terminal_asks_for_what_is_missing_alone(
    cloud: LocalCloud, person: Person
) -> None:
    done = person(
        "deploy",
        "STACK=first",
        f"PARAMETERS={HOST}",
        types=[
            ("AWS region", "us-east-1\n"),
            ("/upstash-url:", f"{cloud.upstash.url}\n"),
            ("/upstash-token:", f"{cloud.upstash.token}\n"),
        ],
    )
    assert done.status == 0, done.said
    assert f"first in us-east-1: {TOLD}" in done.said
    assert "make ask CONFIG=dev STACK=first" in done.said
    assert cloud.upstash.token not in done.said
    assert person.cache_status("first", "Is it deployed?") == "miss"


def test_plain_deployment_keeps_the_target(person: Person) -> None:
    done = person("deploy", "STACK=first")
    assert done.status == 0, done.said
    assert f"first in us-east-1: {TOLD}" in done.said
    assert person.runtime("first") == host_target()["Runtime"]
    assert person.cache_status("first", "Is it deployed?") == "hit"


def test_second_stack_is_by_itself_and_its_deletion_leaves_the_first(
    cloud: LocalCloud, person: Person
) -> None:
    done = person("deploy", "STACK=second", f"PARAMETERS={HOST}")
    assert done.status == 0, done.said
    assert person.cache_status("second", "Is it deployed?") == "miss"
    gone = person("delete", "STACK=second", "YES=1")
    assert gone.status == 0, gone.said
    assert "the bucket second-documents-" in gone.said
    assert ":layer:second:1" in gone.said
    assert "LEFTOVERS=delete" in gone.said
    assert person.cache_status("first", "Is it deployed?") == "hit"
    (uploads,) = [
        it["Name"]
        for it in cloud.aws.client("s3").list_buckets()["Buckets"]
        if it["Name"].startswith("aws-sam-cli")
    ]
    kept = cloud.aws.client("s3").list_objects_v2(Bucket=uploads)["Contents"]
    assert {it["Key"].partition("/")[0] for it in kept} == {"first"}


def test_what_a_deleted_stack_left_is_removed_later(cloud: LocalCloud, person: Person) -> None:
    done = person("delete", "STACK=second", "LEFTOVERS=delete")
    assert done.status == 0, done.said
    assert not [it for names in account(cloud.aws).values() for it in names if "second" in it]


def test_change_of_target_is_asked_for_and_said(person: Person) -> None:
    done = person("deploy", "STACK=first", f"PARAMETERS=Runtime={OTHER_RUNTIME}")
    assert done.status == 0, done.said
    assert f"{OTHER_RUNTIME} instead of {host_target()['Runtime']}" in done.said
    assert person.runtime("first") == OTHER_RUNTIME


def test_interrupted_deployment_says_what_goes_on_and_the_next_one_ends_it(person: Person) -> None:
    done = person(
        "deploy",
        "STACK=first",
        f"PARAMETERS={HOST}",
        types=[
            ("AWS region", "us-east-1\n"),
            ("Waiting for stack create/update to complete", CTRL_C),
        ],
    )
    assert done.status != 0
    assert "deploy: interrupted" in done.said
    assert "STACK=first is UPDATE_" in done.said
    assert "make deploy CONFIG=dev STACK=first" in done.said
    assert "Traceback" not in done.said
    again = person("deploy", "STACK=first", f"PARAMETERS={HOST}")
    assert again.status == 0, again.said
    assert person.cache_status("first", "Is it deployed?") in {"hit", "miss"}


def test_failed_first_deployment_says_what_to_do_and_leaves_nothing(
    cloud: LocalCloud, person: Person
) -> None:
    # The emulated AWS makes no alarm on an expression of metrics.
    failing = f"PARAMETERS={HOST} Monitoring=on HitRateAlarm=5"
    for _ in range(2):
        done = person("deploy", "STACK=failed", failing)
        assert done.status != 0
        assert "STACK=failed is ROLLBACK_COMPLETE (HitRate: " in done.said
        assert "make delete CONFIG=dev STACK=failed, then make deploy" in done.said
    asked = person("ask", "STACK=failed", "QUESTION=Is it there?")
    assert "STACK=failed is ROLLBACK_COMPLETE and has no output AskUrl" in asked.said
    gone = person("delete", "STACK=failed", "YES=1")
    assert gone.status == 0, gone.said
    assert not [it for names in account(cloud.aws).values() for it in names if "failed" in it]


def test_deletion_at_a_terminal_asks_lists_what_remains_and_removes_it(
    cloud: LocalCloud, person: Person, before: dict[str, set[str]]
) -> None:
    done = person(
        "delete",
        "STACK=first",
        types=[
            ("AWS region", "us-east-1\n"),
            ("Delete the stack first in us-east-1? [y/N]", "y\n"),
            ("Remove the buckets", "y\n"),
        ],
    )
    assert done.status == 0, done.said
    assert "the secret /llm-cache-dev/upstash-token in SSM" in done.said
    more = {
        name
        for kind, names in account(cloud.aws).items()
        for name in names - before.get(kind, set())
        if not name.startswith("aws-sam-cli")
    }
    assert more == {"/llm-cache-dev/upstash-url", "/llm-cache-dev/upstash-token"}
    flushed = person("flush", "STACK=first")
    assert "STACK=first does not exist in us-east-1; the kit has STACK=llm-cache" in flushed.said
