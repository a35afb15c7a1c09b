"""The template keeps every rule, and every rule objects when the template is broken."""

import itertools
from typing import Any

import pytest
from layers.package import wheels
from tests.template import rules
from tests.template.breaking import (
    ABSENT,
    ASK,
    FLUSH,
    LAYER,
    SCHEDULE,
    SETTINGS,
    SHARED,
    TEMPLATE,
    Breach,
    broken,
    objected,
    titles,
)
from tests.template.loader import ROOT, environment, functions

FIRST_STATEMENT = f"{ASK}/Policies/1/Statement/0"
SHARED_STATEMENT = f"{SETTINGS}/PolicyDocument/Statement/0"

BREACHES: list[Breach] = [
    (rules.no_secret_stands_in_an_environment, "Parameters/UpstashTokenParameter/NoEcho", True),
    (
        rules.no_secret_stands_in_an_environment,
        f"{ASK}/Environment/Variables/MODEL_ID",
        "{{resolve:ssm-secure:/llm-cache/upstash-token}}",
    ),
    (
        rules.no_secret_stands_in_an_environment,
        f"{SHARED}/Environment/Variables/UPSTASH_REDIS_REST_TOKEN",
        {"Ref": "UpstashTokenParameter"},
    ),
    (rules.named_parameters_may_be_read, f"{FLUSH}/Policies", []),
    (
        rules.named_parameters_may_be_read,
        f"{FIRST_STATEMENT}/Resource",
        {"Fn::Sub": "arn:aws:ssm:eu-west-1:1:parameter${UpstashUrlParameter}"},
    ),
    (
        rules.named_parameters_may_be_read,
        f"{SHARED_STATEMENT}/Resource/2/Fn::If/1",
        {"Fn::Sub": "arn:aws:ssm:eu-west-1:1:parameter${SigningKeyParameter}"},
    ),
    (rules.no_permission_is_open, f"{FIRST_STATEMENT}/Resource", "*"),
    (rules.no_permission_is_open, f"{FIRST_STATEMENT}/Action", "ssm:*"),
    (rules.no_permission_is_open, f"{SHARED_STATEMENT}/Resource/0", "*"),
    (rules.no_permission_is_open, f"{ASK}/Policies/1/Statement/2/Condition", ABSENT),
    (
        rules.no_permission_is_open,
        f"{ASK}/Policies/1/Statement/1/Fn::If/1/Resource",
        {"Fn::Sub": "arn:${AWS::Partition}:bedrock:*:*:inference-profile/*"},
    ),
    (rules.no_permission_is_open, f"{ASK}/Policies/0", "AmazonBedrockFullAccess"),
    (rules.only_what_is_called_is_allowed, f"{FIRST_STATEMENT}/Action", "ssm:GetParameter"),
    (rules.only_what_is_called_is_allowed, f"{FLUSH}/Policies", []),
    (rules.only_what_is_called_is_allowed, f"{SHARED_STATEMENT}/Action", "ssm:GetParameter"),
    (
        rules.no_function_reads_anothers_secret,
        f"{FIRST_STATEMENT}/Resource",
        {"Fn::Sub": "arn:aws:ssm:eu-west-1:1:parameter${UpstashFlushTokenParameter}"},
    ),
    (
        rules.no_function_reads_anothers_secret,
        f"{FLUSH}/Environment/Variables/LLM_CACHE_TOKEN_PARAMETER",
        {"Ref": "UpstashFlushTokenParameter"},
    ),
    (rules.a_new_layer_reaches_the_alias, f"{SHARED}/AutoPublishAlias", ABSENT),
    (rules.a_new_layer_reaches_the_alias, f"{ASK}/AutoPublishAliasAllProperties", ABSENT),
    (rules.a_new_layer_reaches_the_alias, f"{FLUSH}/AutoPublishAliasAllProperties", False),
    (rules.a_new_layer_reaches_the_alias, f"{LAYER}/Properties/PublishLambdaVersion", ABSENT),
    (rules.a_new_layer_reaches_the_alias, f"{LAYER}/Properties/RetentionPolicy", "Delete"),
    (rules.everything_is_built_for_one_target, f"{SHARED}/Runtime", "python3.13"),
    (rules.everything_is_built_for_one_target, f"{FLUSH}/Architectures", ["x86_64"]),
    (rules.everything_is_built_for_one_target, f"{LAYER}/Metadata/BuildArchitecture", ABSENT),
    (rules.everything_is_built_for_one_target, f"{LAYER}/Metadata/BuildArchitecture", "x86_64"),
    (
        rules.everything_is_built_for_one_target,
        f"{LAYER}/Properties/CompatibleArchitectures",
        ["arm64"],
    ),
    (
        rules.everything_is_built_for_one_target,
        f"{LAYER}/Properties/CompatibleRuntimes",
        ["python3.12"],
    ),
    (
        rules.every_package_is_built_by_its_makefile,
        "Resources/AskFunction/Metadata/ContextPath",
        "layers/targets/x86_64-python3.11",
    ),
    (rules.every_package_is_built_by_its_makefile, "Resources/FlushCacheFunction/Metadata", ABSENT),
    (rules.a_schedule_fails_in_sight, f"{SCHEDULE}/OmitName", ABSENT),
    (rules.a_schedule_fails_in_sight, f"{SCHEDULE}/Name", "nightly-flush"),
    (rules.a_schedule_fails_in_sight, f"{SCHEDULE}/State", ABSENT),
    (rules.a_schedule_fails_in_sight, f"{SCHEDULE}/ScheduleExpressionTimezone", ABSENT),
    (rules.a_schedule_fails_in_sight, f"{SCHEDULE}/RetryPolicy", ABSENT),
    (rules.a_schedule_fails_in_sight, f"{SCHEDULE}/RetryPolicy/MaximumRetryAttempts", ABSENT),
    (rules.a_schedule_fails_in_sight, f"{SCHEDULE}/RetryPolicy/MaximumRetryAttempts", 185),
    (rules.a_schedule_fails_in_sight, f"{SCHEDULE}/RetryPolicy/MaximumEventAgeInSeconds", 86_400),
    (rules.a_schedule_fails_in_sight, f"{SCHEDULE}/DeadLetterConfig", ABSENT),
    (rules.a_schedule_fails_in_sight, f"{SCHEDULE}/DeadLetterConfig/Arn/Fn::GetAtt/0", "AskLogs"),
    (rules.what_a_scheduled_function_raises_is_kept, f"{FLUSH}/EventInvokeConfig", ABSENT),
    (rules.what_a_scheduled_function_raises_is_kept, "Resources/FlushFailures", ABSENT),
    (
        rules.what_a_scheduled_function_raises_is_kept,
        f"{FLUSH}/EventInvokeConfig/MaximumEventAgeInSeconds",
        ABSENT,
    ),
    (
        rules.what_failed_is_kept_for_a_while,
        "Resources/FlushFailures/Properties/MessageRetentionPeriod",
        ABSENT,
    ),
    (
        rules.what_failed_is_kept_for_a_while,
        "Resources/FlushFailures/Properties/SqsManagedSseEnabled",
        False,
    ),
    (rules.no_url_is_public, f"{ASK}/FunctionUrlConfig/AuthType", "NONE"),
    (rules.logs_are_json_and_expire, f"{SHARED}/LoggingConfig/LogFormat", "Text"),
    (rules.logs_are_json_and_expire, f"{FLUSH}/LoggingConfig", ABSENT),
    (rules.logs_are_json_and_expire, "Resources/AskLogs/Properties/RetentionInDays", ABSENT),
    (rules.logs_are_json_and_expire, "Resources/FlushCacheLogs", ABSENT),
    (rules.a_new_account_can_deploy, f"{FLUSH}/ReservedConcurrentExecutions", 1),
    (rules.a_new_account_can_deploy, "Parameters/AskReservedConcurrency/Default", "5"),
    (
        rules.a_new_account_can_deploy,
        f"{ASK}/ReservedConcurrentExecutions",
        {"Ref": "AskReservedConcurrency"},
    ),
    (rules.parameters_explain_themselves, "Parameters/CacheTtl/Description", ABSENT),
    (rules.parameters_explain_themselves, "Parameters/UpstashTokenParameter/NoEcho", True),
    (rules.parameters_explain_themselves, "Parameters/ModelId/AllowedPattern", ABSENT),
    (rules.parameters_explain_themselves, "Parameters/ModelId/Default", ABSENT),
    (
        rules.parameters_explain_themselves,
        "Metadata/AWS::CloudFormation::Interface/ParameterGroups/0/Parameters",
        [],
    ),
    (rules.nothing_is_declared_in_vain, f"{ASK}/LoggingConfig/LogGroup", "made-by-hand"),
    (rules.nothing_is_declared_in_vain, f"{SCHEDULE}/ScheduleExpressionTimezone", "UTC"),
    (rules.nothing_is_declared_in_vain, "Resources/Unused", {"Type": "AWS::SQS::Queue"}),
    (rules.nothing_is_declared_in_vain, "Conditions/Unused", {"Fn::Equals": ["", ""]}),
    (rules.outputs_have_the_names_others_rely_on, "Outputs/AskUrl", ABSENT),
]


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.__name__)
def test_template_keeps_the_rule(rule: rules.Rule) -> None:
    assert list(rule(TEMPLATE)) == []


@pytest.mark.parametrize(("rule", "path", "value"), BREACHES, ids=titles(BREACHES))
def test_rule_objects_to_a_broken_template(rule: rules.Rule, path: str, value: Any) -> None:
    assert list(rule(broken(path, value))) != []


def test_every_rule_has_been_seen_to_object() -> None:
    assert objected(BREACHES) == set(rules.RULES)


@pytest.mark.parametrize("function", ["AskFunction", "FlushCacheFunction"])
@pytest.mark.parametrize(
    ("condition", "parameter", "variable"),
    [
        ("Signs", "SigningKeyParameter", "LLM_CACHE_SIGNING_KEY_PARAMETER"),
        ("Encrypts", "EncryptionKeyParameter", "LLM_CACHE_ENCRYPTION_KEY_PARAMETER"),
    ],
)
def test_a_key_that_is_off_is_neither_named_nor_readable(
    function: str, condition: str, parameter: str, variable: str
) -> None:
    def only_if(value: Any) -> Any:
        return {"Fn::If": [condition, value, {"Ref": "AWS::NoValue"}]}

    properties = functions(TEMPLATE)[function]
    readable = [
        one
        for statement in rules.statements(TEMPLATE, properties)
        for one in statement["Resource"]
        if "ssm:GetParameters" in rules.actions(statement)
    ]
    arn = "arn:${AWS::Partition}:ssm:${AWS::Region}:${AWS::AccountId}:parameter"
    assert TEMPLATE["Parameters"][parameter]["Default"] == ""
    assert TEMPLATE["Conditions"][condition] == {
        "Fn::Not": [{"Fn::Equals": [{"Ref": parameter}, ""]}]
    }
    assert environment(properties)[variable] == only_if({"Ref": parameter})
    assert only_if({"Fn::Sub": f"{arn}${{{parameter}}}"}) in readable


def test_there_is_a_makefile_for_every_target_and_no_other() -> None:
    allowed = {
        key: TEMPLATE["Parameters"][key]["AllowedValues"] for key in ("Architecture", "Runtime")
    }
    expected = {
        f"{architecture}-{runtime}": {
            "ARCHITECTURE": architecture,
            "PYTHON_VERSION": runtime.removeprefix("python"),
        }
        for architecture, runtime in itertools.product(*allowed.values())
    }
    assert expected == {
        makefile.parent.name: variables(makefile.read_text())
        for makefile in (ROOT / "layers/targets").glob("*/Makefile")
    }


def variables(makefile: str) -> dict[str, str]:
    lines = (line.split(":=") for line in makefile.splitlines() if ":=" in line)
    return {name.strip(): value.strip() for name, value in lines}


def test_builder_knows_every_target() -> None:
    parameters = TEMPLATE["Parameters"]
    assert list(wheels.MACHINES) == parameters["Architecture"]["AllowedValues"]
    assert [f"python{version}" for version in wheels.GLIBC] == parameters["Runtime"][
        "AllowedValues"
    ]
