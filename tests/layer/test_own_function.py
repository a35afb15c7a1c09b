"""The documented function of a user's own works as its page says.

`make test` runs it from source, `make nightly` from its build.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.proof.transformed import transformed
from tests.functions.bedrock import Bedrock, bedrock
from tests.layer.artifacts import BUILT_FROM, HOST, ROOT, SAM, Artifacts, run
from tests.template import (
    access_rules,
    build_rules,
    loader,
    permission_rules,
    secret_rules,
    storage_rules,
)
from tests.template.rule import BREAKAGES, breaches
from upstash_redis import Redis

from upstash_endpoint.endpoint import UpstashEndpoint

SECTION = "## A function of your own"
FUNCTION = "NewsFunction"
HOUR = 3600
INVOKE = """
import json
from news import handler
class Context:
    get_remaining_time_in_millis = lambda self: 60_000
for event in {events!r}:
    print(json.dumps(handler(event, Context())))
"""
VALUES = {  # of the template's variables that the function needs here
    "LLM_CACHE_NAMESPACE": "own",
    "LLM_CACHE_TTL": "7200",
    "LLM_CACHE_TTL_FLOOR": "1",
    "LLM_CACHE_TTL_CEILING": "86400",
    "MODEL_ID": "global.amazon.nova-2-lite-v1:0",
    "MODEL_MAX_TOKENS": "512",
}


def block(language: str) -> str:
    """Return the section's one block of a language."""
    page = (ROOT / "docs/functions.md").read_text()
    section = page.partition(f"{SECTION}\n")[2].partition("\n## ")[0]
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
    return str(found)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources of a build, with the page's blocks inserted."""
    copy: Path = tmp_path_factory.mktemp("project")
    ignored = shutil.ignore_patterns("__pycache__")
    for name in BUILT_FROM:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, symlinks=True, ignore=ignored)
        else:
            shutil.copy(ROOT / name, copy / name)
    where, _, code = block("python").partition("\n")
    (copy / where.removeprefix("# ")).write_text(code)
    template = (copy / "template.yaml").read_text()
    assert template.count("\nResources:\n") == 1
    (copy / "template.yaml").write_text(
        template.replace("\nResources:\n", f"\nResources:\n{block('yaml')}\n")
    )
    return copy


Run = Callable[..., str]


@pytest.fixture(scope="module")
def run_function(project: Path) -> Run:
    """Run a script that imports the function, from source or, nightly, from its build."""
    if os.environ.get("PROFILE") == "nightly":
        return partial(built(project).run, FUNCTION)

    def from_source(script: str, **environ: str) -> str:
        path = f"import sys; sys.path.insert(0, {str(project / 'functions/ask')!r})"
        command = [sys.executable, "-c", f"{path}\n{script}"]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return from_source


def built(project: Path) -> Artifacts:
    """Build the function and the layer with the real sam."""
    where = ["--no-cached", "--build-dir", str(project / "build")]
    command = [str(SAM), "build", FUNCTION, *where, "--parameter-overrides", *HOST.overrides]
    done = run(command, project)
    assert done.returncode == 0, done.stderr
    return Artifacts(HOST, project / "build")


def ask_twice(run_function: Run, environ: dict[str, str], kind: str) -> list[dict[str, Any]]:
    """Ask one question twice in one process, and return the replies."""
    script = INVOKE.format(events=[{"kind": kind, "question": "What now?"}] * 2)
    return [json.loads(line) for line in run_function(script, **environ).splitlines()[-2:]]


def environment(project: Path, upstash: UpstashEndpoint, model: Bedrock) -> dict[str, str]:
    template = loader.load(project / "template.yaml")
    variables = loader.environment(loader.functions(template)[FUNCTION])
    return {
        **{name: VALUES[name] for name in variables if name in VALUES},
        "UPSTASH_REDIS_REST_URL": upstash.url,  # instead of SSM
        "UPSTASH_REDIS_REST_TOKEN": upstash.token,
        "AWS_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
        "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": model.url,
    }


def until_the_hour(now: float) -> float:
    return HOUR - now % HOUR


@pytest.mark.parametrize("kind", ["news", "prices", "else"])
def test_answer_is_stored_with_the_ttl_of_its_kind_and_hits(
    run_function: Run, project: Path, upstash: UpstashEndpoint, redis: Redis, kind: str
) -> None:
    with bedrock() as model:
        environ = environment(project, upstash, model)
        before = time.time()
        first, again = ask_twice(run_function, environ, kind)
        (entry,) = redis.keys("own:entry:*")
        left = redis.ttl(entry)
        after = time.time()
    expected = {"news": {until_the_hour(now) for now in (before, after)}, "prices": {60.0}}
    taken = after - before + 1
    assert any(ttl - taken <= left <= ttl + 1 for ttl in expected.get(kind, {7200.0}))
    assert first == {"answer": again["answer"], "hit": False}
    assert again["hit"] is True
    assert len(model.requests) == 1


def test_truncated_answer_is_not_stored(
    run_function: Run, project: Path, upstash: UpstashEndpoint, redis: Redis
) -> None:
    with bedrock() as model:
        model.stops = "max_tokens"
        environ = environment(project, upstash, model)
        replies = ask_twice(run_function, environ, "news")
    assert [reply["hit"] for reply in replies] == [False, False]
    assert redis.keys("own:entry:*") == []
    assert len(model.requests) == 2


def test_blocks_are_short_and_indented_for_pasting() -> None:
    assert len(block("python").strip().splitlines()) < 20
    assert textwrap.dedent(block("python")) == block("python")
    (resource,) = re.findall(r"^  (\w+):$", block("yaml"), re.MULTILINE)
    assert resource == FUNCTION
    assert block("yaml").startswith("  # ")


def test_template_with_the_function_is_valid_and_publishes_it(project: Path) -> None:
    done = run([str(SAM), "validate", "--lint", "--region", "eu-west-1"], project)
    assert done.returncode == 0, done.stdout + done.stderr
    template = loader.load(project / "template.yaml")
    for name, kind in (("Function", "CodeUri"), ("LayerVersion", "ContentUri")):
        for resource in loader.resources(template, f"Serverless::{name}").values():
            resource["Properties"][kind] = "s3://bucket/key"
    made = transformed(json.dumps(template), {})["Resources"]
    assert {f"{FUNCTION}Aliaslive", "AskFunctionRole"} <= set(made)
    assert f"{FUNCTION}Role" not in made


def test_template_with_the_function_keeps_the_rules(project: Path) -> None:
    template = loader.load(project / "template.yaml")
    modules = (access_rules, build_rules, permission_rules, secret_rules, storage_rules)
    # The rule lists the permissions of the functions by name.
    due = set(BREAKAGES) - {permission_rules.functions_have_the_actions_that_they_call}
    rules = [rule for rule in due if rule.__module__ in {it.__name__ for it in modules}]
    assert len(rules) > 10
    assert {breach for rule in rules for breach in breaches(rule, template)} == set()
