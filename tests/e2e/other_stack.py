"""The kit's layer alone as a stack, and stacks of others that use it as the documentation shows."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.template.loader import ROOT, load

from local_cloud.aws.stack_deployment import UPLOAD_BUCKET, host_target
from local_cloud.checkout.tool_environments import interpreter
from local_cloud.cloud import LocalCloud
from local_cloud.stack.emulated_stack import EmulatedStack

PAGE = "docs/other-stacks.md"
KIT = "llm-cache-dev"
SOON = {"Delay": 1, "MaxAttempts": 60}
LAYER = ("LlmCacheLayer", "LayerArnParameter")
# What the documentation uses of AWS's command line, by the client that this Python has.
AWS = f"""#!{sys.executable}
import sys, boto3, jmespath
from botocore import xform_name
service, operation, *rest = sys.argv[1:]
given = dict(zip(rest[::2], rest[1::2], strict=True))
query, _ = given.pop("--query", "@"), given.pop("--output", "")
client = boto3.client(service)
shape = client.meta.service_model.operation_model(
    client.meta.method_to_api_mapping[operation.replace("-", "_")]
).input_shape
names = {{"--" + xform_name(name, "-"): name for name in shape.members}}
arguments = {{names[key]: it for key, it in given.items()}}
told = getattr(client, operation.replace("-", "_"))(**arguments)
found = jmespath.search(query, told)
for row in found if isinstance(found, list) else [found]:
    print(*row if isinstance(row, list) else [row], sep="\\t")
"""
CLEAR = "from news import cache\n\n\ndef handler(event, context):\n    cache.clear()\n"


def shown(language: str, page: str = PAGE, section: str = "") -> str:
    """Return the first block of a language on a page, or in a section of the page."""
    text = (ROOT / page).read_text()
    text = text.partition(f"## {section}\n")[2] if section else text
    found = re.search(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    assert found
    return found[1]


def for_this_host(text: str) -> str:
    """Return what the page shows for AWS's default target, for the Python that runs here."""
    host = host_target()
    text = text.replace("python3.13", host["Runtime"]).replace("arm64", host["Architecture"])
    return text.replace("3.13", host["Runtime"].removeprefix("python"))


def sam_deploy(cloud: LocalCloud, stack: str, template: Path, *more: str) -> str:
    """Deploy a template by the real sam; return what it said in the end, "" if it succeeded."""
    argv = [interpreter("sam"), "-m", "samcli", "deploy", "--template", str(template)]
    argv += [
        "--stack-name",
        stack,
        "--s3-bucket",
        UPLOAD_BUCKET,
        "--capabilities",
        "CAPABILITY_IAM",
    ]
    argv += ["--no-confirm-changeset", "--no-progressbar", "--no-fail-on-empty-changeset", *more]
    env = {key: it for key, it in cloud.aws.environment().items() if key != "PYTHONPATH"}
    env |= {"SAM_CLI_TELEMETRY": "0", "SAM_CLI_POLL_DELAY": "0.5", "TMPDIR": str(cloud.folder)}
    done = subprocess.run(
        argv, cwd=template.parent, env=env, capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr if done.returncode else ""


def deploy_kit(cloud: LocalCloud, folder: Path) -> str:
    """Deploy of the kit the layer and its parameter, and store the secrets; return what failed."""
    whole = load(cloud.tree.built)
    names = ("AWSTemplateFormatVersion", "Transform", "Parameters")
    kit = {name: whole[name] for name in names}
    kit["Resources"] = {name: whole["Resources"][name] for name in LAYER}
    kit["Resources"]["LlmCacheLayer"]["Properties"]["ContentUri"] = str(
        cloud.tree.built.parent / "LlmCacheLayer"
    )
    folder.mkdir(exist_ok=True)
    (folder / "kit.yaml").write_text(json.dumps(kit))
    for name, value in (("url", cloud.upstash.url), ("token", cloud.upstash.token)):
        cloud.aws.client("ssm").put_parameter(
            Name=f"/{KIT}/upstash-{name}", Value=value, Type="SecureString", Overwrite=True
        )
    overrides = [f"{name}={value}" for name, value in host_target().items()]
    return sam_deploy(cloud, KIT, folder / "kit.yaml", "--parameter-overrides", *overrides)


def delete(cloud: LocalCloud, stack: str) -> None:
    """Delete a stack, as `sam delete` does."""
    client = cloud.aws.client("cloudformation")
    client.delete_stack(StackName=stack)
    client.get_waiter("stack_delete_complete").wait(StackName=stack, WaiterConfig=SOON)


def write_news(cloud: LocalCloud, folder: Path) -> Path:
    """Write the documented function and template, and a second function that clears its cache.

    Its packages are those that `ask` brings besides the layer; its own build is a nightly test.
    """
    code = folder / "news"
    shutil.copytree(cloud.tree.built.parent / "AskFunction", code)
    (code / "news.py").write_text(shown("python", section="The function"))
    (code / "clearing.py").write_text(CLEAR)
    text = for_this_host(shown("yaml"))
    news = text[text.index("  NewsFunction:") :]
    clears = news.replace("NewsFunction", "ClearFunction").replace(
        "news.handler", "clearing.handler"
    )
    template = folder / "template.yaml"
    template.write_text(text + clears)
    return template


def as_cdk_synthesizes(template: Path, bucket: str, key: str) -> dict[str, Any]:
    """Return the template of the same function as CDK makes it of the two documented lines.

    ``value_for_string_parameter`` becomes a parameter of the template, whose default is the name.
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
    kept = {
        key: sam[key]
        for key in ("Handler", "Runtime", "Architectures", "MemorySize", "Timeout", "Environment")
    }
    function = {
        **kept,
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
    """Create or update a stack of a template that needs no transformation, as CDK does."""
    client = cloud.aws.client("cloudformation")
    known = {it["StackName"] for it in client.describe_stacks()["Stacks"]}
    kind = "update" if stack in known else "create"
    act = client.update_stack if stack in known else client.create_stack
    act(StackName=stack, TemplateBody=body, Capabilities=["CAPABILITY_IAM"])
    client.get_waiter(f"stack_{kind}_complete").wait(StackName=stack, WaiterConfig=SOON)


def memory(stack: EmulatedStack) -> int:
    """Return the megabytes that the function of another stack has."""
    told = stack.aws.client("lambda").get_function(FunctionName=stack.physical("NewsFunction"))
    return int(told["Configuration"]["MemorySize"])


def delete_parameter_as_told(cloud: LocalCloud) -> None:
    """Do what the page says has to precede a deployment of the kit under its old name."""
    (name,) = re.findall(r"`aws ssm delete-parameter --name (\S+)`", (ROOT / PAGE).read_text())
    cloud.aws.client("ssm").delete_parameter(Name=name)


def command_line(folder: Path) -> Path:
    """Write a command ``aws`` to a folder, which is returned."""
    aws = folder / "aws"
    aws.write_text(AWS)
    aws.chmod(0o755)
    return folder
