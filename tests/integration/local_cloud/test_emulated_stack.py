"""A small stack in the emulated AWS, used as its callers use it."""

from pathlib import Path

import pytest

from local_cloud.aws.emulator import EmulatedAws
from local_cloud.aws.stack_deployment import host_target
from local_cloud.lambda_runtime.deployed_function import DeployedFunction
from local_cloud.stack.emulated_stack import EmulatedStack

TEMPLATE = """
Parameters:
  Code: {Type: String}
  Runtime: {Type: String}
Resources:
  Role:
    Type: AWS::IAM::Role
    Properties: {AssumeRolePolicyDocument: {Version: "2012-10-17", Statement: []}}
  Tiny:
    Type: AWS::Lambda::Function
    Properties:
      Runtime: !Ref Runtime
      Handler: index.handler
      Timeout: 7
      Role: !GetAtt Role.Arn
      Environment: {Variables: {FROM: the template}}
      Code: {ZipFile: !Ref Code}
  Version:
    Type: AWS::Lambda::Version
    Properties: {FunctionName: !Ref Tiny}
  Live:
    Type: AWS::Lambda::Alias
    Properties: {FunctionName: !Ref Tiny, FunctionVersion: !GetAtt Version.Version, Name: live}
  Url:
    Type: AWS::Lambda::Url
    DependsOn: Live
    Properties: {AuthType: AWS_IAM, TargetFunctionArn: !Ref Tiny, Qualifier: live}
  Nightly:
    Type: AWS::Scheduler::Schedule
    Properties:
      ScheduleExpression: cron(0 3 * * ? *)
      State: DISABLED
      FlexibleTimeWindow: {Mode: "OFF"}
      Target: {Arn: !Ref Live, RoleArn: !GetAtt Role.Arn, Input: '{"from": "the schedule"}'}
Outputs:
  TinyUrl: {Value: !GetAtt Url.FunctionUrl}
"""
CODE = """
import json, os
print("initialised")
calls = 0
def handler(event, context):
    global calls
    calls += 1
    print("event", json.dumps(event))
    if "raise" in event:
        raise LookupError(event["raise"])
    if "rawPath" in event:
        return {"statusCode": 201, "body": json.dumps(event)}
    return {"calls": calls, "env": sorted(os.environ)}
"""


@pytest.fixture(scope="module")
def stack(aws: EmulatedAws) -> EmulatedStack:
    parameters = {"Code": CODE, "Runtime": host_target()["Runtime"]}
    client = aws.client("cloudformation")
    client.create_stack(
        StackName="tiny",
        TemplateBody=TEMPLATE,
        Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()],
        Capabilities=["CAPABILITY_IAM"],
    )
    client.get_waiter("stack_create_complete").wait(StackName="tiny", WaiterConfig={"Delay": 1})
    return EmulatedStack.read(aws, "tiny")


def test_function_returns_its_result_or_error_and_nothing_of_the_users_environment(
    stack: EmulatedStack,
) -> None:
    result = stack.invoke("Tiny", {})
    assert result.error is None
    environment = set(result.payload["env"])
    assert {"FROM", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_BEDROCK_RUNTIME"} <= environment
    assert not {"PYTEST_CURRENT_TEST", "PYTHONPATH", "VIRTUAL_ENV"} & environment
    failed = stack.invoke("Tiny", {"raise": "nothing there"})
    assert (failed.error, failed.payload["errorMessage"]) == ("Unhandled", "nothing there")


def test_signed_request_reaches_the_function_url(stack: EmulatedStack) -> None:
    url = stack.outputs["TinyUrl"] + "ask?x=1"
    response = stack.request("POST", url, body={"q": "é"}, headers={"Cache-Control": "no-cache"})
    event = response.json()
    assert response.status_code == 201
    assert (event["rawPath"], event["rawQueryString"]) == ("/ask", "x=1")
    assert event["headers"]["cache-control"] == "no-cache"
    assert event["body"] == '{"q": "\\u00e9"}'
    assert stack.request("POST", url, signed=False).status_code == 403


def test_event_identifies_the_signer(stack: EmulatedStack, aws: EmulatedAws) -> None:
    user = aws.client("iam").create_user(UserName="alice")["User"]
    key = aws.client("iam").create_access_key(UserName="alice")["AccessKey"]
    by = (key["AccessKeyId"], key["SecretAccessKey"])
    event = stack.request("GET", stack.outputs["TinyUrl"], by=by).json()
    signer = event["requestContext"]["authorizer"]["iam"]
    assert (signer["callerId"], signer["userArn"]) == (user["UserId"], user["Arn"])


def test_killed_environment_is_followed_by_a_cold_start(stack: EmulatedStack) -> None:
    stack.invoke("Tiny", {})
    assert stack.invoke("Tiny", {}).payload["calls"] > 1
    assert stack.kill_environments("Tiny") == 1
    assert stack.invoke("Tiny", {}).payload["calls"] == 1


def test_fired_schedule_runs_each_time_and_stays_disabled(
    stack: EmulatedStack, aws: EmulatedAws
) -> None:
    for _ in range(2):
        lines = stack.fire_schedule(seconds=60)
        assert 'event {"from": "the schedule"}' in "\n".join(lines)
    schedules = aws.client("scheduler").list_schedules()["Schedules"]
    assert [schedule["State"] for schedule in schedules] == ["DISABLED"]


def test_downloaded_function_has_its_code_and_configuration(
    stack: EmulatedStack, aws: EmulatedAws, tmp_path: Path
) -> None:
    deployed = DeployedFunction.download(aws, stack.physical("Tiny"), "live", tmp_path)
    assert (deployed.task / "index.py").read_text() == CODE
    assert (deployed.timeout, deployed.version) == (7, "1")
    assert deployed.variables == {"FROM": "the template"}
