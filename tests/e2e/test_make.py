"""The documented commands, run in order at a terminal and without one.

The target is this host's, not the template's default. No account is needed, and SSM holds no secret
at the beginning.
"""

import contextlib
import os
import pty
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pytest
from tests.e2e.proof.inventory import account

from local_cloud.aws.stack_deployment import host_target
from local_cloud.checkout.tool_environments import CHECKOUT
from local_cloud.cloud import LocalCloud

CTRL_C = "\x03"
# The leader of a session opens its terminal, so that Ctrl-C reaches all of its processes.
OPENS_TERMINAL = (
    "import fcntl, os, sys, termios\n"
    "fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
    "os.execvp(sys.argv[1], sys.argv[1:])"
)


@dataclass(frozen=True, slots=True)
class Done:
    status: int
    output: str


def without_terminal(argv: Sequence[str], env: Mapping[str, str], folder: str) -> Done:
    none, pipe, out = subprocess.DEVNULL, subprocess.PIPE, subprocess.STDOUT
    with subprocess.Popen(argv, env=env, cwd=folder, stdin=none, stdout=pipe, stderr=out) as run:
        output = run.communicate()[0].decode(errors="replace")
    return Done(run.returncode, output)


def at_terminal(
    argv: Sequence[str], env: Mapping[str, str], folder: str, *, types: Sequence[tuple[str, str]]
) -> Done:
    """Run a command at a terminal; `types` are texts to wait for and the input after each."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", OPENS_TERMINAL, *argv],
        env=env,
        cwd=folder,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    output, position, pending = "", 0, list(types)
    with contextlib.suppress(OSError):  # Linux's end of file of a closed terminal
        while data := os.read(ours, 65536):
            output += data.decode(errors="replace")
            while pending and (found := output.find(pending[0][0], position)) >= 0:
                text, typed = pending.pop(0)
                position = found + len(text)
                os.write(ours, typed.encode())
    os.close(ours)
    return Done(process.wait(), output)


# The tools are installed already.
FROM_MAKE = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")  # of a make that started these tests
MAKE = ("make", "-o", ".venv/.ready", "-o", ".tools/sam/.ready")
TARGET = host_target()
PARAMETERS = "PARAMETERS=" + " ".join(f"{name}={value}" for name, value in TARGET.items())
DESCRIPTION = f"first in us-east-1: {TARGET['Runtime']}, {TARGET['Architecture']}"
OTHER_RUNTIME = "python3.12" if TARGET["Runtime"] != "python3.12" else "python3.13"
REGION = ("AWS region", "us-east-1\n")
SECRETS = {"/llm-cache-dev/upstash-url", "/llm-cache-dev/upstash-token"}


@dataclass(frozen=True)
class Make:
    """Runs targets of the Makefile, at a terminal if `types` is given."""

    cloud: LocalCloud

    def __call__(
        self, target: str, *variables: str, types: list[tuple[str, str]] | None = None
    ) -> Done:
        argv, env = [*MAKE, target, *variables], self.cloud.aws.environment()
        for name in FROM_MAKE:
            env.pop(name, None)
        if types is None:
            return without_terminal(argv, env, str(CHECKOUT))
        del env["AWS_REGION"], env["AWS_DEFAULT_REGION"]
        return at_terminal(argv, env, str(CHECKOUT), types=[REGION, *types])

    def succeeds(
        self, target: str, *variables: str, types: list[tuple[str, str]] | None = None
    ) -> str:
        done = self(target, *variables, types=types)
        assert done.status == 0, done.output
        return done.output

    def cache_status(self, stack: str) -> str:
        reply = self.succeeds("ask", f"STACK={stack}", "QUESTION=Is it deployed?")
        return reply.splitlines()[-1].partition(",")[0].partition(" ")[0]

    def runtime(self, stack: str) -> str:
        client = self.cloud.aws.client("cloudformation")
        found = client.describe_stacks(StackName=stack)["Stacks"][0]["Parameters"]
        return str({it["ParameterKey"]: it["ParameterValue"] for it in found}["Runtime"])

    def resources(self, name: str) -> list[str]:
        found = account(self.cloud.aws).values()
        return [resource for names in found for resource in names if name in resource]


def git_status() -> str:
    argv = ["git", "status", "--porcelain"]
    return subprocess.run(argv, cwd=CHECKOUT, capture_output=True, text=True, check=False).stdout


@pytest.fixture(scope="module")
def make(cloud: LocalCloud) -> Iterator[Make]:
    before = git_status()
    yield Make(cloud)
    assert git_status() == before


@pytest.fixture(scope="module")
def before(cloud: LocalCloud) -> dict[str, set[str]]:
    return account(cloud.aws)


def test_first_deployment_without_secrets_lists_them_and_builds_nothing(
    make: Make, before: dict[str, set[str]]
) -> None:
    done = make("deploy", "STACK=first", PARAMETERS)
    assert done.status != 0
    assert all(f"{name}: " in done.output for name in SECRETS)
    assert "UPSTASH_REDIS_REST_URL" in done.output
    assert "Building" not in done.output


def test_first_deployment_at_a_terminal_asks_for_missing_values_only(
    cloud: LocalCloud, make: Make
) -> None:
    types = [
        ("/upstash-url:", f"{cloud.upstash.url}\n"),
        ("/upstash-token:", f"{cloud.upstash.token}\n"),
    ]
    output = make.succeeds("deploy", "STACK=first", PARAMETERS, types=types)
    assert DESCRIPTION in output
    assert "make ask CONFIG=dev STACK=first" in output
    assert cloud.upstash.token not in output
    assert make.cache_status("first") == "miss"


def test_plain_deployment_keeps_the_target(make: Make) -> None:
    assert DESCRIPTION in make.succeeds("deploy", "STACK=first")
    assert make.runtime("first") == TARGET["Runtime"]
    assert make.cache_status("first") == "hit"


def test_deletion_of_a_second_stack_keeps_the_first(cloud: LocalCloud, make: Make) -> None:
    make.succeeds("deploy", "STACK=second", PARAMETERS)
    assert make.cache_status("second") == "miss"
    output = make.succeeds("delete", "STACK=second", "YES=1")
    for text in ("the bucket second-documents-", ":layer:second:1", "LEFTOVERS=delete"):
        assert text in output
    assert make.cache_status("first") == "hit"
    s3 = cloud.aws.client("s3")
    names = [it["Name"] for it in s3.list_buckets()["Buckets"]]
    (uploads,) = [name for name in names if name.startswith("aws-sam-cli")]
    kept = s3.list_objects_v2(Bucket=uploads)["Contents"]
    assert {it["Key"].partition("/")[0] for it in kept} == {"first"}
    make.succeeds("delete", "STACK=second", "LEFTOVERS=delete")
    assert make.resources("second") == []


def test_changed_target_is_reported_and_deployed(make: Make) -> None:
    output = make.succeeds("deploy", "STACK=first", f"PARAMETERS=Runtime={OTHER_RUNTIME}")
    assert f"{OTHER_RUNTIME} instead of {TARGET['Runtime']}" in output
    assert make.runtime("first") == OTHER_RUNTIME


def test_interrupted_deployment_is_described_and_the_next_one_completes_it(make: Make) -> None:
    types = [("Waiting for stack create/update to complete", CTRL_C)]
    done = make("deploy", "STACK=first", PARAMETERS, types=types)
    assert done.status != 0
    for text in (
        "deploy: interrupted",
        "STACK=first is UPDATE_",
        "make deploy CONFIG=dev STACK=first",
    ):
        assert text in done.output
    assert "Traceback" not in done.output
    make.succeeds("deploy", "STACK=first", PARAMETERS)
    assert make.cache_status("first") in {"hit", "miss"}


def test_failed_first_deployment_is_explained_and_deleted_completely(make: Make) -> None:
    # The emulated AWS supports no alarm on an expression of metrics.
    failing = f"{PARAMETERS} Monitoring=on HitRateAlarm=5"
    for _ in range(2):
        done = make("deploy", "STACK=failed", failing)
        assert done.status != 0
        assert "STACK=failed is ROLLBACK_COMPLETE (HitRate: " in done.output
        assert "make delete CONFIG=dev STACK=failed, then make deploy" in done.output
    asked = make("ask", "STACK=failed", "QUESTION=Is it there?")
    assert "the stack failed is ROLLBACK_COMPLETE and has no output AskUrl" in asked.output
    make.succeeds("delete", "STACK=failed", "YES=1")
    assert make.resources("failed") == []


def test_deletion_at_a_terminal_asks_and_removes_everything_but_secrets(
    cloud: LocalCloud, make: Make, before: dict[str, set[str]]
) -> None:
    types = [("Delete the stack first in us-east-1? [y/N]", "y\n"), ("Remove the buckets", "y\n")]
    output = make.succeeds("delete", "STACK=first", types=types)
    assert "the secret /llm-cache-dev/upstash-token in SSM" in output
    after = account(cloud.aws).items()
    new = {name for kind, names in after for name in names - before.get(kind, set())}
    assert {name for name in new if not name.startswith("aws-sam-cli")} == SECRETS
    flushed = make("flush", "STACK=first").output
    known = "the kit's stacks there: llm-cache"
    assert f"the stack first does not exist in us-east-1; {known}" in flushed
