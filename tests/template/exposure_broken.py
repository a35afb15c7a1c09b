"""For each rule of what is told and who is let in, templates to which it objects."""

from typing import Any

from tests.template import exposure
from tests.template.breaking import (
    ABSENT,
    ASK,
    FLUSH,
    SCHEDULE,
    SECRETS,
    SHARED,
    TEMPLATE,
    Breach,
)

TOKEN = "AX4kDd81oPq"
PASSES = "{{resolve:ssm:/llm-cache/upstash-token}}"


def allowing(kind: str, **properties: Any) -> dict[str, Any]:
    return {"Type": f"AWS::{kind}", "Properties": properties}


BREACHES: list[Breach] = [
    (exposure.nothing_is_resolved_into_the_template, f"{ASK}/Description", PASSES),
    (exposure.nothing_is_resolved_into_the_template, "Outputs/Token", {"Value": PASSES}),
    (
        exposure.nothing_is_resolved_into_the_template,
        f"{SHARED}/Environment/Variables/UPSTASH",
        {"Fn::Sub": "{{resolve:secretsmanager:${AWS::StackName}}}"},
    ),
    (
        exposure.nothing_is_resolved_into_the_template,
        "Parameters/UpstashTokenParameter/Type",
        "AWS::SSM::Parameter::Value<String>",
    ),
    (
        exposure.a_parameter_names_a_secret_and_never_is_one,
        "Parameters/UpstashTokenParameter/Default",
        TOKEN,
    ),
    (
        exposure.a_parameter_names_a_secret_and_never_is_one,
        "Parameters/EncryptionKeyParameter/AllowedPattern",
        ".*",
    ),
    (
        exposure.what_stands_in_an_environment_by_itself_is_plain,
        f"{ASK}/Environment/Variables/UPSTASH_REDIS_REST_URL",
        "https://x.upstash.io",
    ),
    (
        exposure.what_stands_in_an_environment_by_itself_is_plain,
        f"{SHARED}/Environment/Variables/LLM_CACHE_TOKEN_PARAMETER",
        TOKEN,
    ),
    (
        exposure.no_prompt_is_logged_or_sent_elsewhere,
        f"{ASK}/Environment/Variables/LANGSMITH_TRACING",
        "true",
    ),
    (
        exposure.no_prompt_is_logged_or_sent_elsewhere,
        f"{SHARED}/Environment/Variables/POWERTOOLS_LOGGER_LOG_EVENT",
        "true",
    ),
    (
        exposure.no_prompt_is_logged_or_sent_elsewhere,
        f"{SHARED}/LoggingConfig/ApplicationLogLevel",
        "DEBUG",
    ),
    (
        exposure.a_function_is_called_in_the_ways_that_are_meant,
        f"{FLUSH}/FunctionUrlConfig",
        {"AuthType": "AWS_IAM"},
    ),
    (
        exposure.a_function_is_called_in_the_ways_that_are_meant,
        f"{ASK}/FunctionUrlConfig",
        ABSENT,
    ),
    (
        exposure.a_function_is_called_in_the_ways_that_are_meant,
        f"{ASK}/FunctionUrlConfig/Cors",
        {"AllowOrigins": ["*"]},
    ),
    (
        exposure.a_function_is_called_in_the_ways_that_are_meant,
        f"{ASK}/FunctionUrlConfig/Cors/Fn::If/1/AllowHeaders",
        ["content-type"],
    ),
    (
        exposure.a_function_is_called_in_the_ways_that_are_meant,
        f"{ASK}/FunctionUrlConfig/Cors/Fn::If/1/AllowOrigins",
        ["*"],
    ),
    (
        exposure.a_function_is_called_in_the_ways_that_are_meant,
        f"{ASK}/Events",
        {"Api": {"Type": "HttpApi", "Properties": {"Path": "/ask", "Method": "POST"}}},
    ),
    (
        exposure.what_is_allowed_stands_where_the_rules_look,
        "Resources/Open",
        allowing(
            "Lambda::Permission",
            Action="lambda:InvokeFunction",
            FunctionName={"Ref": "AskFunction"},
            Principal="*",
        ),
    ),
    (
        exposure.what_is_allowed_stands_where_the_rules_look,
        "Resources/Open",
        allowing("IAM::Policy", Roles=[{"Ref": "AskFunctionRole"}], PolicyName="all"),
    ),
    (
        exposure.what_is_allowed_stands_where_the_rules_look,
        "Resources/Open",
        allowing("Lambda::Url", AuthType="NONE", TargetFunctionArn={"Ref": "AskFunction"}),
    ),
    (exposure.what_is_allowed_stands_where_the_rules_look, f"{SECRETS}/Users", ["somebody"]),
    (
        exposure.what_is_allowed_stands_where_the_rules_look,
        f"{SCHEDULE}/RoleArn",
        "arn:aws:iam::111122223333:role/scheduler",
    ),
    (
        exposure.no_permission_is_written_twice,
        f"{ASK}/Policies/1",
        TEMPLATE["Resources"]["ModelCalls"]["Properties"]["PolicyDocument"],
    ),
    (
        exposure.answers_are_shared_with_nobody_unasked,
        "Parameters/ShareAnswers/Default",
        "all",
    ),
    (
        exposure.answers_are_shared_with_nobody_unasked,
        f"{ASK}/Environment/Variables/SHARE_ANSWERS",
        "all",
    ),
    (
        exposure.answers_are_shared_with_nobody_unasked,
        f"{ASK}/Environment/Variables/SHARE_ANSWERS",
        ABSENT,
    ),
]
