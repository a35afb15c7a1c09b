"""For each rule of security and of form, templates to which it objects."""

from tests.template import rules
from tests.template.breaking import (
    ABSENT,
    ASK,
    FLUSH,
    LAYER,
    MODEL_CALLS,
    SCHEDULE,
    SECRETS,
    SHARED,
    SUMMARIZE,
    Breach,
)

FIRST_STATEMENT = f"{MODEL_CALLS}/0"
SHARED_STATEMENT = f"{SECRETS}/PolicyDocument/Statement/0"

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
    (
        rules.every_role_is_of_this_template,
        f"{ASK}/Role",
        "arn:aws:iam::111122223333:role/administrator",
    ),
    (
        rules.only_what_is_called_is_allowed,
        f"{FLUSH}/Role",
        {"Fn::GetAtt": ["AskFunctionRole", "Arn"]},
    ),
    (rules.no_permission_is_open, f"{FIRST_STATEMENT}/Resource", "*"),
    (
        rules.no_permission_is_open,
        f"{FIRST_STATEMENT}/Resource",
        {"Fn::Sub": "arn:aws:ssm:eu-west-1:1:parameter${UpstashTokenParameter}?"},
    ),
    (rules.no_permission_is_open, f"{FIRST_STATEMENT}/Action", "ssm:*"),
    (rules.no_permission_is_open, f"{SHARED_STATEMENT}/Resource/0", "*"),
    (rules.no_permission_is_open, f"{MODEL_CALLS}/2/Condition", ABSENT),
    (
        rules.no_permission_is_open,
        f"{MODEL_CALLS}/1/Fn::If/1/Resource",
        {"Fn::Sub": "arn:${AWS::Partition}:bedrock:*:*:inference-profile/*"},
    ),
    (rules.no_permission_is_open, f"{ASK}/Policies/0", "AmazonBedrockFullAccess"),
    *(
        (
            rules.no_permission_is_open,
            f"{SUMMARIZE}/Policies/2/Statement/2/Resource",
            {"Fn::Sub": it},
        )
        for it in (
            "*",
            "arn:aws:s3:::*/documents/*",
            "${Documents.Arn}/*",
            "${Documents.Arn}*/documents/*",
            "${Documents}/documents/*",
            "${DocumentMessages.Arn}/documents/*",
        )
    ),
    *(
        (rules.no_permission_is_open, f"{SUMMARIZE}/Policies/2/Statement/3/Action", it)
        for it in ("s3:*", "s3:DeleteObject", ["s3:GetObject", "s3:PutObjectAcl"])
    ),
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
    (
        rules.a_key_decrypts_nothing_but_the_secrets,
        f"{SECRETS}/PolicyDocument/Statement/1/Fn::If/1/Condition",
        ABSENT,
    ),
    (
        rules.a_key_decrypts_nothing_but_the_secrets,
        f"{SECRETS}/PolicyDocument/Statement/1/Fn::If/1/Resource",
        {"Fn::Sub": "arn:${AWS::Partition}:kms:${AWS::Region}:${AWS::AccountId}:key/other"},
    ),
    (rules.a_new_layer_reaches_the_alias, f"{SHARED}/AutoPublishAlias", ABSENT),
    (rules.a_new_layer_reaches_the_alias, f"{ASK}/AutoPublishAliasAllProperties", ABSENT),
    (rules.a_new_layer_reaches_the_alias, f"{FLUSH}/AutoPublishAliasAllProperties", False),
    (rules.a_new_layer_reaches_the_alias, f"{LAYER}/Properties/PublishLambdaVersion", ABSENT),
    (rules.a_new_layer_reaches_the_alias, f"{LAYER}/DeletionPolicy", "Delete"),
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
    (rules.a_new_layer_reaches_the_alias, f"{ASK}/AutoPublishCodeSha256", "0" * 64),
    (rules.no_permission_is_open, f"{FIRST_STATEMENT}/Effect", "Deny"),
    (
        rules.no_permission_is_open,
        f"{MODEL_CALLS}/2/Condition/Fn::If/1",
        {"StringLike": {"bedrock:InferenceProfileArn": "*"}},
    ),
    (
        rules.no_permission_is_open,
        f"{MODEL_CALLS}/2/Condition/Fn::If/1",
        {"Ref": "AWS::NoValue"},
    ),
    *(
        (
            rules.every_arn_is_of_the_stacks_own_account,
            f"{SHARED_STATEMENT}/Resource/0",
            {"Fn::Sub": f"arn:{place}${{UpstashUrlParameter}}"},
        )
        for place in (
            "aws:ssm:${AWS::Region}:${AWS::AccountId}:parameter",
            "${AWS::Partition}:ssm:${AWS::Region}:111122223333:parameter",
            "${AWS::Partition}:ssm:${AWS::Region}:${AWS::AccountId}:parameter/",
        )
    ),
    (rules.a_schedule_fails_in_sight, f"{FLUSH}/Events/Scheduled/Type", "Schedule"),
    (
        rules.a_schedule_fails_in_sight,
        f"{SCHEDULE}/FlexibleTimeWindow",
        {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 600},
    ),
    (rules.a_schedule_fails_in_sight, f"{SCHEDULE}/Input", '{"dry_run": true}'),
    (rules.a_schedule_fails_in_sight, f"{SCHEDULE}/RetryPolicy/MaximumRetryAttempts", 0),
    (
        rules.what_a_scheduled_function_raises_is_kept,
        f"{FLUSH}/EventInvokeConfig/DestinationConfig/OnFailure/Type",
        "SNS",
    ),
    (
        rules.what_failed_is_kept_for_a_while,
        "Resources/FlushFailures/Properties/FifoQueue",
        True,
    ),
    (rules.logs_are_json_and_expire, "Resources/AskLogs/Properties/RetentionInDays", 731),
]
