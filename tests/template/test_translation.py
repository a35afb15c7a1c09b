"""SAM's own translator makes the intended resources of the template."""

import copy
import json
from functools import cache

import pytest
from tests.e2e.proof.transformed import transformed
from tests.template.loader import Template, load, resources

TEMPLATE = load()
ROLLOUTS = TEMPLATE["Parameters"]["Rollout"]["AllowedValues"]


def built(layer: str = "layer-1") -> Template:
    """Return the template as `sam package` leaves it: with the code in a bucket."""
    template = copy.deepcopy(TEMPLATE)
    for function in resources(template, "Serverless::Function").values():
        function["Properties"]["CodeUri"] = "s3://bucket/function"
    template["Resources"]["LlmCacheLayer"]["Properties"]["ContentUri"] = f"s3://bucket/{layer}"
    return template


def translate(template: Template, **parameters: str) -> Template:
    return _translate(json.dumps(template), tuple(parameters.items()))


@cache
def _translate(template: str, parameters: tuple[tuple[str, str], ...]) -> Template:
    return transformed(template, dict(parameters))


def versions(template: Template) -> dict[str, str]:
    """Return the logical ID of each function's version: a new ID is a new version."""
    found = resources(translate(template), "Lambda::Version")
    return {it["Properties"]["FunctionName"]["Ref"]: key for key, it in found.items()}


def test_changed_layer_publishes_all_functions() -> None:
    before, after = versions(built()), versions(built(layer="layer-2"))
    assert set(before) == {"AskFunction", "FlushCacheFunction", "SummarizeFunction"}
    assert all(before[function] != after[function] for function in before)


FLAGS = {"AskFunction": "AutoPublishAliasAllProperties", "LlmCacheLayer": "PublishLambdaVersion"}


@pytest.mark.parametrize(("resource", "flag"), FLAGS.items())
def test_changed_layer_publishes_nothing_without_a_flag(resource: str, flag: str) -> None:
    without, changed = built(), built(layer="layer-2")
    for template in (without, changed):
        del template["Resources"][resource]["Properties"][flag]
    assert versions(without)["AskFunction"] == versions(changed)["AskFunction"]


def test_schedule_url_and_queue_invoke_the_alias() -> None:
    translated = translate(built())
    (schedule,) = resources(translated, "Scheduler::Schedule").values()
    (url,) = resources(translated, "Lambda::Url").values()
    (mapping,) = resources(translated, "EventSourceMapping").values()
    assert schedule["Properties"]["Target"]["Arn"] == {"Ref": "FlushCacheFunctionAliaslive"}
    assert url["Properties"]["TargetFunctionArn"] == {"Ref": "AskFunctionAliaslive"}
    assert mapping["Properties"]["FunctionName"] == {"Ref": "SummarizeFunctionAliaslive"}


def test_role_of_summarize_has_no_permission_for_all_queues() -> None:
    role = resources(translate(built()), "IAM::Role")["SummarizeFunctionRole"]
    assert "SQS" not in json.dumps(role["Properties"]["ManagedPolicyArns"])


@pytest.mark.parametrize("role", ["FlushCacheFunctionRole", "FlushCacheFunctionScheduledRole"])
def test_scheduler_and_flush_cache_may_send_to_the_failure_queue(role: str) -> None:
    policies = resources(translate(built()), "IAM::Role")[role]["Properties"]["Policies"]
    statements = [it for policy in policies for it in policy["PolicyDocument"]["Statement"]]
    allowed = [it["Resource"] for it in statements if it.get("Action") == "sqs:SendMessage"]
    assert allowed == [{"Fn::GetAtt": ["FlushFailures", "Arn"]}]


@pytest.mark.parametrize("rollout", ROLLOUTS)
def test_gradual_rollout_rolls_back_on_the_alarms(rollout: str) -> None:
    translated = translate(built(), Rollout=rollout)
    groups = resources(translated, "DeploymentGroup").values()
    aliases = resources(translated, "Alias").items()
    gradual = rollout != "AllAtOnce"
    assert [key for key, it in aliases if "UpdatePolicy" in it] == [
        "AskFunctionAliaslive"
    ] * gradual
    assert len(groups) == gradual
    for group in groups:
        alarms = [{"Name": {"Ref": name}} for name in ("AskErrors", "ModelMisconfigured")]
        watched = {"Enabled": True, "Alarms": alarms}
        rollback = group["Properties"]["AutoRollbackConfiguration"]
        assert group["Properties"]["AlarmConfiguration"] == {"Fn::If": ["Monitored", watched, {}]}
        assert "DEPLOYMENT_STOP_ON_ALARM" in rollback["Events"]
        assert rollout in json.dumps(group["Properties"]["DeploymentConfigName"])


@pytest.mark.parametrize(("parameters", "traced"), [({}, 0), ({"Tracing": "Active"}, 3)])
def test_functions_are_traced_and_allowed_to_trace_if_chosen(
    parameters: dict[str, str], traced: int
) -> None:
    translated = translate(built(), **parameters)
    functions = resources(translated, "Lambda::Function").values()
    assert sum("TracingConfig" in it["Properties"] for it in functions) == traced
    assert json.dumps(resources(translated, "IAM::Role")).count("Xray") == traced
