"""``llm-cache doctor`` with secrets in SSM, and with a deployed stack."""

import os
import sys
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore import exceptions as aws
from botocore.client import BaseClient
from moto import mock_aws
from tests.integration.cli.examination import Doctor

from llm_cache._cli.main import main
from llm_cache._doctor import ssm, stack
from llm_cache._stack.deployed_stack import KIT_PARAMETERS
from llm_cache._version import __version__
from upstash_endpoint.endpoint import UpstashEndpoint

MARK = "mark-of-a-secret-value"
URL, TOKEN = "/shop/url", "/shop/token"
VARIABLES = {"LLM_CACHE_URL_PARAMETER": URL, "LLM_CACHE_TOKEN_PARAMETER": TOKEN}


def put(name: str, value: str) -> None:
    kind: Any = {"Type": "SecureString", "Overwrite": True}
    boto3.client("ssm").put_parameter(Name=name, Value=value, **kind)


@pytest.fixture
def aws_cloud(environment: pytest.MonkeyPatch, upstash: UpstashEndpoint) -> Iterator[None]:
    """Parameters in SSM, and variables that name them."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "UPSTASH_"))]:
        environment.delenv(name)
    environment.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    for name, value in VARIABLES.items():
        environment.setenv(name, value)
    with mock_aws():
        put(URL, upstash.url)
        put(TOKEN, upstash.token)
        yield


def refuse(environment: pytest.MonkeyPatch, error: Exception) -> None:
    def call(*_: Any, **__: Any) -> None:
        raise error

    environment.setattr(BaseClient, "_make_api_call", call)


def client_error(code: str, message: str = "") -> aws.ClientError:
    return aws.ClientError({"Error": {"Code": code, "Message": message}}, "GetParameters")


@pytest.mark.usefixtures("aws_cloud")
def test_each_readable_parameter_is_named(doctor: Doctor) -> None:
    found = doctor()
    assert found.is_green
    assert [it["text"] for it in found.findings if it["check"] == "SSM"] == [
        f"SSM parameter {name} in eu-west-1 is readable" for name in (URL, TOKEN)
    ]


@pytest.mark.usefixtures("aws_cloud")
def test_missing_boto3_is_named_and_green_once_installed(
    doctor: Doctor, environment: pytest.MonkeyPatch
) -> None:
    with environment.context() as change:
        for name in [name for name in sys.modules if name.startswith(("boto3", "botocore"))]:
            change.setitem(sys.modules, name, None)
        for arguments in ([], ["--stack", "shop"]):
            found = doctor(*arguments)
            assert found.failed.keys() == {"boto3"}
            assert 'pip install "lambda-llm-cache[aws]"' in found.failed["boto3"]["remedy"]
    assert doctor().is_green


@pytest.mark.usefixtures("aws_cloud")
def test_missing_parameter_is_named_with_its_region_and_works_once_created(
    doctor: Doctor, upstash: UpstashEndpoint
) -> None:
    boto3.client("ssm").delete_parameter(Name=TOKEN)
    found = doctor()
    assert found.failed.keys() == {"SSM"}
    assert found.failed["SSM"]["text"] == f"SSM parameter {TOKEN} does not exist in eu-west-1"
    assert f"--region eu-west-1 --type SecureString --name {TOKEN}" in found.failed["SSM"]["remedy"]
    assert found["token"]["state"] == "unknown"
    put(TOKEN, upstash.token)
    assert doctor().is_green


@pytest.mark.usefixtures("aws_cloud")
def test_wrong_region_is_named_and_the_right_one_works(
    doctor: Doctor, environment: pytest.MonkeyPatch
) -> None:
    with environment.context() as change:
        change.setenv("AWS_DEFAULT_REGION", "us-east-1")
        found = doctor()
        assert "does not exist in us-east-1" in found.failed["SSM"]["text"]
        assert "set AWS_DEFAULT_REGION" in found.failed["SSM"]["remedy"]
        change.delenv("AWS_DEFAULT_REGION")
        assert "no region is set" in doctor().failed["SSM"]["text"]
    assert doctor().is_green


@pytest.mark.usefixtures("aws_cloud")
@pytest.mark.parametrize(
    ("name", "value", "check"),
    [
        (URL, f"rediss://default:{MARK}@eu1-calm-1.upstash.io:6379", "REST URL"),
        (URL, f"{MARK} {MARK}", "REST URL"),
        (URL, " ", "REST URL"),
        (TOKEN, f"{MARK}\n{MARK}", "token"),
        (TOKEN, MARK, "token"),
    ],
)
def test_parameter_that_holds_garbage_is_named(
    doctor: Doctor, upstash: UpstashEndpoint, name: str, value: str, check: str
) -> None:
    put(name, value)
    found = doctor()
    assert found.failed.keys() == {check}
    assert f"SSM parameter {name}" in found.failed[check]["text"]
    assert f"--name {name}" in found.failed[check]["remedy"]
    assert MARK not in found.printed
    put(name, upstash.url if name == URL else upstash.token)
    assert doctor().is_green


@pytest.mark.usefixtures("aws_cloud")
@pytest.mark.parametrize(
    "value", [f"https://{MARK}.upstash.io", "AXX" + MARK * 2, f"AXX/{MARK * 2}"]
)
def test_variable_that_holds_the_secret_and_not_a_name_shows_no_secret(
    doctor: Doctor, environment: pytest.MonkeyPatch, value: str
) -> None:
    environment.setenv("LLM_CACHE_TOKEN_PARAMETER", value)
    found = doctor()
    assert "holds no name" in found.failed["SSM"]["text"]
    assert MARK not in found.printed


@pytest.mark.usefixtures("aws_cloud")
@pytest.mark.parametrize(
    ("error", "text", "remedy"),
    [
        (client_error("AccessDeniedException"), "access denied", "ssm:GetParameters on parameter/"),
        (client_error("AccessDeniedException", "no kms:Decrypt"), "KMS key", "kms:Decrypt"),
        (client_error("InvalidKeyId"), "KMS key", "kms:Decrypt"),
        (client_error("ExpiredTokenException"), "have expired", "aws sso login"),
        (client_error("UnrecognizedClientException"), "credentials", "AWS_PROFILE"),
        (client_error("ThrottlingException"), "ThrottlingException", "error code"),
        (aws.NoCredentialsError(), "NoCredentialsError", "aws sso login"),
        (aws.EndpointConnectionError(endpoint_url="x"), "EndpointConnectionError", "region"),
        (TimeoutError(), "AWS did not reply", "network"),
    ],
)
def test_failure_of_ssm_has_its_own_fix(
    doctor: Doctor, environment: pytest.MonkeyPatch, error: Exception, text: str, remedy: str
) -> None:
    with environment.context() as change:
        refuse(change, error)
        found = doctor()
    failed = [it for it in found.findings if it["state"] == "failed"]
    assert [it["check"] for it in failed] == ["SSM", "SSM"]
    for name, it in zip((URL, TOKEN), failed, strict=True):
        assert name in it["text"]
        assert text in it["text"]
        assert remedy in it["remedy"]
    assert doctor().is_green


ARN = "arn:aws:lambda:eu-west-1:111122223333:layer:shop:"
PARAMETERS = dict.fromkeys(KIT_PARAMETERS, "x") | {
    "UpstashUrlParameter": URL,
    "UpstashTokenParameter": TOKEN,
}
OUTPUTS = {"CacheNamespace": "shop", "LayerArn": f"{ARN}4", "AskFunctionName": "shop-ask"}
STACK = {
    "StackName": "shop",
    "StackStatus": "UPDATE_COMPLETE",
    "Parameters": [{"ParameterKey": it, "ParameterValue": v} for it, v in PARAMETERS.items()],
    "Outputs": [{"OutputKey": it, "OutputValue": value} for it, value in OUTPUTS.items()],
}
FUNCTION = {"State": "Active", "LastUpdateStatus": "Successful", "Version": "7"}


class DeployedStack:
    """Replies of CloudFormation and Lambda; moto replies to the other services."""

    def __init__(self, environment: pytest.MonkeyPatch) -> None:
        self.status = "UPDATE_COMPLETE"
        self.layer: dict[str, Any] | Exception = {
            "Description": f"lambda-llm-cache {__version__} with langchain-core"
        }
        self.function: dict[str, Any] = FUNCTION | {"Layers": [{"Arn": f"{ARN}4"}]}
        call = BaseClient._make_api_call

        def reply(client: Any, operation: str, parameters: dict[str, str]) -> Any:
            match operation:
                case "DescribeStacks" if parameters.get("StackName", "shop") == "shop":
                    return {"Stacks": [STACK | {"StackStatus": self.status}]}
                case "DescribeStacks":
                    raise client_error("ValidationError", "it does not exist")
                case "GetFunctionConfiguration":
                    assert parameters == {"FunctionName": "shop-ask", "Qualifier": "live"}
                    return self.function
                case "GetLayerVersionByArn" if isinstance(self.layer, Exception):
                    raise self.layer
                case "GetLayerVersionByArn":
                    return self.layer
            return call(client, operation, parameters)

        environment.setattr(BaseClient, "_make_api_call", reply)


@pytest.fixture
def deployed(aws_cloud: None, environment: pytest.MonkeyPatch) -> DeployedStack:
    """A stack, and an environment that names no database."""
    for name in (*VARIABLES, "LLM_CACHE_NAMESPACE"):
        environment.delenv(name)
    return DeployedStack(environment)


def test_stack_names_the_database_the_layer_and_the_functions(
    doctor: Doctor, deployed: DeployedStack
) -> None:
    found = doctor("--stack", "shop")
    assert found.is_green
    assert found["stack"]["text"] == "shop is UPDATE_COMPLETE"
    assert found["variables"]["text"] == "namespace shop"
    assert found["layer"]["text"] == f"shop:4 has lambda-llm-cache {__version__}"
    assert found["function"]["text"] == "shop-ask is Active, version 7"


def test_command_reads_the_secrets_in_the_region_where_doctor_finds_the_stack(
    doctor: Doctor, deployed: DeployedStack, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("AWS_DEFAULT_REGION", "us-east-1")
    environment.setenv("AWS_REGION", "eu-west-1")
    assert doctor("--stack", "shop").is_green
    assert main(["clear", "--stack", "shop", "--tag", "a"]) == 0


def test_unknown_stack_is_named_with_the_stacks_of_the_region(
    doctor: Doctor, deployed: DeployedStack
) -> None:
    found = doctor("--stack", "shpo")
    assert found.failed.keys() == {"stack"}
    known = "the stack shpo does not exist in eu-west-1; the kit's stacks there: shop"
    assert found.failed["stack"]["remedy"] == known


def test_old_layer_old_function_and_failed_stack_are_named(
    doctor: Doctor, deployed: DeployedStack
) -> None:
    deployed.status = "UPDATE_ROLLBACK_FAILED"
    deployed.layer = {"Description": "lambda-llm-cache 0.0.9 with langchain-core"}
    deployed.function = FUNCTION | {"Layers": [{"Arn": f"{ARN}3"}]}
    failed = doctor("--stack", "shop").failed
    assert failed.keys() == {"stack", "layer", "function"}
    assert "0.0.9" in failed["layer"]["text"]
    assert "shop-ask uses shop:3, not the stack's shop:4" in failed["function"]["text"]
    assert all("make deploy STACK=shop" in it["remedy"] for it in failed.values())


def test_failed_function_is_named_and_an_unreadable_layer_is_unknown(
    doctor: Doctor, deployed: DeployedStack
) -> None:
    deployed.layer = client_error("AccessDeniedException")
    deployed.function = {"State": "Failed", "StateReason": "no key"}
    found = doctor("--stack", "shop")
    assert found.failed.keys() == {"function"}
    assert "no key" in found.failed["function"]["text"]
    assert "AccessDeniedException" in found["layer"]["text"]
    deployed.layer = {"Description": "another layer"}
    assert "does not name its library" in doctor("--stack", "shop")["layer"]["text"]


@pytest.mark.usefixtures("aws_cloud")
def test_aws_that_never_replies_ends_the_examination_soon(
    doctor: Doctor, environment: pytest.MonkeyPatch
) -> None:
    for module in (ssm, stack):
        environment.setattr(module, "SECONDS", 0.0)
    assert "AWS did not reply" in doctor().failed["SSM"]["text"]
    assert "AWS did not reply" in doctor("--stack", "shop").failed["stack"]["remedy"]
