"""For each rule of what lets functions run, templates to which it objects."""

from tests.template import running
from tests.template.breaking import ABSENT, ASK, FLUSH, LAYER, SECRETS, SHARED, Breach

OTHERS = "arn:aws:lambda:eu-west-1:111122223333:layer:other:1"
NEVER = {"Fn::Equals": ["on", "off"]}
ALWAYS = {"Fn::Equals": ["on", "on"]}

BREACHES: list[Breach] = [
    (running.every_function_has_the_layer_and_the_alias, f"{SHARED}/Layers", ABSENT),
    (running.every_function_has_the_layer_and_the_alias, f"{SHARED}/Layers/0", OTHERS),
    (running.every_function_has_the_layer_and_the_alias, f"{FLUSH}/Layers", [OTHERS]),
    (running.every_function_has_the_layer_and_the_alias, f"{FLUSH}/AutoPublishAlias", "prod"),
    (running.every_function_has_time_and_memory, f"{ASK}/Timeout", 1),
    (running.every_function_has_time_and_memory, f"{ASK}/Timeout", 901),
    (running.every_function_has_time_and_memory, f"{FLUSH}/Timeout", ABSENT),
    (running.every_function_has_time_and_memory, f"{ASK}/MemorySize", 128),
    (running.every_function_has_time_and_memory, f"{FLUSH}/MemorySize", ABSENT),
    (
        running.every_function_has_time_and_memory,
        f"{ASK}/VpcConfig",
        {"SubnetIds": ["subnet-1"], "SecurityGroupIds": ["sg-1"]},
    ),
    (
        running.every_function_has_time_and_memory,
        f"{ASK}/ProvisionedConcurrencyConfig",
        {"ProvisionedConcurrentExecutions": 5},
    ),
    (running.what_is_built_and_called_is_there, f"{ASK}/Handler", "app.handler"),
    (running.what_is_built_and_called_is_there, f"{FLUSH}/Handler", "flush_cache.lambda_handler"),
    (running.what_is_built_and_called_is_there, f"{FLUSH}/CodeUri", "functions/ask"),
    (running.what_is_built_and_called_is_there, f"{FLUSH}/CodeUri", ABSENT),
    (running.what_is_built_and_called_is_there, f"{LAYER}/Properties/ContentUri", "layers"),
    (running.what_is_built_and_called_is_there, f"{FLUSH}/InlineCode", "def handler(*_): pass"),
    (running.what_is_built_and_called_is_there, f"{LAYER}/Metadata/SkipBuild", True),
    (running.what_is_built_and_called_is_there, f"{ASK}/PackageType", "Image"),
    *(
        (running.nothing_has_a_name_that_a_second_stack_would_have_too, f"Resources/{place}", "it")
        for place in (
            "AskFunction/Properties/FunctionName",
            "FlushFailures/Properties/QueueName",
            "Dashboard/Properties/DashboardName",
            "Secrets/Properties/ManagedPolicyName",
            "LlmCacheLayer/Properties/LayerName",
            "AskLogs/Properties/LogGroupName",
        )
    ),
    (
        running.nothing_has_a_name_that_a_second_stack_would_have_too,
        "Resources/AskLogs/Properties/LogGroupName",
        {"Fn::Sub": "/aws/lambda/${AWS::StackName}-flush-cache"},
    ),
    (
        running.nothing_has_a_name_that_a_second_stack_would_have_too,
        "Outputs/LayerArn/Export",
        {"Name": "layer"},
    ),
    (
        running.every_function_is_of_one_cache,
        f"{FLUSH}/Environment/Variables/LLM_CACHE_NAMESPACE",
        "other",
    ),
    (
        running.every_function_is_of_one_cache,
        f"{SHARED}/Environment/Variables/LLM_CACHE_NAMESPACE",
        ABSENT,
    ),
    (running.defaults_are_what_their_parameters_accept, "Parameters/CacheTtlCeiling/Default", 10),
    (running.defaults_are_what_their_parameters_accept, "Parameters/CacheTtlFloor/Default", 86_400),
    (running.defaults_are_what_their_parameters_accept, "Parameters/ModelId/Default", "nova"),
    (running.defaults_are_what_their_parameters_accept, "Parameters/Monitoring/Default", "yes"),
    (
        running.defaults_are_what_their_parameters_accept,
        "Parameters/FlushSchedule/Default",
        "rate(1 minute)",
    ),
    (running.defaults_are_what_their_parameters_accept, "Parameters/Monitoring/Default", "off"),
    *(
        (running.conditions_hold_when_their_parameters_say_so, f"Conditions/{name}", value)
        for name, value in (
            ("Signs", NEVER),
            ("Encrypts", ALWAYS),
            ("UsesProfile", NEVER),
            ("HasFlushToken", NEVER),
            ("ReservesConcurrency", ALWAYS),
            ("HasSecretsKey", ALWAYS),
            ("ServesBrowsers", ALWAYS),
            ("ExpiresVersions", ALWAYS),
            ("Monitored", ALWAYS),
            ("NoTopicGiven", ALWAYS),
            ("WatchesHitRate", {"Condition": "Monitored"}),
            ("SendsEmail", {"Condition": "HasOwnTopic"}),
            ("WatchesForgery", {"Fn::And": [{"Condition": "Monitored"}, {"Condition": "Signs"}]}),
        )
    ),
    (
        running.outputs_are_what_others_take_them_for,
        "Outputs/AskUrl/Value",
        {"Fn::GetAtt": ["AskFunction", "Arn"]},
    ),
    (
        running.outputs_are_what_others_take_them_for,
        "Outputs/FlushFunctionName/Value",
        {"Ref": "AskFunction"},
    ),
    (running.defaults_are_what_their_parameters_accept, "Parameters/StaleIfError/Default", 60),
    (
        running.defaults_are_what_their_parameters_accept,
        "Parameters/AlarmEmail/Default",
        "a@example.com",
    ),
    (
        running.a_variable_says_what_its_parameter_does,
        f"{SHARED}/Environment/Variables/LLM_CACHE_TTL_FLOOR",
        {"Ref": "CacheTtlCeiling"},
    ),
    (
        running.a_variable_says_what_its_parameter_does,
        "Resources/SummarizeFunction/Properties/Environment/Variables/LLM_CACHE_TTL_CEILING",
        {"Ref": "CacheTtlCeiling"},
    ),
    (
        running.a_variable_says_what_its_parameter_does,
        f"{ASK}/Environment/Variables/LLM_CACHE_INPUT_PRICE",
        {"Ref": "OutputPrice"},
    ),
    (
        running.a_choice_is_of_what_its_condition_is_about,
        f"{SHARED}/Environment/Variables/LLM_CACHE_SIGNING_KEY_PARAMETER/Fn::If",
        ["Signs", {"Ref": "AWS::NoValue"}, {"Ref": "SigningKeyParameter"}],
    ),
    (
        running.a_choice_is_of_what_its_condition_is_about,
        f"{SECRETS}/PolicyDocument/Statement/0/Resource/1/Fn::If/0",
        "Encrypts",
    ),
    (
        running.a_choice_is_of_what_its_condition_is_about,
        f"{FLUSH}/Environment/Variables/LLM_CACHE_TOKEN_PARAMETER/Fn::If/2",
        {"Ref": "UpstashFlushTokenParameter"},
    ),
    (
        running.a_choice_is_of_what_its_condition_is_about,
        f"{SHARED}/Environment/Variables/MODEL_ID/Fn::If/1",
        {"Ref": "ModelId"},
    ),
    *(
        (
            running.what_all_depends_on_is_there_and_goes_with_the_stack,
            f"Resources/{name}/Condition",
            "Monitored",
        )
        for name in ("FlushCacheFunction", "FlushFailures", "AskLogs", "LlmCacheLayer")
    ),
    (
        running.what_all_depends_on_is_there_and_goes_with_the_stack,
        "Resources/AskLogs/DeletionPolicy",
        "Retain",
    ),
    (
        running.what_all_depends_on_is_there_and_goes_with_the_stack,
        "Resources/FlushFailures/DeletionPolicy",
        "RetainExceptOnCreate",
    ),
    (running.every_function_has_time_and_memory, f"{ASK}/EphemeralStorage", {"Size": 10_240}),
    (running.it_is_read_as_sam, "Transform", ABSENT),
]
