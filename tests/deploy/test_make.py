"""`make deploy` and what follows it, as a user runs them, on the emulated AWS."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from local_cloud.cloud import LocalCloud
from local_cloud.sam import target
from local_cloud.tools import CHECKOUT

# ministack makes no alarm on an expression; all other parameters are those of samconfig.toml.
CHOICES = {**target(), "HitRateAlarm": "0", "FlushState": "DISABLED"}
Make = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def make(cloud: LocalCloud) -> Make:
    """Run what a target of the Makefile runs, with nobody at the terminal."""
    env = cloud.aws.environment() | {"PYTHONPATH": os.pathsep.join(sys.path)}

    def run(command: str, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "deployment", command, "--stack", "made", *arguments]
        return subprocess.run(
            argv,
            env=env | environ,
            cwd=CHECKOUT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.fixture(scope="module")
def deployed(cloud: LocalCloud, make: Make) -> Iterator[str]:
    """What a deployment prints whose secrets stand in the environment; deleted in the end."""
    done = make(
        "deploy",
        "--parameters",
        " ".join(f"{name}={value}" for name, value in CHOICES.items()),
        UPSTASH_REDIS_REST_URL=cloud.upstash.url,
        UPSTASH_REDIS_REST_TOKEN=cloud.upstash.token,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert cloud.upstash.token not in done.stdout + done.stderr
    yield done.stdout
    gone = make("delete", "--yes")
    assert gone.returncode == 0, gone.stdout + gone.stderr
    assert "made is gone. What stays: its secrets in SSM" in gone.stdout
    assert "there is no stack made in" in make("flush").stderr


def test_a_deployment_stores_the_secrets_and_says_what_comes_next(
    cloud: LocalCloud, deployed: str
) -> None:
    assert "make ask   CONFIG=dev STACK=made QUESTION=" in deployed
    named = {"Name": "/llm-cache-dev/upstash-token", "WithDecryption": True}
    stored = cloud.aws.client("ssm").get_parameter(**named)["Parameter"]
    assert (stored["Type"], stored["Value"]) == ("SecureString", cloud.upstash.token)


def test_a_question_hits_until_the_flush(deployed: str, make: Make) -> None:
    def status() -> str:
        told = json.loads(make("ask", "Is it deployed?").stdout)["cache"]["status"]
        return str(told)

    assert [status(), status()] == ["miss", "hit"]
    flushed = json.loads(make("flush").stdout)
    assert (flushed["namespace"], flushed["cleared"], flushed["complete"]) == ("made", True, True)
    assert status() == "miss"


def test_the_log_names_the_function_and_not_what_it_was_asked(deployed: str, make: Make) -> None:
    assert make("ask", "What is in the log?").returncode == 0
    lines = make("logs").stdout.splitlines()
    assert any(line.startswith("made-ask  ") and '"answered"' in line for line in lines)
    assert not any("What is in the log?" in line for line in lines)
