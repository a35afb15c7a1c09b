"""The blocks of docs/other-stacks.md, and the roll back of docs/deploying.md, in stacks."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e import other_stack
from tests.e2e.other_stack import for_this_host, shown
from tests.layer.artifacts import RUNTIME, SAM
from tests.template.loader import ROOT

from local_cloud.aws.stack_deployment import UPLOAD_BUCKET
from local_cloud.cloud import LocalCloud
from local_cloud.stack.ask_client import ask
from local_cloud.stack.emulated_stack import ALIAS, EmulatedStack


@pytest.fixture(scope="module")
def kit(cloud: LocalCloud, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder from which the kit was deployed under the name that the documentation has."""
    folder = tmp_path_factory.mktemp("kit")
    assert other_stack.deploy_kit(cloud, folder) == ""
    return folder


@pytest.fixture(scope="module")
def by_sam(
    cloud: LocalCloud, kit: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[EmulatedStack, Path]]:
    """A stack with the documented function, and its template."""
    template = other_stack.write_news(cloud, tmp_path_factory.mktemp("yours"))
    assert other_stack.sam_deploy(cloud, "by-sam", template) == ""
    yield EmulatedStack.read(cloud.aws, "by-sam"), template
    other_stack.delete(cloud, "by-sam")


@pytest.fixture(scope="module")
def by_cdk(
    cloud: LocalCloud, by_sam: tuple[EmulatedStack, Path]
) -> Iterator[tuple[EmulatedStack, str]]:
    """A stack with the same function as CDK synthesizes it, and its template."""
    _, template = by_sam
    code = shutil.make_archive(str(template.with_name("code")), "zip", template.with_name("news"))
    cloud.aws.client("s3").put_object(
        Bucket=UPLOAD_BUCKET, Key="code.zip", Body=Path(code).read_bytes()
    )
    body = json.dumps(other_stack.as_cdk_synthesizes(template, UPLOAD_BUCKET, "code.zip"))
    other_stack.put(cloud, "by-cdk", body)
    yield EmulatedStack.read(cloud.aws, "by-cdk"), body
    other_stack.delete(cloud, "by-cdk")


def hits(stack: EmulatedStack, question: str, times: int = 2) -> list[bool]:
    """Ask the function of another stack so often; return which were hits."""
    event = {"question": question}
    came = [stack.invoke("NewsFunction", event, qualifier="$LATEST") for _ in range(times)]
    assert [one.error for one in came] == [None] * times, came
    return [one.payload["hit"] for one in came]


def test_function_of_another_stack_misses_and_then_hits(
    by_sam: tuple[EmulatedStack, Path], by_cdk: tuple[EmulatedStack, str]
) -> None:
    assert hits(by_sam[0], "What is new?") == [False, True]
    assert hits(by_cdk[0], "What is new?") == [False, True]


def test_clear_of_another_stack_leaves_every_other_namespace(
    cloud: LocalCloud, by_sam: tuple[EmulatedStack, Path], by_cdk: tuple[EmulatedStack, str]
) -> None:
    question = "Is it cleared?"
    ask(cloud.stack, question)
    assert hits(by_sam[0], question) == hits(by_cdk[0], question) == [False, True]
    cleared = by_sam[0].invoke("ClearFunction", {}, qualifier="$LATEST")
    assert cleared.error is None
    assert hits(by_sam[0], question) == [False, True]
    assert hits(by_cdk[0], question, times=1) == [True]
    assert ask(cloud.stack, question).status == "hit"


def resize(
    cloud: LocalCloud, by_sam: tuple[EmulatedStack, Path], by_cdk: tuple[EmulatedStack, str]
) -> None:
    """Update both stacks with twice the memory, and use their functions."""
    before = other_stack.memory(by_sam[0])
    old, new = f"MemorySize: {before}", f"MemorySize: {2 * before}"
    by_sam[1].write_text(by_sam[1].read_text().replace(old, new))
    assert other_stack.sam_deploy(cloud, "by-sam", by_sam[1]) == ""
    other_stack.put(cloud, "by-cdk", by_cdk[1].replace(": 1024", f": {2 * before}"))
    for stack in (by_sam[0], by_cdk[0]):
        assert other_stack.memory(stack) == 2 * before
        assert hits(stack, f"With more than {before} MB?") == [False, True]


def test_other_stacks_are_updated_after_the_kit_was_deleted(
    cloud: LocalCloud,
    kit: Path,
    by_sam: tuple[EmulatedStack, Path],
    by_cdk: tuple[EmulatedStack, str],
) -> None:
    other_stack.delete(cloud, other_stack.KIT)
    resize(cloud, by_sam, by_cdk)


def test_kit_is_deployed_again_once_its_parameter_is_deleted_as_documented(
    cloud: LocalCloud,
    kit: Path,
    by_sam: tuple[EmulatedStack, Path],
    by_cdk: tuple[EmulatedStack, str],
) -> None:
    other_stack.delete(cloud, other_stack.KIT)
    assert "already exists" in other_stack.deploy_kit(cloud, kit)
    other_stack.delete(cloud, other_stack.KIT)
    other_stack.delete_parameter_as_told(cloud)
    assert other_stack.deploy_kit(cloud, kit) == ""
    resize(cloud, by_sam, by_cdk)


def bash(command: str, folder: Path, *path: Path, **environ: str) -> str:
    """Run the commands that the documentation shows; return what it printed."""
    found = os.pathsep.join([*map(str, path), os.environ["PATH"]])
    env = {key: it for key, it in os.environ.items() if key != "PYTHONPATH"} | environ
    env |= {"PATH": found, "SAM_CLI_TELEMETRY": "0"}
    done = subprocess.run(
        ["bash", "-e", "-c", command],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_package_as_documented_has_nothing_that_the_layer_has(
    cloud: LocalCloud, tmp_path: Path
) -> None:
    (tmp_path / "lambda-llm-cache").symlink_to(ROOT)
    yours = tmp_path / "yours"
    (yours / "news").mkdir(parents=True)
    (yours / "news/news.py").write_text(shown("python", section="The function"))
    (yours / "news/requirements.in").write_text("langchain-aws")
    (yours / "template.yaml").write_text(for_this_host(shown("yaml")))

    bash(for_this_host(shown("sh")), yours, Path(sys.executable).parent, SAM.parent)

    built = yours / ".aws-sam/build/NewsFunction"
    layer = cloud.tree.built.parent / "LlmCacheLayer/python"
    packages, theirs = ({it.stem for it in folder.glob("*/")} for folder in (built, layer))
    assert "langchain_aws" in packages
    assert packages & theirs == set()
    path = [str(entry) for entry in (built, layer, RUNTIME)]
    script = f"import sys; sys.path[:0] = {path}; import news; print(news.cache)"
    named = {"LLM_CACHE_NAMESPACE": "n", "LLM_CACHE_URL_PARAMETER": "/u"}
    named |= {"LLM_CACHE_TOKEN_PARAMETER": "/t", "AWS_REGION": "eu-west-1"}
    subprocess.run([sys.executable, "-I", "-S", "-c", script], env=named, check=True)


def test_roll_back_as_documented_moves_the_alias_to_the_earlier_version_and_its_entries(
    cloud: LocalCloud, tmp_path: Path
) -> None:
    question, stack = "Which version answers?", cloud.stack
    named = {"FunctionName": stack.physical("AskFunction"), "Name": ALIAS}
    client = cloud.aws.client("lambda")
    earlier = client.get_alias(**named)["FunctionVersion"]
    assert [ask(stack, question).status for _ in range(2)] == ["miss", "hit"]
    upgraded = cloud.tree.built.with_name("upgraded.yaml")
    text = cloud.tree.built.read_text()
    upgraded.write_text(text.replace("MemorySize: 1024", "MemorySize: 1536"))
    try:
        cloud.deploy(template=upgraded)
        assert client.get_alias(**named)["FunctionVersion"] != earlier
        assert ask(stack, question).status == "hit"
        command = shown("sh", "docs/deploying.md", "Upgrade and roll back").replace(
            other_stack.KIT, stack.name
        )
        command = command.replace("--function-version 3", f"--function-version {earlier}")
        aws = other_stack.command_line(tmp_path)
        listed = [
            row.split()[0]
            for row in bash(command, tmp_path, aws, **cloud.aws.variables()).splitlines()
        ]
        assert earlier in listed
        assert client.get_alias(**named)["FunctionVersion"] == earlier
        assert ask(stack, question).status == "hit"
    finally:
        upgraded.unlink()
        cloud.deploy()
