"""The documented use of the layer in other stacks, and the documented rollback."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.layer.artifacts import RUNTIME, SAM
from tests.template.loader import ROOT, load

from local_cloud.aws.stack_deployment import UPLOAD_BUCKET, host_target
from local_cloud.checkout.sam_process import SAM_VARIABLES, sam_command
from local_cloud.cloud import LocalCloud
from local_cloud.stack.ask_client import ask
from local_cloud.stack.emulated_stack import ALIAS, EmulatedStack

PAGE = "docs/other-stacks.md"
KIT = "llm-cache-dev"
POLL = {"Delay": 1, "MaxAttempts": 60}
LAYER = ("LlmCacheLayer", "LayerArnParameter")
# The commands of the AWS CLI that the documentation uses, on boto3.
AWS = """
import sys, boto3, jmespath
from botocore import xform_name
service, operation, *rest = sys.argv[1:]
options = dict(zip(rest[::2], rest[1::2], strict=True))
query, _ = options.pop("--query", "@"), options.pop("--output", "")
client = boto3.client(service)
shape = client.meta.service_model.operation_model(
    client.meta.method_to_api_mapping[operation.replace("-", "_")]
).input_shape
names = {"--" + xform_name(name, "-"): name for name in shape.members}
arguments = {names[key]: it for key, it in options.items()}
reply = getattr(client, operation.replace("-", "_"))(**arguments)
found = jmespath.search(query, reply)
for row in found if isinstance(found, list) else [found]:
    print(*row if isinstance(row, list) else [row], sep="\\t")
"""
CLEAR = "from news import cache\n\n\ndef handler(event, context):\n    cache.clear()\n"


def shown(language: str, page: str = PAGE, section: str = "") -> str:
    """Return the first code block of a language on a page, or in a section of it."""
    text = (ROOT / page).read_text()
    text = text.partition(f"## {section}\n")[2] if section else text
    found = re.search(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    assert found
    return found[1]


def for_this_host(text: str) -> str:
    host = host_target()
    text = text.replace("python3.13", host["Runtime"]).replace("arm64", host["Architecture"])
    return text.replace("3.13", host["Runtime"].removeprefix("python"))


def sam_deploy(cloud: LocalCloud, stack: str, template: Path, *more: str) -> str:
    """Deploy a template with the real sam; return its output if it fails, else ''."""
    arguments = ["--template", str(template), "--stack-name", stack]
    arguments += ["--s3-bucket", UPLOAD_BUCKET, "--capabilities", "CAPABILITY_IAM"]
    arguments += ["--no-confirm-changeset", "--no-progressbar", "--no-fail-on-empty-changeset"]
    config = cloud.folder / "samconfig.toml"
    env = {key: it for key, it in cloud.aws.environment().items() if key != "PYTHONPATH"}
    env |= {**SAM_VARIABLES, "SAM_CLI_POLL_DELAY": "0.5", "TMPDIR": str(cloud.folder)}
    argv = sam_command("deploy", *arguments, *more, config=config)
    done = subprocess.run(
        argv, cwd=template.parent, env=env, capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr if done.returncode else ""


def deploy_kit(cloud: LocalCloud, folder: Path) -> str:
    """Deploy the kit's layer with its parameter, and store the secrets; return what failed."""
    whole, build = load(cloud.tree.built), cloud.tree.built.parent
    kit = {name: whole[name] for name in ("AWSTemplateFormatVersion", "Transform", "Parameters")}
    kit["Resources"] = {name: whole["Resources"][name] for name in LAYER}
    kit["Resources"]["LlmCacheLayer"]["Properties"]["ContentUri"] = str(build / "LlmCacheLayer")
    folder.mkdir(exist_ok=True)
    (folder / "kit.yaml").write_text(json.dumps(kit))
    for name, value in (("url", cloud.upstash.url), ("token", cloud.upstash.token)):
        cloud.aws.client("ssm").put_parameter(
            Name=f"/{KIT}/upstash-{name}", Value=value, Type="SecureString", Overwrite=True
        )
    overrides = [f"{name}={value}" for name, value in host_target().items()]
    return sam_deploy(cloud, KIT, folder / "kit.yaml", "--parameter-overrides", *overrides)


def delete(cloud: LocalCloud, stack: str) -> None:
    client = cloud.aws.client("cloudformation")
    client.delete_stack(StackName=stack)
    client.get_waiter("stack_delete_complete").wait(StackName=stack, WaiterConfig=POLL)


def write_news(cloud: LocalCloud, folder: Path) -> Path:
    """Write the documented function and template, and a function that clears its cache.

    The packages are those of `ask`; the documented build is another nightly test.
    """
    code = folder / "news"
    shutil.copytree(cloud.tree.built.parent / "AskFunction", code)
    (code / "news.py").write_text(shown("python", section="The function"))
    (code / "clearing.py").write_text(CLEAR)
    text = for_this_host(shown("yaml"))
    clear = text[text.index("  NewsFunction:") :].replace("NewsFunction", "ClearFunction")
    template = folder / "template.yaml"
    template.write_text(text + clear.replace("news.handler", "clearing.handler"))
    return template


def cdk_template(template: Path, bucket: str, key: str) -> dict[str, Any]:
    """Return the template that CDK synthesizes for the same function.

    `value_for_string_parameter` becomes a template parameter whose default is the name.
    """
    sam = load(template)["Resources"]["NewsFunction"]["Properties"]
    name = "SsmParameterValuellmcachedevlayerarnC96584B6F00A464EAD1953AFF4B05118Parameter"
    (arn,) = re.findall(
        r'value_for_string_parameter\(self, "(.+?)"\)', shown("python", section="CDK and Terraform")
    )
    trust = {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"Service": "lambda.amazonaws.com"},
    }
    role = {"AssumeRolePolicyDocument": {"Statement": [trust], "Version": "2012-10-17"}}
    kept = ("Handler", "Runtime", "Architectures", "MemorySize", "Timeout", "Environment")
    function = {
        **{key: sam[key] for key in kept},
        "Code": {"S3Bucket": bucket, "S3Key": key},
        "Layers": [{"Ref": name}],
        "Role": {"Fn::GetAtt": ["NewsServiceRole", "Arn"]},
    }
    return {
        "Parameters": {name: {"Type": "AWS::SSM::Parameter::Value<String>", "Default": arn}},
        "Resources": {
            "NewsServiceRole": {"Type": "AWS::IAM::Role", "Properties": role},
            "NewsFunction": {"Type": "AWS::Lambda::Function", "Properties": function},
        },
    }


def put(cloud: LocalCloud, stack: str, body: str) -> None:
    """Create or update a stack without SAM's transform, as CDK does."""
    client = cloud.aws.client("cloudformation")
    exists = stack in {it["StackName"] for it in client.describe_stacks()["Stacks"]}
    act = client.update_stack if exists else client.create_stack
    act(StackName=stack, TemplateBody=body, Capabilities=["CAPABILITY_IAM"])
    waiter = client.get_waiter(f"stack_{'update' if exists else 'create'}_complete")
    waiter.wait(StackName=stack, WaiterConfig=POLL)


def memory(stack: EmulatedStack) -> int:
    found = stack.aws.client("lambda").get_function(FunctionName=stack.physical("NewsFunction"))
    return int(found["Configuration"]["MemorySize"])


def delete_documented_parameter(cloud: LocalCloud) -> None:
    """Run the documented deletion that must precede a deployment under an old name."""
    (name,) = re.findall(r"`aws ssm delete-parameter --name (\S+)`", (ROOT / PAGE).read_text())
    cloud.aws.client("ssm").delete_parameter(Name=name)


def write_aws_command(folder: Path) -> Path:
    (folder / "aws.py").write_text(AWS)
    script = f'#!/bin/sh\nexec "{sys.executable}" "{folder}/aws.py" "$@"\n'
    (folder / "aws").write_text(script)  # a #! line cannot name a path with a space
    (folder / "aws").chmod(0o755)
    return folder


def bash(command: str, folder: Path, *path: Path, **environ: str) -> str:
    search = os.pathsep.join([*map(str, path), os.environ["PATH"]])
    env = {key: it for key, it in os.environ.items() if key != "PYTHONPATH"} | environ
    env |= {"PATH": search, "SAM_CLI_TELEMETRY": "0"}
    argv = ["bash", "-e", "-c", command]
    done = subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@dataclass(frozen=True)
class Others:
    """Two stacks with the documented function: one of SAM, one as CDK synthesizes it."""

    by_sam: EmulatedStack
    by_cdk: EmulatedStack
    template: Path
    cdk_body: str


@pytest.fixture(scope="module")
def kit(cloud: LocalCloud, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder from which the kit was deployed under its documented name."""
    folder = tmp_path_factory.mktemp("kit")
    assert deploy_kit(cloud, folder) == ""
    return folder


@pytest.fixture(scope="module")
def others(
    cloud: LocalCloud, kit: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Others]:
    template = write_news(cloud, tmp_path_factory.mktemp("yours"))
    assert sam_deploy(cloud, "by-sam", template) == ""
    code = shutil.make_archive(str(template.with_name("code")), "zip", template.with_name("news"))
    s3 = cloud.aws.client("s3")
    s3.put_object(Bucket=UPLOAD_BUCKET, Key="code.zip", Body=Path(code).read_bytes())
    body = json.dumps(cdk_template(template, UPLOAD_BUCKET, "code.zip"))
    put(cloud, "by-cdk", body)
    by_sam, by_cdk = (EmulatedStack.read(cloud.aws, name) for name in ("by-sam", "by-cdk"))
    yield Others(by_sam, by_cdk, template, body)
    for name in ("by-sam", "by-cdk"):
        delete(cloud, name)


def hits(stack: EmulatedStack, question: str, times: int = 2) -> list[bool]:
    """Ask the function of another stack; return which replies were hits."""
    event = {"question": question}
    replies = [stack.invoke("NewsFunction", event, qualifier="$LATEST") for _ in range(times)]
    assert [reply.error for reply in replies] == [None] * times, replies
    return [reply.payload["hit"] for reply in replies]


def test_function_of_another_stack_misses_then_hits(others: Others) -> None:
    assert hits(others.by_sam, "What is new?") == [False, True]
    assert hits(others.by_cdk, "What is new?") == [False, True]


def test_clear_of_another_stack_keeps_other_namespaces(cloud: LocalCloud, others: Others) -> None:
    question = "Is it cleared?"
    ask(cloud.stack, question)
    assert hits(others.by_sam, question) == hits(others.by_cdk, question) == [False, True]
    assert others.by_sam.invoke("ClearFunction", {}, qualifier="$LATEST").error is None
    assert hits(others.by_sam, question) == [False, True]
    assert hits(others.by_cdk, question, times=1) == [True]
    assert ask(cloud.stack, question).status == "hit"


def resize(cloud: LocalCloud, others: Others) -> None:
    """Double the memory size of both functions, and use them."""
    size = memory(others.by_sam)
    text = others.template.read_text()
    others.template.write_text(text.replace(f"MemorySize: {size}", f"MemorySize: {2 * size}"))
    assert sam_deploy(cloud, "by-sam", others.template) == ""
    put(cloud, "by-cdk", others.cdk_body.replace(": 1024", f": {2 * size}"))
    for stack in (others.by_sam, others.by_cdk):
        assert memory(stack) == 2 * size
        assert hits(stack, f"With more than {size} MB?") == [False, True]


def test_other_stacks_can_be_updated_after_the_kit_is_deleted(
    cloud: LocalCloud, others: Others
) -> None:
    delete(cloud, KIT)
    resize(cloud, others)


def test_kit_is_deployed_again_after_the_documented_deletion_of_its_parameter(
    cloud: LocalCloud, kit: Path, others: Others
) -> None:
    delete(cloud, KIT)
    assert "already exists" in deploy_kit(cloud, kit)
    delete(cloud, KIT)
    delete_documented_parameter(cloud)
    assert deploy_kit(cloud, kit) == ""
    resize(cloud, others)


def test_documented_package_has_no_package_of_the_layer(cloud: LocalCloud, tmp_path: Path) -> None:
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
    env = {"LLM_CACHE_NAMESPACE": "n", "LLM_CACHE_URL_PARAMETER": "/u"}
    env |= {"LLM_CACHE_TOKEN_PARAMETER": "/t", "AWS_REGION": "eu-west-1"}
    subprocess.run([sys.executable, "-I", "-S", "-c", script], env=env, check=True)


def test_documented_rollback_moves_the_alias_and_finds_earlier_entries(
    cloud: LocalCloud, tmp_path: Path
) -> None:
    question, stack, client = "Which version answers?", cloud.stack, cloud.aws.client("lambda")

    def version() -> str:
        alias = client.get_alias(FunctionName=stack.physical("AskFunction"), Name=ALIAS)
        return str(alias["FunctionVersion"])

    earlier = version()
    assert [ask(stack, question).status for _ in range(2)] == ["miss", "hit"]
    upgraded = cloud.tree.built.with_name("upgraded.yaml")
    text = cloud.tree.built.read_text()
    upgraded.write_text(text.replace("MemorySize: 1024", "MemorySize: 1536"))
    try:
        cloud.deploy(template=upgraded)
        assert version() != earlier
        assert ask(stack, question).status == "hit"
        command = shown("sh", "docs/deploying.md", "Upgrade and roll back")
        command = command.replace(KIT, stack.name)
        command = command.replace("--function-version 3", f"--function-version {earlier}")
        aws = write_aws_command(tmp_path)
        output = bash(command, tmp_path, aws, **cloud.aws.variables())
        assert earlier in [row.split()[0] for row in output.splitlines()]
        assert version() == earlier
        assert ask(stack, question).status == "hit"
    finally:
        upgraded.unlink()
        cloud.deploy()
