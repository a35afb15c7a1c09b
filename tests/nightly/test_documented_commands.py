"""The ``local`` blocks of all pages, against the local cloud.

`make test` executes the ``run`` blocks and the marked tests of blocks
(tests/repository/test_documented_examples.py).
"""

import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from tests.nightly import aws_command
from tests.repository.page_run import PageRun
from tests.repository.pages import PAGES, ROOT, blocks

from local_cloud.aws.stack_deployment import host_target
from local_cloud.cloud import LocalCloud

TOOLS = ("sam", "aws", "model", "runtime")
INSTALLED = (
    *(".venv/.uv", ".venv/.ready", ".venv/.tests", ".tools/sam/.lint"),
    *(f".tools/{tool}/.ready" for tool in TOOLS),
)
LOCAL = [page for page in PAGES if any(it.marker == "local" and not it.test for it in blocks(page))]


@pytest.fixture(scope="module")
def cloud() -> Iterator[LocalCloud]:
    with LocalCloud.start(model="echo") as running:
        yield running


@pytest.fixture
def commands(tmp_path: Path) -> Path:
    """A folder with ``aws`` and ``make``: of the checkout, without installing; sam's as it is."""
    folder = tmp_path / "commands"
    folder.mkdir()
    real = shutil.which("make")
    ready = " ".join(f"-o {file}" for file in INSTALLED)
    at = f'-C "{ROOT}" --no-print-directory {ready}'
    make = f'[ "$OF_SAM" ] && exec {real} "$@"\nOF_SAM=1 exec {real} {at} "$@"'
    aws = f'exec "{sys.executable}" "{aws_command.__file__}" "$@"'
    for name, text in (("make", make), ("aws", aws)):
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    return folder


@pytest.fixture
def resources(cloud: LocalCloud) -> dict[str, str]:
    """The variables of the blocks: a bucket and a queue of the stack, a topic and a rule."""
    outputs = cloud.stack.outputs
    rule = cloud.aws.client("events")
    rule.put_rule(Name="documents", EventPattern=json.dumps({"source": ["aws.s3"]}))
    queue = outputs["DocumentMessagesUrl"]
    asked = {"QueueUrl": queue, "AttributeNames": ["QueueArn"]}
    return {
        "BUCKET": outputs["DocumentsBucket"],
        "QUEUE": queue,
        "QUEUE_ARN": cloud.aws.client("sqs").get_queue_attributes(**asked)["Attributes"][
            "QueueArn"
        ],
        "TOPIC": cloud.aws.client("sns").create_topic(Name="documents")["TopicArn"],
        "RULE": "documents",
    }


@pytest.fixture
def environ(cloud: LocalCloud, resources: Mapping[str, str]) -> dict[str, str]:
    """The environment of a person who deploys a stack of the documented configuration."""
    return {
        **cloud.aws.environment(os.environ),
        **resources,
        "STACK": "documented",
        "PARAMETERS": " ".join(f"{name}={value}" for name, value in host_target().items()),
        "UPSTASH_REDIS_REST_URL": cloud.upstash.url,
        "UPSTASH_REDIS_REST_TOKEN": cloud.upstash.token,
        "YES": "1",
        "MODEL": "echo",
    }


@pytest.mark.parametrize("page", LOCAL)
def test_local_blocks_of_a_page_do_what_it_shows(
    page: str, environ: dict[str, str], commands: Path, tmp_path: Path
) -> None:
    run = PageRun(environ, folders=(commands,), folder=tmp_path, numbers_vary=True)
    for block in blocks(page):
        if block.marker == "local" and not block.test:
            run.run(block)
