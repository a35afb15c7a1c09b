"""The documentation and the workflow use the layer in other stacks as this one publishes it."""

import ast
import json
import os
import re
import shlex
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import botocore.session
import pytest
import yaml
from botocore import xform_name
from tests.layer.artifacts import SAM, run
from tests.template.loader import ROOT, load, resources

PAGE = (ROOT / "docs/other-stacks.md").read_text()
SHOWN = ("yaml", "python", "hcl", "sh")
CONFIG = tomllib.loads((ROOT / "samconfig.toml").read_text())
STACK = CONFIG["dev"]["deploy"]["parameters"]  # of `make deploy`
ARN = "arn:aws:lambda:eu-west-1:444455556666:layer:llm-cache:7"
CONSUMER = "111122223333"
# The command line of AWS: it prints what each operation would, and writes down how it was called.
AWS = f"""#!/usr/bin/env python3
import json, os, sys
with open(os.environ["CALLS"], "a") as calls:
    print(json.dumps(sys.argv[1:]), file=calls)
told = {{"get-parameter": {ARN!r}, "get-layer-version-policy": os.environ["POLICY"]}}
printed = told.get(sys.argv[2], "{{}}")
print(printed) if printed else sys.exit("ResourceNotFoundException")
"""


def shown(language: str) -> str:
    """Return the one block of a language that names the layer's parameter."""
    blocks: list[str] = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    (found,) = (text for text in blocks if "layer-arn" in text)
    return found


@pytest.mark.parametrize("language", SHOWN)
def test_it_is_found_where_the_template_publishes_it(language: str) -> None:
    (published,) = (
        it["Properties"]["Name"]["Fn::Sub"] for it in resources(load(), "SSM::Parameter").values()
    )
    name = published.replace("${AWS::StackName}", STACK["stack_name"])
    assert re.findall(r"/[\w-]+/layer-arn", shown(language)) == [name]


def test_parameter_outlives_the_stack_as_the_layer_does() -> None:
    (layer,) = resources(load(), "Serverless::LayerVersion").values()
    (parameter,) = resources(load(), "SSM::Parameter").values()
    for kept in (layer, parameter):
        # A failed creation deletes them, so that a second one does not find them in its way.
        assert kept["DeletionPolicy"] == "RetainExceptOnCreate"
        assert kept["UpdateReplacePolicy"] == "Retain"


@pytest.mark.parametrize("language", ["python", "hcl"])
def test_three_lines_are_enough(language: str) -> None:
    assert len([line for line in shown(language).splitlines() if line]) <= 3


def test_template_with_the_layer_is_valid(tmp_path: Path) -> None:
    (tmp_path / "template.yaml").write_text(shown("yaml"))
    (tmp_path / "news").mkdir()
    done = run([str(SAM), "validate", "--lint", "--region", "eu-west-1"], tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def function(tmp_path: Path) -> dict[str, Any]:
    """The properties of the function in the documented template."""
    (tmp_path / "shown.yaml").write_text(shown("yaml"))
    (found,) = resources(load(tmp_path / "shown.yaml"), "Serverless::Function").values()
    properties: dict[str, Any] = found["Properties"]
    return properties


def test_function_has_the_runtime_and_the_architecture_of_the_layer(
    function: dict[str, Any],
) -> None:
    parameters = load()["Parameters"]
    assert function["Runtime"] == parameters["Runtime"]["Default"]
    assert function["Architectures"] == [parameters["Architecture"]["Default"]]


def test_function_may_read_the_secrets_that_its_variables_name(function: dict[str, Any]) -> None:
    variables = function["Environment"]["Variables"]
    chosen = dict(pair.split("=") for pair in STACK["parameter_overrides"].split())
    named = [chosen["UpstashUrlParameter"], chosen["UpstashTokenParameter"]]
    assert [variables[f"LLM_CACHE_{it}_PARAMETER"] for it in ("URL", "TOKEN")] == named
    read, _ = function["Policies"][0]["Statement"]
    assert read["Action"] == "ssm:GetParameters"
    assert [it["Fn::Sub"].partition(":parameter")[2] for it in read["Resource"]] == named


def test_function_may_call_the_model_that_its_handler_calls(function: dict[str, Any]) -> None:
    (handler,) = re.findall(r'^model = .*model="(.+?)"', PAGE, re.MULTILINE)
    profile, _, model = handler.partition(".")
    _, call = function["Policies"][0]["Statement"]
    ends = [f"inference-profile/{profile}.{model}", f"foundation-model/{model}"]
    assert call["Action"] == "bedrock:InvokeModel"
    for resource, end in zip(call["Resource"], ends, strict=True):
        assert resource["Fn::Sub"].endswith(f":{end}")


def test_cdk_is_shown_in_calls_that_it_has() -> None:
    calls = [node for node in ast.walk(ast.parse(shown("python"))) if isinstance(node, ast.Call)]
    called = {ast.unparse(call.func).rpartition(".")[2] for call in calls}
    assert called == {"value_for_string_parameter", "from_layer_version_arn", "add_layers"}


# --- another account ------------------------------------------------------------------------------


def granting() -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the steps of production's job, and the one that grants the permission."""
    workflow = yaml.safe_load((ROOT / ".github/workflows/deploy.yml").read_text())
    steps = workflow["jobs"]["production"]["steps"]
    (found,) = (step for step in steps if "add-layer-version-permission" in step.get("run", ""))
    return steps, found


def calls(folder: Path, command: str, policy: str = "") -> list[list[str]]:
    """Run a command with an AWS that has such a policy of the layer; return what it was asked."""
    aws, told = folder / "aws", folder / "calls"
    aws.write_text(AWS)
    aws.chmod(0o755)
    environ = os.environ | {"CALLS": str(told), "POLICY": policy, "CONSUMER": CONSUMER}
    environ["PATH"] = f"{folder}{os.pathsep}{environ['PATH']}"
    subprocess.run(["bash", "-e", "-c", command], env=environ, check=True)
    return [json.loads(line) for line in told.read_text().splitlines()]


def options(call: list[str]) -> dict[str, str]:
    return dict(zip(call[2::2], call[3::2], strict=True))


@pytest.mark.parametrize("command", [shown("sh"), granting()[1]["run"]], ids=["page", "workflow"])
def test_permission_is_granted_for_the_version_that_ssm_names(tmp_path: Path, command: str) -> None:
    *_, grant = calls(tmp_path, command)
    assert grant[:2] == ["lambda", "add-layer-version-permission"]
    given = options(grant)
    assert given.pop("--statement-id").startswith("consumer")
    assert given == {
        "--layer-name": ARN.rpartition(":")[0],
        "--version-number": "7",
        "--action": "lambda:GetLayerVersion",
        "--principal": CONSUMER,
    }


def test_permission_that_is_there_is_not_granted_twice(tmp_path: Path) -> None:
    policy = json.dumps({"Policy": json.dumps({"Statement": [{"Sid": f"consumer-{CONSUMER}"}]})})
    asked = [call[1] for call in calls(tmp_path, granting()[1]["run"], policy)]
    assert asked == ["get-parameter", "get-layer-version-policy"]


def test_the_workflow_grants_after_the_deployment_and_only_where_it_is_wanted() -> None:
    steps, found = granting()
    assert steps[steps.index(found) - 1] == {"run": "make deploy"}
    assert found["if"] == "vars.LAYER_CONSUMER != ''"
    assert found["env"] == {"CONSUMER": "${{ vars.LAYER_CONSUMER }}"}
    stack = CONFIG["prod"]["deploy"]["parameters"]["stack_name"]
    assert f"/{stack}/layer-arn" in found["run"]


def test_the_options_are_those_of_the_operation(tmp_path: Path) -> None:
    model = botocore.session.get_session().get_service_model("lambda")
    shape = model.operation_model("AddLayerVersionPermission").input_shape
    known, required = (
        {f"--{xform_name(name, '-')}" for name in names}
        for names in (shape.members, shape.required_members)
    )
    given = set(options(calls(tmp_path, shown("sh"))[-1]))
    (organization,) = re.findall(r"^For an organization, use `(.+?)`", PAGE, re.MULTILINE)
    assert required <= given <= known
    assert set(shlex.split(organization)[::2]) == {"--principal", "--organization-id"} <= known
