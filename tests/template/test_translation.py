"""What SAM's own translator makes of the template."""

import copy
import json
from functools import cache

from tests.e2e.proof.transformed import transformed
from tests.template.loader import Template, load, resources


def built(layer: str = "layer-1") -> Template:
    """The template as `sam build` and `sam package` leave it: code stands in a bucket."""
    template = copy.deepcopy(load())
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
    """The logical id of the version that each function publishes: a new id is a new version."""
    found = resources(translate(template), "Lambda::Version")
    return {it["Properties"]["FunctionName"]["Ref"]: key for key, it in found.items()}


def test_changed_layer_publishes_every_function_anew() -> None:
    before, after = versions(built()), versions(built(layer="layer-2"))
    assert set(before) == {"AskFunction", "FlushCacheFunction", "SummarizeFunction"}
    assert all(before[function] != after[function] for function in before)


def test_unchanged_template_publishes_nothing() -> None:
    _translate.cache_clear()
    before = versions(built())
    _translate.cache_clear()
    assert versions(built()) == before


def test_changed_layer_is_lost_without_the_flags_that_the_rules_ask_for() -> None:
    def unflagged(layer: str) -> Template:
        template = built(layer)
        del template["Resources"]["AskFunction"]["Properties"]["AutoPublishAliasAllProperties"]
        return template

    before, after = versions(unflagged("layer-1")), versions(unflagged("layer-2"))
    assert before["AskFunction"] == after["AskFunction"]


def test_schedule_and_url_invoke_the_alias() -> None:
    translated = translate(built())
    (schedule,) = resources(translated, "Scheduler::Schedule").values()
    (url,) = resources(translated, "Lambda::Url").values()
    assert schedule["Properties"]["Target"]["Arn"] == {"Ref": "FlushCacheFunctionAliaslive"}
    assert url["Properties"]["TargetFunctionArn"] == {"Ref": "AskFunctionAliaslive"}


def test_the_queue_invokes_the_alias_and_no_other_queue_is_open_to_it() -> None:
    translated = translate(built())
    (mapping,) = resources(translated, "EventSourceMapping").values()
    assert mapping["Properties"]["FunctionName"] == {"Ref": "SummarizeFunctionAliaslive"}
    role = resources(translated, "IAM::Role")["SummarizeFunctionRole"]["Properties"]
    assert "SQS" not in json.dumps(role["ManagedPolicyArns"])


def test_scheduler_and_function_may_send_to_the_failures_queue() -> None:
    roles = resources(translate(built()), "IAM::Role")
    for role in ("FlushCacheFunctionRole", "FlushCacheFunctionScheduledRole"):
        allowed = [
            statement["Resource"]
            for policy in roles[role]["Properties"]["Policies"]
            for statement in policy["PolicyDocument"]["Statement"]
            if statement.get("Action") == "sqs:SendMessage"
        ]
        assert allowed == [{"Fn::GetAtt": ["FlushFailures", "Arn"]}]


def test_codedeploy_is_there_where_a_rollout_is_gradual_and_nowhere_else() -> None:
    def made(**parameters: str) -> list[str]:
        found = resources(translate(built(), **parameters), "DeploymentGroup")
        return sorted(found) + sorted(
            key
            for key, it in resources(translate(built(), **parameters), "Alias").items()
            if "UpdatePolicy" in it
        )

    assert made() == made(Rollout="AllAtOnce") == []
    gradual = made(Rollout="Canary10Percent5Minutes")
    assert gradual == ["AskFunctionDeploymentGroup", "AskFunctionAliaslive"]


def test_a_rollout_goes_back_on_the_alarm() -> None:
    translated = translate(built(), Rollout="Linear10PercentEvery1Minute")
    (group,) = resources(translated, "DeploymentGroup").values()
    alarms = [{"Name": {"Ref": name}} for name in ("AskErrors", "ModelMisconfigured")]
    watched = {"Enabled": True, "Alarms": alarms}
    assert group["Properties"]["AlarmConfiguration"] == {"Fn::If": ["Monitored", watched, {}]}
    assert "DEPLOYMENT_STOP_ON_ALARM" in group["Properties"]["AutoRollbackConfiguration"]["Events"]


def test_tracing_that_is_off_allows_and_sets_nothing() -> None:
    def traced(**parameters: str) -> tuple[int, int]:
        translated = translate(built(), **parameters)
        functions_ = resources(translated, "Lambda::Function").values()
        roles = json.dumps(resources(translated, "IAM::Role"))
        return sum("TracingConfig" in it["Properties"] for it in functions_), roles.count("Xray")

    assert traced() == traced(Tracing="Disabled") == (0, 0)
    assert traced(Tracing="Active") == (3, 3)


def test_the_versions_are_described_by_the_settings_that_hold() -> None:
    found = resources(translate(built()), "Lambda::Version").values()
    assert [it["Properties"]["Description"] for it in found] == [{"Ref": "SettingsRevision"}] * 3


def test_a_settings_value_alone_does_not_publish_a_version_of_sams_making() -> None:
    """Why the versions have that description: the template is hashed as it is written."""
    assert versions(built()) == {
        it["Properties"]["FunctionName"]["Ref"]: key
        for key, it in resources(translate(built(), CacheTtl="60"), "Lambda::Version").items()
    }
