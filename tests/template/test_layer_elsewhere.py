"""The documentation and the workflow use the layer in other stacks as this stack publishes it."""

import json
import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.template.loader import ROOT, load, resources

PAGE = (ROOT / "docs/other-stacks.md").read_text()
TEMPLATE = load()
CONFIG = tomllib.loads((ROOT / "samconfig.toml").read_text())
STACK = CONFIG["dev"]["deploy"]["parameters"]  # of `make deploy`
ARN = "arn:aws:lambda:eu-west-1:444455556666:layer:llm-cache:7"
CONSUMER = "111122223333"
# An aws command that writes its arguments to a file.
AWS = f"""#!/usr/bin/env python3
import json, os, sys
with open(os.environ["CALLS"], "a") as calls:
    print(json.dumps(sys.argv[1:]), file=calls)
outputs = {{"get-parameter": {ARN!r}, "get-layer-version-policy": os.environ["POLICY"]}}
output = outputs.get(sys.argv[2], "{{}}")
print(output) if output else sys.exit("ResourceNotFoundException")
"""


def shown(language: str) -> str:
    """Return the one block of a language that contains the name of the layer's parameter."""
    blocks: list[str] = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    (found,) = (text for text in blocks if "layer-arn" in text)
    return found


@pytest.mark.parametrize("language", ["yaml", "python", "hcl", "sh"])
def test_documentation_reads_the_parameter_that_the_template_publishes(language: str) -> None:
    (published,) = resources(TEMPLATE, "SSM::Parameter").values()
    assert published["Properties"]["Value"] == {"Ref": "LlmCacheLayer"}
    name = published["Properties"]["Name"]["Fn::Sub"]
    name = name.replace("${AWS::StackName}", STACK["stack_name"])
    assert re.findall(r"/[\w-]+/layer-arn", shown(language)) == [name]


@pytest.mark.parametrize("kind", ["Serverless::LayerVersion", "SSM::Parameter"])
def test_layer_and_its_parameter_outlive_the_stack(kind: str) -> None:
    (resource,) = resources(TEMPLATE, kind).values()
    assert resource["DeletionPolicy"] == "RetainExceptOnCreate"
    assert resource["UpdateReplacePolicy"] == "Retain"


def test_documented_function_may_read_its_secrets_and_call_its_model(tmp_path: Path) -> None:
    (tmp_path / "shown.yaml").write_text(shown("yaml"))
    (function,) = resources(load(tmp_path / "shown.yaml"), "Serverless::Function").values()
    properties = function["Properties"]
    assert properties["Runtime"] == TEMPLATE["Parameters"]["Runtime"]["Default"]
    assert properties["Architectures"] == [TEMPLATE["Parameters"]["Architecture"]["Default"]]
    variables = properties["Environment"]["Variables"]
    chosen = dict(pair.split("=") for pair in STACK["parameter_overrides"].split())
    secrets = [chosen["UpstashUrlParameter"], chosen["UpstashTokenParameter"]]
    assert [variables[f"LLM_CACHE_{it}_PARAMETER"] for it in ("URL", "TOKEN")] == secrets
    (model,) = re.findall(r'^model = .*model="(.+?)"', PAGE, re.MULTILINE)
    foundation_model = model.partition(".")[2]
    read, call = properties["Policies"][0]["Statement"]
    expected = [*secrets, f"inference-profile/{model}", f"foundation-model/{foundation_model}"]
    assert (read["Action"], call["Action"]) == ("ssm:GetParameters", "bedrock:InvokeModel")
    for resource, end in zip([*read["Resource"], *call["Resource"]], expected, strict=True):
        assert re.split(":parameter|:(?=[a-z]+-)", resource["Fn::Sub"])[-1] == end


def granting_step() -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the steps of the production job, and the step that grants the permission."""
    workflow = yaml.safe_load((ROOT / ".github/workflows/deploy.yml").read_text())
    steps = workflow["jobs"]["production"]["steps"]
    (found,) = (step for step in steps if "add-layer-version-permission" in step.get("run", ""))
    return steps, found


def aws_calls(folder: Path, command: str, policy: str = "") -> list[list[str]]:
    """Run a command for a layer with a policy; return the arguments of its aws calls."""
    aws, calls = folder / "aws", folder / "calls"
    aws.write_text(AWS)
    aws.chmod(0o755)
    environ = os.environ | {"CALLS": str(calls), "POLICY": policy, "CONSUMER": CONSUMER}
    environ["PATH"] = f"{folder}{os.pathsep}{environ['PATH']}"
    subprocess.run(["bash", "-e", "-c", command], env=environ, check=True)
    return [json.loads(line) for line in calls.read_text().splitlines()]


@pytest.mark.parametrize(
    "command", [shown("sh"), granting_step()[1]["run"]], ids=["page", "workflow"]
)
def test_permission_is_granted_for_the_published_version(tmp_path: Path, command: str) -> None:
    *_, grant = aws_calls(tmp_path, command)
    options = dict(zip(grant[2::2], grant[3::2], strict=True))
    assert grant[:2] == ["lambda", "add-layer-version-permission"]
    assert options.pop("--statement-id").startswith("consumer")
    assert options == {
        "--layer-name": ARN.rpartition(":")[0],
        "--version-number": "7",
        "--action": "lambda:GetLayerVersion",
        "--principal": CONSUMER,
    }


def test_existing_permission_is_not_granted_again(tmp_path: Path) -> None:
    policy = json.dumps({"Policy": json.dumps({"Statement": [{"Sid": f"consumer-{CONSUMER}"}]})})
    calls = [call[1] for call in aws_calls(tmp_path, granting_step()[1]["run"], policy)]
    assert calls == ["get-parameter", "get-layer-version-policy"]


def test_workflow_grants_after_the_deployment_if_a_consumer_is_set() -> None:
    steps, step = granting_step()
    assert steps[steps.index(step) - 1]["run"] == "make deploy"
    assert step["if"] == "vars.LAYER_CONSUMER != ''"
    assert step["env"] == {"CONSUMER": "${{ vars.LAYER_CONSUMER }}"}
    assert f"/{CONFIG['prod']['deploy']['parameters']['stack_name']}/layer-arn" in step["run"]
